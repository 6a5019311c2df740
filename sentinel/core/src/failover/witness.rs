//! A handover that nobody leads to its end: what the nodes themselves show of it.
//!
//! `FAILOVER` is carried out by the nodes. The Sentinel that ordered it may die in the middle, and an operator or a tool may order it
//! without any Sentinel. Then one of three things is left:
//!
//! - The replica has taken over, and the configured master follows it. Everything is done but for the configuration.
//! - The configured master pauses writes, and follows a replica that does not answer. It refuses every other order, and nothing
//!   but `FAILOVER ABORT` frees it.
//! - The configured master has handed over, and the replica has vanished together with the Sentinel that led: nobody that can be reached is
//!   the master. The configured one has all that the other had when it took over, and is told to be the master again; unless another
//!   replica has more, which is promoted then.
//!
//! All are read from INFO, and all take an elected leader in a new epoch: so no two configurations share an epoch when the old
//! leader returns, and Sentinels of other makes adopt the result. A departure: the reference waits until the master that is a replica has been
//! so for down-after and two INFO periods, and never frees a master.

use std::time::Duration;

use crate::{
    events::Event,
    failover::{Cause, Failover, Phase},
    monitor::HandoverState,
    notice::Topic,
    output::Message,
    pending::Pending,
    planted::{Bug, planted},
    state::{Asked, Node, NodeId},
    time::Instant,
    timer::Timer,
    types::{Epoch, SentinelId},
    view::Role,
    watch::Watch,
};

/// How often the nodes are asked while there is something to see.
const LOOK_PERIOD: Duration = Duration::from_millis(200);
/// For how long they are asked after something has happened that they may show, although there is nothing to see yet.
const LOOK_LIMIT: Duration = Duration::from_secs(3);
/// How often they are asked while the Sentinel that has our vote has not told its result.
const EXPECT_PERIOD: Duration = Duration::from_millis(500);
/// For how long they are asked for that reason.
const EXPECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a leader that lives may take to tell what the nodes show already.
const LEADER_PATIENCE: Duration = Duration::from_secs(2);
/// A handover takes some milliseconds once the replica has everything. One that lasts for so long is stuck if its target is out of reach.
const STUCK_AFTER: Duration = Duration::from_secs(1);
/// How long it is awaited that a master obeys to `FAILOVER ABORT`.
const FREEING_LIMIT: Duration = Duration::from_secs(2);

/// What the nodes show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Sight {
    /// The configured master follows this node, which says that it is the master.
    TookOver {
        /// That node.
        by: NodeId,
    },
    /// The configured master is handing over.
    UnderWay {
        /// To whom, if that is a node that is known.
        to: Option<NodeId>,
        state: HandoverState,
    },
    /// The configured master has handed over to this node, which is gone, and so is the leader that would tell of it.
    Lost {
        /// That node.
        to: NodeId,
    },
}

/// What is seen of a handover, and what is to be done about it.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Witness {
    seen: Option<(Sight, Instant)>,
    /// The Sentinel that may have ordered what is seen lives no more. It had our vote, which is our own once we stand for the sake of this.
    abandoned: bool,
    /// No election for its sake before this.
    not_before: Instant,
    /// The nodes are looked at again and again until then: something has happened that they may show.
    look_until: Instant,
    /// When this Sentinel nominates itself.
    nominates_at: Option<Instant>,
}

