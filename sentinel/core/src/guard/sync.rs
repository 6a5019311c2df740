//! What is remembered of a node that is in sync, for the time when it has been restarted from a file that tells no offset and
//! the master is away: only one that was in sync, and holds what it held then, is promoted without an operator's order.
//!
//! It is written, too, but not with every key: when a node is first known to be in sync, and when what it holds has become
//! twice as much, half as much, nothing, or more than nothing.

use std::time::Duration;

use crate::{
    guard::Restart,
    state::{InSync, NodeId},
    types::HostPort,
    view::Role,
    watch::Watch,
};

/// Not more often than this the state is written for the sake of a number of keys.
const WRITTEN_EVERY: Duration = Duration::from_secs(60);

impl Watch<'_> {
    /// INFO of a node has come.
    pub(crate) fn judge_sync(&mut self, id: NodeId) {
        let is_master = id == self.master.current;
        // While the master may have come back without its data, what it and its followers hold says nothing.
        let doubtful = matches!(self.master.node().restart, Some(Restart::Unclear | Restart::Empty { .. }));
        let doubtful = doubtful && self.is_perhaps_empty();
        let (now, of) = (self.ctx.mono(), self.master.addr().clone());
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if node.stranger {
            return;
        }
        match node.info.role {
            Some(Role::Replica) => {
                node.was_replica.clone_from(&node.info.run_id);
                if node.info.link_up {
                    node.was_master = None;
                }
            }
            Some(Role::Master) if is_master || node.former_master => node.was_master = None,
            // One that was a replica and has become a master without a restart has not lost anything by that.
            Some(Role::Master) if node.was_replica_before() => {}
            Some(Role::Master) => node.was_master.clone_from(&node.info.run_id),
            None => {}
        }
        let linked = node.role == Role::Replica && node.info.link_up && node.info.follows(&of, &self.ctx.names);
        let right = if is_master { node.info.role == Some(Role::Master) } else { linked };
        if doubtful || !right || node.info.holdings.is_loading() {
            return;
        }
        let keys = node.info.holdings.keys_told();
        let before = node.in_sync.replace(InSync { keys });
        let holds = keys.is_some_and(|keys| keys > 0);
        let held = self.master.holds_data;
        self.master.holds_data = holds || held && (!is_master || keys.is_none());
        let unwritten = match (keys, node.keys_written) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some(then)) => (now == 0) != (then == 0) || now > 2 * then || then > 2 * now,
        };
        let news = before.is_none() || held != self.master.holds_data;
        let due = self.master.keys_written_at.is_none_or(|at| now.since(at) >= WRITTEN_EVERY);
        if unwritten && (news || due) {
            self.master.keys_written_at = Some(now);
            for node in self.master.nodes.values_mut() {
                node.keys_written = node.in_sync.as_ref().and_then(|it| it.keys);
            }
            self.persist();
        }
    }

    /// What was known before this Sentinel was restarted.
    pub(crate) fn restore_sync(&mut self, addr: &HostPort, keys: u64) {
        let Some(id) = self.master.node_at(addr, &self.ctx.names) else { return };
        if let Some(node) = self.master.nodes.get_mut(id) {
            node.in_sync = Some(InSync { keys: Some(keys) });
            node.keys_written = Some(keys);
            self.master.holds_data |= keys > 0;
        }
    }
}
