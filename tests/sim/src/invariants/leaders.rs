use std::collections::BTreeMap;

use super::{Candidacies, Invariant, Observation, Setting};
use crate::{physics::HostId, time::Time};

/// At most one leader for each master and epoch.
#[derive(Debug, Default)]
pub(super) struct OneLeader {
    candidacies: Candidacies,
    leaders: BTreeMap<(usize, u64), HostId>,
}

impl Invariant for OneLeader {
    fn rule(&self) -> &'static str {
        "at most one leader for each master and epoch"
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.candidacies.observe(setting, observation);
        let Observation::Elected { sentinel, group, forced: false } = observation else { return Ok(()) };
        let epoch = self.candidacies.of(*sentinel, *group);
        let first = *self.leaders.entry((*group, epoch)).or_insert(*sentinel);
        if first == *sentinel {
            Ok(())
        } else {
            Err(format!("Sentinels {first} and {sentinel} both lead the failover of {group} in epoch {epoch}"))
        }
    }
}
