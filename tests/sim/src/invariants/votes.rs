use std::collections::BTreeMap;

use sentinel_core::Message;

use super::{Invariant, Observation, Setting};
use crate::{physics::HostId, time::Time};

/// One vote for each Sentinel, master and epoch, across crashes.
#[derive(Debug, Default)]
pub(super) struct OneVote {
    given: BTreeMap<(HostId, usize, u64), String>,
}

impl OneVote {
    fn note(&mut self, voter: HostId, group: usize, epoch: u64, leader: &str) -> Result<(), String> {
        let first = self.given.entry((voter, group, epoch)).or_insert_with(|| leader.to_owned());
        if first == leader {
            Ok(())
        } else {
            Err(format!("Sentinel {voter} votes for {first} and for {leader} in epoch {epoch} of group {group}"))
        }
    }
}

impl Invariant for OneVote {
    fn rule(&self) -> &'static str {
        "one vote for each Sentinel, master and epoch"
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        match observation {
            Observation::Voted { sentinel, group, verdict: Some(verdict) } => match &verdict.leader {
                Some(leader) => self.note(*sentinel, *group, verdict.epoch, leader),
                None => Ok(()),
            },
            // Whoever asks for votes has given its own to itself.
            Observation::Sent {
                sentinel,
                message: Message::IsMasterDown { addr, epoch, candidate: Some(candidate), .. },
                ..
            } => match setting.group_at(addr) {
                Some(group) => self.note(*sentinel, group, epoch.get(), candidate.as_str()),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
