//! Asking INFO, and what follows from the answer.

use std::{sync::Arc, time::Duration};

use sentinel_resp::Reply;

use crate::{
    events::Event,
    failover::{CandidateLost, Failover},
    monitor::{Condition, InfoReport},
    notice::Topic,
    output::Message,
    planted::{Bug, planted},
    role_change::{Omitted, Step, is_consequence},
    state::{Asked, Claim, LinkState, Node, NodeId, Peer, Reconf, of_role_change},
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
    fn look_again_by(&mut self, id: NodeId, at: Instant) {
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

    /// Whether the configured master can be trusted with more replicas: it says it is one, is not down, and has said
    /// so lately.
    fn master_looks_sane(&self) -> bool {
        let node = self.master.node();
        // After a switch it is held for a master before it has said so.
        node.role == Role::Master
            && node.info.role == Some(Role::Master)
            && node.sdown_since.is_none()
            && self.master.odown_since.is_none()
            && node.info_at.is_some_and(|at| self.ctx.mono().since(at) < 2 * self.ctx.timing.info_period)
    }

    /// Whether a majority of all Sentinels announces the configuration that is in force here.
    pub(crate) fn configuration_confirmed(&self) -> bool {
        1 + self.announcers(self.master.config_epoch, self.master.addr()) >= self.master.majority()
    }

    /// A node that should be a replica says it is a master.
    ///
    /// A departure: one that is known to have been the master before the present configuration is turned into a
    /// replica at once, if this Sentinel led the switch or a majority announces it. Any other, as in the reference,
    /// must have said so for 4 hello periods (8 s) without having been down: it may be another leader's promotion.
    pub(crate) fn consider_fencing(&mut self, id: NodeId) {
        let switching = self.master.failover.as_ref().is_some_and(|failover| !failover.has_switched());
        let Some(node) = self.master.nodes.get(id) else { return };
        if id == self.master.current
            || node.role != Role::Master
            || node.info_at.is_none()
            || switching
            // It may be the master of the newer configuration that is being written.
            || self.master.adopting.is_some()
            || !node.link.is_up()
            || self.is_being_pointed(id)
            || !self.master_looks_sane()
            || planted(Bug::NeverFence)
        {
            return;
        }
        let known_former = node.former_master && (self.master.led_switch || self.configuration_confirmed());
        if !known_former {
            if self.may_be_newer_master(node) {
                return;
            }
            let calm = 4 * self.ctx.timing.publish_period;
            let due = (node.role_since + calm).max(node.last_sdown_at.map_or(Instant::ZERO, |at| at + calm));
            if due >= self.ctx.mono() {
                self.look_again_by(id, due + Duration::from_millis(1));
                return;
            }
        }
        if !self.was_ordered_within(self.ctx.timing.urgent_info_period, id) {
            self.demote(id);
        }
    }

    /// Points a node that says it is a master at the real one.
    pub(crate) fn demote(&mut self, id: NodeId) {
        if self.order_to_follow(id) {
            self.node_event(id, Event::ConvertToReplica);
        }
    }

    /// Sends a node the order to follow the master, unless its data are of another history: they would be replaced. Nor one
    /// that refuses the login and is not known to be of this deployment, nor one that a newer configuration may rule.
    pub(crate) fn order_to_follow(&mut self, id: NodeId) -> bool {
        let Some(node) = self.master.nodes.get(id).filter(|node| !node.stranger) else { return false };
        if self.is_for_a_newer_configuration(node) {
            return false;
        }
        if node.is_unfamiliar() {
            self.tell_of_closed_door(id);
            return false;
        }
        let (now, of) = (self.ctx.mono(), self.master.addr().clone());
        let omitted = self.usual_order(id);
        let sent = self.send_to(id, Asked::Replicate { of: of.clone(), omitted }, Message::Replicate { of, omitted });
        if let Some(node) = self.master.nodes.get_mut(id).filter(|_| sent) {
            node.ordered_at = Some(now);
        }
        sent
    }

    /// The whole order; to a node that is handing over it says first not to.
    pub(crate) fn usual_order(&self, id: NodeId) -> Omitted {
        let abort_first = self.master.nodes.get(id).is_some_and(|node| node.info.handover.is_under_way());
        Omitted { abort_first, unpause: self.is_paused(id), ..Omitted::default() }
    }

    /// Whether a node was told whom to follow a moment ago. If it has not obeyed, it is told again when the pause is
    /// over: a node that refuses would be told as fast as it answers.
    fn was_ordered_within(&mut self, pause: Duration, id: NodeId) -> bool {
        let again = self.master.nodes.get(id).and_then(|node| node.ordered_at).map(|at| at + pause);
        let Some(again) = again.filter(|at| *at > self.ctx.mono()) else { return false };
        self.look_again_by(id, again);
        true
    }

    /// A replica that follows another master than the configured one is put right, once things have been quiet for
    /// failover-timeout: until then a failover may be under way elsewhere.
    fn consider_fixing(&mut self, id: NodeId) {
        let of = self.master.addr().clone();
        let quiet = self.master.settings.failover_timeout;
        let now = self.ctx.mono();
        let in_failover = self.master.failover.is_some() || self.master.adopting.is_some();
        let Some(node) = self.master.nodes.get(id) else { return };
        if planted(Bug::NeverFix)
            || node.info.source.is_none()
            || node.info.follows(&of, &self.ctx.names)
            || in_failover
            || self.is_being_pointed(id)
            || self.follows_newer_master(node)
        {
            return;
        }
        let calm = (node.source_changed_at + quiet).max(node.last_sdown_at.map_or(Instant::ZERO, |at| at + quiet));
        let due = self.left_behind_until(node).map_or(calm, |at| at.min(calm));
        if due < now && calm >= now && !self.a_replica_may_sync() {
            self.look_again_by(id, now + self.ctx.timing.urgent_info_period);
            return;
        }
        // One that is still handing over to another node would make that one a master when it answers.
        if due >= now && !self.is_stopped_from_handing_over(id) {
            self.look_again_by(id, due + Duration::from_millis(1));
            return;
        }
        if self.master_looks_sane()
            && !self.was_ordered_within(self.ctx.timing.info_period, id)
            && self.order_to_follow(id)
        {
            self.node_event(id, Event::FixReplicaConfig);
        }
    }

    /// From when on a replica is pointed at the master that was out of reach when the master moved: nobody could tell
    /// it then, and it follows the node of before.
    ///
    /// A departure: the reference leaves it there for `failover-timeout`, and a master that needs replicas to accept
    /// writes (`min-replicas-to-write`) accepts none meanwhile. Once the followed node has said that it follows the
    /// master itself, there is nothing to wait for. While that node is down, a majority must go on announcing the
    /// present configuration for as long as an unexpected master is left alone (8 s): the node might be the master of a
    /// newer one that is not known here.
    fn left_behind_until(&self, node: &Node) -> Option<Instant> {
        let switched_at = self.master.switched_at?;
        let LinkState::Up { since, .. } = node.link.state else { return None };
        let back_at = node.restart_seen_at.map_or(since, |at| at.max(since));
        // Somebody has pointed it elsewhere since, or it has not been away.
        if node.source_changed_at > switched_at || back_at < switched_at {
            return None;
        }
        let source = self.master.node_at(&node.info.source_addr()?, &self.ctx.names)?;
        let source = self.master.nodes.get(source).filter(|source| source.id != self.master.current)?;
        let said =
            source.info_at.filter(|at| source.info_asked_at.is_some_and(|asked| asked <= *at && asked > switched_at));
        let follows = source.info.role == Some(Role::Replica)
            && source.info.follows(self.master.addr(), &self.ctx.names)
            && source.link.is_up()
            && source.sdown_since.is_none()
            && said.is_some();
        if follows {
            return (self.master.led_switch || self.configuration_confirmed()).then_some(Instant::ZERO);
        }
        let down = source.sdown_since.filter(|_| !node.info.link_up)?;
        let alone = back_at.max(down);
        self.is_announced_since(alone).then(|| alone + 4 * self.ctx.timing.publish_period)
    }

    /// Whether a majority of all Sentinels, this one among them, has announced the configuration in force here after
    /// this time.
    fn is_announced_since(&self, at: Instant) -> bool {
        let announces = |peer: &&Peer| {
            let same = |claim: &Claim| {
                claim.config_epoch == self.master.config_epoch && self.ctx.names.same(&claim.addr, self.master.addr())
            };
            peer.confirmed && peer.hello_at > at && peer.claim.as_ref().is_some_and(same)
        };
        1 + self.master.peers.values().filter(announces).count() >= self.master.majority()
    }

    /// Whether one more may copy the master's data (`parallel-syncs`): those count that do, and those that were told to
    /// a moment ago.
    fn a_replica_may_sync(&self) -> bool {
        let (of, now) = (self.master.addr(), self.ctx.mono());
        let syncs = |node: &&Node| {
            let follows = node.info.follows(of, &self.ctx.names);
            let told = node.ordered_at.is_some_and(|at| now.since(at) < self.ctx.timing.urgent_info_period);
            node.link.is_up() && if follows { !node.info.link_up } else { told || self.is_being_pointed(node.id) }
        };
        self.master.replicas().filter(syncs).count() < self.master.settings.parallel_syncs.max(1) as usize
    }

    /// Whether an order to follow a master is on its way to this node.
    fn is_being_pointed(&self, id: NodeId) -> bool {
        self.master
            .nodes
            .get(id)
            .is_some_and(|node| node.link.in_flight.any(|asked| matches!(asked, Asked::Replicate { .. })))
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

    /// The answers to the change of a node's role and the INFO behind it, which shows the result. An order that the node
    /// has thrown away for the sake of a part that can be left out is given again without it. Another error is logged.
    pub(crate) fn role_change_answered(&mut self, id: NodeId, asked: &Asked, omitted: Omitted, reply: &Reply) {
        let Reply::Array(replies) = reply else { return self.info_received(id, reply) };
        let Some((info, answers)) = replies.split_last() else { return };
        let denied = of_role_change(omitted, replies).iter().any(|it| it.1.is_some());
        if let Some(error) = first_error(omitted, answers).filter(|_| !denied) {
            let Some(node) = self.master.nodes.get(id) else { return };
            let text = format!("{} answered to the change of its role: {error}", node.addr);
            let name = self.master.name.clone();
            self.ctx.notice(Topic::OrderRefused, Some(&name), text);
        }
        if let Some(omitted) = omitted.without_the_refused(replies) {
            self.order_without(id, asked, omitted);
        }
        self.info_received(id, info);
    }

    /// Gives an order again, if it still stands.
    fn order_without(&mut self, id: NodeId, asked: &Asked, omitted: Omitted) {
        match asked {
            Asked::Promote { .. } if self.awaits_promotion_of(id) || id == self.master.current => {
                self.order_promotion(id, omitted);
            }
            Asked::Replicate { of, .. } if id != self.master.current && of == self.master.addr() => {
                let of = of.clone();
                self.send_to(id, Asked::Replicate { of: of.clone(), omitted }, Message::Replicate { of, omitted });
            }
            _ => {}
        }
    }
}

/// The first refusal of a command that matters. CONFIG REWRITE without a file is usual, and harmless; and so is DISCARD
/// where there is nothing to discard.
fn first_error(omitted: Omitted, replies: &[Reply]) -> Option<&str> {
    omitted.answers(replies).into_iter().find_map(|(step, reply)| match reply {
        Reply::Error(text)
            if !matches!(step, Step::Discard | Step::Abort)
                && !text.contains("config file")
                && !is_consequence(text) =>
        {
            Some(text.as_str())
        }
        _ => None,
    })
}
