//! What systemd hears, and the unit that users copy.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sentinel_tests::{DataNode, Dataset, free_port};

const PATIENCE: Duration = Duration::from_secs(20);

/// A Sentinel in a temporary folder, and the socket at which systemd would listen to it. Killed when dropped.
struct Supervised {
    process: Child,
    systemd: UnixDatagram,
    /// What was heard and not asked for yet, line by line.
    heard: Vec<String>,
    folder: tempfile::TempDir,
}

impl Supervised {
    /// `lines` go to its configuration; `watchdog` is how long systemd bears its silence.
    fn start(lines: &str, options: &[&str], watchdog: Option<Duration>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let (path, port) = (folder.path().join("s.conf"), free_port());
        let text = format!("port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\n{lines}\n", folder.path().display());
        fs::write(&path, text).expect("a file can be written there");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
        command.arg(&path).args(options);
        if let Some(limit) = watchdog {
            command.env("WATCHDOG_USEC", limit.as_micros().to_string());
        }
        Self::of(command, folder)
    }

    /// Starts a command that tells systemd of itself.
    fn of(mut command: Command, folder: tempfile::TempDir) -> Self {
        let socket = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&socket).expect("a socket can be made there");
        systemd.set_read_timeout(Some(Duration::from_millis(100))).expect("a timeout can be set");
        command.env("NOTIFY_SOCKET", &socket);
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        Supervised { process: process.expect("the program can be started"), systemd, heard: Vec::new(), folder }
    }

    /// Waits for a line that `wanted` looks for, also among those heard before that nobody asked for.
    fn hear(&mut self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(at) = self.heard.iter().position(|line| wanted(line)) {
                return self.heard.remove(at);
            }
            let (heard, log) = (&self.heard, self.log());
            assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}, but {heard:?}; log:\n{log}");
            let mut message = [0; 1024];
            if let Ok(length) = self.systemd.recv(&mut message) {
                self.heard.extend(String::from_utf8_lossy(&message[..length]).lines().map(str::to_owned));
            }
        }
    }

    fn hear_exactly(&mut self, line: &str) {
        self.hear(line, |it| it == line);
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).expect("a child has a pid");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(name)
}

#[test]
fn the_units_that_users_copy_hear_when_it_is_ready() {
    for unit in ["sentineld.service", "redis-sentinel.override.conf"] {
        // Given the options of the unit
        let path = example(unit);
        let unit = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/")).expect("it says what to start");
        let options: Vec<&str> = start.split(' ').skip(2).collect();

        // When it is started so, then it says that it is ready, without leaving for the background
        let mut running = Supervised::start("daemonize yes", &options, None);
        running.hear_exactly("READY=1");
        let ended = running.process.try_wait().expect("a child can be asked");
        assert!(ended.is_none(), "{options:?}: {ended:?}\n{}", running.log());
    }
}

#[test]
fn the_unit_of_the_proxy_hears_when_it_is_ready_and_when_it_stops() {
    // Given what the unit starts, for a master whose Sentinels nobody has started
    let path = example("sentinel-proxy@.service");
    let unit = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/")).expect("it says what to start");
    let words = start.split(' ').skip(1).map(|word| word.replace("%i", "mymaster").replace("${LISTEN}", "127.0.0.1:0"));
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let mut command = Command::new(env!("CARGO_BIN_EXE_sentinel"));
    command.args(words).arg("--logfile").arg(folder.path().join("log")).env("SENTINEL_ADDRS", "127.0.0.1:1");

    // Then it is ready once clients can connect, and says that it stops
    let mut running = Supervised::of(command, folder);
    running.hear_exactly("READY=1");
    running.signal(Signal::TERM);
    running.hear_exactly("STOPPING=1");
    assert!(running.ended().success(), "{}", running.log());
}

#[test]
fn it_tells_when_it_reads_its_configuration_again_and_when_it_stops() {
    let mut running = Supervised::start("supervised systemd", &[], None);
    running.hear_exactly("READY=1");
    running.hear_exactly("STATUS=0 masters, nothing is wrong");
    running.signal(Signal::HUP);
    running.hear_exactly("RELOADING=1");
    // `Type=notify-reload` takes what is not later than its signal for the end of an earlier reload.
    let moment = running.hear("moment", |line| line.starts_with("MONOTONIC_USEC="));
    assert!(moment["MONOTONIC_USEC=".len()..].parse::<u64>().is_ok_and(|it| it > 0), "{moment}");
    running.hear_exactly("READY=1");
    running.signal(Signal::TERM);
    running.hear_exactly("STOPPING=1");
    assert!(running.ended().success());
}

#[test]
fn the_status_names_the_gravest_problem_as_long_as_there_is_one() {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let port = master.port();
    let lines = format!("sentinel monitor m 127.0.0.1 {port} 1\nsentinel down-after-milliseconds m 300");
    let mut running = Supervised::start(&lines, &["--supervised", "auto"], Some(Duration::from_secs(1)));
    running.hear_exactly("WATCHDOG=1");

    // When the only master dies
    master.kill();

    // Then that stands before all else that is wrong with so small a deployment, until the master is back
    let is_down = |line: &str| line.starts_with("STATUS=1 master, ") && line.contains("m: master-down: ");
    running.hear("status with the death", is_down);
    running.heard.clear();
    running.hear_exactly("WATCHDOG=1");
    master.restart(Dataset::Kept);
    running.hear("status without it", |line| line.starts_with("STATUS=") && !line.contains("master-down"));
}

#[test]
fn a_file_that_hangs_is_no_reason_to_be_killed_by_the_watchdog() {
    let mut running = Supervised::start("supervised systemd", &[], Some(Duration::from_millis(500)));
    running.hear_exactly("READY=1");
    // Whoever opens this waits for somebody at its other end.
    let path = running.folder.path().join("s.conf");
    fs::remove_file(&path).expect("it was saved");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo can be started").success());
    running.signal(Signal::HUP);
    running.hear_exactly("RELOADING=1");
    running.heard.clear();
    for _ in 0..4 {
        running.hear_exactly("WATCHDOG=1");
    }
}
