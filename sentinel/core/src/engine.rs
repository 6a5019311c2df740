//! The engine: facts in, effects out.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use sentinel_resp::Reply;

use crate::{
    canonical::{Canonical, Remembered},
    context::Context,
    events::Event,
    failover::Witness,
    guard::{Lineage, Vacancy, ends},
    input::{Input, LinkFault, LinkId, RequestId},
    monitor::sign_in_refusal,
    notice::Topic,
    output::Output,
    pending::{Pending, Speech},
    planted::{Bug, planted},
    settings::Timing,
    snapshot::{MasterSnapshot, Seq, Snapshot},
    state::{Asked, Master, MasterKey, Names, NodeId, Nodes, PeerLinks, SIGN_IN, Vote, refusal},
    time::{Instant, Now},
    timer::{Endpoint, Timer},
    types::{MasterName, RunId, SentinelId},
    view::{MasterViews, Role, View},
    watch::Watch,
};

/// What an engine starts from.
#[derive(Clone, Debug)]
pub struct Boot {
    /// What the configuration says and what was learnt before.
    pub snapshot: Snapshot,
    /// The timing constants.
    pub timing: Timing,
    /// Host names that were resolved before the start, so that names are shown as addresses from the first event on.
    pub names: BTreeMap<Arc<str>, IpAddr>,
    /// The run of this process, as its INFO tells it: by this it recognises itself where it may not ask for the id.
    pub run_id: Option<RunId>,
    /// For random delays. Different for each process, the same for a repeated history.
    pub seed: u64,
}

/// The decisions of one Sentinel.
#[derive(Clone, Debug, Hash)]
pub struct Engine {
    pub(crate) ctx: Context,
    pub(crate) masters: BTreeMap<MasterKey, Master>,
    pub(crate) names: BTreeMap<MasterName, MasterKey>,
    pub(crate) peers: PeerLinks,
    pub(crate) master_views: Remembered<MasterViews>,
    pub(crate) view_published: Remembered<bool>,
}

impl Engine {
    /// Starts watching everything in the snapshot. The first effects are waiting already.
    pub fn new(boot: Boot, now: Now) -> Self {
        let snapshot = boot.snapshot;
        let highest = snapshot
            .masters
            .iter()
            .map(|master| master.config_epoch.max(master.leader_epoch))
            .fold(snapshot.current_epoch, std::cmp::Ord::max)
            .kept();
        let mut ctx = Context::new(now, snapshot.id, snapshot.globals, &boot.timing, highest, boot.seed);
        ctx.names = Names::new(boot.names);
        ctx.run_id = boot.run_id;
        let mut engine = Engine {
            ctx,
            masters: BTreeMap::new(),
            names: BTreeMap::new(),
            peers: PeerLinks::new(),
            master_views: Remembered::default(),
            view_published: Remembered(false),
        };
        for master in snapshot.masters {
            engine.watch_master(&master);
        }
        engine.run_scripts();
        engine
    }

    /// Takes what happened in former runs, oldest first.
    pub fn restore_history(&mut self, incidents: Vec<crate::history::Incident>) {
        self.ctx.chronicle.restore(incidents);
        self.ctx.view_urgent = true;
    }

    /// From now on every random delay is the shortest. Who looks at all orders in which things may happen needs no chance
    /// besides.
    #[must_use]
    pub const fn without_chance(mut self) -> Self {
        self.ctx.rng.silence();
        self
    }

