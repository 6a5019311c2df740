//! Which replica is promoted, and why the others are not.
//!
//! The reference's tests come first. Then each replica falls into a class, by what is known of its data, and a better class
//! comes before everything else; within one the reference's order holds: priority, offset, run id. Two offsets compare in one
//! stream only.

mod class;
mod facts;
mod refusal;
mod stream;
#[cfg(test)]
mod tests;

use std::{cmp::Reverse, time::Duration};

use crate::{
    planted::{Bug, planted},
    state::{InSync, Node},
    types::RunId,
    view::Role,
};

pub use class::Class;
pub(crate) use facts::{Facts, TakenOver, Told};
pub use refusal::Refusal;
pub(crate) use stream::{Followers, Stream};

/// The place of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// 1 for the one that would be promoted.
    pub(crate) rank: usize,
    pub(crate) class: Class,
}

/// Every replica with its place, or with the reason why it would not be promoted. The first is the best.
pub(crate) fn rank_all<'a>(
    replicas: impl Iterator<Item = &'a Node>,
    facts: &Facts,
) -> Vec<(&'a Node, Result<Place, Refusal>)> {
    let (mut fit, mut refused) = (Vec::new(), Vec::new());
    for node in replicas {
        match judge(node, facts) {
            Ok(class) => fit.push((node, class)),
            Err(why) => refused.push((node, Err(why))),
        }
    }
    let position = |node: &Node| facts.stream.position(&node.info);
    let furthest = |fit: &[(&Node, Class)], classes: &[Class]| {
        fit.iter().filter(|(_, class)| classes.contains(class)).filter_map(|(node, _)| position(node)).max()
    };
    // One whose file is younger than all that the others have is as good as one that was restarted from it as a
    // replica.
    let others = furthest(&fit, &[Class::Linked, Class::SameLineage]);
    for (node, class) in &mut fit {
        if *class == Class::Astray && others.is_some() && position(node) > others {
            *class = Class::SameLineage;
        }
    }
    // A link may be dead for a while before anybody notices: one that has less than a node which lost its own was in truth
    // not linked either.
    let elsewhere = furthest(&fit, &[Class::SameLineage]);
    for (node, class) in &mut fit {
        if *class == Class::Linked && position(node) < elsewhere {
            *class = Class::SameLineage;
        }
    }
    fit.sort_by_key(|(node, class)| rank(node, *class, facts));
    let ranked = fit.into_iter().enumerate().map(|(n, (node, class))| (node, Ok(Place { rank: n + 1, class })));
    ranked.chain(refused).collect()
}

/// The class; then the reference's order: the lowest priority number, the highest offset, the smallest run id
/// (case-insensitive, none last). Of equals a replica comes before one that somebody has made a master, and the one with more
/// keys first where no offset is known.
fn rank(node: &Node, class: Class, facts: &Facts) -> impl Ord + use<> {
    let run_id = node.info.run_id.as_ref().map(|id| id.as_str().to_ascii_lowercase());
    let own_stream = planted(Bug::PromoteAnyMaster) && node.info.role == Some(Role::Master);
    let position = if own_stream { Some(node.info.offset) } else { facts.stream.position(&node.info) };
    let keys = if position.is_none() { node.info.holdings.keys() } else { 0 };
    // Both may have come further than the stream in which they are compared: a master that was restarted from an old file goes
    // on from there, and what its replicas have besides is still worth more than a run id.
    let beyond = Reverse(node.info.offset);
    let data = (Reverse(position), Reverse(keys), beyond, node.info.role == Some(Role::Master));
    (class, node.info.priority, data, run_id.is_none(), run_id.unwrap_or_default(), node.id)
}

/// The reference's tests in its order, and then what its data are.
fn judge(node: &Node, facts: &Facts) -> Result<Class, Refusal> {
    if let Some(why) = unavailable(node, facts) {
        return Err(why);
    }
    if node.stranger {
        of_stranger(node, facts)?;
    }
    if node.is_unfamiliar() {
        return Err(Refusal::LoginRefused);
    }
    if node.info.is_empty_master() && !planted(Bug::PromoteUnsynced) {
        return Err(Refusal::StartedEmpty);
    }
    let emptied = |id: &RunId| node.info.history.id.as_ref() == Some(id) || node.info.holdings.keys() == 0;
    if facts.empty_history.as_ref().is_some_and(emptied) && !planted(Bug::PromoteTheEmptied) {
        return Err(Refusal::Emptied);
    }
    if node.info.holdings.is_loading() {
        return Err(Refusal::Loading);
    }
    let class = match node.info.role {
        Some(Role::Master) => of_master(node, facts)?,
        _ => of_replica(node, facts)?,
    };
    let Some(most) = facts.max_lag.filter(|_| !planted(Bug::IgnoreMaxLag)) else { return Ok(class) };
    // A former master has nothing of what was written since the switch, and its own stream cannot be compared with that: without
    // this test one that lacks a little is refused, and this one, which lacks more, takes its place.
    // Where the present master has become a replica of it, it lacks nothing, and there is nobody else.
    if facts.master_follows == Some(node.id) {
        return Ok(class);
    }
    match facts.lag_of(node, most.get()) {
        _ if matches!(class, Class::FormerMaster | Class::Reloaded) => Err(Refusal::LagUnknown),
        None => Err(Refusal::LagUnknown),
        Some(lag) if lag > most.get() => Err(Refusal::LagsBehind { lag, most }),
        Some(_) => Ok(class),
    }
}

