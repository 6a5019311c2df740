//! When a failover may start, and how it does.

use std::time::Duration;

use crate::{
    events::Event,
    failover::{Cause, Failover, Phase},
    notice::Topic,
    select::Refusal,
    state::NodeId,
    time::Instant,
    timer::Timer,
    watch::Watch,
};

impl Watch<'_> {
    /// The master is objectively down: become a candidate after a small random time, unless the last attempt is too
    /// recent. A Sentinel that is asked for its vote meanwhile gives it and does not run.
    pub(crate) fn consider_failover(&mut self) {
        if self.ctx.in_tilt() || self.master.odown_since.is_none() {
            return;
        }
        if self.master.failover.as_ref().is_some_and(Failover::has_switched) {
            // The promoted master died before the others followed it: begin anew.
            self.abandon_reconfiguration();
        }
        let timer = Timer::Nominate(self.master.key);
        if self.master.failover.is_some() || self.ctx.timers.is_armed(&timer) {
            return;
        }
        let now = self.ctx.mono();
        let at = if let Some(until) = self.withheld_until() {
            self.tell_withheld();
            until.max(self.master.not_before)
        } else if self.master.not_before > now {
            self.tell_delay(self.master.not_before.since(now));
            self.master.not_before
        } else if let Some(until) = self.candidate_awaited_until() {
            // A leader would find nobody, and nobody would try again for twice the failover timeout.
            self.tell_awaited_candidate();
            self.master.awaits_candidate = true;
            until
        } else {
            now + self.ctx.rng.up_to(self.ctx.nomination_delay())
        };
        self.ctx.arm(timer, at);
    }

    fn tell_delay(&mut self, pause: Duration) {
        if !std::mem::replace(&mut self.master.delay_told, true) {
            let name = self.master.name.clone();
            let text = format!(
                "Next failover delay: I will not start a failover of {name} for {} ms ({})",
                pause.as_millis(),
                self.reason_of_delay()
            );
            self.ctx.notice(Topic::FailoverDelayed, Some(&name), text);
        }
    }

    /// Who had the last attempt: the next one is left to it for a while.
    pub(crate) fn reason_of_delay(&self) -> String {
        let vote = &self.master.vote;
        match &vote.leader {
            Some(id) if *id == self.ctx.id => format!("my last attempt, in epoch {}, was not long ago", vote.epoch),
            Some(id) => {
                let leader = self.master.peers.get(id).map_or_else(|| id.to_string(), |peer| peer.addr.to_string());
                format!("{leader} has my vote in epoch {} to do it", vote.epoch)
            }
            None => format!("the attempt of epoch {} was not long ago", vote.epoch),
        }
    }

    /// The nomination's moment has come.
    pub(crate) fn nominate(&mut self) {
        let now = self.ctx.mono();
        let due = self.master.odown_since.is_some() && self.master.failover.is_none() && !self.ctx.in_tilt();
        if !due {
            return;
        }
        let waits = std::mem::take(&mut self.master.awaits_candidate) && self.candidate_awaited_until().is_some();
        if self.master.not_before > now || self.withheld_until().is_some() || waits {
            self.consider_failover();
        } else {
            self.start_failover(Cause::Down);
        }
    }

    /// Starts: a new epoch, the own vote, and the question to the others once both are on disk.
    pub(crate) fn start_failover(&mut self, cause: Cause) {
        let now = self.ctx.mono();
        let timeout = self.master.settings.failover_timeout;
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        // The reference's pacing: a failover that was started and failed is not repeated before twice its timeout.
        self.master.not_before = now + 2 * timeout + self.ctx.rng.up_to(Duration::from_secs(1));
        self.master.delay_told = false;
        let epoch = self.stand();
        self.master.failover = Some(Failover {
            epoch,
            cause,
            started_at: now,
            paused: None,
            handed_over: false,
            phase: Phase::Registering,
        });
        self.changed_urgently();
    }

    /// Whether votes are being asked for, so that no opinions are.
    pub(crate) fn is_electing(&self) -> bool {
        self.master.failover.as_ref().is_some_and(Failover::is_electing)
    }

    /// Elected, or forced: choose a replica, on offsets that are not older than the master's death.
    ///
    /// A departure: the reference compares what the last INFO said, up to 10 s ago. Here each replica that has not
    /// answered since is asked, and the choice waits for the answers, at most [`Timing::fresh_offset_wait`].
    ///
    /// [`Timing::fresh_offset_wait`]: crate::settings::Timing::fresh_offset_wait
    pub(crate) fn win_election(&mut self) {
        let Some(failover) = &self.master.failover else { return };
        let down_since =
            self.master.node().sdown_since.filter(|down| !failover.is_forced() || *down > failover.started_at);
        // Of an empty master's replicas each may have lost its data since it told of them: all are asked again.
        let fresh_from = if self.master.emptied { self.ctx.mono() } else { down_since.unwrap_or(failover.started_at) };
        self.master.lost_elections = 0;
        self.master_event(Event::ElectedLeader);
        if self.ctx.simulated.crash_after_election {
            self.ctx.crash();
        }
        self.master_event(Event::StateSelectReplica);
        let mut waiting: std::collections::BTreeSet<NodeId> = self
            .master
            .replicas()
            .filter(|node| node.is_reachable() && node.info.priority != 0)
            .filter(|node| node.info_at.is_none_or(|at| at < fresh_from))
            .map(|node| node.id)
            .collect();
        waiting.extend(self.witnesses());
        for id in &waiting {
            self.ask_info(*id);
        }
        let deadline = self.ctx.mono() + self.ctx.timing.fresh_offset_wait;
        self.ctx.arm(Timer::Phase(self.master.key), deadline);
        let nothing_to_wait_for = waiting.is_empty();
        self.enter(Phase::Selecting { waiting });
        if nothing_to_wait_for {
            self.choose_replica();
        }
    }

    /// A replica answered INFO.
    pub(crate) fn selection_answered(&mut self, id: NodeId) {
        self.selection_lost(id);
    }

    /// A replica has answered, or cannot any more: the choice need not wait for it.
    pub(crate) fn selection_lost(&mut self, id: NodeId) {
        let in_tilt = self.ctx.in_tilt();
        if let Some(Failover { phase: Phase::Selecting { waiting }, .. }) = &mut self.master.failover
            && waiting.remove(&id)
            && waiting.is_empty()
            && !in_tilt
        {
            self.choose_replica();
        }
    }

    /// Chooses, says why the others were not chosen, and goes on to the promotion.
    pub(crate) fn choose_replica(&mut self) {
        if self.go_on_from_handover() {
            return;
        }
        let name = self.master.name.clone();
        let (mut ranking, mut refused, mut best) = (Vec::new(), Vec::new(), None);
        for (node, place) in self.candidates() {
            match place {
                Ok(place) => {
                    best = best.or(Some(node.id));
                    let (info, addr) = (&node.info, &node.addr);
                    let run_id = info.run_id.as_ref().map_or("?", |id| id.as_str());
                    ranking.push(format!(
                        "Candidate {}: {addr}, {}, priority {}, offset {}, run id {run_id}",
                        place.rank, place.class, info.priority, info.offset
                    ));
                }
                Err(why) => refused.push((node.addr.clone(), why)),
            }
        }
        refused.sort_by(|one, other| one.0.cmp(&other.0));
        for (node, why) in refused {
            self.ctx.notice(
                Topic::NoCandidate,
                Some(&name),
                format!("{node} is no candidate for the promotion: {why}"),
            );
        }
        for text in ranking {
            self.ctx.notice(Topic::Candidate, Some(&name), text);
        }
        let wanted = self.wanted_still(best);
        let failover = self.master.failover.as_ref();
        let chosen = match wanted {
            // Asked for by name: this one or none.
            Some(wanted) => {
                let forced = failover.is_some_and(Failover::takes_any);
                let obeys = |why: &Refusal| forced && !why.is_absolute();
                self.place_of(wanted).filter(|place| place.as_ref().err().is_none_or(obeys)).map(|_| wanted)
            }
            None => best,
        };
        if let Some(replica) = chosen {
            self.begin_promotion(replica);
            return;
        }
        self.reinstate_master();
        if self.master.odown_since.is_some() {
            // Nothing was started: the long pause would only keep a replica waiting that comes back in a moment.
            self.master.awaits_candidate = true;
            if self.candidate_awaited_until().is_some() {
                self.master.not_before = self.ctx.mono();
            }
        }
        self.end_failover(Event::AbortNoGoodReplica);
    }

    /// The replica that was asked for by name. Not when the master has died since, before anything was sent, and another replica holds
    /// more: it was to take over from a master that lives, which loses nothing.
    fn wanted_still(&mut self, best: Option<NodeId>) -> Option<NodeId> {
        let failover = self.master.failover.as_ref()?;
        let wanted = failover.wanted()?;
        let died = self.master.node().sdown_since.is_some_and(|down| down > failover.started_at);
        let Some(best) = best.filter(|best| died && !failover.takes_any() && *best != wanted) else {
            return Some(wanted);
        };
        let stream = self.stream();
        let data = |id: NodeId| {
            let class = self.place_of(id)?.ok()?.class;
            Some((std::cmp::Reverse(class), stream.position(&self.master.nodes.get(id)?.info)))
        };
        if data(best) <= data(wanted) {
            return Some(wanted);
        }
        let addr = |id: NodeId| self.master.nodes.get(id).map(|node| node.addr.to_string()).unwrap_or_default();
        let text = format!(
            "{} was to be promoted by order. The master has died since, and {} holds more: that one is promoted",
            addr(wanted),
            addr(best)
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::Ordered, Some(&name), text);
        None
    }

    /// Goes over to another phase.
    pub(crate) fn enter(&mut self, phase: Phase) {
        if let Some(failover) = &mut self.master.failover {
            failover.phase = phase;
            self.changed_urgently();
        }
    }

    /// The deadline of the present phase has come.
    pub(crate) fn phase_timed_out(&mut self) {
        let Some(failover) = &self.master.failover else { return };
        if self.ctx.in_tilt() {
            // No steps in TILT: looked at when it is over.
            let over = self.ctx.timers.deadline(&Timer::TiltEnd).unwrap_or(self.ctx.mono());
            self.arm_phase(over + Duration::from_millis(1));
            return;
        }
        let cause = failover.cause;
        match &failover.phase {
            // The disk is what is waited for; it is loud about it itself.
            Phase::Registering | Phase::Recording { .. } | Phase::RecordingFreed => {}
            Phase::Electing { .. } => self.election_timed_out(),
            Phase::Deferred => self.start_failover(cause),
            Phase::Selecting { .. } => self.choose_replica(),
            Phase::CatchingUp { .. } => self.catch_up_timed_out(),
            Phase::Requesting { .. } | Phase::HandingOver { .. } => self.handover_timed_out(),
            Phase::Undoing { .. } => self.undoing_timed_out(),
            Phase::Freeing { .. } => self.freeing_timed_out(),
            Phase::Promoting { .. } | Phase::Confirming { .. } => self.end_failover(Event::AbortReplicaTimeout),
            Phase::Reconfiguring => self.reconfiguration_timed_out(),
        }
    }

    /// After TILT: go on where things stand.
    pub(crate) fn resume_failover(&mut self) {
        self.consider_failover();
        self.count_votes();
        self.reconsider_candidate();
        match self.master.failover.as_ref().map(|failover| &failover.phase) {
            Some(Phase::Selecting { waiting }) if waiting.is_empty() => self.choose_replica(),
            Some(Phase::CatchingUp { .. } | Phase::HandingOver { .. }) => self.follow_handover(),
            Some(Phase::Undoing { .. } | Phase::Freeing { .. }) => self.ask_info(self.master.current),
            Some(Phase::Promoting { replica }) => self.promotion_link_up(*replica),
            Some(Phase::Confirming { replica, .. }) => self.ask_info(*replica),
            _ => self.advance_reconfiguration(),
        }
    }

    /// The phase's deadline.
    pub(crate) fn arm_phase(&mut self, at: Instant) {
        self.ctx.arm(Timer::Phase(self.master.key), at);
    }
}
