//! Replicas that follow another node than the master: when they are pointed at it.

use std::time::Duration;

use crate::{
    events::Event,
    planted::{Bug, planted},
    state::{LinkState, Node, NodeId},
    time::Instant,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// A replica that follows another master than the configured one is put right, once things have been quiet for
    /// failover-timeout: until then a failover may be under way elsewhere.
    pub(crate) fn consider_fixing(&mut self, id: NodeId) {
        let of = self.master.addr().clone();
        let quiet = self.master.settings.failover_timeout;
        let now = self.ctx.mono();
        let in_failover = self.master.failover.is_some() || self.master.adopting.is_some();
        let Some(node) = self.master.nodes.get(id) else { return };
        if planted(Bug::NeverFix)
            || node.info.source.is_none()
            || node.info.follows(&of, &self.ctx.names)
            || in_failover
            || self.is_being_pointed(id)
            || self.follows_newer_master(node)
        {
            return;
        }
        let calm = (node.source_changed_at + quiet).max(node.last_sdown_at.map_or(Instant::ZERO, |at| at + quiet));
        let due = self.left_behind_until(node).map_or(calm, |at| at.min(calm));
        if due < now && calm >= now && !self.a_replica_may_sync() {
            self.look_again_by(id, now + self.ctx.timing.urgent_info_period);
            return;
        }
        // One that is still handing over to another node would make that one a master when it answers.
        if due >= now && !self.is_stopped_from_handing_over(id) {
            self.look_again_by(id, due + Duration::from_millis(1));
            return;
        }
        if self.master_looks_sane()
            && !self.was_ordered_within(self.ctx.timing.info_period, id)
            && self.order_to_follow(id)
        {
            self.node_event(id, Event::FixReplicaConfig);
        }
    }

    /// From when on a replica is pointed at the master that was out of reach when the master moved: nobody could tell
    /// it then, and it follows the node of before.
    ///
    /// A departure: the reference leaves it there for `failover-timeout`, and a master that needs replicas to accept
    /// writes (`min-replicas-to-write`) accepts none meanwhile. Once the followed node has said that it follows the
    /// master itself, there is nothing to wait for. While that node is down, a majority must still announce the
    /// present configuration when an unexpected master would have been left alone for long enough (8 s): the node might
    /// be the master of a newer one that is not known here.
    fn left_behind_until(&self, node: &Node) -> Option<Instant> {
        let switched_at = self.master.switched_at?;
        let LinkState::Up { since, .. } = node.link.state else { return None };
        let back_at = node.restart_seen_at.map_or(since, |at| at.max(since));
        // Somebody has pointed it elsewhere since, or it has not been away.
        if node.source_changed_at > switched_at || back_at < switched_at {
            return None;
        }
        let source = self.master.node_at(&node.info.source_addr()?, &self.ctx.names)?;
        let source = self.master.nodes.get(source).filter(|source| source.id != self.master.current)?;
        // Said behind the switch, and not before the question that is still open.
        let said_since = source.info_asked_at.is_some_and(|asked| asked > switched_at && Some(asked) <= source.info_at);
        let follows = source.info.role == Some(Role::Replica)
            && source.info.follows(self.master.addr(), &self.ctx.names)
            && source.is_reachable();
        if follows && said_since {
            return self.configuration_established().then_some(Instant::ZERO);
        }
        let down = source.sdown_since.filter(|_| !node.info.link_up)?;
        let (alone, hello) = (back_at.max(down), self.ctx.timing.publish_period);
        let still = alone.max(self.ctx.mono().before(2 * hello));
        self.configuration_confirmed_since(still).then(|| alone + 4 * hello)
    }

    /// Whether one more may copy the master's data (`parallel-syncs`): those count that do, and those that were told to
    /// a moment ago.
    fn a_replica_may_sync(&self) -> bool {
        let (of, now) = (self.master.addr(), self.ctx.mono());
        let syncs = |node: &&Node| {
            let follows = node.info.follows(of, &self.ctx.names);
            let told = node.ordered_at.is_some_and(|at| now.since(at) < self.ctx.timing.urgent_info_period);
            node.link.is_up() && if follows { !node.info.link_up } else { told || self.is_being_pointed(node.id) }
        };
        self.master.replicas().filter(syncs).count() < self.master.settings.sync_places()
    }
}
