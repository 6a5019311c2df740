//! Whatever comes in, in whatever order: the engine never panics, never spins, keeps its promises, and the same
//! inputs give the same outputs.

use std::{collections::BTreeMap, fmt::Write as _, sync::Arc, time::Duration};

use bytes::Bytes;
use proptest::prelude::*;
use sentinel_core::{
    Boot, ClientId, Engine, Input, LinkFault, LinkId, MasterSnapshot, Message, Output, RequestId, Seq, Snapshot,
    command::{Command, role},
    events::Event,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::{Instant, Now, WallTime},
    types::{Epoch, HostPort, MasterName, Quorum, SentinelId},
};
use sentinel_resp::Reply;

/// One thing that happens. Numbers choose among what exists at that moment.
#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    /// Time passes, and nobody calls the engine.
    Stall(u64),
    Up(usize),
    Down(usize, LinkFault),
    /// So many times 50 ms in which everybody connects and answers as he should, but the silent ones.
    Live(u32, Silent),
    /// An answer to a request that was made.
    Answer(usize, Reply),
    /// An answer to nothing, over any link.
    Stray(u64, u64, Reply),
    Hello(usize, Bytes),
    Command(Vec<Bytes>),
    Publish(Bytes),
    /// The resolver answers to the oldest question, or says something unasked.
    Resolved(Option<std::net::IpAddr>),
    Persisted,
    PersistedUpTo(u64),
    PersistFailed,
}

/// Addresses at which nobody answers: the last digit of the port, 6379 and 26379 being 9.
type Silent = std::collections::BTreeSet<u16>;

fn id(of: char) -> String {
    of.to_string().repeat(40)
}

fn boot() -> Boot {
    let mut settings = MasterSettings::new(Quorum::new(2).unwrap());
    settings.down_after = Duration::from_secs(1);
    settings.failover_timeout = Duration::from_secs(3);
    settings.reboot_down_after = Duration::from_secs(1);
    settings.down_on_refused = std::num::NonZeroU32::new(4);
    let mut master = MasterSnapshot::new(MasterName::new("m").unwrap(), "127.0.0.1:6379".parse().unwrap(), settings);
    master.replicas = vec!["127.0.0.1:6380".parse().unwrap(), "127.0.0.1:6381".parse().unwrap()];
    master.peers = vec![
        (SentinelId::new(&id('b')).unwrap(), "127.0.0.1:26380".parse().unwrap()),
        (SentinelId::new(&id('c')).unwrap(), "127.0.0.1:26381".parse().unwrap()),
    ];
    let snapshot = Snapshot {
        id: SentinelId::new(&id('a')).unwrap(),
        current_epoch: Epoch::new(1),
        globals: Arc::new(GlobalSettings::default()),
        masters: vec![Arc::new(master)],
    };
    Boot { snapshot, timing: Timing::default(), names: BTreeMap::new(), seed: 7 }
}

/// What the test knows of the engine from outside.
struct Trial {
    engine: Engine,
    now: u64,
    links: Vec<LinkId>,
    up: Vec<LinkId>,
    addrs: BTreeMap<LinkId, HostPort>,
    requests: Vec<(LinkId, RequestId)>,
    messages: BTreeMap<RequestId, Message>,
    /// Whom each data node follows. Not in it: it is a master.
    sources: BTreeMap<HostPort, HostPort>,
    clients: u64,
    answered: BTreeMap<ClientId, u32>,
    asked_seq: Seq,
    /// The epoch in each state that was asked to be written, and the highest one on disk.
    epochs: BTreeMap<Seq, Epoch>,
    durable_epoch: Epoch,
    votes: BTreeMap<(String, Epoch), String>,
    /// Names that the resolver is asked for.
    wondered: Vec<Arc<str>>,
    log: Vec<String>,
}

