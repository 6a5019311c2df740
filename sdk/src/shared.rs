//! What the handles of a pool and its tasks have in common.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Notify, broadcast, watch};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cause::{Cause, Causes};
use crate::config::Config;
use crate::counters::Counters;
use crate::dial::Dialer;
use crate::error::Error;
use crate::event::Event;
use crate::generation::{Generation, MasterLink};
use crate::measure::Recorder;
use crate::readers::Readers;
use crate::reply::Sign;
use crate::topology::Topology;
use crate::users::Users;
use crate::wheel::Wheel;

/// Events a slow reader may fall behind.
const EVENTS_KEPT: usize = 256;

/// Which master the pool stands by, and the verified connection to it while there is one.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    pub(crate) generation: Option<Arc<Generation>>,
    pub(crate) link: Option<Arc<MasterLink>>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Arc<Config>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) metrics: Recorder,
    pub(crate) dialer: Dialer,
    /// Written by the follower alone.
    pub(crate) standing: ArcSwap<Standing>,
    /// Wakes those who wait for the standing to change.
    pub(crate) changed: watch::Sender<()>,
    pub(crate) topology: watch::Sender<Arc<Topology>>,
    pub(crate) events: broadcast::Sender<Event>,
    pub(crate) readers: Readers,
    /// Tells the follower that the link is doubted or should be looked at.
    pub(crate) doubt: Notify,
    /// The last trouble with each Sentinel and node, for messages.
    pub(crate) troubles: Mutex<Vec<Cause>>,
    /// A replica is being promoted: writes wait.
    pub(crate) held: watch::Sender<bool>,
    /// The same for who only looks.
    pub(crate) is_held: AtomicBool,
    /// No master was found yet, and all that could name one, or be one, have refused for good.
    pub(crate) hopeless: watch::Sender<bool>,
    /// Commands in flight and connections checked out; after the shutdown no new ones.
    pub(crate) users: Arc<Users>,
    /// The deadlines of commands over the shared connection.
    pub(crate) wheel: Wheel,
    waiters: AtomicUsize,
    /// How many handles were made.
    handles: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        let counters = Arc::new(Counters::default());
        let metrics = Recorder::new();
        let users: Arc<Users> = Arc::default();
        let dialer = Dialer {
            tasks: TaskTracker::new(),
            span: tracing::info_span!(parent: None, "sentinel_pool", master = &*config.master),
            stop: CancellationToken::new(),
            timeouts: config.timeouts,
            counters: counters.clone(),
            metrics: metrics.clone(),
            users: users.clone(),
        };
        let topology = Topology::unknown(config.master.clone(), &config.seeds);
        Self {
            counters,
            metrics,
            dialer,
            standing: ArcSwap::default(),
            changed: watch::Sender::new(()),
            topology: watch::Sender::new(Arc::new(topology)),
            events: broadcast::Sender::new(EVENTS_KEPT),
            readers: Readers::default(),
            doubt: Notify::new(),
            troubles: Mutex::default(),
            hopeless: watch::Sender::new(false),
            held: watch::Sender::new(false),
            is_held: AtomicBool::new(false),
            users,
            wheel: Wheel::new(),
            waiters: AtomicUsize::new(0),
            handles: AtomicUsize::new(0),
            config: Arc::new(config),
        }
    }

    /// The number of a new handle.
    pub(crate) fn number_handle(&self) -> usize {
        self.handles.fetch_add(1, Ordering::Relaxed)
    }

    /// The verified connection to the master, waited for until `deadline`.
    pub(crate) async fn link(&self, deadline: Instant) -> Result<Arc<MasterLink>, Error> {
        if let Some(link) = self.usable_link() {
            return Ok(link);
        }
        let began = Instant::now();
        let _waiter = self.waiter()?;
        let mut changed = self.changed.subscribe();
        loop {
            if let Some(link) = self.usable_link() {
                return Ok(link);
            }
            if self.dialer.stop.is_cancelled() {
                return Err(Error::Shutdown);
            }
            tokio::select! {
                change = timeout_at(deadline, changed.changed()) => {
                    if change.is_err() {
                        return Err(self.no_master(began.elapsed()));
                    }
                }
                () = self.dialer.stop.cancelled() => return Err(Error::Shutdown),
            }
        }
    }

    /// Writes wait, or go on.
    pub(crate) fn hold(&self, hold: bool) {
        self.is_held.store(hold, Ordering::Release);
        self.held.send_if_modified(|held| std::mem::replace(held, hold) != hold);
    }

    /// Waits while writes are held, and no longer than until `deadline`: the follower releases them.
    pub(crate) async fn released(&self, deadline: Instant) -> Result<(), Error> {
        if !self.is_held.load(Ordering::Acquire) {
            return Ok(());
        }
        let began = Instant::now();
        let _waiter = self.waiter()?;
        let mut held = self.held.subscribe();
        // The sender lives as long as this.
        let released = timeout_at(deadline, held.wait_for(|held| !*held)).await.is_ok();
        if released { Ok(()) } else { Err(self.no_master(began.elapsed())) }
    }

    pub(crate) fn usable_link(&self) -> Option<Arc<MasterLink>> {
        let standing = self.standing.load();
        standing.link.as_ref().filter(|link| link.usable()).cloned()
    }

    /// Says that the node at the other end may not be the master. No command uses the link until its role was asked again.
    pub(crate) fn doubt(&self, link: &MasterLink) {
        if !link.may_be_doubted() {
            self.suspect(&link.generation);
        } else if !link.doubted.swap(true, Ordering::AcqRel) {
            self.doubt.notify_one();
        }
    }

    /// What a refusal is taken for. A node that lacks something, or loads its data, may well be the master: its role is asked while the link stays
    /// in use.
    pub(crate) fn heed(&self, sign: Sign, link: &MasterLink) {
        match sign {
            Sign::NoMaster => self.doubt(link),
            Sign::NotNow => self.suspect(&link.generation),
        }
    }

    /// Has the link of that generation asked for its role, and the Sentinels for the master, by a user of another connection that is
    /// silent or broke. That is no proof of anything: the link stays in use until it fails.
    pub(crate) fn suspect(&self, generation: &Generation) {
        let standing = self.standing.load();
        if standing.link.as_ref().is_some_and(|link| link.generation.number == generation.number) {
            self.doubt.notify_one();
        }
    }

    /// The same for a refusal over another connection of that generation.
    pub(crate) fn heed_generation(&self, sign: Sign, generation: &Generation) {
        let standing = self.standing.load();
        if let Some(link) = &standing.link
            && link.generation.number == generation.number
        {
            self.heed(sign, link);
        }
    }

    /// Counts a waiter for as long as the guard lives.
    pub(crate) fn waiter(&self) -> Result<Waiter<'_>, Error> {
        let waiter = Waiter(&self.waiters);
        let before = self.waiters.fetch_add(1, Ordering::Relaxed);
        let limit = self.config.max_waiters;
        if before >= limit {
            return Err(Error::TooManyWaiters { limit });
        }
        Ok(waiter)
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiters.load(Ordering::Relaxed)
    }

    pub(crate) fn no_master(&self, waited: Duration) -> Error {
        let causes = self.troubles.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Error::NoMaster {
            master: self.config.master.clone(),
            waited,
            causes: Causes::new(causes, "no sentinel has answered yet"),
        }
    }

    pub(crate) fn no_replica(&self, waited: Duration) -> Error {
        Error::NoReplica { master: self.config.master.clone(), waited, causes: self.readers.causes() }
    }

    pub(crate) fn emit(&self, event: Event) {
        // No reader is no error.
        let _ = self.events.send(event);
    }

    /// Refuses new commands, waits up to `drain` for those under way, then ends and joins every task.
    pub(crate) async fn shutdown(&self, drain: Duration) {
        self.users.close();
        if tokio::time::timeout(drain, self.users.all_gone()).await.is_err() {
            tracing::warn!(users = self.users.count(), ?drain, "shutdown cuts commands and connections in use");
        }
        self.dialer.stop.cancel();
        self.dialer.tasks.close();
        // Every task waits for `stop` at each of its waits: this takes no longer than they need to be woken.
        self.dialer.tasks.wait().await;
    }
}

/// Ends all tasks once the last handle of a pool is gone.
#[derive(Debug)]
pub(crate) struct Owner(pub(crate) Arc<Shared>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.users.close();
        self.0.dialer.stop.cancel();
        self.0.dialer.tasks.close();
    }
}

#[derive(Debug)]
pub(crate) struct Waiter<'a>(&'a AtomicUsize);

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
