//! What others cause, in the log, but not once each: anybody can cause it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// At most so many lines in one [`PERIOD`].
const LINES: u32 = 5;
const PERIOD: Duration = Duration::from_secs(10);

/// Bounds how often something is said.
#[derive(Debug, Default)]
pub(crate) struct Complaints(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    said: u32,
    unsaid: u64,
}

impl Complaints {
    /// Whether to say it now, and how many were not said since the last time. None: it is counted only.
    pub(crate) fn next(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.began.is_none_or(|began| now.saturating_duration_since(began) >= PERIOD) {
            window.began = Some(now);
            window.said = 0;
        }
        if window.said == LINES {
            window.unsaid += 1;
            return None;
        }
        window.said += 1;
        Some(std::mem::take(&mut window.unsaid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_failures_are_few_lines() {
        let complaints = Complaints::default();
        let start = Instant::now();
        let said = (0..1000).filter(|_| complaints.next(start).is_some()).count();
        assert_eq!(said, LINES as usize);
        assert_eq!(complaints.next(start + PERIOD), Some(1000 - u64::from(LINES)));
        assert_eq!(complaints.next(start + PERIOD), Some(0));
    }
}
