//! The Sentinels that are followed, and what each of them said last.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::choose::Voice;
use crate::address::Address;
use crate::cause::{Cause, Role};
use crate::event::Event;
use crate::readers::MOST_REPLICAS;
use crate::sentinel::{self, News, Peer, Report, Sentinel, View};
use crate::shared::Shared;
use crate::topology::SentinelState;

/// More Sentinels are not followed: no deployment has as many.
const MOST_SENTINELS: usize = 64;
/// A learnt Sentinel that was in vain dialled this often, and that no other names any more, is forgotten.
const FORGET_AFTER: u32 = 10;

pub(super) struct Roster {
    shared: Arc<Shared>,
    reporter: mpsc::Sender<Report>,
    sentinels: BTreeMap<Address, Sentinel>,
    /// The last usable answer of each Sentinel that can be reached.
    views: HashMap<Address, View>,
    first_answer: Option<Instant>,
    /// Since when one of them is missed that was there before.
    missed_since: Option<Instant>,
    trust: Trust,
}

/// From whom other Sentinels are learnt. A foreign one would bring its own, and they would be the majority.
#[derive(Debug, PartialEq, Eq)]
enum Trust {
    /// Nobody, before there was a master to try.
    Nobody,
    /// Those that name this master.
    Naming(Address),
    /// Everybody: what the first ones named was no master.
    Everybody,
}

impl Roster {
    pub(super) fn new(shared: Arc<Shared>, reporter: mpsc::Sender<Report>) -> Self {
        Self {
            shared,
            reporter,
            sentinels: BTreeMap::new(),
            views: HashMap::new(),
            first_answer: None,
            missed_since: None,
            trust: Trust::Nobody,
        }
    }

    /// Takes in what a Sentinel's task reports.
    pub(super) fn hear(&mut self, Report { sentinel: address, news }: Report) {
        // A Sentinel that was just forgotten may still have had something to say.
        let Some(sentinel) = self.sentinels.get_mut(&address) else { return };
        sentinel.heard |= !matches!(news, News::Subscribed | News::Step(_));
        match news {
            News::Subscribed => {
                sentinel.connected = true;
                sentinel.failures = 0;
                self.shared.emit(Event::SentinelFound { address });
            }
            News::Answered(view) => {
                sentinel.trouble = None;
                sentinel.id.clone_from(&view.id);
                self.first_answer.get_or_insert_with(Instant::now);
                self.views.insert(address.clone(), view);
                self.drop_doubles(&address);
                self.learn_from(&address);
            }
            // The follower has heard it.
            News::Step(_) => {}
            News::Useless(trouble) => {
                sentinel.trouble = Some(trouble);
                self.views.remove(&address);
            }
            News::Lost(reason) => {
                sentinel.failures += 1;
                sentinel.trouble = Some(reason.clone());
                self.views.remove(&address);
                let reason = reason.text;
                if std::mem::take(&mut sentinel.connected) {
                    // The others are told where it is now, should it have moved.
                    self.missed_since = Some(Instant::now());
                    self.shared.emit(Event::SentinelLost { address: address.clone(), reason });
                }
                self.forget_if_gone(&address);
            }
        }
        if self.missed_since.is_some() && !self.lacks_sentinels() {
            self.missed_since = None;
        }
    }

    /// Since when one of the Sentinels is missed that was there before: the others may tell where it is now.
    pub(super) fn missed_since(&self) -> Option<Instant> {
        self.missed_since
    }

    /// Puts the question to every Sentinel now.
    pub(super) fn ask_all(&self) {
        for sentinel in self.sentinels.values() {
            sentinel.ask.notify_one();
        }
    }

    /// What the Sentinels say now.
    pub(super) fn voices(&self) -> Vec<Voice> {
        // Two seeds can be the same Sentinel: it has one voice.
        let mut ids = BTreeSet::new();
        let mut first = |view: &&View| view.id.as_ref().is_none_or(|id| ids.insert(id.clone()));
        let views = self.views.values().filter(|view| first(view));
        views.map(|view| Voice { master: view.master.clone(), epoch: view.epoch }).collect()
    }

