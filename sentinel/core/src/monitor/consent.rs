//! Whether a configuration that another Sentinel announces is followed.

use crate::{
    events::Level,
    monitor::Hello,
    planted::{Bug, planted},
    state::{Adoption, Claim, Peer},
    types::{Epoch, HostPort, SentinelId},
    watch::Watch,
};

impl Watch<'_> {
    /// A known peer announces a configuration.
    pub(super) fn compare_configuration(&mut self, hello: Hello) {
        let now = self.ctx.mono();
        let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
        peer.hello_at = now;
        peer.claim = Some(Claim { addr: hello.master_addr.clone(), config_epoch: hello.config_epoch });
        self.acquaint(&hello.id);
        let overruled = self.is_overruled_by(&hello);
        let older = hello.config_epoch < self.master.config_epoch;
        if hello.config_epoch <= self.master.config_epoch && !overruled && !(older && planted(Bug::OldConfiguration)) {
            return;
        }
        let consented = self.has_consent(&hello);
        let Some(peer) = self.master.peers.get_mut(&hello.id) else { return };
        if !peer.confirmed {
            // Anybody can publish a hello. One from a Sentinel just heard of counts when it can be reached.
            peer.unconfirmed = Some(hello);
        } else if consented {
            peer.unconfirmed = None;
            self.take_configuration(&hello);
        } else {
            peer.unconfirmed = Some(hello.clone());
            self.refuse_configuration(
                &hello,
                "that Sentinel is not known, or not at that address, and no other one says the same",
            );
        }
    }

    /// A peer's link is up: it exists.
    pub(crate) fn confirm_peer(&mut self, id: &SentinelId) {
        let Some(peer) = self.master.peers.get_mut(id) else { return };
        peer.confirmed = true;
        self.acquaint(id);
        self.reconsider(id);
    }

    /// Looks again at what a peer announced before.
    pub(super) fn reconsider(&mut self, id: &SentinelId) {
        if let Some(hello) = self.master.peers.get_mut(id).and_then(|peer| peer.unconfirmed.take()) {
            self.compare_configuration(hello);
        }
    }

    /// A peer that can be reached, and announces the configuration that is in force here, belongs to us.
    fn acquaint(&mut self, id: &SentinelId) {
        let addr = self.master.addr().clone();
        let (epoch, names) = (self.master.config_epoch, &self.ctx.names);
        if let Some(peer) = self.master.peers.get_mut(id).filter(|peer| peer.confirmed && !peer.acquainted) {
            let same = |claim: &Claim| claim.config_epoch == epoch && names.same(&claim.addr, &addr);
            peer.acquainted = peer.claim.as_ref().is_some_and(same);
        }
    }

    /// Whether a newer configuration is more than the word of one that nobody knows. A departure: in the reference any
    /// hello moves the master.
    ///
    /// A Sentinel that stood in our file, or has announced our own configuration before, is known. What another one says
    /// counts if it has our vote for that epoch, or if one that is known, or a majority, says the same. Where none that
    /// is known can be reached there is nobody to contradict it: a Sentinel that begins without a file learns so.
    fn has_consent(&self, hello: &Hello) -> bool {
        let names = &self.ctx.names;
        let vote = &self.master.vote;
        let (epoch, addr) = (hello.config_epoch, &hello.master_addr);
        let speaks_for_itself = |peer: &Peer| peer.acquainted && names.same(&peer.addr, &hello.addr);
        let reached = |peer: &&Peer| self.peers.get(&peer.id).is_some_and(|shared| shared.link.is_up());
        let others = || self.master.peers.values().filter(|peer| peer.id != hello.id && peer.acquainted);
        let agrees = |peer: &Peer| {
            let claim = peer.claim.as_ref();
            claim.is_some_and(|claim| claim.config_epoch == epoch && names.same(&claim.addr, addr))
        };
        self.master.peers.get(&hello.id).is_some_and(speaks_for_itself)
            || vote.epoch == epoch && vote.leader.as_ref() == Some(&hello.id)
            || others().any(agrees)
            || self.announcers(epoch, addr) >= self.master.majority()
            || !others().any(|peer| reached(&peer))
    }

    /// Whether a majority of all Sentinels announces another master in the very epoch of our configuration; or just half
    /// of them, when all have been heard and the other address is the lower one: somebody has to give way.
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
        let announces = |claim: &Claim| claim.config_epoch == epoch && self.ctx.names.same(&claim.addr, addr);
        self.master.peers.values().filter(|peer| peer.confirmed && peer.claim.as_ref().is_some_and(announces)).count()
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
        self.ctx.notice(Level::Warning, Some(&name), text);
    }
}
