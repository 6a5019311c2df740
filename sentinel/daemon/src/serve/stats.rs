//! What INFO counts.

use std::cell::Cell;

use tokio::time::Instant;

/// Counters since the start of the process.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) started: Instant,
    pub(crate) connections: Counter,
    pub(crate) rejected: Counter,
    pub(crate) bytes_in: Counter,
    pub(crate) bytes_out: Counter,
    pub(crate) reads: Counter,
    pub(crate) writes: Counter,
    pub(crate) errors: Counter,
    pub(crate) commands: Counter,
    rate: Cell<Rate>,
}

/// One number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(Cell<u64>);

/// Commands by whole seconds since the start.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    second: u64,
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

impl Stats {
    /// Begins to count.
    pub(crate) fn start() -> Self {
        Self {
            started: Instant::now(),
            connections: Counter::default(),
            rejected: Counter::default(),
            bytes_in: Counter::default(),
            bytes_out: Counter::default(),
            reads: Counter::default(),
            writes: Counter::default(),
            errors: Counter::default(),
            commands: Counter::default(),
            rate: Cell::default(),
        }
    }

    /// One command was executed.
    pub(crate) fn count_command(&self, now: Instant) {
        self.commands.add(1);
        let rate = self.rate_at(now);
        self.rate.set(Rate { this: rate.this + 1, ..rate });
    }

    /// Commands in the last whole second.
    pub(crate) fn commands_per_second(&self, now: Instant) -> u64 {
        self.rate_at(now).last
    }

    fn rate_at(&self, now: Instant) -> Rate {
        let second = now.duration_since(self.started).as_secs();
        let rate = self.rate.get();
        match second - rate.second {
            0 => rate,
            1 => Rate { second, this: 0, last: rate.this },
            _ => Rate { second, this: 0, last: 0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_rate_is_that_of_the_last_whole_second() {
        let stats = Stats::start();
        let at = |millis| stats.started + Duration::from_millis(millis);
        for moment in [100, 200, 900] {
            stats.count_command(at(moment));
        }
        assert_eq!(stats.commands_per_second(at(950)), 0);
        assert_eq!(stats.commands_per_second(at(1_500)), 3);
        stats.count_command(at(1_600));
        assert_eq!(stats.commands_per_second(at(2_100)), 1);
        assert_eq!(stats.commands_per_second(at(3_100)), 0);
        assert_eq!(stats.commands.get(), 4);
    }
}
