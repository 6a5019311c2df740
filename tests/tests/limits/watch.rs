//! A Sentinel that watches one node, and what misbehaving clients cost it.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sentinel_tests::{Kind, SentinelProcess, eventually};
use tempfile::TempDir;

use crate::node::Node;

/// The figure to reach on a quiet machine: a period of 1 s and a tenth of it.
const LONGEST_GAP: Duration = Duration::from_millis(1_100);
/// How long anything is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A Sentinel of ours that watches one node.
#[derive(Debug)]
pub(crate) struct Watch {
    node: Node,
    sentinel: SentinelProcess,
    pid: u32,
    _folder: TempDir,
}

/// What was measured while clients misbehaved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Measured {
    /// Growth of the Sentinel's memory in KiB.
    pub(crate) grown: u64,
}

impl Watch {
    /// Starts both, and waits until the pings have their rhythm. `lines` are added to the Sentinel's configuration.
    pub(crate) fn start(lines: &[&str]) -> Self {
        let node = Node::start();
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut config = vec![
            format!("sentinel monitor mymaster 127.0.0.1 {} 1", node.port()),
            "sentinel down-after-milliseconds mymaster 30000".to_owned(),
        ];
        config.extend(lines.iter().map(|line| (*line).to_owned()));
        let sentinel = SentinelProcess::start(folder.path(), "sentinel", Kind::Ours, &config);
        eventually("the node is pinged", PATIENCE, || match node.pings() {
            pings @ 2.. => Ok(pings),
            pings => Err(format!("{pings} PINGs:\n{}", sentinel.last_output(10))),
        });
        let info: String = sentinel.command(&["INFO", "server"]).expect("INFO");
        let pid = info.lines().find_map(|line| line.strip_prefix("process_id:")?.trim().parse().ok());
        Self { node, sentinel, pid: pid.expect("a process id"), _folder: folder }
    }

    /// Its Sentinel.
    pub(crate) fn sentinel(&self) -> &SentinelProcess {
        &self.sentinel
    }

    /// Does harm for at least three periods, by calling `harm` again and again. Meanwhile the pings must keep their
    /// rhythm and other clients be answered.
    pub(crate) fn endures(&self, what: &str, mut harm: impl FnMut()) -> Measured {
        let before = self.memory();
        let machine = Hiccups::watch();
        let begun = Instant::now();
        let mut highest = before;
        let mut rounds = 0_u32;
        while begun.elapsed() < Duration::from_secs(4) {
            harm();
            rounds += 1;
            highest = highest.max(self.memory());
            let answer: String = self.sentinel.command(&["PING"]).expect("others are answered");
            assert_eq!(answer, "PONG");
        }
        let worst = self.node.worst_gap(begun, Instant::now());
        let hiccup = machine.worst();
        // Where the machine itself lets a thread wait that long, node and Sentinel each may have been that thread.
        let bound = LONGEST_GAP + 3 * hiccup;
        let grown = highest.saturating_sub(before);
        println!(
            "{what}: {rounds} times, worst gap between PINGs {} ms (a thread of this machine waited up to {} ms), memory + {grown} KiB",
            worst.as_millis(),
            hiccup.as_millis()
        );
        assert!(worst <= bound, "{what}: {worst:?} without a PING, at most {bound:?} were to be expected");
        Measured { grown }
    }

    /// Resident memory of the Sentinel in KiB.
    pub(crate) fn memory(&self) -> u64 {
        let path = format!("/proc/{}/status", self.pid);
        let status = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).expect("VmRSS in kB")
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.sentinel.port())).expect("a Sentinel that listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream.set_write_timeout(Some(PATIENCE)).expect("a socket");
        stream
    }

    /// Sends bytes on a new connection until they end or it does not take more, and gives what comes back until it is
    /// closed from there.
    pub(crate) fn refusal(&self, bytes: impl IntoIterator<Item = Vec<u8>>) -> String {
        let mut stream = self.connect();
        for piece in bytes {
            // Closed by then: the answer has come before.
            if stream.write_all(&piece).is_err() {
                break;
            }
        }
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match stream.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&buffer[..read]),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("still open after {}", answer.escape_ascii())
                }
                // What was sent beyond the refusal makes the end of a connection a reset.
                Err(_) => break,
            }
        }
        String::from_utf8_lossy(&answer).into_owned()
    }
}

/// How long this machine lets a thread wait that wants to run.
struct Hiccups {
    worst: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Hiccups {
    fn watch() -> Self {
        let hiccups = Self { worst: Arc::default(), ended: Arc::default() };
        let (worst, ended) = (Arc::clone(&hiccups.worst), Arc::clone(&hiccups.ended));
        thread::spawn(move || {
            const NAP: Duration = Duration::from_millis(5);
            while !ended.load(Ordering::Relaxed) {
                let begun = Instant::now();
                thread::sleep(NAP);
                let late = begun.elapsed().saturating_sub(NAP);
                worst.fetch_max(u64::try_from(late.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        });
        hiccups
    }

    fn worst(&self) -> Duration {
        Duration::from_micros(self.worst.load(Ordering::Relaxed))
    }
}

impl Drop for Hiccups {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}
