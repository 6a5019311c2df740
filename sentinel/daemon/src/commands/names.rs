//! Under which names the commands are known here: `rename-command`.

use std::{borrow::Cow, collections::BTreeMap};

use bytes::Bytes;
use sentinel_resp::Reply;

use super::Command;

/// The names that clients use, in lower case, and the commands' own. Empty: both are the same.
///
/// Access rules, error texts and the catalogue speak of a command by its own name, as in the reference.
#[derive(Debug, Default)]
pub(crate) struct Names(BTreeMap<String, &'static str>);

/// A renaming that cannot be done, in the reference's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RenameError {
    /// Nothing has the old name, or it has another one already.
    #[error("No such command in rename-command")]
    Unknown,
    /// Something has the new name.
    #[error("Target command name already exists")]
    Taken,
}

impl Names {
    /// Renames one after the other: old name, new one. An empty new one switches the command off.
    pub(crate) fn new(renames: &[(String, String)]) -> Result<Self, RenameError> {
        if renames.is_empty() {
            return Ok(Names::default());
        }
        let listed = super::commands().iter().filter(|command| command.is_counted());
        let mut names: BTreeMap<String, &'static str> =
            listed.map(|command| (command.name.to_owned(), command.name)).collect();
        for (from, to) in renames {
            let own = names.remove(&from.to_ascii_lowercase()).ok_or(RenameError::Unknown)?;
            if to.is_empty() {
                continue;
            }
            if names.insert(to.to_ascii_lowercase(), own).is_some() {
                return Err(RenameError::Taken);
            }
        }
        Ok(Names(names))
    }

    /// Whether all commands have their own names.
    pub(crate) fn are_own(&self) -> bool {
        self.0.is_empty()
    }

    /// The command that a request means, once it exists and has the right number of words.
    pub(crate) fn look_up(&self, words: &[Bytes]) -> Result<&'static Command, Reply> {
        super::look_up(&self.own_words(words)?)
    }

    /// The command or subcommand that a request means, however many words it has.
    pub(crate) fn meant(&self, words: &[Bytes]) -> Result<&'static Command, Reply> {
        super::meant(&self.own_words(words)?)
    }

    /// The command of that name in any case; `client|id` finds the subcommand.
    pub(crate) fn by_name(&self, name: &[u8]) -> Option<&'static Command> {
        let end = name.iter().position(|&byte| byte == b'|').unwrap_or(name.len());
        let (container, rest) = name.split_at(end);
        super::by_name(&[self.own(container)?, rest].concat())
    }

    /// The commands that COMMAND shows.
    pub(crate) fn listed(&self) -> impl Iterator<Item = &'static Command> {
        let shown = |command: &&Command| self.0.is_empty() || self.0.values().any(|own| *own == command.name);
        super::commands().iter().filter(|command| command.is_counted()).filter(shown)
    }

    /// An answer that names the container of subcommands, as the reference gives it: with the name that the client used, in
    /// capitals. That is the headline of a help, and the hint at it.
    pub(crate) fn as_called(&self, words: &[Bytes], mut reply: Reply) -> Reply {
        let Some(name) = words.first().filter(|_| !self.0.is_empty()) else { return reply };
        let Some(own) = self.own(name).map(capitals) else { return reply };
        let called = capitals(name);
        match &mut reply {
            Reply::Error(text) => {
                if let Some(rest) = text.strip_suffix(&format!("Try {own} HELP.")) {
                    return Reply::error(format!("{rest}Try {called} HELP."));
                }
            }
            Reply::Array(lines) => {
                if let Some(Reply::Status(headline)) = lines.first_mut()
                    && let Some(rest) = headline.strip_prefix(&own).filter(|rest| rest.starts_with(" <subcommand> "))
                {
                    *headline = format!("{called}{rest}").into();
                }
            }
            _ => {}
        }
        reply
    }

    /// The request with the command's own name.
    fn own_words<'a>(&self, words: &'a [Bytes]) -> Result<Cow<'a, [Bytes]>, Reply> {
        let Some(name) = words.first() else { return Ok(Cow::Borrowed(words)) };
        match self.own(name) {
            Some(own) if own.eq_ignore_ascii_case(name) => Ok(Cow::Borrowed(words)),
            Some(own) => {
                let mut request = words.to_vec();
                request[0] = Bytes::copy_from_slice(own);
                Ok(Cow::Owned(request))
            }
            None => Err(super::unknown_command(words)),
        }
    }

    /// The own name of what clients call so. None: nothing is called so.
    fn own<'a>(&self, name: &'a [u8]) -> Option<&'a [u8]> {
        if self.are_own() {
            return Some(name);
        }
        let lower = String::from_utf8_lossy(name).to_ascii_lowercase();
        match self.0.get(&lower) {
            Some(own) => Some(own.as_bytes()),
            // What no Sentinel counts among its commands cannot be renamed either.
            None => super::by_name(name).is_some_and(|command| !command.is_counted()).then_some(name),
        }
    }
}

