//! Which commands there are: one table that drives look-up, arity, error texts, COMMAND and access rules.

use std::{collections::BTreeMap, sync::LazyLock};

use bytes::Bytes;
use sentinel_resp::Reply;

/// One command, or one subcommand of a container.
#[derive(Debug)]
pub(crate) struct Command {
    /// Lower case; a subcommand with its container, as in `client|id`.
    pub(crate) name: String,
    /// Number of words with the name: exact if positive, a minimum if negative.
    pub(crate) arity: i32,
    /// The reference's flags.
    pub(crate) flags: &'static [&'static str],
    /// Categories of access rules, without `@`.
    pub(crate) categories: &'static [&'static str],
    /// Hints for clients of clusters.
    pub(crate) tips: &'static [&'static str],
    /// What it does, in one sentence.
    pub(crate) summary: &'static str,
    /// The group of the reference's documentation.
    pub(crate) group: &'static str,
    /// What a container contains.
    pub(crate) subcommands: Vec<Command>,
    /// Whether COMMAND shows it. QUIT and RESET exist here for the benefit of clients that use them
    /// everywhere, but no Sentinel counts them among its fifteen commands.
    pub(crate) listed: bool,
    /// What is done.
    pub(crate) verb: Verb,
    /// Its place in sets of commands, as access rules have them. Different spellings of one command share it.
    pub(crate) permit: u8,
}

/// What is done for a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Sentinel,
    /// SENTINEL GET-MASTER-ADDR-BY-NAME, apart from the other subcommands as it is asked for far more often.
    Address,
    Shutdown,
    Subscribe,
    Unsubscribe,
    SubscribePattern,
    UnsubscribePattern,
}

/// Subcommands of ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acl {
    Cat,
    DelUser,
    DryRun,
    GenPass,
    GetUser,
    Help,
    List,
    Load,
    Log,
    Save,
    SetUser,
    Users,
    WhoAmI,
}

/// Subcommands of CLIENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    Caching,
    GetName,
    GetRedir,
    Help,
    Id,
    Info,
    Kill,
    List,
    NoEvict,
    Pause,
    Reply,
    SetInfo,
    SetName,
    Tracking,
    TrackingInfo,
    Unblock,
    Unpause,
}

/// COMMAND itself and its subcommands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Catalogue {
    All,
    Count,
    Docs,
    GetKeys,
    Help,
    Info,
    List,
}

impl Command {
    /// Whether a request of so many words has the right length.
    pub(crate) fn accepts(&self, words: usize) -> bool {
        let bound = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { words >= bound } else { words == bound }
    }

    /// Whether it runs before authentication.
    pub(crate) fn is_open(&self) -> bool {
        self.flags.contains(&"no_auth") || matches!(self.verb, Verb::Quit | Verb::Reset)
    }

    /// Whether 7.0 does not know it, so that rules are told in other words.
    pub(crate) fn is_later(&self) -> bool {
        LATER.iter().any(|(later, _)| *later == self.name)
    }

    /// Whether a RESP2 connection with a subscription may run it.
    pub(crate) const fn fits_subscribers(&self) -> bool {
        matches!(
            self.verb,
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
        let mut commands = build();
        number(&mut commands);
        commands
    });
    &COMMANDS
}

/// `SENTINEL GET-MASTER-ADDR-BY-NAME`.
pub(crate) fn address() -> &'static Command {
    static ADDRESS: LazyLock<&Command> = LazyLock::new(|| {
        let all = commands().iter().flat_map(|command| &command.subcommands);
        all.into_iter().find(|command| command.verb == Verb::Address).expect("a Sentinel tells addresses")
    });
    &ADDRESS
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

