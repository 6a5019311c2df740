//! Durations, counted in buckets.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

/// The upper bounds of the buckets in microseconds. Those that OpenTelemetry advises for databases are among them (1, 5, 10, 50, 100,
/// 500 ms, 1, 5, 10 s); finer ones below, where most answers are.
#[rustfmt::skip] // a table reads better than a column
pub(super) const BOUNDS: [u64; 20] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000,
    100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000, 25_000_000, 50_000_000, 100_000_000,
];
const BUCKETS: usize = BOUNDS.len() + 1;

/// Threads are spread over so many counts, so that they seldom meet.
const PARTS: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Histogram {
    parts: [Part; PARTS],
}

/// Alone in its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    buckets: [AtomicU64; BUCKETS],
    nanoseconds: AtomicU64,
}

/// The part that this thread writes to.
fn part() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static PART: usize = NEXT.fetch_add(1, Ordering::Relaxed) % PARTS;
    }
    // While the thread ends it is gone; any other will do.
    PART.try_with(|part| *part).unwrap_or(0)
}

impl Histogram {
    pub(super) fn add(&self, took: Duration) {
        let part = &self.parts[part()];
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        part.buckets[bucket(nanoseconds)].fetch_add(1, Ordering::Relaxed);
        part.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Distribution {
        let mut read = Distribution::default();
        for part in &self.parts {
            for (sum, bucket) in read.counts.iter_mut().zip(&part.buckets) {
                *sum += bucket.load(Ordering::Relaxed);
            }
            read.sum += Duration::from_nanos(part.nanoseconds.load(Ordering::Relaxed));
        }
        read
    }
}

/// The bounds themselves belong to their buckets.
fn bucket(nanoseconds: u64) -> usize {
    BOUNDS.partition_point(|bound| bound * 1_000 < nanoseconds)
}

/// How durations are distributed: how many were as short as each of some bounds between 50 µs and 100 s.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Distribution {
    /// Not yet summed up.
    counts: [u64; BUCKETS],
    sum: Duration,
}

impl Distribution {
    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        self.sum
    }

    /// `None`: there were none.
    pub fn mean(&self) -> Option<Duration> {
        let count = self.count();
        (count > 0)
            .then(|| Duration::from_nanos(u64::try_from(self.sum.as_nanos() / u128::from(count)).unwrap_or(u64::MAX)))
    }

    /// The duration that this share of them, 0 to 1, did not exceed: 0.5 is the median. It is estimated within a bucket, as Prometheus does, and
    /// never longer than the longest bound, 100 s. `None`: there were none.
    ///
    /// ```no_run
    /// # fn example(pool: sentinel_sdk::SentinelPool) {
    /// for operation in pool.metrics().operations {
    ///     println!("{}: 99 % within {:?}", operation.name, operation.durations.quantile(0.99));
    /// }
    /// # }
    /// ```
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let count = self.count();
        let rank = share.clamp(0.0, 1.0) * count as f64;
        let mut before = 0;
        let mut lower = 0;
        for (bound, number) in BOUNDS.iter().zip(self.counts) {
            if number > 0 && (before + number) as f64 >= rank {
                let inside = (rank - before as f64).max(0.0) / number as f64;
                return Some(Duration::from_micros(lower) + Duration::from_micros(bound - lower).mul_f64(inside));
            }
            before += number;
            lower = *bound;
        }
        (count > 0).then(|| Duration::from_micros(lower))
    }

    /// For each bound how many were no longer, `None` for all of them, in growing order.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|bound| Some(Duration::from_micros(*bound))).chain([None]);
        bounds.zip(self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_counts_from_its_bound_on() {
        let histogram = Histogram::default();
        for took in [0, 50_000, 50_001, 1_000_000_000, 200_000_000_000] {
            histogram.add(Duration::from_nanos(took));
        }
        let read = histogram.read();
        let within = |bound| read.buckets().find(|(found, _)| *found == bound).unwrap().1;
        let micros = |micros| Some(Duration::from_micros(micros));
        assert_eq!(within(micros(50)), 2, "{read:?}");
        assert_eq!(within(micros(100)), 3);
        assert_eq!(within(micros(500_000)), 3);
        assert_eq!(within(micros(1_000_000)), 4);
        assert_eq!(within(micros(100_000_000)), 4);
        assert_eq!(within(None), 5);
        assert_eq!((read.count(), read.sum()), (5, Duration::from_nanos(201_000_100_001)));
    }

    #[test]
    fn what_several_threads_add_is_counted_once_each() {
        let histogram = Histogram::default();
        std::thread::scope(|scope| {
            for _ in 0..2 * PARTS {
                scope.spawn(|| (0..1000).for_each(|_| histogram.add(Duration::from_micros(70))));
            }
        });
        let read = histogram.read();
        assert_eq!((read.count(), read.sum()), (8000, Duration::from_millis(560)));
        assert_eq!(read.mean(), Some(Duration::from_micros(70)));
    }

    #[test]
    fn a_quantile_lies_in_the_bucket_that_holds_it() {
        let histogram = Histogram::default();
        assert_eq!((histogram.read().quantile(0.5), histogram.read().mean()), (None, None));
        for _ in 0..90 {
            histogram.add(Duration::from_micros(200));
        }
        for _ in 0..10 {
            histogram.add(Duration::from_millis(30));
        }
        let quantile = |share| histogram.read().quantile(share).unwrap().as_micros();
        assert_eq!(quantile(0.0), 100);
        assert_eq!(quantile(0.45), 175);
        assert_eq!(quantile(0.9), 250);
        assert_eq!(quantile(0.95), 37_500);
        assert_eq!(quantile(1.0), 50_000);
        histogram.add(Duration::from_secs(1_000));
        assert_eq!(quantile(1.0), 100_000_000, "beyond the last bound");
    }
}