fn capitals(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renamed(pairs: &[(&str, &str)]) -> Result<Names, RenameError> {
        let owned: Vec<_> = pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
        Names::new(&owned)
    }

    fn ask(names: &Names, request: &str) -> Result<&'static str, String> {
        let words: Vec<Bytes> = request.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        names.look_up(&words).map(|command| command.name).map_err(|reply| format!("{reply:?}"))
    }

    #[test]
    fn a_renamed_command_has_its_new_name_only() {
        let names = renamed(&[("PING", "PonGo"), ("info", ""), ("client", "visitor")]).unwrap();
        assert_eq!(ask(&names, "pongo"), Ok("ping"));
        assert_eq!(ask(&names, "VISITOR LIST"), Ok("client|list"));
        assert_eq!(ask(&names, "QUIT"), Ok("quit"));
        for gone in ["ping", "INFO", "client list"] {
            assert!(ask(&names, gone).unwrap_err().contains("unknown command"), "{gone}");
        }
        assert!(ask(&names, "visitor setname").unwrap_err().contains("for 'client|setname' command"));
        assert_eq!(names.by_name(b"visitor|list").map(|command| command.name), Some("client|list"));
        assert!(names.by_name(b"info").is_none() && names.by_name(b"ping").is_none());
        assert_eq!(names.listed().count() + 1, Names::default().listed().count());
    }

    #[test]
    fn renaming_goes_line_by_line() {
        let names = renamed(&[("ping", "a"), ("A", "b"), ("role", "ping"), ("auth", "AUTH")]).unwrap();
        assert_eq!(ask(&names, "b"), Ok("ping"));
        assert_eq!(ask(&names, "ping"), Ok("role"));
        assert_eq!(ask(&names, "auth x"), Ok("auth"));
        assert_eq!(renamed(&[("get", "x")]).unwrap_err(), RenameError::Unknown);
        assert_eq!(renamed(&[("ping", "x"), ("ping", "y")]).unwrap_err(), RenameError::Unknown);
        assert_eq!(renamed(&[("ping", "Info")]).unwrap_err().to_string(), "Target command name already exists");
    }

    #[test]
    fn a_container_is_named_as_the_client_calls_it() {
        let names = renamed(&[("acl", "Access"), ("client", "visitor")]).unwrap();
        let words =
            |text: &str| text.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect::<Vec<_>>();
        let called = |request: &str, reply: Reply| names.as_called(&words(request), reply);
        let error = names.look_up(&words("access foo")).unwrap_err();
        assert_eq!(called("access foo", error), Reply::err("unknown subcommand 'foo'. Try ACCESS HELP."));
        let help = |name: &str| {
            Reply::Array(vec![Reply::status(format!("{name} <subcommand> [<arg>]")), Reply::status("ACL")])
        };
        assert_eq!(called("access help", help("ACL")), help("ACCESS"));
        assert_eq!(called("sentinel help", help("SENTINEL")), help("SENTINEL"));
        assert_eq!(Names::default().as_called(&words("acl help"), help("ACL")), help("ACL"));
    }
}