impl Trial {
    fn new() -> Self {
        let boot = boot();
        let durable_epoch = boot.snapshot.current_epoch;
        let mut trial = Trial {
            engine: Engine::new(boot.clone(), reading(0)),
            now: 0,
            links: Vec::new(),
            up: Vec::new(),
            addrs: BTreeMap::new(),
            requests: Vec::new(),
            messages: BTreeMap::new(),
            sources: boot.snapshot.masters[0].replicas.iter().cloned().map(|it| (it, at(6379))).collect(),
            clients: 0,
            answered: BTreeMap::new(),
            asked_seq: Seq(0),
            epochs: BTreeMap::new(),
            durable_epoch,
            votes: BTreeMap::new(),
            wondered: Vec::new(),
            log: Vec::new(),
        };
        trial.drain();
        trial
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Wait(ms) => self.wait(ms),
            Step::Stall(ms) => self.now += ms * 1_000,
            Step::Up(n) => {
                if let Some(link) = pick(&self.links, n) {
                    self.up.push(link);
                    self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()) });
                }
            }
            Step::Down(n, fault) => {
                if let Some(link) = pick(&self.links, n) {
                    self.forget(link);
                    self.feed(Input::LinkDown { link, fault });
                }
            }
            Step::Live(slices, silent) => {
                for _ in 0..slices {
                    self.oblige(&silent);
                    self.wait(50);
                }
            }
            Step::Answer(n, reply) => {
                if let Some((link, request)) = pick(&self.requests, n) {
                    self.requests.retain(|it| *it != (link, request));
                    self.feed(Input::Reply { link, request, reply });
                }
            }
            Step::Stray(link, request, reply) => {
                // By chance it may be the answer to something.
                self.requests.retain(|it| *it != (LinkId(link), RequestId(request)));
                self.feed(Input::Reply { link: LinkId(link), request: RequestId(request), reply });
                self.feed(Input::LinkUp { link: LinkId(link + 1_000_000), local: None });
                self.feed(Input::LinkDown { link: LinkId(link + 1_000_000), fault: LinkFault::Closed });
            }
            Step::Hello(n, payload) => {
                let link = pick(&self.links, n).unwrap_or(LinkId(0));
                self.feed(Input::Hello { link, payload });
            }
            Step::Resolved(ip) => {
                let asked = (!self.wondered.is_empty()).then(|| self.wondered.remove(0));
                let name = asked.unwrap_or_else(|| "db.example".into());
                self.feed(Input::Resolved { name, outcome: ip.ok_or_else(|| "no such host".to_owned()) });
            }
            Step::Publish(payload) => self.change(sentinel_core::command::Change::Hello(payload)),
            Step::Command(words) => match Command::parse(&words) {
                Ok(Command::Change(change)) => self.change(change),
                Ok(Command::Query(query)) => {
                    if let Some(view) = self.engine.poll_view() {
                        let _ = (query.answer(&view, reading(self.now)), role(&view));
                    }
                }
                Err(_) => {}
            },
            Step::Persisted => self.persisted(self.asked_seq),
            Step::PersistedUpTo(back) => self.persisted(Seq(self.asked_seq.0.saturating_sub(back))),
            Step::PersistFailed => self.feed(Input::PersistFailed { seq: self.asked_seq, error: "full".into() }),
        }
    }

    /// Everybody does what is asked of him, but the silent ones.
    fn oblige(&mut self, silent: &Silent) {
        for _ in 0..6 {
            self.persisted(self.asked_seq);
            let speaks = |link: &LinkId| !silent.contains(&(self.addrs[link].port % 10));
            let rising: Vec<_> =
                self.links.iter().copied().filter(|link| !self.up.contains(link)).filter(speaks).collect();
            let asked: Vec<_> = self.requests.iter().copied().filter(|(link, _)| speaks(link)).collect();
            for link in rising {
                self.up.push(link);
                self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()) });
            }
            for (link, request) in asked.into_iter().filter(|it| self.requests.contains(it)).collect::<Vec<_>>() {
                self.requests.retain(|it| it.1 != request);
                let reply = self.proper_answer(link, request);
                self.feed(Input::Reply { link, request, reply });
            }
        }
    }

    fn proper_answer(&mut self, link: LinkId, request: RequestId) -> Reply {
        let addr = self.addrs[&link].clone();
        match &self.messages[&request] {
            Message::Ping => Reply::status("PONG"),
            Message::Info | Message::Acknowledge => self.info_of(&addr),
            Message::Hello { .. } => Reply::Integer(1),
            Message::ScriptKill | Message::HandOver { .. } | Message::CallOff => Reply::ok(),
            Message::IsMasterDown { epoch, candidate, .. } => {
                let leader = candidate.as_ref().map_or("*", |it| it.as_str());
                let epoch = if candidate.is_some() { epoch.get() } else { 0 };
                let epoch = Reply::Integer(i64::try_from(epoch).unwrap_or(-1));
                Reply::Array(vec![Reply::Integer(1), Reply::text(leader), epoch])
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
        let text = match self.sources.get(addr) {
            None => "role:master\r\n".to_owned(),
            Some(of) => format!(
                "role:slave\r\nmaster_host:{}\r\nmaster_port:{}\r\nmaster_link_status:up\r\nslave_repl_offset:9\r\n",
                of.host, of.port
            ),
        };
        Reply::text(text)
    }

    fn change(&mut self, change: sentinel_core::command::Change) {
        self.clients += 1;
        self.feed(Input::Change { client: ClientId(self.clients), change });
    }

    fn persisted(&mut self, seq: Seq) {
        if let Some((_, epoch)) = self.epochs.range(..=seq).next_back() {
            self.durable_epoch = self.durable_epoch.max(*epoch);
        }
        self.feed(Input::Persisted(seq));
    }

    fn wait(&mut self, ms: u64) {
        let end = self.now + ms * 1_000;
        let mut wakes = 0;
        while let Some(at) = self.engine.next_timeout().map(Instant::as_micros).filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.engine.handle_timeout(reading(self.now));
            self.drain();
            let next = self.engine.next_timeout();
            assert!(next.is_none_or(|next| next.as_micros() > self.now), "a timer is still due after its turn");
            wakes += 1;
            assert!(wakes < 20_000, "woken too often");
        }
        self.now = end;
    }

    fn feed(&mut self, input: Input) {
        self.log.push(format!("< {input:?}"));
        self.engine.handle(reading(self.now), input);
        self.drain();
    }

    fn forget(&mut self, link: LinkId) {
        self.links.retain(|it| *it != link);
        self.up.retain(|it| *it != link);
        self.requests.retain(|(of, _)| *of != link);
    }

    fn drain(&mut self) {
        let (latest, state) = self.engine.snapshot();
        let mut outputs = 0;
        while let Some(output) = self.engine.poll_output() {
            self.log.push(format!("> {output:?}"));
            outputs += 1;
            assert!(outputs < 5_000, "no end of outputs");
            match output {
                Output::Connect { link, target } => {
                    self.addrs.insert(link, target.addr.clone());
                    self.links.push(link);
                }
                Output::Disconnect { link } => self.forget(link),
                Output::Send { link, request, message } => {
                    assert!(self.up.contains(&link), "sent over a link that is not up");
                    if matches!(message, Message::Ping | Message::Info) {
                        let waits = |it: &(LinkId, RequestId)| it.0 == link && self.messages[&it.1] == message;
                        assert!(!self.requests.iter().any(waits), "{message:?} is asked while one waits already");
                    }
                    self.requests.push((link, request));
                    self.check_message(&message);
                    self.messages.insert(request, message);
                }
                Output::Persist(seq) => {
                    assert!(seq > self.asked_seq && seq <= latest);
                    self.asked_seq = seq;
                    self.epochs.insert(seq, state.current_epoch);
                }
                Output::Answer { client, .. } => *self.answered.entry(client).or_default() += 1,
                Output::Event(Event::VoteForLeader { id, epoch, master }) => {
                    let vote = self.votes.entry((master.to_string(), epoch)).or_insert_with(|| id.to_string());
                    assert_eq!(*vote, id.to_string(), "a second vote in epoch {epoch}");
                    assert!(epoch <= self.durable_epoch, "a vote was told that is not on disk");
                }
                Output::Event(event) => assert!(!event.payload().is_empty()),
                Output::Resolve { name } => self.wondered.push(name),
                Output::Notice(_)
                | Output::SetLogLevel(_)
                | Output::Crash
                | Output::RunScript { .. }
                | Output::KillScript { .. } => {}
            }
        }
        assert!(self.answered.values().all(|times| *times == 1), "a client was answered twice");
        if let Some(view) = self.engine.poll_view() {
            self.log.push(format!("view {view:?}"));
        }
    }

    /// Durable before visible: no message carries an epoch that a crash could make us forget.
    fn check_message(&self, message: &Message) {
        let carried = match message {
            Message::Hello { payload } => {
                payload.split(',').nth(3).and_then(|epoch| epoch.parse().ok()).map(Epoch::new)
            }
            Message::IsMasterDown { epoch, .. } => Some(*epoch),
            _ => None,
        };
        assert!(carried.is_none_or(|epoch| epoch <= self.durable_epoch), "{message:?} before it is on disk");
    }
}

