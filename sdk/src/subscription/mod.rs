//! Channels of the master that stay subscribed to through every switch.

mod gate;
mod listener;

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use redis::Msg;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::DropGuard;

use self::gate::Inlet;
use self::listener::{Change, Listener};
use crate::address::Address;
use crate::error::Error;
use crate::shared::Owner;

/// Messages a slow reader may fall behind.
const MESSAGES_KEPT: usize = 1024;
/// Changes that may wait for a connection.
const CHANGES_KEPT: usize = 64;

/// What comes out of a [`Subscription`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Delivery {
    /// A message that was published.
    Message(Msg),
    /// Messages may be missing between the one before and the one after.
    Gap(Gap),
}

/// Why messages may be missing. Redis keeps none for those who do not listen: who needs what was published meanwhile has to
/// look at the data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Gap {
    /// The connection ended, by a switch or by itself, and the subscription stands again.
    Reconnected {
        /// The master it stood at.
        from: Address,
        /// The master it stands at now.
        to: Address,
        /// How long it did not stand, as far as that was noticed.
        lasted: Duration,
        /// What happened.
        reason: String,
    },
    /// The reader was too slow: this many messages were dropped.
    Overrun(u64),
}

/// A stream of what is published at the current master, whichever that is; it ends when the pool is shut down.
///
/// It never delays the pool: a reader that falls behind by more than 1,024 messages loses those that come then, and is told how many by
/// [`Gap::Overrun`]. Dropping it closes its connection.
pub struct Subscription {
    deliveries: mpsc::Receiver<Delivery>,
    overrun: Arc<AtomicU64>,
    changes: mpsc::Sender<Change>,
    _end: DropGuard,
    owner: Arc<Owner>,
}

impl Stream for Subscription {
    type Item = Delivery;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Delivery>> {
        let this = &mut *self;
        poll(&mut this.deliveries, &this.overrun, context)
    }
}

fn poll(
    deliveries: &mut mpsc::Receiver<Delivery>,
    overrun: &AtomicU64,
    context: &mut Context<'_>,
) -> Poll<Option<Delivery>> {
    match deliveries.poll_recv(context) {
        // What was dropped came after all that was kept.
        Poll::Pending => match overrun.swap(0, Ordering::AcqRel) {
            0 => Poll::Pending,
            dropped => Poll::Ready(Some(Delivery::Gap(Gap::Overrun(dropped)))),
        },
        next @ Poll::Ready(_) => next,
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").finish_non_exhaustive()
    }
}

/// What is listened to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Topics {
    pub(crate) channels: Vec<Vec<u8>>,
    pub(crate) patterns: Vec<Vec<u8>>,
    /// Channels of SSUBSCRIBE.
    pub(crate) sharded: Vec<Vec<u8>>,
}

impl Topics {
    fn add(&mut self, more: &Self) {
        let add = |all: &mut Vec<Vec<u8>>, more: &[Vec<u8>]| {
            all.extend_from_slice(more);
            all.sort_unstable();
            all.dedup();
        };
        add(&mut self.channels, &more.channels);
        add(&mut self.patterns, &more.patterns);
        add(&mut self.sharded, &more.sharded);
    }

    fn remove(&mut self, less: &Self) {
        self.channels.retain(|topic| !less.channels.contains(topic));
        self.patterns.retain(|topic| !less.patterns.contains(topic));
        self.sharded.retain(|topic| !less.sharded.contains(topic));
    }
}

/// Topics as users give them.
pub(crate) fn list<C: Into<Vec<u8>>>(topics: impl IntoIterator<Item = C>) -> Vec<Vec<u8>> {
    topics.into_iter().map(Into::into).collect()
}

impl Subscription {
    /// Subscribes to further channels, and waits until that stands. It changes nothing about those of before, and moves with the
    /// master as they do.
    ///
    /// ```no_run
    /// # async fn example(pool: sentinel_sdk::SentinelPool) -> Result<(), sentinel_sdk::Error> {
    /// let mut news = pool.subscribe(["news"]).await?;
    /// news.subscribe(["weather"]).await?;
    /// news.psubscribe(["sports.*"]).await?;
    /// news.unsubscribe(["news"]).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Node`] when the master refuses it: then it does not stand, and a [`Gap`] follows. [`Error::NoMaster`] when it did not stand within
    /// [`Timeouts::wait`](crate::Timeouts::wait): it may still come to stand. [`Error::Shutdown`] after a shutdown.
    pub async fn subscribe<C: Into<Vec<u8>>>(&self, channels: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { channels: list(channels), ..Topics::default() }, true).await
    }

    /// The same for patterns.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn psubscribe<C: Into<Vec<u8>>>(&self, patterns: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { patterns: list(patterns), ..Topics::default() }, true).await
    }

    /// The same for channels of SSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn ssubscribe<C: Into<Vec<u8>>>(&self, channels: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { sharded: list(channels), ..Topics::default() }, true).await
    }

    /// No longer listens to these channels, and waits until that is so.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn unsubscribe<C: Into<Vec<u8>>>(&self, channels: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { channels: list(channels), ..Topics::default() }, false).await
    }

    /// The same for patterns.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn punsubscribe<C: Into<Vec<u8>>>(&self, patterns: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { patterns: list(patterns), ..Topics::default() }, false).await
    }

    /// The same for channels of SSUBSCRIBE.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn sunsubscribe<C: Into<Vec<u8>>>(&self, channels: impl IntoIterator<Item = C>) -> Result<(), Error> {
        self.change(Topics { sharded: list(channels), ..Topics::default() }, false).await
    }

    async fn change(&self, topics: Topics, adds: bool) -> Result<(), Error> {
        let shared = &self.owner.0;
        let wait = shared.config.timeouts.wait;
        let deadline = Instant::now() + wait;
        let (done, outcome) = oneshot::channel();
        let changed = async {
            // It ends with the pool.
            self.changes.send(Change { topics, adds, done }).await.map_err(|_| Error::Shutdown)?;
            outcome.await.map_err(|_| Error::Shutdown)?
        };
        timeout_at(deadline, changed).await.unwrap_or_else(|_| Err(shared.no_master(wait)))
    }
}

/// Subscribes at the current master, and goes on wherever the master is.
///
/// A refusal by the master itself ends it here; what a later master refuses is tried again, since its permissions may not have
/// arrived yet.
pub(crate) async fn subscribe(owner: Arc<Owner>, topics: Topics) -> Result<Subscription, Error> {
    let shared = Arc::clone(&owner.0);
    let _user = shared.users.enter_for_long()?;
    let (sender, deliveries) = mpsc::channel(MESSAGES_KEPT);
    let overrun = Arc::new(AtomicU64::new(0));
    let end = shared.dialer.stop.child_token();
    let inlet = Inlet { sender, overrun: Arc::clone(&overrun) };
    let (changes, received) = mpsc::channel(CHANGES_KEPT);
    let listener = Listener { inlet, topics, changes: received, interrupted: None, end: end.clone(), shared };
    let deadline = Instant::now() + listener.shared.config.timeouts.wait;
    let first = listener.first(deadline).await?;
    // Nobody has left yet: this end is still here.
    let _ = first.gate.open(None);
    let dialer = listener.shared.dialer.clone();
    dialer.spawn(listener.run(first));
    Ok(Subscription { deliveries, overrun, changes, _end: end.drop_guard(), owner })
}
