//! The switch: another node is the master from now on, for us and for our clients.

use crate::{
    events::Event,
    failover::{Failover, Phase, Witness},
    guard::Vacancy,
    pending::Pending,
    planted::{Bug, planted},
    scripts,
    state::{Adoption, Asked, Node, NodeId, Reconf},
    timer::Timer,
    types::Epoch,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// The promotion is on disk: this Sentinel's clients and all other Sentinels hear of it in this instant.
    ///
    /// A departure: the reference says `+switch-master` only when the other replicas follow, up to failover-timeout
    /// later.
    pub(crate) fn switch_to_promoted(&mut self, epoch: Epoch) {
        let Some(Failover { phase: Phase::Recording { replica }, epoch: current, .. }) = self.master.failover else {
            return;
        };
        let promoted = self.master.nodes.get(replica).filter(|_| current == epoch);
        let Some(to) = promoted.map(|node| node.addr.clone()) else { return };
        if epoch <= self.newest_configuration() {
            // A newer configuration has come in the meantime: epochs never go back. One that is still being written
            // counts, too: what is made of ours now would be made of a master that is none any more.
            return self.end_outdated_failover();
        }
        if let Some(newer) = self.epoch_that_keeps_the_master(epoch) {
            return self.give_up_failover_for(newer);
        }
        self.node_event(replica, Event::PromotedReplica);
        if let Some(promotion) = self.promotion_of(replica) {
            self.master.promotion = Some(promotion.clone());
            self.node_event(replica, |subject| Event::PromotedOffset { subject, promotion });
        }
        if self.ctx.simulated.crash_after_promotion {
            self.ctx.crash();
        }
        self.master_event(Event::StateReconfReplicas);
        let from = self.master.addr().clone();
        self.call_client_reconfig(scripts::Role::Leader, &from, &to);
        if !planted(Bug::ReuseConfigEpoch) {
            self.master.config_epoch = epoch;
        }
        self.master.led_switch = true;
        self.enter(Phase::Reconfiguring);
        let deadline = self.ctx.mono() + self.master.settings.failover_timeout;
        let still_a_master = self.master.node().link.is_up() && self.master.node().role == Role::Master;
        let keeps_all_back = self.master.node().sdown_since.is_some() && self.master.node().link.awaits(&Asked::Hello);
        let nobody_was_master = self.master.node().info.role == Some(Role::Replica);
        let former = self.install_master(replica);
        // Where no Sentinel knew the master's history, since all were started while nobody was the master, this is
        // it: whose data are of another one is told before it gets an order.
        self.judge_history(replica);
        self.arm_phase(deadline);
        self.persist();
        // The order comes before the hello: writes to that node are paused, what is published there waits until they
        // are not, and all that comes behind it on the connection. Should this Sentinel die meanwhile, nobody would
        // give the order.
        if still_a_master {
            // A forced failover, or a master that hangs: it is demoted in this instant. The reference leaves it
            // accepting writes, soon to be lost, for some 10 s.
            self.demote(former);
        } else if nobody_was_master && self.master.nodes.get(former).is_some_and(Node::is_reachable) {
            // It has handed over: what is left of the order is that its file is written, and its clients ask for the
            // master. Or nobody was the master: whomever it follows, it is the wrong one.
            self.order_to_follow(former);
        }
        if keeps_all_back {
            // It hangs, and finds the order when it goes on. Or it is handing over to another node, and keeps the
            // order back with what was published: over a new connection it takes one.
            self.renew_link_of(former);
        }
        self.say_hello();
        self.advance_reconfiguration();
    }

    /// A peer announces a newer configuration with another address. It is written before anybody is told: a client
    /// that was given the new address is never given the old one again, also not after a crash.
    pub(crate) fn record_switch(&mut self, adoption: Adoption) {
        let epoch = adoption.epoch;
        if self.master.adopting.as_ref().is_none_or(|other| other.epoch < epoch) {
            self.master.adopting = Some(adoption);
            self.persist_promise();
            self.ctx.once_durable(Pending::Adopt { master: self.master.key, epoch });
        }
    }

    /// The announced configuration of this epoch is on disk.
    pub(crate) fn adopt_recorded(&mut self, epoch: Epoch) {
        if self.master.adopting.as_ref().is_some_and(|adoption| adoption.epoch == epoch) {
            self.adopt_switch();
        }
    }

    /// Switches to the announced configuration. When the disk fails it is taken all the same: it is a peer's promise
    /// and not ours, and our clients need the address.
    pub(crate) fn adopt_switch(&mut self) {
        let Some(Adoption { from, from_addr, addr, epoch }) = self.master.adopting.take() else { return };
        let outdated = epoch < self.master.config_epoch || self.is_recording_newer_than(epoch);
        if outdated {
            return;
        }
        if self.ctx.names.same(&addr, self.master.addr()) {
            // Our own promotion of the same node was written first: only its epoch is newer.
            self.master.config_epoch = epoch;
            self.persist();
            self.changed();
            return self.end_outdated_failover();
        }
        let peer = self.master.subject_of_peer(&from, &from_addr);
        self.ctx.event(Event::ConfigUpdateFrom(peer));
        let new = match self.master.node_at(&addr, &self.ctx.names) {
            Some(id) => id,
            None => self.add_node(addr, Role::Master),
        };
        self.master.config_epoch = epoch;
        self.master.led_switch = false;
        self.master.odown_since = None;
        self.clear_failover();
        let from = self.master.addr().clone();
        self.install_master(new);
        // What it told before is the master's history from now on, though it was another deployment's to us: it may
        // have died since, and tell it no more.
        self.judge_history(new);
        let to = self.master.addr().clone();
        self.call_client_reconfig(scripts::Role::Observer, &from, &to);
        self.persist();
        self.say_hello();
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            self.ask_info(id);
        }
    }

    /// The epoch of the newest configuration: the one in force, or one that a peer has announced and that is being
    /// written.
    pub(crate) fn newest_configuration(&self) -> Epoch {
        let adopted = self.master.adopting.as_ref().map(|adoption| adoption.epoch);
        adopted.map_or(self.master.config_epoch, |epoch| epoch.max(self.master.config_epoch))
    }

    /// The master is well, and somebody announces it in a configuration that is newer than this one. Whoever does may
    /// be just heard of, so the configuration is not followed yet; but ours would make that master a replica. Our
    /// epoch has been raised to that one by the same hello, so that a later failover of ours is newer.
    fn epoch_that_keeps_the_master(&self, ours: Epoch) -> Option<Epoch> {
        let master = self.master.node();
        let newer = self.newest_unconfirmed(master)?;
        // One that has handed over has nothing to lose.
        let handed_over = self.master.failover.as_ref().is_some_and(|failover| failover.handed_over);
        let is_well = master.is_reachable() && master.role == Role::Master && !handed_over;
        (is_well && newer > ours && newer <= self.ctx.current_epoch).then_some(newer)
    }

    /// Whether this Sentinel's own configuration, newer than that one, is being written.
    pub(crate) fn is_recording_newer_than(&self, other: Epoch) -> bool {
        let phase = |phase: &Phase| matches!(phase, Phase::Recording { .. } | Phase::RecordingFreed);
        self.master.failover.as_ref().is_some_and(|failover| phase(&failover.phase) && failover.epoch > other)
    }

    /// A switch that is being written may be on disk already: it is not taken back, whatever else is forgotten.
    /// Orders to nodes do not follow from it, since it may not be on disk yet.
    pub(crate) fn finish_recording(&mut self) {
        self.adopt_switch();
        if let Some(Failover { phase: Phase::Recording { replica }, epoch, .. }) = self.master.failover
            && epoch > self.master.config_epoch
        {
            self.master.config_epoch = epoch;
            self.install_master(replica);
            self.persist_promise();
        }
        if let Some(Failover { phase: Phase::RecordingFreed, epoch, .. }) = self.master.failover
            && epoch > self.master.config_epoch
        {
            self.master.config_epoch = epoch;
            self.persist_promise();
        }
    }

    /// Makes a known node the master. Returns the former one. Links, and what is known of the nodes, are kept: the
    /// reference makes everything anew, and cannot fail over again before it has asked everybody.
    fn install_master(&mut self, new: NodeId) -> NodeId {
        let now = self.ctx.mono();
        let former = self.master.current;
        let old = self.master.addr().clone();
        let Some(new_addr) = self.master.nodes.get(new).map(|node| node.addr.clone()) else { return former };
        let name = self.master.name.clone();
        self.ctx.left.push(old.clone());
        self.ctx.event(Event::SwitchMaster { name, old, new: new_addr });
        self.master.current = new;
        self.master.odown_since = None;
        self.master.not_before = now;
        self.master.lost_elections = 0;
        self.master.switched_at = Some(now);
        self.master.said.clear();
        self.master.emptied = false;
        self.master.vacancy = Vacancy::default();
        self.master.witness = Witness::default();
        self.ctx.timers.disarm(&Timer::Vacancy(self.master.key));
        self.ctx.timers.disarm(&Timer::Witness(self.master.key));
        for peer in self.master.peers.values_mut() {
            // What they thought of the former master says nothing about this one.
            peer.opinion = None;
            peer.vote = None;
        }
        let key = self.master.key;
        self.ctx.timers.disarm(&Timer::Ask(key));
        self.ctx.timers.disarm(&Timer::Nominate(key));
        for node in self.master.nodes.values_mut() {
            node.reconf = Reconf::Waiting;
            // What it said under the former configuration is no offence against this one: whoever says something else
            // than he should, and whoever follows somebody else, has his time from now on.
            node.role_since = now;
            node.source_changed_at = now;
        }
        for id in [former, new] {
            if let Some(node) = self.master.nodes.get_mut(id) {
                node.sdown_since = None;
                node.rebooted_at = None;
                node.restart = None;
                node.link.restart_silence(now);
            }
        }
        if let Some(node) = self.master.nodes.get_mut(new) {
            // What it should be. If it says anything else, that is a change, and told as one; until it has spoken
            // nobody is put in his place for its sake.
            node.role = Role::Master;
        }
        if let Some(node) = self.master.nodes.get_mut(former) {
            node.former_master = true;
            // Likewise.
            node.role = Role::Replica;
            // Fencing sees to it; the others do not wait for it.
            node.reconf = Reconf::Done;
        }
        let mut replicas = self.master.replica_ids();
        replicas.sort_by_key(|id| *id == former);
        for id in replicas {
            self.node_event(id, Event::ReplicaDiscovered);
        }
        self.note_haste();
        self.evaluate_node(former);
        self.evaluate_node(new);
        self.changed_urgently();
        former
    }
}
