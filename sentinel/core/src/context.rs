//! What every rule works with: the present time, the timer table, the queue of effects, and what waits for the disk.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use sentinel_resp::Reply;

use crate::{
    canonical::{Named, Remembered},
    command::{NewMaster, SimulatedFailures, errors},
    complaint::Complaint,
    events::Event,
    guard::{Rehearsal, Spread},
    history::Chronicle,
    input::{ClientId, LinkId, RequestId},
    monitor::{FirstDials, Hello, OwnId, Read, Written, in_company},
    notice::{Notice, Topic},
    output::{Message, Output},
    pending::{Pending, SPEECHES_AT_ONCE, Speech},
    planted::{Bug, planted},
    problems::Book,
    reload,
    rng::Rng,
    scripts,
    settings::{GlobalSettings, Timing},
    snapshot::Seq,
    state::{Answer, Asked, Link, LinkState, MasterKey, Names, NodeId},
    time::{Instant, Now},
    timer::{Endpoint, Timer, TimerTable},
    types::{Epoch, Host, HostPort, MasterName, RunId, SentinelId},
};

/// Shared by all masters.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Context {
    pub(crate) now: Now,
    pub(crate) id: SentinelId,
    /// This run of the process, as its INFO tells it.
    pub(crate) run_id: Option<RunId>,
    pub(crate) globals: Arc<GlobalSettings>,
    pub(crate) names: Names,
    pub(crate) timing: Timing,
    pub(crate) current_epoch: Epoch,
    pub(crate) rng: Rng,
    pub(crate) timers: TimerTable,
    pub(crate) outputs: VecDeque<Output>,
    /// Whose connection a link is. Links that are not here are of no interest any more.
    pub(crate) owners: Named<LinkId, Endpoint>,
    /// Endpoints that are not connected; many of them slow down dialling.
    pub(crate) closed_links: usize,
    /// Who is to be connected to for the first time.
    pub(crate) first_dials: FirstDials,
    /// When the log was last told that there is no room for connections.
    pub(crate) starvation_told_at: Option<Instant>,
    pub(crate) durability: Durability,
    /// Masters whose hello waits for the disk.
    pub(crate) hellos_due: BTreeSet<MasterKey>,
    /// Masters whose questions to the peers wait for the disk.
    pub(crate) questions_due: BTreeSet<MasterKey>,
    /// When something of that was said last, and for how many masters at that time.
    said: (Instant, u32),
    /// While TILT lasts: since when.
    pub(crate) tilt_since: Option<Instant>,
    /// When it was last noticed that the process had stood still.
    pub(crate) stall_noticed_at: Instant,
    /// Masters whose view is out of date.
    pub(crate) stale_views: Remembered<BTreeSet<MasterKey>>,
    /// Something clients act on has changed: the view must not wait.
    pub(crate) view_urgent: bool,
    /// Where this Sentinel is to crash, for tests of the others (SENTINEL SIMULATE-FAILURE).
    pub(crate) simulated: SimulatedFailures,
    /// Addresses that are not a master's any more under some name; under others they may be.
    pub(crate) left: Vec<HostPort>,
    /// When it was last complained about what.
    pub(crate) complained_at: BTreeMap<Complaint, Instant>,
    /// Scripts that run or wait.
    pub(crate) scripts: scripts::Queue,
    /// Hellos with a name that the resolver is asked for: the newest of each Sentinel about each master.
    pub(crate) parked: BTreeMap<(SentinelId, MasterName), Hello>,
    /// Masters that clients asked to monitor, while their names are looked up.
    pub(crate) unresolved_masters: Vec<(ClientId, NewMaster)>,
    /// Operators who wait until other Sentinels have answered.
    pub(crate) spreads: Vec<Spread>,
    /// Operators who wait to hear what the nodes would permit.
    pub(crate) rehearsals: Vec<Rehearsal>,
    /// Events that no notification script was called for yet.
    pub(crate) unheard: Vec<Event>,
    /// Requests for votes, and answers to them, that were refused for want of the right signature.
    pub(crate) refused_requests: Remembered<u64>,
    /// Masters of which something has changed since it was looked for problems.
    pub(crate) unexamined: Remembered<BTreeSet<MasterKey>>,
    /// The same for this process and the other Sentinels.
    pub(crate) process_unexamined: Remembered<bool>,
    /// When those were last looked at because time has passed.
    pub(crate) process_looked_at: Remembered<Instant>,
    /// What happened to each master.
    pub(crate) chronicle: Remembered<Chronicle>,
    /// The problems of this process and of the other Sentinels.
    pub(crate) problems: Remembered<Book>,
    /// What was found when it was looked at the configuration.
    pub(crate) configuration: Remembered<reload::Noted>,
    /// The last hello that was written.
    pub(crate) hello_written: Remembered<Option<Written>>,
    /// What tells our own hellos from those of another process with our id.
    pub(crate) own_id: OwnId,
    /// The last hellos that were read.
    pub(crate) hellos_read: Remembered<Read>,
    next_id: Remembered<u64>,
}

