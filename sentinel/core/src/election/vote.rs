//! Giving votes, asking for them, winning and losing.

use std::time::Duration;

use crate::{
    detect::odown::PeerAnswer,
    election::{
        signed::Question,
        tally::{Needed, votes_for},
    },
    engine::Engine,
    events::Event,
    failover::Phase,
    input::ClientId,
    notice::Topic,
    pending::Pending,
    planted::{Bug, planted},
    state::{Asked, Master, MasterKey, PeerLink},
    timer::Timer,
    types::{Epoch, SentinelId},
    watch::Watch,
};

/// How long a forced failover waits for the consent of peers that are connected but do not answer.
const FORCED_ELECTION_WAIT: Duration = Duration::from_millis(200);
/// How long a candidate has, once voted for, that cannot be asked who it is.
const UNKNOWN_LEADER_PAUSE: Duration = Duration::from_secs(2);
/// Hellos that may stay away before their sender is held for one that cannot write.
const SILENT_AFTER_HELLOS: u32 = 3;

impl Engine {
    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR`, or `SENTINEL REQUEST-VOTE`, which is signed: our opinion, and our vote if a candidate asks for it.
    ///
    /// The request names an address. Masters under several names at one address share the answer: the vote is given
    /// for all of them or for none, so that no name is voted for twice in an epoch. A name that has moved away since it was
    /// voted for is one of them: the candidate may mean it, and not know that it has moved.
    pub(crate) fn peer_asks(&mut self, client: ClientId, asked: Question<'_>) {
        let admitted = match self.ctx.admits(&asked) {
            Ok(admitted) => admitted,
            Err(refusal) => return self.ctx.answer(client, refusal),
        };
        let Question { addr, epoch, candidate, signed } = asked;
        if let Some(addr) = addr {
            // A name that is not known yet is compared as such; whoever asks asks again.
            self.ctx.look_up(&addr.host);
        }
        let names = &self.ctx.names;
        let concerned = self.masters.values().filter(|master| addr.is_some_and(|it| names.same(master.addr(), it)));
        let keys: Vec<MasterKey> = concerned.map(|master| master.key).collect();
        // A signed request names the master that it means.
        let is_meant = |key: &MasterKey| signed.is_none_or(|signed| self.masters[key].name == signed.master);
        if !keys.iter().any(is_meant) {
            self.ctx.answer(client, self.ctx.verdict(signed, false, None, Epoch::ZERO));
            return;
        }
        for key in &keys {
            self.with_master(*key, |watch| watch.asked_about());
        }
        let down = !self.ctx.in_tilt() && keys.iter().any(|key| self.masters[key].node().sdown_since.is_some());
        let Some(candidate) = candidate.filter(|_| admitted) else {
            self.ctx.answer(client, self.ctx.verdict(signed, down, None, Epoch::ZERO));
            return;
        };
        if self.ctx.adopt_epoch(epoch, candidate.as_str()) {
            let master = self.masters[&keys[0]].name.clone();
            self.ctx.once_durable(Pending::Event(Event::NewEpoch { epoch, master }));
        }
        let names = &self.ctx.names;
        let is_given = |master: &&Master| addr.is_some_and(|addr| master.vote.may_be(epoch, addr, names));
        let moved = self.masters.values().filter(|master| !keys.contains(&master.key)).find(is_given);
        let moved = moved.map(|master| master.key).filter(|_| !planted(Bug::VoteTwice));
        let free = moved.is_none()
            && epoch == self.ctx.current_epoch
            && keys.iter().all(|key| self.masters[key].vote.epoch < epoch || planted(Bug::VoteTwice));
        if free {
            for key in &keys {
                self.with_master(*key, |watch| watch.vote_for(candidate, epoch));
            }
        }
        self.say_vote(moved.unwrap_or(keys[0]), &asked, free);
        let vote = keys.iter().chain(&moved).map(|key| &self.masters[key].vote).max_by_key(|vote| vote.epoch);
        let (leader, at) = vote.map_or((None, Epoch::ZERO), |vote| (vote.leader.clone(), vote.epoch));
        let reply = self.ctx.verdict(signed, down, leader.as_ref(), at);
        if planted(Bug::AnswerBeforeDurable) {
            self.ctx.answer(client, reply);
        } else {
            self.ctx.once_durable(Pending::Answer { client, reply });
        }
    }
}

impl Engine {
    /// Says in a debug log how a request for a vote was judged.
    fn say_vote(&mut self, key: MasterKey, asked: &Question<'_>, given: bool) {
        let Question { epoch, candidate: Some(candidate), signed, .. } = asked else { return };
        let epoch = *epoch;
        let Some(master) = self.masters.get(&key) else { return };
        let name = master.name.clone();
        let outcome = if given {
            "given".to_owned()
        } else if epoch < self.ctx.current_epoch {
            format!("not given, the current epoch is {}", self.ctx.current_epoch)
        } else {
            let leader = master.vote.leader.as_ref().map_or_else(|| "a name forgotten".to_owned(), ToString::to_string);
            format!("not given, the vote of epoch {} is {leader}'s", master.vote.epoch)
        };
        let how = if signed.is_some() { ", signed" } else { "" };
        let text = format!("{candidate} asks for the vote of epoch {epoch} for {name}: {outcome}{how}");
        self.ctx.notice(Topic::VoteAsked, Some(&name), text);
    }
}

impl Watch<'_> {
    /// Gives the vote of this epoch. It leaves when it is on disk.
    fn vote_for(&mut self, candidate: &SentinelId, epoch: Epoch) {
        let now = self.ctx.mono();
        self.master.vote.leader = Some(candidate.clone());
        self.master.vote.epoch = epoch;
        self.master.vote.about = Some(self.master.addr().clone());
        self.master.vote.at = now;
        if !planted(Bug::ForgetToPersistVote) {
            self.persist_promise();
        }
        let master = self.master.name.clone();
        self.ctx.once_durable(Pending::Event(Event::VoteForLeader { id: candidate.clone(), epoch, master }));
        self.changed();
        if *candidate == self.ctx.id {
            return;
        }
        // Whoever was voted for may be at work until this time: not two leaders at once. Anybody can ask for a vote under
        // any name: one that cannot be reached under it is not waited for as long.
        let longest = 2 * self.master.settings.failover_timeout;
        let known = self.peers.get(candidate).is_some_and(PeerLink::speaks);
        let pause = if known { longest } else { longest.min(UNKNOWN_LEADER_PAUSE) };
        self.master.not_before = now + pause + self.ctx.rng.up_to(Duration::from_secs(1));
        self.master.awaits_candidate = false;
        self.master.delay_told = false;
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        if self.is_electing() {
            self.end_candidacy("gave its vote to another candidate in a newer epoch");
        } else {
            self.consider_failover();
        }
        self.expect_result();
    }

    /// Makes this Sentinel a candidate in a new epoch. Nobody is told before it is on disk.
    pub(crate) fn stand(&mut self) -> Epoch {
        let epoch = self.ctx.current_epoch.next();
        self.ctx.current_epoch = epoch;
        self.master.vote.leader = Some(self.ctx.id.clone());
        self.master.vote.epoch = epoch;
        self.master.vote.about = Some(self.master.addr().clone());
        self.master.vote.at = self.ctx.mono();
        self.persist_promise();
        self.ctx.once_durable(Pending::Campaign { master: self.master.key, epoch });
        self.changed();
        epoch
    }

    /// The candidacy is on disk: ask everybody for a vote.
    pub(crate) fn campaign(&mut self, epoch: Epoch) {
        let Some(failover) = &mut self.master.failover else { return };
        if failover.epoch != epoch || !matches!(failover.phase, Phase::Registering) {
            return;
        }
        let forced = failover.is_forced();
        failover.phase = Phase::Electing { unanswered: std::collections::BTreeSet::new() };
        let master = self.master.name.clone();
        let id = self.ctx.id.clone();
        self.ctx.event(Event::NewEpoch { epoch, master: master.clone() });
        self.master_event(Event::TryFailover);
        self.ctx.event(Event::VoteForLeader { id, epoch, master });
        self.changed_urgently();
        let wait = if forced { FORCED_ELECTION_WAIT } else { self.election_window() };
        let deadline = self.ctx.mono() + wait;
        self.ctx.arm(Timer::Phase(self.master.key), deadline);
        for id in self.master.peers.keys().cloned().collect::<Vec<_>>() {
            self.request_vote(&id);
        }
        self.count_votes();
    }

    /// Asks one connected peer for its vote.
    pub(crate) fn request_vote(&mut self, id: &SentinelId) {
        let addr = self.master.addr().clone();
        let key = self.master.key;
        let candidate = Some(self.ctx.id.clone());
        let Some(failover) = &mut self.master.failover else { return };
        let Phase::Electing { unanswered } = &mut failover.phase else { return };
        let epoch = failover.epoch;
        let Some(shared) = self.peers.get_mut(id).filter(|shared| self.ctx.may_ask(shared)) else { return };
        if shared.link.awaits_vote(key, epoch) {
            return;
        }
        let (message, signed) = self.ctx.question((id, shared), &self.master.name, addr, epoch, candidate);
        if self.ctx.send(&mut shared.link, Asked::Vote { master: key, epoch, signed }, message) {
            unanswered.insert(id.clone());
        }
    }

    /// A peer answered to our request for its vote.
    pub(crate) fn vote_received(&mut self, id: &SentinelId, epoch: Epoch, answer: &PeerAnswer) {
        let mut overtaken = false;
        if let Some(failover) = &mut self.master.failover
            && failover.epoch == epoch
            && let Phase::Electing { unanswered } = &mut failover.phase
        {
            unanswered.remove(id);
            // It is an opinion of the master as well, and as fresh as the vote.
            let addr = self.master.addr().clone();
            self.opinion_received(id, &addr, answer);
            overtaken = answer.vote_epoch > epoch && answer.vote_epoch.plausible_after(self.ctx.current_epoch);
        }
        if overtaken && self.ctx.adopt_epoch(answer.vote_epoch, id.as_str()) {
            let (epoch, master) = (answer.vote_epoch, self.master.name.clone());
            self.ctx.once_durable(Pending::Event(Event::NewEpoch { epoch, master }));
        }
        if overtaken && self.is_electing() {
            self.lose_election(&format!("epoch {epoch} is over, {id} has voted in {}", answer.vote_epoch));
        } else {
            self.count_votes();
        }
    }

    /// A peer that was asked for its vote is gone.
    pub(crate) fn voter_lost(&mut self, id: &SentinelId) {
        if let Some(failover) = &mut self.master.failover
            && let Phase::Electing { unanswered } = &mut failover.phase
        {
            unanswered.remove(id);
            self.count_votes();
        }
    }

    /// Looks whether the election is decided.
    pub(crate) fn count_votes(&mut self) {
        if self.ctx.in_tilt() {
            return;
        }
        let Some(failover) = &self.master.failover else { return };
        let Phase::Electing { unanswered } = &failover.phase else { return };
        let (epoch, forced, open) = (failover.epoch, failover.is_forced(), unanswered.len());
        let me = &self.ctx.id;
        let votes = self.master.peers.values().filter_map(|peer| peer.vote.as_ref());
        let own = usize::from(self.master.vote.epoch == epoch && self.master.vote.leader.as_ref() == Some(me));
        let mine = own + votes_for(me, epoch, votes.clone());
        let others = votes.filter(|(leader, at)| leader != me && *at == epoch).count();
        let needed = self.needed();
        // That the epoch of this process is newer by now means nothing: another master's election may have raised it.
        // What counts is this master. (The reference counts in the newest epoch only, so that of several masters that
        // fail together one election spoils the other.)
        if self.master.config_epoch >= epoch {
            self.lose_election(&format!("a configuration of epoch {} is in force", self.master.config_epoch));
        } else if forced {
            // The operator decides, not the majority; but the epoch must be granted to nobody else, or two
            // configurations of the same epoch could come into the world.
            if others > 0 {
                self.lose_election("another Sentinel uses the same epoch");
            } else if open == 0 {
                self.win_election();
            }
        } else if mine >= needed.votes() {
            self.win_election();
        } else if mine + open < needed.votes() {
            let text = self.shortfall(epoch, mine, needed);
            self.lose_election(&text);
        }
    }

    /// The time for the election is over.
    pub(crate) fn election_timed_out(&mut self) {
        let Some(failover) = &self.master.failover else { return };
        if failover.is_forced() {
            self.win_election();
        } else {
            let epoch = failover.epoch;
            let votes = self.master.peers.values().filter_map(|peer| peer.vote.as_ref());
            let text = self.shortfall(epoch, 1 + votes_for(&self.ctx.id, epoch, votes), self.needed());
            self.lose_election(&text);
        }
    }

    fn needed(&self) -> Needed {
        let short = usize::from(planted(Bug::OneVoteShort));
        let quorum = self.master.settings.quorum.get() as usize;
        Needed { majority: self.master.majority() - short, quorum: quorum - short }
    }

    /// How long an election may take: as long as one round of questions, longer after each loss, at most the
    /// reference's. A departure: the reference waits the whole election timeout, although nothing was started.
    fn election_window(&self) -> Duration {
        let longest = self.ctx.timing.election_timeout.min(self.master.settings.failover_timeout);
        (self.ctx.timing.ask_period * (1 << self.master.lost_elections.min(8))).min(longest)
    }

    fn lose_election(&mut self, why: &str) {
        let Some(failover) = &mut self.master.failover else { return };
        if failover.is_forced() {
            // Try once more in a newer epoch, after a moment that differs from the other's.
            failover.phase = Phase::Deferred;
            let delay = self.ctx.nomination_delay();
            let pause = delay + self.ctx.rng.up_to(4 * delay);
            let at = self.ctx.mono() + pause;
            self.ctx.arm(Timer::Phase(self.master.key), at);
            return;
        }
        self.master.lost_elections = self.master.lost_elections.saturating_add(1);
        let doubled = self.ctx.timing.lost_election_delay * (1 << (self.master.lost_elections - 1).min(16));
        let pause = doubled.min(self.ctx.timing.max_lost_election_delay);
        let pause = pause + self.ctx.rng.up_to(pause);
        // Nothing was started, so nothing needs the long pause that follows a failed failover.
        self.master.not_before = self.ctx.mono() + pause;
        self.postpone_witness(self.master.not_before);
        self.end_candidacy(why);
        self.consider_failover();
    }

    /// This Sentinel is a candidate no more. When the next attempt may come is the caller's to say.
    pub(crate) fn end_candidacy(&mut self, why: &str) {
        let text = format!("Not elected to lead the failover of {}: {why}", self.master.name);
        let name = self.master.name.clone();
        self.ctx.notice(Topic::NotElected, Some(&name), text);
        self.end_failover(Event::AbortNotElected);
    }

    /// The Sentinel that has our vote is connected, but says no hello any more: its promises do not get to its disk, so it
    /// can announce nothing. It need not be waited for as long; an epoch later than its own overrides it, should it wake up.
    pub(crate) fn doubt_silent_leader(&mut self) {
        let now = self.ctx.mono();
        let Some(leader) = self.master.vote.leader.clone() else { return };
        let Some(peer) = self.master.peers.get(&leader) else { return };
        let silence = now.since(peer.hello_at);
        let longest = self.ctx.timing.election_timeout.min(self.master.settings.failover_timeout);
        let silent =
            silence > SILENT_AFTER_HELLOS * self.ctx.timing.publish_period && now >= self.master.vote.at + longest;
        if !silent
            || self.master.odown_since.is_none()
            || self.master.failover.is_some()
            || self.master.not_before <= now
        {
            return;
        }
        let name = self.master.name.clone();
        let text = format!(
            "{leader}, which leads the failover of {name} with our vote, has said no hello for {} ms: it is not waited for",
            silence.as_millis()
        );
        self.ctx.notice(Topic::LeaderSilent, Some(&name), text);
        self.master.not_before = now;
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        self.consider_failover();
    }

    /// The Sentinel that has our vote is down: it leads nothing, so we need not wait for it as long.
    pub(crate) fn leader_lost(&mut self, id: &SentinelId) {
        if self.master.vote.leader.as_ref() != Some(id) || self.master.failover.is_some() {
            return;
        }
        let longest = self.ctx.timing.election_timeout.min(self.master.settings.failover_timeout);
        let earliest = self.master.vote.at + longest;
        if earliest < self.master.not_before {
            self.master.not_before = earliest;
            self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
            self.consider_failover();
        }
    }
}
