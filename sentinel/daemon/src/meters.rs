//! What the threads of this process count while they work. The HTTP endpoint reads it; nobody waits for anybody.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use sentinel_core::LinkFault;

/// Everything that is counted across threads.
#[derive(Debug, Default)]
pub struct Meters {
    /// Clients of the Redis port that are connected.
    pub clients: Gauge,
    /// Those of them that have subscribed to something.
    pub subscribers: Gauge,
    /// Writes of the state that have succeeded.
    pub saves: Counter,
    /// Writes of the state that have failed.
    pub failed_saves: Counter,
    /// How long writes of the state took.
    pub save_time: Histogram,
    /// How much later than due the monitor's loop acted.
    pub loop_lag: Histogram,
    /// Links to masters and replicas.
    pub data_nodes: Links,
    /// Links to other Sentinels.
    pub sentinels: Links,
    /// What became of calls of scripts.
    pub scripts: Scripts,
    /// What became of events that were to be posted.
    pub webhooks: Webhooks,
    /// What clients of the Redis port asked for.
    pub commands: Commands,
}

/// What is counted of links to one kind of instances.
#[derive(Debug, Default)]
pub struct Links {
    /// From a PING to its answer, whatever that was.
    pub ping_time: Histogram,
    failures: [Counter; CAUSES.len()],
}

/// Why links fail: the values of a label.
const CAUSES: [&str; 7] = ["refused", "not-resolved", "denied", "not-trusted", "closed", "exhausted", "failed"];

impl Links {
    /// Counts a link that could not be opened, or has ended.
    pub fn failed(&self, fault: &LinkFault) {
        let cause = match fault {
            LinkFault::Refused => 0,
            LinkFault::Unresolved(_) => 1,
            LinkFault::Denied(_) => 2,
            LinkFault::Untrusted(_) => 3,
            LinkFault::Closed => 4,
            LinkFault::Exhausted(_) => 5,
            LinkFault::Failed(_) => 6,
        };
        self.failures[cause].count();
    }

    /// How many have failed, by the cause.
    pub fn failures(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        CAUSES.into_iter().zip(self.failures.iter().map(Counter::get))
    }
}

/// Calls of scripts that have ended.
#[derive(Debug, Default)]
pub struct Scripts {
    /// With status 0.
    pub ok: Counter,
    /// With another status.
    pub failed: Counter,
    /// By a signal.
    pub killed: Counter,
    /// Before they began.
    pub not_started: Counter,
}

/// Events that were to be posted.
#[derive(Debug, Default)]
pub struct Webhooks {
    /// They were taken.
    pub ok: Counter,
    /// They were refused, or not taken however often they were tried.
    pub failed: Counter,
    /// Too many waited before them.
    pub dropped: Counter,
}

/// Commands by their places in the table of them, and by whether the answer was an error.
#[derive(Debug)]
pub struct Commands {
    places: Box<[[Counter; 2]]>,
    /// Requests that were refused before a command was begun.
    pub refused: Counter,
}

impl Default for Commands {
    fn default() -> Self {
        Commands { places: (0..=u8::MAX).map(|_| Default::default()).collect(), refused: Counter::default() }
    }
}

impl Commands {
    /// Counts one that was answered.
    pub fn answered(&self, place: u8, with_error: bool) {
        self.places[usize::from(place)][usize::from(with_error)].count();
    }

    /// How many were answered, and how many with an error.
    pub fn get(&self, place: u8) -> (u64, u64) {
        let [ok, failed] = &self.places[usize::from(place)];
        (ok.get(), failed.get())
    }
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds one.
    pub fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number of things that come and go.
#[derive(Debug, Default)]
pub struct Gauge(AtomicU64);

impl Gauge {
    /// One more is there.
    pub fn enter(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    /// One has gone, which was there before.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Relaxed);
    }

    /// Its value.
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// The upper bounds of all buckets but the last, in seconds.
const BOUNDS: [f64; 16] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

/// Times, by how long they were.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// What a histogram holds at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Distribution {
    /// All times together, in seconds.
    pub sum: f64,
    /// How many there were.
    pub count: u64,
    /// The upper bound of each bucket in seconds, and how many times fell into it and none before.
    pub buckets: Vec<(f64, u64)>,
}

impl Histogram {
    /// Adds a time.
    pub fn observe(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let bucket = BOUNDS.partition_point(|bound| *bound < seconds);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.micros.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What it holds now.
    pub fn distribution(&self) -> Distribution {
        let counts = self.buckets.iter().map(|count| count.load(Relaxed));
        let buckets: Vec<_> = BOUNDS.into_iter().chain([f64::INFINITY]).zip(counts).collect();
        let sum = Duration::from_micros(self.micros.load(Relaxed)).as_secs_f64();
        Distribution { sum, count: buckets.iter().map(|(_, count)| count).sum(), buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_falls_into_the_first_bucket_that_holds_it() {
        let times = Histogram::default();
        for millis in [1, 2, 20_000] {
            times.observe(Duration::from_millis(millis));
        }
        let seen = times.distribution();
        assert_eq!((seen.count, seen.sum.to_string().as_str()), (3, "20.003"));
        let of = |bound: f64| seen.buckets.iter().find(|(it, _)| *it >= bound).map(|(_, count)| *count);
        assert_eq!([of(0.001), of(0.0025), of(30.0), of(f64::INFINITY)], [Some(1), Some(1), Some(1), Some(0)]);
    }
}
