//! An engine with a small deployment around it that answers properly, unless a target says otherwise; and what must hold
//! of all that the engine does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use sentinel_core::command::{Change, Command, role};
use sentinel_core::events::Event;
use sentinel_core::settings::{GlobalSettings, MasterSettings, Timing};
use sentinel_core::time::{Instant, Now, WallTime};
use sentinel_core::types::{Epoch, HostPort, MasterName, Quorum, SentinelId};
use sentinel_core::{
    Boot, ClientId, Engine, Input, LinkFault, LinkId, MasterSnapshot, Message, Output, RequestId, Seq, Snapshot,
};
use sentinel_resp::Reply;

/// Milliseconds between two rounds of answers.
const ROUND: u64 = 50;
/// No input makes the engine say more than this at once.
const MOST_OUTPUTS: usize = 20_000;

/// An engine, its links and what is known of it from outside.
#[derive(Debug)]
pub(crate) struct Rig {
    engine: Engine,
    now: u64,
    links: BTreeMap<LinkId, HostPort>,
    up: BTreeSet<LinkId>,
    requests: Vec<(LinkId, RequestId, Message)>,
    /// Whom each data node follows. Not in it: it is a master.
    sources: BTreeMap<HostPort, HostPort>,
    /// Ports at which nobody answers.
    silent: BTreeSet<u16>,
    clients: u64,
    answered: BTreeSet<ClientId>,
    asked: Seq,
    /// The epoch in each state that was asked to be written, and the highest one on disk.
    epochs: BTreeMap<Seq, Epoch>,
    durable: Epoch,
    votes: BTreeMap<(String, Epoch), String>,
    wondered: Vec<Arc<str>>,
}

impl Rig {
    /// One that has heard of nobody yet: a master with two replicas, and two other Sentinels.
    pub(crate) fn new() -> Self {
        let boot = boot();
        let durable = boot.snapshot.current_epoch;
        let replicas = boot.snapshot.masters[0].replicas.clone();
        let mut rig = Self {
            engine: Engine::new(boot, reading(0)),
            now: 0,
            links: BTreeMap::new(),
            up: BTreeSet::new(),
            requests: Vec::new(),
            sources: replicas.into_iter().map(|replica| (replica, data_node(0))).collect(),
            silent: BTreeSet::new(),
            clients: 0,
            answered: BTreeSet::new(),
            asked: Seq(0),
            epochs: BTreeMap::new(),
            durable,
            votes: BTreeMap::new(),
            wondered: Vec::new(),
        };
        rig.drain();
        rig
    }

    /// One whose links are up and which has heard everybody.
    pub(crate) fn settled() -> Self {
        let mut rig = Self::new();
        rig.live(4);
        rig
    }

