//! Pointing the other replicas at the new master, so many at a time as parallel-syncs allows.

use std::time::Duration;

use crate::{
    events::Event,
    failover::Failover,
    notice::Topic,
    state::{Node, NodeId, Reconf},
    time::Instant,
    timer::Timer,
    watch::Watch,
};

/// A synchronisation without any progress for so long gives its place to the next replica. Redis itself gives up a
/// silent link after as long (`repl-timeout`). The reference waits without limit.
const SYNC_STALL_LIMIT: Duration = Duration::from_secs(60);

impl Watch<'_> {
    /// Goes on: frees the places of replicas that are stuck, points the next ones, and sees whether all is done.
    pub(crate) fn advance_reconfiguration(&mut self) {
        if self.ctx.in_tilt() || !self.master.failover.as_ref().is_some_and(Failover::has_switched) {
            return;
        }
        let now = self.ctx.mono();
        for id in self.master.replica_ids() {
            if self.reconf_deadline(id).is_some_and(|at| at <= now) {
                self.node_event(id, Event::ReconfSentTimeout);
                self.set_reconf(id, Reconf::Done);
            }
        }
        for node in self.master.nodes.values_mut().filter(|it| it.stranger || it.link.shut_out || it.is_unfamiliar()) {
            // It is not ours to be pointed anywhere, or lets nobody do it, and so is not waited for.
            node.reconf = Reconf::Done;
        }
        let places = self.master.settings.sync_places();
        let mut taken = self.master.replicas().filter(|node| node.reconf.is_under_way()).count();
        for id in self.master.replica_ids() {
            let waits = |node: &Node| node.reconf == Reconf::Waiting && node.is_reachable() && !node.is_unread();
            let ready = self.master.nodes.get(id).is_some_and(waits);
            if taken < places && ready && self.order_to_follow(id) {
                self.node_event(id, Event::ReconfSent);
                self.set_reconf(id, Reconf::Sent { at: now });
                taken += 1;
            }
        }
        let open = |id: &NodeId| {
            self.master.nodes.get(*id).is_some_and(|n| n.reconf != Reconf::Done && n.sdown_since.is_none())
        };
        if self.master.replica_ids().iter().any(open) {
            let next = self.master.replica_ids().into_iter().filter_map(|id| self.reconf_deadline(id)).min();
            // A replica that is waited for may come back at any time.
            let at = next.unwrap_or(Instant::NEVER).min(now + Duration::from_secs(1));
            self.ctx.arm(Timer::Reconfigure(self.master.key), at);
        } else {
            self.end_failover(Event::FailoverEnd);
        }
    }

    /// It has lasted failover-timeout: the rest is told, and not waited for.
    pub(crate) fn reconfiguration_timed_out(&mut self) {
        self.tell_who_stands_in_the_way();
        self.master_event(Event::FailoverEndForTimeout);
        let rest: Vec<_> = self
            .master
            .replicas()
            .filter(|node| node.reconf == Reconf::Waiting && node.is_reachable())
            .map(|node| node.id)
            .collect();
        self.end_failover(Event::FailoverEnd);
        for id in rest {
            if self.order_to_follow(id) {
                self.node_event(id, Event::ReconfSentBestEffort);
            }
        }
    }

    /// Says of each replica that does not follow the new master how far it has come.
    fn tell_who_stands_in_the_way(&mut self) {
        let name = self.master.name.clone();
        let late = self.master.replicas().filter(|node| node.reconf != Reconf::Done && node.sdown_since.is_none());
        let texts = late.map(|node| {
            let how = match node.reconf {
                Reconf::Waiting if !node.is_reachable() => "it cannot be reached",
                Reconf::Waiting if self.is_for_a_newer_configuration(node) => {
                    "it says that it is a master, and a Sentinel that is not believed yet says so in a newer configuration"
                }
                Reconf::Waiting if node.is_unread() => "it has not told yet what it is",
                Reconf::Waiting => "it has not been told to yet: others take the places of parallel-syncs",
                Reconf::Sent { .. } => "it was told to, and does not name it as its master",
                Reconf::InProgress { .. } => "it is synchronising, or its link is down",
                Reconf::Done => "it does",
            };
            format!("{} does not follow the new master of {name} within failover-timeout: {how}", node.addr)
        });
        for text in texts.collect::<Vec<_>>() {
            self.ctx.notice(Topic::InTheWay, Some(&name), text);
        }
    }

    /// The new master is down itself. The reference would wait for it without end.
    pub(crate) fn abandon_reconfiguration(&mut self) {
        let name = self.master.name.clone();
        let text = format!("The new master of {name} is down before all replicas follow it: the failover begins anew");
        self.ctx.notice(Topic::BegunAnew, Some(&name), text);
        self.master.failover = None;
        for node in self.master.nodes.values_mut() {
            node.reconf = Reconf::Waiting;
        }
        self.ctx.timers.disarm(&Timer::Phase(self.master.key));
        self.ctx.timers.disarm(&Timer::Reconfigure(self.master.key));
        self.changed_urgently();
    }

    fn set_reconf(&mut self, id: NodeId, reconf: Reconf) {
        if let Some(node) = self.master.nodes.get_mut(id) {
            node.reconf = reconf;
        }
        self.schedule_info(id);
        self.changed();
    }

    fn reconf_deadline(&self, id: NodeId) -> Option<Instant> {
        match self.master.nodes.get(id)?.reconf {
            Reconf::Sent { at } => Some(at + self.ctx.timing.reconf_timeout),
            Reconf::InProgress { progress_at, .. } => Some(progress_at + SYNC_STALL_LIMIT),
            Reconf::Waiting | Reconf::Done => None,
        }
    }
}
