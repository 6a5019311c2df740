use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use sentinel_core::{
    Snapshot,
    command::Change,
    events::{Event, Subject},
    settings::MasterSettings,
    types::HostPort,
};

use super::{Observation, Setting};
use crate::{packet::InfoFacts, physics::HostId, time::Time};

/// What each Sentinel has been told of each data node, and what it has said of them since: for rules that compare what it
/// does with what it knows.
#[derive(Debug, Default)]
pub(super) struct Told {
    infos: BTreeMap<(HostId, HostId), (Time, InfoFacts)>,
    down: BTreeSet<(HostId, HostId)>,
    masters: BTreeMap<(HostId, usize), HostPort>,
    /// As they are on disk.
    settings: BTreeMap<(HostId, usize), Arc<MasterSettings>>,
    in_tilt: BTreeSet<HostId>,
}

impl Told {
    pub(super) fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) {
        match observation {
            Observation::Started { sentinel, snapshot } => {
                self.infos.retain(|(by, _), _| by != sentinel);
                self.down.retain(|(by, _)| by != sentinel);
                self.in_tilt.remove(sentinel);
                self.read(setting, *sentinel, snapshot);
                for it in &snapshot.masters {
                    if let Some(group) = setting.group_named(it.name.as_str()) {
                        self.masters.insert((*sentinel, group), it.addr.clone());
                    }
                }
            }
            Observation::Durable { sentinel, snapshot } => self.read(setting, *sentinel, snapshot),
            Observation::Operator { sentinel, change: Change::Remove { .. } } => {
                // Until what is set after the next MONITOR is on disk.
                self.settings.retain(|(by, _), _| by != sentinel);
            }
            Observation::Answered { sentinel, from, facts: Some(facts), .. } => {
                self.infos.insert((*sentinel, *from), (now, (*facts).clone()));
            }
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                if let Some(group) = setting.group_named(new.name.as_str()) {
                    self.masters.insert((*sentinel, group), new.addr.clone());
                }
            }
            Observation::Event { sentinel, event } => self.heard(setting, *sentinel, event),
            _ => {}
        }
    }

    fn read(&mut self, setting: &Setting, sentinel: HostId, snapshot: &Snapshot) {
        for it in &snapshot.masters {
            if let Some(group) = setting.group_named(it.name.as_str()) {
                self.settings.insert((sentinel, group), Arc::clone(&it.settings));
            }
        }
    }

    fn heard(&mut self, setting: &Setting, sentinel: HostId, event: &Event) {
        let node_of = |subject: &Subject| match subject {
            Subject::Master { addr, .. } | Subject::Replica { addr, .. } => setting.node_at(addr),
            Subject::Peer { .. } => None,
        };
        match event {
            Event::SubjectivelyDown { subject, .. } => self.down.extend(node_of(subject).map(|node| (sentinel, node))),
            Event::SubjectivelyUp(subject) => {
                if let Some(node) = node_of(subject) {
                    self.down.remove(&(sentinel, node));
                }
            }
            // What is heard of again later is known anew.
            Event::ReplicaForgotten(subject) => {
                if let Some(node) = node_of(subject) {
                    self.down.remove(&(sentinel, node));
                    self.infos.remove(&(sentinel, node));
                }
            }
            Event::SwitchMaster { name, old, new } => {
                for node in [old, new].into_iter().filter_map(|addr| setting.node_at(addr)) {
                    self.down.remove(&(sentinel, node));
                }
                if let Some(group) = setting.group_named(name.as_str()) {
                    self.masters.insert((sentinel, group), new.clone());
                }
            }
            Event::ResetMaster(subject) | Event::Unmonitor(subject) => {
                let group = setting.group_named(subject.master().as_str());
                let of = |node: HostId| setting.nodes[node].as_ref().map(|it| it.1) == group;
                self.down.retain(|(by, node)| *by != sentinel || !of(*node));
                self.infos.retain(|(by, node), _| *by != sentinel || !of(*node));
            }
            Event::TiltEntered => {
                self.in_tilt.insert(sentinel);
            }
            Event::TiltExited => {
                self.in_tilt.remove(&sentinel);
            }
            _ => {}
        }
    }

    /// The settings of a group at a Sentinel, if it is known which are in force.
    pub(super) fn settings(&self, sentinel: HostId, group: usize) -> Option<&MasterSettings> {
        self.settings.get(&(sentinel, group)).map(AsRef::as_ref)
    }

    /// The last INFO of a node.
    pub(super) fn info(&self, sentinel: HostId, node: HostId) -> Option<&(Time, InfoFacts)> {
        self.infos.get(&(sentinel, node))
    }

    /// The last INFOs of the nodes of a group.
    pub(super) fn infos<'a>(
        &'a self,
        setting: &'a Setting,
        sentinel: HostId,
        group: usize,
    ) -> impl Iterator<Item = (HostId, &'a (Time, InfoFacts))> {
        let of_group = move |node: HostId| setting.nodes[node].as_ref().is_some_and(|(_, it)| *it == group);
        let all = self.infos.range((sentinel, 0)..(sentinel + 1, 0));
        all.map(|((_, node), it)| (*node, it)).filter(move |(node, _)| of_group(*node))
    }

    /// The node that a Sentinel holds for the master of a group.
    pub(super) fn master(&self, setting: &Setting, sentinel: HostId, group: usize) -> Option<HostId> {
        self.masters.get(&(sentinel, group)).and_then(|addr| setting.node_at(addr))
    }

    /// Whether a Sentinel says that a node is subjectively down.
    pub(super) fn is_down(&self, sentinel: HostId, node: HostId) -> bool {
        self.down.contains(&(sentinel, node))
    }

    /// Whether a Sentinel knows that it stood still, and does nothing.
    pub(super) fn in_tilt(&self, sentinel: HostId) -> bool {
        self.in_tilt.contains(&sentinel)
    }
}
