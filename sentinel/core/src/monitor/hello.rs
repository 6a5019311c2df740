//! Hellos: what they say, when they are said, and how Sentinels find each other by them.

use std::sync::Arc;

use sentinel_resp::text;

use crate::{
    complaint::Complaint,
    context::Context,
    engine::Engine,
    events::Event,
    monitor::{
        PingPeriod,
        lately::{About, Written},
        peer_target, signature,
    },
    notice::Topic,
    output::Message,
    pending::Pending,
    planted::{Bug, planted},
    state::{Asked, Identity, Link, LinkState, Master, MasterKey, NodeId, Peer, PeerLink},
    timer::{Endpoint, Timer},
    types::{Epoch, HostPort, MasterName, SentinelId},
    watch::Watch,
};

/// Peers kept for one master: a bound on what hostile hellos can make us remember. Real fleets have a handful.
const MAX_PEERS: usize = 256;
/// Of these, how many may be ids that nobody has verified.
const MAX_UNVERIFIED_PEERS: usize = 128;

/// The eight fields of a hello.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hello {
    pub(crate) addr: HostPort,
    pub(crate) id: SentinelId,
    pub(crate) current_epoch: Epoch,
    pub(crate) master: MasterName,
    pub(crate) master_addr: HostPort,
    pub(crate) config_epoch: Epoch,
}

impl Hello {
    /// Reads `<ip>,<port>,<id>,<current-epoch>,<master>,<master-ip>,<master-port>,<config-epoch>`. None for anything
    /// else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut next = || fields.next();
        let (ip, port, id, current_epoch) = (next()?, next()?, next()?, next()?);
        let (master, master_ip, master_port, config_epoch) = (next()?, next()?, next()?, next()?);
        if next().is_some() {
            return None;
        }
        Some(Hello {
            addr: HostPort::from_words(ip, port).ok()?,
            id: SentinelId::new(id).ok()?,
            current_epoch: Epoch::new(current_epoch.parse().ok()?),
            master: MasterName::new(master).ok()?,
            master_addr: HostPort::from_words(master_ip, master_port).ok()?,
            config_epoch: Epoch::new(config_epoch.parse().ok()?),
        })
    }
}

impl Context {
    /// The hello that is sent over one link. None if the own address towards this instance is not known.
    fn hello_over(&mut self, link: &Link, master: &Master) -> Option<Arc<str>> {
        let about = About {
            master: master.key,
            serving: master.serving().clone(),
            local: link.local(),
            current_epoch: self.current_epoch,
            config_epoch: master.config_epoch,
            globals: Arc::clone(&self.globals),
        };
        if let Some(written) = self.hello_written.as_ref().filter(|written| written.about == about) {
            return Some(Arc::clone(&written.text));
        }
        let text = self.compose_hello(link, master)?;
        self.own_id.announced(&text);
        self.hello_written.0 = Some(Written { about, text: Arc::clone(&text) });
        Some(text)
    }

    fn compose_hello(&self, link: &Link, master: &Master) -> Option<Arc<str>> {
        let ip = match &self.globals.announce_ip {
            Some(host) => host.to_string(),
            None => link.local()?.to_string(),
        };
        let port = self.globals.announce_port.unwrap_or(self.globals.port);
        let of = master.serving();
        let text = format!(
            "{ip},{port},{},{},{},{},{},{}",
            self.id, self.current_epoch, master.name, of.host, of.port, master.config_epoch
        );
        Some(match &self.globals.hello_auth_key {
            Some(key) => signature::sign(text, key).into(),
            None => text.into(),
        })
    }
}

