//! A Sentinel process: a real engine, with a runtime that obeys virtual time, and a disk that may fail.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use sentinel_core::{
    Boot, ClientId, Engine, Input, LinkFault, LinkId, Message, Output, RequestId, Seq, Snapshot, TargetKind, View,
    command::{Change, Command},
    events::Event as CoreEvent,
    settings::Timing,
    time::{Instant, Now, WallTime},
    types::{Host, HostPort, RunId, SentinelId},
};
use sentinel_resp::Reply;

use crate::{
    invariants::{Hello, Observation, Verdict},
    node::WRONGPASS,
    packet::{Packet, Purpose},
    physics::{ConnId, DIALER, Event, HostId, LISTENER, Physics},
    rng::Rng,
    say,
    time::{MS, SEC, Time},
};

/// How long the runtime waits for an instance that accepts and then says nothing.
const HANDSHAKE_TIMEOUT: Time = 6 * SEC;

/// Who waits for the answer to a change.
#[derive(Clone, Copy, Debug)]
enum Waiter {
    /// With the group of the master that a vote is asked for.
    Peer {
        conn: ConnId,
        request: RequestId,
        vote: Option<usize>,
    },
    Operator,
    Stranger,
}

/// The condition of a Sentinel's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskState {
    /// A write takes this long.
    Works(Time),
    /// A write takes this long and fails.
    Full(Time),
    /// A write takes this long and is told to have failed (EIO); it may be on the medium all the same.
    Broken(Time),
    /// A write does not end before the disk is another one.
    Hangs,
}

#[derive(Debug)]
struct Disk {
    durable: Arc<Snapshot>,
    writing: Option<(Seq, Arc<Snapshot>, bool)>,
    /// The write under way does not end by itself.
    hangs: bool,
    wanted: bool,
    retrying: bool,
    state: DiskState,
}

/// A Sentinel.
pub struct Sentinel {
    /// Where it runs.
    pub host: HostId,
    /// Its identity.
    pub id: SentinelId,
    /// Counts its starts.
    pub life: u32,
    engine: Option<Box<Engine>>,
    view: Option<Arc<View>>,
    disk: Disk,
    links: BTreeMap<LinkId, (ConnId, bool)>,
    conns: BTreeMap<ConnId, LinkId>,
    clients: BTreeMap<u64, Waiter>,
    next_client: u64,
    wake_at: Option<Time>,
    last_good: BTreeMap<Arc<str>, Ipv4Addr>,
    wall_offset: i64,
    timing: Timing,
    rng: Rng,
}

impl Sentinel {
    /// A Sentinel with a configuration file.
    pub fn new(host: HostId, snapshot: Snapshot, timing: Timing, disk: DiskState, seed: u64) -> Self {
        Sentinel {
            host,
            id: snapshot.id.clone(),
            life: 0,
            engine: None,
            view: None,
            disk: Disk {
                durable: Arc::new(snapshot),
                writing: None,
                hangs: false,
                wanted: false,
                retrying: false,
                state: disk,
            },
            links: BTreeMap::new(),
            conns: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_client: 0,
            wake_at: None,
            last_good: BTreeMap::new(),
            wall_offset: 1_700_000_000_000,
            timing,
            rng: Rng::new(seed, &format!("sentinel {host}")),
        }
    }

    /// Starts the process from what is on its disk.
    pub fn start(&mut self, physics: &mut Physics) {
        self.life += 1;
        self.links.clear();
        self.conns.clear();
        self.clients.clear();
        self.wake_at = None;
        self.last_good.clear();
        self.view = None;
        self.disk.writing = None;
        self.disk.hangs = false;
        self.disk.wanted = false;
        self.disk.retrying = false;
        physics.hosts[self.host].running = true;
        physics.hosts[self.host].powered = true;
        let mut snapshot = (*self.disk.durable).clone();
        // The port belongs to the configuration, which moves with the process.
        Arc::make_mut(&mut snapshot.globals).port = physics.hosts[self.host].port;
        say!(physics, "sentinel {} starts at epoch {}", self.host, snapshot.current_epoch);
        physics.observe(&Observation::Started { sentinel: self.host, snapshot: &snapshot });
        let boot = Boot {
            snapshot,
            timing: self.timing,
            names: BTreeMap::new(),
            run_id: RunId::new(&self.run_id()).ok(),
            seed: self.rng.word(),
        };
        self.engine = Some(Box::new(Engine::new(boot, self.now(physics))));
        self.drain(physics);
    }

