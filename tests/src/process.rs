//! Child processes that cannot outlive the test.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{OnceLock, mpsc};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::programs;
use crate::wait::eventually;

/// A server that was started by a test, and its log.
///
/// It is killed when this value is dropped, and by the kernel when the test process dies in any other way.
#[derive(Debug)]
pub struct ServerProcess {
    label: String,
    child: Child,
    log: PathBuf,
}

impl ServerProcess {
    /// Starts `program` with `arguments`; what it prints is appended to `<folder>/output.log`.
    pub fn start(label: &str, program: &Path, arguments: &[OsString], folder: &Path) -> Self {
        let log = folder.join("output.log");
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap_or_else(|error| panic!("{label}: cannot open {}: {error}", log.display()));
        let errors = output.try_clone().expect("an open file can be opened twice");

        let mut command = match programs::death_signal_wrapper() {
            Some(setpriv) => {
                let mut command = Command::new(setpriv);
                command.args(["--pdeathsig", "KILL", "--"]).arg(program);
                command
            }
            None => Command::new(program),
        };
        command.args(arguments).current_dir(folder).stdin(Stdio::null()).stdout(output).stderr(errors);
        let child = spawn_from_lasting_thread(command)
            .unwrap_or_else(|error| panic!("{label}: cannot run {}: {error}", program.display()));
        Self { label: label.to_owned(), child, log }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is gone: its port is free and its sockets are closed.
    pub fn kill(mut self) {
        self.kill_and_reap();
    }

    /// SIGSTOP: it stays connected and answers nobody.
    pub fn hang(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT: it goes on as if no time had passed.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.signal(Signal::HUP);
    }

    /// SIGTERM, and waits for an orderly end.
    ///
    /// # Panics
    /// When it has not ended `within` that time.
    pub fn terminate(mut self, within: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        let label = self.label.clone();
        eventually(&format!("{label} ends after SIGTERM"), within, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("still running".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// How it ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// The last lines of what it printed.
    pub fn last_output(&self, lines: usize) -> String {
        last_lines(&self.log, lines)
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{}: cannot send {signal:?} to {pid}: {error}", self.label));
    }

    fn kill_and_reap(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.kill_and_reap();
    }
}

/// The last `lines` of a text file; an explanation if it cannot be read.
pub(crate) fn last_lines(path: &Path, lines: usize) -> String {
    match fs::read(path) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            let all: Vec<&str> = text.lines().collect();
            all[all.len().saturating_sub(lines)..].join("\n")
        }
        Err(error) => format!("({}: {error})", path.display()),
    }
}

type SpawnRequest = (Command, mpsc::Sender<io::Result<Child>>);

/// The signal at the parent's death is sent when the *thread* that made the child ends. Tests run in threads of their own, and
/// children are also started from helper threads, so one thread that lives as long as the process makes them all.
fn spawn_from_lasting_thread(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<SpawnRequest>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = mpsc::channel::<SpawnRequest>();
        std::thread::Builder::new()
            .name("spawner".to_owned())
            .spawn(move || {
                for (mut command, reply) in inbox {
                    // The asker waits for the answer, so it is there to take it.
                    let _ = reply.send(command.spawn());
                }
            })
            .expect("a thread can be started");
        requests
    });
    let (reply, answer) = mpsc::channel();
    spawner.send((command, reply)).expect("the spawner lives as long as the process");
    answer.recv().expect("the spawner answers every request")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hanging_process_is_killed_with_its_fixture() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let process = ServerProcess::start("sleeper", Path::new("sleep"), &["600".into()], folder.path());
        let pid = Pid::from_raw(i32::try_from(process.pid()).expect("a pid")).expect("a pid");
        process.hang();
        drop(process);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }
}