impl Watch<'_> {
    /// Says hello to every instance of this master, now or as soon as all promises are on disk.
    pub(crate) fn say_hello(&mut self) {
        if !self.ctx.promises_durable() {
            self.ctx.hellos_due.insert(self.master.key);
            return;
        }
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            self.say_hello_to_node(id);
        }
        for id in self.master.peers.keys().cloned().collect::<Vec<_>>() {
            self.say_hello_to_peer(&id);
        }
        self.ctx.arm_again(Timer::Hello(self.master.key), self.ctx.timing.publish_period);
    }

    /// Says hello through one data node, which distributes it.
    pub(crate) fn say_hello_to_node(&mut self, id: NodeId) {
        if !self.ctx.promises_durable() {
            self.ctx.hellos_due.insert(self.master.key);
            return;
        }
        if id == self.master.current && self.may_keep_hellos() {
            return;
        }
        let Some(node) = self.master.nodes.get(id).filter(|node| !node.keeps_hellos()) else { return };
        let Some(payload) = self.ctx.hello_over(&node.link, self.master) else { return };
        self.renew_deaf_subscription(id);
        self.send_to(id, Asked::Hello, Message::Hello { payload });
        self.ping_along(id);
    }

    /// A node has taken a hello.
    pub(crate) fn hello_answered(&mut self, id: NodeId) {
        if let Some(node) = self.master.nodes.get_mut(id) {
            node.link.behind_hello = false;
        }
    }

    /// A node told INFO: if it was not said hello to because it might have kept it, now it can be.
    pub(crate) fn say_hello_kept(&mut self, id: NodeId) {
        let waits = |node: &crate::state::Node| node.link.behind_hello && !node.link.awaits(&Asked::Hello);
        if self.master.nodes.get(id).is_some_and(waits) {
            self.say_hello_to_node(id);
        }
    }

    /// A connection behind which a hello waits may be replaced early, if the master may be handing over to a node that is out of reach.
    pub(crate) fn note_haste(&mut self) {
        let lost = self.master.replicas().any(|node| node.sdown_since.is_some());
        let current = self.master.current;
        for node in self.master.nodes.values_mut() {
            node.link.hasty = lost && node.id == current;
        }
    }

    /// Says hello to one peer directly: not before it has said who it is. A Sentinel of another deployment that watches a master of
    /// the same name would take itself for one of us.
    pub(crate) fn say_hello_to_peer(&mut self, id: &SentinelId) {
        if !self.ctx.promises_durable() {
            self.ctx.hellos_due.insert(self.master.key);
            return;
        }
        let Some(shared) = self.peers.get_mut(id).filter(|shared| shared.speaks()) else { return };
        if let Some(payload) = self.ctx.hello_over(&shared.link, self.master) {
            self.ctx.send(&mut shared.link, Asked::Hello, Message::Hello { payload });
        }
    }

    /// A subscription through which not even the own hellos have come for three periods is made anew.
    fn renew_deaf_subscription(&mut self, id: NodeId) {
        let endpoint = self.endpoint(id);
        let now = self.ctx.mono();
        let (deaf, old) = (3 * self.ctx.timing.publish_period, self.ctx.timing.min_link_reconnect_period);
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let LinkState::Up { since, .. } = node.link.state else { return };
        if now.since(since) > old && now.since(node.hello_heard_at) > deaf {
            self.ctx.renew_link(&mut node.link, &endpoint);
        }
    }

    /// The first meeting with a Sentinel: a link to it, shared with other masters that know it.
    pub(crate) fn add_peer(&mut self, id: &SentinelId, addr: &HostPort, founder: bool) {
        let now = self.ctx.mono();
        let key = self.master.key;
        let mut peer = Peer::new(id.clone(), self.ctx.shown(addr), now);
        // A link that another master keeps up is as good as a new one: nothing will come up for this one.
        let reached = self
            .peers
            .get(id)
            .is_some_and(|shared| shared.speaks() && self.ctx.names.same(&shared.link.target.addr, addr));
        peer.confirmed = founder || reached;
        peer.founder = founder;
        peer.trusted = founder;
        self.master.peers.insert(id.clone(), peer);
        let period = PingPeriod::of(&self.master.settings, &self.ctx.timing);
        let limit = self.master.settings.down_after / 2;
        if let Some(shared) = self.peers.get_mut(id) {
            shared.users.insert(key);
            shared.link.ping_period = shared.link.ping_period.and(period);
            shared.link.silence_limit = shared.link.silence_limit.min(limit);
        } else {
            let mut link = Link::new(peer_target(&self.ctx.id, &self.ctx.globals, addr.clone()), period, now);
            link.silence_limit = limit;
            self.ctx.open_link(&mut link, Endpoint::Peer(id.clone()));
            self.peers.insert(id.clone(), PeerLink::new(link, [key].into(), now));
        }
        self.evaluate_peer(id);
        self.changed();
    }

    /// The epoch that a majority of all Sentinels tells, if it is one that no single one would be believed.
    fn epoch_told(&mut self, hello: &Hello) -> Option<Epoch> {
        self.master.peers.get_mut(&hello.id)?.epoch = hello.current_epoch;
        let known = self.ctx.current_epoch;
        let peers = || self.master.peers.values().filter(|peer| peer.confirmed);
        // Nearly always there is none.
        if peers().filter(|peer| !peer.epoch.plausible_after(known)).count() < self.master.majority() {
            return None;
        }
        let mut beyond: Vec<Epoch> = peers().map(|peer| peer.epoch).collect();
        beyond.sort_unstable_by_key(|epoch| std::cmp::Reverse(*epoch));
        // All of that many tell this one, or a later one.
        let told = *beyond.get(self.master.majority().checked_sub(1)?)?;
        (!told.plausible_after(known) && told.get() < Epoch::CEILING).then_some(told)
    }
}

