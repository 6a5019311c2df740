//! The durable state: what must survive a restart, and the settings that commands change.

use std::sync::Arc;

use crate::{
    settings::{GlobalSettings, MasterSettings},
    types::{Epoch, HostPort, MasterName, SentinelId},
};

/// The number of a state. Each change that must become durable raises it by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seq(pub u64);

crate::canonical::relative!(Seq: Seq);

/// Everything that is written to disk, complete, as of one [`Seq`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Snapshot {
    /// This Sentinel's identity.
    pub id: SentinelId,
    /// The highest epoch seen. No vote for a lower one is ever given again.
    pub current_epoch: Epoch,
    /// Settings of the Sentinel, as changed by SENTINEL CONFIG SET.
    pub globals: Arc<GlobalSettings>,
    /// The monitored masters, ordered by name.
    pub masters: Vec<Arc<MasterSnapshot>>,
}

/// The durable state of one master.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MasterSnapshot {
    /// Its name.
    pub name: MasterName,
    /// The current address; the promoted replica's from the moment its promotion was seen.
    pub addr: HostPort,
    /// Its settings, as changed by SENTINEL SET.
    pub settings: Arc<MasterSettings>,
    /// The epoch of the current configuration: an older one from a peer never wins.
    pub config_epoch: Epoch,
    /// The epoch of the last vote given: there is no second one in it.
    pub leader_epoch: Epoch,
    /// Known replicas, without the master, ordered.
    pub replicas: Vec<HostPort>,
    /// Nodes that were in sync, the master among them, with the keys they held when that was last written; ordered. It tells,
    /// after a restart of this Sentinel, a replica that reloaded its data from one that never had any.
    pub in_sync: Vec<(HostPort, u64)>,
    /// Known other Sentinels, ordered by id. The majority is counted over them.
    pub peers: Vec<(SentinelId, HostPort)>,
}

impl MasterSnapshot {
    /// A master as it is first monitored: nothing learnt yet.
    pub fn new(name: MasterName, addr: HostPort, settings: MasterSettings) -> Self {
        MasterSnapshot {
            name,
            addr,
            settings: Arc::new(settings),
            config_epoch: Epoch::ZERO,
            leader_epoch: Epoch::ZERO,
            replicas: Vec::new(),
            in_sync: Vec::new(),
            peers: Vec::new(),
        }
    }
}
