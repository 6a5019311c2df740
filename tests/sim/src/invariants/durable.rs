use std::collections::BTreeMap;

use sentinel_core::{Message, Snapshot};

use super::{Hello, Invariant, Observation, Setting, Sort};
use crate::{physics::HostId, time::Time};

/// Nothing that a Sentinel promises leaves it before it is on disk: epochs, votes, configurations.
#[derive(Debug, Default)]
pub(super) struct DurableFirst {
    disks: BTreeMap<HostId, Disk>,
}

#[derive(Debug, Default)]
struct Disk {
    current_epoch: u64,
    /// By the number of their group.
    masters: BTreeMap<usize, OnDisk>,
}

#[derive(Debug)]
struct OnDisk {
    addr: String,
    config_epoch: u64,
    leader_epoch: u64,
}

impl Disk {
    fn of(setting: &Setting, snapshot: &Snapshot) -> Self {
        let masters = snapshot.masters.iter().filter_map(|master| {
            let on_disk = OnDisk {
                addr: master.addr.to_string(),
                config_epoch: master.config_epoch.get(),
                leader_epoch: master.leader_epoch.get(),
            };
            Some((setting.group_named(master.name.as_str())?, on_disk))
        });
        Disk { current_epoch: snapshot.current_epoch.get(), masters: masters.collect() }
    }

    fn hello(&self, setting: &Setting, hello: &Hello<'_>) -> Result<(), String> {
        if hello.current_epoch > self.current_epoch {
            return Err(format!("a hello tells epoch {}, on disk is {}", hello.current_epoch, self.current_epoch));
        }
        let Some(master) = setting.group_named(hello.master).and_then(|group| self.masters.get(&group)) else {
            return Ok(());
        };
        if hello.config_epoch > master.config_epoch {
            return Err(format!(
                "a hello tells config epoch {}, on disk is {}",
                hello.config_epoch, master.config_epoch
            ));
        }
        if hello.config_epoch == master.config_epoch && hello.config_epoch > 0 && !hello.is_at(setting, &master.addr) {
            return Err(format!("a hello tells {hello:?}, on disk is {}", master.addr));
        }
        Ok(())
    }

    /// A vote for somebody in an epoch must be on disk as used.
    fn vote(&self, group: usize, epoch: u64) -> Result<(), String> {
        if epoch > self.current_epoch {
            return Err(format!("a vote shows epoch {epoch}, on disk is {}", self.current_epoch));
        }
        match self.masters.get(&group) {
            Some(master) if master.leader_epoch < epoch => {
                Err(format!("a vote in epoch {epoch} is shown, on disk is {}", master.leader_epoch))
            }
            _ => Ok(()),
        }
    }
}

impl Invariant for DurableFirst {
    fn rule(&self) -> &'static str {
        "nothing is visible before it is durable"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Said, Sort::Other]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { sentinel, snapshot } | Observation::Durable { sentinel, snapshot } => {
                self.disks.insert(*sentinel, Disk::of(setting, snapshot));
                Ok(())
            }
            Observation::Said { sentinel, hello: Some(hello) } => {
                let Some(disk) = self.disks.get(sentinel) else { return Ok(()) };
                disk.hello(setting, hello).map_err(|what| format!("Sentinel {sentinel}: {what}"))
            }
            Observation::Sent { sentinel, message, .. } => {
                let Some(disk) = self.disks.get(sentinel) else { return Ok(()) };
                let found = match message {
                    Message::IsMasterDown { addr, epoch, candidate: Some(_), .. } => match setting.group_at(addr) {
                        Some(group) => disk.vote(group, epoch.get()),
                        None => Ok(()),
                    },
                    Message::IsMasterDown { epoch, .. } if epoch.get() > disk.current_epoch => {
                        Err(format!("a question tells epoch {epoch}, on disk is {}", disk.current_epoch))
                    }
                    _ => Ok(()),
                };
                found.map_err(|what| format!("Sentinel {sentinel}: {what}"))
            }
            Observation::Voted { sentinel, group, verdict: Some(verdict) } if verdict.leader.is_some() => {
                let Some(disk) = self.disks.get(sentinel) else { return Ok(()) };
                disk.vote(*group, verdict.epoch).map_err(|what| format!("Sentinel {sentinel}: {what}"))
            }
            _ => Ok(()),
        }
    }
}
