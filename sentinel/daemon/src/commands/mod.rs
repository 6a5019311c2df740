//! Which commands there are: one table that drives look-up, arity, error texts, COMMAND, HELP and access rules.
//!
//! A command is a [`Row`]; those of SENTINEL are the core's, where each has a file.

mod acl;
mod catalogue;
mod client;
mod names;
mod plain;

use std::{collections::BTreeMap, ops::Deref, sync::LazyLock};

use bytes::Bytes;
use sentinel_core::command::{
    Does, SUBCOMMANDS, Subcommand,
    row::{Listed, Row},
};
use sentinel_resp::Reply;

pub(crate) use self::{acl::Acl, catalogue::Catalogue, client::Client, names::Names};

/// One command, or one subcommand of a container, in its place.
#[derive(Debug)]
pub(crate) struct Command {
    row: Row<Verb>,
    /// What a container contains, by name.
    pub(crate) subcommands: Vec<Command>,
    /// Its place in sets of commands, as access rules have them. Different spellings of one command share it.
    pub(crate) permit: u8,
}

impl Deref for Command {
    type Target = Row<Verb>;

    fn deref(&self) -> &Row<Verb> {
        &self.row
    }
}

/// What is done for a command.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verb {
    /// Nothing: a container needs a subcommand.
    Container,
    Acl(Acl),
    Auth,
    Client(Client),
    Catalogue(Catalogue),
    Hello,
    Info,
    Ping,
    Publish,
    Quit,
    Reset,
    Role,
    Sentinel(&'static Subcommand),
    /// SENTINEL GET-MASTER-ADDR-BY-NAME, apart from the other subcommands as it is asked for far more often.
    Address,
    Shutdown,
    Subscribe,
    Unsubscribe,
    SubscribePattern,
    UnsubscribePattern,
}

impl Command {
    /// Whether it runs before authentication.
    pub(crate) fn is_open(&self) -> bool {
        self.flags.contains(&"no_auth") || matches!(self.does, Verb::Quit | Verb::Reset)
    }

    /// Whether 7.0 does not know it, so that rules are told in other words.
    pub(crate) const fn is_later(&self) -> bool {
        self.row.stands_for.is_some()
    }

    /// Whether a Sentinel counts it among its fifteen commands, or those that they contain. QUIT and RESET are not, and so
    /// neither shown nor renamed.
    pub(crate) fn is_counted(&self) -> bool {
        self.listed != Listed::Uncounted
    }

    /// Whether a RESP2 connection with a subscription may run it.
    pub(crate) fn fits_subscribers(&self) -> bool {
        matches!(
            self.does,
            Verb::Ping
                | Verb::Quit
                | Verb::Reset
                | Verb::Subscribe
                | Verb::Unsubscribe
                | Verb::SubscribePattern
                | Verb::UnsubscribePattern
        )
    }
}

/// All commands, by name.
pub(crate) fn commands() -> &'static [Command] {
    static COMMANDS: LazyLock<Vec<Command>> = LazyLock::new(|| {
        let mut commands: Vec<Command> = plain::ROWS.iter().copied().map(in_place).collect();
        number(&mut commands);
        commands
    });
    &COMMANDS
}

/// A command with what it contains.
fn in_place(row: Row<Verb>) -> Command {
    let mut subcommands: Vec<Command> = rows().filter(|it| contains(row.name, it.name)).map(in_place).collect();
    subcommands.sort_by_key(|subcommand| subcommand.name);
    Command { row, subcommands, permit: 0 }
}

/// Every command and subcommand, in the order of HELP.
fn rows() -> impl Iterator<Item = Row<Verb>> {
    let own = [plain::ROWS, acl::ROWS, client::ROWS, catalogue::ROWS].into_iter().flatten().copied();
    let verb = |subcommand: &'static Subcommand| match subcommand.does {
        Does::TellAddress(_) => Verb::Address,
        _ => Verb::Sentinel(subcommand),
    };
    own.chain(SUBCOMMANDS.iter().map(move |subcommand| subcommand.doing(verb(subcommand))))
}

/// Whether a command is contained in another one, by their names.
fn contains(container: &str, name: &str) -> bool {
    name.strip_prefix(container).is_some_and(|rest| rest.starts_with('|'))
}

/// The lines of a container's HELP.
pub(crate) fn help_of(container: &str) -> impl Iterator<Item = &'static str> {
    rows().filter(move |row| row.name == container || contains(container, row.name)).flat_map(|row| row.help).copied()
}

