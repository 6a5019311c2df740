//! `SENTINEL FAILOVER ... COORDINATED` that does not come to its end: everything becomes as it was.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    events::Event,
    failover::{Failover, NotLossless, Phase},
    output::Message,
    state::{Asked, NodeId},
    view::Role,
    watch::Watch,
};

/// How long it is awaited who is the master after all. The servers need a second at most to undo it by themselves.
const UNDOING_LIMIT: Duration = Duration::from_secs(2);

impl Watch<'_> {
    /// The master has been told to go on, or cannot be told. Only its own word shows whether that came in time.
    pub(crate) fn undo_handover(&mut self, replica: NodeId, why: NotLossless) {
        self.enter(Phase::Undoing { replica, why, answered: false });
        let deadline = self.ctx.mono() + UNDOING_LIMIT;
        self.arm_phase(deadline);
        self.ask_info(replica);
    }

    /// The master's link is up again: now it can be told.
    pub(crate) fn undoing_link_up(&mut self, id: NodeId) {
        let waits = matches!(self.master.failover, Some(Failover { phase: Phase::Undoing { .. }, .. }));
        if waits && id == self.master.current {
            let unpause = self.is_paused(id);
            self.send_to(id, Asked::CallOff, Message::CallOff { unpause });
        }
    }

    /// The master answered to the order to go on. An error says that there was nothing to call off any more.
    pub(crate) fn call_off_answered(&mut self, id: NodeId) {
        self.freeing_answered(id);
        if let Some(Failover { phase: Phase::Undoing { answered, replica, .. }, .. }) = &mut self.master.failover
            && id == self.master.current
        {
            *answered = true;
            let replica = *replica;
            self.ask_info(id);
            self.ask_info(replica);
        }
    }

    /// The master says what it is, after it was told to go on.
    pub(crate) fn undoing_master_said(&mut self, role: Role) {
        let Some(Failover { phase: Phase::Undoing { replica, why, answered: true }, .. }) = &self.master.failover
        else {
            return;
        };
        let (replica, why) = (*replica, why.clone());
        match role {
            Role::Master => {
                // It may have taken over in the moment before.
                let took_over = self.master.nodes.get(replica).is_some_and(|node| node.role == Role::Master);
                self.stay_with_master(replica, why);
                if took_over {
                    self.demote(replica);
                } else if let Some(node) = self.master.nodes.get_mut(replica) {
                    // Should it turn out to be one.
                    node.former_master = true;
                    self.ask_info(replica);
                }
            }
            // Too late to call it off: it has handed over.
            Role::Replica => self.handed_over(replica),
        }
    }

    /// Nobody can tell. If the replica is the master and the old one does not contradict, that is how it is.
    pub(crate) fn undoing_timed_out(&mut self) {
        let Some(Failover { phase: Phase::Undoing { replica, why, .. }, .. }) = &self.master.failover else { return };
        let (replica, why) = (*replica, why.clone());
        let is = |id: NodeId, role| self.master.nodes.get(id).is_some_and(|it| it.is_reachable() && it.role == role);
        if is(replica, Role::Master) && !is(self.master.current, Role::Master) {
            self.handed_over(replica);
        } else {
            self.stay_with_master(replica, why);
        }
    }

    /// The master stays the master. Nothing was changed, so nothing needs a pause. The end has the names of Valkey 9.1: the
    /// master could not be given the order, or the promotion did not come of it.
    pub(crate) fn stay_with_master(&mut self, replica: NodeId, why: NotLossless) {
        let ordered = self.master.failover.as_ref().is_some_and(|failover| {
            matches!(failover.phase, Phase::Requesting { .. } | Phase::HandingOver { .. } | Phase::Undoing { .. })
        });
        let unreachable = matches!(why, NotLossless::MasterLost | NotLossless::MasterNotWell | NotLossless::NotNow);
        let end = if unreachable && !ordered { Event::AbortMasterTimeout } else { Event::AbortReplicaTimeout };
        self.node_event(replica, |subject| Event::NotLossless { subject, why });
        // It is called off already, if it was ever begun.
        self.enter(Phase::Selecting { waiting: BTreeSet::new() });
        self.master.not_before = self.ctx.mono();
        self.end_failover(end);
    }
}
