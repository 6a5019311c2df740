use sentinel_core::events::{Event, Subject};

use super::{Invariant, Observation, Setting, told::Told};
use crate::{
    physics::HostId,
    time::{SEC, Time},
};

/// What is told of other nodes longer after a candidate's own INFO says nothing of how far it lags behind.
const COMPARABLE: Time = SEC;

/// With `max-lag` no node is chosen, by an election or by an operator, that lacks more of the stream than that, as far as
/// its Sentinel has been told.
#[derive(Debug, Default)]
pub(super) struct BoundedLag {
    told: Told,
}

impl BoundedLag {
    fn selected(&self, setting: &Setting, sentinel: HostId, node: HostId) -> Result<(), String> {
        let group = setting.nodes[node].as_ref().map_or(0, |(_, group)| *group);
        let most = self.told.settings(sentinel, group).and_then(|settings| settings.max_lag);
        let (Some(most), Some((at, info))) = (most, self.told.info(sentinel, node)) else { return Ok(()) };
        for (other, (when, theirs)) in self.told.infos(setting, sentinel, group) {
            let comparable = theirs.replid == info.replid && *when <= at + COMPARABLE && !theirs.foreign;
            if comparable && theirs.offset > info.offset + most.get() {
                return Err(format!(
                    "Sentinel {sentinel} selects node {node} at offset {}; node {other} has told {}, max-lag is {most}",
                    info.offset, theirs.offset
                ));
            }
        }
        Ok(())
    }
}

impl Invariant for BoundedLag {
    fn rule(&self) -> &'static str {
        "with max-lag no candidate lacks more than that"
    }

    fn observe(&mut self, now: Time, setting: &Setting, observation: &Observation<'_>) -> Result<(), String> {
        if setting.guards.max_lag.is_none() {
            return Ok(());
        }
        self.told.observe(now, setting, observation);
        if let Observation::Event { sentinel, event: Event::SelectedReplica(Subject::Replica { addr, .. }) } =
            observation
            && let Some(node) = setting.node_at(addr)
        {
            return self.selected(setting, *sentinel, node);
        }
        Ok(())
    }
}
