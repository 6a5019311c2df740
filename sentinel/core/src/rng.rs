//! The seeded source of random delays.

use std::time::Duration;

/// `SplitMix64`: small, seedable, good enough to keep Sentinels from acting in the same instant.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Rng {
    state: u64,
    /// Nothing is drawn any more: every random delay is the shortest.
    silent: bool,
}

impl Rng {
    pub(crate) const fn new(seed: u64) -> Self {
        Rng { state: seed, silent: false }
    }

    /// From now on every random delay is the shortest.
    pub(crate) const fn silence(&mut self) {
        *self = Rng { state: 0, silent: true };
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A duration from zero up to and including `most`, with microsecond grain.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        if self.silent {
            return Duration::ZERO;
        }
        let micros = u64::try_from(most.as_micros()).unwrap_or(u64::MAX - 1);
        Duration::from_micros(self.next() % (micros + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_stay_within_bounds_and_repeat_with_the_seed() {
        let most = Duration::from_millis(15);
        let draw = |seed| {
            let mut rng = Rng::new(seed);
            (0..100).map(|_| rng.up_to(most)).collect::<Vec<_>>()
        };
        assert!(draw(7).iter().all(|d| *d <= most));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert_eq!(Rng::new(1).up_to(Duration::ZERO), Duration::ZERO);
        let mut silent = Rng::new(7);
        silent.silence();
        assert_eq!(silent.up_to(most), Duration::ZERO);
    }
}
