//! The engine's loop: facts in, effects out, on a thread of its own.

use std::{collections::HashMap, io, sync::Arc, thread::JoinHandle, time::Duration};

use arc_swap::ArcSwap;
use sentinel_core::{
    Boot, ClientId, Engine, Input, Looked, Output, ScriptEnd, View,
    events::Event,
    time::{Instant, Now},
};
use sentinel_resp::Reply;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    clock::Clock,
    dial::Dialer,
    heartbeat::Heartbeat,
    inbox::{ASKS_AT_ONCE, FACTS_AT_ONCE, Fact, HELLOS_AT_ONCE, Hello, Inbox, Outbox, inbox},
    links::Links,
    writer::Writer,
};
use crate::{
    log,
    meters::Meters,
    persist::{Disk, History, Outcome, RealDisk, Store},
    scripts::Runner,
    serve::Ask,
};

/// How long a change that no client acts on may stay unpublished, at least.
const VIEW_PERIOD: Duration = Duration::from_millis(20);

/// The same, for each master. A view costs something for every master that it lists, and with many of them there is
/// always a change: so they cost as much together as a few hundred do.
const VIEW_PERIOD_PER_MASTER: Duration = Duration::from_micros(100);

/// The longest, with however many masters.
const LONGEST_VIEW_PERIOD: Duration = Duration::from_secs(1);

/// How many commands of clients may wait for the engine. Further clients wait for room.
const WAITING_ASKS: usize = 256;

/// How many sockets the runtime looks at in one go. Where so many had something, there may be more.
const EVENTS_AT_ONCE: usize = 1024;

/// How long what is due may wait until all that has come in is read. The silence of an instance is not judged while its
/// answer may lie there unread; in a second of work that piles up, PINGs have to go out all the same.
const LONGEST_BEHIND: Duration = Duration::from_millis(50);

/// How long the end of the process waits for a promotion that is under way.
const PROMOTES_WITHIN: Duration = Duration::from_secs(10);

/// How long a log that is not written may hold up a simulated crash.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

/// What the monitor needs to start.
#[derive(Debug)]
pub struct Setup<D = RealDisk> {
    /// What the engine starts from.
    pub boot: Boot,
    /// The clock of the process.
    pub clock: Clock,
    /// How connections are opened.
    pub dialer: Dialer,
    /// Where the state is kept.
    pub store: Store<D>,
    /// What is counted.
    pub meters: Arc<Meters>,
    /// Who are told of every event besides those who serve clients.
    pub witnesses: Vec<mpsc::UnboundedSender<Happened>>,
    /// How systemd hears that the loop turns, if it supervises.
    pub heartbeat: Option<Heartbeat>,
}

/// An event, and when it happened.
#[derive(Clone, Debug)]
pub struct Happened {
    /// When.
    pub at: Now,
    /// What.
    pub event: Event,
}

/// How everybody else reaches the monitor.
#[derive(Clone, Debug)]
pub struct Handle {
    /// The newest picture of everything. Whoever looks after an answer, or after an event, sees what it speaks of.
    pub view: Arc<ArcSwap<View>>,
    /// Takes commands to the engine. A dropped answer means that the monitor is stopping.
    pub asks: mpsc::Sender<Ask>,
    outbox: Outbox,
}

impl Handle {
    /// Tells what was found when it was looked at the configuration.
    pub fn configuration(&self, looked: Looked) {
        self.outbox.tell(Fact::Configuration(looked));
    }

    /// Ends the monitor. What is not on disk yet is written first.
    pub fn stop(&self) {
        self.outbox.tell(Fact::Stop);
    }
}

/// The monitor's thread.
#[derive(Debug)]
pub struct Running {
    thread: JoinHandle<()>,
    ended: watch::Receiver<()>,
}

impl Running {
    /// Waits until the thread ends, by [`Handle::stop`] or by a defect.
    pub async fn ended(&mut self) {
        // The sender sends nothing: it is dropped when the thread ends, whatever ends it.
        let _ = self.ended.changed().await;
    }

    /// Waits for the end, blocking. False: a defect ended it.
    pub fn join(self) -> bool {
        self.thread.join().is_ok()
    }
}