/// How many writes long the wait before a self-nomination is, where they are slow.
const NOMINATION_WRITES: u32 = 3;

/// How many times as long as with a fast disk it is at most.
const MAX_NOMINATION_FACTOR: u32 = 3;

/// A write of the state that takes longer delays votes.
const SLOW_WRITE: Duration = Duration::from_millis(500);

/// For so long after such a write the disk is called slow.
const SLOW_FOR: Duration = Duration::from_secs(60);

/// What is on disk, and what waits for it.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Durability {
    /// The newest state.
    latest: Seq,
    /// The newest state with a promise in it: an epoch or a vote.
    promised: Seq,
    /// The state on disk.
    durable: Seq,
    /// Effects and steps that wait, in order.
    waiting: VecDeque<(Seq, Pending)>,
    /// Clients that wait for a write, in order.
    savers: VecDeque<(Seq, ClientId, Reply)>,
    /// The write that is being timed, and since when.
    timed: Option<(Seq, Instant)>,
    /// How long the last one took that was timed.
    took: Duration,
    /// When one last took long that did not fail.
    slow_at: Remembered<Option<Instant>>,
    /// Why the last write failed, until one succeeds.
    pub(crate) error: Option<Arc<str>>,
}

impl Durability {
    /// Whether a write took long a moment ago.
    pub(crate) fn is_slow(&self, now: Instant) -> bool {
        self.slow_at.is_some_and(|at| now.since(at) < SLOW_FOR)
    }
}

impl Context {
    pub(crate) fn new(
        now: Now,
        id: SentinelId,
        globals: Arc<GlobalSettings>,
        timing: &Timing,
        epoch: Epoch,
        seed: u64,
    ) -> Self {
        let kept = usize::try_from(globals.history_size).unwrap_or(usize::MAX);
        Context {
            now,
            id,
            run_id: None,
            globals,
            names: Names::default(),
            timing: *timing,
            current_epoch: epoch,
            rng: Rng::new(seed),
            timers: TimerTable::default(),
            outputs: VecDeque::new(),
            owners: Named(BTreeMap::new()),
            closed_links: 0,
            first_dials: FirstDials::default(),
            starvation_told_at: None,
            durability: Durability::default(),
            hellos_due: BTreeSet::new(),
            questions_due: BTreeSet::new(),
            said: (now.mono, 0),
            tilt_since: None,
            stall_noticed_at: now.mono,
            stale_views: Remembered::default(),
            view_urgent: false,
            simulated: SimulatedFailures::default(),
            left: Vec::new(),
            complained_at: BTreeMap::new(),
            scripts: scripts::Queue::default(),
            parked: BTreeMap::new(),
            unresolved_masters: Vec::new(),
            spreads: Vec::new(),
            rehearsals: Vec::new(),
            unheard: Vec::new(),
            refused_requests: Remembered(0),
            unexamined: Remembered::default(),
            process_unexamined: Remembered(false),
            process_looked_at: Remembered(now.mono),
            chronicle: Remembered(Chronicle::new(kept)),
            configuration: Remembered::default(),
            problems: Remembered::default(),
            hello_written: Remembered(None),
            own_id: OwnId::default(),
            hellos_read: Remembered::default(),
            next_id: Remembered(1),
        }
    }

