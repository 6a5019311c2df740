//! One Sentinel: a real engine with its links, its disk, and the peers that wait for its answers.
//!
//! It knows nothing of the others. What is put into it gives another one and a list of effects, always the same; that is
//! why it need not be computed twice.

use std::{
    collections::{BTreeMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use sentinel_core::{
    Boot, ClientId, Engine, Input, LinkFault, LinkId, Message, Output, RequestId, Seq, Snapshot,
    command::Change,
    events::Event,
    settings::Timing,
    time::{Instant, Now, WallTime},
    types::RunId,
};
use sentinel_resp::Reply;

use crate::{
    effect::{Effect, Hello},
    place::{PLACES, Place, SENTINELS},
    promise::Disk,
    words::{Packet, PacketId, Words},
};

/// Timers that are due later than this are not looked at: in these worlds they are the long periods, set so that they say
/// nothing within a history.
const HORIZON: Duration = Duration::from_secs(60);

/// What is put into a Sentinel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stimulus {
    /// Its next timer is due.
    Timer,
    /// The write under way has ended well.
    Written,
    /// It has failed, and the next one begins.
    WriteFailed,
    /// The process ends and starts from its disk; whether the write under way is on it.
    Crash(bool),
    /// A link is up.
    LinkUp(Place),
    /// A link is gone.
    LinkDown(Place),
    /// A request of a peer.
    Request(Place, PacketId),
    /// The answer to the oldest request on a link.
    Answer(Place, PacketId),
    /// A peer does not wait for its answer any more.
    PeerLeft(Place),
    /// An operator asks for a failover.
    Failover,
}

impl Stimulus {
    /// In four bytes.
    pub(crate) fn pack(self) -> u32 {
        let (kind, place, packet) = match self {
            Stimulus::Timer => (0, 0, 0),
            Stimulus::Written => (1, 0, 0),
            Stimulus::WriteFailed => (2, 0, 0),
            Stimulus::Crash(kept) => (3, u8::from(kept), 0),
            Stimulus::LinkUp(place) => (4, place.0, 0),
            Stimulus::LinkDown(place) => (5, place.0, 0),
            Stimulus::Request(place, packet) => (6, place.0, packet),
            Stimulus::Answer(place, packet) => (7, place.0, packet),
            Stimulus::PeerLeft(place) => (8, place.0, 0),
            Stimulus::Failover => (9, 0, 0),
        };
        kind << 24 | u32::from(place) << 16 | u32::from(packet)
    }
}

/// A link as the runtime knows it.
#[derive(Clone, Debug, Default, Hash)]
struct Slot {
    link: Option<LinkId>,
    /// Requests whose answers come over the network, oldest first.
    waiting: VecDeque<RequestId>,
}

/// One Sentinel.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    me: Place,
    engine: Engine,
    now: Instant,
    timing: Timing,
    links: [Slot; PLACES],
    /// For each peer, the request of it that is being answered: one at a time, as a session serves them.
    asked: [Option<ClientId>; SENTINELS],
    disk: Disk,
    /// The epoch in which it has stood last, for each master's name.
    stood: BTreeMap<String, u64>,
    /// The highest epochs it has told: its own, then those of the configurations. Others remember them when it crashes.
    told: [u64; 3],
    clients: u64,
}

impl Local {
    /// A Sentinel that starts from this. Its first effects are among those returned.
    pub(crate) fn start(me: Place, snapshot: Snapshot, timing: &Timing, words: &Words) -> (Self, Vec<Effect>) {
        let mut engine = boot(&Disk::new(Arc::new(snapshot)), timing, Instant::ZERO);
        // Its file is as it writes it itself.
        let disk = Disk::new(engine.snapshot().1);
        let local = Local {
            me,
            engine,
            now: Instant::ZERO,
            timing: *timing,
            links: Default::default(),
            asked: [None; SENTINELS],
            disk,
            stood: BTreeMap::new(),
            told: [0; 3],
            clients: 0,
        };
        let mut run = Run { local, effects: Vec::new(), log: None, words };
        run.drain();
        (run.local, run.effects)
    }

