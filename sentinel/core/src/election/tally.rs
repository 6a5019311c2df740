//! Counting votes.

use crate::{
    planted::{Bug, planted},
    types::{Epoch, SentinelId},
};

/// What it takes to win.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// More than half of all Sentinels ever seen.
    pub(crate) majority: usize,
    /// What the operator asks for.
    pub(crate) quorum: usize,
}

impl Needed {
    pub(crate) fn votes(self) -> usize {
        self.majority.max(self.quorum)
    }
}

/// How many of the votes are for a candidate in an epoch. A vote of another epoch is no vote.
pub(crate) fn votes_for<'a>(
    candidate: &SentinelId,
    epoch: Epoch,
    votes: impl Iterator<Item = &'a (SentinelId, Epoch)>,
) -> usize {
    votes.filter(|(leader, at)| leader == candidate && (*at == epoch || planted(Bug::CountStaleVotes))).count()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> SentinelId {
        SentinelId::new(&format!("{n:040}")).unwrap()
    }

    /// The same, dumb: fill a box for each candidate and look into ours.
    fn naive(candidate: &SentinelId, epoch: Epoch, votes: &[(SentinelId, Epoch)]) -> usize {
        let mut boxes: BTreeMap<SentinelId, usize> = BTreeMap::new();
        for (leader, at) in votes {
            if *at == epoch {
                *boxes.entry(leader.clone()).or_default() += 1;
            }
        }
        boxes.remove(candidate).unwrap_or(0)
    }

    proptest! {
        #[test]
        fn counting_agrees_with_a_naive_count(votes in prop::collection::vec((0u8..4, 0u64..3), 0..12), epoch in 0u64..3) {
            let votes: Vec<_> = votes.into_iter().map(|(leader, at)| (id(leader), Epoch::new(at))).collect();
            for candidate in 0..4 {
                let candidate = id(candidate);
                prop_assert_eq!(
                    votes_for(&candidate, Epoch::new(epoch), votes.iter()),
                    naive(&candidate, Epoch::new(epoch), &votes)
                );
            }
        }

        #[test]
        fn two_candidates_never_win_the_same_epoch(votes in prop::collection::vec(0u8..4, 0..12), quorum in 1usize..9) {
            let voters = votes.len();
            let needed = Needed { majority: voters / 2 + 1, quorum };
            let votes: Vec<_> = votes.into_iter().map(|leader| (id(leader), Epoch::new(1))).collect();
            let winners = (0..4).filter(|n| votes_for(&id(*n), Epoch::new(1), votes.iter()) >= needed.votes()).count();
            prop_assert!(winners <= 1);
        }
    }
}
