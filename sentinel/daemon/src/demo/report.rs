//! What is printed: each step as it happens, and the table at the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{application::Writes, watcher::Seen};
use crate::terminal::say;

/// A step of the failover, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    FirstDown,
    QuorumDown,
    ObjectivelyDown,
    Elected,
    Promoted,
    FirstSwitched,
    AllSwitched,
    FirstWrite,
    Reconfigured,
    OldMasterAnswers,
    OldMasterFenced,
}

const PHASES: [(Phase, &str, &str); 11] = [
    (Phase::FirstDown, "first_subjectively_down", "subjectively down, first Sentinel"),
    (Phase::QuorumDown, "quorum_subjectively_down", "subjectively down, second Sentinel (the quorum)"),
    (Phase::ObjectivelyDown, "objectively_down", "objectively down"),
    (Phase::Elected, "elected", "leader elected"),
    (Phase::Promoted, "promoted", "replica promoted"),
    (Phase::FirstSwitched, "first_switched", "first Sentinel names the new master"),
    (Phase::AllSwitched, "all_switched", "all Sentinels name the new master"),
    (Phase::FirstWrite, "first_write", "first write accepted again"),
    (Phase::Reconfigured, "reconfigured", "other replica follows the new master"),
    (Phase::OldMasterAnswers, "old_master_answers", "old master answers again"),
    (Phase::OldMasterFenced, "old_master_fenced", "old master is a replica"),
];

/// What has happened.
#[derive(Debug)]
pub(super) struct Report {
    killed_at: Instant,
    down_after: u64,
    reached: BTreeMap<Phase, Instant>,
    saw_down: BTreeSet<usize>,
    switched: BTreeSet<usize>,
    writes: Writes,
    agreed: bool,
}

impl Report {
    pub(super) fn new(killed_at: Instant, down_after: u64) -> Self {
        Report {
            killed_at,
            down_after,
            reached: BTreeMap::new(),
            saw_down: BTreeSet::new(),
            switched: BTreeSet::new(),
            writes: Writes::default(),
            agreed: false,
        }
    }

    pub(super) const fn killed_at(&self) -> Instant {
        self.killed_at
    }

    /// One line: when, who, what.
    pub(super) fn line(&self, at: Instant, who: &str, what: &str) {
        say!("{:>7.0}  {who:<11} {what}", millis(at.saturating_duration_since(self.killed_at)));
    }

    /// A phase is reached, for the first time or not.
    pub(super) fn reached(&mut self, phase: Phase, at: Instant, who: &str, what: &str) {
        self.mark(phase, at);
        self.line(at, who, what);
    }

    fn mark(&mut self, phase: Phase, at: Instant) {
        self.reached.entry(phase).or_insert(at);
    }

    pub(super) fn has(&self, phase: Phase) -> bool {
        self.reached.contains_key(&phase)
    }

    pub(super) fn sentinels_switched(&self) -> usize {
        self.switched.len()
    }

    /// An event of a Sentinel: printed, and noted if it ends a phase.
    pub(super) fn event(&mut self, seen: &Seen) {
        let on_master = seen.payload.starts_with("master ");
        match seen.channel.as_str() {
            "+sdown" if on_master => {
                self.saw_down.insert(seen.sentinel);
                self.mark(Phase::FirstDown, seen.at);
                if self.saw_down.len() == 2 {
                    self.mark(Phase::QuorumDown, seen.at);
                }
            }
            "+odown" => self.mark(Phase::ObjectivelyDown, seen.at),
            "+elected-leader" => self.mark(Phase::Elected, seen.at),
            "+promoted-slave" => self.mark(Phase::Promoted, seen.at),
            "+slave-reconf-done" => self.mark(Phase::Reconfigured, seen.at),
            "+switch-master" => {
                self.mark(Phase::FirstSwitched, seen.at);
                self.switched.insert(seen.sentinel);
                if self.switched.len() == 3 {
                    self.mark(Phase::AllSwitched, seen.at);
                }
            }
            _ => {}
        }
        self.line(seen.at, &format!("Sentinel {}", seen.sentinel), &format!("{} {}", seen.channel, seen.payload));
    }

    pub(super) fn writes(&mut self, writes: Writes) {
        self.writes = writes;
    }

    pub(super) fn agreement(&mut self, master: Option<u16>) {
        self.agreed = master.is_some();
    }

    /// Whether every phase was reached, every acknowledged write is there, and all Sentinels agree.
    pub(super) fn all_held(&self) -> bool {
        self.failures().is_empty()
    }

    fn failures(&self) -> Vec<String> {
        let mut failures: Vec<_> = PHASES
            .iter()
            .filter(|(phase, _, _)| !self.has(*phase))
            .map(|(_, _, text)| format!("not seen: {text}"))
            .collect();
        if !self.writes.read_back {
            failures.push("the acknowledged writes could not be read back".to_owned());
        }
        if !self.writes.lost.is_empty() {
            failures.push(format!("{} acknowledged writes are lost", self.writes.lost.len()));
        }
        if !self.agreed {
            failures.push("the Sentinels do not agree on the master".to_owned());
        }
        failures
    }

    fn since_kill(&self, phase: Phase) -> Option<Duration> {
        self.reached.get(&phase).map(|at| at.saturating_duration_since(self.killed_at))
    }

    fn between(&self, from: Phase, to: Phase) -> Option<Duration> {
        Some(self.reached.get(&to)?.saturating_duration_since(*self.reached.get(&from)?))
    }

    pub(super) fn print_table(&self) {
        say!("\n{:<50} {:>12}", "step", "ms from kill");
        for (phase, _, text) in PHASES {
            say!("{text:<50} {:>12}", shown(self.since_kill(phase)));
        }
        say!("\n{:<50} {:>12}", "figure", "value");
        say!("{:<50} {:>12}", "down-after, ms", self.down_after);
        let failover = shown(self.between(Phase::QuorumDown, Phase::FirstWrite));
        say!("{:<50} {failover:>12}", "from the quorum to the first write, ms");
        say!(
            "{:<50} {:>12}",
            "from the old master's answer to its demotion, ms",
            shown(self.between(Phase::OldMasterAnswers, Phase::OldMasterFenced))
        );
        say!("{:<50} {:>12.0}", "longest gap between two acknowledged writes, ms", millis(self.writes.longest_gap));
        say!("{:<50} {:>12}", "writes acknowledged", self.writes.acknowledged);
        say!("{:<50} {:>12}", "acknowledged writes lost", self.writes.lost.len());
        for failure in self.failures() {
            say!("FAILED: {failure}");
        }
        if self.all_held() {
            say!("\nAll of it held.");
        }
    }

    pub(super) fn print_json(&self) {
        let phases: serde_json::Map<String, serde_json::Value> = PHASES
            .iter()
            .map(|(phase, key, _)| ((*key).to_owned(), self.since_kill(*phase).map(millis).into()))
            .collect();
        let value = serde_json::json!({
            "down_after_ms": self.down_after,
            "ms_from_kill": phases,
            "quorum_to_first_write_ms": self.between(Phase::QuorumDown, Phase::FirstWrite).map(millis),
            "old_master_demoted_after_ms": self.between(Phase::OldMasterAnswers, Phase::OldMasterFenced).map(millis),
            "longest_gap_ms": millis(self.writes.longest_gap),
            "writes_acknowledged": self.writes.acknowledged,
            "acknowledged_writes_lost": self.writes.lost.len(),
            "failures": self.failures(),
        });
        say!("{value:#}");
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn shown(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "not seen".to_owned(), |duration| format!("{:.0}", millis(duration)))
}
