//! Carrying out what clients ask for.

use std::sync::Arc;

use sentinel_resp::{Reply, text};

use crate::{
    command::{Change, GlobalOption, MasterSetting, NewMaster, SetOption, errors, glob},
    election::signed::Question,
    engine::Engine,
    events::Event,
    failover::Witness,
    guard::{Holdings, Order, Vacancy, ends},
    input::ClientId,
    monitor::{PingPeriod, node_target, peer_target},
    settings::{
        MasterSettings,
        master::{AUTH_PASS, AUTH_USER},
        sentinel::{ANNOUNCE_HOSTNAMES, RESOLVE_HOSTNAMES, SENTINEL_PASS, SENTINEL_USER},
    },
    snapshot::MasterSnapshot,
    state::MasterKey,
    timer::{Endpoint, Timer},
    types::SentinelId,
    view::Role,
    watch::Watch,
};

/// When a client gets its answer.
enum Answered {
    /// At once.
    Now(Reply),
    /// With the write that contains its change: `+OK`, or an error, while the change stays in effect in memory.
    OnceSaved,
}

impl Engine {
    /// Carries out one change and answers it.
    pub(crate) fn change(&mut self, client: ClientId, change: Change) {
        let answered = match change {
            // Answered when the vote is on disk.
            Change::IsMasterDown { addr, epoch, candidate, signed } => {
                let question =
                    Question { addr: addr.as_ref(), epoch, candidate: candidate.as_ref(), signed: signed.as_ref() };
                return self.peer_asks(client, question);
            }
            Change::Hello(payload) => {
                self.hello_received(&payload);
                Answered::Now(Reply::Integer(1))
            }
            Change::Failover { name } => {
                let change = Change::FailoverTo {
                    name,
                    to: None,
                    coordinated: false,
                    force: false,
                    dry_run: false,
                    reason: None,
                };
                return self.change(client, change);
            }
            // A dry run is answered when the nodes have.
            Change::FailoverTo { name, to, coordinated, force, dry_run, reason } => {
                let reason = reason.as_deref();
                let order = Order { to: to.as_ref(), lossless_only: coordinated, force, dry_run, reason };
                match self.key(&name).and_then(|key| self.with_master(key, |watch| watch.failover_to(client, &order))) {
                    None => Answered::Now(errors::no_such_master()),
                    Some(Some(reply)) => Answered::Now(reply),
                    Some(None) => return,
                }
            }
            Change::Candidates { name } => Answered::Now(self.in_master(&name, |watch| watch.list_candidates())),
            Change::Explain { name } => Answered::Now(self.in_master(&name, |watch| watch.explain())),
            Change::Consensus { name } => Answered::Now(self.in_master(&name, |watch| watch.consensus())),
            // Answered when the others have.
            Change::Pause { name, pause, local } => return self.pause(client, &name, pause.as_ref(), local),
            Change::Forget { name, id } => self.forget(&name, |watch| watch.forget_peer(&id)),
            Change::ForgetUnverified { name } => self.forget(&name, |watch| watch.forget_unverified()),
            Change::ForgetReplica { name, addr } => self.forget(&name, |watch| watch.forget_replica(&addr)),
            Change::Monitor(new) => match self.monitor(client, new) {
                Some(answered) => answered,
                // Answered when the resolver has.
                None => return,
            },
            Change::Remove { name } => self.remove(&name),
            Change::Reset { pattern } => Answered::Now(self.reset(&pattern)),
            Change::Set { name, options, error } => self.set(&name, options, error),
            Change::FlushConfig => {
                self.ctx.persist();
                Answered::OnceSaved
            }
            Change::Reload(configured) => return self.reload(client, configured),
            Change::ConfigSet(options) => {
                for option in options {
                    self.set_global(option);
                }
                self.ctx.persist();
                self.ctx.view_urgent = true;
                Answered::OnceSaved
            }
            Change::SimulateFailure { failures, answer } => {
                self.ctx.simulated = failures;
                self.ctx.view_urgent = true;
                Answered::Now(answer)
            }
            Change::Debug { options, error } => {
                for (parameter, value) in options {
                    *parameter.of(&mut self.ctx.timing) = value;
                }
                self.settings_changed();
                Answered::Now(error.unwrap_or_else(Reply::ok))
            }
        };
        match answered {
            Answered::Now(reply) => self.ctx.answer(client, reply),
            Answered::OnceSaved => self.ctx.answer_once_saved(client, Reply::ok()),
        }
    }

