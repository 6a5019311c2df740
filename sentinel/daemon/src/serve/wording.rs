//! What versions say differently of the same thing, beside INFO and COMMAND (`compatible-version`).

use std::fmt::Write as _;

use sentinel_resp::Reply;

use super::acl::Account;
use crate::compatible::Compatible;

impl Compatible {
    /// Why a user may not run a command.
    pub(crate) fn denied_command(self, user: &Account, command: &str) -> String {
        format!("{} has no permissions to run the '{command}' command", self.denied(user, "this user"))
    }

    /// The same as ACL DRYRUN tells it.
    pub(crate) fn would_be_denied(self, user: &Account, command: &str) -> String {
        format!("{} has no permissions to run the '{command}' command", self.denied(user, "This user"))
    }

    /// Why ACL DRYRUN refuses a channel.
    pub(crate) fn would_be_denied_channel(self, user: &Account, channel: &str) -> String {
        format!("{} has no permissions to access the '{channel}' channel", self.denied(user, "This user"))
    }

    fn denied(self, user: &Account, unnamed: &str) -> String {
        if self.is_later() { format!("User {}", user.display_name()) } else { unnamed.to_owned() }
    }

    /// Why a user may not use a channel.
    pub(crate) const fn denied_channel(self) -> &'static str {
        if self.is_later() {
            "NOPERM No permissions to access a channel"
        } else {
            "NOPERM this user has no permissions to access one of the channels used as arguments"
        }
    }

    /// Why there is no ACL file to load or to save.
    pub(crate) fn without_acl_file(self) -> String {
        let (instance, of) = if self.is_valkey() { ("", "") } else { ("Redis ", "Redis ") };
        format!(
            "This {instance}instance is not configured to use an ACL file. You may want to specify users via the ACL \
             SETUSER command and then issue a CONFIG REWRITE (assuming you have a {of}configuration file set) in order to \
             store users in the {of}configuration."
        )
    }

    /// How HELLO is told to log in.
    pub(crate) const fn hello_with_login(self) -> &'static str {
        if self.is_later() { "HELLO <proto> AUTH <user> <pass>" } else { "HELLO AUTH <user> <pass>" }
    }

    /// Whether a failed HELLO leaves the connection without the name that it was to have.
    pub(crate) const fn names_after_login(self) -> bool {
        self.is_later()
    }

    /// Whether a client that has not logged in is told so before its command is looked up.
    pub(crate) const fn asks_for_login_first(self) -> bool {
        matches!(self, Compatible::Valkey91)
    }

    /// Whether ACL LOG numbers its entries, and tells when they began.
    pub(crate) const fn numbers_refusals(self) -> bool {
        self.is_later()
    }

    /// What a line of CLIENT LIST has besides the fields of 7.0: behind the flags, behind `multi`, and at the end.
    pub(crate) fn client_fields(self, library: [&str; 2], traffic: [u64; 3]) -> [String; 3] {
        let capabilities = if self >= Compatible::Valkey81 { " capa=" } else { "" };
        let watched = if self.is_later() { " watch=0" } else { "" };
        let mut end = format!(" lib-name={} lib-ver={}", library[0], library[1]);
        if self.is_valkey() {
            let [input, output, commands] = traffic;
            // Writing to a String never fails.
            let _ = write!(end, " tot-net-in={input} tot-net-out={output} tot-cmds={commands}");
        } else if self.is_later() {
            end.push_str(" io-thread=0");
        }
        [capabilities.to_owned(), watched.to_owned(), end]
    }

    /// What is wrong with SENTINEL CONFIG of so many words.
    pub(crate) fn refused_parameters(self, words: usize, error: Reply) -> Reply {
        const SHORT: &str = "ERR Only SENTINEL CONFIG GET <option> / SET <option> <value> are supported.";
        match &error {
            Reply::Error(text) if self.is_later() && **text == *SHORT => Reply::err(if words < 4 {
                "wrong number of arguments for 'sentinel|config' command"
            } else {
                "Only SENTINEL CONFIG GET <param> [<param> <param> ...] / SET <param> <value> [<param> <value> ...] are \
                 supported."
            }),
            _ => error,
        }
    }

    /// What is wrong with COMMAND GETKEYS of a command without words.
    pub(crate) fn refused_keys(self, error: Reply) -> Reply {
        if self.is_later() { Reply::err("The command has no key arguments") } else { error }
    }

    /// What is wrong with a number that is to be the id of a client, if it may be none.
    pub(crate) fn refused_id(self, id: Option<i64>) -> Option<Reply> {
        let filters = self >= Compatible::Valkey81;
        match id {
            None if filters => Some(Reply::err("syntax error")),
            Some(..=0) if filters => Some(Reply::err("client-id should be greater than 0")),
            _ => None,
        }
    }

    /// What is wrong with SENTINEL FAILOVER of a master and one word more.
    pub(crate) fn refused_failover(self, known: bool, error: Reply) -> Reply {
        match (self, known) {
            (Compatible::Valkey91, true) => Reply::err("Unknown failover option specified"),
            (Compatible::Valkey91, false) => Reply::err("No such master with that name"),
            _ => error,
        }
    }

    /// Whether it is later than 7.0.
    const fn is_later(self) -> bool {
        !matches!(self, Compatible::Redis70)
    }
}
