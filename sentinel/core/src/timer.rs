//! One table of deadlines. Each rule owns its own; there is no periodic tick.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    state::{MasterKey, NodeId},
    time::Instant,
    types::SentinelId,
};

/// Whose link a timer is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Endpoint {
    /// A data node of one master.
    Node(MasterKey, NodeId),
    /// Another Sentinel, whose link all masters share.
    Peer(SentinelId),
}

/// A rule that wants to be looked at when its deadline comes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Dial again.
    Reconnect(Endpoint),
    /// Send the next PING.
    Ping(Endpoint),
    /// Is the connection silent for so long that it is better replaced?
    LinkSilence(Endpoint),
    /// Send the next INFO.
    Info(MasterKey, NodeId),
    /// Send hellos to all instances of a master.
    Hello(MasterKey),
    /// Is this data node subjectively down by now?
    NodeDown(MasterKey, NodeId),
    /// Is this Sentinel subjectively down by now?
    PeerDown(MasterKey, SentinelId),
    /// Ask the peers for their opinion of a subjectively down master.
    Ask(MasterKey),
    /// Forget what a peer said too long ago.
    Opinion(MasterKey, SentinelId),
    /// Stand as a candidate.
    Nominate(MasterKey),
    /// The phase of the failover has lasted long enough.
    Phase(MasterKey),
    /// Ask again whether the replica has taken over.
    Handover(MasterKey),
    /// Is there a handover that nobody finishes?
    Witness(MasterKey),
    /// Is still nobody the master?
    Vacancy(MasterKey),
    /// Go on pointing replicas at the new master.
    Reconfigure(MasterKey),
    /// Who waits for a first connection may have its turn.
    FirstDials,
    /// Who has not answered to a pause is not waited for any more.
    Spread,
    /// An operator has waited for the nodes for long enough.
    Rehearsal,
    /// TILT ends.
    TiltEnd,
    /// A script may begin, or has run for too long.
    Scripts,
}

/// The deadlines in force. Each timer has one at most.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct TimerTable {
    by_time: BTreeSet<(Instant, Timer)>,
    by_timer: BTreeMap<Timer, Instant>,
}

impl TimerTable {
    /// Sets or moves a deadline.
    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        if let Some(old) = self.by_timer.insert(timer.clone(), at) {
            if old == at {
                return;
            }
            self.by_time.remove(&(old, timer.clone()));
        }
        self.by_time.insert((at, timer));
    }

    /// Sets a deadline, unless there is an earlier one.
    pub(crate) fn arm_by(&mut self, timer: Timer, at: Instant) {
        if self.by_timer.get(&timer).is_none_or(|old| *old > at) {
            self.arm(timer, at);
        }
    }

    /// Moves a deadline away, if there is one.
    pub(crate) fn postpone(&mut self, timer: &Timer, by: Duration) {
        if let Some(at) = self.deadline(timer) {
            self.arm(timer.clone(), at + by);
        }
    }

    /// Removes a deadline, if there is one.
    pub(crate) fn disarm(&mut self, timer: &Timer) {
        if let Some(at) = self.by_timer.remove(timer) {
            self.by_time.remove(&(at, timer.clone()));
        }
    }

    /// Whether the timer has a deadline.
    pub(crate) fn is_armed(&self, timer: &Timer) -> bool {
        self.by_timer.contains_key(timer)
    }

    /// When the timer is due, if it has a deadline.
    pub(crate) fn deadline(&self, timer: &Timer) -> Option<Instant> {
        self.by_timer.get(timer).copied()
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes the earliest timer whose deadline has come.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        if self.next()? > now {
            return None;
        }
        let (_, timer) = self.by_time.pop_first()?;
        self.by_timer.remove(&timer);
        Some(timer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timer_has_one_deadline_and_the_earliest_comes_first() {
        let at = Instant::from_micros;
        let (a, b) = (Timer::Hello(MasterKey(1)), Timer::Hello(MasterKey(2)));
        let mut table = TimerTable::default();
        table.arm(a.clone(), at(10));
        table.arm(b.clone(), at(20));
        table.arm(a.clone(), at(30));
        table.arm_by(b.clone(), at(25));
        assert_eq!(table.next(), Some(at(20)));
        assert_eq!(table.pop_due(at(19)), None);
        assert_eq!(table.pop_due(at(40)), Some(b));
        table.postpone(&a, Duration::from_micros(5));
        assert_eq!(table.deadline(&a), Some(at(35)));
        table.disarm(&a);
        table.postpone(&a, Duration::from_micros(5));
        assert!(!table.is_armed(&a));
        assert_eq!(table.deadline(&a), None);
        assert_eq!(table.pop_due(at(40)), None);
    }
}
