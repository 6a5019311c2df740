//! The thread that writes lines.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
        mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tracing_subscriber::fmt::MakeWriter;

use super::syslog::{SOCKET, Socket, Syslog};

/// How many lines may wait to be written. One more is lost, and counted.
const WAITING_LINES: usize = 8192;

enum Job {
    Line(Vec<u8>),
    /// Says when everything before it is written.
    Flush(SyncSender<()>),
    /// Opens the file anew, even if nothing is to be written, and says how that went.
    Reopen(SyncSender<io::Result<()>>),
    End,
}

/// The way to the thread of this process, once it logs.
static RUNNING: OnceLock<SyncSender<Job>> = OnceLock::new();

/// Waits until everything said so far is written, or the time is over.
pub fn flush(limit: Duration) {
    let Some(jobs) = RUNNING.get() else { return };
    let (written, wait) = mpsc::sync_channel(1);
    if jobs.try_send(Job::Flush(written)).is_ok() {
        // Too late, or nobody writes any more: either way there is nothing more to do.
        let _ = wait.recv_timeout(limit);
    }
}

/// Opens the log file anew after everything said so far, and waits for it until the time is over. What comes later goes into
/// the file that has the name then. Without a file it does nothing. An error: what was open before is used on.
pub fn reopen(limit: Duration) -> io::Result<()> {
    let Some(jobs) = RUNNING.get() else { return Ok(()) };
    let (opened, wait) = mpsc::sync_channel(1);
    jobs.try_send(Job::Reopen(opened)).map_err(|_| io::ErrorKind::WouldBlock)?;
    wait.recv_timeout(limit).map_err(|_| io::ErrorKind::TimedOut)?
}

/// Takes lines without waiting.
#[derive(Clone)]
pub(super) struct Sink {
    jobs: SyncSender<Job>,
    lost: Arc<AtomicU64>,
}

/// How long the last lines may take to be written. A pipe that nobody reads must not keep the process from ending.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Keeps the log going. Dropped, it waits until everything said so far is written, but for two seconds at most; later lines
/// are lost.
#[derive(Debug)]
pub struct Guard {
    jobs: SyncSender<Job>,
    thread: Option<JoinHandle<()>>,
    /// Closed when the thread ends.
    ended: Receiver<()>,
    other: Option<Box<Guard>>,
}

impl Guard {
    /// Keeps another one, too.
    pub(super) fn and(mut self, other: Guard) -> Self {
        self.other = Some(Box::new(other));
        self
    }
}

impl std::fmt::Debug for Job {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Job")
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let over = Instant::now() + LAST_LINES;
        // Another error means that the thread is gone already.
        while let Err(TrySendError::Full(_)) = self.jobs.try_send(Job::End) {
            if Instant::now() >= over {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let left = over.saturating_duration_since(Instant::now());
        if self.ended.recv_timeout(left) == Err(RecvTimeoutError::Disconnected)
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

impl Sink {
    /// From now on [`flush`] waits for this one.
    pub(super) fn serve_process(&self) {
        // There is one log in a process.
        let _ = RUNNING.set(self.jobs.clone());
    }

    /// Starts the thread.
    pub(super) fn start(mut target: Target) -> io::Result<(Self, Guard)> {
        let (jobs, queue) = mpsc::sync_channel(WAITING_LINES);
        let lost = Arc::new(AtomicU64::new(0));
        let sink = Sink { jobs: jobs.clone(), lost: Arc::clone(&lost) };
        let (ends, ended) = mpsc::channel();
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
            let _ends: mpsc::Sender<()> = ends;
            while let Ok(job) = queue.recv() {
                let line = match job {
                    Job::Line(line) => line,
                    Job::Flush(written) => {
                        let _ = written.send(());
                        continue;
                    }
                    Job::Reopen(opened) => {
                        let _ = opened.send(target.reopen());
                        continue;
                    }
                    Job::End => break,
                };
                target.write(&line);
                let lost = lost.swap(0, Relaxed);
                if lost > 0 {
                    target.write(format!("{lost} log lines were lost: the log is written too slowly\n").as_bytes());
                }
            }
        })?;
        Ok((sink, Guard { jobs, thread: Some(thread), ended, other: None }))
    }
}

/// A line comes in one call, since `tracing_subscriber` formats it completely first.
impl Write for Sink {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if let Err(TrySendError::Full(_)) = self.jobs.try_send(Job::Line(line.to_vec())) {
            self.lost.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Sink {
    type Writer = Sink;

    fn make_writer(&'a self) -> Sink {
        self.clone()
    }
}

/// Where lines go.
pub(super) enum Target {
    Stdout,
    File(LogFile),
    System(Socket),
}

impl Target {
    /// A file, or the standard output.
    pub(super) fn of_file(file: Option<PathBuf>) -> io::Result<Self> {
        Ok(match file {
            Some(path) => Target::File(LogFile::open(path)?),
            None => Target::Stdout,
        })
    }

    /// The system log, which need not be there yet.
    pub(super) fn system(syslog: &Syslog) -> Self {
        Target::System(Socket::new(syslog.socket.clone().unwrap_or_else(|| SOCKET.into())))
    }

    fn reopen(&mut self) -> io::Result<()> {
        match self {
            Target::File(file) => file.reopen(),
            Target::Stdout | Target::System(_) => Ok(()),
        }
    }

    /// There is nobody to tell that the log cannot be written.
    fn write(&mut self, line: &[u8]) {
        let _ = match self {
            Target::Stdout => io::stdout().lock().write_all(line).and_then(|()| io::stdout().flush()),
            Target::File(file) => file.write(line),
            Target::System(socket) => socket.send(line.trim_ascii_end()),
        };
    }
}

/// A log file that may be moved away at any time, as log rotation does.
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
}

impl LogFile {
    fn open(path: PathBuf) -> io::Result<Self> {
        let file = append_to(&path)?;
        Ok(LogFile { path, file })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        if !self.is_in_place() {
            // Better the moved file than none.
            let _ = self.reopen();
        }
        self.file.write_all(line)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = append_to(&self.path)?;
        Ok(())
    }

    fn is_in_place(&self) -> bool {
        match (std::fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
            _ => false,
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_moved_away_is_opened_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("log"), folder.path().join("log.1"));
        std::fs::write(&path, "before\n").unwrap();
        let mut file = LogFile::open(path.clone()).unwrap();
        file.write(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        file.write(b"two\n").unwrap();
        assert_eq!(std::fs::read_to_string(moved).unwrap(), "before\none\n");
        assert_eq!(std::fs::read_to_string(path).unwrap(), "two\n");
    }

    #[test]
    fn the_guard_waits_for_the_last_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let (mut sink, guard) = Sink::start(Target::of_file(Some(path.clone())).unwrap()).unwrap();
        for _ in 0..1000 {
            sink.write_all(b"line\n").unwrap();
        }
        drop(guard);
        assert_eq!(std::fs::read_to_string(path).unwrap().lines().count(), 1000);
    }
}