    /// What becomes of it.
    pub(crate) fn step(&self, stimulus: Stimulus, words: &Words) -> (Self, Vec<Effect>) {
        let mut run = Run { local: self.clone(), effects: Vec::new(), log: None, words };
        run.take(stimulus);
        (run.local, run.effects)
    }

    /// The same, with what it logs and does.
    pub(crate) fn told_step(&self, stimulus: Stimulus, words: &Words) -> (Self, Vec<Effect>, Vec<String>) {
        let mut run = Run { local: self.clone(), effects: Vec::new(), log: Some(Vec::new()), words };
        run.take(stimulus);
        (run.local, run.effects, run.log.unwrap_or_default())
    }

    /// Epochs never go back in what it tells.
    fn goes_on(&mut self, hello: &Hello) -> Result<(), String> {
        let Hello { current_epoch, name, config_epoch, .. } = hello;
        for (place, epoch) in [(0, *current_epoch), (1 + usize::from(*name), *config_epoch)] {
            let before = std::mem::replace(&mut self.told[place], epoch);
            if epoch < before {
                return Err(format!("goes back from epoch {before} to {epoch} in what it tells"));
            }
        }
        Ok(())
    }

    /// Equal for all that have the same future.
    pub(crate) fn digest(&self) -> u64 {
        let mut state = self.engine.canonical(DefaultHasher::new(), HORIZON);
        self.engine.hash(&mut state);
        (self.me, &self.links, &self.asked, &self.disk, &self.stood, self.told).hash(&mut state);
        state.finish()
    }

    /// When its next timer is due, from now on.
    pub(crate) fn due_in(&self) -> Option<Duration> {
        self.engine.next_timeout().map(|at| at.since(self.now))
    }

    /// Whether its next timer is due soon enough to matter.
    pub(crate) fn is_due(&self) -> bool {
        self.due_in().is_some_and(|after| after <= HORIZON)
    }

    /// Whether a write is under way.
    pub(crate) fn is_writing(&self) -> bool {
        self.disk.is_writing()
    }

    /// Whether it is still busy with a request of a peer.
    pub(crate) fn is_asked_by(&self, peer: Place) -> bool {
        self.asked[peer.index()].is_some()
    }
}

fn boot(disk: &Disk, timing: &Timing, now: Instant) -> Engine {
    let snapshot = Snapshot::clone(disk.durable());
    let run_id = RunId::new(snapshot.id.as_str()).expect("forty letters are an id");
    let boot = Boot { snapshot, timing: *timing, names: BTreeMap::new(), seed: 0, run_id: Some(run_id) };
    Engine::new(boot, reading(now)).without_chance()
}

const fn reading(now: Instant) -> Now {
    Now { mono: now, wall: WallTime(0) }
}

/// A Sentinel while something is put into it.
struct Run<'a> {
    local: Local,
    effects: Vec<Effect>,
    log: Option<Vec<String>>,
    words: &'a Words,
}

