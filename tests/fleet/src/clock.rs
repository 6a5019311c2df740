//! The clock of the machine, so that processes can compare their readings.

use rustix::time::{ClockId, Timespec, clock_gettime};

/// A reading of the monotonic clock, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Micros(pub u64);

impl Micros {
    /// Now.
    pub fn now() -> Self {
        Micros(micros(clock_gettime(ClockId::Monotonic)))
    }

    /// Microseconds since `earlier`; none if it lies in the future.
    pub const fn since(self, earlier: Micros) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The processor time that this process has used, in microseconds.
pub fn own_cpu() -> u64 {
    micros(clock_gettime(ClockId::ProcessCPUTime))
}

fn micros(at: Timespec) -> u64 {
    u64::try_from(at.tv_sec).unwrap_or(0) * 1_000_000 + u64::try_from(at.tv_nsec).unwrap_or(0) / 1_000
}
