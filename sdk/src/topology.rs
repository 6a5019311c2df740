//! What a pool knows at one instant.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::address::Address;

/// An immutable snapshot of what a pool knows; a new one replaces it with every change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Topology {
    /// The name the Sentinels monitor the master under.
    pub name: Arc<str>,
    /// The master the pool follows; `None` until the first one was verified.
    pub master: Option<Address>,
    /// The replicas of that master that are up and linked to it, as the Sentinels see it; empty unless somebody reads from
    /// replicas ([`SentinelPool::replica`](crate::SentinelPool::replica)).
    pub replicas: Arc<[Address]>,
    /// Whether that master answered `ROLE` as one on the connection that is in use. While it is `false`, commands wait.
    pub verified: bool,
    /// The highest configuration epoch that an accepted master was named with.
    pub config_epoch: u64,
    /// The number of this master in the life of the pool, from 1 on; it grows by one with each switch.
    pub generation: u64,
    /// When this generation began.
    pub since: Option<SystemTime>,
    /// Every Sentinel the pool asks, ordered by address.
    pub sentinels: Vec<SentinelState>,
}

/// One Sentinel, as the pool sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentinelState {
    /// Where it listens.
    pub address: Address,
    /// Whether the pool was told of it at its start; seeds are never dropped.
    pub seed: bool,
    /// Whether the subscription to it stands.
    pub connected: bool,
}

/// One replica that is read from, or would be if it were not too far behind.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicaState {
    /// Where it listens.
    pub address: Address,
    /// Whether it is read from: it answers, and is not too far behind the master.
    pub readable: bool,
    /// What a question to it takes; see [`Balance::LowestLatency`](crate::Balance::LowestLatency).
    pub latency: Duration,
    /// How many bytes of the replication stream it was behind the master when it was asked last; measured only with
    /// [`Builder::max_lag`](crate::Builder::max_lag), and `None` while no master is at hand or one of the two may not be asked for its role.
    pub lag: Option<u64>,
    /// Commands of this pool that it has not answered yet.
    pub in_flight: usize,
}

impl Topology {
    pub(crate) fn unknown(name: Arc<str>, seeds: &[Address]) -> Self {
        let mut sentinels: Vec<_> = seeds
            .iter()
            .map(|address| SentinelState { address: address.clone(), seed: true, connected: false })
            .collect();
        sentinels.sort_by(|a, b| a.address.cmp(&b.address));
        let replicas = Arc::default();
        Self { name, master: None, replicas, verified: false, config_epoch: 0, generation: 0, since: None, sentinels }
    }
}