impl Engine {
    /// A hello came, through a data node or directly.
    pub(crate) fn hello_received(&mut self, payload: &[u8]) {
        // Every own one comes back from every node: that is most of them.
        if payload.split(|byte| *byte == b',').nth(2) == Some(self.ctx.id.as_str().as_bytes()) {
            if !self.ctx.own_id.is_ours(payload) {
                self.ctx.own_id_heard(payload);
            }
            return;
        }
        if let Some(hello) = self.ctx.hellos_read.find(payload, &self.ctx.globals) {
            let hello = hello.clone();
            return self.greeted(hello);
        }
        let text = text::of(payload);
        let (text, refused) = match signature::check(&text, self.ctx.globals.required_key()) {
            Ok(signed) => (signed, None),
            Err(why) => {
                let unsigned = text.split(';').next().unwrap_or_default();
                (unsigned, Some(why).filter(|_| !planted(Bug::BelieveTheUnsigned)))
            }
        };
        let Some(hello) = Hello::parse(text).filter(|hello| hello.id != self.ctx.id) else { return };
        if let Some(why) = refused {
            let text = format!("Refused the hello of {} at {}: {why}", hello.id, hello.addr);
            return self.ctx.complain(Complaint::Signature, text);
        }
        self.ctx.hellos_read.keep(payload, hello.clone(), &self.ctx.globals);
        self.greeted(hello);
    }

    /// Another Sentinel says hello. One that names a host nobody has looked up waits for the resolver.
    pub(crate) fn greeted(&mut self, hello: Hello) {
        let Some(key) = self.names.get(&hello.master).copied() else { return };
        // Both are asked for, and at once.
        if !self.ctx.look_up(&hello.addr.host) | !self.ctx.look_up(&hello.master_addr.host) {
            self.park(hello);
            return;
        }
        if !self.meet(key, &hello) {
            return;
        }
        let told = self.with_master(key, |watch| watch.epoch_told(&hello)).flatten();
        let adopted = self.ctx.adopt_epoch(hello.current_epoch, hello.id.as_str());
        if let Some(epoch) = if adopted { Some(hello.current_epoch) } else { told } {
            if !adopted {
                self.ctx.raise_epoch(epoch);
            }
            let master = hello.master.clone();
            self.ctx.once_durable(Pending::Event(Event::NewEpoch { epoch, master }));
        }
        self.with_master(key, |watch| {
            watch.compare_configuration(hello);
            // What others have announced may have found consent.
            watch.reconsider_all();
        });
    }