fn at(port: u16) -> HostPort {
    format!("127.0.0.1:{port}").parse().unwrap()
}

fn reading(micros: u64) -> Now {
    Now { mono: Instant::from_micros(micros), wall: WallTime(micros / 1_000) }
}

fn pick<T: Copy>(from: &[T], n: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[n % from.len()])
}

fn port() -> impl Strategy<Value = u16> {
    prop_oneof![6379u16..6383, 26379u16..26383, Just(0)]
}

fn host() -> impl Strategy<Value = &'static str> {
    prop_oneof![8 => Just("127.0.0.1"), 1 => Just("::1"), 1 => Just("db.example"), 1 => Just("")]
}

fn epoch() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 0u64..9, 1 => any::<u64>()]
}

fn sentinel() -> impl Strategy<Value = String> {
    "[a-e]".prop_map(|letter| id(letter.chars().next().unwrap()))
}

fn info() -> impl Strategy<Value = Reply> {
    let replica = (host(), port(), any::<bool>(), -1i64..30, 0u64..3, 0u32..3, 0u64..4);
    let fields = (prop::option::of(replica), prop::collection::vec((host(), port()), 0..4), "[x-z]", any::<bool>());
    fields.prop_map(|(replica, listed, run, role)| {
        let mut text = format!("run_id:{}\r\n", run.repeat(40));
        match replica {
            _ if !role => {}
            None => text.push_str("role:master\r\nmaster_repl_offset:5\r\n"),
            Some((host, port, up, down, offset, priority, sync)) => {
                let status = if up { "up" } else { "down" };
                let _ = write!(
                    text,
                    "role:slave\r\nmaster_host:{host}\r\nmaster_port:{port}\r\nmaster_link_status:{status}\r\n\
                     master_link_down_since_seconds:{down}\r\nslave_repl_offset:{offset}\r\nslave_priority:{priority}\r\n\
                     master_sync_read_bytes:{sync}\r\n"
                );
            }
        }
        for (n, (host, port)) in listed.into_iter().enumerate() {
            let _ = write!(text, "slave{n}:ip={host},port={port},state=online\r\n");
        }
        Reply::text(text)
    })
}

