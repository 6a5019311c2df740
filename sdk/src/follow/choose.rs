//! Which node to move to, given what the Sentinels say. Pure.

use std::collections::BTreeMap;

use crate::address::Address;

/// The master a pool stands by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) address: Address,
    pub(crate) epoch: u64,
}

/// What one Sentinel says now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Voice {
    pub(crate) master: Address,
    /// `None` when the Sentinel hides it: it then counts as the epoch known.
    pub(crate) epoch: Option<u64>,
}

/// A node that should be dialled and asked for its role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) address: Address,
    pub(crate) epoch: u64,
    /// So few Sentinels name it that it must have the history of the data known so far.
    pub(crate) needs_proof: bool,
}

/// What a choice is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) voices: &'a [Voice],
    /// How many Sentinels are known, whether they can be reached or not.
    pub(crate) sentinels: usize,
    pub(crate) known: Option<&'a Known>,
    /// The known master answers as one.
    pub(crate) healthy: bool,
    /// An older configuration was named by more than half of all Sentinels for long enough.
    pub(crate) older_lasts: bool,
    /// The pool followed a promotion a moment ago, of which the Sentinels have yet to tell.
    pub(crate) lag: bool,
}

impl Situation<'_> {
    fn floor(&self) -> u64 {
        self.known.map_or(0, |known| known.epoch)
    }

    /// For each address that is named: by how many, and the highest epoch.
    fn named(&self) -> BTreeMap<&Address, (usize, u64)> {
        let mut named: BTreeMap<&Address, (usize, u64)> = BTreeMap::new();
        for voice in self.voices {
            let (count, epoch) = named.entry(&voice.master).or_default();
            *count += 1;
            *epoch = (*epoch).max(voice.epoch.unwrap_or_else(|| self.floor()));
        }
        named
    }

    fn is_majority(&self, count: usize) -> bool {
        count * 2 > self.sentinels
    }

    /// The node that more than half of all Sentinels name with an epoch below the known one.
    pub(crate) fn older_majority(&self) -> Option<Address> {
        let mut named = self.named().into_iter();
        named
            .find(|(_, (count, epoch))| self.is_majority(*count) && *epoch < self.floor())
            .map(|(address, _)| address.clone())
    }

    /// Whether all Sentinels that are known say the same.
    fn is_unanimous(&self, count: usize) -> bool {
        count == self.voices.len() && count >= self.sentinels
    }

    /// The nodes to try, the best one first; none to stay.
    ///
    /// - An epoch below the known one is heard when all Sentinels name it, or more than half for long enough: they were set up anew,
    ///   or the known one was not theirs.
    /// - While the known master answers as one, only a higher epoch moves the pool, or, with an equal epoch, more than half of all
    ///   Sentinels: Sentinels that disagree in one epoch (two of them set up by hand) must not make the pool swing to and fro.
    /// - Otherwise the highest epoch comes first, then the number of voices; at the start what more than half of all name.
    /// - What one Sentinel alone says, while the known master is well or most name another, has to be proved: its address may have become
    ///   that of somebody else's Sentinel.
    pub(crate) fn ranked(&self) -> Vec<Candidate> {
        let named = self.named();
        let known = self.known.map(|known| &known.address);
        let most_name = named.iter().find(|(_, (count, _))| self.is_majority(*count)).map(|(address, _)| *address);
        let older = |count, epoch| {
            epoch < self.floor()
                && self.is_majority(count)
                && (self.older_lasts || (self.is_unanimous(count) && !self.lag))
        };
        // What the known master is named with now.
        let bar = known.and_then(|known| named.get(known)).map_or(self.floor(), |(_, epoch)| self.floor().max(*epoch));
        let moves = |address: &Address, count: usize, epoch: u64| match known {
            _ if older(count, epoch) => true,
            Some(known) if self.healthy && known == address => false,
            _ if self.healthy => epoch > bar || (epoch == bar && self.is_majority(count)),
            _ => epoch >= self.floor(),
        };
        let mut ranked: Vec<_> =
            named.iter().filter(|(address, (count, epoch))| moves(address, *count, *epoch)).collect();
        ranked.sort_by_key(|(address, (count, epoch))| {
            let first = older(*count, *epoch) || (known.is_none() && most_name == Some(**address));
            std::cmp::Reverse((first, *epoch, *count))
        });
        let candidate = |(address, (count, epoch)): (&&Address, &(usize, u64))| {
            let alone = *count < 2 && !self.is_majority(*count);
            let against = self.healthy || most_name.is_some_and(|other| other != *address);
            Candidate { address: (*address).clone(), epoch: *epoch, needs_proof: alone && against }
        };
        ranked.into_iter().map(candidate).collect()
    }
}

