//! The chosen replica is lost before it is known to be a master: another one takes its place at once.
//!
//! A departure: the reference waits for it for failover-timeout, and as long again, doubled, before it tries another one.
//!
//! Whoever was told to be a master may have become one before it was lost. No client was told, and no configuration names
//! it: that is written and announced only once the role is seen, and only one node of an epoch ever is. When it comes
//! back as a master it is known for one that must not be, and demoted at once.

use std::fmt;

use crate::{events::Event, failover::Phase, state::NodeId, watch::Watch};

/// Why the chosen replica is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CandidateLost {
    /// It is subjectively down.
    SubjectivelyDown,
    /// Its host says that no process listens there any more.
    Refused,
    /// Its connection is gone, and nothing was sent to it yet.
    Disconnected,
    /// Another process, with data of another history, has taken its place.
    Replaced,
}

impl fmt::Display for CandidateLost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CandidateLost::SubjectivelyDown => "#it is subjectively down",
            CandidateLost::Refused => "#it refuses connections",
            CandidateLost::Disconnected => "#its link is down",
            CandidateLost::Replaced => "#another process with other data has taken its place",
        })
    }
}

impl Watch<'_> {
    /// Something is wrong with a data node. If it is the one that was chosen, another one takes its place; if there is
    /// none, it is waited for.
    pub(crate) fn candidate_lost(&mut self, id: NodeId, why: CandidateLost) {
        let Some(failover) = &self.master.failover else { return };
        if self.is_handed_to(id) && why == CandidateLost::Replaced {
            // The master is well, and stays. It was to hand over to another process than this one.
            self.give_up_candidate(id, false, why);
            self.end_failover(Event::AbortReplicaTimeout);
            return;
        }
        let told = match failover.phase {
            Phase::Promoting { replica } | Phase::CatchingUp { replica, .. } if replica == id => false,
            Phase::Confirming { replica, .. } if replica == id => true,
            _ => return,
        };
        if self.ctx.in_tilt() || told && why == CandidateLost::Disconnected {
            return;
        }
        if failover.wanted() == Some(id) {
            // Asked for by name: this one or none. A broken connection may still come back.
            if why != CandidateLost::Disconnected {
                self.give_up_candidate(id, told, why);
                self.end_failover(Event::AbortReplicaTimeout);
            }
            return;
        }
        let fit =
            |(node, place): &(&crate::state::Node, Result<crate::select::Place, _>)| place.is_ok() && node.id != id;
        let next = self.candidates().into_iter().find(fit).map(|(node, _)| node.id);
        let Some(next) = next else {
            // One that is down may come back. What has taken its place is not it, and must not be taken for it later.
            if why == CandidateLost::Replaced {
                self.give_up_candidate(id, told, why);
                self.end_failover(Event::AbortReplicaTimeout);
            }
            return;
        };
        self.give_up_candidate(id, told, why);
        if told {
            self.node_event(next, Event::SelectedReplica);
            self.warn_of_older_nodes(next);
            self.promote(next);
        } else {
            self.begin_promotion(next);
        }
    }

    /// After TILT: the chosen replica may have been lost meanwhile.
    pub(crate) fn reconsider_candidate(&mut self) {
        let lost = match self.master.failover.as_ref().map(|failover| &failover.phase) {
            Some(Phase::Promoting { replica } | Phase::Confirming { replica, .. }) => *replica,
            _ => return,
        };
        if self.master.nodes.get(lost).is_some_and(|node| node.sdown_since.is_some()) {
            self.candidate_lost(lost, CandidateLost::SubjectivelyDown);
        }
    }

    fn give_up_candidate(&mut self, id: NodeId, told: bool, why: CandidateLost) {
        // Data of another history are not replaced either.
        let may_be_a_master = told && why != CandidateLost::Replaced;
        if let Some(node) = self.master.nodes.get_mut(id).filter(|_| may_be_a_master) {
            // If it comes back as a master, it must not stay one.
            node.former_master = true;
        }
        self.node_event(id, |subject| Event::CandidateLost { subject, why });
    }
}
