use std::fmt;

/// A logical time: raised by one for each election, never lowered.
///
/// The reference keeps it as an unsigned 64-bit number. A value near the end of that range would make every further
/// election impossible, so epochs that come from outside pass [`Epoch::plausible_after`] first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// The epoch before any election.
    pub const ZERO: Epoch = Epoch(0);

    /// How far one message may raise an epoch beyond the one known here.
    ///
    /// Real fleets see a few elections a year; an attacker or a garbled message sees no bounds. One that is truly further
    /// on is believed when a majority tells it.
    pub const MAX_JUMP: u64 = 1 << 32;

    /// From here on an epoch is raised by small steps only, as elections make them: room for more remains whatever was
    /// announced.
    pub const CEILING: u64 = 1 << 62;

    /// A step that elections can make while messages are under way. It is taken beyond the ceiling, too.
    pub const SMALL_STEP: u64 = 1 << 10;

    /// From here on the reference cannot take part: it reads epochs as signed numbers, and refuses these.
    pub const BEYOND_THE_REFERENCE: u64 = 1 << 63;

    /// The highest one that is taken from a file. One poisoned message makes the reference keep 2^64 - 1, after which nothing
    /// comes; no election can have made it.
    pub const HIGHEST_KEPT: u64 = u64::MAX - (1 << 32);

    /// Wraps a number read from a file or from the wire.
    pub const fn new(value: u64) -> Self {
        Epoch(value)
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The epoch of the next election.
    #[must_use]
    pub const fn next(self) -> Self {
        Epoch(self.0.saturating_add(1))
    }

    /// This one as it is read from a file: with room for elections.
    #[must_use]
    pub const fn kept(self) -> Self {
        if self.0 > Self::HIGHEST_KEPT { Epoch(Self::HIGHEST_KEPT) } else { self }
    }

    /// Whether this epoch, told by another process, may be adopted by one that knows `known`.
    pub const fn plausible_after(self, known: Epoch) -> bool {
        if self.0 <= known.0 {
            return true;
        }
        let step = self.0 - known.0;
        step <= Self::SMALL_STEP || step <= Self::MAX_JUMP && self.0 < Self::CEILING
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_far_beyond_what_is_known_is_implausible() {
        assert!(Epoch::new(7).plausible_after(Epoch::new(3)));
        assert!(Epoch::new(2).plausible_after(Epoch::new(3)));
        assert!(!Epoch::new(u64::MAX).plausible_after(Epoch::new(3)));
        assert!(!Epoch::new(Epoch::MAX_JUMP + 5).plausible_after(Epoch::new(3)));
    }

    #[test]
    fn wherever_it_was_driven_to_elections_remain_possible() {
        let driven = Epoch::new(Epoch::CEILING - 1);
        assert!(driven.next().plausible_after(driven));
        assert!(Epoch::new(Epoch::CEILING + Epoch::SMALL_STEP).plausible_after(Epoch::new(Epoch::CEILING)));
        assert!(!Epoch::new(Epoch::CEILING + 5_000).plausible_after(Epoch::new(Epoch::CEILING)));
        let signed = Epoch::new(Epoch::BEYOND_THE_REFERENCE - 1);
        assert!(signed.next().plausible_after(signed));
        let poisoned = Epoch::new(u64::MAX).kept();
        assert!(poisoned.next() > poisoned && poisoned.next().plausible_after(poisoned));
        assert_eq!(Epoch::new(7).kept(), Epoch::new(7));
    }
}
