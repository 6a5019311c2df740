//! Real servers, a scripted one, and waiting for conditions.

// Each test binary uses its own part of this.
#![allow(dead_code, reason = "shared by several test binaries")]

pub(crate) mod deployment;
pub(crate) mod relay;
pub(crate) mod scripted;
pub(crate) mod shards;

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

/// Waits until `look` brings something, and fails with what `describe` shows when it does not within `deadline`.
pub(crate) async fn eventually<T, F>(
    what: &str,
    deadline: Duration,
    mut look: impl FnMut() -> F,
    describe: impl Fn() -> String,
) -> T
where
    F: Future<Output = Option<T>>,
{
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(began.elapsed() < deadline, "{what}: not within {deadline:?}; {}", describe());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a client of this server is in a command that blocks.
pub(crate) async fn somebody_blocks(server: &deployment::Server) {
    let clients = || server.ask::<String>(&["INFO", "clients"]);
    let blocks = || async { clients().contains("blocked_clients:1").then_some(()) };
    eventually("a connection blocks", Duration::from_secs(10), blocks, clients).await;
}

/// Waits for a snapshot of the pool's topology that fits.
pub(crate) async fn topology(
    pool: &sentinel_sdk::SentinelPool,
    what: &str,
    fits: impl FnMut(&std::sync::Arc<sentinel_sdk::Topology>) -> bool,
) -> std::sync::Arc<sentinel_sdk::Topology> {
    let mut topology = pool.topology();
    let found = tokio::time::timeout(Duration::from_secs(20), topology.wait_for(fits)).await;
    match found {
        Ok(Ok(found)) => found.clone(),
        other => {
            let other = other.map(|found| found.map(|_| ()));
            panic!("{what}: {other:?}; {:#?}", shown(&pool.topology()))
        }
    }
}

fn shown(topology: &tokio::sync::watch::Receiver<std::sync::Arc<sentinel_sdk::Topology>>) -> impl Debug {
    topology.borrow().clone()
}