fn verdict() -> impl Strategy<Value = Reply> {
    (0i64..3, prop_oneof![sentinel(), Just("*".to_owned()), Just(String::new())], -2i64..9).prop_map(
        |(down, leader, epoch)| Reply::Array(vec![Reply::Integer(down), Reply::text(leader), Reply::Integer(epoch)]),
    )
}

fn reply() -> impl Strategy<Value = Reply> {
    let odd = prop_oneof![
        Just(Reply::status("QUEUED")),
        Just(Reply::error("BUSY Redis is busy")),
        Just(Reply::error("LOADING Redis is loading")),
        Just(Reply::error("NOPERM no")),
        Just(Reply::Integer(-1)),
        Just(Reply::Null),
        Just(Reply::NullArray),
        Just(Reply::Array(Vec::new())),
        Just(Reply::Boolean(true)),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Reply::bulk),
        ".{0,40}".prop_map(Reply::error),
    ];
    prop_oneof![
        4 => Just(Reply::status("PONG")),
        4 => info(),
        3 => verdict(),
        3 => info().prop_map(|info| Reply::Array(vec![Reply::ok(), Reply::Array(vec![Reply::ok()]), info])),
        1 => odd.clone(),
        1 => prop::collection::vec(odd, 0..4).prop_map(Reply::Array),
    ]
}

fn hello() -> impl Strategy<Value = Bytes> {
    let name = prop_oneof![6 => Just("m"), 1 => Just("n"), 1 => Just("other")];
    let proper = ((host(), port()), sentinel(), epoch(), name, (host(), port()), epoch()).prop_map(
        |(from, id, epoch, name, to, config)| {
            Bytes::from(format!("{},{},{id},{epoch},{name},{},{},{config}", from.0, from.1, to.0, to.1))
        },
    );
    prop_oneof![
        9 => proper,
        1 => prop::collection::vec(any::<u8>(), 0..60).prop_map(Bytes::from),
        1 => "[a,0-9]{0,30}".prop_map(Bytes::from),
    ]
}

