use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::command::Change;

use super::{Candidacies, Invariant, Observation, Setting, Verdict};
use crate::{physics::HostId, time::Time};

/// A leader that nobody forced has the votes of a majority and of the quorum.
#[derive(Debug, Default)]
pub(super) struct Majority {
    candidacies: Candidacies,
    /// Who told whom that it voted for it, in which epoch.
    votes: BTreeMap<(HostId, u64), BTreeSet<HostId>>,
    /// Sentinels that were told to forget others: their majority is over those they know.
    forgetful: BTreeSet<HostId>,
}

impl Invariant for Majority {
    fn rule(&self) -> &'static str {
        "a leader has the votes of a majority and of the quorum"
    }

    fn observe(&mut self, _now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        self.candidacies.observe(setting, observation);
        match observation {
            Observation::Answered { sentinel, from, reply, .. } => {
                if let Some(verdict) = Verdict::read(reply)
                    && verdict.leader.as_deref() == setting.ids[*sentinel].as_ref().map(|id| id.as_str())
                {
                    self.votes.entry((*sentinel, verdict.epoch)).or_default().insert(*from);
                }
                Ok(())
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