    pub(crate) const fn mono(&self) -> Instant {
        self.now.mono
    }

    /// How many instances have a connection, or are being dialled.
    pub(crate) fn connected(&self) -> usize {
        self.owners.len()
    }

    pub(crate) const fn in_tilt(&self) -> bool {
        self.tilt_since.is_some()
    }

    /// A number that this process uses once.
    pub(crate) const fn fresh(&mut self) -> u64 {
        let id = self.next_id.0;
        self.next_id.0 += 1;
        id
    }

    pub(crate) const fn fresh_master(&mut self) -> MasterKey {
        MasterKey(self.fresh())
    }

    pub(crate) const fn fresh_node(&mut self) -> NodeId {
        NodeId(self.fresh())
    }

    pub(crate) fn event(&mut self, event: Event) {
        if let Some(incident) = self.chronicle.event(self.now, &event) {
            self.view_urgent = true;
            self.outputs.push_back(Output::Incident(incident));
        }
        if event.calls_scripts() && event.master().is_some() {
            self.unheard.push(event.clone());
        }
        self.outputs.push_back(Output::Event(event));
    }

    pub(crate) fn notice(&mut self, topic: Topic, master: Option<&MasterName>, text: String) {
        let notice = Notice { topic, master: master.cloned(), text };
        self.chronicle.notice(self.now, &notice);
        self.outputs.push_back(Output::Notice(notice));
    }

    pub(crate) fn answer(&mut self, client: ClientId, reply: Reply) {
        self.outputs.push_back(Output::Answer { client, reply });
    }

    /// Dials a link under a fresh name.
    pub(crate) fn connect(&mut self, link: &mut Link, endpoint: Endpoint) {
        let id = LinkId(self.fresh());
        link.state = LinkState::Connecting(id);
        link.attempts = link.attempts.saturating_add(1);
        self.owners.insert(id, endpoint);
        self.outputs.push_back(Output::Connect { link: id, target: Arc::clone(&link.target) });
    }

    /// Closes a link, whatever its state; what was in flight is forgotten.
    pub(crate) fn close(&mut self, link: &mut Link) {
        if let Some(id) = link.id() {
            self.owners.remove(&id);
            self.first_dials.ended(id);
            self.outputs.push_back(Output::Disconnect { link: id });
        }
        link.state = LinkState::Closed;
        link.forget_requests();
    }

    /// Sends over a link that is up. False if it is not, or if too much waits on it already.
    pub(crate) fn send(&mut self, link: &mut Link, asked: Asked, message: Message) -> bool {
        let LinkState::Up { link: id, .. } = link.state else { return false };
        if link.in_flight.len() >= Link::MAX_IN_FLIGHT {
            return false;
        }
        let request = RequestId(self.fresh());
        link.in_flight.add(request, asked);
        link.vitals.set_pending(u32::try_from(link.in_flight.len()).unwrap_or(u32::MAX));
        self.outputs.push_back(Output::Send { link: id, request, message });
        true
    }

    /// The state changed and must be written.
    pub(crate) fn persist(&mut self) -> Seq {
        let seq = Seq(self.durability.latest.0 + 1);
        self.durability.latest = seq;
        let now = self.mono();
        self.durability.timed.get_or_insert((seq, now));
        self.outputs.push_back(Output::Persist(seq));
        seq
    }

