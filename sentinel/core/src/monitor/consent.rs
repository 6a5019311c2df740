//! Whether a configuration that another Sentinel announces is followed.

use std::time::Duration;

use crate::{
    events::Event,
    monitor::Hello,
    notice::Topic,
    pending::Pending,
    planted::{Bug, planted},
    state::{Adoption, Claim, Node, Peer, PeerLink},
    time::Instant,
    types::{Epoch, HostPort, SentinelId},
    view::Role,
    watch::Watch,
};

/// How long a Sentinel that did not stand in our file must have been known before it backs another one's word.
const TRUST_AGE: Duration = Duration::from_secs(600);

impl Watch<'_> {
    /// A known peer announces a configuration.
    pub(super) fn compare_configuration(&mut self, hello: Hello) {
        let now = self.ctx.mono();
        let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
        peer.hello_at = now;
        peer.claim = Some(Claim { addr: hello.master_addr.clone(), config_epoch: hello.config_epoch });
        self.consider_trust(&hello.id);
        let overruled = self.is_overruled_by(&hello);
        let older = hello.config_epoch < self.master.config_epoch;
        if hello.config_epoch <= self.master.config_epoch && !overruled && !(older && planted(Bug::OldConfiguration)) {
            return;
        }
        let consented = self.has_consent(&hello);
        let Some(peer) = self.master.peers.get(&hello.id) else { return };
        if !peer.confirmed && !self.bears_out(&hello) {
            // Anybody can publish a hello. One from a Sentinel just heard of counts when it can be reached.
            let node = self.master.node_at(&hello.master_addr, &self.ctx.names).filter(|_| self.had_our_vote(&hello));
            let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
            peer.unconfirmed = Some(hello);
            // It may bear it out.
            node.inspect(|id| self.ask_info(*id));
        } else if consented {
            let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
            peer.unconfirmed = None;
            self.take_configuration(&hello);
        } else {
            let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
            peer.unconfirmed = Some(hello.clone());
            self.refuse_configuration(
                &hello,
                "that Sentinel is not known, or not at that address, and no other one says the same",
            );
            // The node itself may say so.
            if let Some(id) = self.master.node_at(&hello.master_addr, &self.ctx.names) {
                self.ask_info(id);
            }
        }
    }

    /// A peer has been asked who it is: it exists.
    pub(crate) fn confirm_peer(&mut self, id: &SentinelId) {
        let Some(peer) = self.master.peers.get_mut(id) else { return };
        peer.confirmed = true;
        self.consider_trust(id);
        self.reconsider(id);
    }

    /// Looks again at what all peers announced before: it may have found consent.
    pub(crate) fn reconsider_all(&mut self) {
        let waiting =
            |peer: &&Peer| peer.unconfirmed.as_ref().is_some_and(|hello| peer.confirmed || self.bears_out(hello));
        for id in self.master.peers.values().filter(waiting).map(|peer| peer.id.clone()).collect::<Vec<_>>() {
            self.reconsider(&id);
        }
    }

    /// Looks again at what a peer announced before.
    pub(super) fn reconsider(&mut self, id: &SentinelId) {
        if let Some(hello) = self.master.peers.get_mut(id).and_then(|peer| peer.unconfirmed.take()) {
            self.compare_configuration(hello);
        }
    }

    /// A peer that has said who it is, has been known for long, and announces the configuration that is in force
    /// here, belongs to us.
    fn consider_trust(&mut self, id: &SentinelId) {
        let now = self.ctx.mono();
        let addr = self.master.addr().clone();
        let (epoch, names) = (self.master.config_epoch, &self.ctx.names);
        if let Some(peer) = self.master.peers.get_mut(id).filter(|peer| peer.confirmed && !peer.trusted) {
            let same = |claim: &Claim| claim.config_epoch == epoch && names.same(&claim.addr, &addr);
            let known_long = now.since(peer.known_since) >= TRUST_AGE;
            peer.trusted = known_long && peer.claim.as_ref().is_some_and(same);
        }
    }

    /// Whether somebody else was found where this peer is known to be.
    fn is_disproved(&self, id: &SentinelId) -> bool {
        self.peers.get(id).is_some_and(|shared| shared.identity.is_disproved())
    }

    /// Whether a newer configuration is more than the word of one that nobody knows. A departure: in the reference any
    /// hello moves the master.
    ///
    /// What a Sentinel says that stood in our file counts. What another one says, for however long it has been known,
    /// needs a second voice: our vote for it in that epoch, a Sentinel that is trusted, a majority, or the node
    /// itself, if it is one of ours and says that it is a master. Where none that is trusted can be reached there is
    /// nobody to contradict it: a Sentinel that begins without a file learns so.
    fn has_consent(&self, hello: &Hello) -> bool {
        let names = &self.ctx.names;
        let (epoch, addr) = (hello.config_epoch, &hello.master_addr);
        let speaks_for_itself =
            |peer: &Peer| peer.founder && !self.is_disproved(&peer.id) && names.same(&peer.addr, &hello.addr);
        let reached = |peer: &&Peer| self.peers.get(&peer.id).is_some_and(PeerLink::speaks);
        let others = || self.master.peers.values().filter(|peer| peer.id != hello.id && peer.trusted);
        let agrees = |peer: &Peer| {
            let claim = peer.claim.as_ref();
            claim.is_some_and(|claim| claim.config_epoch == epoch && names.same(&claim.addr, addr))
        };
        let is_master = |node: &Node| {
            // Not one that returns as what it was.
            node.info.role == Some(Role::Master) && !node.former_master && names.same(&node.addr, addr)
        };
        self.master.peers.get(&hello.id).is_some_and(speaks_for_itself)
            || self.had_our_vote(hello)
            || others().any(|peer| agrees(peer) && !self.is_disproved(&peer.id))
            || self.announcers(epoch, addr) >= self.master.majority()
            || self.master.replicas().any(is_master)
            || !others().any(|peer| reached(&peer))
    }

    /// Whether what a Sentinel announces that cannot be reached is seen to be so: it had our vote for that epoch, and
    /// a process that was a replica here says that it is a master. One that came back as a master by itself proves
    /// nothing: anybody can ask for a vote and name it.
    fn bears_out(&self, hello: &Hello) -> bool {
        let node = self.master.node_at(&hello.master_addr, &self.ctx.names).and_then(|id| self.master.nodes.get(id));
        let was_made = |node: &Node| {
            node.info.role == Some(Role::Master) && node.was_replica_before() && !node.former_master && !node.stranger
        };
        self.had_our_vote(hello) && node.is_some_and(was_made)
    }

    /// Whether the configuration is that of an election in which we voted for its leader.
    fn had_our_vote(&self, hello: &Hello) -> bool {
        let vote = &self.master.vote;
        vote.epoch == hello.config_epoch && vote.leader.as_ref() == Some(&hello.id)
    }

    /// Whether a Sentinel that could not be reached yet names this node in a configuration that is newer than the one
    /// in force here. It is not followed for that; but what such a master has acknowledged would be lost if it were
    /// made a replica.
    pub(crate) fn may_be_newer_master(&self, node: &Node) -> bool {
        self.newest_unconfirmed(node) > Some(self.master.config_epoch)
    }

    /// The epoch of the newest configuration that names this node as the master and is not followed, or not yet.
    ///
    /// Of one that was the master here before, only a Sentinel just heard of counts, for as long as the reference
    /// lets any node say that it is a master: otherwise whoever can publish a hello could keep an old master beside
    /// the new one.
    pub(crate) fn newest_unconfirmed(&self, node: &Node) -> Option<Epoch> {
        let (now, calm) = (self.ctx.mono(), 4 * self.ctx.timing.publish_period);
        let counts = |peer: &&Peer| !node.former_master || !peer.confirmed && now.since(peer.known_since) <= calm;
        let hellos = self.master.peers.values().filter(counts).filter_map(|peer| peer.unconfirmed.as_ref());
        hellos.filter(|it| self.ctx.names.same(&it.master_addr, &node.addr)).map(|it| it.config_epoch).max()
    }

    /// Whether an order to this node is for a newer configuration to give: ours ends in a moment, when the newer one is
    /// on disk; or the node says that it is a master, and may be that of a newer one.
    pub(crate) fn is_for_a_newer_configuration(&self, node: &Node) -> bool {
        let says_master = node.info.role == Some(Role::Master);
        self.master.adopting.is_some() || says_master && self.may_be_newer_master(node)
    }

    /// Whether a replica is linked to such a node.
    pub(crate) fn follows_newer_master(&self, node: &Node) -> bool {
        let source = node.info.source_addr().filter(|_| node.info.link_up);
        let source = source.and_then(|addr| self.master.node_at(&addr, &self.ctx.names));
        source.and_then(|id| self.master.nodes.get(id)).is_some_and(|node| self.may_be_newer_master(node))
    }

    /// Whether a majority of all Sentinels announces another master in the very epoch of our configuration; or just
    /// half of them, when all have been heard and the other address is the lower one: somebody has to give way.
    ///
    /// Elections give each epoch to one leader; a forced failover whose Sentinel is cut off from the others takes one
    /// that may be granted elsewhere. A departure: in the reference both sides keep what they heard first, for ever.
    fn is_overruled_by(&self, hello: &Hello) -> bool {
        let rival = hello.config_epoch == self.master.config_epoch
            && hello.config_epoch > Epoch::ZERO
            && !self.ctx.names.same(&hello.master_addr, self.master.addr());
        if !rival {
            return false;
        }
        let theirs = self.announcers(hello.config_epoch, &hello.master_addr);
        let ours = 1 + self.announcers(hello.config_epoch, self.master.addr());
        let place = |addr: &HostPort| (self.ctx.names.ip(&addr.host), addr.clone());
        let half = theirs == ours && theirs + ours == self.master.voters();
        theirs >= self.master.majority() || half && place(&hello.master_addr) < place(self.master.addr())
    }

    /// How many Sentinels that have been reached announce this configuration.
    pub(crate) fn announcers(&self, epoch: Epoch, addr: &HostPort) -> usize {
        self.announcers_since(Instant::ZERO, epoch, addr)
    }

    /// The same of those whose last hello came at that time or later.
    fn announcers_since(&self, at: Instant, epoch: Epoch, addr: &HostPort) -> usize {
        let announces = |claim: &Claim| claim.config_epoch == epoch && self.ctx.names.same(&claim.addr, addr);
        let counts = |peer: &&Peer| peer.confirmed && peer.hello_at >= at && peer.claim.as_ref().is_some_and(announces);
        self.master.peers.values().filter(counts).count()
    }

    /// Whether a majority of all Sentinels, this one among them, announces the configuration that is in force here.
    pub(crate) fn configuration_confirmed(&self) -> bool {
        self.configuration_confirmed_since(Instant::ZERO)
    }

    /// Whether a majority has done so at this time or later.
    pub(crate) fn configuration_confirmed_since(&self, at: Instant) -> bool {
        1 + self.announcers_since(at, self.master.config_epoch, self.master.addr()) >= self.master.majority()
    }

    /// Whether the configuration in force here is known to have come about: this Sentinel led the switch, or a majority
    /// announces it.
    pub(crate) fn configuration_established(&self) -> bool {
        self.master.led_switch || self.configuration_confirmed()
    }

    fn take_configuration(&mut self, hello: &Hello) {
        if self.is_recording_newer_than(hello.config_epoch) || planted(Bug::IgnoreSwitches) {
            return;
        }
        if let Some(why) = self.fault_of(hello) {
            // Taking the number without the address would make us deaf to the right hello of the same epoch.
            self.refuse_configuration(hello, why);
            return;
        }
        // A configuration is made in an epoch, so none is newer than the present one; otherwise every election would be
        // over before it began.
        if hello.config_epoch > self.ctx.current_epoch {
            self.ctx.raise_epoch(hello.config_epoch);
            let (epoch, master) = (hello.config_epoch, self.master.name.clone());
            self.ctx.once_durable(Pending::Event(Event::NewEpoch { epoch, master }));
        }
        if self.ctx.names.same(&hello.master_addr, self.master.addr()) {
            self.master.config_epoch = hello.config_epoch;
            self.persist_promise();
            self.changed();
            self.end_outdated_failover();
        } else {
            self.record_switch(Adoption {
                from: hello.id.clone(),
                from_addr: self.ctx.shown(&hello.addr),
                addr: hello.master_addr.clone(),
                epoch: hello.config_epoch,
            });
        }
    }

    /// Why an announced configuration cannot be followed.
    fn fault_of(&self, hello: &Hello) -> Option<&'static str> {
        let addr = &hello.master_addr;
        if addr.port == 0 || !hello.config_epoch.plausible_after(self.ctx.current_epoch) {
            Some("implausible")
        } else if !addr.host.is_ip() && !self.ctx.globals.resolve_hostnames {
            Some("host names are not accepted (resolve-hostnames no)")
        } else if self.ctx.names.ip(&addr.host).is_none() && self.master.node_at(addr, &self.ctx.names).is_none() {
            Some("the host name does not resolve; it is looked up again with each hello")
        } else {
            None
        }
    }

    /// Says why, once for each configuration that a peer tells again and again.
    fn refuse_configuration(&mut self, hello: &Hello, why: &str) {
        let claim = Claim { addr: hello.master_addr.clone(), config_epoch: hello.config_epoch };
        let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
        if peer.refused.as_ref() == Some(&claim) {
            return;
        }
        peer.refused = Some(claim);
        let text = format!(
            "Refused the configuration {} of epoch {} told by {}: {why}",
            hello.master_addr, hello.config_epoch, hello.id
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::ConfigurationRefused, Some(&name), text);
    }
}
