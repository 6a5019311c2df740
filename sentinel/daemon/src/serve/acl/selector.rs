//! One set of permissions: commands, keys and channels that go together.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::IntErrorKind,
};

use bytes::Bytes;
use sentinel_core::command::glob;

use super::{
    Denied,
    rules::RuleError,
    set::{Category, CommandSet},
};
use crate::commands::{self, Command, Verb};

/// Commands, and what they may be run on. A user has one, and perhaps further ones in parentheses; a request must be
/// allowed entirely by one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selector {
    pub(super) commands: CommandSet,
    /// First arguments with which commands may be run that may not be run otherwise, by the command's permit.
    pub(super) first_words: BTreeMap<u8, Vec<Bytes>>,
    /// No command of a Sentinel takes a key; the patterns are kept because users are described by them.
    pub(super) keys: Patterns<KeyPattern>,
    pub(super) channels: Patterns<Bytes>,
    /// A Sentinel has no databases either; they are kept for the same reason. None: all of them.
    pub(super) databases: Option<BTreeSet<u32>>,
}

/// What may be touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Patterns<T> {
    /// Everything.
    All,
    /// What fits one of these; nothing if there are none.
    Only(Vec<T>),
}

/// Keys that may be read, written, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct KeyPattern {
    pub(super) pattern: Bytes,
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Selector {
    /// Nothing but, perhaps, all channels, which is what `acl-pubsub-default` is about.
    pub(super) const fn new(all_channels: bool) -> Self {
        Self {
            commands: CommandSet::NONE,
            first_words: BTreeMap::new(),
            keys: Patterns::Only(Vec::new()),
            channels: if all_channels { Patterns::All } else { Patterns::Only(Vec::new()) },
            databases: None,
        }
    }

    /// Whether nothing is forbidden that a Sentinel could be asked for.
    pub(super) fn is_unrestricted(&self) -> bool {
        self.commands == CommandSet::ALL && self.channels == Patterns::All
    }

    /// Applies one rule.
    pub(super) fn apply(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let is = |word: &str| rule.eq_ignore_ascii_case(word.as_bytes());
        if is("allkeys") || is("~*") {
            self.keys = Patterns::All;
        } else if is("resetkeys") {
            self.keys = Patterns::Only(Vec::new());
        } else if is("allchannels") || is("&*") {
            self.channels = Patterns::All;
        } else if is("resetchannels") {
            self.channels = Patterns::Only(Vec::new());
        } else if is("allcommands") || is("+@all") {
            self.commands = CommandSet::ALL;
            self.first_words.clear();
        } else if is("nocommands") || is("-@all") {
            self.commands = CommandSet::NONE;
            self.first_words.clear();
        } else if is("alldbs") {
            self.databases = None;
        } else if is("resetdbs") {
            self.databases = Some(BTreeSet::new());
        } else {
            match rule {
                [b'd' | b'D', b'b' | b'B', b'=', list @ ..] => self.databases = Some(databases(list)?),
                [b'~' | b'%', ..] => self.add_key(rule)?,
                [b'&', pattern @ ..] => self.add_channel(pattern)?,
                [b'+', b'@', category @ ..] => self.permit_category(category, true)?,
                [b'-', b'@', category @ ..] => self.permit_category(category, false)?,
                [b'+', name @ ..] => self.add_command(name)?,
                [b'-', name @ ..] => self.permit(known(name)?, false),
                _ => return Err(RuleError::Syntax),
            }
        }
        Ok(())
    }

    fn add_key(&mut self, rule: &[u8]) -> Result<(), RuleError> {
        let Patterns::Only(patterns) = &mut self.keys else { return Err(RuleError::AllKeysAlready) };
        let KeyPattern { pattern, read, write } = key_pattern(rule)?;
        match patterns.iter_mut().find(|known| known.pattern == pattern) {
            Some(known) => {
                known.read |= read;
                known.write |= write;
            }
            None => patterns.push(KeyPattern { pattern, read, write }),
        }
        Ok(())
    }

    fn add_channel(&mut self, pattern: &[u8]) -> Result<(), RuleError> {
        let Patterns::Only(patterns) = &mut self.channels else { return Err(RuleError::AllChannelsAlready) };
        if has_spaces(pattern) {
            return Err(RuleError::Syntax);
        }
        if !patterns.iter().any(|known| known == pattern) {
            patterns.push(Bytes::copy_from_slice(pattern));
        }
        Ok(())
    }

    /// `+command`, `+container|subcommand`, `+command|first-argument`.
    fn add_command(&mut self, name: &[u8]) -> Result<(), RuleError> {
        let Some(bar) = name.iter().rposition(|&byte| byte == b'|') else {
            self.permit(known(name)?, true);
            return Ok(());
        };
        let (command, word) = (known(&name[..bar])?, &name[bar + 1..]);
        if command.name.contains('|') {
            Err(RuleError::FirstWordOfSubcommand)
        } else if word.is_empty() || has_spaces(word) || std::str::from_utf8(word).is_err() {
            // It could not be read again from a line that describes the user.
            Err(RuleError::Syntax)
        } else if command.subcommands.is_empty() {
            let words = self.first_words.entry(command.permit).or_default();
            if !words.iter().any(|known| known.eq_ignore_ascii_case(word)) {
                words.push(Bytes::copy_from_slice(word));
            }
            Ok(())
        } else {
            self.permit(known(name)?, true);
            Ok(())
        }
    }

    /// A container is permitted or forbidden together with all that it contains.
    pub(super) fn permit(&mut self, command: &Command, allowed: bool) {
        self.commands.set(command, allowed);
        self.first_words.remove(&command.permit);
        for subcommand in &command.subcommands {
            self.commands.set(subcommand, allowed);
        }
    }

    fn permit_category(&mut self, name: &[u8], allowed: bool) -> Result<(), RuleError> {
        let category = Category::named(name).ok_or(RuleError::Unknown)?;
        self.commands.set_all(&category.permits, allowed);
        self.first_words.retain(|permit, _| !category.permits.has(*permit));
        Ok(())
    }

    /// Whether it allows this request, whose command and number of words were checked.
    pub(super) fn check(&self, command: &Command, words: &[Bytes]) -> Result<(), Denied> {
        if !self.commands.contains(command) && !command.is_open() && !self.allows_first_word(command, words) {
            return Err(Denied::Command);
        }
        let Patterns::Only(patterns) = &self.channels else { return Ok(()) };
        let (channels, are_patterns) = match command.does {
            Verb::Subscribe => (usize::MAX, false),
            Verb::SubscribePattern => (usize::MAX, true),
            Verb::Publish => (1, false),
            _ => return Ok(()),
        };
        let mut channels = words.iter().enumerate().skip(1).take(channels);
        match channels.find(|(_, channel)| !fits(patterns, channel, are_patterns)) {
            Some((position, _)) => Err(Denied::Channel(position)),
            None => Ok(()),
        }
    }

    fn allows_first_word(&self, command: &Command, words: &[Bytes]) -> bool {
        match (self.first_words.get(&command.permit), words.get(1)) {
            (Some(allowed), Some(word)) => allowed.iter().any(|known| known.eq_ignore_ascii_case(word)),
            _ => false,
        }
    }

    /// Whether a subscription that exists may go on.
    pub(super) fn allows_channel(&self, channel: &[u8], is_pattern: bool) -> bool {
        match &self.channels {
            Patterns::All => true,
            Patterns::Only(patterns) => fits(patterns, channel, is_pattern),
        }
    }
}

