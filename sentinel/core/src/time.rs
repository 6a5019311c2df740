//! Time as it comes in from outside. The core has no clock.

use std::time::Duration;

/// A reading of the monotonic clock, in microseconds since an arbitrary start. All timing is done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Instant(u64);

crate::canonical::relative!(Instant: Time);

impl Instant {
    /// The arbitrary start.
    pub const ZERO: Instant = Instant(0);

    /// The latest instant there is.
    pub const NEVER: Instant = Instant(u64::MAX);

    /// Microseconds since the start.
    pub const fn from_micros(micros: u64) -> Self {
        Instant(micros)
    }

    /// Microseconds since the start.
    pub const fn as_micros(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was, zero if it lies in the future.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Instant {
    /// So much earlier, not before the start.
    #[must_use]
    pub(crate) const fn before(self, time: Duration) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "half a million years")]
        let micros = time.as_micros() as u64;
        Instant::from_micros(self.as_micros().saturating_sub(micros))
    }
}

impl std::ops::Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, rhs: Duration) -> Instant {
        Instant(self.0.saturating_add(u64::try_from(rhs.as_micros()).unwrap_or(u64::MAX)))
    }
}

/// A reading of the wall clock, in milliseconds since the Unix epoch. Only shown, never used for timing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// Both clocks, read together when an input arrives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Now {
    /// For all timing.
    pub mono: Instant,
    /// For showing times.
    pub wall: WallTime,
}
