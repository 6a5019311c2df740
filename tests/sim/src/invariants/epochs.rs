use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{Snapshot, command::Change};

use super::{Invariant, Observation, Setting, Sort};
use crate::{physics::HostId, time::Time};

/// Epochs never go back: not on disk, not across a restart, not in what others hear. No configuration is of a later epoch than
/// the current one.
#[derive(Debug, Default)]
pub(super) struct Forward {
    current: BTreeMap<HostId, u64>,
    told: BTreeMap<HostId, u64>,
    config: BTreeMap<(HostId, usize), u64>,
    config_told: BTreeMap<(HostId, usize), u64>,
    leader: BTreeMap<(HostId, usize), u64>,
    /// Masters that were put under watch anew: what was being written before may still come to the disk.
    renewed: BTreeSet<(HostId, usize)>,
}

fn raise<K: Ord>(highest: &mut BTreeMap<K, u64>, key: K, value: u64) -> Result<(), u64> {
    let known = highest.entry(key).or_insert(0);
    if value < *known {
        return Err(*known);
    }
    *known = value;
    Ok(())
}

impl Forward {
    fn snapshot(&mut self, setting: &Setting, sentinel: HostId, snapshot: &Snapshot) -> Result<(), String> {
        raise(&mut self.current, sentinel, snapshot.current_epoch.get()).map_err(|was| {
            format!("the epoch on Sentinel {sentinel}'s disk was {was}, is {}", snapshot.current_epoch)
        })?;
        for master in &snapshot.masters {
            if master.config_epoch > snapshot.current_epoch {
                return Err(format!(
                    "on Sentinel {sentinel}'s disk the config epoch of {} is {}, the current one {}",
                    master.name, master.config_epoch, snapshot.current_epoch
                ));
            }
            let Some(group) = setting.group_named(master.name.as_str()) else { continue };
            let key = (sentinel, group);
            let was = self.config.get(&key).copied().unwrap_or(0);
            if master.config_epoch.get() < was && self.renewed.remove(&key) {
                self.config.remove(&key);
                self.leader.remove(&key);
            }
            raise(&mut self.config, key, master.config_epoch.get()).map_err(|was| {
                format!(
                    "the config epoch of {} on Sentinel {sentinel}'s disk was {was}, is {}",
                    master.name, master.config_epoch
                )
            })?;
            raise(&mut self.leader, key, master.leader_epoch.get()).map_err(|was| {
                format!(
                    "the vote epoch of {} on Sentinel {sentinel}'s disk was {was}, is {}",
                    master.name, master.leader_epoch
                )
            })?;
        }
        Ok(())
    }
}

impl Invariant for Forward {
    fn rule(&self) -> &'static str {
        "epochs never go back"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said, Sort::Other]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { sentinel, snapshot } => {
                let told = self.told.get(sentinel).copied().unwrap_or(0);
                if snapshot.current_epoch.get() < told {
                    return Err(format!(
                        "Sentinel {sentinel} told epoch {told} and starts again at {}",
                        snapshot.current_epoch
                    ));
                }
                self.snapshot(setting, *sentinel, snapshot)
            }
            Observation::Durable { sentinel, snapshot } => self.snapshot(setting, *sentinel, snapshot),
            Observation::Said { sentinel, hello } => {
                let Some(hello) = hello else { return Err(format!("what Sentinel {sentinel} says is no hello")) };
                let Some(group) = setting.group_named(hello.master) else {
                    return Err(format!("Sentinel {sentinel} tells of {}, which nobody has named", hello.master));
                };
                if hello.config_epoch > hello.current_epoch {
                    return Err(format!("Sentinel {sentinel} tells a config epoch beyond the current one: {hello:?}"));
                }
                raise(&mut self.told, *sentinel, hello.current_epoch)
                    .map_err(|was| format!("Sentinel {sentinel} told epoch {was} and now {}", hello.current_epoch))?;
                raise(&mut self.config_told, (*sentinel, group), hello.config_epoch)
                    .map_err(|was| format!("Sentinel {sentinel} told config epoch {was} and now {hello:?}"))
            }
            // Whoever is told to watch a master anew begins without a configuration.
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                let Some(group) = setting.group_named(new.name.as_str()) else { return Ok(()) };
                let key = (*sentinel, group);
                self.config.remove(&key);
                self.config_told.remove(&key);
                self.leader.remove(&key);
                self.renewed.insert(key);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
