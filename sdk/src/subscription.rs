//! Channels of the master that stay subscribed to through every switch.

use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use redis::aio::SendError;
use redis::{Msg, PushInfo};
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::address::Address;
use crate::dial::Link;
use crate::error::Error;
use crate::generation::Generation;
use crate::retry::Backoff;
use crate::shared::{Owner, Shared};

/// Messages a slow reader may fall behind.
const MESSAGES_KEPT: usize = 1024;
/// How long the master is waited for at a time; there is no limit to how often.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The pause after something that waiting for the master does not cure.
const PAUSE: Duration = Duration::from_secs(1);

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
    _end: DropGuard,
    _owner: Arc<Owner>,
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
#[derive(Debug, Clone)]
pub(crate) enum Topics {
    Channels(Vec<Vec<u8>>),
    Patterns(Vec<Vec<u8>>),
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
    let listener =
        Listener { inlet: Inlet { sender, overrun: Arc::clone(&overrun) }, topics, end: end.clone(), shared };
    let deadline = Instant::now() + listener.shared.config.timeouts.wait;
    let first = listener.first(deadline).await?;
    // Nobody has left yet: this end is still here.
    let _ = first.gate.open(None);
    let dialer = listener.shared.dialer.clone();
    dialer.spawn(listener.run(first));
    Ok(Subscription { deliveries, overrun, _end: end.drop_guard(), _owner: owner })
}

/// Where deliveries go in. Never waits.
#[derive(Debug, Clone)]
struct Inlet {
    sender: mpsc::Sender<Delivery>,
    overrun: Arc<AtomicU64>,
}

impl Inlet {
    fn put(&self, delivery: Delivery) -> Result<(), SendError> {
        let dropped = self.overrun.swap(0, Ordering::AcqRel);
        let told = dropped == 0 || self.sender.try_send(Delivery::Gap(Gap::Overrun(dropped))).is_ok();
        if !told {
            self.overrun.fetch_add(dropped, Ordering::AcqRel);
        }
        match if told { self.sender.try_send(delivery) } else { Err(TrySendError::Full(delivery)) } {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.overrun.fetch_add(1, Ordering::AcqRel);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(SendError),
        }
    }
}

/// Where the messages of one connection go in: between the gap that tells of it and the next one.
#[derive(Debug, Clone)]
struct Gate {
    inlet: Inlet,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    /// The subscription does not stand as a whole yet, and the gap before it has not been told: messages wait.
    Waits(Vec<Msg>),
    Open,
    /// Another connection has taken its place. What still comes was missed, or comes twice.
    Closed,
}

impl Gate {
    fn new(inlet: Inlet) -> Self {
        Self { inlet, state: Arc::new(Mutex::new(State::Waits(Vec::new()))) }
    }

    fn put(&self, message: Msg) -> Result<(), SendError> {
        match &mut *self.state() {
            State::Waits(waiting) if waiting.len() < MESSAGES_KEPT => waiting.push(message),
            State::Waits(_) => _ = self.inlet.overrun.fetch_add(1, Ordering::AcqRel),
            State::Open => return self.inlet.put(Delivery::Message(message)),
            State::Closed => return Err(SendError),
        }
        Ok(())
    }

    /// Lets the messages through, the gap first.
    fn open(&self, gap: Option<Gap>) -> Result<(), SendError> {
        let mut state = self.state();
        if let Some(gap) = gap {
            self.inlet.put(Delivery::Gap(gap))?;
        }
        if let State::Waits(waiting) = std::mem::replace(&mut *state, State::Open) {
            for message in waiting {
                self.inlet.put(Delivery::Message(message))?;
            }
        }
        Ok(())
    }

