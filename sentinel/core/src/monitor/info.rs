//! Asking INFO, and what follows from the answer.

use std::sync::Arc;

use sentinel_resp::Reply;

use crate::{
    events::Event,
    failover::{CandidateLost, Failover},
    monitor::{Condition, InfoReport},
    notice::Topic,
    output::Message,
    planted::{Bug, planted},
    state::{Asked, LinkState, Node, NodeId, Reconf},
    time::Instant,
    timer::Timer,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// Asks a data node for INFO, unless an answer is awaited already.
    pub(crate) fn ask_info(&mut self, id: NodeId) {
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if !node.link.awaits(&Asked::Info) && self.ctx.send(&mut node.link, Asked::Info, Message::Info) {
            node.info_asked_at = Some(self.ctx.mono());
        }
    }

    /// When the next INFO is due: every 10 s; every second for a replica whose master is objectively down or in
    /// failover, or which has lost its master; ten times a second for one that is being pointed at a new master.
    pub(crate) fn schedule_info(&mut self, id: NodeId) {
        let timing = &self.ctx.timing;
        let Some(node) = self.master.nodes.get(id) else { return };
        let is_replica = id != self.master.current;
        let period = if node.info.handover.is_under_way() {
            timing.urgent_info_period
        } else if is_replica && node.reconf.is_under_way() {
            timing.reconf_info_period
        } else if is_replica
            && (self.master.odown_since.is_some()
                || self.master.failover.is_some()
                || (node.role == Role::Replica && !node.info.link_up))
        {
            timing.urgent_info_period
        } else {
            timing.info_period
        };
        let period = period.min(timing.info_period);
        self.ctx.arm_again(Timer::Info(self.master.key, id), period);
    }

    /// The master is objectively down: INFO of the replicas comes every second from now on, also of those whose next
    /// one was to come later.
    pub(crate) fn hasten_info(&mut self) {
        let at = self.ctx.mono() + self.ctx.timing.urgent_info_period;
        for id in self.master.replica_ids() {
            self.look_again_by(id, at);
        }
    }

    /// Looks at INFO again at this time, if not before.
    pub(crate) fn look_again_by(&mut self, id: NodeId, at: Instant) {
        self.ctx.timers.arm_by(Timer::Info(self.master.key, id), at);
    }

    /// The answer to INFO. Only texts count; an error leaves the age of the last one growing.
    pub(crate) fn info_received(&mut self, id: NodeId, reply: &Reply) {
        if let (Reply::Bulk(_) | Reply::Verbatim { .. }, Some(text)) = (reply, reply.as_text()) {
            let text: Arc<str> = text.into();
            self.read_info(id, &text);
        } else {
            self.schedule_info(id);
        }
    }

    fn read_info(&mut self, id: NodeId, text: &Arc<str>) {
        let now = self.ctx.mono();
        let mut report = InfoReport::parse(text);
        let is_master = id == self.master.current;
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let listed = std::mem::take(&mut report.replicas);
        let rebooted = matches!((&node.info.run_id, &report.run_id), (Some(old), Some(new)) if old != new);
        report.run_id = report.run_id.take().or_else(|| node.info.run_id.take());
        if report.source != node.info.source {
            node.source_changed_at = now;
        }
        if let Some(source) = report.source_addr() {
            self.ctx.look_up(&source.host);
        }
        let role = report.role.unwrap_or(node.role);
        let role_changed = role != node.role;
        if planted(Bug::PromoteOnOldInfo) && node.info.offset > 1 {
            report.offset = node.info.offset;
        }
        if rebooted {
            node.restart_seen_at = Some(now);
        } else {
            report.remember_beginning(&node.info);
        }
        node.doubt_link_age(&mut report, !rebooted, self.ctx.timing.info_period, now);
        let news = report.news_since(&node.info);
        let before = node.info_at.map(|at| (&node.info, now.since(at)));
        node.condition.0 = Condition::of(&report, before, self.ctx.now.wall, self.master.settings.down_after);
        node.info = report;
        if is_master && role == Role::Master {
            node.familiar.keys_as_master = Some(node.info.holdings.keys());
        }
        node.info_text = Some(Arc::clone(text));
        node.info_at = Some(now);
        if role_changed {
            node.role = role;
            node.role_since = now;
        }
        if rebooted && is_master && !self.master.settings.reboot_down_after.is_zero() {
            node.rebooted_at = Some(now);
        }
        if let Some(news) = news {
            let (addr, name) = (node.addr.clone(), self.master.name.clone());
            self.ctx.notice(Topic::Info, Some(&name), format!("INFO of {addr}: {news}"));
        }
        if rebooted {
            self.node_event(id, Event::Reboot);
        }
        if self.forget_twin(id) {
            return;
        }
        self.ctx.unexamined.insert(self.master.key);
        if is_master {
            self.discover_replicas(listed);
        }
        if role_changed {
            let expected = (role == Role::Master) == is_master;
            self.node_event(id, |subject| Event::RoleChange { subject, role, expected });
            // It may be what a peer has announced.
            self.reconsider_all();
        }
        self.changed();
        if is_master {
            // An empty history is not one to learn.
            self.judge_emptiness(rebooted);
            self.judge_history(id);
        } else {
            // A stranger does not hold the data of before.
            self.judge_history(id);
            self.look_for_holders();
        }
        self.judge_sync(id);
        self.judge_vacancy();
        self.judge_handover();
        self.note_target_of(id);
        self.evaluate_node(id);
        self.stand_down_if_well();
        // Before anything is done about it: a rule may want to look again sooner.
        self.schedule_info(id);
        if let Some(node) = self.master.nodes.get_mut(id).filter(|_| role == Role::Replica && !is_master)
            // It may have said so before an order that is still on its way.
            && !node.link.in_flight.any(|it| matches!(it, Asked::Promote { .. }))
        {
            // In TILT, too: this is known, and nothing is done about it.
            node.former_master = false;
        }
        if !self.ctx.in_tilt() {
            self.act_on_role(id, role, is_master, rebooted);
            // Its place may be free now, or it may be its turn to be told whom to follow.
            self.advance_reconfiguration();
            if is_master {
                self.freeing_master_said();
            }
        }
        self.say_hello_kept(id);
        self.selection_answered(id);
        self.catch_up_told(id);
        self.reconsider_awaited_candidate();
    }

    /// Adds the replicas that the master lists and that are not known yet.
    pub(crate) fn discover_replicas(&mut self, listed: Vec<crate::types::HostPort>) {
        for addr in listed {
            let usable = addr.host.is_ip() || self.ctx.globals.resolve_hostnames;
            let known =
                self.master.node_at(&addr, &self.ctx.names).is_some() || self.master.aliases.contains_key(&addr);
            if !usable || known || self.master.nodes.len() > InfoReport::MAX_REPLICAS {
                continue;
            }
            if !self.ctx.look_up(&addr.host) {
                // It may be known by its address. Looked at again when the resolver has answered.
                continue;
            }
            let id = self.add_node(addr, Role::Replica);
            self.node_event(id, Event::ReplicaDiscovered);
            self.persist();
        }
    }

    /// One process answers at two addresses, as its run id shows: a name, and what it resolves to. It stays known
    /// under the older one, or the master's; otherwise it would be told to follow itself. True if this one is gone.
    fn forget_twin(&mut self, id: NodeId) -> bool {
        let Some(run_id) = self.master.nodes.get(id).and_then(|node| node.info.run_id.clone()) else { return false };
        let is_twin = |node: &&Node| node.id != id && node.link.is_up() && node.info.run_id.as_ref() == Some(&run_id);
        let Some(twin) = self.master.nodes.values().find(is_twin).map(|node| node.id) else { return false };
        let candidate = self.master.failover.as_ref().and_then(Failover::candidate);
        let kept = [id, twin].into_iter().find(|it| *it == self.master.current || candidate == Some(*it));
        let gone = if kept.unwrap_or_else(|| id.min(twin)) == id { twin } else { id };
        let addr_of = |id: NodeId| self.master.nodes.get(id).map(|node| node.addr.clone());
        let kept = if gone == id { twin } else { id };
        let addresses = addr_of(gone).zip(addr_of(kept));
        self.remove_node(gone);
        if let Some((addr, other)) = addresses {
            let name = self.master.name.clone();
            let text = format!("{addr} is the same process as {other}: it is known under the latter only");
            self.ctx.notice(Topic::SameProcess, Some(&name), text);
            self.master.remember_alias(addr, kept);
        }
        self.persist();
        gone == id
    }

    fn act_on_role(&mut self, id: NodeId, role: Role, is_master: bool, rebooted: bool) {
        match role {
            Role::Master if is_master => {
                self.undoing_master_said(role);
                // The master is known to be well: whoever was one before it can be put in its place.
                for other in self.master.replica_ids() {
                    self.consider_fencing(other);
                }
            }
            Role::Master => {
                let replaced = rebooted && self.master.nodes.get(id).is_some_and(|node| node.stranger);
                if replaced && (self.awaits_promotion_of(id) || self.is_handed_to(id)) {
                    // Its being a master is none of our doing.
                    self.candidate_lost(id, CandidateLost::Replaced);
                } else if self.awaits_promotion_of(id) {
                    self.promotion_acknowledged(id);
                } else if self.is_handed_to(id) {
                    self.handed_over(id);
                } else {
                    self.consider_fencing(id);
                }
            }
            Role::Replica if !is_master => {
                let stranger = self.master.nodes.get(id).is_some_and(|node| node.stranger);
                let ordered = self.master.failover.as_ref().is_some_and(Failover::takes_any);
                if stranger && !ordered && (self.awaits_promotion_of(id) || self.is_handed_to(id)) {
                    // What was chosen is not there any more.
                    self.candidate_lost(id, CandidateLost::Replaced);
                } else {
                    self.promotion_missing(id);
                }
                self.follow_reconfiguration(id);
                self.consider_fixing(id);
            }
            Role::Replica => self.undoing_master_said(role),
        }
    }

    /// How far a replica has come in following the new master.
    fn follow_reconfiguration(&mut self, id: NodeId) {
        let now = self.ctx.mono();
        let of = self.master.addr().clone();
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        let progress = node.info.sync_progress.wrapping_add(node.info.offset);
        match node.reconf {
            Reconf::Sent { .. } if node.info.follows(&of, &self.ctx.names) => {
                node.reconf = Reconf::InProgress { progress_at: now, progress };
                self.node_event(id, Event::ReconfInProgress);
            }
            Reconf::InProgress { progress: before, .. } if progress != before => {
                node.reconf = Reconf::InProgress { progress_at: now, progress };
            }
            _ => {}
        }
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        if matches!(node.reconf, Reconf::InProgress { .. })
            && node.info.link_up
            && node.info.follows(&of, &self.ctx.names)
        {
            node.reconf = Reconf::Done;
            self.node_event(id, Event::ReconfDone);
        } else if matches!(node.reconf, Reconf::Sent { .. })
            && matches!(node.link.state, LinkState::Up { since, .. } if node.ordered_at.is_some_and(|at| at < since))
        {
            // The order went over an earlier connection and was lost with it.
            self.order_to_follow(id);
        }
    }
}
