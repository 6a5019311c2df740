//! Waiting for conditions instead of for time.

use std::fmt::Display;
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
