//! What happens to a pool, as a stream.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use futures::stream;
use tokio::sync::broadcast::{self, error::RecvError, error::TryRecvError};
use tokio_util::sync::CancellationToken;

use crate::address::Address;

/// Something that happened to a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The pool moved to another master, or found its first one.
    Switched {
        /// The master before; `None` at the start.
        from: Option<Address>,
        /// The master from now on.
        to: Address,
        /// The configuration epoch it was named with.
        config_epoch: u64,
        /// The number of the new generation.
        generation: u64,
        /// How long no verified master was at hand; zero when the old one answered until the switch.
        gap: Duration,
    },
    /// The connection to the master broke, timed out, or the node is a master no longer; the Sentinels are being asked.
    MasterLost {
        /// The master in question.
        address: Address,
        /// What happened.
        reason: String,
    },
    /// The same master answers again; nothing was switched.
    MasterBack {
        /// The master in question.
        address: Address,
        /// How long no verified master was at hand.
        gap: Duration,
    },
    /// The subscription to a Sentinel stands.
    SentinelFound {
        /// Where it listens.
        address: Address,
    },
    /// The subscription to a Sentinel broke; it is being dialled again.
    SentinelLost {
        /// Where it listens.
        address: Address,
        /// What happened.
        reason: String,
    },
    /// A replica is read from.
    ReplicaFound {
        /// Where it listens.
        address: Address,
    },
    /// A replica is not read from any more, before it has proved itself again.
    ReplicaLost {
        /// Where it listens.
        address: Address,
        /// What happened.
        reason: String,
    },
    /// A node was named the master and did not answer as one; the pool did not move.
    CandidateRejected {
        /// The node.
        address: Address,
        /// What it answered, or why it could not be reached.
        reason: String,
    },
    /// All Sentinels name a configuration older than the one known, or more than half of them do so for five seconds: they were set up
    /// anew, or the one known was not theirs. They are believed.
    EpochReset {
        /// The epoch known before.
        from: u64,
        /// The epoch believed from now on.
        to: u64,
    },
    /// The reader was too slow, this many events were dropped.
    Missed(u64),
}

/// A stream of [`Event`]s from the moment of its making; it ends when the pool is shut down.
///
/// It never delays the pool: a reader that falls behind by more than 256 events loses the oldest and sees [`Event::Missed`].
pub struct Events {
    inner: Pin<Box<dyn Stream<Item = Event> + Send + Sync>>,
}

impl Events {
    pub(crate) fn new(receiver: broadcast::Receiver<Event>, ended: CancellationToken) -> Self {
        let inner = stream::unfold((receiver, ended), |(mut receiver, ended)| async move {
            let event = tokio::select! {
                biased;
                event = receiver.recv() => match event {
                    Ok(event) => Some(event),
                    Err(RecvError::Lagged(missed)) => Some(Event::Missed(missed)),
                    Err(RecvError::Closed) => None,
                },
                () = ended.cancelled() => match receiver.try_recv() {
                    Ok(event) => Some(event),
                    Err(TryRecvError::Lagged(missed)) => Some(Event::Missed(missed)),
                    Err(TryRecvError::Empty | TryRecvError::Closed) => None,
                },
            };
            event.map(|event| (event, (receiver, ended)))
        });
        Self { inner: Box::pin(inner) }
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.inner.as_mut().poll_next(context)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events").finish_non_exhaustive()
    }
}