/// A node of another history. Where the configured master has taken that over, nothing else is left to go on with: but only if no
/// other node may still hold the data of before, which would be replaced.
fn of_stranger(node: &Node, facts: &Facts) -> Result<(), Refusal> {
    match facts.taken_over.as_ref().filter(|taken| taken.from == node.id) {
        None => Err(Refusal::WrongHistory),
        Some(TakenOver { kept_by: Some(other), .. }) => Err(Refusal::OthersMayHoldMore(other.clone())),
        Some(TakenOver { kept_by: None, .. }) => Ok(()),
    }
}

/// What is wrong with a node, whatever its data are: the reference's tests.
fn unavailable(node: &Node, facts: &Facts) -> Option<Refusal> {
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
        None => Some(Refusal::InfoTooOld(None)),
        Some(age) if age > oldest => Some(Refusal::InfoTooOld(Some(age))),
        Some(_) => None,
    }
}

/// A node that says it is a master. A departure: the reference takes it, and it wins with the offset of a stream of its own.
fn of_master(node: &Node, facts: &Facts) -> Result<Class, Refusal> {
    if planted(Bug::PromoteAnyMaster) {
        return Ok(Class::Linked);
    }
    if facts.master_follows == Some(node.id) {
        return Ok(Class::Linked);
    }
    if node.former_master {
        return Ok(Class::FormerMaster);
    }
    // Somebody made it one, and may not have come to its end: a leader that is gone, or an operator. The process is one that was a
    // replica, or others of ours follow it.
    let made = node.was_replica_before() || facts.followed.contains(&node.id);
    if made && facts.stream.position(&node.info).is_some() { Ok(Class::SameLineage) } else { Err(Refusal::WrongRole) }
}

fn of_replica(node: &Node, facts: &Facts) -> Result<Class, Refusal> {
    let info = &node.info;
    let position = facts.stream.position(info);
    if info.was_linked() {
        let down = Duration::from_millis(u64::try_from(info.link_down_ms).unwrap_or(0));
        let since = facts.master_down_since.map_or(Duration::ZERO, |since| facts.now.since(since));
        if down > since + 10 * facts.down_after && !facts.best_effort && !planted(Bug::PromoteTheLost) {
            return Err(Refusal::LinkDownTooLong { down, longest: since + 10 * facts.down_after });
        }
        let may_be_linked = info.link_up || facts.master_down_since.is_some() || facts.best_effort;
        match position {
            // What it has besides went a way of its own.
            Some(position) if position < info.offset => return Ok(Class::SameLineage),
            // The master is noticed to be down up to a quarter of down-after late, and INFO counts whole seconds.
            // While the master lives, a link that is down tells that this one falls behind.
            Some(_) if down <= since + 2 * facts.down_after + Duration::from_secs(2) && may_be_linked => {
                return Ok(Class::Linked);
            }
            Some(_) => return Ok(Class::SameLineage),
            None => {}
        }
    } else if position.is_some() && node.was_master_by_itself() && !planted(Bug::PromoteAnyMaster) {
        return Ok(Class::Astray);
    } else if position.is_some() {
        // Restarted from a file that tells its offset.
        return Ok(Class::SameLineage);
    }
    // A synchronisation that did not come to its end leaves no offset, and the data of before: the process says that it was linked.
    let keeps = info.holdings.keys_told() != Some(0) && node.holds_what_it_did() != Some(false);
    if info.was_linked() && facts.stream.includes(&info.history) && keeps {
        return Ok(Class::SameLineage);
    }
    of_reloaded(node, facts)
}

/// A replica without an offset: it has never had a copy, or has read one from an append-only file, which tells none.
fn of_reloaded(node: &Node, facts: &Facts) -> Result<Class, Refusal> {
    if planted(Bug::PromoteUnsynced) {
        return Ok(Class::Linked);
    }
    if node.info.holdings.keys_told() == Some(0) {
        return if facts.empty_will_do { Ok(Class::Empty) } else { Err(Refusal::Empty) };
    }
    let known = |_: &&InSync| facts.followers.contains(&node.id) && !planted(Bug::RefuseTheReloaded);
    let Some(in_sync) = node.in_sync.as_ref().filter(known) else {
        return Err(Refusal::NeverSynced);
    };
    match node.holds_what_it_did() {
        Some(true) => {}
        Some(false) => {
            let (keys, before) = (node.info.holdings.keys(), in_sync.keys.unwrap_or(0));
            return Err(Refusal::FewerKeys { keys, before });
        }
        None => return Err(Refusal::NeverSynced),
    }
    if facts.reloaded_from > facts.now {
        let (wait, from) = (facts.reloaded_from.since(facts.now), facts.reloaded_from);
        return Err(Refusal::Reloaded { wait, from });
    }
    match facts.expected.iter().find(|(id, _)| *id != node.id) {
        Some((_, addr)) => Err(Refusal::BetterExpected(addr.clone())),
        None => Ok(Class::Reloaded),
    }
}
