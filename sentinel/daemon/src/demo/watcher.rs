//! Listening to every Sentinel.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use tokio::sync::{Mutex, mpsc};

use super::{DemoError, deployment::Deployment};

/// One event of one Sentinel.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Instant,
    /// From 1.
    pub(super) sentinel: usize,
    pub(super) channel: String,
    pub(super) payload: String,
}

/// A subscription to every event of every Sentinel.
#[derive(Debug)]
pub(super) struct Watchers {
    seen: Mutex<mpsc::UnboundedReceiver<Seen>>,
}

impl Watchers {
    pub(super) async fn start(deployment: &Deployment) -> Result<Self, DemoError> {
        let (sender, seen) = mpsc::unbounded_channel();
        for (index, port) in deployment.sentinel_ports().into_iter().enumerate() {
            let failed = |error: redis::RedisError| DemoError::System {
                what: format!("cannot subscribe to the Sentinel at port {port}"),
                source: std::io::Error::other(error),
            };
            let client = redis::Client::open(("127.0.0.1", port)).map_err(failed)?;
            let mut subscription = client.get_async_pubsub().await.map_err(failed)?;
            subscription.psubscribe("*").await.map_err(failed)?;
            let sender = sender.clone();
            tokio::spawn(async move {
                let mut messages = subscription.on_message();
                while let Some(message) = messages.next().await {
                    let seen = Seen {
                        at: Instant::now(),
                        sentinel: index + 1,
                        channel: message.get_channel_name().to_owned(),
                        payload: message.get_payload().unwrap_or_default(),
                    };
                    if sender.send(seen).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Watchers { seen: Mutex::new(seen) })
    }

    /// What has been seen since the last call; waits for at most this long if there is nothing.
    pub(super) async fn take(&self, wait: Duration) -> Vec<Seen> {
        let mut seen = self.seen.lock().await;
        let mut events = Vec::new();
        if let Ok(Some(first)) = tokio::time::timeout(wait, seen.recv()).await {
            events.push(first);
            while let Ok(next) = seen.try_recv() {
                events.push(next);
            }
        }
        events
    }
}
