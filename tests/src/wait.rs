//! Waiting for conditions instead of for time.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// redis-sentinel holds still (TILT) when its wall clock has leapt further than this.
const LEAP: Duration = Duration::from_secs(2);

/// What a leap costs at most: 30 s of TILT, one attempt without a good replica since what it knows is old, and the
/// pause of twice its `failover-timeout` of 5 s before the next attempt.
const AFTER_A_LEAP: Duration = Duration::from_secs(60);

/// Where both clocks stood when somebody last looked, and until when a leap of the wall clock is felt.
static CLOCKS: Mutex<Option<Clocks>> = Mutex::new(None);

#[derive(Clone, Copy)]
struct Clocks {
    steady: Instant,
    wall: SystemTime,
    felt_until: Option<Instant>,
}

impl Clocks {
    /// The same clocks a moment later: they part when the machine was suspended, or when somebody set its time.
    fn seen(self, steady: Instant, wall: SystemTime) -> Self {
        let passed = steady.duration_since(self.steady);
        let leapt = match wall.duration_since(self.wall) {
            Ok(shown) => shown.abs_diff(passed) > LEAP,
            Err(_) => true,
        };
        Self { steady, wall, felt_until: if leapt { Some(steady + AFTER_A_LEAP) } else { self.felt_until } }
    }
}

/// Until when a leap of the wall clock may hold a redis-sentinel back: a machine that runs tests can be suspended.
fn leap_felt_until() -> Option<Instant> {
    let (steady, wall) = (Instant::now(), SystemTime::now());
    let mut clocks = CLOCKS.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = clocks.map_or(Clocks { steady, wall, felt_until: None }, |before| before.seen(steady, wall));
    *clocks = Some(seen);
    seen.felt_until
}

/// The end of a wait, which a leap of the wall clock puts off: see [`AFTER_A_LEAP`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit(Instant);

impl Limit {
    pub(crate) fn from_now(within: Duration) -> Self {
        let _ = leap_felt_until();
        Self(Instant::now() + within)
    }

    /// How long may still be waited.
    pub(crate) fn left(self) -> Duration {
        let end = leap_felt_until().map_or(self.0, |felt| felt.max(self.0));
        end.saturating_duration_since(Instant::now())
    }
}

/// Tries until `attempt` succeeds, and gives its value. A leap of the wall clock, which holds
/// redis-sentinel still, makes the wait a minute longer.
///
/// # Panics
/// When it has not succeeded `within` that time; the message names `what` was waited for and the last error, which
/// should therefore tell the state that was seen.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let limit = Limit::from_now(within);
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(state) if limit.left().is_zero() => panic!("not within {within:?}: {what}\n  last seen: {state}"),
            Err(_) => std::thread::sleep(BETWEEN_ATTEMPTS),
        }
    }
}

/// Watches for the whole of `time` that `violation` finds nothing.
///
/// # Panics
/// As soon as it finds something, or cannot look: who does not answer has not shown that nothing happens. The message names
/// `what` must not happen and what was found.
#[track_caller]
pub fn never<E: Display>(what: &str, time: Duration, mut violation: impl FnMut() -> Result<Option<String>, E>) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        match violation() {
            Ok(None) => {}
            Ok(Some(found)) => panic!("must not happen: {what}\n  found: {found}"),
            Err(error) => panic!("cannot be seen: {what}\n  {error}"),
        }
        std::thread::sleep(BETWEEN_ATTEMPTS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_part_are_a_leap_and_a_slow_look_is_none() {
        let (steady, wall) = (Instant::now(), SystemTime::now());
        let clocks = Clocks { steady, wall, felt_until: None };
        let later = |steady_s: u64, wall_s: u64| {
            clocks.seen(steady + Duration::from_secs(steady_s), wall + Duration::from_secs(wall_s)).felt_until
        };
        assert_eq!(later(50, 50), None, "nobody looked for a while");
        assert_eq!(later(1, 53), Some(steady + Duration::from_secs(1) + AFTER_A_LEAP), "suspended");
        assert_eq!(later(10, 1), Some(steady + Duration::from_secs(10) + AFTER_A_LEAP), "set back a little");
        assert!(clocks.seen(steady, wall - Duration::from_secs(1)).felt_until.is_some(), "set back");
        let again = clocks.seen(steady, wall + Duration::from_secs(9)).seen(steady, wall + Duration::from_secs(9));
        assert!(again.felt_until.is_some(), "it is still felt at the next look");
    }
}