const SLOW: &[&str] = &["slow"];
const FAST_CONNECTION: &[&str] = &["fast", "connection"];
const SLOW_CONNECTION: &[&str] = &["slow", "connection"];
const PUBSUB: &[&str] = &["pubsub", "slow"];
const ADMIN: &[&str] = &["admin", "slow", "dangerous"];
const ADMIN_CONNECTION: &[&str] = &["admin", "slow", "dangerous", "connection"];
const PUBSUB_FLAGS: &[&str] = &["pubsub", "noscript", "loading", "stale"];
const LOGIN_FLAGS: &[&str] = &["noscript", "loading", "stale", "fast", "no_auth", "allow_busy"];
const QUIET_FLAGS: &[&str] = &["noscript", "loading", "stale"];
const ADMIN_FLAGS: &[&str] = &["admin", "noscript", "loading", "stale"];
const HELP_FLAGS: &[&str] = &["loading", "stale"];
const UNSTEADY: &[&str] = &["nondeterministic_output"];
const UNORDERED: &[&str] = &["nondeterministic_output_order"];

fn command(
    name: &str,
    arity: i32,
    flags: &'static [&'static str],
    categories: &'static [&'static str],
    verb: Verb,
    group: &'static str,
    summary: &'static str,
) -> Command {
    Command {
        name: name.to_owned(),
        arity,
        flags,
        categories,
        tips: &[],
        summary,
        group,
        subcommands: Vec::new(),
        listed: true,
        verb,
        permit: 0,
    }
}

/// What 7.0 does not have, each with the command of 7.0 that it is or comes nearest to: who may do that may do this. So
/// rules for 7.0 have no gap here, and users are described in words that 7.0 can read.
const LATER: &[(&str, &str)] = &[
    ("client|setinfo", "client|setname"),
    ("sentinel|get-primary-addr-by-name", "sentinel|get-master-addr-by-name"),
    ("sentinel|is-primary-down-by-addr", "sentinel|is-master-down-by-addr"),
    ("sentinel|primaries", "sentinel|masters"),
    ("sentinel|primary", "sentinel|master"),
];