    /// The replicas of this master that are up and linked, as at least half of the Sentinels see it that name it; `None`: no Sentinel that
    /// can be reached names it.
    pub(super) fn readable_replicas(&self, master: &Address) -> Option<Vec<Address>> {
        let views: Vec<_> = self.views.values().filter(|view| view.master == *master).collect();
        if views.is_empty() {
            return None;
        }
        // Where stale reads are wanted, the replica itself is asked since when.
        let stale_reads = !self.shared.config.stale_reads.is_zero();
        let mut said: BTreeMap<&Address, usize> = BTreeMap::new();
        for replica in views.iter().flat_map(|view| &view.replicas) {
            *said.entry(&replica.address).or_default() += usize::from(replica.up && (replica.linked || stale_reads));
        }
        let readable =
            |(address, count): &(&Address, usize)| *count * 2 >= views.len() && *count > 0 && *address != master;
        Some(said.into_iter().filter(readable).map(|(address, _)| address.clone()).take(MOST_REPLICAS).collect())
    }

    /// Whether more replicas of this master could be read from than can be now: some are not up or not linked, or none is known.
    pub(super) fn lacks_replicas(&self, master: &Address) -> bool {
        let mut said =
            self.views.values().filter(|view| view.master == *master).flat_map(|view| &view.replicas).peekable();
        said.peek().is_none() || said.any(|replica| !replica.up || !replica.linked)
    }

    /// Whether a link to any Sentinel stands.
    pub(super) fn is_connected(&self) -> bool {
        self.sentinels.values().any(|sentinel| sentinel.connected)
    }

    /// Whether every Sentinel has answered or failed at least once.
    pub(super) fn all_heard(&self) -> bool {
        self.sentinels.values().all(|sentinel| sentinel.heard)
    }

    /// When the first usable answer came.
    pub(super) fn first_answer(&self) -> Option<Instant> {
        self.first_answer
    }

    /// How many Sentinels are known. One that is known by several addresses, since it has moved, is one.
    pub(super) fn count(&self) -> usize {
        let ids: BTreeSet<_> = self.sentinels.values().filter_map(|sentinel| sentinel.id.as_ref()).collect();
        ids.len() + self.sentinels.values().filter(|sentinel| sentinel.id.is_none()).count()
    }

    /// Whether one of them cannot be reached where it was last.
    fn lacks_sentinels(&self) -> bool {
        let lives = |id: &Option<String>| {
            id.is_some() && self.sentinels.values().any(|sentinel| sentinel.connected && sentinel.id == *id)
        };
        self.sentinels.values().any(|sentinel| !sentinel.connected && !lives(&sentinel.id))
    }

    pub(super) fn states(&self) -> Vec<SentinelState> {
        self.sentinels
            .iter()
            .map(|(address, sentinel)| SentinelState {
                address: address.clone(),
                seed: sentinel.seed,
                connected: sentinel.connected,
            })
            .collect()
    }

    /// Whether every Sentinel has said that there is nothing to wait for.
    pub(super) fn is_hopeless(&self) -> bool {
        let hopeless =
            |sentinel: &Sentinel| sentinel.heard && sentinel.trouble.as_ref().is_some_and(|trouble| trouble.lasting);
        self.views.is_empty() && self.sentinels.values().all(hopeless)
    }

    /// The last trouble with each Sentinel that gave no usable answer.
    pub(super) fn troubles(&self) -> impl Iterator<Item = Cause> {
        self.sentinels
            .iter()
            .filter_map(|(address, sentinel)| Some(Cause::new(Role::Sentinel, address, sentinel.trouble.as_ref()?)))
    }

    /// Begins to follow a Sentinel.
    pub(super) fn follow(&mut self, address: Address, seed: bool) {
        let ask = Arc::new(Notify::new());
        let stop = self.shared.dialer.stop.child_token();
        self.shared.dialer.spawn(sentinel::watch(
            address.clone(),
            self.shared.config.clone(),
            self.shared.dialer.clone(),
            self.shared.readers.wanted.clone(),
            ask.clone(),
            stop.clone(),
            self.reporter.clone(),
        ));
        self.sentinels.insert(
            address,
            Sentinel { seed, connected: false, id: None, trouble: None, heard: false, failures: 0, ask, stop },
        );
    }

