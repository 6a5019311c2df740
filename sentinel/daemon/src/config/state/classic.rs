//! The state of a classic configuration: `sentinel` lines, as the reference would read them behind those of the configuration.
//!
//! What the reference has no line for stands behind `#@`: what was configured where a command changed it (`#@ was`), where a
//! master was configured (`#@ configured`), masters and users as commands left them, and directives of our own.

use sentinel_resp::text;

use super::{
    super::{
        directives::{HIDDEN, is_extension},
        lexer, settings, words,
    },
    MARKER,
    form::{Change, KeptUsers, MasterState, Number, State},
};

/// The words behind [`HIDDEN`] that are not directives.
pub(super) const WAS: &str = "was";
pub(super) const CONFIGURED: &str = "configured";
pub(super) const REMOVED: &str = "removed";
pub(super) const USERS: &str = "users";
pub(super) const USER: &str = "user";

/// What is wrong with a line.
pub(super) struct Wrong {
    pub(super) line: usize,
    pub(super) what: String,
}

/// Whether a state is in this form: its first line that means something begins with `sentinel`.
pub(super) fn is_classic(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    first.and_then(|line| line.split_whitespace().next()).is_some_and(|word| word.eq_ignore_ascii_case("sentinel"))
}

/// Reads a state. One that another program wrote tells the quorum of each master with its address.
pub(super) fn parse(text: &str) -> Result<State, Wrong> {
    let mut reader = Reader { state: State::default(), ours: text.starts_with(MARKER) };
    for (index, line) in text.lines().enumerate() {
        reader.line(line.trim()).map_err(|what| Wrong { line: index + 1, what })?;
    }
    Ok(reader.state)
}

struct Reader {
    state: State,
    /// Whether this program wrote it.
    ours: bool,
}

impl Reader {
    fn line(&mut self, line: &str) -> Result<(), String> {
        let hidden = line.strip_prefix(HIDDEN);
        if line.is_empty() || line.starts_with('#') && hidden.is_none() {
            return Ok(());
        }
        let words = words(&text::bytes(hidden.unwrap_or(line))).map_err(|_| "the quotes do not close")?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match (&words[..], hidden) {
            ([first, name, rest @ ..], _) if first.eq_ignore_ascii_case("sentinel") => {
                self.directive(&name.to_ascii_lowercase(), rest)
            }
            ([REMOVED, name, host, port], Some(_)) => {
                self.state.removed.insert((*name).to_owned(), address(host, port));
                Ok(())
            }
            ([CONFIGURED, name, host, port], Some(_)) => {
                self.master(name)?.configured = Some(address(host, port));
                Ok(())
            }
            ([USERS, was], Some(_)) => {
                self.state.users = Some(KeptUsers { was: (*was).to_owned(), now: Vec::new() });
                Ok(())
            }
            ([USER, ..], Some(_)) => {
                let users = self.state.users.as_mut().ok_or("users stand behind a line `users`")?;
                users.now.push(words.join(" "));
                Ok(())
            }
            ([WAS, name, rest @ ..], Some(_)) => self.was(name, rest),
            // A comment of somebody else.
            (_, Some(_)) => Ok(()),
            _ => Err("only `sentinel` lines stand here".to_owned()),
        }
    }

    fn directive(&mut self, name: &str, rest: &[&str]) -> Result<(), String> {
        let name = settings::present_name(name);
        match (name, rest) {
            ("myid", [id]) => self.state.myid = Some((*id).to_owned()),
            ("current-epoch", [epoch]) => self.state.current_epoch = number(epoch)?,
            ("monitor", [name, host, port, quorum]) => self.monitor(name, &address(host, port), quorum)?,
            ("config-epoch", [master, epoch]) => self.master(master)?.config_epoch = number(epoch)?,
            ("leader-epoch", [master, epoch]) => self.master(master)?.leader_epoch = number(epoch)?,
            ("known-replica", [master, host, port]) => self.master(master)?.replicas.push(address(host, port)),
            ("known-sentinel", [master, host, port, id]) => {
                self.master(master)?.sentinels.insert((*id).to_owned(), address(host, port));
            }
            ("in-sync", [master, host, port, keys]) => {
                let keys = keys.parse().map_err(|_| format!("`{keys}` is no number of keys"))?;
                self.master(master)?.in_sync.insert(address(host, port), keys);
            }
            ("rename-command", [master, from, to]) => {
                let change = self.master(master)?.changed.entry(name.to_owned()).or_default();
                let pair = lexer::join([*from, *to]);
                change.now = if change.now.is_empty() { pair } else { format!("{} {pair}", change.now) };
            }
            (_, [value]) if settings::is_of_sentinel(name) => {
                (*value).clone_into(&mut self.state.changed.entry(name.to_owned()).or_default().now);
            }
            (_, [master, value]) if settings::is_of_master(name) => {
                (*value).clone_into(&mut self.master(master)?.changed.entry(name.to_owned()).or_default().now);
            }
            _ => return Err(format!("`sentinel {name}` is not kept in a state, or not with these values")),
        }
        Ok(())
    }

    fn monitor(&mut self, name: &str, address: &str, quorum: &str) -> Result<(), String> {
        let mut master = MasterState { address: address.to_owned(), foreign: !self.ours, ..MasterState::default() };
        // Of ours, one that differs from the configured one has a line that tells so.
        if !self.ours {
            master.changed.insert("quorum".to_owned(), Change { was: None, now: quorum.to_owned() });
        }
        quorum.clone_into(&mut master.quorum);
        match self.state.master.insert(name.to_owned(), master) {
            Some(_) => Err(format!("master `{name}` stands here twice")),
            None => Ok(()),
        }
    }

    /// What was configured where a command changed it. A value that was unset has no other line.
    fn was(&mut self, name: &str, rest: &[&str]) -> Result<(), String> {
        let (changed, was, now) = match rest {
            [was] => (&mut self.state.changed, was, String::new()),
            [master, was] => {
                let master = self.master(master)?;
                let now = if name == "quorum" { master.quorum.clone() } else { String::new() };
                (&mut master.changed, was, now)
            }
            _ => return Err("this is no configured value".to_owned()),
        };
        let change = changed.entry(name.to_owned()).or_insert(Change { was: None, now });
        change.was = Some((*was).to_owned());
        Ok(())
    }

    fn master(&mut self, name: &str) -> Result<&mut MasterState, String> {
        self.state.master.get_mut(name).ok_or_else(|| format!("no `sentinel monitor {name}` stands before it"))
    }
}

/// The form of TOML, which the rest of the state is in.
fn address(host: &str, port: &str) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn number(word: &str) -> Result<Number, String> {
    word.parse().map(Number).map_err(|_| format!("`{word}` is no epoch"))
}

/// Whether the reference takes a line of this directive, so that it need not be hidden from it.
pub(super) fn is_shown(directive: &str, value: &str) -> bool {
    !is_extension(directive) && !value.is_empty()
}