/// Starts the engine and everything it works with. The last of the three brings every event, in order.
pub fn start<D: Disk + 'static>(setup: Setup<D>) -> io::Result<(Handle, Running, mpsc::UnboundedReceiver<Event>)> {
    let (handle, monitor, events) = build(setup)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // These threads only wait for the resolver, at most one for each name.
        .max_blocking_threads(64)
        .thread_name("resolve")
        .build()?;
    let (alive, ended) = watch::channel(());
    let thread = std::thread::Builder::new().name("monitor".to_owned()).spawn(move || {
        let _alive = alive;
        // It yields of its own accord, after it has read every socket once.
        runtime.block_on(tokio::task::unconstrained(monitor.run()));
        // A lookup that hangs must not hold up the end of the process.
        runtime.shutdown_background();
    })?;
    Ok((handle, Running { thread, ended }, events))
}

/// Everything that [`start`] starts, but for the thread.
pub(super) fn build<D: Disk + 'static>(
    setup: Setup<D>,
) -> io::Result<(Handle, Monitor, mpsc::UnboundedReceiver<Event>)> {
    let Setup { boot, clock, dialer, store, meters, witnesses, heartbeat } = setup;
    let (outbox, inbox) = inbox();
    let kept = usize::try_from(boot.snapshot.globals.history_size).unwrap_or(usize::MAX);
    let mut engine = Engine::new(boot, clock.now());
    let (history, known) = History::open(store.path(), kept)?;
    engine.restore_history(known);
    let view = engine.poll_view().ok_or_else(|| io::Error::other("the engine has nothing to show"))?;
    let view = Arc::new(ArcSwap::new(view));
    let (asks, asked) = mpsc::channel(WAITING_ASKS);
    // Unbounded, since the engine waits for nobody. Events are rare, and their reader has nothing else to wait for.
    let (events, happened) = mpsc::unbounded_channel();
    let handle = Handle { view: Arc::clone(&view), asks, outbox: outbox.clone() };
    let writer = Writer::start(store, outbox.clone())?;
    let monitor = Monitor {
        engine,
        clock,
        inbox,
        asks: asked,
        links: Links::new(dialer, outbox.clone(), Arc::clone(&meters)),
        writer,
        scripts: Runner::new(Arc::new(move |input| {
            // A script may outlive the loop.
            outbox.tell(Fact::Script(input));
        })),
        history,
        view,
        view_at: clock.mono(),
        events,
        witnesses,
        heartbeat,
        meters,
        clients: HashMap::new(),
        last_client: 0,
        leaves_by: None,
    };
    Ok((handle, monitor, happened))
}

pub(super) struct Monitor {
    engine: Engine,
    clock: Clock,
    inbox: Inbox,
    asks: mpsc::Receiver<Ask>,
    links: Links,
    writer: Writer,
    history: History,
    scripts: Runner,
    view: Arc<ArcSwap<View>>,
    view_at: Instant,
    events: mpsc::UnboundedSender<Event>,
    witnesses: Vec<mpsc::UnboundedSender<Happened>>,
    heartbeat: Option<Heartbeat>,
    meters: Arc<Meters>,
    clients: HashMap<ClientId, oneshot::Sender<Reply>>,
    last_client: u64,
    /// Set when it was told to stop: when it does so at the latest.
    leaves_by: Option<std::time::Instant>,
}

/// What ended a wait.
enum Woken {
    Told(Fact),
    Greeted(Hello),
    Asked(Ask),
    Ready,
    Due,
    Abandoned,
}