    /// The process ends without notice. A write under way is on disk or not, as chance will have it.
    pub fn stop(&mut self, physics: &mut Physics, machine_too: bool) {
        self.life += 1;
        self.engine = None;
        self.view = None;
        if let Some((_, snapshot, true)) = self.disk.writing.take()
            && self.rng.permille(500)
        {
            self.disk.durable = snapshot;
            physics.observe(&Observation::Durable { sentinel: self.host, snapshot: &self.disk.durable });
        }
        physics.process_ends(self.host, machine_too);
    }

    /// Names this run of the process.
    fn run_id(&self) -> String {
        format!("{:020}{:020}", self.host, self.life)
    }

    /// Whether the process runs.
    pub fn is_running(&self) -> bool {
        self.engine.is_some()
    }

    /// What is on its disk.
    pub fn durable(&self) -> &Snapshot {
        &self.disk.durable
    }

    /// Whether nothing waits for the disk: what was asked for before is on it.
    pub fn has_written_all(&self) -> bool {
        self.disk.writing.is_none() && !self.disk.wanted && !self.disk.retrying
    }

    /// Changes the disk's condition.
    pub fn set_disk(&mut self, physics: &mut Physics, state: DiskState) {
        self.disk.state = state;
        if state != DiskState::Hangs && std::mem::take(&mut self.disk.hangs) {
            physics.after(MS, Event::DiskDone { host: self.host, life: self.life });
        }
    }

    /// Lets the wall clock jump, by milliseconds.
    pub fn jump_wall(&mut self, by: i64) {
        self.wall_offset += by;
    }

    /// What clients see.
    pub fn view(&mut self) -> Option<&Arc<View>> {
        if let Some(view) = self.engine.as_mut()?.poll_view() {
            self.view = Some(view);
        }
        self.view.as_ref()
    }

    /// Where clients are sent for a group.
    pub fn master_of(&mut self, group: &str) -> Option<(HostPort, u64)> {
        let view = self.view()?;
        let master = view.masters.iter().find(|(name, _)| name.as_str() == group)?.1;
        Some((master.serving.clone(), master.config_epoch.get()))
    }

    /// An operator's command.
    pub fn operator(&mut self, physics: &mut Physics, change: Change) {
        let client = self.client(Waiter::Operator);
        say!(physics, "operator at sentinel {}: {change:?}", self.host);
        physics.observe(&Observation::Operator { sentinel: self.host, change: &change });
        self.input(physics, Input::Change { client, change });
    }

    /// A command of somebody who reaches the port.
    pub fn stranger(&mut self, physics: &mut Physics, change: Change) {
        if self.is_running() {
            let client = self.client(Waiter::Stranger);
            say!(physics, "stranger at sentinel {}: {change:?}", self.host);
            self.input(physics, Input::Change { client, change });
        }
    }

    fn client(&mut self, waiter: Waiter) -> ClientId {
        self.next_client += 1;
        self.clients.insert(self.next_client, waiter);
        ClientId(self.next_client)
    }

    fn now(&self, physics: &Physics) -> Now {
        let wall = i64::try_from(physics.now() / MS).unwrap_or(0) + self.wall_offset;
        Now { mono: Instant::from_micros(physics.now()), wall: WallTime(u64::try_from(wall).unwrap_or(0)) }
    }

    // Events ----------------------------------------------------------------------------------------------------

    /// The engine wanted to be called.
    pub fn wake(&mut self, physics: &mut Physics, at: Time) {
        if self.wake_at != Some(at) {
            return;
        }
        self.wake_at = None;
        // The deadline may have been moved since.
        match self.engine.as_ref().and_then(|engine| engine.next_timeout()) {
            Some(due) if due.as_micros() > physics.now() => self.plan_wake(physics),
            _ => self.catch_up(physics),
        }
    }

    /// Calls the engine because time has passed.
    pub fn catch_up(&mut self, physics: &mut Physics) {
        let now = self.now(physics);
        if let Some(engine) = &mut self.engine {
            engine.handle_timeout(now);
            self.drain(physics);
        }
    }

    /// A new connection.
    pub fn accepted(&mut self, physics: &mut Physics, conn: ConnId) {
        if matches!(physics.purpose(conn), Purpose::Peer | Purpose::Ask) {
            physics.send(conn, LISTENER, Packet::Ready);
        }
    }