    /// The state changed by a promise: nothing that shows it may leave before it is written.
    pub(crate) fn persist_promise(&mut self) -> Seq {
        let seq = self.persist();
        self.durability.promised = seq;
        seq
    }

    /// The newest state's number.
    pub(crate) const fn latest_seq(&self) -> Seq {
        self.durability.latest
    }

    /// Whether every promise made is on disk.
    pub(crate) fn promises_durable(&self) -> bool {
        self.durability.durable >= self.durability.promised || planted(Bug::HelloBeforeDurable)
    }

    /// Whether there is something to say that no promise holds back.
    pub(crate) fn speech_is_due(&self) -> bool {
        !(self.hellos_due.is_empty() && self.questions_due.is_empty()) && self.promises_durable()
    }

    /// What is to be said next; nothing while a promise is not on disk, or when enough has been said at this time.
    pub(crate) fn next_speech(&mut self) -> Option<(MasterKey, Speech)> {
        if !self.speech_is_due() {
            return None;
        }
        let now = self.mono();
        let (at, count) = &mut self.said;
        if *at != now {
            (*at, *count) = (now, 0);
        }
        if *count == SPEECHES_AT_ONCE {
            return None;
        }
        *count += 1;
        let hello = self.hellos_due.pop_first().map(|key| (key, Speech::Hello));
        hello.or_else(|| self.questions_due.pop_first().map(|key| (key, Speech::Questions)))
    }

    /// Does something now if every promise is on disk, else as soon as it is. Order is kept.
    pub(crate) fn once_durable(&mut self, pending: Pending) {
        let seq = self.durability.promised;
        self.durability.waiting.push_back((seq, pending));
    }

    /// The longest time before a self-nomination.
    ///
    /// A candidacy is known to the others no sooner than it is on disk. Where that takes long, a short wait would have all of them
    /// stand: the wait is some writes long, within limits.
    pub(crate) fn nomination_delay(&self) -> Duration {
        let shortest = self.timing.nomination_delay;
        (NOMINATION_WRITES * self.durability.took).clamp(shortest, MAX_NOMINATION_FACTOR * shortest)
    }

    /// Takes the next step whose state is on disk.
    pub(crate) fn pop_durable(&mut self) -> Option<Pending> {
        let (seq, _) = self.durability.waiting.front()?;
        if *seq > self.durability.durable {
            return None;
        }
        self.durability.waiting.pop_front().map(|(_, pending)| pending)
    }

    /// Answers a client with the outcome of the write that contains its change.
    pub(crate) fn answer_once_saved(&mut self, client: ClientId, reply: Reply) {
        self.durability.savers.push_back((self.durability.latest, client, reply));
        self.answer_savers(self.durability.durable, |reply| reply);
    }

    fn answer_savers(&mut self, up_to: Seq, answer: fn(Reply) -> Reply) {
        while self.durability.savers.front().is_some_and(|(seq, ..)| *seq <= up_to) {
            let Some((_, client, reply)) = self.durability.savers.pop_front() else { return };
            self.answer(client, answer(reply));
        }
    }

    /// A write failed: those who wait for it are told. What depends on it goes on waiting.
    pub(crate) fn not_written(&mut self, seq: Seq, error: &str) {
        self.durability.error = Some(error.into());
        self.view_urgent = true;
        self.process_unexamined.0 = true;
        self.answer_savers(seq, |_| errors::not_saved());
    }

    /// A write succeeded.
    pub(crate) fn written(&mut self, seq: Seq) {
        self.durability.durable = self.durability.durable.max(seq);
        let now = self.mono();
        if let Some((_, since)) = self.durability.timed.take_if(|(timed, _)| *timed <= seq) {
            self.durability.took = now.since(since);
            if self.durability.error.is_none() && self.durability.took >= SLOW_WRITE {
                self.durability.slow_at.0 = Some(now);
                self.process_unexamined.0 = true;
            }
        }
        self.process_unexamined.0 |= self.durability.error.is_some();
        self.answer_savers(seq, |reply| reply);
        if self.durability.error.take().is_some() {
            // The failure was shown, so its end must be.
            self.view_urgent = true;
        }
    }

