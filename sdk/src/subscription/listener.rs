//! The task that keeps a subscription standing.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::SendError;
use redis::{Msg, PushInfo, RedisResult};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::gate::{Gate, Inlet};
use super::{Gap, Topics};
use crate::dial::Link;
use crate::error::Error;
use crate::generation::Generation;
use crate::retry::Backoff;
use crate::shared::Shared;

/// How long the master is waited for at a time; there is no limit to how often.
const PATIENCE: Duration = Duration::from_secs(3600);
/// The pause after something that waiting for the master does not cure.
const PAUSE: Duration = Duration::from_secs(1);

/// Further topics, or fewer.
pub(super) struct Change {
    pub(super) topics: Topics,
    pub(super) adds: bool,
    /// Where the outcome is told.
    pub(super) done: oneshot::Sender<Result<(), Error>>,
}

/// Keeps one subscription standing.
pub(super) struct Listener {
    pub(super) inlet: Inlet,
    /// What is to stand after each new connection.
    pub(super) topics: Topics,
    pub(super) changes: mpsc::Receiver<Change>,
    /// One that a connection ended over.
    pub(super) interrupted: Option<Change>,
    pub(super) end: CancellationToken,
    pub(super) shared: Arc<Shared>,
}

/// A subscription that stands.
pub(super) struct Post {
    generation: Arc<Generation>,
    link: Link,
    pub(super) gate: Gate,
}

/// Why a subscription does not stand.
struct Trouble {
    reason: String,
    /// The master has answered, and does not want to.
    refused: bool,
}

impl Listener {
    pub(super) async fn first(&self, deadline: Instant) -> Result<Post, Error> {
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

    pub(super) async fn run(mut self, first: Post) {
        let end = self.end.clone();
        tokio::select! {
            () = end.cancelled() => {}
            () = self.go_on(first) => {}
        }
    }

    async fn go_on(&mut self, mut post: Post) {
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
        timeout(deadline, put(&mut link, &self.topics, true))
            .await
            .map_err(|_| away(format!("no answer to the subscription within {deadline:?}")))?
            .map_err(|error| Trouble { refused: error.code().is_some(), reason: format!("subscription: {error}") })?;
        Ok(Post { generation: Arc::clone(generation), link, gate })
    }

    /// Looks after a standing subscription; returns why it stands no more.
    async fn attend(&mut self, post: &mut Post) -> String {
        let timeouts = self.shared.config.timeouts;
        loop {
            let change = tokio::select! {
                biased;
                () = post.generation.closed.cancelled() => return "the master was replaced".to_owned(),
                () = post.link.ended() => return "the connection was closed".to_owned(),
                Some(change) = next(&mut self.interrupted, &mut self.changes) => Some(change),
                () = sleep(self.shared.config.sentinel_ping) => None,
            };
            if let Some(change) = change {
                if let Err(reason) = self.change(post, change).await {
                    return reason;
                }
                continue;
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

    /// `Err`: the connection is of no more use, and the change is made over the next one.
    async fn change(&mut self, post: &mut Post, change: Change) -> Result<(), String> {
        let deadline = self.shared.config.timeouts.handshake;
        let error = match timeout(deadline, put(&mut post.link, &change.topics, change.adds)).await {
            Ok(Ok(())) => {
                if change.adds {
                    self.topics.add(&change.topics);
                } else {
                    self.topics.remove(&change.topics);
                }
                // Nobody has to wait for it.
                let _ = change.done.send(Ok(()));
                return Ok(());
            }
            Ok(Err(error)) if error.code().is_some() => {
                let address = post.generation.address.clone();
                let _ = change.done.send(Err(Error::Node { address, reason: error.to_string() }));
                // Some of the topics may stand: a new connection has those of before.
                return Err(format!("a topic was refused: {error}"));
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer to the subscription within {deadline:?}"),
        };
        self.interrupted = Some(change);
        Err(error)
    }

    fn backoff(&self) -> Backoff {
        let retry = self.shared.config.retry;
        Backoff::new(retry.first_pause, retry.longest_pause)
    }
}

async fn next(interrupted: &mut Option<Change>, changes: &mut mpsc::Receiver<Change>) -> Option<Change> {
    match interrupted.take() {
        Some(change) => Some(change),
        None => changes.recv().await,
    }
}

/// Subscribes to topics, or no longer.
async fn put(link: &mut Link, topics: &Topics, adds: bool) -> RedisResult<()> {
    let connection = &mut link.connection;
    let Topics { channels, patterns, sharded } = topics;
    if !channels.is_empty() {
        if adds { connection.subscribe(channels).await? } else { connection.unsubscribe(channels).await? }
    }
    if !patterns.is_empty() {
        if adds { connection.psubscribe(patterns).await? } else { connection.punsubscribe(patterns).await? }
    }
    // One at a time: the `redis` crate takes the confirmation of each for its answer.
    for channel in sharded {
        let mut command = redis::cmd(if adds { "SSUBSCRIBE" } else { "SUNSUBSCRIBE" });
        command.arg(channel);
        connection.send_packed_command(&command).await?.extract_error()?;
    }
    Ok(())
}