    /// So many rounds in which everybody but the silent connects and answers as he should.
    pub(crate) fn live(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.persisted(0);
            self.oblige();
            self.wait(ROUND);
        }
    }

    /// Time passes.
    pub(crate) fn wait(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds * 1_000;
        let mut wakes = 0;
        while let Some(at) = self.engine.next_timeout().map(Instant::as_micros).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(reading(self.now));
            self.drain();
            let next = self.engine.next_timeout();
            assert!(next.is_none_or(|next| next.as_micros() > self.now), "a timer is still due after its turn");
            wakes += 1;
            assert!(wakes < 50_000, "woken too often");
        }
        self.now = end;
    }

    /// Time passes, and nobody calls the engine.
    pub(crate) fn stall(&mut self, milliseconds: u64) {
        self.now += milliseconds * 1_000;
    }

    /// Nodes with these ports fall silent: a bit for each of the eight.
    pub(crate) fn silence(&mut self, bits: u8) {
        let ports = [6379, 6380, 6381, 6382, 26379, 26380, 26381, 26382];
        self.silent =
            ports.into_iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, port)| port).collect();
    }

    pub(crate) fn link_up(&mut self, which: usize) {
        if let Some(link) = pick(self.links.keys().copied(), which) {
            self.up.insert(link);
            self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()) });
        }
    }

    pub(crate) fn link_down(&mut self, which: usize, fault: LinkFault) {
        if let Some(link) = pick(self.links.keys().copied(), which) {
            self.forget(link);
            self.feed(Input::LinkDown { link, fault });
        }
    }

    /// Answers one of the questions under way.
    pub(crate) fn answer(&mut self, which: usize, reply: Reply) {
        if !self.requests.is_empty() {
            let (link, request, _) = self.requests.remove(which % self.requests.len());
            self.feed(Input::Reply { link, request, reply });
        }
    }

    /// Waits until that data node, counted from the master, is asked for INFO, and answers so.
    pub(crate) fn answer_info_of(&mut self, node: usize, reply: Reply) {
        let addr = data_node(u16::try_from(node).expect("a few nodes"));
        for _ in 0..60 {
            let asked = self
                .requests
                .iter()
                .position(|(link, _, message)| *message == Message::Info && self.links.get(link) == Some(&addr));
            if let Some(position) = asked {
                let (link, request, _) = self.requests.remove(position);
                self.feed(Input::Reply { link, request, reply });
                return;
            }
            self.persisted(0);
            self.oblige_but(Some(&addr));
            self.wait(4 * ROUND);
        }
    }

    /// A hello on the channel of that data node.
    pub(crate) fn hello(&mut self, node: usize, payload: Bytes) {
        let addr = data_node(u16::try_from(node).expect("a few nodes"));
        let link = self.links.iter().find(|(_, of)| **of == addr).map_or(LinkId(0), |(link, _)| *link);
        self.feed(Input::Hello { link, payload });
    }

    /// A client publishes a hello.
    pub(crate) fn publish(&mut self, payload: Bytes) {
        self.change(Change::Hello(payload));
    }

    pub(crate) fn command(&mut self, command: Command) {
        match command {
            Command::Change(change) => self.change(change),
            Command::Query(query) => {
                if let Some(view) = self.engine.poll_view() {
                    let _ = (query.answer(&view, reading(self.now)), role(&view));
                }
            }
        }
    }

    pub(crate) fn resolved(&mut self, outcome: Result<IpAddr, String>) {
        let name = self.wondered.pop().unwrap_or_else(|| "db.example".into());
        self.feed(Input::Resolved { name, outcome });
    }

    /// What was asked to be written is on disk, up to so many states before the last one.
    pub(crate) fn persisted(&mut self, back: u64) {
        let seq = Seq(self.asked.0.saturating_sub(back));
        if let Some((_, epoch)) = self.epochs.range(..=seq).next_back() {
            self.durable = self.durable.max(*epoch);
        }
        self.feed(Input::Persisted(seq));
    }

    pub(crate) fn persist_failed(&mut self) {
        self.feed(Input::PersistFailed { seq: self.asked, error: "no space left on device".to_owned() });
    }

    fn oblige(&mut self) {
        self.oblige_but(None);
    }

    /// Everybody connects and answers, but the silent, and but INFO of that one.
    fn oblige_but(&mut self, reserved: Option<&HostPort>) {
        for _ in 0..4 {
            let speaks = |link: &LinkId| self.links.get(link).is_some_and(|addr| !self.silent.contains(&addr.port));
            let rising: Vec<LinkId> =
                self.links.keys().filter(|link| !self.up.contains(link)).filter(|link| speaks(link)).copied().collect();
            let due: Vec<RequestId> = self
                .requests
                .iter()
                .filter(|(link, _, message)| {
                    speaks(link) && !(*message == Message::Info && self.links.get(link) == reserved)
                })
                .map(|(_, request, _)| *request)
                .collect();
            if rising.is_empty() && due.is_empty() {
                return;
            }
            for link in rising {
                self.up.insert(link);
                self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()) });
            }
            for request in due {
                if let Some(position) = self.requests.iter().position(|(_, other, _)| *other == request) {
                    let (link, request, message) = self.requests.remove(position);
                    let reply = self.proper_answer(link, &message);
                    self.feed(Input::Reply { link, request, reply });
                }
            }
        }
    }

    fn proper_answer(&mut self, link: LinkId, message: &Message) -> Reply {
        let addr = self.links[&link].clone();
        match message {
            Message::Ping => Reply::status("PONG"),
            Message::Info | Message::Acknowledge => self.info_of(&addr),
            Message::Hello { .. } => Reply::Integer(1),
            Message::ScriptKill | Message::HandOver { .. } | Message::CallOff => Reply::ok(),
            Message::IsMasterDown { epoch, candidate, .. } => {
                let leader = candidate.as_ref().map_or("*", |id| id.as_str());
                let epoch = if candidate.is_some() { epoch.get() } else { 0 };
                Reply::Array(vec![
                    Reply::Integer(1),
                    Reply::text(leader),
                    Reply::Integer(i64::try_from(epoch).unwrap_or(-1)),
                ])
            }
            Message::Promote { .. } => {
                self.sources.remove(&addr);
                Reply::Array(vec![Reply::ok(), self.info_of(&addr)])
            }
            Message::Replicate { of, .. } => {
                self.sources.insert(addr.clone(), of.clone());
                Reply::Array(vec![Reply::ok(), self.info_of(&addr)])
            }
        }
    }

    fn info_of(&self, addr: &HostPort) -> Reply {
        let run = char::from(b'0' + u8::try_from(addr.port % 10).expect("a digit")).to_string().repeat(40);
        Reply::text(match self.sources.get(addr) {
            None => format!("run_id:{run}\r\nrole:master\r\nmaster_repl_offset:9\r\n"),
            Some(of) => format!(
                "run_id:{run}\r\nrole:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:up\r\n\
                 slave_repl_offset:9\r\nslave_priority:100\r\n",
                of.host, of.port
            ),
        })
    }

    fn change(&mut self, change: Change) {
        self.clients += 1;
        self.feed(Input::Change { client: ClientId(self.clients), change });
    }

    fn feed(&mut self, input: Input) {
        self.engine.handle(reading(self.now), input);
        self.drain();
    }

    fn forget(&mut self, link: LinkId) {
        self.up.remove(&link);
        self.requests.retain(|(of, _, _)| *of != link);
    }

    fn drain(&mut self) {
        for count in 0.. {
            let Some(output) = self.engine.poll_output() else { break };
            assert!(count < MOST_OUTPUTS, "no end of outputs");
            match output {
                Output::Connect { link, target } => {
                    self.links.insert(link, target.addr.clone());
                }
                Output::Disconnect { link } => {
                    self.forget(link);
                    self.links.remove(&link);
                }
                Output::Send { link, request, message } => {
                    assert!(self.up.contains(&link), "sent over a link that is not up");
                    self.check_epoch(&message);
                    self.requests.push((link, request, message));
                }
                Output::Persist(seq) => {
                    let (latest, state) = self.engine.snapshot();
                    assert!(seq > self.asked && seq <= latest, "a state that does not exist is to be written");
                    self.asked = seq;
                    self.epochs.insert(seq, state.current_epoch);
                }
                Output::Answer { client, .. } => {
                    assert!(self.answered.insert(client), "a client was answered twice");
                }
                Output::Event(Event::VoteForLeader { id, epoch, master }) => {
                    let id = id.to_string();
                    let vote = self.votes.entry((master.to_string(), epoch)).or_insert_with(|| id.clone());
                    assert_eq!(*vote, id, "a second vote in epoch {epoch}");
                    assert!(epoch <= self.durable, "a vote was told that is not on disk");
                }
                Output::Event(event) => assert!(!event.payload().is_empty(), "an event without payload"),
                Output::Resolve { name } => self.wondered.push(name),
                Output::Notice(_)
                | Output::SetLogLevel(_)
                | Output::Crash
                | Output::RunScript { .. }
                | Output::KillScript { .. } => {}
            }
        }
        if self.engine.view_has_changed() {
            let _ = self.engine.poll_view();
        }
    }

    /// Durable before visible: no message carries an epoch that a crash could make us forget.
    fn check_epoch(&self, message: &Message) {
        let carried = match message {
            Message::Hello { payload } => {
                payload.split(',').nth(3).and_then(|epoch| epoch.parse().ok()).map(Epoch::new)
            }
            Message::IsMasterDown { epoch, .. } => Some(*epoch),
            _ => None,
        };
        assert!(carried.is_none_or(|epoch| epoch <= self.durable), "{message:?} before it is on disk");
    }
}

