//! What one user may do, and the language in which it is said.

use bytes::Bytes;

use super::{
    Denied,
    password::Hash,
    selector::{Patterns, Selector},
    set::CommandSet,
};
use crate::{commands::Command, config::lexer};

/// The longest text of rules for one user, in bytes: those that are to be applied at once, and those it has, described.
/// The reference knows no bound; a Sentinel's user needs some hundred bytes.
const MAX_TEXT: usize = 16 * 1024;
/// The most selectors of one user.
const MAX_SELECTORS: usize = 64;

/// One user's passwords and permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(super) enabled: bool,
    /// Whether any password is right.
    pub(super) open: bool,
    /// What was said about payloads. It concerns data nodes only, and is described as it was said.
    pub(super) payloads: Option<Payloads>,
    pub(super) passwords: Vec<Hash>,
    pub(super) root: Selector,
    pub(super) selectors: Vec<Selector>,
}

/// Whether a data node checks what is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Payloads {
    Sanitize,
    Skip,
}

/// Why a rule cannot be applied. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    /// No rule begins like this, or it is malformed.
    #[error("Syntax error")]
    Syntax,
    /// No command or category of a Sentinel has that name.
    #[error("Unknown command or category name in ACL")]
    Unknown,
    /// The pattern would change nothing.
    #[error(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any effect. Try \
         'resetkeys' to start with an empty list of patterns"
    )]
    AllKeysAlready,
    /// The pattern would change nothing.
    #[error(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have any effect. \
         Try 'resetchannels' to start with an empty list of channels"
    )]
    AllChannelsAlready,
    /// `db=` with a number that no database can have.
    #[error("The provided database ID is out of range")]
    NoSuchDatabase,
    /// The user has no such password.
    #[error("The password you are trying to remove from the user does not exist")]
    NoSuchPassword,
    /// A digest is something else.
    #[error("The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters")]
    NotAHash,
    /// `+container|subcommand|argument`.
    #[error("Allowing first-arg of a subcommand is not supported")]
    FirstWordOfSubcommand,
    /// More than [`MAX_TEXT`] or [`MAX_SELECTORS`].
    #[error("The rules of one user are limited to {MAX_TEXT} bytes and {MAX_SELECTORS} selectors")]
    TooMuch,
}

/// Why a list of rules cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A selector does not end.
    Unmatched {
        /// The word that begins it.
        word: Bytes,
    },
    /// One rule is wrong.
    Rule {
        /// As it was written; a selector as a whole.
        rule: Bytes,
        /// Why.
        error: RuleError,
    },
}

impl Rules {
    /// Those of a new user: disabled, without passwords or permissions; perhaps with all channels.
    pub(crate) const fn new(all_channels: bool) -> Self {
        Self {
            enabled: false,
            open: false,
            payloads: None,
            passwords: Vec::new(),
            root: Selector::new(all_channels),
            selectors: Vec::new(),
        }
    }

    /// Those of `default` where nothing was configured: everybody may do everything.
    pub(crate) fn unrestricted() -> Self {
        let mut rules = Self { enabled: true, open: true, ..Self::new(true) };
        rules.root.keys = Patterns::All;
        rules.root.commands = CommandSet::ALL;
        rules
    }

    /// The same with this password and no other.
    pub(super) fn with_password(self, password: &[u8]) -> Self {
        Self { open: false, passwords: vec![Hash::of(password)], ..self }
    }

    /// Applies words as they stand in a line, all or none. `all_channels` is what `reset` leaves.
    pub(crate) fn with(&self, words: &[Bytes], all_channels: bool) -> Result<Self, Fault> {
        let too_much = || Fault::Rule { rule: Bytes::from_static(b"..."), error: RuleError::TooMuch };
        if words.iter().map(Bytes::len).sum::<usize>() > MAX_TEXT {
            return Err(too_much());
        }
        let mut changed = self.clone();
        for rule in joined(words).map_err(|word| Fault::Unmatched { word })? {
            changed.apply(&rule, all_channels).map_err(|error| Fault::Rule { rule, error })?;
        }
        if changed.description().len() > MAX_TEXT { Err(too_much()) } else { Ok(changed) }
    }

