//! The one clock of the process, shared by the engine's thread and the one that answers clients.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sentinel_core::time::{Instant, Now, WallTime};

/// Reads the monotonic and the wall clock in the engine's units.
///
/// Copies of one clock agree: an [`Instant`] read by one thread may be compared with that of another.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: std::time::Instant,
}

impl Clock {
    /// A clock whose monotonic reading begins now.
    pub fn start() -> Self {
        Clock { origin: std::time::Instant::now() }
    }

    /// Both readings.
    pub fn now(&self) -> Now {
        // A wall clock before 1970 is shown as 1970: nothing is timed with it.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis);
        Now { mono: self.mono(), wall: WallTime(wall) }
    }

    /// The monotonic reading, in microseconds since the start.
    pub fn mono(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// When `instant` is, for a timer. None if that is beyond what the system can express: never.
    pub fn deadline(&self, instant: Instant) -> Option<std::time::Instant> {
        self.origin.checked_add(Duration::from_micros(instant.as_micros()))
    }
}

fn millis(age: Duration) -> u64 {
    u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reading_and_its_deadline_are_the_same_moment() {
        let clock = Clock::start();
        let (reading, moment) = (clock.mono(), std::time::Instant::now());
        let deadline = clock.deadline(reading + Duration::from_secs(5)).unwrap();
        let distance = deadline.duration_since(moment);
        assert!(distance <= Duration::from_secs(5) && distance > Duration::from_secs(4), "{distance:?}");
    }

    #[test]
    fn never_has_no_deadline_or_one_far_away() {
        let clock = Clock::start();
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        assert!(clock.deadline(Instant::NEVER).is_none_or(|at| at > std::time::Instant::now() + century));
    }
}
