//! How long the disk takes meanwhile: a failover waits for it twice, since nothing is promised that is not kept.

use std::{
    fs::File,
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::stats::Times;

/// As much as a Sentinel with 500 masters keeps, in bytes.
const SIZE: usize = 250_000;

/// From one write to the next: rare enough not to be what is waited for.
const PAUSE: Duration = Duration::from_millis(200);

/// Writes a file and syncs it, again and again, where the Sentinels have theirs.
pub(crate) struct Watched {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<io::Result<Times>>,
}

impl Watched {
    pub(crate) fn start() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asked_to = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let folder = tempfile::tempdir()?;
            let bytes = vec![b'#'; SIZE];
            let mut times = Times::default();
            while !asked_to.load(Relaxed) {
                let begun = Instant::now();
                let mut file = File::create(folder.path().join("state"))?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                times.add(begun.elapsed().as_micros() as u64);
                thread::sleep(PAUSE);
            }
            Ok(times)
        });
        Watched { stop, thread }
    }

    /// How long the writes took. An error: there was one that failed.
    pub(crate) fn stop(self) -> io::Result<Times> {
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the disk could not be watched")))
    }
}
