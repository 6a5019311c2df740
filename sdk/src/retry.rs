//! How long and how often something is tried again.

use std::time::Duration;

/// How a command is repeated that was certainly not executed, or that is idempotent.
///
/// The first repetition follows at once when the pool has verified a master meanwhile; while a node keeps refusing (a master
/// that loads its data set), the pauses double from `first_pause` to `longest_pause`, each shortened at random by up to a half,
/// so that many clients do not return in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// The time from the first attempt within which further ones may begin; also the longest wait for a verified master.
    pub within: Duration,
    /// The pause before the first repetition.
    pub first_pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl RetryPolicy {
    /// Repeats for `within`, with pauses from 5 ms to 100 ms.
    pub const fn within(within: Duration) -> Self {
        Self { within, first_pause: Duration::from_millis(5), longest_pause: Duration::from_millis(100) }
    }

    /// Never repeats and never waits for a master: every trouble is the caller's.
    pub const fn never() -> Self {
        Self::within(Duration::ZERO)
    }

    /// The same policy with other pauses.
    #[must_use]
    pub const fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        self.first_pause = first;
        self.longest_pause = longest;
        self
    }
}

impl Default for RetryPolicy {
    /// Ten seconds: the failover of a Sentinel deployment with a short `down-after-milliseconds` fits in.
    fn default() -> Self {
        Self::within(Duration::from_secs(10))
    }
}

/// Pauses that double, shortened at random by up to a half.
#[derive(Debug, Clone)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        let longest = longest.max(first);
        Self { first, longest, next: first }
    }

    /// The next pause.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (self.next * 2).min(self.longest);
        shortened(pause, 0.5)
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

/// `duration`, shortened by a random share of at most `share` (0 to 1).
pub(crate) fn shortened(duration: Duration, share: f64) -> Duration {
    duration.mul_f64(1.0 - share * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_never_vanish() {
        let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_millis(35));
        for upper in [10, 20, 35, 35] {
            let pause = backoff.pause();
            assert!(pause <= Duration::from_millis(upper), "{pause:?} > {upper}");
            assert!(pause >= Duration::from_millis(upper) / 2);
        }
        backoff.reset();
        assert!(backoff.pause() <= Duration::from_millis(10));
    }
}