/// A channel must match a pattern; a pattern to subscribe to must be one of the patterns, letter by letter.
fn fits(patterns: &[Bytes], channel: &[u8], is_pattern: bool) -> bool {
    patterns.iter().any(|pattern| if is_pattern { pattern == channel } else { glob::matches(pattern, channel) })
}

/// The command or subcommand of that name. QUIT and RESET need no permission, so no rule can be about them.
fn known(name: &[u8]) -> Result<&'static Command, RuleError> {
    commands::by_name(name).filter(|command| command.is_counted()).ok_or(RuleError::Unknown)
}

/// `~pattern`, or `%R~pattern`, `%W~pattern`, `%RW~pattern`. As in the reference the text may end before the `~`, and
/// means the empty pattern then.
fn key_pattern(rule: &[u8]) -> Result<KeyPattern, RuleError> {
    let (mut read, mut write) = (true, true);
    let mut pattern = &rule[1..];
    if rule[0] == b'%' {
        (read, write) = (false, false);
        loop {
            let (first, rest) = match pattern {
                [] => break,
                [first, rest @ ..] => (first.to_ascii_uppercase(), rest),
            };
            match first {
                b'R' if !read => read = true,
                b'W' if !write => write = true,
                b'~' if read || write => {
                    pattern = rest;
                    break;
                }
                _ => return Err(RuleError::Syntax),
            }
            pattern = rest;
        }
    }
    if has_spaces(pattern) || !(read || write) {
        return Err(RuleError::Syntax);
    }
    Ok(KeyPattern { pattern: Bytes::copy_from_slice(pattern), read, write })
}

/// The numbers of `db=0,1`.
fn databases(list: &[u8]) -> Result<BTreeSet<u32>, RuleError> {
    let number = |item: &[u8]| {
        let text = std::str::from_utf8(item).ok().map(str::trim_start).ok_or(RuleError::Syntax)?;
        match text.parse::<i128>() {
            Ok(number @ 0..=0x7fff_ffff) => u32::try_from(number).map_err(|_| RuleError::NoSuchDatabase),
            Ok(_) => Err(RuleError::NoSuchDatabase),
            Err(why) if matches!(why.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow) => {
                Err(RuleError::NoSuchDatabase)
            }
            Err(_) => Err(RuleError::Syntax),
        }
    };
    list.split(|&byte| byte == b',').map(number).collect()
}

/// Whether a text cannot stand in a line that describes a user.
pub(super) fn has_spaces(text: &[u8]) -> bool {
    text.iter().any(|byte| byte.is_ascii_whitespace() || matches!(byte, 0 | 0x0b))
}
