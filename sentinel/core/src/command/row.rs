//! A command as a row: all that is told of it, and what it does. COMMAND, HELP, look-up and access rules follow from it.

use super::syntax::Argument;

/// One command, or one subcommand of a container. `Does` is what is done for it.
#[derive(Clone, Copy, Debug)]
pub struct Row<Does> {
    /// Lower case; a subcommand with its container, as in `client|id`.
    pub name: &'static str,
    /// Number of words with the name, and the container's: exact if positive, a minimum if negative.
    pub arity: i32,
    /// The reference's flags.
    pub flags: &'static [&'static str],
    /// Categories of access rules, without `@`.
    pub categories: &'static [&'static str],
    /// Hints for clients of clusters.
    pub tips: &'static [&'static str],
    /// What it does, in one sentence.
    pub summary: &'static str,
    /// The group of the reference's documentation.
    pub group: &'static str,
    /// Which version of redis-sentinel had it first; the `primary` spellings are Valkey's, which counts on from there. None:
    /// it is a command of this Sentinel only.
    pub since: Option<&'static str>,
    /// How the time grows that it takes. None: it depends on the subcommand, or nobody has said.
    pub complexity: Option<&'static str>,
    /// A spelling that is kept for old clients: since when, and what is said instead.
    pub replaced: Option<(&'static str, &'static str)>,
    /// What stands behind the name.
    pub arguments: &'static [Argument],
    /// Lines of the container's HELP: usages, each with lines of description, indented by four spaces.
    pub help: &'static [&'static str],
    /// More of them, about what the reference does not have: they come behind all others.
    pub further_help: &'static [&'static str],
    /// Who lists it.
    pub listed: Listed,
    /// The command of 7.0 that it is or comes nearest to, if 7.0 does not have it: who may do that may do this. So rules for
    /// 7.0 have no gap here, and users are described in words that 7.0 can read.
    pub stands_for: Option<&'static str>,
    /// What is done.
    pub does: Does,
}

/// Which Sentinels list a command when they are asked which there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listed {
    /// All of them.
    ByAll,
    /// Those that are later than 7.0.
    ByLater,
    /// Those of Valkey.
    ByValkey,
    /// None: it is a command of this Sentinel only.
    ByNone,
    /// None, nor do they count it: it is there for the benefit of clients that use it everywhere.
    Uncounted,
}

/// Categories of what only administrators should do.
pub const ADMIN: &[&str] = &["admin", "slow", "dangerous"];
/// The category of what anybody may do, and what is asked for seldom.
pub const SLOW: &[&str] = &["slow"];
/// Flags of a HELP.
pub const HELP_FLAGS: &[&str] = &["loading", "stale"];

impl<Does: Copy> Row<Does> {
    /// A command of which nothing is told yet.
    pub const fn new(name: &'static str, group: &'static str, arity: i32, does: Does) -> Self {
        Row {
            name,
            arity,
            flags: &[],
            categories: SLOW,
            tips: &[],
            summary: "",
            group,
            since: None,
            complexity: Some("O(1)"),
            replaced: None,
            arguments: &[],
            help: &[],
            further_help: &[],
            listed: Listed::ByAll,
            stands_for: None,
            does,
        }
    }

    /// The same command, of which something else is done.
    pub const fn doing<Other: Copy>(&self, does: Other) -> Row<Other> {
        let Row { name, arity, flags, categories, tips, summary, group, since, complexity, .. } = *self;
        let Row { replaced, arguments, help, further_help, listed, stands_for, .. } = *self;
        Row {
            name,
            arity,
            flags,
            categories,
            tips,
            summary,
            group,
            since,
            complexity,
            replaced,
            arguments,
            help,
            further_help,
            listed,
            stands_for,
            does,
        }
    }

    /// The name without the container's.
    pub fn word(&self) -> &'static str {
        self.name.rsplit('|').next().unwrap_or(self.name)
    }

    /// Whether a request of so many words, those of the name among them, has the right length.
    pub fn accepts(&self, words: usize) -> bool {
        let bound = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { words >= bound } else { words == bound }
    }
}
