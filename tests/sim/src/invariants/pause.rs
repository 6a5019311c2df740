use std::collections::BTreeMap;

use sentinel_core::events::Event;

use super::{Invariant, Observation, Setting, told::Told};
use crate::{
    physics::HostId,
    time::{SEC, Shown, Time},
};

/// With `failover-pause` no Sentinel leads a second failover by itself before the pause is over, counted from the last
/// switch that it knows of. An operator's is done. What it knows of it forgets in a restart, and when it is told to.
#[derive(Debug, Default)]
pub(super) struct Pause {
    switched: BTreeMap<(HostId, usize), Time>,
    /// When the master last showed a handover.
    handovers: BTreeMap<(HostId, usize), Time>,
    told: Told,
}

/// A candidacy is decided on what INFO shows, and won after a write to the disk and the votes.
const CANDIDACY: Time = 5 * SEC;

impl Pause {
    /// Whether the master was a replica, or handing over, when it told INFO last.
    fn shows_handover(&self, setting: &Setting, sentinel: HostId, group: usize) -> bool {
        let master = self.told.master(setting, sentinel, group);
        let info = master.and_then(|master| self.told.info(sentinel, master));
        info.is_some_and(|(_, facts)| facts.replica || facts.handing_over)
    }
}

impl Invariant for Pause {
    fn rule(&self) -> &'static str {
        "no automatic failover within failover-pause of a switch"
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        let pause = setting.guards.failover_pause;
        if pause > 0 {
            self.told.observe(now, setting, observation);
            if let Observation::Answered { sentinel, from, facts: Some(_), .. } = observation
                && let Some((_, group)) = &setting.nodes[*from]
                && self.shows_handover(setting, *sentinel, *group)
            {
                self.handovers.insert((*sentinel, *group), now);
            }
        }
        match observation {
            _ if pause == 0 => {}
            Observation::Started { sentinel, .. } => self.switched.retain(|(by, _), _| by != sentinel),
            // RESET in the middle of a switch tells the switch first.
            Observation::Event { sentinel, event: Event::ResetMaster(subject) | Event::Unmonitor(subject) } => {
                if let Some(group) = setting.group_named(subject.master().as_str()) {
                    self.switched.remove(&(*sentinel, group));
                }
            }
            Observation::Event { sentinel, event: Event::SwitchMaster { name, .. } } => {
                let group = setting.group_named(name.as_str());
                self.switched.extend(group.map(|group| ((*sentinel, group), now)));
            }
            // The nodes have moved by themselves, or are about to: that is no failover of a Sentinel's making.
            Observation::Elected { sentinel, group, forced: false }
                if self.handovers.get(&(*sentinel, *group)).is_some_and(|at| now < *at + CANDIDACY) =>
            {
                // Where the nodes do not answer by then it comes to nothing, and is tried again.
                self.handovers.insert((*sentinel, *group), now);
            }
            Observation::Elected { sentinel, group, forced: false } => {
                if let Some(at) = self.switched.get(&(*sentinel, *group)).filter(|at| now < **at + pause) {
                    return Err(format!(
                        "Sentinel {sentinel} leads a failover of group {group}, whose last switch was at {}; \
                         failover-pause is {} s",
                        Shown(*at),
                        pause / SEC
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
