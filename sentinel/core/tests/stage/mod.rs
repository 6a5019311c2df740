//! Plays the surroundings of one engine, with a clock of its own.

mod cast;
mod peer;
mod script;
mod scripts;
mod show;
mod story;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use sentinel_core::{
    Boot, ClientId, Engine, Input, JobId, LinkFault, LinkId, Looked, Message, Output, RequestId, ScriptEnd, Seq,
    TargetKind, View,
    command::{Change, Command},
    reload::Configured,
    settings::{GlobalSettings, MasterSettings},
    time::{Instant, Now, WallTime},
    types::MasterName,
};
use sentinel_resp::Reply;

use cast::{Cast, Failure, Flaw, Life};
pub(crate) use story::{Story, difference};

/// One engine among played nodes, peers and a disk.
pub(crate) struct Stage {
    engine: Engine,
    view: Arc<View>,
    /// Microseconds since the story began.
    now: u64,
    /// How long everything takes: a connection, an answer, a write.
    latency: u64,
    cast: Cast,
    disk: Disk,
    scripts: scripts::Scripts,
    links: BTreeMap<LinkId, Link>,
    /// What is on its way, by the time of its arrival.
    under_way: BTreeMap<(u64, u64), Parcel>,
    parcels: u64,
    /// Who asked, by the number of the client.
    clients: BTreeMap<ClientId, String>,
    last_good: BTreeMap<String, std::net::IpAddr>,
    resolver_holds: bool,
    /// Questions that it keeps back.
    unresolved: Vec<Arc<str>>,
    shown: BTreeSet<String>,
    lines: Vec<String>,
}

/// A connection that the engine asked for.
struct Link {
    addr: String,
    up: bool,
}

/// What the disk does with a write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DiskMood {
    Works,
    Holds,
    Fails,
}

struct Disk {
    mood: DiskMood,
    asked: Seq,
    written: Seq,
}

/// Something that arrives later.
enum Parcel {
    Dial { link: LinkId },
    Request { link: LinkId, request: RequestId, message: Message },
    Hello { link: LinkId, payload: Bytes },
    Write(Seq),
    Resolve(Arc<str>),
    ScriptStarts(JobId),
    ScriptEnds { job: JobId, end: ScriptEnd },
}

impl Stage {
    fn new(boot: Boot, cast: Cast) -> Self {
        let mut engine = Engine::new(boot, Self::reading(0));
        let view = engine.poll_view().expect("a new engine has a view");
        Stage {
            engine,
            view,
            now: 0,
            latency: 1_000,
            cast,
            disk: Disk { mood: DiskMood::Works, asked: Seq(0), written: Seq(0) },
            scripts: scripts::Scripts::default(),
            links: BTreeMap::new(),
            under_way: BTreeMap::new(),
            parcels: 0,
            clients: BTreeMap::new(),
            last_good: BTreeMap::new(),
            resolver_holds: false,
            unresolved: Vec::new(),
            shown: ["event", "log", "answer", "order", "vote", "script"].into_iter().map(str::to_owned).collect(),
            lines: Vec::new(),
        }
    }

    fn reading(micros: u64) -> Now {
        Now { mono: Instant::from_micros(micros), wall: WallTime(1_800_000_000_000 + micros / 1_000) }
    }

    fn clock(&self) -> Now {
        Self::reading(self.now)
    }

    /// Lets time pass, everything in its order.
    fn pass(&mut self, time: Duration) {
        let end = self.now + u64::try_from(time.as_micros()).expect("a short time");
        let mut steps = 0_u32;
        self.drain();
        loop {
            let parcel = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timer = self.engine.next_timeout().map(Instant::as_micros);
            let Some(next) = parcel.into_iter().chain(timer).min().filter(|at| *at <= end) else { break };
            self.now = self.now.max(next);
            if parcel.is_some_and(|at| at <= self.now) {
                let (_, parcel) = self.under_way.pop_first().expect("it was there");
                self.arrive(parcel);
            } else {
                self.engine.handle_timeout(self.clock());
            }
            self.drain();
            steps += 1;
            assert!(steps < 200_000, "no end of it: the engine spins\n{}", self.lines.join("\n"));
        }
        self.now = end;
    }

    fn feed(&mut self, input: Input) {
        self.drain();
        self.engine.handle(self.clock(), input);
        self.drain();
    }

    fn send_later(&mut self, parcel: Parcel) {
        self.parcels += 1;
        self.under_way.insert((self.now + self.latency, self.parcels), parcel);
    }

