use std::collections::BTreeMap;

use sentinel_core::{
    NoMaster,
    events::{Event, Subject},
    settings::MasterSettings,
};

use super::{Invariant, Observation, Setting, Sort, told::Told};
use crate::{physics::HostId, time::Time};

/// What a guard was asked to act on is acted on in the same instant: with `empty-master-failover` an empty master, with
/// `promote-best-effort` one that follows a replica of its own, is subjectively down as soon as it is told.
#[derive(Debug, Default)]
pub(super) struct Heeded {
    told: Told,
    /// Which master must be down now, to whom.
    due: BTreeMap<HostId, (Time, HostId)>,
}

impl Heeded {
    fn found(
        &mut self,
        now: Time,
        setting: &Setting,
        sentinel: HostId,
        subject: &Subject,
        asked_for: fn(&MasterSettings) -> bool,
    ) {
        let Subject::Master { addr, name } = subject else { return };
        let (Some(node), Some(group)) = (setting.node_at(addr), setting.group_named(name.as_str())) else { return };
        if self.told.settings(sentinel, group).is_some_and(asked_for)
            && !self.told.is_down(sentinel, node)
            && !self.told.in_tilt(sentinel)
        {
            self.due.insert(sentinel, (now, node));
        }
    }

    fn by(observation: &Observation<'_>) -> HostId {
        match observation {
            Observation::Started { sentinel, .. }
            | Observation::Durable { sentinel, .. }
            | Observation::LinkUp { sentinel, .. }
            | Observation::LinkDown { sentinel, .. }
            | Observation::ShutOut { sentinel, .. }
            | Observation::Heard { sentinel, .. }
            | Observation::Said { sentinel, .. }
            | Observation::Sent { sentinel, .. }
            | Observation::Answered { sentinel, .. }
            | Observation::Voted { sentinel, .. }
            | Observation::Event { sentinel, .. }
            | Observation::Elected { sentinel, .. }
            | Observation::Operator { sentinel, .. } => *sentinel,
        }
    }
}

impl Invariant for Heeded {
    fn rule(&self) -> &'static str {
        "what a guard was asked to act on is acted on at once"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said, Sort::Other]
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        let guards = &setting.guards;
        if !guards.empty_master_failover && !guards.promote_best_effort {
            return Ok(());
        }
        self.told.observe(now, setting, observation);
        let by = Heeded::by(observation);
        match observation {
            Observation::Started { sentinel, .. } => {
                self.due.remove(sentinel);
            }
            Observation::Event { sentinel, event } => match event {
                Event::EmptyMaster { subject, .. } => {
                    self.found(now, setting, *sentinel, subject, |settings| settings.empty_master_failover);
                }
                Event::NoMaster { subject, why } if !matches!(why, NoMaster::FollowsStranger(_)) => {
                    self.found(now, setting, *sentinel, subject, |settings| settings.promote_best_effort);
                }
                _ => {}
            },
            _ => {}
        }
        match self.due.get(&by) {
            Some((_, node)) if self.told.is_down(by, *node) => {
                self.due.remove(&by);
                Ok(())
            }
            Some((at, node)) if *at < now => {
                Err(format!("Sentinel {by} has told what is wrong with the master, node {node}, and lets it be"))
            }
            _ => Ok(()),
        }
    }
}
