//! Virtual time.

/// Microseconds since the world began.
pub type Time = u64;

/// One millisecond.
pub const MS: Time = 1_000;

/// One second.
pub const SEC: Time = 1_000_000;

/// A time as it is shown in the log: seconds with microseconds.
#[derive(Clone, Copy)]
pub struct Shown(pub Time);

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:4}.{:06}", self.0 / SEC, self.0 % SEC)
    }
}
