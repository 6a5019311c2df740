//! Fencing: a node that should be a replica, and says that it is a master.

use std::time::Duration;

use crate::{
    events::Event,
    planted::{Bug, planted},
    state::NodeId,
    time::Instant,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// Whether the configured master can be trusted with more replicas: it says it is one, is not down, and has said
    /// so lately.
    pub(crate) fn master_looks_sane(&self) -> bool {
        let node = self.master.node();
        // After a switch it is held for a master before it has said so.
        node.role == Role::Master
            && node.info.role == Some(Role::Master)
            && node.sdown_since.is_none()
            && self.master.odown_since.is_none()
            && node.info_at.is_some_and(|at| self.ctx.mono().since(at) < 2 * self.ctx.timing.info_period)
    }

    /// A node that should be a replica says it is a master.
    ///
    /// A departure: one that is known to have been the master before the present configuration is turned into a
    /// replica at once, if this Sentinel led the switch or a majority announces it. Any other, as in the reference,
    /// must have said so for 4 hello periods (8 s) without having been down: it may be another leader's promotion.
    pub(crate) fn consider_fencing(&mut self, id: NodeId) {
        let switching = self.master.failover.as_ref().is_some_and(|failover| !failover.has_switched());
        let Some(node) = self.master.nodes.get(id) else { return };
        if id == self.master.current
            || node.role != Role::Master
            || node.info_at.is_none()
            || switching
            // It may be the master of the newer configuration that is being written.
            || self.master.adopting.is_some()
            || !node.link.is_up()
            || self.is_being_pointed(id)
            || !self.master_looks_sane()
            || planted(Bug::NeverFence)
        {
            return;
        }
        let known_former = node.former_master && self.configuration_established();
        if !known_former {
            if self.may_be_newer_master(node) {
                return;
            }
            let calm = 4 * self.ctx.timing.publish_period;
            let due = (node.role_since + calm).max(node.last_sdown_at.map_or(Instant::ZERO, |at| at + calm));
            if due >= self.ctx.mono() {
                self.look_again_by(id, due + Duration::from_millis(1));
                return;
            }
        }
        if !self.was_ordered_within(self.ctx.timing.urgent_info_period, id) {
            self.demote(id);
        }
    }

    /// Points a node that says it is a master at the real one.
    pub(crate) fn demote(&mut self, id: NodeId) {
        if self.order_to_follow(id) {
            self.node_event(id, Event::ConvertToReplica);
        }
    }
}
