//! How far away a node is. Pure.

use std::time::Duration;

/// So many answers are remembered.
const KEPT: usize = 5;

/// The last few round trips to one node.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips {
    last: [Duration; KEPT],
    count: usize,
}

impl RoundTrips {
    pub(crate) fn add(&mut self, took: Duration) {
        self.last[self.count % KEPT] = took;
        self.count += 1;
    }

    /// The median: neither one slow answer nor one quick one moves it. Of an even number the lower one; zero without any.
    pub(crate) fn median(&self) -> Duration {
        let mut sorted = self.last;
        let known = &mut sorted[..self.count.min(KEPT)];
        known.sort_unstable();
        known.get(known.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_answer_changes_nothing_and_three_of_five_do() {
        let mut trips = RoundTrips::default();
        let mut median = |took| {
            trips.add(Duration::from_millis(took));
            trips.median().as_millis()
        };
        let medians: Vec<_> = [4, 1, 90, 2, 1, 1, 80, 80, 80, 1, 1, 1].into_iter().map(&mut median).collect();
        assert_eq!(medians, [4, 1, 4, 2, 2, 1, 2, 2, 80, 80, 80, 1]);
        assert_eq!(RoundTrips::default().median(), Duration::ZERO);
    }
}
