//! When exactly a node accepts writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::{Connection, ErrorKind, RedisResult, ServerErrorKind};

use crate::node::connect_with;

/// The time between two attempts, and so the resolution of what is measured.
const PACE: Duration = Duration::from_millis(1);
/// A node that has not answered for so long is taken as unreachable.
const PATIENCE: Duration = Duration::from_millis(500);

/// What became of an attempt to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted: the node is a master.
    Accepted,
    /// It was refused with `-READONLY`: the node is a replica.
    ReadOnly,
    /// Any other error: no connection, no answer, loading.
    Failed,
}

/// Writes to one node about every millisecond, whatever it answers, and remembers when the outcome changed.
#[derive(Debug)]
pub struct Prober {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<Vec<(Instant, Outcome)>>,
    stop: AtomicBool,
}

impl Shared {
    fn changes(&self) -> MutexGuard<'_, Vec<(Instant, Outcome)>> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Prober {
    /// Starts writing to that port of 127.0.0.1, on one connection that is made anew when it breaks.
    pub fn start(port: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name(format!("prober of {port}"))
            .spawn({
                let shared = Arc::clone(&shared);
                move || probe(port, &shared)
            })
            .expect("a thread can be started");
        Self { shared, thread: Some(thread) }
    }

    /// When the outcome first was this, at or after `since`: at once if it was so already.
    pub fn first(&self, outcome: Outcome, since: Instant) -> Option<Instant> {
        let changes = self.shared.changes();
        let from = changes.partition_point(|(at, _)| *at < since);
        if from > 0 && changes[from - 1].1 == outcome {
            return Some(since);
        }
        changes[from..].iter().find(|(_, seen)| *seen == outcome).map(|(at, _)| *at)
    }

    /// Every change of the outcome, with the time of the first answer that showed it.
    pub fn changes(&self) -> Vec<(Instant, Outcome)> {
        self.shared.changes().clone()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to report but its end.
            let _ = thread.join();
        }
    }
}

fn probe(port: u16, shared: &Shared) {
    let mut connection = None;
    let mut number = 0_u64;
    while !shared.stop.load(Ordering::Relaxed) {
        let outcome = match attempt(port, &mut connection, number) {
            Ok(()) => Outcome::Accepted,
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) => Outcome::ReadOnly,
            Err(_) => {
                connection = None;
                Outcome::Failed
            }
        };
        let at = Instant::now();
        let mut changes = shared.changes();
        if changes.last().is_none_or(|(_, last)| *last != outcome) {
            changes.push((at, outcome));
        }
        drop(changes);
        number += 1;
        std::thread::sleep(PACE);
    }
}

fn attempt(port: u16, connection: &mut Option<Connection>, number: u64) -> RedisResult<()> {
    let open = match connection {
        Some(open) => open,
        None => connection.insert(connect_with(port, PATIENCE)?),
    };
    redis::cmd("SET").arg("probe").arg(number).query(open)
}
