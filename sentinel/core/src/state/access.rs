//! What an instance does not let us do, and what an operator can do about it.
//!
//! A wrong password or a missing permission looks like a dead instance otherwise: no answer that counts ever comes.

use std::{collections::BTreeMap, sync::Arc};

use sentinel_resp::Reply;

use crate::{
    output::{Target, TargetKind},
    role_change::{Omitted, error_of},
    state::Asked,
    types::MasterName,
};

/// Longest error text that is kept of an instance, in bytes.
const LONGEST_ERROR: usize = 256;

/// Signing in, as a word among the commands.
pub(crate) const SIGN_IN: &str = "auth";
/// Pausing writers before a handover.
pub(crate) const PAUSE: &str = "client|pause";
/// Receiving hellos.
pub(crate) const SUBSCRIBE: &str = "subscribe";

/// What is refused at present: the error by the ACL rule (without its plus) that would allow it.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Denials {
    errors: BTreeMap<&'static str, String>,
    /// Whether that was told.
    told: bool,
}

/// What an answer changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Change {
    Nothing,
    /// Something that was allowed, or not tried yet, is refused.
    Denied,
    /// Another thing is allowed, but not everything.
    Fewer,
    /// All that was refused is allowed.
    Granted,
}

impl Denials {
    /// How many there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.errors.len()
    }

    /// How long all their texts are, in bytes.
    #[cfg(test)]
    pub(crate) fn text(&self) -> usize {
        self.errors.values().map(String::len).sum()
    }

    /// Notes how a command was answered. None: it was permitted.
    pub(crate) fn note(&mut self, command: &'static str, refusal: Option<&str>) -> Change {
        match refusal {
            Some(error) => {
                let end =
                    (0..=error.len().min(LONGEST_ERROR)).rev().find(|at| error.is_char_boundary(*at)).unwrap_or(0);
                let before = self.errors.insert(command, error[..end].to_owned());
                if before.as_deref() == Some(&error[..end]) { Change::Nothing } else { Change::Denied }
            }
            None if self.errors.remove(command).is_none() => Change::Nothing,
            None if self.errors.is_empty() => Change::Granted,
            None => Change::Fewer,
        }
    }

    /// Whether a command is.
    pub(crate) fn refuses(&self, command: &str) -> bool {
        self.errors.contains_key(command)
    }

    /// Whether the login is refused: what is asked is asked as the user that needs none.
    pub(crate) fn refuse_login(&self) -> bool {
        self.errors.contains_key(SIGN_IN)
    }

    /// Whether the denials were told of until now; from now on they are, or are not.
    pub(crate) const fn tell(&mut self, told: bool) -> bool {
        std::mem::replace(&mut self.told, told)
    }

    /// One denial with its remedy.
    pub(crate) fn describe(&self, command: &str, target: &Target, master: &MasterName) -> Option<String> {
        let (command, error) = self.errors.get_key_value(command)?;
        Some(format!("{}: {} (remedy: {})", name_of(command), error.trim_end(), remedy(command, error, target, master)))
    }

    /// All denials with their remedies, as a field of SENTINEL MASTER, REPLICAS and SENTINELS shows them.
    pub(crate) fn summary(&self, target: &Target, master: &MasterName) -> Option<Arc<str>> {
        let all: Vec<_> = self.errors.keys().filter_map(|command| self.describe(command, target, master)).collect();
        (!all.is_empty()).then(|| all.join("; ").into())
    }
}

/// Commands that are only tried when a failover needs them, whose own events tell of it.
pub(crate) fn told_elsewhere(command: &str) -> bool {
    ["failover", "replconf", PAUSE].contains(&command)
}

/// The error as a refusal of a login. None: a password that nobody asked for does no harm, as with the reference, which
/// ignores every answer to AUTH. The texts are those of 6.0 and later, and of before.
pub fn login_refusal(error: &str) -> Option<&str> {
    let unasked = error.contains("without any password configured") || error.contains("no password is set");
    (!unasked).then_some(error)
}

/// The text of an answer that refuses a command for want of a password, a permission, or of the command itself.
pub(crate) fn refusal<'a>(command: &str, reply: &'a Reply) -> Option<&'a str> {
    if command == SIGN_IN {
        return error_of(reply).and_then(login_refusal);
    }
    error_of(reply).filter(|error| is_denial(command, error))
}

/// Whether an error is for want of a password or a permission, or because the instance has no command of that name. Old
/// servers do not know those that are told elsewhere.
pub(crate) fn is_denial(command: &str, error: &str) -> bool {
    is_lack_of_rights(error) || (is_unknown(error) && !told_elsewhere(command))
}

/// Whether an error says that the instance lives, and that other credentials or more permissions are wanted.
pub(crate) fn is_lack_of_rights(error: &str) -> bool {
    ["NOPERM", "NOAUTH", "WRONGPASS", "DENIED"].iter().any(|code| error.starts_with(code))
}

fn is_unknown(error: &str) -> bool {
    error.starts_with("ERR unknown command") || error.starts_with("ERR unknown subcommand")
}

/// How each command of an order was answered. One that was refused when it was queued makes EXEC fail with an error
/// that says nothing new.
pub(crate) fn of_role_change(omitted: Omitted, replies: &[Reply]) -> Vec<(&'static str, Option<&str>)> {
    let mut seen: BTreeMap<&'static str, Option<&str>> = BTreeMap::new();
    for (step, reply) in omitted.answers(replies) {
        if let Some(command) = step.rule() {
            let entry = seen.entry(command).or_default();
            *entry = entry.or(refusal(command, reply));
        }
    }
    seen.into_iter().collect()
}

