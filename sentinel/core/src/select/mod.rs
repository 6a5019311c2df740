//! Which replica is promoted, and why the others are not.

mod facts;
mod refusal;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, time::Duration};

use crate::{
    planted::{Bug, planted},
    state::{Node, NodeId},
    types::{HostPort, RunId},
    view::Role,
};

pub(crate) use facts::{Facts, Told};
pub use refusal::Refusal;

/// The outcome.
#[derive(Debug)]
pub(crate) struct Judgement {
    pub(crate) best: Option<NodeId>,
    pub(crate) refused: Vec<(HostPort, Refusal)>,
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

/// Every replica with its place, 1 for the one that would be promoted, or with the reason why it would not.
pub(crate) fn rank_all<'a>(
    replicas: impl Iterator<Item = &'a Node>,
    facts: &Facts,
) -> Vec<(&'a Node, Result<usize, Refusal>)> {
    let (mut fit, refused): (Vec<_>, Vec<_>) =
        replicas.map(|node| (node, judge(node, facts))).partition(|(_, refusal)| refusal.is_none());
    fit.sort_by_key(|(node, _)| rank(node));
    let ranked = fit.into_iter().enumerate().map(|(n, (node, _))| (node, Ok(n + 1)));
    let refused = refused.into_iter().filter_map(|(node, refusal)| Some((node, Err(refusal?))));
    ranked.chain(refused).collect()
}

/// A departure: a former master that has not become a replica yet comes last. Its offset counts another stream than that
/// of the others, and what it acknowledged meanwhile is lost either way. The reference does not tell them apart.
fn rank(node: &Node) -> (bool, u32, Reverse<u64>, bool, String, NodeId) {
    let run_id = node.info.run_id.as_ref().map(|id| id.as_str().to_ascii_lowercase());
    let (priority, offset) = (node.info.priority, Reverse(node.info.offset));
    (node.former_master, priority, offset, run_id.is_none(), run_id.unwrap_or_default(), node.id)
}

/// The reference's tests in its order, and more: another history, never synchronised, started empty, and, if asked for, too far behind.
fn judge(node: &Node, facts: &Facts) -> Option<Refusal> {
    if node.sdown_since.is_some() && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::SubjectivelyDown);
    }
    if !node.link.is_up() && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::Disconnected);
    }
    let silent = facts.now.since(node.link.ok_reply_at);
    if silent > 5 * facts.ping_period && !planted(Bug::PromoteTheDead) {
        return Some(Refusal::SilentFor(silent));
    }
    if node.info.priority == 0 && !planted(Bug::PromotePriorityZero) {
        return Some(Refusal::PriorityZero);
    }
    let oldest = if facts.master_down_since.is_some() { 5 * facts.ping_period } else { 3 * facts.info_period };
    match node.info_at.map(|at| facts.now.since(at)) {
        None => return Some(Refusal::InfoTooOld(None)),
        Some(age) if age > oldest => return Some(Refusal::InfoTooOld(Some(age))),
        Some(_) => {}
    }
    if node.stranger {
        return Some(Refusal::WrongHistory);
    }
    if node.is_unfamiliar() {
        return Some(Refusal::LoginRefused);
    }
    if node.info.never_synced() && !planted(Bug::PromoteUnsynced) {
        return Some(Refusal::NeverSynced);
    }
    if node.info.is_empty_master() && !planted(Bug::PromoteUnsynced) {
        return Some(Refusal::StartedEmpty);
    }
    let emptied = |id: &RunId| node.info.history.id.as_ref() == Some(id) || node.info.holdings.keys() == 0;
    if facts.empty_history.as_ref().is_some_and(emptied) && !planted(Bug::PromoteTheEmptied) {
        return Some(Refusal::Emptied);
    }
    let down = Duration::from_millis(u64::try_from(node.info.link_down_ms).unwrap_or(0));
    let longest =
        facts.master_down_since.map_or(Duration::ZERO, |since| facts.now.since(since)) + 10 * facts.down_after;
    if down > longest && !facts.best_effort && !planted(Bug::PromoteTheLost) {
        return Some(Refusal::LinkDownTooLong { down, longest });
    }
    let lag = facts.lag_of(node);
    let max_lag = facts.max_lag.filter(|_| !planted(Bug::IgnoreMaxLag));
    // It has nothing of what was written since the switch, and its own stream cannot be compared with that: without this
    // test one that lacks a little is refused, and this one, which lacks more, takes its place.
    // Where the present master has become a replica of it, it lacks nothing, and there is nobody else.
    let lags = node.former_master && node.info.role == Some(Role::Master) && facts.master_follows != Some(node.id);
    if max_lag.is_some() && lags {
        return Some(Refusal::LagUnknown);
    }
    max_lag.filter(|most| lag > most.get()).map(|most| Refusal::LagsBehind { lag, most })
}
