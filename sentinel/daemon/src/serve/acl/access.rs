//! The users of the configuration, made ready before anything is served.

use std::{collections::BTreeMap, path::PathBuf};

use bytes::Bytes;
use sentinel_core::types::Secret;
use sentinel_resp::text;

use super::{
    file::{self, FileError},
    rules::{Fault, Rules},
    selector::has_spaces,
    users::DEFAULT,
};
use crate::config::{Acl, UserLines};

/// Who may use the port when serving begins.
#[derive(Debug)]
pub struct Access {
    pub(super) users: BTreeMap<Bytes, Rules>,
    pub(super) all_channels: bool,
    pub(super) file: Option<PathBuf>,
    pub(super) log_max_len: u64,
    pub(super) kept: Option<UserLines>,
}

/// Why the configured users cannot be had, so that nothing must be served.
#[derive(Debug, thiserror::Error)]
#[error("Aborting Redis startup because of ACL errors: {what}")]
pub struct AccessError {
    what: String,
    directive: &'static str,
}

impl AccessError {
    fn of_line(what: String) -> Self {
        AccessError { what, directive: "user" }
    }

    /// The directive that leads to it.
    pub fn directive(&self) -> &'static str {
        self.directive
    }

    /// What to do.
    pub fn remedy(&self) -> &'static str {
        if self.directive == "user" {
            "put it right: each word behind the name is a rule, such as +sentinel|masters or >password"
        } else {
            "name a file that this user may read, in which each line is `user NAME RULE ...`; what is wrong in it is told above"
        }
    }
}

impl Access {
    /// Everybody as `default`, who needs the password of `requirepass` if there is one, and may do everything.
    pub fn with_password(requirepass: Option<&Secret>) -> Self {
        let everything = Rules::unrestricted();
        let default = match requirepass {
            Some(password) => everything.with_password(&password.bytes()),
            None => everything,
        };
        Self {
            users: BTreeMap::from([(Bytes::from_static(DEFAULT), default)]),
            all_channels: false,
            file: None,
            log_max_len: Acl::default().log_max_len,
            kept: None,
        }
    }

    /// Whether anybody may do everything without a password.
    pub fn is_open(&self) -> bool {
        self.users.get(DEFAULT).is_some_and(|rules| rules.lets_everyone_in() && rules.is_unrestricted())
    }

    /// The users of `user` lines or of the ACL file. What they say of `default` stands in the place of `requirepass`,
    /// and an ACL file does so in any case, as in the reference. `kept` takes `user` lines as they are changed.
    ///
    /// # Errors
    ///
    /// When the ACL file cannot be read, or anything in it or in a `user` line is wrong.
    pub fn load(acl: &Acl, requirepass: Option<&Secret>, kept: Option<UserLines>) -> Result<Self, AccessError> {
        let all_channels = acl.all_channels_by_default;
        let mut access = Self {
            all_channels,
            file: acl.file.clone(),
            log_max_len: acl.log_max_len,
            kept,
            ..Self::with_password(requirepass)
        };
        for user in &acl.users {
            let words: Vec<Bytes> = user.rules.iter().map(|rule| bytes(rule)).collect();
            let mut rules = Rules::new(all_channels);
            let name = bytes(&user.name);
            if name == DEFAULT {
                rules.apply(b"reset", all_channels).map_err(|error| AccessError::of_line(error.to_string()))?;
            }
            let rules =
                rules.with(&words, all_channels).map_err(|fault| AccessError::of_line(fault.text(&user.name)))?;
            access.users.insert(name, rules);
        }
        if let Some(path) = &acl.file {
            let of_file = |error: FileError| AccessError { what: error.to_string(), directive: "aclfile" };
            let mut users = file::load(path, all_channels).map_err(of_file)?;
            if requirepass.is_some() && !users.contains_key(DEFAULT) {
                tracing::warn!(
                    "requirepass is ignored beside aclfile, whose users do not include `default`: whoever connects may \
                     do everything. Add a line `user default off`, or one with a password, to {}",
                    path.display()
                );
            }
            users.entry(Bytes::from_static(DEFAULT)).or_insert_with(Rules::unrestricted);
            access.users = users;
        }
        access.note_disabled();
        Ok(access)
    }

    fn note_disabled(&self) {
        for (name, _) in self.users.iter().filter(|(_, rules)| !rules.is_enabled()) {
            tracing::info!(
                "The user '{}' is disabled (there is no 'on' modifier in the user description). Make sure this is not \
                 a configuration error.",
                String::from_utf8_lossy(name)
            );
        }
    }
}

/// Checks a `user` line of the configuration: the text of the first fault, without any password.
pub(crate) fn check_line(name: &str, rules: &[&str]) -> Result<(), String> {
    if has_spaces(&bytes(name)) {
        return Err("Spaces not allowed in ACL usernames".to_owned());
    }
    let words: Vec<Bytes> = rules.iter().map(|rule| bytes(rule)).collect();
    Rules::new(false).with(&words, false).map(drop).map_err(|fault| fault.text(name))
}

/// A word of the configuration as it comes over the wire.
fn bytes(word: &str) -> Bytes {
    Bytes::from(text::bytes(word).into_owned())
}

impl Fault {
    /// The fault in a `user` line. Unlike the reference's text it never repeats a rule that may be a password.
    fn text(&self, user: &str) -> String {
        match self {
            Self::Unmatched { .. } => {
                format!("Error in user declaration '{user}': Unmatched parenthesis in a selector")
            }
            Self::Rule { rule, error: error @ super::rules::RuleError::Unknown } => {
                let rule = String::from_utf8_lossy(rule);
                format!("Error loading ACL rule '{rule}' for the user named '{user}': {error}")
            }
            Self::Rule { error, .. } => format!("Error in user declaration '{user}': {error}"),
        }
    }
}