/// `SENTINEL GET-MASTER-ADDR-BY-NAME`.
pub(crate) fn address() -> &'static Command {
    static ADDRESS: LazyLock<&Command> = LazyLock::new(|| {
        let all = commands().iter().flat_map(|command| &command.subcommands);
        all.into_iter().find(|command| matches!(command.does, Verb::Address)).expect("a Sentinel tells addresses")
    });
    &ADDRESS
}

/// The names of commands by their places; of several spellings of one, the first.
pub(crate) fn names_by_place() -> BTreeMap<u8, &'static str> {
    let mut names = BTreeMap::new();
    for command in commands().iter().flat_map(|command| std::iter::once(command).chain(&command.subcommands)) {
        names.entry(command.permit).or_insert(command.name);
    }
    names
}

/// The command of that name in any case; `client|id` finds the subcommand.
pub(crate) fn by_name(name: &[u8]) -> Option<&'static Command> {
    let container = name.split(|&byte| byte == b'|').next()?;
    let command = find(commands(), container)?;
    if container.len() == name.len() { Some(command) } else { find(&command.subcommands, name) }
}

/// The command or subcommand that a request means, however many words it has.
pub(crate) fn meant(request: &[Bytes]) -> Result<&'static Command, Reply> {
    let name = request.first().map_or(&b""[..], |name| name);
    let Some(command) = find(commands(), name) else {
        return Err(unknown_command(request));
    };
    match request.get(1) {
        Some(word) if !command.subcommands.is_empty() => {
            find_behind(&command.subcommands, command.name.len() + 1, word)
                .ok_or_else(|| unknown_subcommand(command, word))
        }
        _ => Ok(command),
    }
}

/// The command that a request means, once it exists and has the right number of words.
///
/// These two checks come before all others, authentication included.
pub(crate) fn look_up(request: &[Bytes]) -> Result<&'static Command, Reply> {
    let command = meant(request)?;
    if command.accepts(request.len()) {
        Ok(command)
    } else {
        Err(Reply::err(format!("wrong number of arguments for '{}' command", command.name)))
    }
}

fn find<'a>(commands: &'a [Command], name: &[u8]) -> Option<&'a Command> {
    find_behind(commands, 0, name)
}

/// The one whose name is this behind a prefix of so many bytes.
fn find_behind<'a>(commands: &'a [Command], prefix: usize, name: &[u8]) -> Option<&'a Command> {
    commands.iter().find(|command| name.eq_ignore_ascii_case(&command.name.as_bytes()[prefix..]))
}

/// Error texts repeat at most so many bytes of what the client sent.
const REPEATED: usize = 128;

/// Says that there is no such command.
pub(crate) fn unknown_command(request: &[Bytes]) -> Reply {
    let name = request.first().map_or_else(String::new, |name| repeated(name, REPEATED));
    let mut arguments = String::new();
    for argument in request.iter().skip(1) {
        if arguments.len() >= REPEATED {
            break;
        }
        let argument = repeated(argument, REPEATED - arguments.len());
        arguments.extend(["'", &argument, "' "]);
    }
    Reply::err(format!("unknown command '{name}', with args beginning with: {arguments}"))
}

fn unknown_subcommand(container: &Command, word: &[u8]) -> Reply {
    let (word, container) = (repeated(word, REPEATED), container.name.to_ascii_uppercase());
    Reply::err(format!("unknown subcommand '{word}'. Try {container} HELP."))
}

/// A word of a client as an error text repeats it: cut, and ended by a NUL as the reference's strings are.
pub(crate) fn repeated(word: &[u8], most: usize) -> String {
    let word = &word[..word.len().min(most)];
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    String::from_utf8_lossy(&word[..end]).into_owned()
}

