//! One master, from the switch to it to the switch away from it.

use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use deadpool::managed::{Manager, Metrics, Pool, RecycleError, RecycleResult};
use redis::ProtocolVersion;
use redis::aio::AsyncPushSender;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::access::Access;
use crate::address::Address;
use crate::config::Config;
use crate::dial::{Dialer, Ending, Link, no_pushes};
use crate::error::Switched;
use crate::measure::Step;
use crate::retry::{Backoff, shortened};
use crate::role::{self, History};
use crate::stall::within;
use crate::trouble::Trouble;

/// A link that was doubted without reason is not doubted again for this time; it doubles up to 3.2 seconds.
const FIRST_REST: Duration = Duration::from_millis(100);
/// A replica that is being promoted is asked for its role this often.
const PROMOTION_PAUSE: Duration = Duration::from_millis(5);
/// Pauses between exclusive connections that cannot be opened.
const FIRST_PAUSE: Duration = Duration::from_millis(25);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The life of one master in the pool. Everything that was opened to it ends with it.
#[derive(Debug)]
pub(crate) struct Generation {
    pub(crate) number: u64,
    pub(crate) address: Address,
    /// Cancelled at the switch to the next one, and at the shutdown.
    pub(crate) closed: CancellationToken,
    /// The same for who only looks; not raised by the shutdown.
    is_closed: AtomicBool,
    successor: OnceLock<Address>,
    /// Told each time that the node says it is no master: raw connections end, which nobody else watches over.
    pub(crate) denied: watch::Sender<()>,
    pub(crate) exclusive: Pool<Opener>,
}

impl Generation {
    pub(crate) fn new(number: u64, address: Address, config: &Config, dialer: &Dialer) -> Self {
        let closed = dialer.stop.child_token();
        let opener = Opener {
            address: address.clone(),
            dialer: dialer.clone(),
            access: config.node_access(),
            client_name: config.client_name.clone(),
            closed: closed.clone(),
            max_lifetime: config.max_lifetime,
            failure: Mutex::default(),
        };
        let exclusive = Pool::builder(opener)
            .max_size(config.max_connections)
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .expect("a pool with a runtime and no hooks has nothing to refuse");
        let (is_closed, successor) = (AtomicBool::new(false), OnceLock::new());
        Self { number, address, closed, is_closed, successor, denied: watch::Sender::new(()), exclusive }
    }

    /// Ends the generation: idle connections close, checked-out ones fail, waiters are sent on.
    pub(crate) fn close(&self, successor: Option<&Address>) {
        if let Some(successor) = successor {
            let _ = self.successor.set(successor.clone());
        }
        self.exclusive.close();
        self.is_closed.store(true, Ordering::Release);
        self.closed.cancel();
    }

    /// What a connection of this generation reports once it is closed.
    pub(crate) fn switched(&self, in_flight: bool) -> Switched {
        Switched { from: self.address.clone(), to: self.successor.get().cloned(), generation: self.number, in_flight }
    }
}

/// The connection that all [`Master`](crate::Master) handles share.
#[derive(Debug)]
pub(crate) struct MasterLink {
    /// Tells links of one generation apart.
    pub(crate) serial: u64,
    pub(crate) generation: Arc<Generation>,
    pub(crate) link: Link,
    /// Set by whoever sees a sign that this is not the master; cleared once ROLE says it is.
    pub(crate) doubted: AtomicBool,
    /// How often it was doubted without reason, and until when it is not doubted again.
    cleared: Mutex<(u32, Option<Instant>)>,
    /// Whose data its master went on with when it was dialled.
    pub(crate) history: History,
    timeouts_in_a_row: AtomicU32,
}

impl MasterLink {
    pub(crate) fn new(serial: u64, generation: Arc<Generation>, link: Link, history: History) -> Self {
        let (doubted, timeouts_in_a_row, cleared) = (AtomicBool::new(false), AtomicU32::new(0), Mutex::default());
        Self { serial, generation, link, doubted, cleared, history, timeouts_in_a_row }
    }

    /// Whether a command may be sent.
    pub(crate) fn usable(&self) -> bool {
        !self.doubted.load(Ordering::Acquire)
            && !self.link.has_ended()
            && !self.generation.is_closed.load(Ordering::Acquire)
    }

