//! Promoting the chosen replica, and knowing at once that it is a master.

use crate::{
    events::Event,
    failover::{CandidateLost, Failover, Phase},
    output::Message,
    pending::Pending,
    role_change::Omitted,
    state::{Asked, NodeId},
    watch::Watch,
};

impl Watch<'_> {
    /// A replica is chosen.
    pub(crate) fn begin_promotion(&mut self, replica: NodeId) {
        self.node_event(replica, Event::SelectedReplica);
        self.warn_of_older_nodes(replica);
        match self.request_handover(replica) {
            Ok(true) => {}
            Ok(false) => self.promote(replica),
            Err(why) => self.stay_with_master(replica, why),
        }
    }

    /// Makes the chosen replica a master, as soon as its link is up.
    pub(crate) fn promote(&mut self, replica: NodeId) {
        self.node_event(replica, Event::StateSendReplicaofNoOne);
        self.enter(Phase::Promoting { replica });
        let deadline = self.ctx.mono() + self.master.settings.failover_timeout;
        self.arm_phase(deadline);
        self.send_promotion(replica);
        if !self.master.nodes.get(replica).is_some_and(|node| node.link.is_up()) {
            self.candidate_lost(replica, CandidateLost::Disconnected);
        }
    }

    /// Sends the transaction; INFO behind it in the same write shows the new role at once. A departure: the reference
    /// waits for its next periodic INFO.
    fn send_promotion(&mut self, replica: NodeId) {
        let sent_at = self.ctx.mono();
        if self.ctx.in_tilt() || !self.order_promotion(replica, self.usual_order(replica)) {
            return;
        }
        let first = matches!(self.master.failover, Some(Failover { phase: Phase::Promoting { .. }, .. }));
        if first {
            self.node_event(replica, Event::StateWaitPromotion);
            let deadline = sent_at + self.master.settings.failover_timeout;
            self.arm_phase(deadline);
        }
        self.enter(Phase::Confirming { replica, sent_at });
    }

    /// Tells a node to be a master, without what it would refuse the whole order for.
    pub(crate) fn order_promotion(&mut self, id: NodeId, omitted: Omitted) -> bool {
        self.send_to(id, Asked::Promote { omitted }, Message::Promote { omitted })
    }

    /// A link came up: if the chosen replica was waited for, go on.
    pub(crate) fn promotion_link_up(&mut self, id: NodeId) {
        if matches!(self.master.failover, Some(Failover { phase: Phase::Promoting { replica }, .. }) if replica == id) {
            self.send_promotion(id);
        }
    }

    /// Whether this node is expected to say that it is a master.
    pub(crate) fn awaits_promotion_of(&self, id: NodeId) -> bool {
        matches!(self.master.failover, Some(Failover { phase: Phase::Confirming { replica, .. }, .. }) if replica == id)
    }

    /// The chosen replica says that it still is a replica: the order is repeated, once a second at most.
    pub(crate) fn promotion_missing(&mut self, id: NodeId) {
        let Some(Failover { phase: Phase::Confirming { replica, sent_at }, .. }) = self.master.failover else { return };
        let waiting = self
            .master
            .nodes
            .get(id)
            .is_some_and(|node| node.link.in_flight.any(|it| matches!(it, Asked::Promote { .. })));
        let again = sent_at + self.ctx.timing.urgent_info_period;
        if replica == id && !waiting && again <= self.ctx.mono() {
            self.send_promotion(id);
        }
    }

    /// The chosen replica is a master. The new configuration is written before anybody hears of it.
    pub(crate) fn promotion_acknowledged(&mut self, replica: NodeId) {
        let Some(failover) = &self.master.failover else { return };
        let epoch = failover.epoch;
        self.enter(Phase::Recording { replica });
        self.persist_promise();
        self.ctx.once_durable(Pending::Switch { master: self.master.key, epoch });
    }

    /// The promotion could not be written: nobody hears of it until it can be. The other Sentinels find that this one
    /// has fallen silent, and lead a failover themselves ([`Watch::doubt_silent_leader`]); a configuration of theirs
    /// ends this one. Announced all the same, it would be forgotten by a crash, and the old address told again.
    pub(crate) fn tell_unsaved_promotion(&mut self, error: &str) {
        if let Some(Failover { phase: Phase::Recording { replica }, .. }) = self.master.failover {
            self.node_event(replica, |subject| Event::PromotionNotSaved { subject, error: error.into() });
        }
    }
}
