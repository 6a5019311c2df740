use std::collections::{BTreeMap, BTreeSet};

use crate::{
    monitor::Hello,
    state::{Link, MasterKey},
    time::Instant,
    types::{Epoch, HostPort, SentinelId},
};

/// Another Sentinel, as it is known for one master.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Peer {
    pub(crate) id: SentinelId,
    /// How it is told to others; its link leads to the address as it was given.
    pub(crate) addr: HostPort,
    pub(crate) sdown_since: Option<Instant>,
    /// What it said last of this master.
    pub(crate) opinion: Option<Opinion>,
    /// The vote it gave, as far as we know.
    pub(crate) vote: Option<(SentinelId, Epoch)>,
    /// Its last hello; at first when it was discovered.
    pub(crate) hello_at: Instant,
    /// The configuration its last hello told.
    pub(crate) claim: Option<Claim>,
    /// The current epoch its last hello told.
    pub(crate) epoch: Epoch,
    /// A configuration it told before it could be reached, or before others agreed; looked at again when they do.
    pub(crate) unconfirmed: Option<Hello>,
    /// A configuration it told that was refused, as was said in the log.
    pub(crate) refused: Option<Claim>,
    /// It has been reached, or stood in our own file.
    pub(crate) confirmed: bool,
    /// It stood in our own file, or has announced the configuration that was in force here.
    pub(crate) acquainted: bool,
}

/// What a peer thinks of a master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Opinion {
    pub(crate) down: bool,
    pub(crate) at: Instant,
}

/// The configuration that a peer announces.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Claim {
    pub(crate) addr: HostPort,
    pub(crate) config_epoch: Epoch,
}

impl Peer {
    pub(crate) const fn new(id: SentinelId, addr: HostPort, now: Instant) -> Self {
        Peer {
            id,
            addr,
            sdown_since: None,
            opinion: None,
            vote: None,
            hello_at: now,
            claim: None,
            epoch: Epoch::ZERO,
            unconfirmed: None,
            refused: None,
            confirmed: false,
            acquainted: false,
        }
    }

    pub(crate) fn says_down(&self) -> bool {
        self.opinion.is_some_and(|opinion| opinion.down)
    }
}

/// The one link to another Sentinel, shared by all masters that know it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct PeerLink {
    pub(crate) link: Link,
    /// The masters that know this Sentinel. Never empty.
    pub(crate) users: BTreeSet<MasterKey>,
}

/// All links to other Sentinels.
pub(crate) type PeerLinks = BTreeMap<SentinelId, PeerLink>;