    /// Whether a sign may take it out of use until its role was asked. Where signs go on although the role is the right one, they may ever more
    /// rarely.
    pub(crate) fn may_be_doubted(&self) -> bool {
        self.cleared.lock().unwrap_or_else(PoisonError::into_inner).1.is_none_or(|until| Instant::now() >= until)
    }

    /// Notes that it was doubted without reason.
    pub(crate) fn clear(&self) {
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        *cleared = (cleared.0 + 1, Some(Instant::now() + FIRST_REST * 2_u32.pow(cleared.0.min(5))));
    }

    /// Counts an answer that did not come; returns how many in a row that makes.
    pub(crate) fn timed_out(&self) -> u32 {
        self.timeouts_in_a_row.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn answered(&self) {
        // Read first: writing to a shared cache line with every command would cost more.
        if self.timeouts_in_a_row.load(Ordering::Relaxed) != 0 {
            self.timeouts_in_a_row.store(0, Ordering::Relaxed);
        }
    }
}

/// Opens connections to one master and checks its role on each.
#[derive(Debug)]
pub(crate) struct Opener {
    pub(crate) address: Address,
    pub(crate) dialer: Dialer,
    access: Access,
    client_name: Option<String>,
    closed: CancellationToken,
    max_lifetime: Option<Duration>,
    /// Why the last exclusive connection could not be opened, and until when none is tried.
    failure: Mutex<Option<Failure>>,
}

#[derive(Debug)]
struct Failure {
    reason: String,
    until: Instant,
    backoff: Backoff,
}

impl Opener {
    /// A connection whose other end has just said that it is a master.
    async fn open(&self) -> Result<Link, String> {
        self.verified(&self.access, Duration::ZERO, no_pushes()).await
    }

    /// The same for the connection that is shared, and whose data the master goes on with.
    pub(crate) async fn open_shared(&self, grace: Duration) -> Result<(Link, History), Trouble> {
        let ending = Ending { closed: self.closed.clone(), grace };
        let mut link = self.dialer.dial_shared(&self.address, &self.access, ending).await?;
        let name = self.client_name.as_deref();
        let history = self.in_time(role::master_with_history(&mut link.connection, name)).await?;
        Ok((link, history))
    }

    /// The same, with a node that is a replica still: it is asked until it is a master, or until `deadline`. Sentinels have the promoted
    /// node close the connections of its clients: a new one is opened then.
    pub(crate) async fn open_promoted(&self, grace: Duration, deadline: Instant) -> Result<(Link, History), Trouble> {
        loop {
            match self.promoted(grace, deadline).await {
                Ok(opened) => return Ok(opened),
                Err(trouble) if trouble.lasting || Instant::now() >= deadline => return Err(trouble),
                Err(_) => sleep(PROMOTION_PAUSE).await,
            }
        }
    }

    async fn promoted(&self, grace: Duration, deadline: Instant) -> Result<(Link, History), Trouble> {
        let ending = Ending { closed: self.closed.clone(), grace };
        let mut link = self.dialer.dial_shared(&self.address, &self.access, ending).await?;
        loop {
            let name = self.client_name.as_deref();
            match self.in_time(role::master_with_history(&mut link.connection, name)).await {
                // The moment after the promotion is that in which the connection is closed.
                Ok(history) => {
                    sleep(PROMOTION_PAUSE).await;
                    return if link.has_ended() { Err("closed".to_owned().into()) } else { Ok((link, history)) };
                }
                Err(reason) if link.has_ended() || Instant::now() >= deadline => return Err(reason.into()),
                Err(_) => sleep(PROMOTION_PAUSE).await,
            }
        }
    }

    /// The same, for a connection over which messages come.
    pub(crate) async fn listen(&self, pushes: impl AsyncPushSender) -> Result<Link, String> {
        let mut access = self.access.clone();
        // With RESP2 a connection that is subscribed could not be asked for anything else.
        access.login = access.login.set_protocol(ProtocolVersion::RESP3);
        self.verified(&access, Duration::ZERO, Some(pushes)).await
    }