    /// Learns other Sentinels from those that name this master, also from what they said before; `None`: from all.
    pub(super) fn trust(&mut self, master: Option<&Address>) {
        self.trust = master.map_or(Trust::Everybody, |master| Trust::Naming(master.clone()));
        for address in self.views.keys().cloned().collect::<Vec<_>>() {
            self.learn_from(&address);
        }
    }

    fn learn_from(&mut self, address: &Address) {
        let Some(view) = self.views.get(address) else { return };
        let is_trusted = match &self.trust {
            Trust::Nobody => false,
            Trust::Naming(master) => view.master == *master,
            Trust::Everybody => true,
        };
        if is_trusted {
            self.learn(view.peers.clone());
        }
    }

    /// Whether this Sentinel named this master when it was asked last.
    pub(super) fn names(&self, sentinel: &Address, master: &Address) -> bool {
        self.views.get(sentinel).is_some_and(|view| view.master == *master)
    }

    /// Whether any Sentinel that can be reached says something of use.
    pub(super) fn has_views(&self) -> bool {
        !self.views.is_empty()
    }

    /// Follows the Sentinels that are named and not followed yet. A known id at a new address is a Sentinel that has moved, unless it is
    /// there at the known address, too (a seed given by name).
    fn learn(&mut self, peers: Vec<Peer>) {
        for peer in peers {
            let lives = |sentinel: &Sentinel| sentinel.connected && sentinel.id.is_some() && sentinel.id == peer.id;
            let known = self.sentinels.contains_key(&peer.address) || self.sentinels.values().any(lives);
            if !known && self.has_room() {
                tracing::debug!(sentinel = %peer.address, "sentinel learnt");
                self.follow(peer.address, false);
            }
        }
    }

    /// Whether one more may be followed. A learnt one that cannot be reached gives way.
    fn has_room(&mut self) -> bool {
        if self.sentinels.len() < MOST_SENTINELS {
            return true;
        }
        let idle = self.sentinels.iter().filter(|(_, sentinel)| !sentinel.seed && sentinel.failures > 0);
        let longest = idle.max_by_key(|(_, sentinel)| sentinel.failures).map(|(address, _)| address.clone());
        if let Some(address) = &longest {
            self.forget(address);
        }
        longest.is_some()
    }

    /// Of several addresses at which the Sentinel that has just answered here is known, one is kept: this one, unless it was learnt and
    /// another one stands, too. Seeds are never dropped.
    fn drop_doubles(&mut self, address: &Address) {
        let Some(this) = self.sentinels.get(address) else { return };
        let Some(id) = this.id.clone() else { return };
        let seed = this.seed;
        let doubles = |sentinels: &BTreeMap<Address, Sentinel>, fits: &dyn Fn(&Sentinel) -> bool| {
            let others = sentinels.iter().filter(|(other, sentinel)| {
                *other != address && sentinel.id.as_deref() == Some(id.as_str()) && fits(sentinel)
            });
            others.map(|(other, _)| other.clone()).collect::<Vec<_>>()
        };
        if !seed && !doubles(&self.sentinels, &|other| other.connected).is_empty() {
            return self.forget(address);
        }
        for other in doubles(&self.sentinels, &|other| !other.seed) {
            self.forget(&other);
        }
    }

    fn forget_if_gone(&mut self, address: &Address) {
        let named = || self.views.values().any(|view| view.peers.iter().any(|peer| peer.address == *address));
        let gone =
            self.sentinels.get(address).is_some_and(|sentinel| !sentinel.seed && sentinel.failures >= FORGET_AFTER);
        if gone && !self.views.is_empty() && !named() {
            self.forget(address);
        }
    }

    fn forget(&mut self, address: &Address) {
        if let Some(sentinel) = self.sentinels.remove(address) {
            sentinel.stop.cancel();
        }
        self.views.remove(address);
    }
}