impl Run<'_> {
    fn take(&mut self, stimulus: Stimulus) {
        match stimulus {
            Stimulus::Timer => {
                if let Some(at) = self.local.engine.next_timeout() {
                    self.local.now = at.max(self.local.now);
                    self.local.engine.handle_timeout(reading(self.local.now));
                }
            }
            Stimulus::Written => {
                if let Some(seq) = self.local.disk.written() {
                    self.feed(Input::Persisted(seq));
                }
            }
            Stimulus::WriteFailed => {
                if let Some(seq) = self.local.disk.write_failed() {
                    self.feed(Input::PersistFailed { seq, error: "no space left on device".to_owned() });
                }
            }
            Stimulus::Crash(kept) => {
                self.local.disk.crash(kept);
                self.local.engine = boot(&self.local.disk, &self.local.timing, self.local.now);
                self.local.links = Default::default();
                self.local.asked = [None; SENTINELS];
                self.local.stood.clear();
            }
            Stimulus::LinkUp(place) => {
                if let Some(link) = self.local.links[place.index()].link {
                    self.feed(Input::LinkUp { link, local: Some(self.local.me.ip()), refused_login: None });
                }
            }
            Stimulus::LinkDown(place) => {
                if let Some(link) = std::mem::take(&mut self.local.links[place.index()]).link {
                    self.feed(Input::LinkDown { link, fault: LinkFault::Closed });
                }
            }
            Stimulus::Request(from, packet) => self.request(from, packet),
            Stimulus::Answer(from, packet) => {
                let slot = &mut self.local.links[from.index()];
                if let (Some(link), Some(request), Packet::Answer(reply)) =
                    (slot.link, slot.waiting.pop_front(), self.words.packet(packet))
                {
                    self.feed(Input::Reply { link, request, reply });
                }
            }
            Stimulus::PeerLeft(peer) => self.local.asked[peer.index()] = None,
            Stimulus::Failover => {
                self.local.clients += 1;
                let client = ClientId(self.local.clients);
                self.feed(Input::Change { client, change: Change::Failover { name: "m".into() } });
            }
        }
        self.drain();
    }

    fn request(&mut self, from: Place, packet: PacketId) {
        let Packet::Request(message) = self.words.packet(packet) else { return };
        let change = match message {
            Message::Hello { payload } => Change::Hello(bytes::Bytes::copy_from_slice(payload.as_bytes())),
            Message::IsMasterDown { addr, epoch, candidate, signed } => {
                Change::IsMasterDown { addr: Some(addr), epoch, candidate, signed }
            }
            _ => return,
        };
        self.local.clients += 1;
        let client = ClientId(self.local.clients);
        // The sender of a hello has had its answer already.
        if !matches!(change, Change::Hello(_)) {
            self.local.asked[from.index()] = Some(client);
        }
        self.feed(Input::Change { client, change });
    }

    fn feed(&mut self, input: Input) {
        self.local.engine.handle(reading(self.local.now), input);
    }

    fn drain(&mut self) {
        loop {
            let mut at_once = Vec::new();
            while let Some(output) = self.local.engine.poll_output() {
                self.effect(output, &mut at_once);
            }
            if at_once.is_empty() {
                break;
            }
            for (link, request, reply) in at_once {
                self.feed(Input::Reply { link, request, reply });
            }
        }
        let (seq, snapshot): (Seq, Arc<Snapshot>) = self.local.engine.snapshot();
        self.local.disk.begin(seq, snapshot);
    }

    fn effect(&mut self, output: Output, at_once: &mut Vec<(LinkId, RequestId, Reply)>) {
        self.tell(&output);
        match output {
            Output::Connect { link, target } => {
                if let Some(mut place) = Place::at(&target.addr) {
                    if !place.is_sentinel() && self.local.links[place.index()].link.is_some() {
                        place = place.second_link();
                    }
                    self.local.links[place.index()] = Slot { link: Some(link), waiting: VecDeque::new() };
                    self.effects.push(Effect::Dial(place));
                }
            }
            Output::Disconnect { link } => {
                if let Some(place) = self.place_of(link) {
                    self.local.links[place.index()] = Slot::default();
                    self.effects.push(Effect::Hang(place));
                }
            }
            Output::Send { link, request, message } => {
                let Some(place) = self.place_of(link) else { return };
                self.judge(&message);
                match &message {
                    Message::Ping => return at_once.push((link, request, Reply::status("PONG"))),
                    Message::Identify { .. } => {
                        let info = Reply::text(format!("# Server\r\nrun_id:{}\r\n", place.id()));
                        let reply = Reply::Array(vec![Reply::display(place.id()), info]);
                        return at_once.push((link, request, reply));
                    }
                    Message::Hello { .. } => {
                        at_once.push((link, request, Reply::Integer(1)));
                        if !place.is_sentinel() {
                            return;
                        }
                    }
                    _ => self.local.links[place.index()].waiting.push_back(request),
                }
                let packet = self.words.request(message);
                self.effects.push(Effect::Send(place, packet));
            }
            Output::Answer { client, reply } => {
                let peer = Place::sentinels().find(|peer| self.local.asked[peer.index()] == Some(client));
                if let Some(peer) = peer {
                    self.local.asked[peer.index()] = None;
                    self.judge_answer(&reply);
                    self.effects.push(Effect::Answer(peer, self.words.answer(reply)));
                }
            }
            Output::Persist(_) => self.local.disk.want(),
            Output::Event(Event::VoteForLeader { id, epoch, master }) if id == self.local.me.id() => {
                self.local.stood.insert(master.to_string(), epoch.get());
            }
            Output::Event(event @ Event::ElectedLeader(_)) => {
                let name = event.master().map(ToString::to_string).unwrap_or_default();
                let epoch = self.local.stood.get(&name).copied().unwrap_or(0);
                let view = self.local.engine.poll_view();
                let forced = view.and_then(|view| Some(view.masters.get(&name)?.failover_forced)).unwrap_or(false);
                self.effects.push(Effect::Leads { name: name_index(&name), epoch, forced });
            }
            _ => {}
        }
    }

    /// What a message promises, and whether it may.
    fn judge(&mut self, message: &Message) {
        let found = match message {
            Message::Hello { payload } => {
                let Some(hello) = Hello::read(payload) else { return };
                let found = self.local.disk.allows_hello(&hello).and_then(|()| self.local.goes_on(&hello));
                self.effects.push(Effect::Tells(hello));
                found
            }
            Message::IsMasterDown { epoch, candidate: Some(id), .. } => {
                let leader = Place::with_id(id.as_str()).unwrap_or(self.local.me);
                self.effects.push(Effect::Votes { epoch: epoch.get(), leader });
                self.local.disk.allows_vote(epoch.get())
            }
            Message::IsMasterDown { epoch, .. } => self.local.disk.allows_epoch(epoch.get()),
            _ => Ok(()),
        };
        self.broken(found);
    }

    fn judge_answer(&mut self, reply: &Reply) {
        let Reply::Array(parts) = reply else { return };
        let [_, leader, Reply::Integer(epoch)] = parts.as_slice() else { return };
        let Some(leader) = leader.as_text().and_then(Place::with_id) else { return };
        let epoch = u64::try_from(*epoch).unwrap_or(u64::MAX);
        self.effects.push(Effect::Votes { epoch, leader });
        let found = self.local.disk.allows_vote(epoch);
        self.broken(found);
    }

    fn broken(&mut self, found: Result<(), String>) {
        if let Err(what) = found {
            self.effects.push(Effect::Broken(format!("Sentinel {}: {what}", self.local.me)));
        }
    }

    fn place_of(&self, link: LinkId) -> Option<Place> {
        Place::all().find(|place| self.local.links[place.index()].link == Some(link))
    }

    fn tell(&mut self, output: &Output) {
        let Some(log) = &mut self.log else { return };
        log.push(match output {
            Output::Event(event) => format!("{} {}", event.channel(), event.payload()),
            Output::Notice(notice) => notice.to_string(),
            Output::Connect { target, .. } => format!("dials {}", target.addr),
            Output::Send { message: Message::Ping, .. } => return,
            Output::Send { link, message, .. } => {
                let to = Place::all().find(|place| self.local.links[place.index()].link == Some(*link));
                format!("sends to {}: {message:?}", to.map_or('?', Place::letter))
            }
            Output::Answer { reply, .. } => format!("answers {reply:?}"),
            Output::Persist(seq) => format!("wants to write state {}", seq.0),
            _ => return,
        });
    }
}

/// The number of a master's name.
pub(crate) fn name_index(name: &str) -> u8 {
    u8::from(name != "m")
}
