//! What is counted out of the events: failovers with their phases, elections, votes.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use sentinel_core::{
    Topic,
    events::{Event, Subject},
    time::Instant,
    types::MasterName,
};

use crate::{meters::Histogram, monitor::Happened};

/// What has been counted since the start.
#[derive(Default)]
pub(super) struct Counts(Mutex<Tally>);

/// The numbers.
#[derive(Default)]
pub(super) struct Tally {
    /// By channel.
    pub(super) events: BTreeMap<&'static str, u64>,
    pub(super) failovers: BTreeMap<Failover, u64>,
    pub(super) elections_won: u64,
    pub(super) elections_lost: u64,
    pub(super) votes: u64,
    pub(super) tilts: u64,
    /// When a master was switched last, in milliseconds since 1970.
    pub(super) switched_at: BTreeMap<MasterName, u64>,
    /// From the first sign to the switch.
    pub(super) outages: Histogram,
    pub(super) phases: BTreeMap<&'static str, Histogram>,
    masters: BTreeMap<MasterName, Progress>,
}

/// The first phase of a failover.
const ELECTION: &str = "election";

/// A failover that has ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Failover {
    pub(super) master: MasterName,
    /// `down`, `operator`, or `other-sentinel` where another one led it.
    pub(super) trigger: &'static str,
    /// `switched` or `aborted`.
    pub(super) result: &'static str,
    /// Why it was aborted.
    pub(super) reason: &'static str,
}

/// How far a master is.
#[derive(Default)]
struct Progress {
    down_since: Option<Instant>,
    ordered: bool,
    /// Of the failover that this Sentinel has begun, until the switch or the end.
    trigger: Option<&'static str>,
    phase: Option<(&'static str, Instant)>,
}

impl Counts {
    /// Takes in what has happened.
    pub(super) fn take(&self, happened: &Happened) {
        self.with(|tally| tally.take(happened));
    }