    /// A link could be opened, or not.
    pub fn dialed(&mut self, physics: &mut Physics, conn: ConnId, result: Result<(), LinkFault>) {
        let Some(link) = self.conns.get(&conn).copied() else { return physics.close(conn, DIALER) };
        match result {
            Ok(()) => physics.after(HANDSHAKE_TIMEOUT, Event::HandshakeOver(conn)),
            Err(fault) => self.link_down(physics, conn, link, fault),
        }
    }

    /// The other side has had long enough to get ready.
    pub fn handshake_over(&mut self, physics: &mut Physics, conn: ConnId) {
        let Some(link) = self.conns.get(&conn).copied() else { return };
        if self.links.get(&link) == Some(&(conn, false)) {
            physics.close(conn, DIALER);
            self.link_down(physics, conn, link, LinkFault::Failed("the handshake took longer than 6 s".to_owned()));
        }
    }

    fn link_down(&mut self, physics: &mut Physics, conn: ConnId, link: LinkId, fault: LinkFault) {
        self.conns.remove(&conn);
        self.links.remove(&link);
        let other = physics.other_end(conn, DIALER);
        physics.observe(&Observation::LinkDown { sentinel: self.host, to: other });
        self.input(physics, Input::LinkDown { link, fault });
    }

    /// A connection is gone.
    pub fn closed(&mut self, physics: &mut Physics, conn: ConnId) {
        if let Some(link) = self.conns.get(&conn).copied() {
            self.link_down(physics, conn, link, LinkFault::Closed);
        }
    }

    /// A message came.
    pub fn received(&mut self, physics: &mut Physics, conn: ConnId, packet: Packet) {
        match packet {
            Packet::Shut => {
                let Some(link) = self.conns.get(&conn).copied() else { return };
                let to = physics.other_end(conn, DIALER);
                physics.observe(&Observation::ShutOut { sentinel: self.host, by: to });
                physics.close(conn, DIALER);
                self.link_down(physics, conn, link, LinkFault::Denied(WRONGPASS.to_owned()));
            }
            Packet::Ready | Packet::ReadyWithoutLogin => {
                let Some(link) = self.conns.get(&conn).copied() else { return };
                let refused_login = matches!(packet, Packet::ReadyWithoutLogin).then(|| WRONGPASS.to_owned());
                self.links.insert(link, (conn, true));
                let local = Some(physics.hosts[self.host].ip.into());
                physics.observe(&Observation::LinkUp { sentinel: self.host, to: physics.other_end(conn, DIALER) });
                self.input(physics, Input::LinkUp { link, local, refused_login });
            }
            Packet::Published(payload) => {
                let Some(link) = self.conns.get(&conn).copied() else { return };
                // What is forged must change nothing: to the rules it was not heard.
                let hello = std::str::from_utf8(&payload).ok().and_then(Hello::read);
                if let Some(hello) = hello.filter(|hello| !hello.is_forged()) {
                    physics.observe(&Observation::Heard { sentinel: self.host, hello });
                }
                self.input(physics, Input::Hello { link, payload });
            }
            Packet::Reply { request, reply, facts } => {
                let Some(link) = self.conns.get(&conn).copied() else { return };
                let from = physics.other_end(conn, DIALER);
                physics.observe(&Observation::Answered {
                    sentinel: self.host,
                    from,
                    reply: &reply,
                    facts: facts.as_deref(),
                });
                self.input(physics, Input::Reply { link, request, reply });
            }
            Packet::Request { request, message } => self.peer_asks(physics, conn, request, message),
            Packet::AskMaster { group } => {
                let answer = self.master_of(&crate::scenario::group_name(group)).map(|(addr, _)| addr);
                physics.send(conn, LISTENER, Packet::MasterIs(answer));
            }
            _ => {}
        }
    }

    /// `SENTINEL AUTH-CHALLENGE`
    fn proof(&mut self, physics: &Physics, nonce: &str) -> Reply {
        let now = self.now(physics);
        let words = ["SENTINEL", "AUTH-CHALLENGE", nonce].map(|word| bytes::Bytes::copy_from_slice(word.as_bytes()));
        match (Command::parse(&words), self.view()) {
            (Ok(Command::Query(query)), Some(view)) => query.answer(view, now),
            (Err(error), _) => error,
            _ => Reply::err("it has not started"),
        }
    }