    fn key(&self, name: &str) -> Option<MasterKey> {
        self.names.get(name).copied()
    }

    fn in_master(&mut self, name: &str, rule: impl FnOnce(&mut Watch<'_>) -> Reply) -> Reply {
        self.key(name).and_then(|key| self.with_master(key, rule)).unwrap_or_else(errors::no_such_master)
    }

    /// Carries out a change that may be refused.
    fn forget(&mut self, name: &str, rule: impl FnOnce(&mut Watch<'_>) -> Option<Reply>) -> Answered {
        match self.key(name).and_then(|key| self.with_master(key, rule)) {
            Some(None) => Answered::OnceSaved,
            Some(Some(refusal)) => Answered::Now(refusal),
            None => Answered::Now(errors::no_such_master()),
        }
    }

    /// None: the host is a name that nobody has looked up yet.
    fn monitor(&mut self, client: ClientId, new: NewMaster) -> Option<Answered> {
        if self.ctx.look_up(&new.addr.host) {
            return Some(self.monitor_resolved(new));
        }
        self.ctx.unresolved_masters.push((client, new));
        None
    }

    /// The resolver has answered: masters at this host are monitored, or refused.
    pub(crate) fn monitor_those_at(&mut self, name: &str) {
        let all = std::mem::take(&mut self.ctx.unresolved_masters);
        let (answerable, rest) = all.into_iter().partition(|(_, new)| new.addr.host.is_name(name));
        self.ctx.unresolved_masters = rest;
        for (client, new) in answerable {
            match self.monitor_resolved(new) {
                Answered::Now(reply) => self.ctx.answer(client, reply),
                Answered::OnceSaved => self.ctx.answer_once_saved(client, Reply::ok()),
            }
        }
    }

    fn monitor_resolved(&mut self, new: NewMaster) -> Answered {
        if self.ctx.names.ip(&new.addr.host).is_none() || !new.addr.host.is_ip() && !self.ctx.globals.resolve_hostnames
        {
            return Answered::Now(errors::invalid_host());
        }
        if self.names.contains_key(&new.name) {
            return Answered::Now(errors::duplicate_master());
        }
        let mut settings = MasterSettings::new(new.quorum);
        settings.down_after = self.ctx.timing.default_down_after;
        settings.failover_timeout = self.ctx.timing.default_failover_timeout;
        let mut master = MasterSnapshot::new(new.name, new.addr, settings);
        // Whoever was told to forget this master may have voted in this epoch.
        master.leader_epoch = self.ctx.current_epoch;
        self.watch_master(&master);
        self.ctx.persist();
        Answered::OnceSaved
    }

    fn remove(&mut self, name: &str) -> Answered {
        let Some(key) = self.key(name) else { return Answered::Now(errors::no_such_master()) };
        self.with_master(key, |watch| {
            watch.master_event(Event::Unmonitor);
            for id in watch.master.nodes.keys().copied().collect::<Vec<_>>() {
                watch.remove_node(id);
            }
            for id in watch.master.peers.keys().cloned().collect::<Vec<_>>() {
                watch.remove_peer(&id);
            }
            watch.disarm_all();
        });
        // Its script hears of the end, too.
        self.notify_scripts();
        self.masters.remove(&key);
        self.names.remove(name);
        self.master_views.remove(name);
        self.ctx.stale_views.remove(&key);
        self.ctx.hellos_due.remove(&key);
        self.ctx.questions_due.remove(&key);
        self.ctx.view_urgent = true;
        self.ctx.persist();
        Answered::OnceSaved
    }

    fn reset(&mut self, pattern: &str) -> Reply {
        let pattern = text::bytes(pattern);
        let keys: Vec<_> = self
            .names
            .iter()
            .filter(|(name, _)| glob::matches(&*pattern, &*name.bytes()))
            .map(|(_, key)| *key)
            .collect();
        for key in &keys {
            self.with_master(*key, |watch| watch.reset());
        }
        Reply::Integer(i64::try_from(keys.len()).unwrap_or(i64::MAX))
    }

    /// Options take effect one by one; those before a bad one stay.
    fn set(&mut self, name: &str, options: Vec<SetOption>, error: Option<Reply>) -> Answered {
        let Some(key) = self.key(name) else { return Answered::Now(errors::no_such_master()) };
        let deny_scripts = self.ctx.globals.deny_scripts_reconfig;
        let mut refusal = None;
        let any = !options.is_empty();
        for option in options {
            if deny_scripts && option.setting.script().is_some() {
                refusal = Some(errors::scripts_denied());
                break;
            }
            if option.setting.script().is_some() {
                // What was told until now is the former script's business.
                self.notify_scripts();
            }
            self.with_master(key, |watch| watch.apply(option));
        }
        if any {
            self.settings_changed();
            self.with_master(key, |watch| watch.persist());
        }
        refusal.or(error).map_or(Answered::OnceSaved, Answered::Now)
    }

    pub(crate) fn set_global(&mut self, option: GlobalOption) {
        let globals = Arc::make_mut(&mut self.ctx.globals);
        let (credentials, naming) = match &option {
            GlobalOption::Of(row, _) => (
                [&SENTINEL_USER, &SENTINEL_PASS].contains(row),
                [&RESOLVE_HOSTNAMES, &ANNOUNCE_HOSTNAMES].contains(row),
            ),
            GlobalOption::LogLevel(level) => {
                self.ctx.outputs.push_back(crate::Output::SetLogLevel(*level));
                (false, false)
            }
        };
        option.apply(globals);
        if naming {
            self.addresses_changed();
        }
        if credentials {
            for (id, shared) in &mut self.peers {
                let addr = shared.link.target.addr.clone();
                shared.link.target = Arc::new(peer_target(&self.ctx.id, &self.ctx.globals, addr));
                self.ctx.renew_link(&mut shared.link, &Endpoint::Peer(id.clone()));
            }
        }
    }

    /// Periods and limits that follow from settings are computed anew, and everything is looked at with them.
    pub(crate) fn settings_changed(&mut self) {
        self.ctx.view_urgent = true;
        for shared in self.peers.values_mut() {
            let users = || shared.users.iter().filter_map(|key| self.masters.get(key));
            let timing = &self.ctx.timing;
            let period = users().map(|master| PingPeriod::of(&master.settings, timing)).reduce(PingPeriod::and);
            let limit = users().map(|master| master.settings.down_after / 2).min();
            shared.link.ping_period = period.unwrap_or(shared.link.ping_period);
            shared.link.silence_limit = limit.unwrap_or(shared.link.silence_limit);
        }
        for key in self.master_keys() {
            self.with_master(key, |watch| watch.settings_changed());
        }
    }
}

impl Watch<'_> {
    /// The first node: the configured master.
    pub(crate) fn add_first_node(&mut self, addr: crate::types::HostPort) -> crate::state::NodeId {
        let id = self.add_node_quietly(addr, Role::Master);
        self.master.current = id;
        self.evaluate_node(id);
        id
    }

    pub(crate) fn apply(&mut self, option: SetOption) {
        let reconnect = match &option.setting {
            MasterSetting::Of(row, _) => [&AUTH_PASS, &AUTH_USER].contains(row),
            MasterSetting::RenameCommand(..) => true,
            MasterSetting::Quorum(_) => false,
        };
        option.setting.apply(Arc::make_mut(&mut self.master.settings));
        if reconnect {
            self.renew_node_links();
        }
        let what = option.shown;
        self.master_event(|subject| Event::Set { subject, what });
        self.changed();
    }

    fn renew_node_links(&mut self) {
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            let endpoint = self.endpoint(id);
            if let Some(node) = self.master.nodes.get_mut(id) {
                node.link.target =
                    Arc::new(node_target(&self.ctx.id, &self.master.settings, node.link.target.addr.clone()));
                self.ctx.renew_link(&mut node.link, &endpoint);
            }
        }
    }

