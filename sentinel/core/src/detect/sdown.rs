//! Subjectively down: this Sentinel's own opinion.

use crate::{
    detect::{DownCause, Seen},
    events::Event,
    failover::CandidateLost,
    planted::{Bug, planted},
    state::NodeId,
    time::Instant,
    timer::Timer,
    types::SentinelId,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// Looks whether a data node is subjectively down, and when to look again.
    ///
    /// The reference's three rules: unavailable for longer than down-after; a master that says it is a replica for
    /// longer than down-after + 2 INFO periods; a rebooted master that does not answer PONG for longer than its
    /// master-reboot-down-after-period. More, if asked for: refused so many times in a row (`down-on-refused`); a master
    /// without its data (`empty-master-failover`); nobody is the master (`promote-best-effort`).
    pub(crate) fn evaluate_node(&mut self, id: NodeId) {
        if self.ctx.in_tilt() {
            return;
        }
        // Nobody looks: nothing new can be said of it.
        if self.master.nodes.get(id).is_some_and(|node| !node.link.is_watched()) {
            return;
        }
        let now = self.ctx.mono();
        let timer = Timer::NodeDown(self.master.key, id);
        // With every PING the deadline moves away. The timer stays where it is: it then finds nothing to do, and is
        // armed anew, once in down-after instead of twice with every PING.
        match self.down_deadline(id) {
            None => self.node_is_available(id),
            Some(deadline) if deadline > now => {
                self.ctx.timers.arm_by(timer, deadline);
                self.node_is_available(id);
            }
            Some(_) => {
                self.ctx.timers.disarm(&timer);
                self.node_is_down(id);
            }
        }
    }

    /// When the node is down, if nothing changes until then.
    fn down_deadline(&self, id: NodeId) -> Option<Instant> {
        let settings = &self.master.settings;
        let node = self.master.nodes.get(id)?;
        let is_master = id == self.master.current;
        let silent = node.link.unavailable_since().map(|since| since + settings.down_after);
        let refused = settings.down_on_refused.filter(|limit| node.link.refusals >= limit.get()).map(|_| Instant::ZERO);
        let wrong_role = (is_master && node.role == Role::Replica)
            .then(|| node.role_since + settings.down_after + 2 * self.ctx.timing.info_period);
        let rebooting = node
            .rebooted_at
            .filter(|_| is_master && !settings.reboot_down_after.is_zero())
            .map(|since| since + settings.reboot_down_after);
        // What the guards found, and were asked to act on.
        let emptied =
            is_master && self.master.emptied && settings.empty_master_failover && !planted(Bug::FollowTheEmpty);
        let vacant = is_master && self.promotes_best_effort() && !planted(Bug::LeaveNoMaster);
        let guarded = (emptied || vacant).then_some(Instant::ZERO);
        [silent, refused, wrong_role, rebooting, guarded].into_iter().flatten().min()
    }

    fn node_is_down(&mut self, id: NodeId) {
        let now = self.ctx.mono();
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if node.sdown_since.is_some() {
            return;
        }
        node.sdown_since = Some(now);
        node.last_sdown_at = Some(now);
        let cause = self.cause_of(id);
        self.node_event(id, |subject| Event::SubjectivelyDown { subject, cause });
        self.changed_urgently();
        self.selection_lost(id);
        self.candidate_lost(id, CandidateLost::SubjectivelyDown);
        if id == self.master.current {
            self.master_went_down();
            self.catch_up_lost(id);
        } else {
            self.replica_went_down();
            self.advance_reconfiguration();
        }
    }

    /// Why a data node is down.
    pub(crate) fn cause_of(&self, id: NodeId) -> DownCause {
        let is_master = id == self.master.current;
        let settings = &self.master.settings;
        let seen = Seen {
            now: self.ctx.mono(),
            settings,
            is_master,
            emptied: is_master && self.master.emptied && settings.empty_master_failover,
            vacant: is_master && self.promotes_best_effort(),
        };
        self.master.nodes.get(id).map_or(DownCause::NoConnection, |node| DownCause::of_node(node, &seen))
    }

    fn node_is_available(&mut self, id: NodeId) {
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if node.sdown_since.take().is_none() {
            return;
        }
        node.script_kill_sent = false;
        self.node_event(id, Event::SubjectivelyUp);
        self.changed_urgently();
        if id == self.master.current {
            self.master_came_back();
        } else {
            self.note_haste();
        }
    }

    /// Looks whether a peer is subjectively down for this master.
    pub(crate) fn evaluate_peer(&mut self, id: &SentinelId) {
        if self.ctx.in_tilt() {
            return;
        }
        let now = self.ctx.mono();
        let timer = Timer::PeerDown(self.master.key, id.clone());
        let Some(shared) = self.peers.get(id).filter(|shared| shared.link.is_watched()) else { return };
        let deadline = shared.link.unavailable_since().map(|since| since + self.master.settings.down_after);
        let down = deadline.is_some_and(|at| at <= now);
        // As for data nodes: a timer that comes too early is armed anew.
        if let Some(at) = deadline.filter(|at| *at > now) {
            self.ctx.timers.arm_by(timer, at);
        }
        let Some(peer) = self.master.peers.get_mut(id) else { return };
        if down == peer.sdown_since.is_some() {
            return;
        }
        peer.sdown_since = down.then_some(now);
        let addr = peer.addr.clone();
        let subject = self.master.subject_of_peer(id, &addr);
        let cause = self.peers.get(id).map(|shared| DownCause::of_link(&shared.link, now)).filter(|_| down);
        self.ctx.event(match cause {
            Some(cause) => Event::SubjectivelyDown { subject, cause },
            None => Event::SubjectivelyUp(subject),
        });
        self.changed();
        self.ctx.unexamined.insert(self.master.key);
        self.ctx.process_unexamined.0 = true;
        if down {
            self.leader_lost(id);
            self.judge_handover();
        }
    }
}
