//! A program that lets clients in on a port of loopback.

use std::{
    fs,
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

/// More than a start or an answer takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Such a program. Killed when dropped.
pub(crate) struct Listening {
    pub(crate) process: Child,
    pub(crate) port: u16,
    output: PathBuf,
}

impl Listening {
    /// Starts it, with its output in a file, and waits until it lets clients in.
    pub(crate) fn start(mut command: Command, port: u16, output: PathBuf) -> Self {
        let file = fs::File::create(&output).expect("a file for the output");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("a second handle")).stderr(file);
        let process = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut listening = Listening { process, port, output };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            let ended = listening.process.try_wait().expect("a child can be asked");
            let late = ended.is_some() || Instant::now() > deadline;
            assert!(!late, "{command:?} does not come up: {ended:?}\n{}", listening.said());
            std::thread::sleep(Duration::from_millis(5));
        }
        listening
    }

    /// What it printed so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Waits until it has printed this. What it logs may come later than the answer that it is about.
    pub(crate) fn says(&self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(text) {
            assert!(Instant::now() < deadline, "{text:?} is not said:\n{}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// A client's connection, which does not wait for an answer for ever.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        stream
    }

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.kill();
    }
}