    fn settings_changed(&mut self) {
        self.master.pause_ends = ends(self.master.settings.paused_until, self.ctx.now.wall, self.ctx.mono());
        let period = PingPeriod::of(&self.master.settings, &self.ctx.timing);
        let now = self.ctx.mono();
        let key = self.master.key;
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            let endpoint = self.endpoint(id);
            if let Some(node) = self.master.nodes.get_mut(id) {
                node.link.ping_period = period;
                node.link.silence_limit = self.master.settings.down_after / 2;
                if self.ctx.timers.is_armed(&Timer::Ping(endpoint.clone())) {
                    let due = node.link.ping_sent_at.map_or(now, |at| self.ctx.next_ping(&node.link, at));
                    self.ctx.arm(Timer::Ping(endpoint), due);
                }
                if self.ctx.timers.is_armed(&Timer::Info(key, id)) {
                    self.schedule_info(id);
                }
            }
            self.evaluate_node(id);
        }
        for id in self.master.peers.keys().cloned().collect::<Vec<_>>() {
            self.evaluate_peer(&id);
        }
        let hello = now + self.ctx.timing.publish_period;
        self.ctx.timers.arm_by(Timer::Hello(key), hello);
        // The pause before a failover may be another one now.
        self.ctx.timers.disarm(&Timer::Nominate(key));
        self.evaluate_odown();
        self.changed();
    }

    /// `SENTINEL RESET`: replicas and peers are forgotten, and everything that was in progress.
    fn reset(&mut self) {
        let now = self.ctx.mono();
        self.finish_recording();
        self.clear_failover_quietly();
        for id in self.master.replica_ids() {
            self.remove_node(id);
        }
        let peers: Vec<SentinelId> = self.master.peers.keys().cloned().collect();
        for id in &peers {
            self.remove_peer(id);
        }
        self.disarm_all();
        self.master.odown_since = None;
        self.master.not_before = now;
        self.master.switched_at = None;
        self.master.emptied = false;
        self.master.vacancy = Vacancy::default();
        self.master.witness = Witness::default();
        self.master.said.clear();
        self.master.lost_elections = 0;
        self.master.vote.leader = None;
        let (current, endpoint) = (self.master.current, self.endpoint(self.master.current));
        let node = self.master.node_mut();
        node.sdown_since = None;
        node.rebooted_at = None;
        node.script_kill_sent = false;
        node.info.run_id = None;
        node.restart = None;
        node.info.holdings = Holdings::default();
        node.link.restart_silence(now);
        self.ctx.renew_link(&mut node.link, &endpoint);
        self.ctx.arm(Timer::Hello(self.master.key), now + self.ctx.timing.publish_period);
        self.master.snapshot.0 = None;
        self.master_event(Event::ResetMaster);
        self.evaluate_node(current);
        self.changed_urgently();
    }

    fn clear_failover_quietly(&mut self) {
        self.master.odown_since = None;
        self.master.node_mut().sdown_since = None;
        self.clear_failover();
    }

    /// Forgets every deadline of this master itself.
    fn disarm_all(&mut self) {
        let key = self.master.key;
        for timer in [
            Timer::Hello(key),
            Timer::Ask(key),
            Timer::Nominate(key),
            Timer::Phase(key),
            Timer::Handover(key),
            Timer::Witness(key),
            Timer::Vacancy(key),
            Timer::Reconfigure(key),
        ] {
            self.ctx.timers.disarm(&timer);
        }
    }
}
