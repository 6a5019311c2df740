//! The first connections to thousands of instances: some at a time.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    input::LinkId,
    state::{MasterKey, NodeId},
    time::Instant,
};

/// How many first connections are opened at a time.
///
/// Opening one costs this process and its node some work each. When ten thousand instances become known in one second,
/// the last of them would wait for seconds behind all others, and seem silent although nobody has asked it anything.
const AT_ONCE: usize = 256;

/// How long one that neither comes up nor fails keeps others waiting. Who is dead must not.
const PATIENCE: Duration = Duration::from_millis(250);

/// Who is to be connected to for the first time.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct FirstDials {
    waiting: VecDeque<(MasterKey, NodeId)>,
    /// Since when. The oldest has the smallest name.
    under_way: BTreeMap<LinkId, Instant>,
}

impl FirstDials {
    /// Whether one more has to wait for its turn.
    pub(crate) fn is_full(&self) -> bool {
        !self.waiting.is_empty() || self.under_way.len() >= AT_ONCE
    }

    /// Has an instance wait.
    pub(crate) fn wait(&mut self, key: MasterKey, id: NodeId) {
        self.waiting.push_back((key, id));
    }

    /// One was begun.
    pub(crate) fn begun(&mut self, link: LinkId, now: Instant) {
        self.under_way.insert(link, now);
    }

    /// One came up, failed, or is of no interest any more.
    pub(crate) fn ended(&mut self, link: LinkId) {
        self.under_way.remove(&link);
    }

    /// Whose turn it is.
    pub(crate) fn next(&mut self, now: Instant) -> Option<(MasterKey, NodeId)> {
        if self.waiting.is_empty() {
            return None;
        }
        while self.under_way.first_key_value().is_some_and(|(_, since)| *since + PATIENCE <= now) {
            self.under_way.pop_first();
        }
        if self.under_way.len() >= AT_ONCE { None } else { self.waiting.pop_front() }
    }

    /// When it is somebody's turn although nothing happened.
    pub(crate) fn due(&self) -> Option<Instant> {
        let (_, since) = self.under_way.first_key_value().filter(|_| !self.waiting.is_empty())?;
        Some(*since + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(number: u64) -> (MasterKey, NodeId) {
        (MasterKey(1), NodeId(number))
    }

    #[test]
    fn who_waits_has_its_turn_when_another_has_ended_or_has_taken_too_long() {
        let mut dials = FirstDials::default();
        let begin = Instant::from_micros(0);
        for link in 0..AT_ONCE as u64 {
            assert!(!dials.is_full(), "{link}");
            dials.begun(LinkId(link), begin + Duration::from_millis(link / 200));
        }
        assert!(dials.is_full());
        for number in 0..300 {
            dials.wait(MasterKey(1), NodeId(number));
        }
        assert_eq!(dials.next(begin), None);
        dials.ended(LinkId(7));
        assert_eq!(dials.next(begin), Some(node(0)));
        dials.begun(LinkId(1_000), begin + Duration::from_millis(9));
        assert_eq!(dials.next(begin), None);
        assert_eq!(dials.due(), Some(begin + PATIENCE));
        let later = begin + PATIENCE;
        let turns = std::iter::from_fn(|| {
            let next = dials.next(later)?;
            dials.begun(LinkId(2_000 + next.1.0), later);
            Some(next)
        });
        assert_eq!(turns.count(), 199, "of the first two hundred one had ended before");
        assert_eq!(dials.due(), Some(begin + Duration::from_millis(1) + PATIENCE));
    }
}
