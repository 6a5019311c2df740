use std::collections::{BTreeMap, BTreeSet};

use crate::{
    canonical::Remembered,
    monitor::Hello,
    state::{Identity, Impostor, Link, MasterKey},
    time::Instant,
    types::{Epoch, HostPort, RunId, SentinelId},
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
    /// It has been reached and said who it is, or stood in our own file and nobody else was found where it is known to be.
    pub(crate) confirmed: bool,
    /// It stood in our own file: what it announces alone is followed.
    pub(crate) founder: bool,
    /// It stood in our own file, or has been known for long and announces the configuration that is in force here: another
    /// one's word may rest on its.
    pub(crate) trusted: bool,
    /// Since when it is known.
    pub(crate) known_since: Instant,
    /// Who was known at its address when it was first heard of: gone, if this one answers there.
    pub(crate) displaces: Option<SentinelId>,
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
            founder: false,
            trusted: false,
            known_since: now,
            displaces: None,
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
    /// Who answers there, as of the last connection.
    pub(crate) identity: Identity,
    /// The process that answers there.
    pub(crate) run_id: Option<RunId>,
    /// Where it answered although another one was meant.
    pub(crate) seen_at: Option<HostPort>,
    /// Who was found in its place, and where, as was said in the log.
    pub(crate) disproof_told: Option<(HostPort, Impostor)>,
    /// Who was found in its place, until it is found itself.
    pub(crate) impostor: Remembered<Option<Impostor>>,
    /// When it was last asked who it is.
    pub(crate) asked_at: Instant,
    /// It has said who it is, at some time since this process started.
    pub(crate) verified: bool,
    /// It has proved on this connection that it knows the key: what it is asked, and answers, is signed.
    pub(crate) authenticated: bool,
    /// When the log was last told that its proof or its signature is missing or wrong.
    pub(crate) distrust_told_at: Option<Instant>,
}

impl PeerLink {
    pub(crate) const fn new(link: Link, users: BTreeSet<MasterKey>, now: Instant) -> Self {
        PeerLink {
            link,
            users,
            identity: Identity::Open,
            run_id: None,
            seen_at: None,
            disproof_told: None,
            impostor: Remembered(None),
            asked_at: now,
            verified: false,
            authenticated: false,
            distrust_told_at: None,
        }
    }

    /// Another connection: who answers on it is yet to be said.
    pub(crate) fn unknown_again(&mut self) {
        self.identity = Identity::Open;
        self.run_id = None;
        self.authenticated = false;
    }

    /// Whether the one that is meant can be talked to.
    pub(crate) const fn speaks(&self) -> bool {
        self.link.is_up() && self.identity.speaks()
    }
}

/// All links to other Sentinels.
pub(crate) type PeerLinks = BTreeMap<SentinelId, PeerLink>;