    /// Takes one fact.
    pub fn handle(&mut self, now: Now, input: Input) {
        self.advance_clock(now);
        match input {
            Input::LinkUp { link, local, refused_login } => self.link_up(link, local, refused_login.as_deref()),
            Input::LinkDown { link, fault } => self.link_down(link, &fault),
            Input::Reply { link, request, reply } => self.replied(link, request, &reply),
            Input::Hello { link, payload } => {
                self.hello_heard(link);
                self.hello_received(&payload);
            }
            Input::Subscription { link, refusal } => self.subscription_answered(link, refusal.as_deref()),
            Input::Change { client, change } => self.change(client, change),
            Input::ScriptStarted { job, pid } => self.script_started(job, pid),
            Input::ScriptEnded { job, end } => self.script_ended(job, end),
            Input::ScriptFailedToStart { job, fault } => self.script_not_started(job, &fault),
            Input::Resolved { name, outcome } => self.resolved(&name, outcome),
            Input::Configuration(looked) => self.configuration_looked_at(looked),
            Input::Persisted(seq) => self.ctx.written(seq),
            Input::PersistFailed { seq, error } => {
                let text = format!("WARNING: Sentinel was not able to save the new configuration on disk!!!: {error}");
                self.ctx.notice(Topic::NotSaved, None, text);
                self.ctx.not_written(seq, &error);
                if planted(Bug::TrustFailedWrites) {
                    self.ctx.written(seq);
                }
                for key in self.master_keys() {
                    self.with_master(key, |watch| {
                        watch.adopt_switch();
                        watch.tell_unsaved_promotion(&error);
                    });
                }
            }
        }
        self.go_on_with_durable();
    }

    /// Lets every rule act whose deadline has come. Calling it too early does nothing.
    pub fn handle_timeout(&mut self, now: Now) {
        self.advance_clock(now);
        while let Some(timer) = self.ctx.timers.pop_due(self.ctx.mono()) {
            self.fire(timer);
        }
        self.go_on_with_durable();
    }