    /// Makes the sender known. False if it cannot be: then nothing it says counts.
    fn meet(&mut self, key: MasterKey, hello: &Hello) -> bool {
        let Some(master) = self.masters.get(&key) else { return false };
        let reachable = hello.addr.port != 0;
        match master.peers.get(&hello.id) {
            Some(peer) if self.ctx.names.same(&peer.addr, &hello.addr) => {
                self.ask_again(&hello.id);
                return true;
            }
            Some(peer) if self.answers_at_its_address(&peer.id) => {
                let text = format!(
                    "{} at {} says hello from {}: not believed while it answers where it was",
                    peer.id, peer.addr, hello.addr
                );
                self.ctx.complain(Complaint::Address, text);
                return true;
            }
            _ if !hello.addr.host.is_ip() && !self.ctx.globals.resolve_hostnames => {
                let text = format!(
                    "Sentinel {} says hello from {}: it is not known, since names are not accepted (resolve-hostnames no)",
                    hello.id, hello.addr
                );
                self.ctx.complain(Complaint::Unreachable, text);
                return false;
            }
            // It counts where it was last.
            Some(_) if !reachable => return true,
            Some(_) => self.peer_moved(key, &hello.id, &hello.addr),
            None => {
                if !self.has_room_for(key, &hello.id) {
                    return false;
                }
                self.discovered(key, hello);
            }
        }
        // Known under another master at another address: the newest hello is right for all.
        let link = self.peers.get(&hello.id).map(|shared| &shared.link);
        if reachable && link.is_some_and(|link| !self.ctx.names.same(&link.target.addr, &hello.addr)) {
            self.retarget_peer(&hello.id, &hello.addr);
        }
        true
    }

    /// A Sentinel is heard of for the first time.
    fn discovered(&mut self, key: MasterKey, hello: &Hello) {
        self.with_master(key, |watch| {
            let names = &watch.ctx.names;
            let at_its_address = |peer: &&Peer| hello.addr.port != 0 && names.same(&peer.addr, &hello.addr);
            let displaces = watch.master.peers.values().find(at_its_address).map(|peer| peer.id.clone());
            watch.add_peer(&hello.id, &hello.addr, false);
            if let Some(peer) = watch.master.peers.get_mut(&hello.id) {
                peer.displaces = displaces;
            }
            let subject = watch.master.subject_of_peer(&hello.id, &watch.ctx.shown(&hello.addr));
            watch.ctx.event(Event::PeerDiscovered(subject));
            if hello.addr.port == 0 {
                let text = format!(
                    "Sentinel {} says that it listens on port 0: it counts towards the majority, but nobody can ask it. Set \
                     tls-replication yes there, or sentinel announce-port",
                    hello.id
                );
                let name = watch.master.name.clone();
                watch.ctx.notice(Topic::PeerWithoutPort, Some(&name), text);
            }
            watch.persist();
        });
        // Its link is up for another master: it has answered there already.
        if self.speaks(&hello.id) {
            self.displace_those_at(&hello.id);
        }
    }

    /// Whether one more Sentinel can be remembered. Those that have said who they are, or stood in our own file, have places
    /// of their own.
    fn has_room_for(&mut self, key: MasterKey, id: &SentinelId) -> bool {
        let Some(master) = self.masters.get(&key) else { return false };
        let verified = |id: &SentinelId| self.peers.get(id).is_some_and(|shared| shared.verified);
        let unverified = master.peers.values().filter(|peer| !peer.founder && !verified(&peer.id)).count();
        let room = master.peers.len() < MAX_PEERS && (unverified < MAX_UNVERIFIED_PEERS || verified(id));
        if !room {
            let text = format!(
                "Refused Sentinel {id} for {}: {} others are known, {unverified} of which have not said who they are. SENTINEL \
                 FORGET {} UNVERIFIED removes these",
                master.name,
                master.peers.len(),
                master.name
            );
            self.ctx.complain(Complaint::Crowd, text);
        }
        room
    }

