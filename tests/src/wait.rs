//! Waiting for conditions instead of for time.

use std::time::{Duration, Instant};

const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(10);

/// Tries until `attempt` succeeds, and gives its value.
///
/// # Panics
/// When it has not succeeded `within` that time; the message names `what` was waited for and the last error, which
/// should therefore tell the state that was seen.
#[track_caller]
pub fn eventually<T>(what: &str, within: Duration, mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + within;
    loop {
        match attempt() {
            Ok(value) => return value,
            Err(state) if Instant::now() >= deadline => {
                panic!("not within {within:?}: {what}\n  last seen: {state}")
            }
            Err(_) => std::thread::sleep(BETWEEN_ATTEMPTS),
        }
    }
}

/// Watches for the whole of `time` that `violation` finds nothing.
///
/// # Panics
/// As soon as it finds something; the message names `what` must not happen and what was found.
#[track_caller]
pub fn never(what: &str, time: Duration, mut violation: impl FnMut() -> Option<String>) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        if let Some(found) = violation() {
            panic!("must not happen: {what}\n  found: {found}");
        }
        std::thread::sleep(BETWEEN_ATTEMPTS);
    }
}
