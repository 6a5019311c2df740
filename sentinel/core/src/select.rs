//! Which replica is promoted, and why the others are not.

use std::{cmp::Reverse, fmt, time::Duration};

use crate::{
    state::{Node, NodeId},
    time::Instant,
    types::HostPort,
};

/// What the judgement depends on besides the replicas.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    pub(crate) ping_period: Duration,
    pub(crate) info_period: Duration,
    pub(crate) down_after: Duration,
    pub(crate) master_down_since: Option<Instant>,
}

/// The outcome.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) best: Option<NodeId>,
    pub(crate) refused: Vec<(HostPort, Refusal)>,
}

/// Why a replica is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is subjectively down.
    SubjectivelyDown,
    /// Its link is down.
    Disconnected,
    /// Its last acceptable answer to a PING is too old.
    SilentFor(Duration),
    /// Its priority is 0: never promoted.
    PriorityZero,
    /// It has not answered INFO, or too long ago.
    InfoTooOld(Option<Duration>),
    /// It lost its master long before the master went down: its data is old.
    LinkDownTooLong {
        /// How long its link to the master has been down.
        down: Duration,
        /// The longest that is accepted.
        longest: Duration,
    },
    /// It has never had a copy of the master's data.
    NeverSynced,
    /// It was the master before, and has not become a replica since: its data went another way.
    FormerMaster,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SubjectivelyDown => f.write_str("it is subjectively down"),
            Refusal::Disconnected => f.write_str("its link is down"),
            Refusal::SilentFor(age) => write!(f, "no acceptable answer to PING for {} ms", age.as_millis()),
            Refusal::PriorityZero => f.write_str("its priority is 0"),
            Refusal::InfoTooOld(Some(age)) => write!(f, "its last INFO is {} ms old", age.as_millis()),
            Refusal::InfoTooOld(None) => f.write_str("it has not answered INFO yet"),
            Refusal::LinkDownTooLong { down, longest } => write!(
                f,
                "its link to the master has been down for {} ms, longer than {} ms",
                down.as_millis(),
                longest.as_millis()
            ),
            Refusal::NeverSynced => f.write_str("it has never synchronised with the master"),
            Refusal::FormerMaster => f.write_str("it is a former master that has not become a replica yet"),
        }
    }
}

/// Judges every replica. The best is the one with the lowest priority number, then the highest replication offset,
/// then the smallest run id (case-insensitive, none last): the reference's order.
pub(crate) fn judge_all<'a>(replicas: impl Iterator<Item = &'a Node>, facts: &Facts) -> Judgement {
    let mut refused = Vec::new();
    let mut best: Option<&Node> = None;
    for node in replicas {
        match judge(node, facts) {
            Some(refusal) => refused.push((node.addr.clone(), refusal)),
            None if best.is_none_or(|other| rank(node) < rank(other)) => best = Some(node),
            None => {}
        }
    }
    Judgement { best: best.map(|node| node.id), refused }
}

fn rank(node: &Node) -> (u32, Reverse<u64>, bool, String, NodeId) {
    let run_id = node.info.run_id.as_ref().map(|id| id.as_str().to_ascii_lowercase());
    (node.info.priority, Reverse(node.info.offset), run_id.is_none(), run_id.unwrap_or_default(), node.id)
}

/// The reference's tests in its order, and two more: never synchronised, and former master.
fn judge(node: &Node, facts: &Facts) -> Option<Refusal> {
    if node.sdown_since.is_some() {
        return Some(Refusal::SubjectivelyDown);
    }
    if !node.link.is_up() {
        return Some(Refusal::Disconnected);
    }
    let silent = facts.now.since(node.link.ok_reply_at);
    if silent > 5 * facts.ping_period {
        return Some(Refusal::SilentFor(silent));
    }
    if node.info.priority == 0 {
        return Some(Refusal::PriorityZero);
    }
    let oldest = if facts.master_down_since.is_some() { 5 * facts.ping_period } else { 3 * facts.info_period };
    match node.info_at.map(|at| facts.now.since(at)) {
        None => return Some(Refusal::InfoTooOld(None)),
        Some(age) if age > oldest => return Some(Refusal::InfoTooOld(Some(age))),
        Some(_) => {}
    }
    if node.former_master {
        return Some(Refusal::FormerMaster);
    }
    if node.info.never_synced() {
        return Some(Refusal::NeverSynced);
    }
    let down = Duration::from_millis(u64::try_from(node.info.link_down_ms).unwrap_or(0));
    let longest =
        facts.master_down_since.map_or(Duration::ZERO, |since| facts.now.since(since)) + 10 * facts.down_after;
    (down > longest).then_some(Refusal::LinkDownTooLong { down, longest })
}
