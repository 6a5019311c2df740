use std::collections::{BTreeMap, BTreeSet};

use super::{Candidacies, Invariant, Observation, Setting, Sort};
use crate::time::Time;

/// One master address for each configuration epoch.
///
/// A forced failover takes an epoch that no majority has granted: cut off from the others, two can make the same one.
/// That cannot be prevented without refusing the operator; what must hold then is that all agree in the end.
#[derive(Debug, Default)]
pub(super) struct OneMaster {
    candidacies: Candidacies,
    forced: BTreeSet<(usize, u64)>,
    told: BTreeMap<(usize, u64), String>,
}

impl Invariant for OneMaster {
    fn rule(&self) -> &'static str {
        "one master for each configuration epoch"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said, Sort::Other]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.candidacies.observe(setting, observation);
        if let Observation::Elected { sentinel, group, forced: true } = observation {
            self.forced.insert((*group, self.candidacies.of(*sentinel, *group)));
        }
        let Observation::Said { sentinel, hello: Some(hello) } = observation else { return Ok(()) };
        let Some(group) = setting.group_named(hello.master) else { return Ok(()) };
        if hello.config_epoch == 0 {
            // Nobody elected that one: it is what an operator wrote.
            return Ok(());
        }
        let first = self.told.entry((group, hello.config_epoch)).or_insert_with(|| hello.addr());
        if hello.is_at(setting, first) || self.forced.contains(&(group, hello.config_epoch)) {
            Ok(())
        } else {
            Err(format!(
                "config epoch {} of {} was {first}, Sentinel {sentinel} says {}",
                hello.config_epoch,
                hello.master,
                hello.addr()
            ))
        }
    }
}