fn boot() -> Boot {
    let mut settings = MasterSettings::new(Quorum::new(2).expect("a quorum"));
    settings.down_after = Duration::from_secs(1);
    settings.failover_timeout = Duration::from_secs(3);
    settings.reboot_down_after = Duration::from_secs(1);
    let name = MasterName::new("m").expect("a name");
    let mut master = MasterSnapshot::new(name, data_node(0), settings);
    master.replicas = vec![data_node(1), data_node(2)];
    master.peers = vec![(id('b'), at(26380)), (id('c'), at(26381))];
    let snapshot = Snapshot {
        id: id('a'),
        current_epoch: Epoch::new(1),
        globals: Arc::new(GlobalSettings::default()),
        masters: vec![Arc::new(master)],
    };
    Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), seed: 7 }
}

fn id(of: char) -> SentinelId {
    SentinelId::new(&of.to_string().repeat(40)).expect("an id")
}

/// The data nodes, counted from the master.
fn data_node(number: u16) -> HostPort {
    at(6379 + number)
}

fn at(port: u16) -> HostPort {
    format!("127.0.0.1:{port}").parse().expect("an address")
}

fn reading(micros: u64) -> Now {
    Now { mono: Instant::from_micros(micros), wall: WallTime(micros / 1_000) }
}

fn pick<T>(mut from: impl ExactSizeIterator<Item = T>, which: usize) -> Option<T> {
    let length = from.len().max(1);
    from.nth(which % length)
}
