use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    canonical::Remembered,
    events::Subject,
    failover::{Failover, Promotion, Witness},
    guard::{Lineage, Vacancy},
    problems::Book,
    scripts,
    settings::MasterSettings,
    snapshot::MasterSnapshot,
    state::{MasterKey, Names, Node, NodeId, Nodes, Peer},
    time::Instant,
    types::{Epoch, HostPort, MasterName, SentinelId},
};

/// A monitored master with its replicas and the Sentinels that watch it too.
#[derive(Clone, Debug, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is another fact that holds or does not")]
pub(crate) struct Master {
    pub(crate) key: MasterKey,
    pub(crate) name: MasterName,
    pub(crate) settings: Arc<MasterSettings>,
    /// All data nodes; the one configured as master is `current`.
    pub(crate) nodes: Nodes,
    pub(crate) current: NodeId,
    /// Further addresses of nodes that are known under another one, as their run ids showed: two interfaces of one host,
    /// or an address that is translated on the way. No resolver knows of these.
    pub(crate) aliases: BTreeMap<HostPort, NodeId>,
    pub(crate) peers: BTreeMap<SentinelId, Peer>,
    pub(crate) odown_since: Option<Instant>,
    pub(crate) config_epoch: Epoch,
    pub(crate) vote: Vote,
    pub(crate) failover: Option<Failover>,
    /// A newer configuration that a peer announced, while it is being written.
    pub(crate) adopting: Option<Adoption>,
    /// No automatic failover starts before this.
    pub(crate) not_before: Instant,
    /// Until when an operator wants no failover. [`Instant::NEVER`]: until it is resumed.
    pub(crate) pause_ends: Option<Instant>,
    /// Whether the log has been told of `not_before`.
    pub(crate) delay_told: bool,
    /// When the master last became another node.
    pub(crate) switched_at: Option<Instant>,
    /// What has been said of the present outage, and is not said again.
    pub(crate) said: BTreeSet<Said>,
    /// Elections lost in a row.
    pub(crate) lost_elections: u32,
    /// This Sentinel led the failover that made `config_epoch`.
    pub(crate) led_switch: bool,
    /// The master was started anew without its data, and replicas hold them.
    pub(crate) emptied: bool,
    /// Whether nobody is the master.
    pub(crate) vacancy: Vacancy,
    /// What the nodes show of a handover that nobody finishes.
    pub(crate) witness: Witness,
    /// The histories that the master's data had.
    pub(crate) lineage: Lineage,
    /// Whether the master, or a replica in sync with it, was last seen with any keys.
    pub(crate) holds_data: bool,
    /// When the state was last written for the sake of keys.
    pub(crate) keys_written_at: Option<Instant>,
    /// A failover is not started, since no replica can be promoted yet.
    pub(crate) awaits_candidate: bool,
    /// What the last promotion led by this Sentinel brought.
    pub(crate) promotion: Option<Promotion>,
    /// What is wrong, as far as it was looked for.
    pub(crate) problems: Remembered<Book>,
    /// The replicas that would not be promoted, with the reason in a word, as of the last look for problems.
    pub(crate) refused: Remembered<BTreeMap<NodeId, &'static str>>,
    /// Its scripts whose last call failed. At most one of each kind.
    pub(crate) failing_scripts: Remembered<BTreeMap<scripts::Kind, scripts::Failing>>,
    /// Since when it is watched.
    pub(crate) watched_since: Remembered<Instant>,
    /// The durable form, until something in it changes.
    pub(crate) snapshot: Remembered<Option<Arc<MasterSnapshot>>>,
}

/// Something that is said once for each outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Said {
    /// That a failover is withheld.
    Withheld,
    /// That too few agree that the master is down.
    Disagreement,
    /// That no replica can be promoted yet.
    NoCandidateYet,
}

/// A configuration that a peer announced: another address, of a newer epoch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Adoption {
    pub(crate) from: SentinelId,
    pub(crate) from_addr: HostPort,
    pub(crate) addr: HostPort,
    pub(crate) epoch: Epoch,
}

/// The last vote given for this master. There is no second one in the same epoch, nor in a lower one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Vote {
    /// For whom. None after a restart: the epoch is used, the name is forgotten.
    pub(crate) leader: Option<SentinelId>,
    pub(crate) epoch: Epoch,
    /// The address the master had then. None after a restart: it may have been any.
    pub(crate) about: Option<HostPort>,
    /// When it was given.
    pub(crate) at: Instant,
}

impl Vote {
    /// Whether it may have been asked for as the vote of this epoch for a master at this address.
    pub(crate) fn may_be(&self, epoch: Epoch, addr: &HostPort, names: &Names) -> bool {
        self.epoch == epoch && self.about.as_ref().is_none_or(|about| names.same(about, addr))
    }
}

impl Master {
    /// Other addresses of known processes that are remembered. Who answers at ever new ones makes us forget others, which
    /// are found out again.
    pub(crate) const MAX_ALIASES: usize = 1_024;

    /// A known process also answers at this address.
    pub(crate) fn remember_alias(&mut self, addr: HostPort, of: NodeId) {
        while self.aliases.len() >= Self::MAX_ALIASES {
            self.aliases.pop_first();
        }
        self.aliases.insert(addr, of);
    }

    /// The node configured as master.
    pub(crate) fn node(&self) -> &Node {
        self.nodes.get(self.current).expect("the current master is always one of the nodes")
    }

    pub(crate) fn node_mut(&mut self) -> &mut Node {
        self.nodes.get_mut(self.current).expect("the current master is always one of the nodes")
    }

    pub(crate) fn addr(&self) -> &HostPort {
        &self.node().addr
    }

    pub(crate) fn replicas(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| node.id != self.current)
    }

    pub(crate) fn replica_ids(&self) -> Vec<NodeId> {
        self.replicas().map(|node| node.id).collect()
    }

    pub(crate) fn node_at(&self, addr: &HostPort, names: &Names) -> Option<NodeId> {
        self.nodes.values().find(|node| names.same(&node.addr, addr)).map(|node| node.id)
    }

    /// How a node is named in events.
    pub(crate) fn subject_of(&self, id: NodeId) -> Subject {
        if id == self.current {
            return self.subject();
        }
        Subject::Replica {
            addr: self.nodes.get(id).map_or_else(|| self.addr().clone(), |node| node.addr.clone()),
            master: self.name.clone(),
            master_addr: self.addr().clone(),
        }
    }

    /// How the master is named in events.
    pub(crate) fn subject(&self) -> Subject {
        Subject::Master { name: self.name.clone(), addr: self.addr().clone() }
    }

    /// How a peer is named in events.
    pub(crate) fn subject_of_peer(&self, id: &SentinelId, addr: &HostPort) -> Subject {
        Subject::Peer {
            id: id.clone(),
            addr: addr.clone(),
            master: self.name.clone(),
            master_addr: self.addr().clone(),
        }
    }

    /// For how long it has been watched.
    pub(crate) fn known_for(&self, now: Instant) -> std::time::Duration {
        now.since(self.watched_since.0)
    }

    /// All Sentinels ever seen, this one included: the base of the majority.
    pub(crate) fn voters(&self) -> usize {
        self.peers.len() + 1
    }

    pub(crate) fn majority(&self) -> usize {
        self.voters() / 2 + 1
    }

    /// The address that clients are given: the promoted replica's from the moment its promotion is durable.
    pub(crate) fn serving(&self) -> &HostPort {
        self.addr()
    }
}
