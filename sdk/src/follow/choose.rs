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
}

/// The best node to try, or `None` to stay.
///
/// - What a Sentinel says with an epoch below the known one is not heard.
/// - While the known master answers as one (`healthy`), only a higher epoch moves the pool, or, with an equal epoch, more than half
///   of the voices: Sentinels that disagree in one epoch (two of them set up by hand) must not make the pool swing to and fro.
/// - Otherwise the highest epoch wins, then the number of voices.
/// - A node that was dialled in vain just now (`benched`) is passed over.
pub(crate) fn choose(
    voices: &[Voice],
    known: Option<&Known>,
    healthy: bool,
    benched: impl Fn(&Candidate) -> bool,
) -> Option<Candidate> {
    let floor = known.map_or(0, |known| known.epoch);
    let mut heard: BTreeMap<(u64, &Address), usize> = BTreeMap::new();
    for voice in voices {
        let epoch = voice.epoch.unwrap_or(floor);
        if epoch >= floor {
            *heard.entry((epoch, &voice.master)).or_default() += 1;
        }
    }
    let mut ranked: Vec<_> = heard.into_iter().collect();
    ranked.sort_by_key(|((epoch, _), count)| std::cmp::Reverse((*epoch, *count)));

    for ((epoch, address), count) in ranked {
        let is_known = known.is_some_and(|known| known.address == *address);
        if healthy {
            if is_known {
                return None;
            }
            if epoch == floor && count * 2 <= voices.len() {
                continue;
            }
        }
        let candidate = Candidate { address: address.clone(), epoch };
        if !benched(&candidate) {
            return Some(candidate);
        }
    }
    None
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

/// An older configuration that more than half of all Sentinels agree on, although a newer one was known: they were set up anew.
///
/// It is asked for only after no master was to be had for a while.
pub(crate) fn older_agreement(voices: &[Voice], sentinels: usize, known: &Known) -> Option<Candidate> {
    let mut counts: BTreeMap<&Address, (usize, u64)> = BTreeMap::new();
    for voice in voices {
        let epoch = voice.epoch?;
        if epoch >= known.epoch {
            return None;
        }
        let (count, highest) = counts.entry(&voice.master).or_default();
        *count += 1;
        *highest = epoch.max(*highest);
    }
    counts
        .into_iter()
        .find(|(_, (count, _))| count * 2 > sentinels)
        .map(|(address, (_, epoch))| Candidate { address: address.clone(), epoch })
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

    fn chosen(text: &str, standing: Option<&str>, healthy: bool) -> Option<String> {
        let known = standing.map(known);
        choose(&voices(text), known.as_ref(), healthy, |_| false)
            .map(|candidate| format!("{}{}", candidate.address.host(), candidate.epoch))
    }

    #[test]
    fn a_stale_sentinel_moves_nothing() {
        for healthy in [true, false] {
            assert_eq!(chosen("b4", Some("a5"), healthy), None);
            assert_eq!(chosen("b4 b3", Some("a5"), healthy), None);
        }
        assert_eq!(chosen("b4 a5", Some("a5"), false).as_deref(), Some("a5"));
    }

    #[test]
    fn the_first_newer_epoch_moves_the_pool() {
        assert_eq!(chosen("a5 b6 a5", Some("a5"), true).as_deref(), Some("b6"));
        assert_eq!(chosen("b6 c7", Some("a5"), false).as_deref(), Some("c7"));
    }

    #[test]
    fn a_healthy_master_is_left_within_an_epoch_only_for_a_majority() {
        assert_eq!(chosen("a5 b5", Some("a5"), true), None);
        assert_eq!(chosen("b5 a4", Some("a5"), true), None);
        assert_eq!(chosen("b5 b5 a5", Some("a5"), true).as_deref(), Some("b5"));
        assert_eq!(chosen("a6 b5 b5", Some("a5"), true), None);
    }

    #[test]
    fn a_lost_master_is_replaced_by_whom_most_name() {
        assert_eq!(chosen("a5 b5 b5", Some("a5"), false).as_deref(), Some("b5"));
        assert_eq!(chosen("a5", Some("a5"), false).as_deref(), Some("a5"));
    }

    #[test]
    fn at_the_start_the_highest_epoch_wins() {
        assert_eq!(chosen("a1 b3 a1", None, false).as_deref(), Some("b3"));
        assert_eq!(chosen("", None, false), None);
    }

    #[test]
    fn a_hidden_epoch_counts_as_the_known_one() {
        assert_eq!(chosen("b?", Some("a5"), false).as_deref(), Some("b5"));
        assert_eq!(chosen("b? a5 a5", Some("a5"), true), None);
        assert_eq!(chosen("a? b1", None, false).as_deref(), Some("b1"));
    }

    #[test]
    fn a_benched_node_is_passed_over() {
        let voices = voices("b9 a5 a5");
        let known = known("a5");
        let next = choose(&voices, Some(&known), false, |candidate| candidate.epoch == 9);
        assert_eq!(next.unwrap().address, at("a"));
        assert_eq!(choose(&voices, Some(&known), true, |candidate| candidate.epoch == 9), None);
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

    #[test]
    fn an_older_configuration_needs_a_majority_of_all_sentinels_and_no_other_opinion() {
        let older = |text, sentinels| older_agreement(&voices(text), sentinels, &known("a5")).map(|c| c.epoch);
        assert_eq!(older("b0 b1", 3), Some(1));
        assert_eq!(older("b0", 3), None);
        assert_eq!(older("b0 c0", 3), None);
        assert_eq!(older("b0 b0 a5", 3), None);
        assert_eq!(older("b0 b?", 3), None);
    }
}