impl Watch<'_> {
    /// INFO has come, or somebody is gone: see whether there is a handover that nobody finishes.
    pub(crate) fn judge_handover(&mut self) {
        if planted(Bug::LeaveHandovers) {
            return;
        }
        let now = self.ctx.mono();
        self.master.witness.abandoned = self.was_ordered_by_the_dead();
        let Some(sight) = self.handover_in_sight() else {
            // What it does while it cannot be asked is not known, and while it is a replica the order has not come to its end.
            let master = self.master.node();
            self.master.witness.abandoned &= !master.link.is_up() || master.info.role == Some(Role::Replica);
            self.master.witness.seen = None;
            self.master.witness.nominates_at = None;
            return;
        };
        let since = match self.master.witness.seen {
            Some((before, since)) if before == sight => since,
            _ => {
                self.master.witness.seen = Some((sight, now));
                self.master.witness.nominates_at = None;
                // What others said before may be old.
                self.ask_witnesses(sight);
                now
            }
        };
        self.ctx.timers.arm_by(Timer::Witness(self.master.key), now + LOOK_PERIOD);
        if !self.is_orphaned(sight, since) {
            self.master.witness.nominates_at = None;
        } else if self.master.witness.nominates_at.is_none() {
            let at = now + self.place_among_witnesses() * self.ctx.nomination_delay();
            self.master.witness.nominates_at = Some(at);
            self.ctx.timers.arm_by(Timer::Witness(self.master.key), at);
        }
    }

    /// A moment has passed.
    pub(crate) fn look_at_handover(&mut self) {
        let now = self.ctx.mono();
        let timer = Timer::Witness(self.master.key);
        self.judge_handover();
        let Some((sight, since)) = self.master.witness.seen else {
            let hurries = now < self.master.witness.look_until;
            if (hurries || self.is_result_awaited()) && !self.ctx.in_tilt() {
                self.ask_all_info();
                self.ctx.timers.arm_by(timer, now + if hurries { LOOK_PERIOD } else { EXPECT_PERIOD });
            }
            return;
        };
        if self.master.witness.nominates_at.is_some_and(|at| at <= now) {
            self.master.witness.nominates_at = None;
            self.master.witness.not_before = now + LEADER_PATIENCE;
            let to = match sight {
                Sight::TookOver { by } | Sight::Lost { to: by } => Some(by),
                Sight::UnderWay { to, .. } => to,
            };
            return self.start_failover(Cause::Nodes { to });
        }
        let master = self.master.node();
        if master.link.awaits(&Asked::Hello) && master.link.awaits(&Asked::Info) && since + STUCK_AFTER / 2 <= now {
            // What is published waits until the pause is over, and everything behind it.
            self.renew_link_of(self.master.current);
        }
        self.ask_witnesses(sight);
    }

    /// A vote was given for a master that is well: its leader is about to move it. What comes of that is looked for until it is told.
    pub(crate) fn expect_result(&mut self) {
        if self.is_result_awaited() {
            let at = self.ctx.mono() + EXPECT_PERIOD;
            self.ctx.timers.arm_by(Timer::Witness(self.master.key), at);
        }
    }

    /// The connection to a Sentinel broke. If it leads a failover with our vote, the nodes show how far it had come.
    pub(crate) fn leader_disconnected(&mut self, id: &SentinelId) {
        if self.master.vote.leader.as_ref() == Some(id) && self.is_result_awaited() {
            self.look_at_nodes();
        }
    }

    /// A replica is subjectively down: it may be the one that the master is handing over to.
    pub(crate) fn replica_went_down(&mut self) {
        self.note_haste();
        let endpoint = self.endpoint(self.master.current);
        self.ctx.check_silence(&mut self.master.node_mut().link, &endpoint);
        self.ask_info(self.master.current);
        self.judge_handover();
    }

    /// Whether a node that is none of our masters is handing over to another node, and this Sentinel knows for certain which one is the master.
    pub(crate) fn is_stopped_from_handing_over(&self, id: NodeId) -> bool {
        let hands_over = |node: &Node| node.info.handover == HandoverState::InProgress;
        id != self.master.current
            && self.master.nodes.get(id).is_some_and(hands_over)
            && self.configuration_established()
    }

    /// A node that was the master before hands over to another one still: should that one take over, it must not stay a master.
    pub(crate) fn note_target_of(&mut self, id: NodeId) {
        if !self.is_stopped_from_handing_over(id) {
            return;
        }
        let source = self.master.nodes.get(id).and_then(|node| node.info.source_addr());
        let target = source.and_then(|addr| self.master.node_at(&addr, &self.ctx.names));
        let target = target.filter(|target| *target != self.master.current);
        if let Some(node) = target.and_then(|target| self.master.nodes.get_mut(target)) {
            node.former_master = true;
        }
    }

    /// The node that we hold for the master may have handed over: other names of it have moved.
    pub(crate) fn look_at_nodes(&mut self) {
        self.ask_all_info();
        let now = self.ctx.mono();
        self.master.witness.look_until = now + LOOK_LIMIT;
        self.ctx.timers.arm_by(Timer::Witness(self.master.key), now + LOOK_PERIOD);
    }

    /// Whether the master may keep back what is published, and all that comes behind it: a handover is seen, or a Sentinel has just got our vote
    /// to move it, or we have told it to hand over.
    pub(crate) fn may_keep_hellos(&self) -> bool {
        let failover = self.master.failover.as_ref();
        let asked = failover
            .is_some_and(|it| matches!(it.phase, Phase::Requesting { .. }) || it.paused == Some(self.master.current));
        if asked {
            return true;
        }
        let voted = || self.leader_of_failover().is_some_and(|(_, at)| self.ctx.mono() < at + LEADER_PATIENCE);
        self.master.witness.seen.is_some() || self.master.node().sdown_since.is_none() && voted()
    }

    /// The election for the sake of what the nodes show was lost: the next one is not before this.
    pub(crate) fn postpone_witness(&mut self, until: Instant) {
        self.master.witness.not_before = until;
    }

    /// Elected without an operator: go on from what the nodes show of a handover, if they do. True: nothing else is to be done.
    pub(crate) fn go_on_from_handover(&mut self) -> bool {
        let Some(failover) = &self.master.failover else { return false };
        let (cause, started_at) = (failover.cause, failover.started_at);
        if failover.is_forced() {
            return false;
        }
        let fresh = self.master.node().info_at.is_some_and(|at| at >= started_at);
        match self.handover_in_sight().filter(|_| fresh) {
            Some(Sight::TookOver { by }) => {
                self.node_event(by, Event::HandedOver);
                self.node_event(by, Event::SelectedReplica);
                self.promote(by);
                true
            }
            Some(Sight::UnderWay { to, state }) => {
                let waits = state == HandoverState::WaitingForSync && !self.was_ordered_by_the_dead();
                if waits || to.is_some_and(|to| !self.is_lost(to)) && cause == Cause::Down {
                    return false;
                }
                self.free_master(to);
                true
            }
            Some(Sight::Lost { to }) => {
                match self.replica_ahead_of_master() {
                    Some(replica) => self.begin_promotion(replica),
                    None => self.free_master(Some(to)),
                }
                true
            }
            None if !fresh && matches!(cause, Cause::Nodes { .. }) => {
                // It may keep the answer back behind a hello.
                if self.master.node().link.awaits(&Asked::Hello) {
                    self.renew_link_of(self.master.current);
                }
                let again = self.ctx.mono() + self.ctx.timing.lost_election_delay;
                self.postpone_witness(again);
                self.end_failover(Event::AbortNoGoodReplica);
                true
            }
            None => {
                if let Cause::Nodes { .. } = cause {
                    let name = self.master.name.clone();
                    self.ctx.notice(Topic::HandoverOver, Some(&name), format!("The handover of {name} is at its end"));
                    self.master.not_before = self.ctx.mono();
                    self.end_failover(Event::AbortNotElected);
                    return true;
                }
                false
            }
        }
    }

    /// Whose INFO is needed before an elected leader can go on from what they show.
    pub(crate) fn witnesses(&self) -> Vec<NodeId> {
        let other = match self.handover_in_sight() {
            Some(Sight::TookOver { by }) => Some(by),
            Some(Sight::UnderWay { to, .. }) => to.filter(|to| !self.is_lost(*to)),
            Some(Sight::Lost { .. }) => None,
            None => return Vec::new(),
        };
        std::iter::once(self.master.current).chain(other).collect()
    }

    /// What INFO of the configured master, over its present connection, and of the node that it follows show.
    fn handover_in_sight(&self) -> Option<Sight> {
        let master = self.master.node();
        let since = master.link.up_since()?;
        master.info_at.filter(|at| *at >= since)?;
        let state = master.info.handover;
        let source = master.info.source_addr().filter(|_| master.info.role == Some(Role::Replica));
        let known = source.and_then(|addr| {
            let alias = || self.master.aliases.get(&addr).copied();
            self.master.node_at(&addr, &self.ctx.names).or_else(alias)
        });
        let to = known.filter(|id| *id != self.master.current);
        let linked = master.info.link_up || state == HandoverState::InProgress;
        match to.filter(|id| linked && self.is_rightful_master(*id)) {
            Some(by) => Some(Sight::TookOver { by }),
            None if state.is_under_way() => Some(Sight::UnderWay { to, state }),
            None => to.filter(|to| self.is_lost_with_leader(*to)).map(|to| Sight::Lost { to }),
        }
    }

    /// Whether a node that the configured master follows is down, and so is the Sentinel that had our vote to move it. Without such a
    /// Sentinel somebody wanted that master to be a replica: the reference's rule holds.
    fn is_lost_with_leader(&self, id: NodeId) -> bool {
        let is_down = self.master.nodes.get(id).is_some_and(|node| node.sdown_since.is_some());
        // Our vote is no longer that Sentinel's once somebody stands for the sake of this.
        let seen = matches!(self.master.witness.seen, Some((Sight::Lost { to }, _)) if to == id);
        is_down && (seen || self.was_ordered_by_the_dead())
    }

    /// The best replica, of those that have more than the configured master, which is a replica itself.
    fn replica_ahead_of_master(&self) -> Option<NodeId> {
        let stream = self.stream();
        let ours = stream.position(&self.master.node().info)?;
        let has_more = |node: &Node| stream.position(&node.info).is_some_and(|theirs| theirs > ours);
        self.candidates().into_iter().find(|(node, place)| place.is_ok() && has_more(node)).map(|(node, _)| node.id)
    }

    /// Whether a node says that it is the master, and goes on with the data of the configured one.
    fn is_rightful_master(&self, id: NodeId) -> bool {
        let Some(node) = self.master.nodes.get(id) else { return false };
        let (theirs, ours) = (&node.info.history, &self.master.node().info.history);
        let same = self.master.lineage.includes(theirs) || theirs.id.is_some() && theirs.id == ours.id;
        node.is_reachable() && node.info.role == Some(Role::Master) && !node.stranger && same
    }

    /// Whether nobody is going to finish it, as far as can be known.
    fn is_orphaned(&self, sight: Sight, since: Instant) -> bool {
        let now = self.ctx.mono();
        let fresh = |id: NodeId| {
            let told_at = self.master.nodes.get(id).and_then(|node| node.info_at);
            told_at.is_some_and(|at| at > since)
        };
        let busy = self.master.failover.is_some() || self.master.adopting.is_some() || self.ctx.in_tilt();
        if busy || self.master.witness.not_before > now || !fresh(self.master.current) || self.is_led(since) {
            return false;
        }
        match sight {
            Sight::TookOver { by } => fresh(by),
            // Both have been silent for down-after.
            Sight::Lost { .. } => true,
            Sight::UnderWay { to, state } => {
                let lost = to.is_none_or(|to| self.is_lost(to));
                // The two may not reach each other, although we reach both.
                let longest = if lost { STUCK_AFTER } else { self.master.settings.down_after.max(STUCK_AFTER) };
                let waits = state == HandoverState::WaitingForSync;
                since + longest <= now && (!waits || self.was_ordered_by_the_dead())
            }
        }
    }

    /// How many Sentinels go before this one: all that can be reached see the same at the same time. Who is asked for its vote meanwhile
    /// gives it and does not run.
    fn place_among_witnesses(&self) -> u32 {
        let before = self.master.peers.keys().filter(|id| **id < self.ctx.id && self.is_alive(id)).count();
        u32::try_from(before).unwrap_or(u32::MAX).min(8)
    }

    /// Whether a Sentinel that lives leads a failover with our vote, and may still tell its result.
    fn is_led(&self, since: Instant) -> bool {
        self.leader_of_failover()
            .is_some_and(|(id, voted_at)| self.is_alive(id) && self.ctx.mono() < since.max(voted_at) + LEADER_PATIENCE)
    }

    /// Whether a Sentinel that has, or had, our vote may have begun it, and lives no more. An operator that waits is not contradicted.
    fn was_ordered_by_the_dead(&self) -> bool {
        let vote = &self.master.vote;
        let is_own = vote.leader.as_ref() == Some(&self.ctx.id) && vote.epoch > self.newest_configuration();
        self.leader_of_failover().map_or(is_own && self.master.witness.abandoned, |(id, _)| !self.is_alive(id))
    }

    /// The other Sentinel that has our vote for a configuration newer than all that were told, and since when.
    fn leader_of_failover(&self) -> Option<(&SentinelId, Instant)> {
        let vote = &self.master.vote;
        let leader = vote.leader.as_ref().filter(|id| **id != self.ctx.id)?;
        (vote.epoch > self.newest_configuration()).then_some((leader, vote.at))
    }

    fn is_alive(&self, id: &SentinelId) -> bool {
        let sdown = self.master.peers.get(id).is_none_or(|peer| peer.sdown_since.is_some());
        !sdown && self.peers.get(id).is_some_and(|shared| shared.link.is_up())
    }

    fn is_lost(&self, id: NodeId) -> bool {
        self.master.nodes.get(id).is_none_or(|node| !node.is_reachable())
    }

    /// Whether the master is well, and the Sentinel that has our vote is to tell that another node is it.
    fn is_result_awaited(&self) -> bool {
        self.master.node().sdown_since.is_none()
            && self.leader_of_failover().is_some_and(|(_, at)| self.ctx.mono() < at + EXPECT_LIMIT)
    }

    fn ask_witnesses(&mut self, sight: Sight) {
        let other = match sight {
            Sight::TookOver { by } => Some(by),
            Sight::UnderWay { to, .. } => to,
            Sight::Lost { .. } => None,
        };
        self.ask_info(self.master.current);
        if let Some(other) = other {
            self.ask_info(other);
        }
    }

    fn ask_all_info(&mut self) {
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            self.ask_info(id);
        }
    }

    /// Tells the configured master to go on as such: the node that it hands over to, or has handed over to, is out of reach.
    fn free_master(&mut self, target: Option<NodeId>) {
        let target_addr = target.and_then(|id| self.master.nodes.get(id)).map(|node| node.addr.to_string());
        let text = format!(
            "The master of {} {} to {}, which is out of reach: it is told to go on",
            self.master.name,
            if self.master.node().info.handover.is_under_way() { "is handing over" } else { "has handed over" },
            target_addr.as_deref().unwrap_or("an unknown node")
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::MasterFreed, Some(&name), text);
        self.enter(Phase::Freeing { target });
        let deadline = self.ctx.mono() + FREEING_LIMIT;
        self.arm_phase(deadline);
        if self.master.node().link.awaits(&Asked::Hello) {
            // The order would wait behind what is published, for the very pause that it is to end.
            self.renew_link_of(self.master.current);
        } else {
            self.order_to_go_on();
        }
    }

    /// What it obeys to: while it hands over nothing but the end of that, and then to be a master.
    fn order_to_go_on(&mut self) {
        let id = self.master.current;
        if self.master.node().info.handover.is_under_way() {
            self.send_to(id, Asked::CallOff, Message::CallOff { unpause: false });
        } else {
            self.order_promotion(id, self.usual_order(id));
        }
    }

    /// A link came up: if the master is to be freed, now it can be told.
    pub(crate) fn freeing_link_up(&mut self, id: NodeId) {
        if id == self.master.current && self.is_freeing() {
            self.order_to_go_on();
        }
    }

    /// The master answered to the order to go on.
    pub(crate) fn freeing_answered(&mut self, id: NodeId) {
        if id == self.master.current && self.is_freeing() {
            self.ask_info(id);
        }
    }

    /// The configured master told INFO, after the order to go on if one was given.
    pub(crate) fn freeing_master_said(&mut self) {
        let Some(Failover { phase: Phase::Freeing { target }, epoch, .. }) = self.master.failover else { return };
        let master = self.master.node();
        let is_order = |asked: &Asked| matches!(asked, Asked::CallOff | Asked::Promote { .. });
        if master.link.in_flight.any(is_order) || master.info.handover.is_under_way() {
            return;
        }
        let is_master = master.info.role == Some(Role::Master);
        let now = self.ctx.mono();
        self.master.not_before = now;
        if !is_master {
            // It has handed over in the very moment.
            self.master.witness.not_before = now;
            return self.end_failover(Event::AbortNoGoodReplica);
        }
        if epoch <= self.newest_configuration() {
            return self.end_outdated_failover();
        }
        // The old leader may return and promote the other node in its own epoch: this one is newer. No order follows from it before
        // it is on disk.
        self.enter(Phase::RecordingFreed);
        self.persist_promise();
        self.ctx.once_durable(Pending::Freed { master: self.master.key, epoch });
        if let Some(node) = target.and_then(|id| self.master.nodes.get_mut(id)) {
            // If it has taken over all the same, it must not stay a master.
            node.former_master = true;
        }
    }

    /// That the master goes on, in a configuration of its own, is on disk.
    pub(crate) fn master_freed(&mut self, freed_in: Epoch) {
        let Some(Failover { phase: Phase::RecordingFreed, epoch, .. }) = self.master.failover else { return };
        if epoch != freed_in {
            return;
        }
        if epoch <= self.newest_configuration() {
            return self.end_outdated_failover();
        }
        self.master.config_epoch = epoch;
        self.master.led_switch = true;
        self.end_failover(Event::MasterFreed);
        self.say_hello();
    }

    /// The master does not go on.
    pub(crate) fn freeing_timed_out(&mut self) {
        self.master.not_before = self.ctx.mono();
        self.end_failover(Event::AbortNoGoodReplica);
    }

    fn is_freeing(&self) -> bool {
        matches!(self.master.failover, Some(Failover { phase: Phase::Freeing { .. }, .. }))
    }
}