    /// Reads, or changes, the numbers.
    pub(super) fn with<T>(&self, act: impl FnOnce(&mut Tally) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Tally {
    fn take(&mut self, Happened { at, event }: &Happened) {
        *self.events.entry(event.channel()).or_default() += 1;
        match event {
            Event::TiltEntered => self.tilts += 1,
            Event::VoteForLeader { .. } => self.votes += 1,
            Event::ElectedLeader(_) => self.elections_won += 1,
            Event::AbortNotElected(_) => self.elections_lost += 1,
            _ => {}
        }
        let Some(master) = event.master() else { return };
        match event {
            Event::SubjectivelyDown { subject: Subject::Master { .. }, .. } => {
                self.of(master).down_since.get_or_insert(at.mono);
            }
            Event::SubjectivelyUp(Subject::Master { .. }) => self.of(master).down_since = None,
            Event::Notice(notice) if notice.topic == Topic::Ordered => self.of(master).ordered = true,
            Event::TryFailover(_) => {
                let progress = self.of(master);
                let ordered = std::mem::take(&mut progress.ordered);
                progress.trigger = Some(if ordered { "operator" } else { "down" });
                progress.phase = Some((ELECTION, at.mono));
            }
            // It stood, and another one won.
            Event::ConfigUpdateFrom(_) if self.of(master).phase.is_some_and(|(phase, _)| phase == ELECTION) => {
                let progress = self.of(master);
                (progress.phase, progress.trigger) = (None, None);
                self.elections_lost += 1;
            }
            Event::ElectedLeader(_) => self.next_phase(master, at.mono, "selection"),
            Event::StateHandOver(_) => self.next_phase(master, at.mono, "hand-over"),
            Event::StateSendReplicaofNoOne(_) => self.next_phase(master, at.mono, "promotion"),
            Event::PromotedReplica(_) => self.next_phase(master, at.mono, "reconfiguration"),
            Event::SwitchMaster { .. } => {
                self.switched_at.insert(master.clone(), at.wall.0);
                if let Some(since) = self.of(master).down_since.take() {
                    self.outages.observe(at.mono.since(since));
                }
                let trigger = self.of(master).trigger.take().unwrap_or("other-sentinel");
                self.ended(master, trigger, "switched", "");
            }
            Event::FailoverEnd(_) | Event::FailoverEndForTimeout(_) => self.last_phase(master, at.mono),
            Event::Unmonitor(_) => self.forget(master),
            _ => {
                if let Some(reason) = reason_of_end(event) {
                    self.of(master).phase = None;
                    if let Some(trigger) = self.of(master).trigger.take() {
                        self.ended(master, trigger, "aborted", reason);
                    }
                }
            }
        }
    }

    fn of(&mut self, master: &MasterName) -> &mut Progress {
        self.masters.entry(master.clone()).or_default()
    }

    fn ended(&mut self, master: &MasterName, trigger: &'static str, result: &'static str, reason: &'static str) {
        *self.failovers.entry(Failover { master: master.clone(), trigger, result, reason }).or_default() += 1;
    }

    fn next_phase(&mut self, master: &MasterName, now: Instant, next: &'static str) {
        self.last_phase(master, now);
        self.of(master).phase = Some((next, now));
    }

    fn last_phase(&mut self, master: &MasterName, now: Instant) {
        if let Some((phase, began)) = self.of(master).phase.take() {
            self.phases.entry(phase).or_default().observe(now.since(began));
        }
    }

    /// Of a master that is not watched any more nothing is kept: names come and go.
    fn forget(&mut self, master: &MasterName) {
        self.masters.remove(master);
        self.switched_at.remove(master);
        self.failovers.retain(|failover, _| failover.master != *master);
    }
}

/// Why a failover ends without a switch.
fn reason_of_end(event: &Event) -> Option<&'static str> {
    Some(match event {
        Event::AbortNotElected(_) => "not-elected",
        Event::AbortNoGoodReplica(_) => "no-good-replica",
        Event::AbortReplicaTimeout(_) => "replica-timeout",
        Event::AbortMasterTimeout(_) => "master-timeout",
        Event::Notice(notice) => match notice.topic {
            topic @ (Topic::CalledOff | Topic::Overtaken | Topic::GivenUp) => topic.as_str(),
            _ => return None,
        },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use sentinel_core::{
        DownCause, Notice,
        time::{Now, WallTime},
    };

    use super::*;

    fn name() -> MasterName {
        MasterName::new("m").expect("a name")
    }

    fn master() -> Subject {
        Subject::Master { name: name(), addr: "10.0.0.1:6379".parse().expect("an address") }
    }

    fn tally(events: impl IntoIterator<Item = (u64, Event)>) -> Tally {
        let mut tally = Tally::default();
        for (ms, event) in events {
            let at = Now { mono: Instant::from_micros(ms * 1_000), wall: WallTime(1_000_000 + ms) };
            tally.take(&Happened { at, event });
        }
        tally
    }

    fn switch() -> Event {
        let addr = |text: &str| text.parse().expect("an address");
        Event::SwitchMaster { name: name(), old: addr("10.0.0.1:6379"), new: addr("10.0.0.2:6379") }
    }

    fn down() -> Event {
        Event::SubjectivelyDown { subject: master(), cause: DownCause::Refused }
    }

    fn failover(trigger: &'static str, result: &'static str, reason: &'static str) -> Failover {
        Failover { master: name(), trigger, result, reason }
    }

    #[test]
    fn a_failover_is_counted_with_its_phases_and_the_outage() {
        let tally = tally([
            (10, down()),
            (20, Event::TryFailover(master())),
            (30, Event::ElectedLeader(master())),
            (40, Event::StateSendReplicaofNoOne(master())),
            (60, Event::PromotedReplica(master())),
            (60, switch()),
            (90, Event::FailoverEnd(master())),
        ]);
        assert_eq!(tally.failovers, BTreeMap::from([(failover("down", "switched", ""), 1)]));
        assert_eq!((tally.elections_won, tally.events["+switch-master"]), (1, 1));
        assert_eq!(tally.switched_at[&name()], 1_000_060);
        let millis = |times: &Histogram| (times.distribution().sum * 1_000.0).round().to_string();
        assert_eq!(millis(&tally.outages), "50");
        let sums: Vec<_> = tally.phases.iter().map(|(phase, times)| format!("{phase} {}", millis(times))).collect();
        assert_eq!(sums, ["election 10", "promotion 20", "reconfiguration 30", "selection 10"]);
    }

    #[test]
    fn an_order_an_end_without_a_switch_and_a_switch_that_others_led_are_told_apart() {
        let ordered = Notice { topic: Topic::Ordered, master: Some(name()), text: "ordered".to_owned() };
        let tally = tally([
            (10, Event::Notice(ordered)),
            (10, Event::TryFailover(master())),
            (20, Event::AbortNoGoodReplica(master())),
            (30, down()),
            (40, Event::TryFailover(master())),
            (50, Event::AbortNotElected(master())),
            (60, switch()),
        ]);
        let expected = [
            (failover("operator", "aborted", "no-good-replica"), 1),
            (failover("down", "aborted", "not-elected"), 1),
            (failover("other-sentinel", "switched", ""), 1),
        ];
        assert_eq!(tally.failovers, BTreeMap::from(expected));
        assert_eq!((tally.elections_won, tally.elections_lost), (0, 1));
    }

    #[test]
    fn an_election_that_another_one_wins_is_lost_and_the_failover_is_its_own() {
        let tally = tally([
            (10, down()),
            (20, Event::TryFailover(master())),
            (30, Event::ConfigUpdateFrom(master())),
            (30, switch()),
        ]);
        assert_eq!(tally.failovers, BTreeMap::from([(failover("other-sentinel", "switched", ""), 1)]));
        assert_eq!((tally.elections_won, tally.elections_lost), (0, 1));
        assert!(tally.phases.is_empty());
    }

    #[test]
    fn of_a_master_that_is_not_watched_any_more_nothing_is_kept() {
        let tally = tally([(10, down()), (20, switch()), (30, Event::Unmonitor(master()))]);
        assert!(tally.failovers.is_empty() && tally.switched_at.is_empty() && tally.masters.is_empty());
    }
}