    fn peer_asks(&mut self, physics: &mut Physics, conn: ConnId, request: RequestId, message: Message) {
        let change = match message {
            Message::Ping => {
                let reply = Reply::status("PONG");
                return physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: None });
            }
            Message::Identify { challenge } => {
                let info = Reply::text(format!("# Server\r\nrun_id:{}\r\n", self.run_id()));
                let proof = challenge.map(|nonce| self.proof(physics, &nonce.to_string()));
                let reply = Reply::Array([Reply::display(&self.id), info].into_iter().chain(proof).collect());
                return physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: None });
            }
            Message::Hello { payload } => {
                if let Some(hello) = Hello::read(&payload) {
                    physics.observe(&Observation::Heard { sentinel: self.host, hello });
                }
                Change::Hello(bytes::Bytes::copy_from_slice(payload.as_bytes()))
            }
            Message::IsMasterDown { addr, epoch, candidate, signed } => {
                Change::IsMasterDown { addr: Some(addr), epoch, candidate, signed }
            }
            Message::Pause { name, pause } => Change::Pause { name: name.to_string(), pause, local: true },
            _ => return,
        };
        let vote = match &change {
            Change::IsMasterDown { addr: Some(addr), candidate: Some(_), .. } => {
                physics.checks.setting().group_at(addr)
            }
            _ => None,
        };
        let client = self.client(Waiter::Peer { conn, request, vote });
        self.input(physics, Input::Change { client, change });
    }

    // The disk --------------------------------------------------------------------------------------------------

    /// A write has ended.
    pub fn disk_done(&mut self, physics: &mut Physics) {
        let Some((seq, snapshot, succeeds)) = self.disk.writing.take() else { return };
        let input = if succeeds {
            self.disk.durable = snapshot;
            physics.observe(&Observation::Durable { sentinel: self.host, snapshot: &self.disk.durable });
            Input::Persisted(seq)
        } else {
            if matches!(self.disk.state, DiskState::Broken(_)) && self.rng.permille(500) {
                self.disk.durable = snapshot;
                physics.observe(&Observation::Durable { sentinel: self.host, snapshot: &self.disk.durable });
            }
            self.disk.retrying = true;
            self.disk.wanted = true;
            physics.after(SEC, Event::DiskRetry { host: self.host, life: self.life });
            Input::PersistFailed { seq, error: "no space left on device".to_owned() }
        };
        self.input(physics, input);
    }

    /// The pause after a failed write is over.
    pub fn disk_retry(&mut self, physics: &mut Physics) {
        self.disk.retrying = false;
        self.write(physics);
    }

    fn write(&mut self, physics: &mut Physics) {
        if !self.disk.wanted || self.disk.writing.is_some() || self.disk.retrying {
            return;
        }
        let Some(engine) = &mut self.engine else { return };
        let (seq, snapshot) = engine.snapshot();
        self.disk.wanted = false;
        let (time, succeeds) = match self.disk.state {
            DiskState::Works(time) => (time, true),
            DiskState::Full(time) | DiskState::Broken(time) => (time, false),
            DiskState::Hangs => (0, true),
        };
        if self.disk.state == DiskState::Hangs {
            self.disk.writing = Some((seq, snapshot, true));
            self.disk.hangs = true;
            return;
        }
        self.disk.writing = Some((seq, snapshot, succeeds));
        let time = time / 2 + self.rng.below(time + 1);
        physics.after(time, Event::DiskDone { host: self.host, life: self.life });
    }

    // The engine ------------------------------------------------------------------------------------------------

    fn input(&mut self, physics: &mut Physics, input: Input) {
        let now = self.now(physics);
        if let Some(engine) = &mut self.engine {
            engine.handle(now, input);
            self.drain(physics);
        }
    }

    fn drain(&mut self, physics: &mut Physics) {
        while let Some(output) = self.engine.as_mut().and_then(|engine| engine.poll_output()) {
            self.effect(physics, output);
        }
        self.write(physics);
        self.plan_wake(physics);
    }

    fn plan_wake(&mut self, physics: &mut Physics) {
        let Some(due) = self.engine.as_ref().and_then(|engine| engine.next_timeout()) else { return };
        let at = due.as_micros().max(physics.now());
        if self.wake_at.is_none_or(|known| known > at) {
            self.wake_at = Some(at);
            physics.at(at, Event::Wake { host: self.host, life: self.life, at });
        }
    }

    /// Whether a failover was forced is in the view; one that has already ended promotes nobody.
    fn elected(&mut self, physics: &mut Physics, group: &str) {
        let Some(number) = physics.checks.setting().group_named(group) else { return };
        let Some(view) = self.view() else { return };
        let found = view.masters.iter().find(|(name, _)| name.as_str() == group);
        let forced = found.filter(|(_, master)| master.failover_state.is_some()).map(|(_, it)| it.failover_forced);
        if let Some(forced) = forced {
            physics.observe(&Observation::Elected { sentinel: self.host, group: number, forced });
        }
    }

    /// Asks for a name. The engine hears what came of it; the runtime goes on with the last good address.
    fn resolve(&mut self, physics: &mut Physics, name: &Arc<str>) -> Option<Ipv4Addr> {
        let (after, outcome) = physics.lookup(&Host::Name(Arc::clone(name)));
        physics.after(after, Event::Resolved { host: self.host, life: self.life, name: Arc::clone(name), outcome });
        if let Ok(ip) = outcome {
            self.last_good.insert(Arc::clone(name), ip);
        }
        self.last_good.get(name).copied()
    }

    /// A name server has answered, or not in time.
    pub fn resolved(&mut self, physics: &mut Physics, name: Arc<str>, outcome: Result<Ipv4Addr, &'static str>) {
        let outcome = outcome.map(IpAddr::V4).map_err(str::to_owned);
        self.input(physics, Input::Resolved { name, outcome });
    }

    /// Where to dial. A name is looked up before each connection.
    fn behind_name(&mut self, physics: &mut Physics, addr: &HostPort) -> HostPort {
        let Host::Name(name) = &addr.host else { return addr.clone() };
        let ip = self.resolve(physics, name);
        ip.map_or_else(|| addr.clone(), |ip| HostPort::new(Host::Ip(ip.into()), addr.port))
    }

    fn effect(&mut self, physics: &mut Physics, output: Output) {
        match output {
            Output::Connect { link, target } => {
                let purpose = if target.kind == TargetKind::Peer { Purpose::Peer } else { Purpose::Watch };
                let place = self.behind_name(physics, &target.addr);
                let conn = physics.dial(self.host, &place, purpose);
                self.links.insert(link, (conn, false));
                self.conns.insert(conn, link);
            }
            Output::Disconnect { link } => {
                if let Some((conn, _)) = self.links.remove(&link) {
                    self.conns.remove(&conn);
                    let to = physics.other_end(conn, DIALER);
                    physics.observe(&Observation::LinkDown { sentinel: self.host, to });
                    physics.close(conn, DIALER);
                }
            }
            Output::Send { link, request, message } => {
                let Some((conn, _)) = self.links.get(&link).copied() else { return };
                let to = physics.other_end(conn, DIALER);
                if !matches!(message, Message::Ping | Message::Identify { .. } | Message::Info | Message::Hello { .. })
                {
                    say!(physics, "sentinel {} to {to}: {message:?}", self.host);
                }
                physics.observe(&match &message {
                    Message::Hello { payload } => {
                        Observation::Said { sentinel: self.host, hello: Hello::read(payload) }
                    }
                    message => Observation::Sent { sentinel: self.host, to, message },
                });
                physics.send(conn, DIALER, Packet::Request { request, message });
            }
            Output::Event(event) => {
                say!(physics, "sentinel {} {} {}", self.host, event.channel(), event.payload());
                physics.observe(&Observation::Event { sentinel: self.host, event: &event });
                if let CoreEvent::ElectedLeader(subject) = &event {
                    self.elected(physics, subject.master().as_str());
                }
            }
            Output::Notice(notice) => {
                say!(physics, "sentinel {} # {notice}", self.host);
            }
            Output::Answer { client, reply } => match self.clients.remove(&client.0) {
                Some(Waiter::Peer { conn, request, vote }) => {
                    if let Some(group) = vote {
                        say!(physics, "sentinel {} votes {reply:?}", self.host);
                        let verdict = Verdict::read(&reply);
                        physics.observe(&Observation::Voted { sentinel: self.host, group, verdict });
                    }
                    physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: None });
                }
                Some(Waiter::Operator) => {
                    say!(physics, "sentinel {} answers the operator {reply:?}", self.host);
                }
                Some(Waiter::Stranger) => {
                    say!(physics, "sentinel {} answers the stranger {reply:?}", self.host);
                }
                None => {}
            },
            Output::Persist(_) => self.disk.wanted = true,
            Output::Resolve { name } => {
                self.resolve(physics, &name);
            }
            // Nothing here asks for a simulated crash, or has scripts.
            _ => {}
        }
    }
}
