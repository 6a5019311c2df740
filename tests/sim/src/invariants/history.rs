use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{
    Message,
    command::Change,
    events::{Event, Subject},
    types::HostPort,
};

use super::{Invariant, Observation, Setting};
use crate::{packet::InfoFacts, physics::HostId, time::Time};

/// A node whose data are of another history is neither promoted nor told whom to follow, which would replace them.
///
/// One that the configured master follows may be promoted once that master shows its history: it has taken the data over, as somebody
/// told it to.
///
/// A Sentinel knows which history is the right one since the master, or a replica linked to it, told it. One that was the
/// master before, or was told to be one, may have another replication id after a restart: it cannot be told from a stranger until it
/// is a replica.
#[derive(Debug, Default)]
pub(super) struct OneHistory {
    masters: BTreeMap<(HostId, usize), HostPort>,
    /// Sentinels that know the history of a group.
    taught: BTreeSet<(HostId, usize)>,
    /// Nodes that told a Sentinel last that they are of another.
    foreign: BTreeSet<(HostId, HostId)>,
    former_masters: BTreeSet<(HostId, HostId)>,
    /// Which start of each node a Sentinel heard of first.
    lives: BTreeMap<(HostId, HostId), u32>,
    /// The history that each node showed last, and whom it follows over a link that is up.
    shown: BTreeMap<(HostId, HostId), (u64, Option<HostPort>)>,
}

impl OneHistory {
    fn read(&mut self, setting: &Setting, sentinel: HostId, from: HostId, facts: &InfoFacts) {
        let Some((addr, group)) = &setting.nodes[from] else { return };
        let master = self.masters.get(&(sentinel, *group));
        self.shown.insert((sentinel, from), (facts.replid, facts.linked_to.clone()));
        if facts.foreign {
            self.foreign.insert((sentinel, from));
        } else {
            self.foreign.remove(&(sentinel, from));
            let is_master = |addr: &HostPort| master.is_some_and(|master| setting.is_same(master, addr));
            // One that is started anew while it is watched, before it has told anything, may be empty: older servers do not tell.
            let first = *self.lives.entry((sentinel, from)).or_insert(facts.life);
            if !facts.replica && is_master(addr) && facts.life == first
                || facts.linked_to.as_ref().is_some_and(is_master)
            {
                self.taught.insert((sentinel, *group));
            }
        }
        if facts.replica {
            self.former_masters.remove(&(sentinel, from));
        }
    }

    /// Whether the configured master follows a node and shows its history.
    fn is_taken_over(&self, setting: &Setting, sentinel: HostId, node: HostId) -> bool {
        let Some((addr, group)) = &setting.nodes[node] else { return false };
        let master = self.masters.get(&(sentinel, *group)).and_then(|addr| setting.node_at(addr));
        let shown = |node| self.shown.get(&(sentinel, node));
        let both = master.and_then(shown).zip(shown(node));
        both.is_some_and(|((ours, of), (theirs, _))| {
            ours == theirs && of.as_ref().is_some_and(|of| setting.is_same(of, addr))
        })
    }

    fn check(&self, setting: &Setting, sentinel: HostId, node: HostId, what: &str) -> Result<(), String> {
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let known = self.taught.contains(&(sentinel, group)) && self.foreign.contains(&(sentinel, node));
        if known && !self.former_masters.contains(&(sentinel, node)) {
            Err(format!("Sentinel {sentinel} {what} node {node}, whose data are of another history"))
        } else {
            Ok(())
        }
    }
}

impl Invariant for OneHistory {
    fn rule(&self) -> &'static str {
        "data of another history are neither promoted nor replaced, nor taken for the master's"
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { sentinel, snapshot } => {
                self.taught.retain(|(of, _)| of != sentinel);
                self.foreign.retain(|(of, _)| of != sentinel);
                self.former_masters.retain(|(of, _)| of != sentinel);
                self.shown.retain(|(of, _), _| of != sentinel);
                self.lives.retain(|(of, _), _| of != sentinel);
                for it in &snapshot.masters {
                    if let Some(group) = setting.group_named(it.name.as_str()) {
                        self.masters.insert((*sentinel, group), it.addr.clone());
                    }
                }
            }
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                if let Some(group) = setting.group_named(new.name.as_str()) {
                    self.masters.insert((*sentinel, group), new.addr.clone());
                    self.taught.remove(&(*sentinel, group));
                }
            }
            Observation::Operator { sentinel, change: Change::Reset { .. } | Change::Remove { .. } } => {
                self.taught.retain(|(of, _)| of != sentinel);
                self.foreign.retain(|(of, _)| of != sentinel);
            }
            Observation::Answered { sentinel, from, facts: Some(facts), .. } => {
                self.read(setting, *sentinel, *from, facts);
            }
            Observation::Event { sentinel, event: Event::SwitchMaster { name, old, new } } => {
                if let Some(group) = setting.group_named(name.as_str()) {
                    self.masters.insert((*sentinel, group), new.clone());
                }
                self.former_masters.extend(setting.node_at(old).map(|node| (*sentinel, node)));
            }
            Observation::Event { sentinel, event: Event::SelectedReplica(Subject::Replica { addr, .. }) } => {
                if let Some(node) = setting.node_at(addr).filter(|node| !self.is_taken_over(setting, *sentinel, *node))
                {
                    return self.check(setting, *sentinel, node, "selects");
                }
            }
            Observation::Event { sentinel, event: Event::EmptyMaster { why, .. } } => {
                if let Some(node) = setting.node_at(&why.holder) {
                    return self.check(
                        setting,
                        *sentinel,
                        node,
                        "takes for a holder of the data that the master has lost",
                    );
                }
            }
            Observation::Sent { sentinel, to, message: Message::Promote { .. } } => {
                if !self.is_taken_over(setting, *sentinel, *to) {
                    self.check(setting, *sentinel, *to, "promotes")?;
                }
                self.former_masters.insert((*sentinel, *to));
            }
            Observation::Sent { sentinel, to, message: Message::Replicate { .. } } => {
                return self.check(setting, *sentinel, *to, "gives another master to");
            }
            _ => {}
        }
        Ok(())
    }
}
