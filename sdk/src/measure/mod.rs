//! What the feature `metrics` measures, and where it is kept until it is read.

mod histogram;
mod recorder;

pub use histogram::Distribution;
pub(crate) use recorder::{Recorder, Step, Timer};

use crate::error::Outcome;

/// How long all commands of one name took that ended in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// The name in upper case, `PIPELINE`, `MULTI`, or `_OTHER` for what is not known.
    pub name: &'static str,
    /// `None`: they brought an answer. The commands of a plain pipeline may each have failed nevertheless.
    pub failure: Option<Failure>,
    /// As their callers saw it.
    pub durations: Distribution,
}

/// Why an operation brought no answer, or an error for an answer: `error.type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Failure {
    /// `not_sent`: see [`Outcome::NotSent`].
    NotSent,
    /// `refused`: see [`Outcome::Refused`].
    Refused,
    /// `outcome_unknown`: see [`Outcome::Unknown`]. Of a command that only reads it means that no answer came.
    Unknown,
    /// `server_error`: the server found fault with the command; see [`Outcome::Answered`].
    Server,
    /// `cancelled`: the caller waited no longer.
    Cancelled,
}

impl Failure {
    pub(crate) const ALL: [Self; 5] = [Self::NotSent, Self::Refused, Self::Unknown, Self::Server, Self::Cancelled];

    /// As `error.type` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Refused => "refused",
            Self::Unknown => "outcome_unknown",
            Self::Server => "server_error",
            Self::Cancelled => "cancelled",
        }
    }
}

impl From<Outcome> for Failure {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::NotSent => Self::NotSent,
            Outcome::Refused => Self::Refused,
            Outcome::Unknown => Self::Unknown,
            Outcome::Answered => Self::Server,
        }
    }
}
