//! Objectively down: a quorum of Sentinels holds the master for subjectively down.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    events::Event,
    notice::Topic,
    planted::{Bug, planted},
    state::{Asked, Opinion, Said},
    timer::Timer,
    types::{Epoch, HostPort, SentinelId, Signature},
    watch::Watch,
};

/// What a peer answered to is-master-down-by-addr.
pub(crate) struct PeerAnswer {
    pub(crate) down: bool,
    /// Its vote, if it told one.
    pub(crate) vote: Option<(SentinelId, Epoch)>,
    /// The epoch of that vote, also when its name is forgotten.
    pub(crate) vote_epoch: Epoch,
}

impl PeerAnswer {
    /// Reads the same with a signature behind it.
    pub(crate) fn read_signed(reply: &Reply) -> Option<(Self, Signature)> {
        let Reply::Array(parts) = reply else { return None };
        let [parts @ .., signature] = parts.as_slice() else { return None };
        let signature = Signature::parse(signature.as_text()?.as_bytes()).ok()?;
        Some((PeerAnswer::of(parts)?, signature))
    }

    /// Reads `[1 or 0, leader id or *, epoch]`. None for anything else, errors included.
    pub(crate) fn read(reply: &Reply) -> Option<Self> {
        let Reply::Array(parts) = reply else { return None };
        PeerAnswer::of(parts)
    }

    fn of(parts: &[Reply]) -> Option<Self> {
        let [down, leader, epoch] = parts else { return None };
        let Reply::Integer(down) = down else { return None };
        let Reply::Integer(epoch) = epoch else { return None };
        let leader = leader.as_text()?;
        // Printed through a signed integer.
        let vote_epoch = Epoch::new(epoch.cast_unsigned());
        let vote = if leader == "*" { None } else { Some((SentinelId::new(leader).ok()?, vote_epoch)) };
        Some(PeerAnswer { down: *down == 1, vote, vote_epoch })
    }
}

