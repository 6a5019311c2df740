//! What the choice is made from, besides the replicas themselves.

use std::{num::NonZeroU64, time::Duration};

use crate::{
    state::{Node, NodeId},
    time::Instant,
    types::RunId,
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
    /// How far each node of the master's history has come, as it told.
    pub(crate) told: Vec<Told>,
    /// The configured master is a replica itself, and up to date with this node.
    pub(crate) master_follows: Option<NodeId>,
}

/// How far a node had come in its stream at some time.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) history: Option<RunId>,
    pub(crate) at: Instant,
    pub(crate) offset: u64,
}

/// What others told longer after a node than this says nothing about how far it lags behind.
const COMPARABLE_WITHIN: Duration = Duration::from_secs(1);

impl Facts {
    /// How many bytes a replica lacks of what any node of the same history is known to have. Offsets of different
    /// histories cannot be compared.
    pub(super) fn lag_of(&self, node: &Node) -> u64 {
        let Some(at) = node.info_at else { return 0 };
        let comparable = |told: &&Told| told.history == node.info.history.id && told.at <= at + COMPARABLE_WITHIN;
        let furthest = self.told.iter().filter(comparable).map(|told| told.offset).max();
        furthest.map_or(0, |furthest| furthest.saturating_sub(node.info.offset))
    }
}
