use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::events::{Event, Subject};

use super::{Invariant, Observation, Setting, told::Told};
use crate::{packet::InfoFacts, physics::HostId, time::Time};

/// Who has told that a group's master came back without its data, while others hold them; and which of these have lost
/// them since, as far as that Sentinel has been told.
#[derive(Debug, Default)]
pub(super) struct Emptying {
    told: Told,
    /// Who has told so, of which group, since the last switch.
    noticed: BTreeSet<(HostId, usize)>,
    /// The histories that the nodes of a group had shown when that was told. The master may begin more than one without
    /// being heard: a replica of one of those does not hold the data of before.
    before: BTreeMap<(HostId, usize), BTreeSet<u64>>,
}

impl Emptying {
    /// The empty master of a node's group, if its Sentinel has told of one.
    fn empty_master(&self, setting: &Setting, sentinel: HostId, node: HostId) -> Option<&(Time, InfoFacts)> {
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let master =
            self.told.master(setting, sentinel, group).filter(|_| self.noticed.contains(&(sentinel, group)))?;
        self.told.info(sentinel, master).filter(|(_, master)| master.blank)
    }

    /// Whether a node has lost its data to an empty master, or has not. None: there is no such master.
    pub(super) fn has_lost(&self, setting: &Setting, sentinel: HostId, node: HostId) -> Option<bool> {
        let (_, master) = self.empty_master(setting, sentinel, node)?;
        let (_, info) = self.told.info(sentinel, node)?;
        Some(info.keys == 0 || info.replid == master.replid)
    }

    /// Whether all nodes of a group have told that they hold what the empty master has: the data of before are gone, and what is held
    /// now may come to have another name.
    fn all_have_lost(&self, setting: &Setting, sentinel: HostId, group: usize) -> bool {
        let ours = |node: &HostId| setting.nodes[*node].as_ref().is_some_and(|(_, it)| *it == group);
        let mut nodes = (0..setting.nodes.len()).filter(ours);
        nodes.all(|node| self.has_lost(setting, sentinel, node) == Some(true))
    }

    pub(super) fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) {
        self.told.observe(now, setting, observation);
        match observation {
            Observation::Started { sentinel, .. } => self.noticed.retain(|(by, _)| by != sentinel),
            Observation::Answered { sentinel, from, facts: Some(_), .. } => {
                let Some((_, group)) = &setting.nodes[*from] else { return };
                if self.noticed.contains(&(*sentinel, *group)) && self.all_have_lost(setting, *sentinel, *group) {
                    self.noticed.remove(&(*sentinel, *group));
                }
            }
            Observation::Event { sentinel, event } => match event {
                Event::EmptyMaster { subject, .. } => {
                    let group = setting.group_named(subject.master().as_str());
                    if let Some(group) = group {
                        let shown = self.told.infos(setting, *sentinel, group).map(|(_, (_, info))| info.replid);
                        self.before.insert((*sentinel, group), shown.collect());
                        self.noticed.insert((*sentinel, group));
                    }
                }
                Event::SwitchMaster { name, .. } => {
                    self.noticed.retain(|it| Some(*it) != setting.group_named(name.as_str()).map(|it| (*sentinel, it)));
                }
                Event::ResetMaster(subject) | Event::Unmonitor(subject) => {
                    let group = setting.group_named(subject.master().as_str());
                    self.noticed.retain(|it| Some(*it) != group.map(|it| (*sentinel, it)));
                }
                _ => {}
            },
            _ => {}
        }
    }
}

/// Once a Sentinel has told that the master came back without its data, while others hold them, it promotes none that has
/// lost them by following that master.
#[derive(Debug, Default)]
pub(super) struct KeepTheData {
    emptying: Emptying,
}

impl KeepTheData {
    fn selected(&self, setting: &Setting, sentinel: HostId, node: HostId) -> Result<(), String> {
        let told = &self.emptying.told;
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let master = self.emptying.empty_master(setting, sentinel, node);
        let (Some((since, master)), Some((_, info))) = (master, told.info(sentinel, node)) else { return Ok(()) };
        if self.emptying.has_lost(setting, sentinel, node) != Some(true) {
            return Ok(());
        }
        let before = self.emptying.before.get(&(sentinel, group));
        let of_before = |id: u64| before.is_some_and(|before| before.contains(&id));
        let holder = told.infos(setting, sentinel, group).find(|(other, (at, theirs))| {
            let old = of_before(theirs.replid) || theirs.former.is_some_and(|(id, _)| of_before(id));
            let holds = theirs.replica
                && old
                && theirs.keys > 0
                && theirs.replid != master.replid
                && !theirs.foreign
                && !theirs.stray;
            *other != node && holds && at >= since && !told.is_down(sentinel, *other)
        });
        match holder {
            Some((other, (_, theirs))) => Err(format!(
                "Sentinel {sentinel} selects node {node} with {} values, which follows an empty master; node {other} has {}",
                info.keys, theirs.keys
            )),
            None => Ok(()),
        }
    }
}

impl Invariant for KeepTheData {
    fn rule(&self) -> &'static str {
        "no replica is promoted that an empty master has emptied"
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.emptying.observe(now, setting, observation);
        if let Observation::Event { sentinel, event: Event::SelectedReplica(Subject::Replica { addr, .. }) } =
            observation
            && let Some(node) = setting.node_at(addr)
        {
            return self.selected(setting, *sentinel, node);
        }
        Ok(())
    }
}