    fn close(&self) {
        *self.state() = State::Closed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one subscription standing.
struct Listener {
    inlet: Inlet,
    topics: Topics,
    end: CancellationToken,
    shared: Arc<Shared>,
}

/// A subscription that stands.
struct Post {
    generation: Arc<Generation>,
    link: Link,
    gate: Gate,
}

/// Why a subscription does not stand.
struct Trouble {
    reason: String,
    /// The master has answered, and does not want to.
    refused: bool,
}

impl Listener {
    async fn first(&self, deadline: Instant) -> Result<Post, Error> {
        let mut backoff = self.backoff();
        loop {
            let generation = Arc::clone(&self.shared.link(deadline).await?.generation);
            let trouble = match self.open(&generation).await {
                Ok(post) => return Ok(post),
                Err(trouble) => trouble,
            };
            let pause = backoff.pause();
            if trouble.refused || Instant::now() + pause >= deadline {
                return Err(Error::Node { address: generation.address.clone(), reason: trouble.reason });
            }
            sleep(pause).await;
        }
    }

    async fn run(self, first: Post) {
        let end = self.end.clone();
        tokio::select! {
            () = end.cancelled() => {}
            () = self.go_on(first) => {}
        }
    }

    async fn go_on(&self, mut post: Post) {
        loop {
            let reason = self.attend(&mut post).await;
            post.gate.close();
            let since = Instant::now();
            let from = post.generation.address.clone();
            self.shared.suspect(&post.generation);
            let Some(next) = self.again().await else { return };
            post = next;
            let to = post.generation.address.clone();
            tracing::debug!(%from, %to, reason, "subscribed again");
            let gap = Gap::Reconnected { from, to, lasted: since.elapsed(), reason };
            if post.gate.open(Some(gap)).is_err() {
                return;
            }
        }
    }

    /// Subscribes where the master is now, however long that takes. `None`: the pool is shut down.
    async fn again(&self) -> Option<Post> {
        let mut backoff = self.backoff();
        loop {
            match self.shared.link(Instant::now() + PATIENCE).await {
                Err(Error::Shutdown) => return None,
                Err(_) => sleep(PAUSE).await,
                Ok(link) => match self.open(&link.generation).await {
                    Ok(post) => return Some(post),
                    Err(trouble) => {
                        tracing::debug!(address = %link.generation.address, reason = trouble.reason, "not subscribed");
                        self.shared.suspect(&link.generation);
                        sleep(backoff.pause()).await;
                    }
                },
            }
        }
    }

    async fn open(&self, generation: &Arc<Generation>) -> Result<Post, Trouble> {
        let away = |reason| Trouble { reason, refused: false };
        let gate = Gate::new(self.inlet.clone());
        let entrance = gate.clone();
        let receive = move |push: PushInfo| -> Result<(), SendError> {
            Msg::from_push_info(push).map_or(Ok(()), |message| entrance.put(message))
        };
        let mut link = generation.exclusive.manager().listen(receive).await.map_err(away)?;
        let deadline = self.shared.config.timeouts.handshake;
        let subscribed = async {
            match &self.topics {
                Topics::Channels(channels) => link.connection.subscribe(channels).await,
                Topics::Patterns(patterns) => link.connection.psubscribe(patterns).await,
            }
        };
        timeout(deadline, subscribed)
            .await
            .map_err(|_| away(format!("no answer to the subscription within {deadline:?}")))?
            .map_err(|error| Trouble { refused: error.code().is_some(), reason: format!("subscription: {error}") })?;
        Ok(Post { generation: Arc::clone(generation), link, gate })
    }

    /// Looks after a standing subscription; returns why it stands no more.
    async fn attend(&self, post: &mut Post) -> String {
        let timeouts = self.shared.config.timeouts;
        loop {
            tokio::select! {
                biased;
                () = post.generation.closed.cancelled() => return "the master was replaced".to_owned(),
                () = post.link.ended() => return "the connection was closed".to_owned(),
                () = sleep(self.shared.config.sentinel_ping) => {}
            }
            let ping = redis::cmd("PING");
            match timeout(timeouts.handshake, post.link.connection.send_packed_command(&ping)).await {
                // Any answer is a sign of life.
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("no answer to PING within {:?}", timeouts.handshake),
            }
        }
    }

    fn backoff(&self) -> Backoff {
        let retry = self.shared.config.retry;
        Backoff::new(retry.first_pause, retry.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn what_a_slow_reader_misses_is_counted_where_it_is_missing() {
        let (sender, mut deliveries) = mpsc::channel(2);
        let inlet = Inlet { sender, overrun: Arc::default() };
        let gap = |number| Delivery::Gap(Gap::Overrun(number));
        let mut seen = Vec::new();
        for number in 1..=4 {
            inlet.put(gap(number * 100)).unwrap();
        }
        seen.extend([deliveries.recv().await, deliveries.recv().await]);
        inlet.put(gap(500)).unwrap();
        seen.extend([deliveries.recv().await, deliveries.recv().await]);
        let seen: Vec<_> = seen
            .into_iter()
            .map(|delivery| match delivery {
                Some(Delivery::Gap(Gap::Overrun(number))) => number,
                other => panic!("{other:?}"),
            })
            .collect();
        // The third and the fourth were dropped.
        assert_eq!(seen, [100, 200, 2, 500]);
        drop(deliveries);
        assert!(inlet.put(gap(1)).is_err());
    }

    #[tokio::test]
    async fn a_connection_that_was_replaced_brings_nothing_any_more() {
        let (sender, mut deliveries) = mpsc::channel(16);
        let inlet = Inlet { sender, overrun: Arc::default() };
        let message = |text: &str| {
            let words = ["message", "news", text].map(|word| redis::Value::BulkString(word.as_bytes().to_vec()));
            Msg::from_owned_value(redis::Value::Array(words.to_vec())).unwrap()
        };
        let (old, new) = (Gate::new(inlet.clone()), Gate::new(inlet));
        old.open(None).unwrap();
        old.put(message("1")).unwrap();
        // The old one hangs, and is given up. The new one has messages before its subscription stands as a whole.
        old.close();
        new.put(message("3")).unwrap();
        assert!(old.put(message("2")).is_err());
        new.open(Some(Gap::Overrun(7))).unwrap();
        new.put(message("4")).unwrap();
        assert!(old.put(message("2")).is_err());
        let mut seen = Vec::new();
        while let Ok(delivery) = deliveries.try_recv() {
            seen.push(match delivery {
                Delivery::Message(message) => message.get_payload().unwrap(),
                Delivery::Gap(_) => "gap".to_owned(),
            });
        }
        assert_eq!(seen, ["1", "gap", "3", "4"]);
    }

    #[tokio::test]
    async fn what_was_missed_last_is_told_without_a_further_message() {
        let (sender, deliveries) = mpsc::channel(1);
        let overrun = Arc::<AtomicU64>::default();
        let inlet = Inlet { sender, overrun: Arc::clone(&overrun) };
        let mut stream = futures::stream::unfold((deliveries, overrun), |(mut deliveries, overrun)| async move {
            let next = futures::future::poll_fn(|context| poll(&mut deliveries, &overrun, context)).await;
            next.map(|next| (next, (deliveries, overrun)))
        })
        .boxed();
        for _ in 0..3 {
            inlet.put(Delivery::Gap(Gap::Overrun(7))).unwrap();
        }
        assert!(matches!(stream.next().await, Some(Delivery::Gap(Gap::Overrun(7)))));
        assert!(matches!(stream.next().await, Some(Delivery::Gap(Gap::Overrun(2)))));
        drop(inlet);
        assert!(stream.next().await.is_none());
    }
}
