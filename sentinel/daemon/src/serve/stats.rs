//! What INFO counts.

use std::{cell::Cell, time::Duration};

use tokio::time::Instant;

/// Counters since the start of the process.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) started: Instant,
    pub(crate) connections: Counter,
    pub(crate) rejected: Counter,
    pub(crate) bytes_in: Meter,
    pub(crate) bytes_out: Meter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) errors: Counter,
    pub(crate) commands: Meter,
    /// Clients that were closed for a request longer than is taken.
    pub(crate) too_long: Counter,
    /// Clients that were closed since they did not read.
    pub(crate) too_far_behind: Counter,
    /// How often this process was in TILT.
    pub(crate) tilts: Counter,
}

/// Turns of the loop that serves the clients without TLS, and the microseconds that they took.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) count: Meter,
    pub(crate) micros: Meter,
}

impl Turns {
    /// Begins to count.
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        Self { count: Meter::start(started), micros: Meter::start(started) }
    }

    /// Counts one.
    pub(crate) fn add(&self, began: Instant) {
        let now = Instant::now();
        self.count.add(1, now);
        self.micros.add(usize::try_from(now.duration_since(began).as_micros()).unwrap_or(usize::MAX), now);
    }
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

/// One number that only grows, and how fast it does.
#[derive(Debug)]
pub(crate) struct Meter {
    total: Cell<u64>,
    rate: Cell<Rate>,
}

/// How much came in whole seconds since the start.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// When the present second ends.
    ends: Instant,
    this: u64,
    last: u64,
}

impl Counter {
    /// Adds to it.
    pub(crate) fn add(&self, more: usize) {
        self.0.set(self.0.get().saturating_add(more as u64));
    }

    /// Its value.
    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}

impl Meter {
    fn start(started: Instant) -> Self {
        Self { total: Cell::default(), rate: Cell::new(Rate { ends: started + SECOND, this: 0, last: 0 }) }
    }

    /// Adds to it.
    pub(crate) fn add(&self, more: usize, now: Instant) {
        self.total.set(self.total.get().saturating_add(more as u64));
        let rate = self.rate_at(now);
        self.rate.set(Rate { this: rate.this.saturating_add(more as u64), ..rate });
    }

    /// Its value.
    pub(crate) fn get(&self) -> u64 {
        self.total.get()
    }

    /// How much came in the last whole second.
    pub(crate) fn per_second(&self, now: Instant) -> u64 {
        self.rate_at(now).last
    }

    fn rate_at(&self, now: Instant) -> Rate {
        let rate = self.rate.get();
        if now < rate.ends {
            return rate;
        }
        let since = now.duration_since(rate.ends).as_secs();
        let last = if since == 0 { rate.this } else { 0 };
        Rate { ends: rate.ends + Duration::from_secs(since) + SECOND, this: 0, last }
    }
}

const SECOND: Duration = Duration::from_secs(1);

impl Stats {
    /// Begins to count.
    pub(crate) fn start() -> Self {
        let started = Instant::now();
        Self {
            started,
            connections: Counter::default(),
            rejected: Counter::default(),
            bytes_in: Meter::start(started),
            bytes_out: Meter::start(started),
            reads: Counter::default(),
            writes: Counter::default(),
            errors: Counter::default(),
            commands: Meter::start(started),
            too_long: Counter::default(),
            too_far_behind: Counter::default(),
            tilts: Counter::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_whole_second() {
        let started = Instant::now();
        let meter = Meter::start(started);
        let at = |millis| started + Duration::from_millis(millis);
        for moment in [100, 200, 900] {
            meter.add(2, at(moment));
        }
        assert_eq!(meter.per_second(at(950)), 0);
        assert_eq!(meter.per_second(at(1_500)), 6);
        meter.add(1, at(1_600));
        assert_eq!(meter.per_second(at(2_100)), 1);
        assert_eq!(meter.per_second(at(3_100)), 0);
        assert_eq!(meter.get(), 7);
    }
}