/// Gives every command its permit.
fn number(commands: &mut [Command]) {
    let mut permits: BTreeMap<String, u8> = BTreeMap::new();
    for command in commands {
        let subcommands = command.subcommands.iter_mut().map(|sub| (&mut sub.permit, &sub.name));
        for (permit, name) in subcommands.chain([(&mut command.permit, &command.name)]) {
            let meant = LATER.iter().find(|(later, _)| later == name).map_or(name.as_str(), |(_, meant)| meant);
            let next = u8::try_from(permits.len()).expect("the table is far shorter than 255 commands");
            *permit = *permits.entry(meant.to_owned()).or_insert(next);
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

#[rustfmt::skip]
fn build() -> Vec<Command> {
    vec![
        Command { subcommands: acl(), ..command("acl", -2, &[], SLOW, Verb::Container, "server", "Shows and changes the users of this Sentinel.") },
        command("auth", -2, LOGIN_FLAGS, FAST_CONNECTION, Verb::Auth, "connection", "Authenticates the connection."),
        Command { subcommands: client(), ..command("client", -2, &[], SLOW, Verb::Container, "connection", "Shows and changes client connections.") },
        Command { tips: UNORDERED, subcommands: catalogue(), ..command("command", -1, HELP_FLAGS, SLOW_CONNECTION, Verb::Catalogue(Catalogue::All), "server", "Describes all commands.") },
        command("hello", -1, LOGIN_FLAGS, FAST_CONNECTION, Verb::Hello, "connection", "Introduces client and server, and chooses the protocol version."),
        Command { tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"], ..command("info", -1, HELP_FLAGS, &["slow", "dangerous"], Verb::Info, "server", "Shows facts and counters of the process.") },
        Command { tips: &["request_policy:all_shards", "response_policy:all_succeeded"], ..command("ping", -1, &["fast"], FAST_CONNECTION, Verb::Ping, "connection", "Answers PONG, or with its argument.") },
        command("psubscribe", -2, PUBSUB_FLAGS, PUBSUB, Verb::SubscribePattern, "pubsub", "Subscribes to the events that match patterns."),
        command("publish", 3, &["pubsub", "loading", "stale", "fast"], &["pubsub", "fast"], Verb::Publish, "pubsub", "Accepts the hello of another Sentinel."),
        command("punsubscribe", -1, PUBSUB_FLAGS, PUBSUB, Verb::UnsubscribePattern, "pubsub", "Ends subscriptions to patterns."),
        command("role", 1, &["noscript", "loading", "stale", "fast"], &["admin", "fast", "dangerous"], Verb::Role, "server", "Names the monitored masters."),
        Command { subcommands: sentinel(), ..command("sentinel", -2, &["admin"], ADMIN, Verb::Container, "sentinel", "Shows and changes what is monitored.") },
        command("shutdown", -1, &["admin", "noscript", "loading", "stale", "no_multi", "allow_busy"], ADMIN, Verb::Shutdown, "server", "Ends the process."),
        command("subscribe", -2, PUBSUB_FLAGS, PUBSUB, Verb::Subscribe, "pubsub", "Subscribes to events."),
        command("unsubscribe", -1, PUBSUB_FLAGS, PUBSUB, Verb::Unsubscribe, "pubsub", "Ends subscriptions."),
        Command { listed: false, ..command("quit", -1, LOGIN_FLAGS, FAST_CONNECTION, Verb::Quit, "connection", "Closes the connection.") },
        Command { listed: false, ..command("reset", 1, LOGIN_FLAGS, FAST_CONNECTION, Verb::Reset, "connection", "Makes the connection as it was when it began.") },
    ]
}

#[rustfmt::skip]
fn acl() -> Vec<Command> {
    let sub = |name, arity, flags, categories, verb, summary| command(name, arity, flags, categories, Verb::Acl(verb), "server", summary);
    vec![
        sub("acl|cat", -2, QUIET_FLAGS, SLOW, Acl::Cat, "Lists the categories, or the commands of one."),
        sub("acl|deluser", -3, ADMIN_FLAGS, ADMIN, Acl::DelUser, "Removes users and closes their connections."),
        sub("acl|dryrun", -4, ADMIN_FLAGS, ADMIN, Acl::DryRun, "Tells whether a user may run a command, without running it."),
        sub("acl|genpass", -2, QUIET_FLAGS, SLOW, Acl::GenPass, "Makes up a password."),
        sub("acl|getuser", 3, ADMIN_FLAGS, ADMIN, Acl::GetUser, "Describes a user in parts."),
        sub("acl|help", 2, HELP_FLAGS, SLOW, Acl::Help, "Lists the subcommands."),
        sub("acl|list", 2, ADMIN_FLAGS, ADMIN, Acl::List, "Describes the users, each in one line."),
        sub("acl|load", 2, ADMIN_FLAGS, ADMIN, Acl::Load, "Reads the ACL file again."),
        sub("acl|log", -2, ADMIN_FLAGS, ADMIN, Acl::Log, "Lists what was refused."),
        sub("acl|save", 2, ADMIN_FLAGS, ADMIN, Acl::Save, "Writes the users to the ACL file."),
        sub("acl|setuser", -3, ADMIN_FLAGS, ADMIN, Acl::SetUser, "Changes a user, or makes one."),
        sub("acl|users", 2, ADMIN_FLAGS, ADMIN, Acl::Users, "Lists the names of the users."),
        sub("acl|whoami", 2, QUIET_FLAGS, SLOW, Acl::WhoAmI, "Tells the user of this connection."),
    ]
}

#[rustfmt::skip]
fn client() -> Vec<Command> {
    let sub = |name, arity, verb, summary| command(name, arity, QUIET_FLAGS, SLOW_CONNECTION, Verb::Client(verb), "connection", summary);
    let admin = |name, arity, verb, summary| command(name, arity, ADMIN_FLAGS, ADMIN_CONNECTION, Verb::Client(verb), "connection", summary);
    vec![
        sub("client|caching", 3, Client::Caching, "Accepted without effect: there are no keys to cache."),
        sub("client|getname", 2, Client::GetName, "Tells the name of this connection."),
        sub("client|getredir", 2, Client::GetRedir, "Tells where invalidations go: nowhere."),
        Command { flags: HELP_FLAGS, ..sub("client|help", 2, Client::Help, "Lists the subcommands.") },
        sub("client|id", 2, Client::Id, "Tells the number of this connection."),
        Command { tips: UNSTEADY, ..sub("client|info", 2, Client::Info, "Describes this connection.") },
        admin("client|kill", -3, Client::Kill, "Closes connections."),
        Command { tips: UNSTEADY, ..admin("client|list", -2, Client::List, "Describes the connections.") },
        admin("client|no-evict", 3, Client::NoEvict, "Accepted without effect: no connection is evicted for memory."),
        admin("client|pause", -3, Client::Pause, "Accepted without effect: a Sentinel that pauses is blind."),
        sub("client|reply", 3, Client::Reply, "Turns the answers to this connection off and on."),
        sub("client|setinfo", 4, Client::SetInfo, "Notes the name or version of the client library."),
        sub("client|setname", 3, Client::SetName, "Names this connection."),
        sub("client|tracking", -3, Client::Tracking, "Accepted without effect: there are no keys to track."),
        sub("client|trackinginfo", 2, Client::TrackingInfo, "Tells that no keys are tracked."),
        admin("client|unblock", -3, Client::Unblock, "Finds nothing to unblock: no command blocks here."),
        admin("client|unpause", 2, Client::Unpause, "Accepted without effect, as PAUSE is."),
    ]
}

#[rustfmt::skip]
fn catalogue() -> Vec<Command> {
    let sub = |name, arity, verb, summary| command(name, arity, HELP_FLAGS, SLOW_CONNECTION, Verb::Catalogue(verb), "server", summary);
    vec![
        sub("command|count", 2, Catalogue::Count, "Counts the commands."),
        Command { tips: UNORDERED, ..sub("command|docs", -2, Catalogue::Docs, "Describes commands in words.") },
        sub("command|getkeys", -4, Catalogue::GetKeys, "Finds no keys: no command has any here."),
        sub("command|getkeysandflags", -4, Catalogue::GetKeys, "Finds no keys: no command has any here."),
        sub("command|help", 2, Catalogue::Help, "Lists the subcommands."),
        Command { tips: UNORDERED, ..sub("command|info", -2, Catalogue::Info, "Describes commands in numbers and flags.") },
        Command { tips: UNORDERED, ..sub("command|list", -2, Catalogue::List, "Lists the names of the commands.") },
    ]
}

/// The subcommands of SENTINEL are the core's business: their names and arities come from there.
fn sentinel() -> Vec<Command> {
    sentinel_core::command::SUBCOMMANDS
        .iter()
        .map(|known| {
            let (flags, categories): (&[&str], _) = if known.admin { (&["admin"], ADMIN) } else { (HELP_FLAGS, SLOW) };
            let name = format!("sentinel|{}", known.name);
            let verb = if known.tells_address() { Verb::Address } else { Verb::Sentinel };
            command(&name, known.arity, flags, categories, verb, "sentinel", known.summary)
        })
        .collect()
}

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
            let shared = LATER.iter().any(|(one, other)| command.name == *one || command.name == *other);
            assert_eq!(sharing, if shared { 2 } else { 1 }, "{}", command.name);
        }
    }

    #[test]
    fn a_sentinel_counts_fifteen_commands() {
        assert_eq!(commands().iter().filter(|command| command.listed).count(), 15);
    }

    #[test]
    fn names_are_lower_case_and_found_in_any_case() {
        for command in commands().iter().flat_map(|command| command.subcommands.iter().chain([command])) {
            assert_eq!(command.name, command.name.to_ascii_lowercase());
            let found = by_name(command.name.to_ascii_uppercase().as_bytes());
            assert_eq!(found.map(|found| &found.name), Some(&command.name));
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
}