    /// Does what the engine wants done.
    fn drain(&mut self) {
        while let Some(output) = self.engine.poll_output() {
            self.show(&output);
            match output {
                Output::Connect { link, target } => {
                    let addr = target.addr.to_string();
                    assert!(
                        target.kind == TargetKind::Peer || !self.cast.is_peer(&addr),
                        "{addr} is a Sentinel, not a data node"
                    );
                    self.links.insert(link, Link { addr, up: false });
                    self.send_later(Parcel::Dial { link });
                }
                Output::Disconnect { link } => {
                    self.links.remove(&link);
                }
                Output::Send { link, request, message } => {
                    assert!(
                        self.links.get(&link).is_some_and(|it| it.up),
                        "sent over a link that is not up: {message:?}"
                    );
                    self.send_later(Parcel::Request { link, request, message });
                }
                Output::Persist(seq) => {
                    assert!(seq > self.disk.asked, "the numbers of states only grow");
                    self.disk.asked = seq;
                    if self.disk.mood != DiskMood::Holds {
                        self.send_later(Parcel::Write(seq));
                    }
                }
                Output::Resolve { name } => self.send_later(Parcel::Resolve(name)),
                Output::RunScript { job, .. } => self.send_later(Parcel::ScriptStarts(job)),
                Output::KillScript { job } => self.send_later(Parcel::ScriptEnds { job, end: ScriptEnd::Killed(9) }),
                Output::Event(_)
                | Output::Incident(_)
                | Output::Notice(_)
                | Output::SetLogLevel(_)
                | Output::Answer { .. }
                | Output::Crash => {}
            }
        }
        if let Some(view) = self.engine.poll_view() {
            self.view = view;
        }
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Dial { link } => self.dialled(link),
            Parcel::Request { link, request, message } => self.asked(link, request, message),
            Parcel::Hello { link, payload } => {
                if self.links.contains_key(&link) {
                    self.feed(Input::Hello { link, payload });
                }
            }
            Parcel::Write(seq) => match self.disk.mood {
                DiskMood::Works => {
                    self.disk.written = self.disk.written.max(seq);
                    self.feed(Input::Persisted(seq));
                }
                DiskMood::Fails => self.feed(Input::PersistFailed { seq, error: "No space left on device".into() }),
                DiskMood::Holds => {}
            },
            Parcel::Resolve(name) if self.resolver_holds => self.unresolved.push(name),
            Parcel::Resolve(name) => {
                let outcome =
                    self.cast.names.get(&*name).copied().ok_or_else(|| "Name or service not known".to_owned());
                self.feed(Input::Resolved { name, outcome });
            }
            Parcel::ScriptStarts(job) => self.script_starts(job),
            Parcel::ScriptEnds { job, end } => self.feed(Input::ScriptEnded { job, end }),
        }
    }

    fn dialled(&mut self, link: LinkId) {
        let Some(addr) = self.links.get(&link).map(|it| it.addr.clone()) else { return };
        let Some(addr) = self.behind_name(link, &addr) else { return };
        match self.cast.life(&addr) {
            Life::Well => {
                if let Some(it) = self.links.get_mut(&link) {
                    it.up = true;
                }
                let refused_login = self.cast.refused_login(&addr);
                self.feed(Input::LinkUp { link, local: Some([127, 0, 0, 1].into()), refused_login });
            }
            Life::Dead => {
                self.links.remove(&link);
                self.feed(Input::LinkDown { link, fault: LinkFault::Refused });
            }
            Life::Fails(failure) => {
                self.links.remove(&link);
                let fault = match failure {
                    Failure::Denied => LinkFault::Denied("WRONGPASS invalid username-password pair".into()),
                    Failure::Unresolved => LinkFault::Unresolved("no such host".into()),
                    Failure::NoRoom => LinkFault::Exhausted("Too many open files".into()),
                };
                self.feed(Input::LinkDown { link, fault });
            }
            Life::Silent => self.cast.hold(&addr, Parcel::Dial { link }),
        }
    }

    /// A node changes its mind about the subscription to hellos.
    fn subscription(&mut self, addr: &str, command: &str, refusal: Option<&str>) {
        let links: Vec<_> =
            self.links.iter().filter(|(_, it)| it.up && it.addr == addr).map(|(link, _)| *link).collect();
        for link in links.into_iter().filter(|_| command == "SUBSCRIBE") {
            self.feed(Input::Subscription { link, refusal: refusal.map(str::to_owned) });
        }
    }

    /// Before a connection to a name, the resolver is asked; its last good address serves while it knows none.
    fn behind_name(&mut self, link: LinkId, addr: &str) -> Option<String> {
        let (host, port) = addr.rsplit_once(':').expect("an address");
        if !host.contains(|c: char| c.is_ascii_alphabetic()) || host.starts_with('[') {
            return Some(addr.to_owned());
        }
        let outcome = self.cast.names.get(host).copied();
        let told = outcome.ok_or_else(|| "Name or service not known".to_owned());
        self.feed(Input::Resolved { name: host.into(), outcome: told });
        let ip = outcome.or_else(|| self.last_good.get(host).copied());
        let Some(ip) = ip else {
            self.links.remove(&link);
            self.feed(Input::LinkDown { link, fault: LinkFault::Unresolved("Name or service not known".into()) });
            return None;
        };
        self.last_good.insert(host.to_owned(), ip);
        let addr = format!("{ip}:{port}");
        if let Some(it) = self.links.get_mut(&link) {
            it.addr.clone_from(&addr);
        }
        Some(addr)
    }

    fn asked(&mut self, link: LinkId, request: RequestId, message: Message) {
        let Some(addr) = self.links.get(&link).map(|it| it.addr.clone()) else { return };
        match self.cast.life(&addr) {
            Life::Well => {
                if let Message::Hello { payload } = &message
                    && !self.cast.is_peer(&addr)
                    && !self.cast.node(&addr).flaws.contains(&Flaw::SwallowsHellos)
                {
                    let payload = Bytes::copy_from_slice(payload.as_bytes());
                    self.send_later(Parcel::Hello { link, payload });
                }
                match self.cast.answer(&addr, &message) {
                    Some(reply) => self.feed(Input::Reply { link, request, reply }),
                    None => self.cast.hold(&addr, Parcel::Request { link, request, message }),
                }
            }
            Life::Silent => self.cast.hold(&addr, Parcel::Request { link, request, message }),
            Life::Dead | Life::Fails(_) => {}
        }
    }

    /// Someone speaks again: what waited for it arrives.
    fn release(&mut self, addr: &str) {
        for parcel in self.cast.take_held(addr) {
            self.send_later(parcel);
        }
    }

    /// Closes every connection to an address from the other side.
    fn break_links(&mut self, addr: &str, fault: &LinkFault) {
        drop(self.cast.take_held(addr));
        let broken: Vec<_> = self.links.iter().filter(|(_, it)| it.addr == addr).map(|(link, _)| *link).collect();
        for link in broken {
            self.links.remove(&link);
            self.feed(Input::LinkDown { link, fault: fault.clone() });
        }
    }

    /// A client, or another Sentinel as one, sends a SENTINEL command.
    fn command(&mut self, who: &str, words: &[&str]) {
        let args: Vec<_> =
            words.iter().map(|word| Bytes::copy_from_slice(word.trim_matches('\'').as_bytes())).collect();
        match Command::parse(&args) {
            Ok(Command::Query(query)) => {
                let reply = query.answer(&self.view, self.clock());
                self.show_answer(who, &reply);
            }
            Ok(Command::Change(change)) => self.change(who, change),
            Ok(Command::Reload) => panic!("a story reloads with `configuration`"),
            Err(reply) => self.show_answer(who, &reply),
        }
    }

    fn change(&mut self, who: &str, change: Change) {
        let client = ClientId(self.clients.len() as u64);
        self.clients.insert(client, who.to_owned());
        self.feed(Input::Change { client, change });
    }

    /// The configuration is read: what is in force, but for options as SENTINEL SET has them.
    fn configuration(&mut self, is_reload: bool, words: &[&str]) {
        let read = match words {
            ["faulty", words @ ..] => Err(words.join(" ")),
            words => Ok(Box::new(self.configured(words))),
        };
        if is_reload {
            self.change("client", Change::Reload(read));
        } else {
            self.feed(Input::Configuration(Looked::Changed(read)));
        }
    }

    fn configured(&mut self, words: &[&str]) -> Configured {
        let (_, snapshot) = self.engine.snapshot();
        let (mut masters, mut restart, mut options) = (BTreeMap::new(), Vec::new(), vec!["SENTINEL", "SET", "m"]);
        for master in &snapshot.masters {
            masters.insert(master.name.clone(), (master.addr.clone(), MasterSettings::clone(&master.settings)));
        }
        for word in words {
            match word.split_once('=').expect("option=value") {
                ("new-master", name) => {
                    let like = masters.values().next().expect("a master").clone();
                    masters.insert(MasterName::new(name).unwrap(), like);
                }
                ("without", name) => masters.retain(|known, _| known.as_str() != name),
                ("restart", name) => restart.push(name.to_owned()),
                (option, value) => options.extend([option, value]),
            }
        }
        if options.len() > 3 {
            let words: Vec<_> = options.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
            let Ok(Command::Change(Change::Set { options, error: None, .. })) = Command::parse(&words) else {
                panic!("no options: {options:?}")
            };
            for (_, settings) in masters.values_mut() {
                for option in &options {
                    option.setting.clone().apply(settings);
                }
            }
        }
        Configured { globals: GlobalSettings::clone(&snapshot.globals), log_level: None, masters, restart }
    }

    fn disk_mood(&mut self, mood: DiskMood) {
        self.disk.mood = mood;
        if mood == DiskMood::Works && self.disk.written < self.disk.asked {
            self.send_later(Parcel::Write(self.disk.asked));
        }
    }

    /// Another Sentinel says hello.
    fn hello(&mut self, via: Option<&str>, payload: &str) {
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        if via == Some("direct") {
            return self.change("hello", Change::Hello(payload));
        }
        let link = self.links.iter().find(|(_, it)| {
            it.up && !self.cast.is_peer(&it.addr) && via.is_none_or(|via| script::address(via) == it.addr)
        });
        let link = *link.expect("a subscription that can bring the hello").0;
        self.feed(Input::Hello { link, payload });
    }

    fn show_answer(&mut self, who: &str, reply: &Reply) {
        let line = format!("=> {who}  {}", show::reply(reply));
        self.line("answer", &line);
    }
}