    /// Applies one rule; a selector is one rule.
    pub(crate) fn apply(&mut self, rule: &[u8], all_channels: bool) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        match rule {
            [] => {}
            _ if is("on") => self.enabled = true,
            _ if is("off") => self.enabled = false,
            _ if is("nopass") => {
                self.open = true;
                self.passwords.clear();
            }
            _ if is("resetpass") => {
                self.open = false;
                self.passwords.clear();
            }
            _ if is("sanitize-payload") => self.payloads = Some(Payloads::Sanitize),
            _ if is("skip-sanitize-payload") => self.payloads = Some(Payloads::Skip),
            _ if is("clearselectors") => self.selectors.clear(),
            _ if is("reset") => *self = Self { payloads: Some(Payloads::Sanitize), ..Self::new(all_channels) },
            [b'>', password @ ..] => self.add_password(Hash::of(password)),
            [b'#', digits @ ..] => self.add_password(Hash::from_hex(digits).ok_or(RuleError::NotAHash)?),
            [b'<', password @ ..] => self.remove_password(&Hash::of(password))?,
            [b'!', digits @ ..] => self.remove_password(&Hash::from_hex(digits).ok_or(RuleError::NotAHash)?)?,
            [b'(', ..] if rule.ends_with(b")") && self.selectors.len() >= MAX_SELECTORS => {
                return Err(RuleError::TooMuch);
            }
            [b'(', inner @ .., b')'] => self.selectors.push(selector(inner, all_channels)?),
            _ => self.root.apply(rule)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: Hash) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.open = false;
    }

    fn remove_password(&mut self, hash: &Hash) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == hash).ok_or(RuleError::NoSuchPassword)?;
        self.passwords.remove(at);
        Ok(())
    }

    /// Whether somebody who gives this password is the user.
    pub(crate) fn accepts(&self, password: &[u8]) -> bool {
        let given = Hash::of(password);
        // All are compared, so that the time it takes does not tell which one was nearly right.
        let right = self.passwords.iter().filter(|hash| **hash == given).count();
        self.enabled && (self.open || right > 0)
    }

    /// Whether it needs no password and is not disabled.
    pub(crate) const fn lets_everyone_in(&self) -> bool {
        self.enabled && self.open
    }

    /// Whether any password is right, as far as passwords are concerned.
    pub(crate) const fn needs_no_password(&self) -> bool {
        self.open
    }

    /// Whether it may log in at all.
    pub(crate) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    /// Whether it may do whatever a Sentinel can be asked for, so that nothing needs to be checked.
    pub(crate) fn is_unrestricted(&self) -> bool {
        self.all_selectors().any(Selector::is_unrestricted)
    }

    /// Whether it may run a command with these words. Of several reasons against it the reference tells the one that
    /// came nearest: a channel rather than the command, and the last channel that is refused.
    pub(crate) fn check(&self, command: &Command, words: &[Bytes]) -> Result<(), Denied> {
        let mut nearest = Denied::Command;
        for selector in self.all_selectors() {
            match selector.check(command, words) {
                Ok(()) => return Ok(()),
                Err(denied) => nearest = nearest.max(denied),
            }
        }
        Err(nearest)
    }

    /// Whether a subscription that exists may go on.
    pub(crate) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.all_selectors().any(|selector| selector.allows_channel(channel, is_pattern))
    }

    /// The permissions that stand by themselves, and those in parentheses.
    pub(crate) fn selectors(&self) -> (&Selector, &[Selector]) {
        (&self.root, &self.selectors)
    }

    /// The digests of its passwords.
    pub(crate) fn passwords(&self) -> impl Iterator<Item = &Hash> {
        self.passwords.iter()
    }

    fn all_selectors(&self) -> impl Iterator<Item = &Selector> {
        std::iter::once(&self.root).chain(&self.selectors)
    }
}

/// The rules that words spell: those of a selector, from `(` to `)`, are one. The error is the word that begins a
/// selector without an end.
pub(crate) fn joined(words: &[Bytes]) -> Result<Vec<Bytes>, Bytes> {
    let mut rules = Vec::with_capacity(words.len());
    let mut open: Option<(&Bytes, Vec<u8>)> = None;
    for word in words {
        let closes = word.last() == Some(&b')');
        match &mut open {
            Some((_, text)) => {
                text.push(b' ');
                text.extend_from_slice(word);
                if closes && let Some((_, text)) = open.take() {
                    rules.push(Bytes::from(text));
                }
            }
            None if word.first() == Some(&b'(') && !closes => open = Some((word, word.to_vec())),
            None => rules.push(word.clone()),
        }
    }
    match open {
        Some((word, _)) => Err(word.clone()),
        None => Ok(rules),
    }
}

/// The rules between parentheses. Words may stand in quotes there.
fn selector(inner: &[u8], all_channels: bool) -> Result<Selector, RuleError> {
    let mut selector = Selector::new(all_channels);
    // The reference takes unbalanced quotes for an empty selector.
    let words = lexer::split(inner).map_err(|_| RuleError::Syntax)?;
    for word in words {
        selector.apply(&word)?;
    }
    Ok(selector)
}
