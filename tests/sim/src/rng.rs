//! The only source of chance in the world.

use crate::time::Time;

/// `SplitMix64`. Each part of the world has its own, so that leaving out a fault changes nothing else by itself.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The source for one part of one world.
    pub fn new(seed: u64, part: &str) -> Self {
        let salt = part
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut rng = Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ salt);
        rng.word();
        rng
    }

    /// Any 64 bits.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From 0 to below `end`; 0 if there is nothing below it.
    pub fn below(&mut self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.word() % end }
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: Time, high: Time) -> Time {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True so many times in a thousand.
    pub fn permille(&mut self, chance: u64) -> bool {
        self.below(1_000) < chance
    }

    /// One of several.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap_or(0)]
    }

    /// An index below `len`.
    pub fn index(&mut self, len: usize) -> usize {
        usize::try_from(self.below(len as u64)).unwrap_or(0)
    }

    /// 40 hex digits, as run ids and Sentinel ids have.
    pub fn hex40(&mut self) -> String {
        let (a, b, c) = (self.word(), self.word(), self.word());
        format!("{a:016x}{b:016x}{:08x}", c & 0xffff_ffff)
    }
}