    /// Whether a known Sentinel can be reached where it is known to be. A departure: who says hello in its name from
    /// elsewhere is believed when it cannot. In the reference any hello moves it, and with it the connection and the
    /// password that is shown there; one that is told by two addresses of its own is moved to and fro.
    pub(super) fn answers_at_its_address(&self, id: &SentinelId) -> bool {
        let now = self.ctx.mono();
        self.peers.get(id).is_some_and(|shared| {
            let link = &shared.link;
            // Who does not say who it is may be anybody: as in the reference the newest hello is right.
            let proven = matches!(shared.identity, Identity::Proven | Identity::Open) || planted(Bug::TrustAddresses);
            link.is_up() && proven && now.since(link.ok_reply_at) <= 2 * self.ctx.ping_period(link)
        })
    }

    /// A known id says hello from a new address.
    pub(super) fn peer_moved(&mut self, key: MasterKey, id: &SentinelId, addr: &HostPort) {
        self.with_master(key, |watch| {
            let master = watch.master.subject();
            watch.ctx.event(Event::PeerAddressSwitch { master, addr: addr.clone(), id: id.clone() });
        });
        let others = self.retarget_peer(id, addr);
        if others > 0 {
            self.with_master(key, |watch| {
                let subject = watch.master.subject_of_peer(id, &watch.ctx.shown(addr));
                watch.ctx.event(Event::PeerAddressUpdate { subject, others });
            });
        }
    }

    /// Gives a peer its new address under every master, and dials it there. Returns how many other masters know it.
    fn retarget_peer(&mut self, id: &SentinelId, addr: &HostPort) -> usize {
        let Some(shared) = self.peers.get_mut(id) else { return 0 };
        shared.link.target = Arc::new(peer_target(&self.ctx.id, &self.ctx.globals, addr.clone()));
        shared.unknown_again();
        self.ctx.renew_link(&mut shared.link, &Endpoint::Peer(id.clone()));
        let users: Vec<_> = shared.users.iter().copied().collect();
        for user in &users {
            self.with_master(*user, |watch| {
                if let Some(peer) = watch.master.peers.get_mut(id) {
                    peer.addr = watch.ctx.shown(addr);
                    peer.displaces = None;
                }
                watch.persist();
                watch.changed();
            });
        }
        users.len().saturating_sub(1)
    }

    /// A new id speaks from the address of an old one: the old one is gone, under every master.
    pub(super) fn peer_replaced(&mut self, key: MasterKey, old: &SentinelId) {
        self.with_master(key, |watch| {
            if let Some(peer) = watch.master.peers.get(old) {
                let subject = watch.master.subject_of_peer(old, &peer.addr.clone());
                watch.ctx.event(Event::PeerInvalidAddress(subject));
            }
        });
        for user in self.peers.get(old).map(|shared| shared.users.clone()).unwrap_or_default() {
            self.with_master(user, |watch| {
                watch.remove_peer(old);
                watch.persist();
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hello_is_eight_fields() {
        let hello =
            Hello::parse("127.0.0.1,36011,e0b27310648e3710ac87253b5dd88f0239a315e7,1,m,127.0.0.1,36003,1").unwrap();
        assert_eq!(hello.addr.port, 36011);
        assert_eq!((hello.current_epoch, hello.config_epoch), (Epoch::new(1), Epoch::new(1)));
        assert_eq!(hello.master_addr.to_string(), "127.0.0.1:36003");
    }

    #[test]
    fn anything_else_is_not_a_hello() {
        for text in [
            "",
            "a,b",
            "127.0.0.1,1,id,1,m,127.0.0.1,2,1,extra",
            "127.0.0.1,1,id,-1,m,127.0.0.1,2,1",
            ",1,id,1,m,127.0.0.1,2,1",
            "127.0.0.1,99999,id,1,m,127.0.0.1,2,1",
            "127.0.0.1,1,i d,1,m,127.0.0.1,2,1",
            "127.0.0.1,1,id,1,m,,2,1",
        ] {
            assert_eq!(Hello::parse(text), None, "{text}");
        }
    }
}
