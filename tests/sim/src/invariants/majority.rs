use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::{command::Change, events::Event};

use super::{Candidacies, Invariant, Observation, Setting, Verdict};
use crate::{
    physics::HostId,
    time::{SEC, Time},
};

/// A leader that nobody forced has the votes of a majority and of the quorum; a master is objectively down when the
/// quorum says so.
#[derive(Debug, Default)]
pub(super) struct Majority {
    candidacies: Candidacies,
    /// Who told whom that it voted for it, in which epoch.
    votes: BTreeMap<(HostId, u64), BTreeSet<HostId>>,
    /// When a peer last told a Sentinel that the master of a group is down. Answers do not say which master they are
    /// about, so any counts.
    opinions: BTreeMap<(HostId, HostId), Time>,
    /// Sentinels that were told to forget others: their majority is over those they know.
    forgetful: BTreeSet<HostId>,
}

impl Invariant for Majority {
    fn rule(&self) -> &'static str {
        "quorum and majority are respected"
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.candidacies.observe(setting, observation);
        match observation {
            // Its own answers count for nothing.
            Observation::Answered { sentinel, from, reply, .. } if sentinel != from => {
                let Some(verdict) = Verdict::read(reply) else { return Ok(()) };
                if verdict.down {
                    self.opinions.insert((*sentinel, *from), now);
                }
                if verdict.leader.as_deref() == setting.ids[*sentinel].as_ref().map(|id| id.as_str()) {
                    self.votes.entry((*sentinel, verdict.epoch)).or_default().insert(*from);
                }
                Ok(())
            }
            Observation::Event { sentinel, event: Event::ObjectivelyDown { .. } } => {
                let young = |at: &Time| now - at <= 6 * SEC;
                let others = self.opinions.iter().filter(|((of, _), at)| of == sentinel && young(at)).count();
                if 1 + others >= setting.quorum {
                    Ok(())
                } else {
                    Err(format!("Sentinel {sentinel} says that the master is objectively down, {others} others agree"))
                }
            }
            Observation::Operator { sentinel, change: Change::Reset { .. } | Change::Remove { .. } } => {
                self.forgetful.insert(*sentinel);
                Ok(())
            }
            Observation::Elected { sentinel, group, forced: false } => {
                let epoch = self.candidacies.of(*sentinel, *group);
                let votes = 1 + self.votes.get(&(*sentinel, epoch)).map_or(0, BTreeSet::len);
                let majority = if self.forgetful.contains(sentinel) { 1 } else { setting.sentinels() / 2 + 1 };
                let needed = majority.max(setting.quorum);
                if votes >= needed {
                    Ok(())
                } else {
                    Err(format!("Sentinel {sentinel} leads in epoch {epoch} with {votes} votes, {needed} are needed"))
                }
            }
            _ => Ok(()),
        }
    }
}