    async fn verified(
        &self,
        access: &Access,
        grace: Duration,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Link, String> {
        let ending = Ending { closed: self.closed.clone(), grace };
        let mut link = self.dial(access, ending, pushes).await.map_err(|trouble| trouble.text)?;
        self.in_time(role::is_master(&mut link.connection, self.client_name.as_deref())).await?;
        Ok(link)
    }

    async fn dial(
        &self,
        access: &Access,
        ending: Ending,
        pushes: Option<impl AsyncPushSender>,
    ) -> Result<Link, Trouble> {
        Ok(self.dialer.dial(&self.address, access, ending, pushes).await?)
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, reason: String) -> String {
        let mut failure = self.failure();
        let mut backoff =
            failure.take().map_or_else(|| Backoff::new(FIRST_PAUSE, LONGEST_PAUSE), |failure| failure.backoff);
        let until = Instant::now() + backoff.pause();
        *failure = Some(Failure { reason: reason.clone(), until, backoff });
        reason
    }

    async fn in_time<T>(&self, answer: impl Future<Output = Result<T, String>>) -> Result<T, String> {
        let deadline = self.dialer.timeouts.handshake;
        within(deadline, answer).await.map_err(|_| format!("no answer to ROLE within {deadline:?}"))?
    }
}

/// An exclusive connection in the pool or in use.
#[derive(Debug)]
pub(crate) struct Exclusive {
    pub(crate) link: Link,
    /// The connection is not what it was when it was opened (subscribed, another database), or a command has no answer
    /// yet: it is closed instead of given to the next user.
    pub(crate) spoiled: bool,
    /// Keys are watched or a transaction is open.
    pub(crate) in_transaction: bool,
    /// Commands are queued until EXEC.
    pub(crate) queues: bool,
    /// Then it is too old.
    ends: Option<Instant>,
}

impl Exclusive {
    fn is_old(&self) -> bool {
        self.ends.is_some_and(|end| Instant::now() >= end)
    }
}

impl Generation {
    /// Closes idle connections that are over, too old, or have been unused for `max_idle`, except for so many of the latter.
    pub(crate) fn weed(&self, max_idle: Option<Duration>, min_idle: usize) {
        let mut spared = self.exclusive.status().available.saturating_sub(min_idle);
        self.exclusive.retain(|exclusive, metrics| {
            if exclusive.is_old() || exclusive.link.has_ended() {
                return false;
            }
            let is_unused = max_idle.is_some_and(|longest| metrics.last_used() >= longest);
            let goes = is_unused && spared > 0;
            spared -= usize::from(goes);
            !goes
        });
    }

    /// Opens exclusive connections until so many are idle.
    pub(crate) async fn warm(&self, min_idle: usize) {
        let status = self.exclusive.status();
        let missing = min_idle.saturating_sub(status.available).min(status.max_size.saturating_sub(status.size));
        if missing == 0 {
            return;
        }
        // Those that are idle are taken, too, and given back all together.
        let taken = (0..status.available + missing).map(|_| self.exclusive.get());
        let taken = futures::future::join_all(taken).await;
        drop(taken);
    }
}

impl Manager for Opener {
    type Type = Exclusive;
    type Error = String;

    async fn create(&self) -> Result<Exclusive, String> {
        // A node that accepts no more (maxclients) is not asked by every caller anew.
        if let Some(failure) = &*self.failure()
            && Instant::now() < failure.until
        {
            return Err(failure.reason.clone());
        }
        let link = {
            let _timer = self.dialer.metrics.timer(Step::Create);
            self.open().await.map_err(|reason| self.note(reason))?
        };
        *self.failure() = None;
        let ends = self.max_lifetime.map(|longest| Instant::now() + shortened(longest, 0.1));
        Ok(Exclusive { link, spoiled: false, in_transaction: false, queues: false, ends })
    }

    async fn recycle(&self, exclusive: &mut Exclusive, _: &Metrics) -> RecycleResult<String> {
        let unfit =
            exclusive.spoiled || exclusive.in_transaction || exclusive.link.has_ended() || self.closed.is_cancelled();
        if unfit || exclusive.is_old() {
            return Err(RecycleError::message("closed or changed by its last user"));
        }
        Ok(())
    }
}
