//! The connection over which is read, and which tells of changes.

use std::sync::{Arc, Weak};
use std::time::Instant;

use arc_swap::ArcSwapOption;
use redis::aio::SendError;
use redis::{Cmd, PushInfo, PushKind, RedisError, RedisResult, Value};
use tokio::time::{sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::store::{Load, Store};
use crate::dial::Link;
use crate::error::Error;
use crate::generation::Generation;
use crate::pool::SentinelPool;
use crate::reply::Verdict;
use crate::request::{One, Request as _, exchange};
use crate::retry::Backoff;
use crate::shared::Shared;

pub(super) struct Tracker {
    shared: Arc<Shared>,
    link: Arc<ArcSwapOption<Link>>,
    store: Arc<Store>,
}

impl Tracker {
    pub(super) fn start(pool: &SentinelPool, store: &Arc<Store>) -> (Self, DropGuard) {
        let shared = pool.shared().clone();
        let end = shared.dialer.stop.child_token();
        let link = Arc::default();
        let keeper = Keeper { shared: shared.clone(), store: store.clone(), link: Arc::clone(&link), end: end.clone() };
        shared.dialer.spawn(keeper.run());
        (Self { shared, link, store: store.clone() }, end.drop_guard())
    }

    /// Brings an answer over the connection that tells when it is out of date.
    pub(super) fn load(&self, load: Load, command: Cmd) {
        let (shared, store, link) = (self.shared.clone(), self.store.clone(), self.link.load_full());
        self.shared.dialer.spawn(async move {
            let asked = match link {
                Some(link) => ask(&shared, &link, &command).await,
                None => Err(RedisError::from(std::io::Error::from(std::io::ErrorKind::NotConnected))),
            };
            store.finish(load, asked.map(Arc::new));
        });
    }
}

async fn ask(shared: &Shared, link: &Link, command: &Cmd) -> RedisResult<Value> {
    let request = One(command);
    let answer = exchange(shared, link, &request, shared.config.patience(), || ()).await;
    match request.judge(&answer) {
        Verdict::Answered => answer?.extract_error(),
        // Whoever waits for it asks the master in the usual way.
        _ => Err(std::io::Error::from(std::io::ErrorKind::NotConnected).into()),
    }
}

struct Keeper {
    shared: Arc<Shared>,
    store: Arc<Store>,
    link: Arc<ArcSwapOption<Link>>,
    end: CancellationToken,
}

impl Keeper {
    async fn run(self) {
        tokio::select! {
            () = self.end.cancelled() => {}
            () = self.go_on() => {}
        }
        self.off();
    }

    async fn go_on(&self) {
        let retry = self.shared.config.retry;
        let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause.max(retry.first_pause * 20));
        loop {
            let wait = tokio::time::Instant::now() + self.shared.config.timeouts.wait;
            match self.shared.link(wait).await {
                Err(Error::Shutdown) => return,
                Err(_) => {}
                Ok(master) => match self.open(&master.generation).await {
                    Err(reason) => tracing::debug!(address = %master.generation.address, reason, "near cache is off"),
                    Ok(link) => {
                        backoff.reset();
                        // The flag first: what is read from here on is told of.
                        self.store.switch_on();
                        self.link.store(Some(Arc::new(link.clone())));
                        let began = Instant::now();
                        let reason = self.attend(&master.generation, link).await;
                        self.off();
                        tracing::info!(reason, lasted = ?began.elapsed(), "near cache dropped");
                        self.shared.suspect(&master.generation);
                    }
                },
            }
            sleep(backoff.pause()).await;
        }
    }

    fn off(&self) {
        self.link.store(None);
        self.store.switch_off();
    }

    async fn open(&self, generation: &Generation) -> Result<Link, String> {
        let store = Arc::downgrade(&self.store);
        let receive = move |push: PushInfo| -> Result<(), SendError> {
            heed(&store, &push);
            Ok(())
        };
        let link = generation.exclusive.manager().listen(receive).await?;
        let mut connection = link.connection.clone();
        let mut tracking = redis::cmd("CLIENT");
        tracking.arg("TRACKING").arg("ON");
        let deadline = self.shared.config.timeouts.handshake;
        let answer = timeout(deadline, tracking.exec_async(&mut connection)).await;
        match answer {
            Ok(Ok(())) => Ok(link),
            Ok(Err(error)) => Err(format!("CLIENT TRACKING: {error}")),
            Err(_) => Err(format!("no answer to CLIENT TRACKING within {deadline:?}")),
        }
    }

    /// Returns why the connection is of no more use.
    async fn attend(&self, generation: &Generation, mut link: Link) -> String {
        let timeouts = self.shared.config.timeouts;
        loop {
            tokio::select! {
                biased;
                () = generation.closed.cancelled() => return "the master was replaced".to_owned(),
                () = link.ended() => return "the connection was closed".to_owned(),
                () = sleep(self.shared.config.sentinel_ping) => {}
            }
            let ping = redis::cmd("PING");
            match timeout(timeouts.handshake, link.connection.send_packed_command(&ping)).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return error.to_string(),
                Err(_) => return format!("no answer to PING within {:?}", timeouts.handshake),
            }
        }
    }
}

/// Forgets what the server says was changed.
fn heed(store: &Weak<Store>, push: &PushInfo) {
    let Some(store) = store.upgrade().filter(|_| push.kind == PushKind::Invalidate) else { return };
    for data in &push.data {
        match data {
            Value::Array(keys) => {
                for key in keys {
                    if let Value::BulkString(key) = key {
                        store.invalidate(key);
                    }
                }
            }
            // All: FLUSHALL, FLUSHDB.
            _ => store.invalidate_all(),
        }
    }
}