    /// Takes the next effect.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.ctx.outputs.pop_front()
    }

    /// When to call [`Engine::handle_timeout`] although nothing happened.
    pub fn next_timeout(&self) -> Option<Instant> {
        // Those that wait for nothing but their turn have it in the next instant.
        let waits = self.ctx.speech_is_due() || !self.ctx.unexamined.is_empty();
        let speech = waits.then(|| self.ctx.mono() + Duration::from_micros(1));
        self.ctx.timers.next().into_iter().chain(speech).min()
    }

    /// The newest state, to be written. Complete: it covers every [`Output::Persist`] up to its number.
    pub fn snapshot(&mut self) -> (Seq, Arc<Snapshot>) {
        let mut masters = Vec::with_capacity(self.masters.len());
        for key in self.names.values() {
            if let Some(master) = self.masters.get_mut(key) {
                let snapshot = master.snapshot.take().unwrap_or_else(|| Arc::new(master.durable_form(&self.ctx.names)));
                master.snapshot.0 = Some(Arc::clone(&snapshot));
                masters.push(snapshot);
            }
        }
        let snapshot = Snapshot {
            id: self.ctx.id.clone(),
            current_epoch: self.ctx.current_epoch,
            globals: Arc::clone(&self.ctx.globals),
            masters,
        };
        (self.ctx.latest_seq(), Arc::new(snapshot))
    }

    /// Whether the view shows something that clients act on (an address, a role, a flag) for the first time: then it
    /// should be published at once. Other changes may wait some milliseconds for company.
    pub const fn view_is_urgent(&self) -> bool {
        self.ctx.view_urgent || !self.view_published.0
    }

    /// Whether the view has changed since it was last taken.
    pub fn view_has_changed(&self) -> bool {
        self.view_is_urgent() || !self.ctx.stale_views.is_empty() || self.ctx.scripts.is_stale()
    }

    /// Takes the view, if it has changed since the last time.
    pub fn poll_view(&mut self) -> Option<Arc<View>> {
        if !self.view_has_changed() {
            return None;
        }
        for key in std::mem::take(&mut *self.ctx.stale_views) {
            if let Some(master) = self.masters.get(&key) {
                self.master_views.insert(Arc::new(master.view(&self.peers)));
            }
        }
        self.ctx.view_urgent = false;
        self.view_published.0 = true;
        Some(Arc::new(View {
            id: self.ctx.id.clone(),
            current_epoch: self.ctx.current_epoch,
            tilt_since: self.ctx.tilt_since,
            globals: Arc::clone(&self.ctx.globals),
            timing: self.ctx.timing,
            simulated: self.ctx.simulated,
            run_id: self.ctx.run_id.clone(),
            refused_requests: self.ctx.refused_requests.0,
            own_id_elsewhere: self.ctx.own_id.elsewhere(),
            history: self.ctx.chronicle.list(),
            problems: self.ctx.problems.list(),
            persist_error: self.ctx.durability.error.clone(),
            scripts: self.ctx.scripts.view(),
            masters: self.master_views.0.clone(),
        }))
    }

    /// A hasher that sees this engine as its future sees it: times from the present, numbers and names relatively.
    ///
    /// Two engines that feed the same to it act alike from now on, given the same inputs under their own names. Times longer
    /// ago than `oldest` are not told apart: it must exceed every period in force. Outputs must have been taken before.
    pub const fn canonical<H: std::hash::Hasher>(&self, inner: H, oldest: Duration) -> Canonical<H> {
        Canonical::new(inner, self.ctx.mono(), self.ctx.latest_seq(), oldest)
    }

    /// How many masters are monitored.
    pub fn masters(&self) -> usize {
        self.masters.len()
    }

    /// Runs a rule in the scope of one master, if it is still monitored.
    pub(crate) fn with_master<R>(&mut self, key: MasterKey, rule: impl FnOnce(&mut Watch<'_>) -> R) -> Option<R> {
        let master = self.masters.get_mut(&key)?;
        Some(rule(&mut Watch { ctx: &mut self.ctx, master, peers: &mut self.peers }))
    }

    pub(crate) fn master_keys(&self) -> Vec<MasterKey> {
        self.masters.keys().copied().collect()
    }

    /// Begins to watch a master.
    pub(crate) fn watch_master(&mut self, from: &MasterSnapshot) -> MasterKey {
        let now = self.ctx.mono();
        let key = self.ctx.fresh_master();
        let mut master = Master {
            key,
            name: from.name.clone(),
            settings: Arc::clone(&from.settings),
            nodes: Nodes::default(),
            current: NodeId(0),
            aliases: BTreeMap::new(),
            peers: BTreeMap::new(),
            odown_since: None,
            config_epoch: from.config_epoch.kept(),
            vote: Vote { leader: None, epoch: from.leader_epoch.kept(), about: None, at: now },
            failover: None,
            adopting: None,
            not_before: now,
            pause_ends: ends(from.settings.paused_until, self.ctx.now.wall, now),
            delay_told: false,
            switched_at: None,
            said: BTreeSet::new(),
            lost_elections: 0,
            led_switch: false,
            emptied: false,
            vacancy: Vacancy::default(),
            witness: Witness::default(),
            holds_data: false,
            keys_written_at: None,
            awaits_candidate: false,
            promotion: None,
            lineage: Lineage::default(),
            problems: Remembered::default(),
            refused: Remembered::default(),
            failing_scripts: Remembered(BTreeMap::new()),
            watched_since: Remembered(now),
            snapshot: Remembered(None),
        };
        let mut watch = Watch { ctx: &mut self.ctx, master: &mut master, peers: &mut self.peers };
        watch.master.current = watch.add_first_node(from.addr.clone());
        for addr in &from.replicas {
            if watch.ctx.names.same(addr, &from.addr) {
                continue;
            }
            watch.add_node(addr.clone(), Role::Replica);
        }
        for (addr, keys) in &from.in_sync {
            watch.restore_sync(addr, *keys);
        }
        let me = watch.ctx.id.clone();
        for (id, addr) in from.peers.iter().filter(|(id, _)| *id != me) {
            watch.add_peer(id, addr, true);
        }
        let quorum = from.settings.quorum;
        watch.master_event(|subject| Event::Monitor { subject, quorum });
        // Spread over the period, so that a thousand masters do not speak in the same instant.
        let first = now + watch.ctx.rng.up_to(watch.ctx.timing.publish_period);
        watch.ctx.arm(Timer::Hello(key), first);
        watch.changed_urgently();
        self.names.insert(from.name.clone(), key);
        self.masters.insert(key, master);
        key
    }

    fn advance_clock(&mut self, now: Now) {
        // A monotonic clock does not go back; a caller that reads it in two places might.
        let mono = self.ctx.now.mono.max(now.mono);
        self.ctx.now = Now { mono, wall: now.wall };
        self.notice_stall();
    }

    fn go_on_with_durable(&mut self) {
        while let Some(pending) = self.ctx.pop_durable() {
            match pending {
                Pending::Event(event) => self.ctx.event(event),
                Pending::Answer { client, reply } => self.ctx.answer(client, reply),
                Pending::Campaign { master, epoch } => {
                    self.with_master(master, |watch| watch.campaign(epoch));
                }
                Pending::Switch { master, epoch } => {
                    self.with_master(master, |watch| watch.switch_to_promoted(epoch));
                }
                Pending::Freed { master, epoch } => {
                    self.with_master(master, |watch| watch.master_freed(epoch));
                }
                Pending::Adopt { master, epoch } => {
                    self.with_master(master, |watch| watch.adopt_recorded(epoch));
                }
            }
        }
        self.look_under_other_names();
        self.speak_in_turn();
        self.dial_in_turn();
        self.run_scripts();
        self.look_for_problems();
    }

    /// A master has moved under one name. Where the same node is the master of another name, that one is looked at.
    fn look_under_other_names(&mut self) {
        for addr in std::mem::take(&mut self.ctx.left) {
            let names = &self.ctx.names;
            let same = self.masters.values().filter(|master| names.same(master.addr(), &addr));
            for key in same.map(|master| master.key).collect::<Vec<_>>() {
                self.with_master(key, |watch| watch.look_at_nodes());
            }
        }
    }

    /// Says what waited for the promises to be on disk, for as many masters as may speak at one time.
    fn speak_in_turn(&mut self) {
        while let Some((key, speech)) = self.ctx.next_speech() {
            self.with_master(key, |watch| match speech {
                Speech::Hello => watch.say_hello(),
                Speech::Questions => watch.ask_peers(),
            });
        }
    }

    /// Connects to those that waited for it, as many as may be connected to at a time.
    fn dial_in_turn(&mut self) {
        let now = self.ctx.mono();
        while let Some((key, id)) = self.ctx.first_dials.next(now) {
            self.with_master(key, |watch| watch.dial_in_turn(id));
        }
        if let Some(due) = self.ctx.first_dials.due() {
            self.ctx.timers.arm_by(Timer::FirstDials, due);
        }
    }

    fn link_up(&mut self, link: LinkId, local: Option<IpAddr>, refused_login: Option<&str>) {
        match self.ctx.owners.get(&link).cloned() {
            Some(Endpoint::Node(key, id)) => {
                self.with_master(key, |watch| watch.node_up(id, local, refused_login));
            }
            Some(Endpoint::Peer(id)) => {
                let Some(shared) = self.peers.get_mut(&id) else { return };
                shared.unknown_again();
                shared.asked_at = self.ctx.mono();
                self.ctx.link_up(&mut shared.link, local, refused_login.is_some(), &Endpoint::Peer(id.clone()));
                self.note_peer_access(&id, SIGN_IN, refused_login);
                self.ctx.process_unexamined.0 = true;
                self.each_user(&id, |watch, id| {
                    watch.ctx.unexamined.insert(watch.master.key);
                    watch.evaluate_peer(id);
                    watch.ask_peer(id);
                    watch.request_vote(id);
                    watch.changed();
                });
            }
            None => {}
        }
    }

    fn link_down(&mut self, link: LinkId, fault: &LinkFault) {
        match self.ctx.owners.get(&link).cloned() {
            Some(Endpoint::Node(key, id)) => {
                self.with_master(key, |watch| watch.node_lost(id, fault));
            }
            Some(Endpoint::Peer(id)) => {
                let Some(shared) = self.peers.get_mut(&id) else { return };
                let first_failure = !shared.link.is_up() && shared.link.attempts == 1;
                self.ctx.link_down(&mut shared.link, fault, &Endpoint::Peer(id.clone()));
                if let (true, LinkFault::Failed(why)) = (first_failure, fault) {
                    self.each_user(&id, |watch, id| watch.peer_connection_failed(id, why));
                }
                if let Some((command, why)) = sign_in_refusal(fault) {
                    self.note_peer_access(&id, command, Some(why));
                }
                self.ctx.process_unexamined.0 = true;
                self.each_user(&id, |watch, id| {
                    watch.ctx.unexamined.insert(watch.master.key);
                    watch.evaluate_peer(id);
                    watch.voter_lost(id);
                    watch.leader_disconnected(id);
                    watch.changed();
                });
            }
            None => {}
        }
    }

    /// Runs a rule for every master that knows a peer.
    pub(crate) fn each_user(&mut self, id: &SentinelId, mut rule: impl FnMut(&mut Watch<'_>, &SentinelId)) {
        let Some(users) = self.peers.get(id).map(|shared| &shared.users) else { return };
        let first = users.first().copied();
        // One master is common, and this comes with every PING.
        let others = if users.len() > 1 { users.iter().skip(1).copied().collect() } else { Vec::new() };
        for key in first.into_iter().chain(others) {
            self.with_master(key, |watch| rule(watch, id));
        }
    }

    fn hello_heard(&mut self, link: LinkId) {
        let now = self.ctx.mono();
        if let Some(Endpoint::Node(key, id)) = self.ctx.owners.get(&link)
            && let Some(node) = self.masters.get_mut(key).and_then(|master| master.nodes.get_mut(*id))
        {
            node.hello_heard_at = now;
        }
    }

    fn replied(&mut self, link: LinkId, request: RequestId, reply: &Reply) {
        let now = self.ctx.mono();
        match self.ctx.owners.get(&link).cloned() {
            Some(Endpoint::Node(key, id)) => {
                let Some(node) = self.masters.get_mut(&key).and_then(|master| master.nodes.get_mut(id)) else {
                    return;
                };
                let Some(asked) = node.link.in_flight.take(request) else { return };
                node.link.heard_at = now;
                node.link.vitals.set_pending(u32::try_from(node.link.in_flight.len()).unwrap_or(u32::MAX));
                self.with_master(key, |watch| watch.node_replied(id, &asked, reply));
            }
            Some(Endpoint::Peer(id)) => {
                let Some(shared) = self.peers.get_mut(&id) else { return };
                let Some(asked) = shared.link.in_flight.take(request) else { return };
                shared.link.heard_at = now;
                shared.link.vitals.set_pending(u32::try_from(shared.link.in_flight.len()).unwrap_or(u32::MAX));
                if let Some(command) = asked.command() {
                    self.note_peer_access(&id, command, refusal(command, reply));
                }
                self.peer_replied(&id, asked, reply);
            }
            None => {}
        }
    }

    fn peer_replied(&mut self, id: &SentinelId, asked: Asked, reply: &Reply) {
        match asked {
            Asked::Ping => {
                let Some(shared) = self.peers.get_mut(id) else { return };
                self.ctx.ping_answered(&mut shared.link, reply, &Endpoint::Peer(id.clone()));
                self.each_user(id, |watch, id| watch.evaluate_peer(id));
            }
            Asked::Identity { challenge } => self.introduced(id, challenge, reply),
            Asked::Opinion { master, addr, signed } => {
                if let Some(answer) = self.answer_of_peer(id, signed.as_ref(), reply) {
                    self.with_master(master, |watch| watch.opinion_received(id, &addr, &answer));
                }
            }
            Asked::Vote { master, epoch, signed } => {
                let answer = self.answer_of_peer(id, signed.as_ref(), reply);
                self.with_master(master, |watch| match answer {
                    Some(answer) => watch.vote_received(id, epoch, &answer),
                    None => watch.voter_lost(id),
                });
            }
            Asked::Pause => self.pause_answered(id, reply),
            Asked::Info
            | Asked::Hello
            | Asked::HandOver
            | Asked::CallOff
            | Asked::Acknowledge
            | Asked::Promote { .. }
            | Asked::Replicate { .. }
            | Asked::MayI
            | Asked::ScriptKill
            | Asked::SignIn => {}
        }
    }
}