const FAST_CONNECTION: &[&str] = &["fast", "connection"];
const SLOW_CONNECTION: &[&str] = &["slow", "connection"];
const PUBSUB: &[&str] = &["pubsub", "slow"];
const ADMIN_CONNECTION: &[&str] = &["admin", "slow", "dangerous", "connection"];
const PUBSUB_FLAGS: &[&str] = &["pubsub", "noscript", "loading", "stale"];
const LOGIN_FLAGS: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const QUIET_FLAGS: &[&str] = &["noscript", "loading", "stale"];
const ADMIN_FLAGS: &[&str] = &["admin", "noscript", "loading", "stale"];
const UNSTEADY: &[&str] = &["nondeterministic_output"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

/// Gives every command its permit.
fn number(commands: &mut [Command]) {
    let mut permits: BTreeMap<&str, u8> = BTreeMap::new();
    for Command { row, subcommands, permit } in commands {
        let subcommands = subcommands.iter_mut().map(|sub| (&mut sub.permit, sub.row));
        for (permit, row) in subcommands.chain([(permit, *row)]) {
            let next = u8::try_from(permits.len()).expect("the table is far shorter than 255 commands");
            *permit = *permits.entry(row.stands_for.unwrap_or(row.name)).or_insert(next);
        }
    }
}

/// The categories of 7.0 in its order. Most are for commands on data, which a Sentinel does not have; rules may name
/// them.
pub(crate) const CATEGORIES: &[&str] = &[
    "keyspace",
    "read",
    "write",
    "set",
    "sortedset",
    "list",
    "hash",
    "string",
    "bitmap",
    "hyperloglog",
    "geo",
    "stream",
    "pubsub",
    "admin",
    "fast",
    "slow",
    "blocking",
    "dangerous",
    "connection",
    "transaction",
    "scripting",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&'static str]) -> String {
        let request: Vec<Bytes> = words.iter().map(|word| Bytes::from_static(word.as_bytes())).collect();
        match look_up(&request) {
            Ok(command) => panic!("{words:?} is {}", command.name),
            Err(reply) => reply.as_text().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn only_what_is_later_than_7_0_shares_a_permit() {
        let all: Vec<&Command> =
            commands().iter().flat_map(|command| command.subcommands.iter().chain([command])).collect();
        for command in &all {
            let sharing = all.iter().filter(|other| other.permit == command.permit).count();
            let shared = command.is_later() || all.iter().any(|other| other.stands_for == Some(command.name));
            assert_eq!(sharing, if shared { 2 } else { 1 }, "{}", command.name);
        }
    }

    #[test]
    fn a_sentinel_counts_fifteen_commands() {
        assert_eq!(commands().iter().filter(|command| command.is_counted()).count(), 15);
    }

    #[test]
    fn names_are_lower_case_and_found_in_any_case() {
        for command in commands().iter().flat_map(|command| command.subcommands.iter().chain([command])) {
            assert_eq!(command.name, command.name.to_ascii_lowercase());
            let found = by_name(command.name.to_ascii_uppercase().as_bytes());
            assert_eq!(found.map(|found| found.name), Some(command.name));
        }
        assert!(by_name(b"client|nope").is_none());
        assert!(by_name(b"").is_none());
    }

    #[test]
    fn unknown_names_are_repeated_as_the_reference_repeats_them() {
        assert_eq!(refused(&["foo"]), "ERR unknown command 'foo', with args beginning with: ");
        assert_eq!(
            refused(&["CONFIG", "GET", "*"]),
            "ERR unknown command 'CONFIG', with args beginning with: 'GET' '*' "
        );
        assert_eq!(refused(&["CLIENT", "foo"]), "ERR unknown subcommand 'foo'. Try CLIENT HELP.");
        assert_eq!(refused(&["sentinel", "foo"]), "ERR unknown subcommand 'foo'. Try SENTINEL HELP.");
    }

    #[test]
    fn long_names_and_arguments_are_cut() {
        let long: &'static str = Box::leak("x".repeat(200).into_boxed_str());
        let cut = "x".repeat(128);
        assert_eq!(
            refused(&[long, "a", long, "b"]),
            format!("ERR unknown command '{cut}', with args beginning with: 'a' '{}' ", &cut[4..])
        );
    }

    #[test]
    fn a_wrong_number_of_words_names_the_subcommand() {
        let text = |name: &str| format!("ERR wrong number of arguments for '{name}' command");
        assert_eq!(refused(&["CLIENT"]), text("client"));
        assert_eq!(refused(&["Client", "SetName"]), text("client|setname"));
        assert_eq!(refused(&["SENTINEL", "MASTER"]), text("sentinel|master"));
        assert_eq!(refused(&["ROLE", "x"]), text("role"));
        assert_eq!(refused(&["SUBSCRIBE"]), text("subscribe"));
    }

    #[test]
    fn who_takes_more_words_says_which() {
        for command in commands().iter().flat_map(|command| command.subcommands.iter().chain([command])) {
            let name_only = 1 + i32::from(command.name.contains('|'));
            // The words of a container are its subcommands, and those of GETKEYS any request.
            let other = !command.subcommands.is_empty() || command.name.starts_with("command|getkeys");
            if command.arity.abs() > name_only {
                assert!(other || !command.arguments.is_empty(), "{}", command.name);
            } else if command.arity == name_only {
                assert!(command.arguments.is_empty(), "{}", command.name);
            }
        }
    }

    #[test]
    fn every_row_is_found_once() {
        let all = || commands().iter().flat_map(|command| command.subcommands.iter().chain([command]));
        assert_eq!(all().count(), rows().count());
        for row in rows() {
            assert_eq!(all().filter(|command| command.name == row.name).count(), 1, "{}", row.name);
            assert!(!row.summary.is_empty(), "{}", row.name);
        }
    }
}
