//! Making the state durable, on a thread of its own: a slow disk delays nothing but what must wait for it.
//!
//! [`Persister::save`] takes a numbered snapshot and returns at once. The thread always writes the newest one; a success
//! covers all earlier numbers. A failure is reported and tried again, with growing pauses, until it succeeds or a newer
//! snapshot comes.

use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread::{self, JoinHandle},
    time::Duration,
};

use sentinel_core::snapshot::{Seq, Snapshot};

mod disk;
mod history;
mod store;

pub(crate) use history::History;

pub use disk::{Disk, RealDisk, Stamp};
pub use store::{OwnVersion, SaveError, Step, Store, Way};

/// The first pause after a failed save.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long nothing has been saved when the copy beside the file is made. A failover would have to wait for the copy's
/// sync, and failovers come in bunches.
const COPY_DELAY: Duration = Duration::from_secs(10);

/// What became of a snapshot.
#[derive(Debug)]
pub enum Outcome {
    /// Everything up to this number is on the medium.
    Saved(Seq),
    /// Lines that somebody else wrote into the file are overwritten. The text says where they are kept.
    Overwritten(String),
    /// It is not, or not for certain. It will be tried again.
    Failed {
        /// Up to where it was tried.
        seq: Seq,
        /// Why.
        error: SaveError,
    },
}

struct Job {
    seq: Seq,
    snapshot: Snapshot,
}

/// The thread that makes snapshots durable.
#[derive(Debug)]
pub struct Persister {
    jobs: Sender<Job>,
    thread: JoinHandle<()>,
    /// Closed when the thread ends.
    ended: Receiver<()>,
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Job").field(&self.seq).finish()
    }
}

impl Persister {
    /// Starts the thread. `report` is called on it and must not block.
    pub fn spawn<D>(store: Store<D>, report: impl FnMut(Outcome) + Send + 'static) -> io::Result<Self>
    where
        D: Disk + 'static,
    {
        let (jobs, inbox) = mpsc::channel();
        let (ends, ended) = mpsc::channel();
        let thread = thread::Builder::new().name("persist".into()).spawn(move || {
            let _ends: Sender<()> = ends;
            run(store, &inbox, report);
        })?;
        Ok(Persister { jobs, thread, ended })
    }

    /// Asks for a snapshot to be made durable. False: the thread is gone, and nothing will be saved any more.
    pub fn save(&self, seq: Seq, snapshot: Snapshot) -> bool {
        self.jobs.send(Job { seq, snapshot }).is_ok()
    }

    /// Lets the thread finish what was asked for, and waits for it, at most so long. What cannot be saved is tried once
    /// more only. False: it has not finished, and is left to itself.
    pub fn close(self, limit: Duration) -> bool {
        drop(self.jobs);
        if self.ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            return false;
        }
        // A panic of the thread was printed already, and there is nothing left to be done about it here.
        let _ = self.thread.join();
        true
    }
}

fn run<D: Disk>(mut store: Store<D>, inbox: &Receiver<Job>, mut report: impl FnMut(Outcome)) {
    let mut copied = false;
    let Some(mut job) = next(&mut store, inbox, &mut copied) else { return };
    let mut pause = FIRST_PAUSE;
    let mut closing = false;
    loop {
        while let Ok(newer) = inbox.try_recv() {
            job = newer;
        }
        let outcome = store.save(&job.snapshot);
        if let Some(text) = store.take_overwritten() {
            report(Outcome::Overwritten(text));
        }
        let waits = match outcome {
            Ok(()) => {
                report(Outcome::Saved(job.seq));
                pause = FIRST_PAUSE;
                copied = false;
                None
            }
            Err(error) => {
                report(Outcome::Failed { seq: job.seq, error });
                let wait = pause;
                pause = (pause * 2).min(LONGEST_PAUSE);
                Some(wait)
            }
        };
        if closing {
            return keep_copy(&mut store);
        }
        match waits {
            None => match next(&mut store, inbox, &mut copied) {
                Some(newer) => job = newer,
                None => return,
            },
            Some(wait) => match inbox.recv_timeout(wait) {
                Ok(newer) => job = newer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => closing = true,
            },
        }
    }
}

/// Waits for the next snapshot, and makes the copy while there is none. None: there will be none any more.
fn next<D: Disk>(store: &mut Store<D>, inbox: &Receiver<Job>, copied: &mut bool) -> Option<Job> {
    if !*copied {
        match inbox.recv_timeout(COPY_DELAY) {
            Ok(job) => return Some(job),
            Err(RecvTimeoutError::Disconnected) => {
                keep_copy(store);
                return None;
            }
            Err(RecvTimeoutError::Timeout) => keep_copy(store),
        }
        *copied = true;
    }
    inbox.recv().ok()
}

fn keep_copy<D: Disk>(store: &mut Store<D>) {
    if let Err(error) = store.keep_copy() {
        tracing::debug!("no copy of {} can be kept beside it: {error}", store.path().display());
    }
}