impl Monitor {
    pub(super) async fn run(mut self) {
        self.carry_out();
        let mut behind_since = None;
        loop {
            let woken = self.wait().await;
            let now = self.clock.now();
            match woken {
                Woken::Abandoned => break,
                Woken::Told(fact) => self.take(now, fact),
                Woken::Greeted(hello) => self.greet(now, hello),
                Woken::Asked(ask) => self.ask(now, ask),
                Woken::Ready | Woken::Due => {}
            }
            // Some of each kind, so that none of them can keep the others waiting.
            for _ in 0..FACTS_AT_ONCE {
                let Ok(fact) = self.inbox.facts.try_recv() else { break };
                self.take(now, fact);
            }
            if let Some(input) = self.writer.tell() {
                self.engine.handle(now, input);
            }
            let read = self.links.read(|input| self.engine.handle(now, input));
            for _ in 0..ASKS_AT_ONCE {
                let Ok(ask) = self.asks.try_recv() else { break };
                self.ask(now, ask);
            }
            for _ in 0..HELLOS_AT_ONCE {
                let Ok(hello) = self.inbox.hellos.try_recv() else { break };
                self.greet(now, hello);
            }
            let now = self.clock.now();
            // An answer that has come must not be missed: silence is judged when all is read.
            let behind = read >= EVENTS_AT_ONCE || !self.inbox.facts.is_empty();
            behind_since = behind.then(|| behind_since.unwrap_or(now.mono));
            if behind_since.is_none_or(|since| now.mono.since(since) >= LONGEST_BEHIND) {
                behind_since = None;
                if let Some(due) = self.engine.next_timeout().filter(|due| *due <= now.mono) {
                    self.meters.loop_lag.observe(now.mono.since(due));
                    self.engine.handle_timeout(now);
                }
            }
            self.carry_out();
            self.beat();
            if self.may_leave() {
                break;
            }
            tokio::task::yield_now().await;
        }
        self.finish();
    }

    async fn wait(&mut self) -> Woken {
        let view_due = self.engine.view_has_changed().then(|| self.view_at + self.view_period());
        let due = self.engine.next_timeout().into_iter().chain(view_due).min();
        let beat = self.heartbeat.as_ref().map(Heartbeat::due);
        let due = due.and_then(|due| self.clock.deadline(due));
        let deadline = due.into_iter().chain(self.writer.next_look()).chain(beat).chain(self.leaves_by).min();
        let more = self.writer.has_more();
        tokio::select! {
            biased;
            fact = self.inbox.facts.recv() => fact.map_or(Woken::Abandoned, Woken::Told),
            () = std::future::ready(()), if more => Woken::Ready,
            () = self.links.any_ready() => Woken::Ready,
            Some(ask) = self.asks.recv() => Woken::Asked(ask),
            Some(hello) = self.inbox.hellos.recv() => Woken::Greeted(hello),
            () = sleep_until(deadline) => Woken::Due,
        }
    }

    fn greet(&mut self, now: Now, hello: Hello) {
        if let Some(input) = self.links.hello(hello) {
            self.engine.handle(now, input);
        }
    }

    fn take(&mut self, now: Now, fact: Fact) {
        let input = match fact {
            Fact::Link { link, life, news } => self.links.input(link, life, news),
            Fact::Resolved(input) => Some(input),
            Fact::Script(input) => {
                self.count_script(&input);
                Some(input)
            }
            Fact::Configuration(looked) => Some(Input::Configuration(looked)),
            Fact::Written(outcome) => {
                self.count_save(&outcome);
                self.writer.written(outcome, &mut |input| self.engine.handle(now, input));
                None
            }
            Fact::Stop => {
                self.leaves_by = Some(std::time::Instant::now() + PROMOTES_WITHIN);
                None
            }
        };
        if let Some(input) = input {
            self.engine.handle(now, input);
        }
    }

    fn count_script(&self, input: &Input) {
        let scripts = &self.meters.scripts;
        match input {
            Input::ScriptEnded { end: ScriptEnd::Exited(0), .. } => scripts.ok.count(),
            Input::ScriptEnded { end: ScriptEnd::Exited(_), .. } => scripts.failed.count(),
            Input::ScriptEnded { end: ScriptEnd::Killed(_), .. } => scripts.killed.count(),
            Input::ScriptFailedToStart { .. } => scripts.not_started.count(),
            _ => {}
        }
    }

    fn count_save(&self, outcome: &Outcome) {
        match outcome {
            Outcome::Saved(_) => self.meters.saves.count(),
            Outcome::Failed { .. } => self.meters.failed_saves.count(),
            Outcome::Overwritten(_) => return,
        }
        if let Some(began) = self.writer.began() {
            self.meters.save_time.observe(began.elapsed());
        }
    }

