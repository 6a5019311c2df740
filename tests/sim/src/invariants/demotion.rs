use std::collections::BTreeMap;

use sentinel_core::{
    Message,
    command::Change,
    events::{Event, Subject},
};

use super::{Invariant, Observation, Setting, Sort};
use crate::{physics::HostId, time::Time};

/// No Sentinel turns the master of the newest configuration it has heard of into a replica: what that master
/// acknowledged would be lost.
#[derive(Debug, Default)]
pub(super) struct KeepTheMaster {
    /// The newest configuration that each Sentinel has heard of: its epoch and its master, none if two are named.
    heard: BTreeMap<(HostId, usize), (u64, Option<String>)>,
    /// To whom a master has handed over for a Sentinel: it acknowledges nothing any more, and nothing is lost.
    handed_over: BTreeMap<(HostId, usize), String>,
}

impl KeepTheMaster {
    fn learn(&mut self, setting: &Setting, sentinel: HostId, name: &str, epoch: u64, addr: &str) {
        let Some(group) = setting.group_named(name) else { return };
        let known = self.heard.entry((sentinel, group)).or_insert((0, None));
        if epoch > known.0 {
            *known = (epoch, Some(addr.to_owned()));
        } else if epoch == known.0 && !known.1.as_deref().is_some_and(|known| setting.is_one_place(known, addr)) {
            known.1 = None;
        }
    }
}

impl Invariant for KeepTheMaster {
    fn rule(&self) -> &'static str {
        "the master of the newest known configuration is not demoted"
    }

    fn looks_at(&self) -> &'static [Sort] {
        &[Sort::Heard, Sort::Other]
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Started { sentinel, .. } => self.heard.retain(|(of, _), _| of != sentinel),
            Observation::Operator { sentinel, change: Change::Monitor(new) } => {
                if let Some(group) = setting.group_named(new.name.as_str()) {
                    self.heard.remove(&(*sentinel, group));
                }
            }
            Observation::Heard { sentinel, hello } => {
                let Some(group) = setting.group_named(hello.master) else { return Ok(()) };
                let known = self.heard.get(&(*sentinel, group));
                let old = known.is_some_and(|(epoch, addr)| {
                    hello.config_epoch < *epoch
                        || hello.config_epoch == *epoch && addr.as_ref().is_none_or(|addr| hello.is_at(setting, addr))
                });
                if !old {
                    self.learn(setting, *sentinel, hello.master, hello.config_epoch, &hello.addr());
                }
            }
            // Its own ones, too.
            Observation::Durable { sentinel, snapshot } => {
                for it in &snapshot.masters {
                    self.learn(setting, *sentinel, it.name.as_str(), it.config_epoch.get(), &it.addr.to_string());
                }
            }
            Observation::Event { sentinel, event: Event::HandedOver(Subject::Replica { addr, master, .. }) } => {
                if let Some(group) = setting.group_named(master.as_str()) {
                    self.handed_over.insert((*sentinel, group), addr.to_string());
                }
            }
            Observation::Event { sentinel, event: Event::TryFailover(subject) } => {
                if let Some(group) = setting.group_named(subject.master().as_str()) {
                    self.handed_over.remove(&(*sentinel, group));
                }
            }
            Observation::Sent { sentinel, to, message: Message::Replicate { of, .. } } => {
                let Some((addr, group)) = &setting.nodes[*to] else { return Ok(()) };
                if self
                    .handed_over
                    .get(&(*sentinel, *group))
                    .is_some_and(|to| setting.is_one_place(to, &of.to_string()))
                {
                    return Ok(());
                }
                if let Some((epoch, Some(master))) = self.heard.get(&(*sentinel, *group))
                    && setting.is_one_place(master, &addr.to_string())
                {
                    return Err(format!(
                        "Sentinel {sentinel} has heard that {addr} is the master in epoch {epoch}, and lets it follow {of}"
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}