    /// Raises the epoch to one that another process told. Returns whether it was raised: the caller then says
    /// `+new-epoch`, in its place among the other events.
    ///
    /// An implausible epoch is refused, so that nobody can burn all that are left.
    pub(crate) fn adopt_epoch(&mut self, epoch: Epoch, told_by: &str) -> bool {
        if epoch <= self.current_epoch && !(planted(Bug::EpochBack) && epoch < self.current_epoch) {
            return false;
        }
        if !epoch.plausible_after(self.current_epoch) {
            let text = format!(
                "Refused epoch {epoch} told by {told_by}: too far beyond the current epoch {} for one message",
                self.current_epoch
            );
            self.complain(Complaint::Epoch, text);
            return false;
        }
        self.raise_epoch(epoch);
        true
    }

    /// Raises the epoch. That it is plausible, or that a majority tells it, is the caller's to know.
    pub(crate) fn raise_epoch(&mut self, epoch: Epoch) {
        self.current_epoch = epoch;
        self.persist_promise();
        self.view_urgent = true;
    }

    /// Says what is wrong with a message that anybody can send, at most once in [`Complaint::period`]: who floods us must
    /// not flood the log as well.
    pub(crate) fn complain(&mut self, about: Complaint, text: String) {
        let now = self.mono();
        if self.complained_at.get(&about).is_none_or(|at| now.since(*at) >= about.period()) {
            self.complained_at.insert(about, now);
            self.notice(about.topic(), None, text);
        }
    }

    /// This process and the other Sentinels are looked at, unless they were within the last second.
    pub(crate) fn look_at_process_by(&mut self, now: Instant) {
        if now.since(self.process_looked_at.0) >= Duration::from_secs(1) {
            self.process_looked_at.0 = now;
            self.process_unexamined.0 = true;
        }
    }

    /// Ends the process, as SENTINEL SIMULATE-FAILURE asked for.
    pub(crate) fn crash(&mut self) {
        // The reference's words.
        self.notice(Topic::SimulatedCrash, None, "Sentinel CRASH because of SENTINEL simulate-failure".to_owned());
        self.outputs.push_back(Output::Crash);
    }

    /// Whether this host can be decided about. If not, the resolver has been asked.
    pub(crate) fn look_up(&mut self, host: &Host) -> bool {
        let Host::Name(name) = host else { return true };
        if !self.globals.resolve_hostnames {
            return true;
        }
        match self.names.answer(host, self.mono()) {
            Answer::Known => true,
            Answer::Awaited => false,
            Answer::Unasked => {
                let asked = self.names.ask(name);
                if asked {
                    self.outputs.push_back(Output::Resolve { name: Arc::clone(name) });
                }
                !asked
            }
        }
    }

    /// How an address is told to others: as it was given with `announce-hostnames yes`, else resolved. A name without an
    /// address is told as it is; the reference tells an empty text, and cannot read its own file afterwards.
    pub(crate) fn shown(&self, given: &HostPort) -> HostPort {
        match self.names.ip(&given.host) {
            Some(ip) if !self.globals.announce_hostnames => HostPort::new(Host::Ip(ip), given.port),
            _ => given.clone(),
        }
    }

    pub(crate) fn arm(&mut self, timer: Timer, at: Instant) {
        self.timers.arm(timer, at);
    }

    /// Arms what is done again and again, `period` from now on; where many are connected, together with what is due
    /// for others about then.
    pub(crate) fn arm_again(&mut self, timer: Timer, period: Duration) {
        let at = in_company(self.mono() + period, period, self.connected());
        self.timers.arm(timer, at);
    }
}