    fn ask(&mut self, now: Now, Ask { client: _, change, reply }: Ask) {
        // A name of our own: it need not matter here whether a client asks again before it was answered.
        self.last_client += 1;
        let client = ClientId(self.last_client);
        self.clients.insert(client, reply);
        self.engine.handle(now, Input::Change { client, change });
    }

    /// Whether it was told to stop and nothing keeps it. A replica that was told to be the master is known as such to
    /// no other Sentinel before it has confirmed it and that is on disk: nobody else could go on, and would have to
    /// begin anew.
    fn may_leave(&mut self) -> bool {
        let Some(latest) = self.leaves_by else { return false };
        self.publish();
        let view = self.view.load();
        let promoting = view.masters.values().find(|master| master.failover_state == Some("wait_promotion"));
        if let Some(master) = promoting
            && std::time::Instant::now() >= latest
        {
            tracing::warn!("stopped in the middle of a promotion for {}: no answer of the replica", master.name);
            return true;
        }
        promoting.is_none()
    }

    fn finish(mut self) {
        self.writer.finish(&mut self.engine);
    }

    /// Carries out everything that the engine wants, in its order.
    fn carry_out(&mut self) {
        let mut published = false;
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Connect { link, target } => self.links.connect(link, target),
                Output::Disconnect { link } => self.links.disconnect(link),
                Output::Send { link, request, message } => self.links.send(link, request, &message),
                Output::Notice(notice) => {
                    log::notice(&notice);
                    if notice.is_published() {
                        self.tell(Event::Notice(notice));
                    }
                }
                Output::Incident(incident) => self.history.add(incident),
                Output::Persist(_) => self.writer.want(),
                Output::Event(event) => {
                    // Who hears of an event and then asks must see what it speaks of.
                    self.publish_once(&mut published);
                    log::event(&event);
                    self.tell(event);
                }
                Output::Answer { client, reply } => {
                    self.publish_once(&mut published);
                    if let Some(answer) = self.clients.remove(&client) {
                        // A client that left does not need its answer.
                        let _ = answer.send(reply);
                    }
                }
                Output::Resolve { name } => self.links.look_up(name),
                Output::SetLogLevel(level) => log::set_level(level),
                Output::RunScript { job, path, args } => self.scripts.run(job, path, args),
                Output::KillScript { job } => self.scripts.kill(job),
                Output::Crash => {
                    // What was said before it can be read afterwards, as with the reference.
                    log::flush(FLUSH_LIMIT);
                    std::process::exit(99)
                }
            }
        }
        self.links.write();
        let now = self.clock.mono();
        if self.engine.view_is_urgent() || self.engine.view_has_changed() && now >= self.view_at + self.view_period() {
            self.publish();
        }
        self.writer.write(&mut self.engine);
    }

    /// Tells an event to who wants to hear it. Nobody listens any more when the process stops.
    fn tell(&self, event: Event) {
        for witness in &self.witnesses {
            let _ = witness.send(Happened { at: self.clock.now(), event: event.clone() });
        }
        let _ = self.events.send(event);
    }

    /// Lets systemd know that the loop has turned.
    fn beat(&mut self) {
        if let Some(heartbeat) = &mut self.heartbeat {
            heartbeat.beat(&self.view.load());
        }
    }

    fn view_period(&self) -> Duration {
        let masters = u32::try_from(self.engine.masters()).unwrap_or(u32::MAX);
        VIEW_PERIOD_PER_MASTER.saturating_mul(masters).clamp(VIEW_PERIOD, LONGEST_VIEW_PERIOD)
    }

    /// Publishes the view, unless that was done for an earlier effect of the same batch.
    fn publish_once(&mut self, published: &mut bool) {
        if !*published {
            self.publish();
            *published = true;
        }
    }

    fn publish(&mut self) {
        if let Some(view) = self.engine.poll_view() {
            self.view.store(view);
        }
        self.view_at = self.clock.mono();
    }
}

/// Waits until a moment, or for ever.
async fn sleep_until(deadline: Option<std::time::Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
