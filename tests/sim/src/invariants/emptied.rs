use std::collections::BTreeSet;

use sentinel_core::events::{Event, Subject};

use super::{Invariant, Observation, Setting, told::Told};
use crate::{physics::HostId, time::Time};

/// Once a Sentinel has told that the master came back without its data, while others hold them, it promotes none that has
/// lost them by following that master.
#[derive(Debug, Default)]
pub(super) struct KeepTheData {
    told: Told,
    /// Who has told so, of which group.
    noticed: BTreeSet<(HostId, usize)>,
}

impl KeepTheData {
    fn selected(&self, setting: &Setting, sentinel: HostId, node: HostId) -> Result<(), String> {
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let master = self.told.master(setting, sentinel, group).and_then(|master| self.told.info(sentinel, master));
        let (Some((since, master)), Some((_, info))) = (master, self.told.info(sentinel, node)) else { return Ok(()) };
        let emptied = info.keys == 0 || info.replid == master.replid;
        if !self.noticed.contains(&(sentinel, group)) || !master.blank || !emptied {
            return Ok(());
        }
        let holder = self.told.infos(setting, sentinel, group).find(|(other, (at, theirs))| {
            let holds = theirs.replica && theirs.keys > 0 && theirs.replid != master.replid && !theirs.foreign;
            *other != node && holds && at >= since && !self.told.is_down(sentinel, *other)
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
        self.told.observe(now, setting, observation);
        match observation {
            Observation::Started { sentinel, .. } => self.noticed.retain(|(by, _)| by != sentinel),
            Observation::Event { sentinel, event } => match event {
                Event::EmptyMaster { subject, .. } => {
                    let group = setting.group_named(subject.master().as_str());
                    self.noticed.extend(group.map(|group| (*sentinel, group)));
                }
                Event::SwitchMaster { name, .. } => {
                    self.noticed.retain(|it| Some(*it) != setting.group_named(name.as_str()).map(|it| (*sentinel, it)));
                }
                Event::ResetMaster(subject) | Event::Unmonitor(subject) => {
                    let group = setting.group_named(subject.master().as_str());
                    self.noticed.retain(|it| Some(*it) != group.map(|it| (*sentinel, it)));
                }
                Event::SelectedReplica(Subject::Replica { addr, .. }) => {
                    if let Some(node) = setting.node_at(addr) {
                        return self.selected(setting, *sentinel, node);
                    }
                }
                _ => {}
            },
            _ => {}
        }
        Ok(())
    }
}
