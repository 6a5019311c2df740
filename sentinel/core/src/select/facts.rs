//! What the choice is made from, besides the replicas themselves.

use std::{collections::BTreeSet, num::NonZeroU64, time::Duration};

use super::Stream;
use crate::{
    state::{Node, NodeId},
    time::Instant,
    types::{HostPort, RunId},
};

/// What the judgement depends on besides the replicas.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) now: Instant,
    pub(crate) ping_period: Duration,
    pub(crate) info_period: Duration,
    pub(crate) down_after: Duration,
    pub(crate) master_down_since: Option<Instant>,
    /// How long the link to the master has been down does not matter: nobody is the master.
    pub(crate) best_effort: bool,
    /// The history that the master began when it was restarted without its data.
    pub(crate) empty_history: Option<RunId>,
    /// Bytes of the stream that a candidate may lack.
    pub(crate) max_lag: Option<NonZeroU64>,
    /// The stream in which offsets are compared.
    pub(crate) stream: Stream,
    /// How far each node of the stream has come, as it told.
    pub(crate) told: Vec<Told>,
    /// The configured master is a replica itself, and up to date with this node.
    pub(crate) master_follows: Option<NodeId>,
    /// The same, where that node's data are of another history: the configured master has taken them over.
    pub(crate) taken_over: Option<TakenOver>,
    /// Those that say that they follow the configured master.
    pub(crate) followers: BTreeSet<NodeId>,
    /// Those that another node of ours follows, over a link that is up.
    pub(crate) followed: BTreeSet<NodeId>,
    /// From when on one may be promoted that was restarted from a file which tells no offset.
    pub(crate) reloaded_from: Instant,
    /// Those whose data may soon be known, and may be better than that.
    pub(crate) expected: Vec<(NodeId, HostPort)>,
    /// Whether one that holds nothing may be promoted: nobody is known to have held anything, or it was asked for.
    pub(crate) empty_will_do: bool,
}

/// A node of another history whose data the configured master has taken over, since somebody told it to follow that node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TakenOver {
    pub(crate) from: NodeId,
    /// A node that may still hold the data of before: they would be replaced when it comes back.
    pub(crate) kept_by: Option<HostPort>,
}

/// How far a node had come in the stream at some time.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) at: Instant,
    pub(crate) position: u64,
    /// Of a replica, and of one that has become a master without a restart: the id of its stream, and its offset there.
    /// The master may have been started anew from an old file since: then its stream begins before what the replicas
    /// hold.
    pub(crate) own: Option<(RunId, u64)>,
}

/// What others told longer after a node than this says nothing about how far it lags behind.
const COMPARABLE_WITHIN: Duration = Duration::from_secs(1);

impl Facts {
    /// How many bytes a replica lacks of what any node of the same stream is known to have. None: it cannot be told, and may be
    /// more than `most`.
    pub(super) fn lag_of(&self, node: &Node, most: u64) -> Option<u64> {
        let Some(at) = node.info_at else { return Some(0) };
        let comparable = || self.told.iter().filter(move |told| told.at <= at + COMPARABLE_WITHIN);
        let Some(furthest) = comparable().map(|told| told.position).max() else { return Some(0) };
        let Some(position) = self.stream.position(&node.info) else { return Some(furthest).filter(|all| *all <= most) };
        let info = &node.info;
        let same = |(id, offset): &(RunId, u64)| (info.history.id.as_ref() == Some(id)).then_some(*offset);
        let beside = comparable().filter_map(|told| told.own.as_ref().and_then(same)).max().unwrap_or(0);
        Some(furthest.saturating_sub(position).max(beside.saturating_sub(info.offset)))
    }
}