/// The epoch that more than half of the voices have reached for this master, if they are so many.
///
/// The known epoch follows the majority, not the highest voice: one Sentinel that claims an absurd epoch would otherwise make
/// the pool deaf to all others.
pub(crate) fn agreed_epoch(voices: &[Voice], master: &Address) -> Option<u64> {
    let mut epochs: Vec<_> =
        voices.iter().filter(|voice| voice.master == *master).filter_map(|voice| voice.epoch).collect();
    epochs.sort_unstable_by(|a, b| b.cmp(a));
    let majority = voices.len() / 2;
    epochs.get(majority).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Address {
        text.parse().unwrap()
    }

    /// `a5` is a Sentinel that names node `a` with epoch 5, `a?` one that hides the epoch.
    fn voices(text: &str) -> Vec<Voice> {
        text.split_whitespace().map(|voice| Voice { master: at(&voice[..1]), epoch: voice[1..].parse().ok() }).collect()
    }

    fn known(text: &str) -> Known {
        Known { address: at(&text[..1]), epoch: text[1..].parse().unwrap() }
    }

    /// Ranked, with `?` behind those that need a proof; of as many Sentinels as have a voice if it is not said.
    fn ranked(
        text: &str,
        sentinels: Option<usize>,
        standing: Option<&str>,
        healthy: bool,
        older_lasts: bool,
    ) -> String {
        let (voices, known) = (voices(text), standing.map(known));
        let sentinels = sentinels.unwrap_or(voices.len());
        let situation =
            Situation { voices: &voices, sentinels, known: known.as_ref(), healthy, older_lasts, lag: false };
        let word = |candidate: &Candidate| {
            format!("{}{}{}", candidate.address.host(), candidate.epoch, if candidate.needs_proof { "?" } else { "" })
        };
        situation.ranked().iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn chosen(text: &str, standing: Option<&str>, healthy: bool) -> String {
        ranked(text, None, standing, healthy, false)
    }

    #[test]
    fn a_stale_sentinel_moves_nothing() {
        for healthy in [true, false] {
            assert_eq!(ranked("b4", Some(3), Some("a5"), healthy, true), "");
            assert_eq!(ranked("b4 b3", Some(4), Some("a5"), healthy, true), "");
        }
        assert_eq!(chosen("b4 a5", Some("a5"), false), "a5");
    }

    #[test]
    fn the_first_newer_epoch_moves_the_pool_if_it_is_proved() {
        assert_eq!(chosen("a5 b6 a5", Some("a5"), true), "b6?");
        assert_eq!(chosen("a5 b6 b6 a5 a5", Some("a5"), true), "b6");
        assert_eq!(ranked("b6", Some(1), Some("a5"), true, false), "b6");
        assert_eq!(ranked("b6", Some(2), Some("a5"), true, false), "b6?");
        assert_eq!(chosen("b6 c7", Some("a5"), false), "c7 b6");
        assert_eq!(chosen("a5 a5 c7", Some("a5"), false), "c7? a5");
    }

    #[test]
    fn a_healthy_master_is_left_within_an_epoch_only_for_a_majority() {
        assert_eq!(chosen("a5 b5", Some("a5"), true), "");
        assert_eq!(chosen("b5 a4", Some("a5"), true), "");
        assert_eq!(ranked("b5", Some(3), Some("a5"), true, false), "");
        assert_eq!(chosen("b5 b5 a5", Some("a5"), true), "b5");
        assert_eq!(chosen("a6 b5 b5", Some("a5"), true), "");
    }

    #[test]
    fn a_lost_master_is_replaced_by_whom_most_name() {
        assert_eq!(chosen("a5 b5 b5", Some("a5"), false), "b5 a5?");
        assert_eq!(chosen("a5", Some("a5"), false), "a5");
    }

    #[test]
    fn at_the_start_the_majority_comes_first_and_else_the_highest_epoch_wins() {
        assert_eq!(chosen("a1 b3 a1", None, false), "a1 b3?");
        assert_eq!(ranked("a1 b3 a1", Some(5), None, false, false), "b3 a1");
        assert_eq!(chosen("", None, false), "");
    }

    #[test]
    fn a_hidden_epoch_counts_as_the_known_one() {
        assert_eq!(chosen("b?", Some("a5"), false), "b5");
        assert_eq!(chosen("b? a5 a5", Some("a5"), true), "");
        assert_eq!(chosen("a? b1", None, false), "b1 a0");
    }

    #[test]
    fn an_older_configuration_needs_all_sentinels_or_a_majority_for_long() {
        let older = |text, sentinels, lasts| {
            let both = [true, false].map(|healthy| ranked(text, Some(sentinels), Some("a5"), healthy, lasts));
            both.join("|")
        };
        assert_eq!(older("b0 b1 b1", 3, false), "b1|b1", "all say so");
        assert_eq!(older("b0 b1", 3, false), "|", "one is missing");
        assert_eq!(older("b0 b1", 3, true), "b1|b1");
        assert_eq!(older("b0", 3, true), "|");
        assert_eq!(older("b0 c0", 3, true), "|");
        assert_eq!(older("b0 b0 a5", 3, false), "|a5?");
        assert_eq!(older("b0 b0 a5", 3, true), "b0|b0 a5?");
    }

    #[test]
    fn the_known_epoch_follows_the_majority_not_the_loudest() {
        let agreed = |text| agreed_epoch(&voices(text), &at("a"));
        assert_eq!(agreed("a999 a5 a5"), Some(5));
        assert_eq!(agreed("a7 a7 a5"), Some(7));
        assert_eq!(agreed("a7"), Some(7));
        assert_eq!(agreed("b9 b9 a5"), None);
        assert_eq!(agreed("a7 b9"), None);
        assert_eq!(agreed(""), None);
    }
}