impl Watch<'_> {
    /// The master has just become subjectively down: ask everybody at once, and look at the replicas.
    pub(crate) fn master_went_down(&mut self) {
        self.ask_peers();
        self.evaluate_odown();
        // Offsets as they are now, so that a choice does not have to wait for them.
        for id in self.master.replica_ids() {
            self.ask_info(id);
        }
    }

    /// The master is available again.
    pub(crate) fn master_came_back(&mut self) {
        self.ctx.timers.disarm(&Timer::Ask(self.master.key));
        self.master.lost_elections = 0;
        self.master.said.clear();
        self.evaluate_odown();
        // The others may have withdrawn their opinion before: then it was not objectively down any more.
        self.stand_down();
    }

    /// Asks every connected peer for its opinion, and again each second while the master is down.
    pub(crate) fn ask_peers(&mut self) {
        let key = self.master.key;
        if self.master.node().sdown_since.is_none() {
            self.ctx.timers.disarm(&Timer::Ask(key));
            return;
        }
        self.doubt_silent_leader();
        let ids: Vec<_> = self.master.peers.keys().cloned().collect();
        for id in &ids {
            self.ask_peer(id);
        }
        let at = self.ctx.mono() + self.ctx.timing.ask_period;
        self.ctx.arm(Timer::Ask(key), at);
        self.tell_disagreement();
    }

    /// Another Sentinel asks about a master that is down here: it has just come to hold it for down, too, or a quorum has. So all
    /// are asked at once instead of with the next period, at most ten times in one. The question itself is no opinion: anybody can
    /// put it.
    ///
    /// A departure. Sentinels notice a death up to a quarter of down-after one after the other; who needs more of them than the
    /// first one would wait for the rest of the period.
    pub(crate) fn asked_about(&mut self) {
        let is_open = self.master.node().sdown_since.is_some() && self.master.odown_since.is_none();
        if !is_open || self.ctx.in_tilt() || self.is_electing() {
            return;
        }
        let period = self.ctx.timing.ask_period;
        let Some(next) = self.ctx.timers.deadline(&Timer::Ask(self.master.key)) else { return };
        let (now, pause) = (self.ctx.mono(), period / 10);
        if next.since(now) <= pause {
            // They are asked in a moment anyway.
            return;
        }
        let earliest = next.before(period) + pause;
        if earliest <= now {
            self.ask_peers();
        } else {
            self.ctx.timers.arm_by(Timer::Ask(self.master.key), earliest);
        }
    }

    /// Asks one peer for its opinion of a master that is down here, unless a question is under way.
    pub(crate) fn ask_peer(&mut self, id: &SentinelId) {
        if self.master.node().sdown_since.is_none() {
            return;
        }
        // The epoch travels along: it must be on disk first.
        if !self.ctx.promises_durable() {
            self.ctx.questions_due.insert(self.master.key);
            return;
        }
        let addr = self.master.addr().clone();
        let (master, epoch) = (self.master.key, self.ctx.current_epoch);
        let Some(shared) = self.peers.get_mut(id).filter(|shared| self.ctx.may_ask(shared)) else { return };
        if !shared.link.awaits_opinion(master, &addr) {
            let (message, signed) = self.ctx.question((id, shared), &self.master.name, addr.clone(), epoch, None);
            self.ctx.send(&mut shared.link, Asked::Opinion { master, addr, signed }, message);
        }
    }

    /// A peer answered what it thinks of the master at this address.
    pub(crate) fn opinion_received(&mut self, id: &SentinelId, about: &HostPort, answer: &PeerAnswer) {
        // An answer about an address that is not the master's any more says nothing about the present one.
        if about != self.master.addr() {
            return;
        }
        let now = self.ctx.mono();
        let key = self.master.key;
        let expiry = now + self.opinions_last();
        let name = self.master.name.clone();
        let Some(peer) = self.master.peers.get_mut(id) else { return };
        let was_down = peer.says_down();
        peer.opinion = Some(Opinion { down: answer.down, at: now });
        if was_down != answer.down {
            let text = format!("{id} thinks that {name} is {}", if answer.down { "down" } else { "up" });
            self.ctx.notice(Topic::Opinion, Some(&name), text);
        }
        if let Some((leader, epoch)) = &answer.vote {
            if peer.vote.as_ref().is_none_or(|(_, before)| before != epoch) {
                // The reference's words, and its level.
                self.ctx.notice(Topic::PeerVoted, Some(&name), format!("{id} voted for {leader} {epoch}"));
            }
            peer.vote.clone_from(&answer.vote);
        }
        self.ctx.arm(Timer::Opinion(key, id.clone()), expiry);
        self.changed();
        self.evaluate_odown();
        self.tell_disagreement();
    }

    /// A peer has not answered for five ask periods: what it said is forgotten.
    pub(crate) fn opinion_expired(&mut self, id: &SentinelId) {
        if let Some(peer) = self.master.peers.get_mut(id) {
            peer.opinion = None;
            peer.vote = None;
            self.changed();
            self.evaluate_odown();
        }
    }

    /// For how long an opinion counts after it was given. The reference: five ask periods.
    fn opinions_last(&self) -> Duration {
        5 * self.ctx.timing.ask_period
    }

    /// How many peers agree that the master is down. The timer that ends an opinion may be late, after a time in which
    /// this process stood still: such an opinion does not end what stands, but it begins nothing either.
    pub(crate) fn agreeing(&self) -> usize {
        let (now, longest) = (self.ctx.mono(), self.opinions_last());
        let stands = self.master.odown_since.is_some();
        let counts = |opinion: Opinion| opinion.down && (stands || now.since(opinion.at) <= longest);
        self.master.peers.values().filter(|peer| peer.opinion.is_some_and(counts)).count()
    }

    /// Looks whether a quorum holds the master for down; if it does, the next step is taken in this same call.
    pub(crate) fn evaluate_odown(&mut self) {
        if self.ctx.in_tilt() {
            return;
        }
        let need = self.master.settings.quorum;
        let sdown = self.master.node().sdown_since.is_some();
        let agreeing = self.agreeing();
        let have = u32::try_from(1 + agreeing).unwrap_or(u32::MAX);
        let down = sdown && (have >= need.get() || planted(Bug::IgnoreQuorum));
        match (down, self.master.odown_since) {
            (true, None) => {
                self.master.odown_since = Some(self.ctx.mono());
                self.master.delay_told = false;
                self.master.said.remove(&Said::Withheld);
                self.master_event(|subject| Event::ObjectivelyDown { subject, have, need });
                self.changed_urgently();
                self.hasten_info();
            }
            (false, Some(_)) => {
                self.master.odown_since = None;
                self.master_event(Event::ObjectivelyUp);
                self.changed_urgently();
                self.stand_down();
            }
            _ => {}
        }
        if down {
            self.consider_failover();
        }
    }
}
