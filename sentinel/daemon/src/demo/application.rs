//! The application of the demo: it writes numbered values through the SDK and remembers every acknowledgement.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use redis::AsyncCommands as _;
use sentinel_sdk::SentinelPool;

use super::{
    DemoError,
    deployment::{Deployment, MASTER},
};

/// Pause between two writes.
const PACE: Duration = Duration::from_millis(1);

/// A writer that never gives up.
#[derive(Debug)]
pub(super) struct Application {
    acknowledged: Arc<Mutex<Vec<(u64, Instant)>>>,
    stop: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
    pool: SentinelPool,
}

/// What became of the writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Writes {
    pub(super) acknowledged: usize,
    pub(super) lost: Vec<u64>,
    pub(super) longest_gap: Duration,
    /// None: the values could not be read back.
    pub(super) read_back: bool,
}

impl Application {
    pub(super) async fn start(deployment: &Deployment) -> Result<Self, DemoError> {
        let seeds = deployment.sentinel_ports().iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>();
        let pool = SentinelPool::from_url(&format!("redis-sentinel://{}/0?master={MASTER}", seeds.join(","))).await?;
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        // Writing the same number to the same key twice does no harm: the SDK may repeat a write whose answer was lost.
        let mut master = pool.master().idempotent();
        let (log, stopped) = (Arc::clone(&acknowledged), Arc::clone(&stop));
        let task = tokio::spawn(async move {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                let key = format!("demo:{number}");
                if master.set::<_, _, ()>(key, number).await.is_ok() {
                    log.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((number, Instant::now()));
                    number += 1;
                }
                tokio::time::sleep(PACE).await;
            }
        });
        Ok(Application { acknowledged, stop, task, pool })
    }

    fn log(&self) -> std::sync::MutexGuard<'_, Vec<(u64, Instant)>> {
        self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// How many writes have been acknowledged.
    pub(super) fn acknowledged(&self) -> usize {
        self.log().len()
    }

    /// Waits for so many acknowledgements; 10 s at most.
    pub(super) async fn wait_for_writes(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.acknowledged() < count && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The first acknowledgement that cannot have come from the killed master.
    pub(super) fn first_acknowledgement_after(&self, killed_at: Instant) -> Option<Instant> {
        let from = killed_at + Duration::from_millis(20);
        self.log().iter().rev().take_while(|(_, at)| *at > from).last().map(|(_, at)| *at)
    }

    /// Stops writing, reads every acknowledged value back from the master, and closes the pool.
    pub(super) async fn finish(self) -> Writes {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.task.await;
        let log = std::mem::take(&mut *self.acknowledged.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        let longest_gap = log.windows(2).map(|pair| pair[1].1 - pair[0].1).max().unwrap_or_default();
        let mut writes = Writes { acknowledged: log.len(), longest_gap, read_back: true, ..Writes::default() };
        let mut master = self.pool.master();
        for chunk in log.chunks(500) {
            let mut command = redis::cmd("MGET");
            for (number, _) in chunk {
                command.arg(format!("demo:{number}"));
            }
            match command.query_async::<Vec<Option<u64>>>(&mut master).await {
                Ok(values) => {
                    let missing = chunk.iter().zip(values).filter(|((number, _), value)| Some(*number) != *value);
                    writes.lost.extend(missing.map(|((number, _), _)| *number));
                }
                Err(_) => writes.read_back = false,
            }
        }
        self.pool.shutdown(Duration::from_secs(2)).await;
        writes
    }
}
