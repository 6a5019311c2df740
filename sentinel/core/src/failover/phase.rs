use std::collections::BTreeSet;

use crate::{
    failover::NotLossless,
    state::NodeId,
    time::Instant,
    types::{Epoch, SentinelId},
};

/// A failover that this Sentinel leads, or wants to lead.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Failover {
    /// The epoch of its election, and then of the configuration it makes.
    pub(crate) epoch: Epoch,
    pub(crate) cause: Cause,
    pub(crate) started_at: Instant,
    /// The node whose writers wait for our sake.
    pub(crate) paused: Option<NodeId>,
    /// Whether the master has handed over: it takes no writes any more, and follows the new one.
    pub(crate) handed_over: bool,
    pub(crate) phase: Phase,
}

/// Why there is a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Cause {
    /// The master is objectively down.
    Down,
    /// The nodes show a handover that nobody finishes, to this node if it is a known one. The master need not be down.
    Nodes { to: Option<NodeId> },
    /// Asked for by SENTINEL FAILOVER: the master need not be down, no majority is needed.
    Operator {
        /// The replica asked for.
        wanted: Option<NodeId>,
        /// Whether nothing may be lost (`COORDINATED`): the master hands over, or stays.
        lossless_only: bool,
        /// Whether the replica asked for is taken whatever it holds (`FORCE`).
        any: bool,
    },
}

/// How far it has come. Each variant owns what only that phase needs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The candidacy is being written.
    Registering,
    /// Votes are asked for.
    Electing {
        /// Connected peers that have not answered.
        unanswered: BTreeSet<SentinelId>,
    },
    /// A forced failover that met another Sentinel's in the same epoch waits a moment for a new one.
    Deferred,
    /// Elected; fresh offsets are awaited.
    Selecting {
        /// Replicas whose INFO has not come.
        waiting: BTreeSet<NodeId>,
    },
    /// A replica is chosen; it catches up, while the master goes on taking writes.
    CatchingUp {
        replica: NodeId,
        /// How far the master had come, and when it said so. None: it is asked.
        goal: Option<(u64, Instant)>,
    },
    /// The replica has caught up; the master was asked to hand over to it without loss.
    Requesting { replica: NodeId },
    /// The master has paused writes, and hands over as soon as the replica has everything.
    HandingOver {
        replica: NodeId,
        /// Whether the replica can be asked to tell its offset at once.
        hastens: bool,
    },
    /// The master was told to go on, as nothing may be lost; it is awaited who is the master now.
    Undoing {
        replica: NodeId,
        why: NotLossless,
        /// Whether the master has answered: what it says of its role from now on is said after that.
        answered: bool,
    },
    /// The master was told not to hand over; it is awaited that it is one again.
    Freeing {
        /// To whom it was handing over.
        target: Option<NodeId>,
    },
    /// A replica is chosen; its link is awaited.
    Promoting { replica: NodeId },
    /// The promotion was sent; the role is awaited.
    Confirming {
        replica: NodeId,
        /// When it was last sent.
        sent_at: Instant,
    },
    /// The replica says that it is a master; the new configuration is being written.
    Recording { replica: NodeId },
    /// The master goes on as one; its new configuration epoch is being written.
    RecordingFreed,
    /// Switched; the other replicas are pointed at the new master.
    Reconfiguring,
}

impl Failover {
    /// Whether the master is down, or was.
    pub(crate) fn is_of_dead_master(&self) -> bool {
        self.cause == Cause::Down
    }

    /// Whether an operator asked for it.
    pub(crate) const fn is_forced(&self) -> bool {
        matches!(self.cause, Cause::Operator { .. })
    }

    /// The replica asked for, if one was.
    pub(crate) const fn wanted(&self) -> Option<NodeId> {
        match self.cause {
            Cause::Operator { wanted, .. } | Cause::Nodes { to: wanted } => wanted,
            Cause::Down => None,
        }
    }

    /// Whether the master hands over, or stays.
    pub(crate) const fn is_lossless_only(&self) -> bool {
        matches!(self.cause, Cause::Operator { lossless_only: true, .. })
    }

    /// Whether the replica asked for is taken whatever it holds.
    pub(crate) const fn takes_any(&self) -> bool {
        matches!(self.cause, Cause::Operator { any: true, .. })
    }

    /// Whether the new master is in force.
    pub(crate) const fn has_switched(&self) -> bool {
        matches!(self.phase, Phase::Reconfiguring)
    }

    /// Whether no replica has been told anything yet.
    pub(crate) const fn has_sent_nothing(&self) -> bool {
        matches!(
            self.phase,
            Phase::Registering
                | Phase::Electing { .. }
                | Phase::Deferred
                | Phase::Selecting { .. }
                | Phase::CatchingUp { .. }
                | Phase::Promoting { .. }
        )
    }

    /// The replica that may have been made a master.
    pub(crate) fn has_told(&self) -> Option<NodeId> {
        self.candidate().filter(|_| !self.has_sent_nothing())
    }

    /// Whether votes are still being asked for.
    pub(crate) const fn is_electing(&self) -> bool {
        matches!(self.phase, Phase::Registering | Phase::Electing { .. } | Phase::Deferred)
    }

    /// The replica chosen for promotion.
    pub(crate) const fn candidate(&self) -> Option<NodeId> {
        match self.phase {
            Phase::CatchingUp { replica, .. }
            | Phase::Requesting { replica }
            | Phase::HandingOver { replica, .. }
            | Phase::Undoing { replica, .. }
            | Phase::Promoting { replica }
            | Phase::Confirming { replica, .. }
            | Phase::Recording { replica } => Some(replica),
            _ => None,
        }
    }

    /// The reference's word for this state.
    pub(crate) const fn word(&self) -> &'static str {
        match self.phase {
            Phase::Registering | Phase::Electing { .. } | Phase::Deferred => "wait_start",
            Phase::Selecting { .. } => "select_slave",
            Phase::CatchingUp { .. }
            | Phase::Requesting { .. }
            | Phase::HandingOver { .. }
            | Phase::Undoing { .. }
            | Phase::Freeing { .. }
            | Phase::RecordingFreed
            | Phase::Promoting { .. } => "send_slaveof_noone",
            Phase::Confirming { .. } | Phase::Recording { .. } => "wait_promotion",
            Phase::Reconfiguring => "reconf_slaves",
        }
    }
}