impl Asked {
    /// The ACL rule that allows the command behind a request, if it is one command.
    pub(crate) const fn command(&self) -> Option<&'static str> {
        match self {
            Asked::Ping => Some("ping"),
            Asked::Info => Some("info"),
            Asked::Hello => Some("publish"),
            Asked::Opinion { signed: Some(_), .. } | Asked::Vote { signed: Some(_), .. } => {
                Some("sentinel|request-vote")
            }
            Asked::Opinion { .. } | Asked::Vote { .. } => Some("sentinel|is-master-down-by-addr"),
            Asked::ScriptKill => Some("script|kill"),
            Asked::SignIn => Some(SIGN_IN),
            Asked::CallOff => Some("failover"),
            // Several; each is looked at for itself.
            Asked::Pause
            | Asked::MayI
            | Asked::Identity { .. }
            | Asked::HandOver
            | Asked::Acknowledge
            | Asked::Promote { .. }
            | Asked::Replicate { .. } => None,
        }
    }
}

/// As an operator knows the command.
pub(crate) fn name_of(command: &str) -> String {
    command.replace('|', " ").to_ascii_uppercase()
}

fn remedy(command: &str, error: &str, target: &Target, master: &MasterName) -> String {
    let user = target.user.as_deref().unwrap_or("default");
    if error.starts_with("NOPERM") {
        // Publishing and subscribing need the channel besides the command.
        let rule = if error.contains("channel") { "&__sentinel__:hello".to_owned() } else { format!("+{command}") };
        return format!("ACL SETUSER {user} {rule}");
    }
    if error.starts_with("DENIED") {
        return "set a password there, or `protected-mode no`".to_owned();
    }
    if is_unknown(error) {
        let name = command.split('|').next().unwrap_or(command).to_ascii_uppercase();
        return match target.kind {
            TargetKind::DataNode => format!("SENTINEL SET {master} rename-command {name} <its name there>"),
            TargetKind::Peer => format!("{name} must have its own name there, and a Sentinel must listen"),
        };
    }
    match target.kind {
        TargetKind::DataNode => format!("SENTINEL SET {master} auth-pass <password>, with auth-user <name> for a user"),
        TargetKind::Peer => {
            "SENTINEL CONFIG SET sentinel-pass <password>, with sentinel-user <name> for a user".to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(kind: TargetKind) -> Target {
        Target {
            addr: "127.0.0.1:6379".parse().unwrap(),
            kind,
            user: Some("s".to_owned()),
            pass: None,
            client_name: String::new(),
            rename_commands: Arc::default(),
        }
    }

    #[test]
    fn the_remedy_is_the_rule_that_is_missing() {
        let master = MasterName::new("m").unwrap();
        let node = target(TargetKind::DataNode);
        let command = |name: &str| format!("NOPERM this user has no permissions to run the '{name}' command");
        let channel = "NOPERM this user has no permissions to access one of the channels used as arguments";
        let wrong = "WRONGPASS invalid username-password pair or user is disabled.";
        for (rule, error, expected) in [
            ("info", &*command("info"), "ACL SETUSER s +info"),
            ("config|rewrite", &*command("config|rewrite"), "ACL SETUSER s +config|rewrite"),
            ("subscribe", channel, "ACL SETUSER s &__sentinel__:hello"),
            ("publish", channel, "ACL SETUSER s &__sentinel__:hello"),
            (
                "config|rewrite",
                "ERR unknown command 'CONFIG', with args beginning with: 'REWRITE' ",
                "SENTINEL SET m rename-command CONFIG <its name there>",
            ),
            (SIGN_IN, wrong, "SENTINEL SET m auth-pass <password>, with auth-user <name> for a user"),
        ] {
            assert_eq!(remedy(rule, error, &node, &master), expected);
        }
        let peer = target(TargetKind::Peer);
        assert!(remedy(SIGN_IN, "NOAUTH Authentication required.", &peer, &master).contains("sentinel-pass"));
        assert_eq!(
            remedy("sentinel|is-master-down-by-addr", &command("sentinel"), &peer, &master),
            "ACL SETUSER s +sentinel|is-master-down-by-addr"
        );
    }

    #[test]
    fn every_command_of_a_transaction_is_looked_at() {
        let error = || Reply::error("NOPERM this user has no permissions to run the 'config|rewrite' command");
        let abort = Reply::error("EXECABORT Transaction discarded because of previous errors.");
        let queued = || Reply::status("QUEUED");
        let at_queueing = [Reply::ok(), queued(), error(), queued(), queued(), abort, Reply::text("role:slave")];
        let refused = |parts: &[Reply]| -> Vec<_> {
            of_role_change(Omitted::default(), parts)
                .into_iter()
                .filter(|(_, refusal)| refusal.is_some())
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(refused(&at_queueing), ["config|rewrite"]);
        let exec = Reply::Array(vec![Reply::ok(), error(), Reply::Integer(0), error()]);
        let inside = [Reply::ok(), queued(), queued(), queued(), queued(), exec, Reply::text("role:slave")];
        assert_eq!(refused(&inside), ["client|kill", "config|rewrite"]);
    }

    #[test]
    fn a_denial_is_news_once_and_its_end_when_the_last_is_gone() {
        let mut denials = Denials::default();
        assert_eq!(denials.note("info", None), Change::Nothing);
        assert_eq!(denials.note("info", Some("NOPERM info")), Change::Denied);
        assert_eq!(denials.note("info", Some("NOPERM info")), Change::Nothing);
        assert_eq!(denials.note("publish", Some("NOPERM publish")), Change::Denied);
        assert_eq!(denials.note("info", None), Change::Fewer);
        assert_eq!(denials.note("publish", None), Change::Granted);
        denials.note("info", Some(&"é".repeat(1_000)));
        assert!(denials.errors["info"].len() <= LONGEST_ERROR);
    }
}