fn command() -> impl Strategy<Value = Vec<Bytes>> {
    let ms = || prop_oneof![1u64..3_000, Just(i64::MAX.unsigned_abs())];
    let text = prop_oneof![
        4 => (port(), epoch(), prop_oneof![sentinel(), Just("*".to_owned())])
            .prop_map(|(port, epoch, id)| format!("is-master-down-by-addr 127.0.0.1 {port} {epoch} {id}")),
        2 => Just("failover m".to_owned()),
        1 => Just("reset *".to_owned()),
        1 => port().prop_map(|port| format!("monitor n 127.0.0.1 {port} 1")),
        1 => Just("remove n".to_owned()),
        1 => Just("remove m".to_owned()),
        1 => port().prop_map(|port| format!("monitor m 127.0.0.1 {port} 2")),
        2 => ("(down-after-milliseconds|failover-timeout|ping-period|quorum|parallel-syncs|down-on-refused)", ms())
            .prop_map(|(option, value)| format!("set m {option} {value}")),
        1 => Just("set m auth-pass p rename-command CONFIG X".to_owned()),
        1 => ("(info-period|ping-period|ask-period|publish-period|tilt-period|tilt-trigger|election-timeout)", ms())
            .prop_map(|(parameter, value)| format!("debug {parameter} {value}")),
        1 => "config set (resolve|announce)-hostnames (yes|yes|no)",
        1 => Just("config set sentinel-pass p announce-ip 10.0.0.1".to_owned()),
        1 => Just("flushconfig".to_owned()),
        1 => "(masters|replicas m|sentinels m|ckquorum m|info-cache m|get-master-addr-by-name m)",
    ];
    text.prop_map(|text| {
        format!("sentinel {text}").split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect()
    })
}

fn fault() -> impl Strategy<Value = LinkFault> {
    prop_oneof![
        Just(LinkFault::Closed),
        Just(LinkFault::Refused),
        Just(LinkFault::Failed("timed out".into())),
        Just(LinkFault::Denied("WRONGPASS".into())),
        Just(LinkFault::Untrusted("unknown issuer".into())),
        Just(LinkFault::Unresolved("no such host".into())),
        Just(LinkFault::Exhausted("Too many open files".into())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => prop_oneof![0u64..20, 100u64..1_500].prop_map(Step::Wait),
        1 => prop_oneof![0u64..5_000, Just(100_000)].prop_map(Step::Stall),
        8 => any::<usize>().prop_map(Step::Up),
        6 => (1u32..40, prop_oneof![Just(vec![]), Just(vec![9]), Just(vec![9, 0]), prop::collection::vec(0u16..10, 0..4)])
            .prop_map(|(slices, silent)| Step::Live(slices, silent.into_iter().collect())),
        2 => (any::<usize>(), fault()).prop_map(|(n, fault)| Step::Down(n, fault)),
        14 => (any::<usize>(), reply()).prop_map(|(n, reply)| Step::Answer(n, reply)),
        1 => (0u64..60, 0u64..60, reply()).prop_map(|(link, request, reply)| Step::Stray(link, request, reply)),
        4 => (any::<usize>(), hello()).prop_map(|(n, payload)| Step::Hello(n, payload)),
        1 => hello().prop_map(Step::Publish),
        4 => command().prop_map(Step::Command),
        2 => prop_oneof![Just("127.0.0.1"), Just("10.0.0.7"), Just("")].prop_map(|ip| Step::Resolved(ip.parse().ok())),
        6 => Just(Step::Persisted),
        1 => (0u64..4).prop_map(Step::PersistedUpTo),
        1 => Just(Step::PersistFailed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_promises_are_kept(steps in prop::collection::vec(step(), 1..60)) {
        let mut trial = Trial::new();
        for step in steps {
            trial.take(step);
        }
        // Once everything is on disk, nobody waits for an answer any more.
        trial.persisted(trial.asked_seq);
        trial.persisted(trial.asked_seq);
        prop_assert_eq!(trial.answered.len() as u64, trial.clients);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 1..40)) {
        let play = |steps: Vec<Step>| {
            let mut trial = Trial::new();
            for step in steps {
                trial.take(step);
            }
            trial.log
        };
        prop_assert_eq!(play(steps.clone()), play(steps));
    }
}
