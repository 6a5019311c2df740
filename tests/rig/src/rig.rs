//! The engine, its links, and all that may happen to it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use sentinel_core::command::{Change, Command, role};
use sentinel_core::time::{Instant, Now, WallTime};
use sentinel_core::types::HostPort;
use sentinel_core::{Engine, Input, LinkFault, LinkId, Message, Output, RequestId, Seq, View};
use sentinel_resp::Reply;

use crate::deployment::{Deployment, boot, data_node};
use crate::promises::Promises;

/// Milliseconds between two rounds of answers.
const ROUND: u64 = 50;
/// Answers lead to questions: so often in one round.
const EXCHANGES: usize = 4;
/// No input makes the engine say more than this at once.
const MOST_OUTPUTS: usize = 20_000;
/// No wait wakes it more often than this.
const MOST_WAKES: usize = 50_000;

/// An engine with everything around it.
#[derive(Debug)]
pub struct Rig {
    engine: Engine,
    now: u64,
    links: BTreeMap<LinkId, HostPort>,
    up: BTreeSet<LinkId>,
    requests: Vec<(LinkId, RequestId, Message)>,
    deployment: Deployment,
    promises: Promises,
    wondered: Vec<Arc<str>>,
    /// What readers see.
    shown: Option<Arc<View>>,
    /// What went in and came out, if that is wanted.
    log: Option<Vec<String>>,
}

impl Rig {
    /// One that has heard of nobody yet.
    pub fn new() -> Self {
        let boot = boot();
        let mut rig = Self {
            promises: Promises::new(boot.snapshot.current_epoch),
            engine: Engine::new(boot, reading(0)),
            now: 0,
            links: BTreeMap::new(),
            up: BTreeSet::new(),
            requests: Vec::new(),
            deployment: Deployment::new(),
            wondered: Vec::new(),
            shown: None,
            log: None,
        };
        rig.drain();
        rig
    }

    /// One whose links are up and which has heard everybody.
    pub fn settled() -> Self {
        let mut rig = Self::new();
        rig.live(4);
        rig
    }

    /// From now on it is noted what goes in and comes out.
    #[must_use]
    pub fn logged(mut self) -> Self {
        self.log = Some(Vec::new());
        self
    }

    /// What went in and came out.
    pub fn into_log(self) -> Vec<String> {
        self.log.unwrap_or_default()
    }

    /// So many rounds in which everybody but the silent connects and answers as he should.
    pub fn live(&mut self, rounds: u32) {
        for _ in 0..rounds {
            self.oblige_but(None);
            self.wait(ROUND);
        }
    }

