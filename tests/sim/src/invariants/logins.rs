use std::collections::BTreeMap;

use sentinel_core::{
    DownCause,
    events::{Event, Subject},
};

use super::{Invariant, Observation, Setting, told::Told};
use crate::{physics::HostId, time::Time};

/// A data node that does not let a Sentinel in is alive: none that has just said so is subjectively down for its silence.
#[derive(Debug, Default)]
pub(super) struct Alive {
    told: Told,
    shut_out: BTreeMap<(HostId, HostId), Time>,
}

impl Invariant for Alive {
    fn rule(&self) -> &'static str {
        "a node that refuses the login is not held for dead"
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.told.observe(now, setting, observation);
        match observation {
            Observation::ShutOut { sentinel, by } => {
                self.shut_out.insert((*sentinel, *by), now);
            }
            Observation::Started { sentinel, .. } => self.shut_out.retain(|(by, _), _| by != sentinel),
            Observation::Event { sentinel, event: Event::SubjectivelyDown { subject, cause } } => {
                let (Subject::Master { addr, .. } | Subject::Replica { addr, .. }) = subject else { return Ok(()) };
                let Some(node) = setting.node_at(addr) else { return Ok(()) };
                // For its role, or as it was asked for, a master may be down whatever it answers. A RESET does not make a Sentinel forget
                // what its master was.
                let told = self.told.info(*sentinel, node).is_some_and(|(_, facts)| facts.replica);
                let replica = told || *cause == DownCause::WrongRole;
                let guarded = setting.guards.empty_master_failover || setting.guards.promote_best_effort;
                let of_role = matches!(subject, Subject::Master { .. }) && (replica || guarded);
                // The least down-after that an operator sets here.
                let lately =
                    self.shut_out.get(&(*sentinel, node)).is_some_and(|at| now - at < setting.down_after.min(SHORTEST));
                if lately && !of_role {
                    return Err(format!(
                        "Sentinel {sentinel} holds node {node} for down, which has just refused its login"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// No down-after is shorter.
const SHORTEST: Time = crate::time::SEC / 2;
