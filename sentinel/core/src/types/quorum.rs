use std::{fmt, num::NonZeroU32};

/// How many Sentinels must hold a master for subjectively down before it is objectively down. At least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Quorum(NonZeroU32);

/// A quorum of zero, or one that does not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Quorum must be 1 or greater.")]
pub struct QuorumError;

impl Quorum {
    /// Accepts 1 up to 4,294,967,295.
    pub fn new(value: i64) -> Result<Self, QuorumError> {
        u32::try_from(value).ok().and_then(NonZeroU32::new).map(Quorum).ok_or(QuorumError)
    }

    /// The number itself.
    pub const fn get(self) -> u32 {
        self.0.get()
    }
}

impl fmt::Display for Quorum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