    /// So many milliseconds pass.
    pub fn wait(&mut self, milliseconds: u64) {
        let end = self.now + milliseconds * 1_000;
        let mut wakes = 0;
        while let Some(at) = self.engine.next_timeout().map(Instant::as_micros).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(reading(self.now));
            self.drain();
            let next = self.engine.next_timeout();
            assert!(next.is_none_or(|next| next.as_micros() > self.now), "a timer is still due after its turn");
            wakes += 1;
            assert!(wakes < MOST_WAKES, "woken too often");
        }
        self.now = end;
    }

    /// So many milliseconds pass, and nobody calls the engine.
    pub fn stall(&mut self, milliseconds: u64) {
        self.now += milliseconds * 1_000;
    }

    /// At these ports, and at no others, nobody answers.
    pub fn silence(&mut self, ports: impl IntoIterator<Item = u16>) {
        self.deployment.silence(ports);
    }

    /// One of the links comes up, which may be up already.
    pub fn link_up(&mut self, which: usize) {
        if let Some(link) = pick(self.links.keys().copied(), which) {
            self.rise(link);
        }
    }

    /// One of the links breaks.
    pub fn link_down(&mut self, which: usize, fault: LinkFault) {
        if let Some(link) = pick(self.links.keys().copied(), which) {
            self.forget(link);
            self.feed(Input::LinkDown { link, fault });
        }
    }

    /// Answers one of the questions under way.
    pub fn answer(&mut self, which: usize, reply: Reply) {
        if !self.requests.is_empty() {
            let (link, request, _) = self.requests.remove(which % self.requests.len());
            self.feed(Input::Reply { link, request, reply });
        }
    }

    /// An answer that nobody has asked for, unless by chance somebody has, and news of a link that does not exist.
    pub fn stray(&mut self, link: u64, request: u64, reply: Reply) {
        let (link, request) = (LinkId(link), RequestId(request));
        self.requests.retain(|(of, asked, _)| (*of, *asked) != (link, request));
        self.feed(Input::Reply { link, request, reply });
        let unknown = LinkId(link.0 + 1_000_000);
        self.feed(Input::LinkUp { link: unknown, local: None, refused_login: None });
        self.feed(Input::LinkDown { link: unknown, fault: LinkFault::Closed });
    }

    /// Waits until that data node, counted from the master, is asked for INFO, and answers so.
    pub fn answer_info_of(&mut self, node: usize, reply: Reply) {
        let addr = data_node(node);
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
            self.oblige_but(Some(&addr));
            self.wait(4 * ROUND);
        }
    }

    /// A hello on the channel of that data node, counted from the master.
    pub fn hello(&mut self, node: usize, payload: Bytes) {
        let addr = data_node(node);
        let link = self.links.iter().find(|(_, of)| **of == addr).map_or(LinkId(0), |(link, _)| *link);
        self.feed(Input::Hello { link, payload });
    }

    /// A hello over any of the links.
    pub fn hello_over(&mut self, which: usize, payload: Bytes) {
        let link = pick(self.links.keys().copied(), which).unwrap_or(LinkId(0));
        self.feed(Input::Hello { link, payload });
    }

    /// A client publishes a hello.
    pub fn publish(&mut self, payload: Bytes) {
        self.change(Change::Hello(payload));
    }

    /// What readers see.
    pub fn view(&self) -> Option<Arc<View>> {
        self.shown.clone()
    }

    /// A client asks for something.
    pub fn command(&mut self, command: Command) {
        match command {
            Command::Change(change) => self.change(change),
            Command::Reload => self.change(Change::Reload(Err("s.conf:1: there is none".to_owned()))),
            Command::Query(query) => {
                if let Some(view) = &self.shown {
                    let _ = (query.answer(view, reading(self.now)), role(view));
                }
            }
        }
    }

    /// The resolver answers to the oldest question, or says something unasked.
    pub fn resolved(&mut self, outcome: Result<IpAddr, String>) {
        let asked = (!self.wondered.is_empty()).then(|| self.wondered.remove(0));
        self.feed(Input::Resolved { name: asked.unwrap_or_else(|| "db.example".into()), outcome });
    }

    /// What was asked to be written is on disk, up to so many states before the last one.
    pub fn persisted(&mut self, back: u64) {
        let seq = Seq(self.promises.asked().0.saturating_sub(back));
        self.promises.written(seq);
        self.feed(Input::Persisted(seq));
    }

    /// The last state could not be written.
    pub fn persist_failed(&mut self) {
        let seq = self.promises.asked();
        self.feed(Input::PersistFailed { seq, error: "no space left on device".to_owned() });
    }

    /// Clients that have no answer yet. Once everything is on disk, there are none.
    pub fn unanswered(&self) -> u64 {
        self.promises.unanswered()
    }

    /// What is to be written is, and everybody connects and answers, but the silent, and but INFO of that one.
    fn oblige_but(&mut self, reserved: Option<&HostPort>) {
        for _ in 0..EXCHANGES {
            self.persisted(0);
            let speaks = |link: &LinkId| self.links.get(link).is_some_and(|addr| self.deployment.speaks(addr));
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
                self.rise(link);
            }
            for request in due {
                if let Some(position) = self.requests.iter().position(|(_, other, _)| *other == request) {
                    let (link, request, message) = self.requests.remove(position);
                    let reply = self.deployment.answer(&self.links[&link], &message);
                    self.feed(Input::Reply { link, request, reply });
                }
            }
        }
    }

    fn rise(&mut self, link: LinkId) {
        self.up.insert(link);
        self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()), refused_login: None });
    }

    fn change(&mut self, change: Change) {
        let client = self.promises.client();
        self.feed(Input::Change { client, change });
    }

    fn feed(&mut self, input: Input) {
        if let Some(log) = &mut self.log {
            log.push(format!("< {input:?}"));
        }
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
            if let Some(log) = &mut self.log {
                log.push(format!("> {output:?}"));
            }
            match output {
                Output::Connect { link, target } => {
                    self.links.insert(link, target.addr.clone());
                }
                Output::Disconnect { link } => {
                    self.forget(link);
                    self.links.remove(&link);
                }
                Output::Send { link, request, message } => self.check_sent(link, request, message),
                Output::Persist(seq) => {
                    let (latest, state) = self.engine.snapshot();
                    self.promises.check_persist(seq, latest, state.current_epoch);
                }
                Output::Answer { client, .. } => self.promises.check_answer(client),
                Output::Event(event) => self.promises.check_event(&event),
                Output::Resolve { name } => self.wondered.push(name),
                Output::Notice(_)
                | Output::Incident(_)
                | Output::SetLogLevel(_)
                | Output::Crash
                | Output::RunScript { .. }
                | Output::KillScript { .. } => {}
            }
        }
        if let Some(view) = self.engine.poll_view() {
            if let Some(log) = &mut self.log {
                log.push(format!("view {view:?}"));
            }
            self.shown = Some(view);
        }
    }

    fn check_sent(&mut self, link: LinkId, request: RequestId, message: Message) {
        assert!(self.up.contains(&link), "sent over a link that is not up");
        self.promises.check_message(&message);
        if matches!(message, Message::Ping | Message::Info) {
            let waits = self.requests.iter().any(|(of, _, asked)| *of == link && *asked == message);
            assert!(!waits, "{message:?} is asked while one waits already");
        }
        self.requests.push((link, request, message));
    }
}

impl Default for Rig {
    fn default() -> Self {
        Self::new()
    }
}

fn reading(micros: u64) -> Now {
    Now { mono: Instant::from_micros(micros), wall: WallTime(micros / 1_000) }
}

fn pick<T>(mut from: impl ExactSizeIterator<Item = T>, which: usize) -> Option<T> {
    let length = from.len().max(1);
    from.nth(which % length)
}
