//! The program as its users start, question and stop it.

use std::{
    ffi::OsString,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sentinel_tests::free_port;

const PROGRAM: &str = env!("CARGO_BIN_EXE_sentinel");
const PATIENCE: Duration = Duration::from_secs(10);

/// A Sentinel in a temporary folder. Killed when dropped.
struct Running {
    process: Child,
    port: u16,
    folder: tempfile::TempDir,
}

/// A folder with a configuration: `lines` and what every test wants.
fn configured(lines: &str) -> (tempfile::TempDir, PathBuf, u16) {
    let (folder, port) = (tempfile::tempdir().expect("a temporary folder can be made"), free_port());
    let path = folder.path().join("s.conf");
    let text = format!("port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\n{lines}\n", folder.path().display());
    fs::write(&path, text).expect("a file can be written there");
    (folder, path, port)
}

impl Running {
    fn start(lines: &str, options: &[&str]) -> Self {
        let (folder, path, port) = configured(lines);
        Running::again(folder, &path, port, options)
    }

    fn again(folder: tempfile::TempDir, path: &Path, port: u16, options: &[&str]) -> Self {
        let process = Command::new(PROGRAM)
            .arg(path)
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut running = Running { process, port, folder };
        running.wait_for("an open port", |running| TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).is_ok());
        running
    }

    fn wait_for(&mut self, what: &str, mut there: impl FnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !there(self) {
            let ended = self.process.try_wait().expect("a child can be asked");
            assert!(ended.is_none(), "it ended with {ended:?} before there was {what}; log:\n{}", self.log());
            assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    fn config(&self) -> String {
        fs::read_to_string(self.folder.path().join("s.conf")).unwrap_or_default()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.process.id().cast_signed()).expect("a child has a pid");
        kill_process(pid, signal).expect("a child can be signalled");
    }

    /// Sends a signal and waits for the end.
    fn stop(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.process.try_wait().expect("a child can be asked") {
                return status;
            }
            assert!(Instant::now() < deadline, "it did not end after {signal:?}; log:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn ask(&self, words: &[&str]) -> Output {
        let output = Command::new(PROGRAM).args(words).args(["-p", &self.port.to_string()]).output();
        output.expect("the program can be started")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(words: &[&str]) -> Output {
    Command::new(PROGRAM).args(words).stdin(Stdio::null()).output().expect("the program can be started")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn an_identity_is_made_once_and_kept() {
    let mut first = Running::start("sentinel monitor m 127.0.0.1 1 1", &[]);
    first.wait_for("the first master in the log", |running| {
        running.log().contains("+monitor master m 127.0.0.1 1 quorum 1")
    });
    let log = first.log();
    let id =
        log.lines().find_map(|line| line.split("Sentinel ID is ").nth(1)).expect("the log names the id").to_owned();
    assert!(id.len() == 40 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert!(first.config().contains(&format!("sentinel myid {id}")), "{}", first.config());
    assert_eq!(first.stop(Signal::TERM).code(), Some(0));

    let folder = std::mem::replace(&mut first.folder, tempfile::tempdir().unwrap());
    let path = folder.path().join("s.conf");
    let mut second = Running::again(folder, &path, first.port, &[]);
    second.wait_for("a second start in the log", |running| running.log().matches("Sentinel ID is ").count() == 2);
    assert_eq!(second.log().matches(&format!("Sentinel ID is {id}")).count(), 2, "{}", second.log());
}

#[test]
fn it_stops_in_order_and_ignores_sighup() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut running = Running::start("pidfile pid", &[]);
        let pid_file = running.folder.path().join("pid");
        running.wait_for("a pid file", |_| pid_file.exists());
        assert_eq!(fs::read_to_string(&pid_file).unwrap().trim(), running.process.id().to_string());
        // The supervisor's signals are listened to before the first client is served.
        assert_eq!(running.ask(&["masters"]).status.code(), Some(0));
        running.signal(Signal::HUP);
        assert_eq!(running.ask(&["masters"]).status.code(), Some(0), "still there after SIGHUP");
        assert_eq!(running.stop(signal).code(), Some(0));
        assert!(!pid_file.exists());
        let log = running.log();
        let last: Vec<_> = log.lines().rev().take(3).map(|line| line.splitn(7, ' ').nth(6).unwrap_or("")).collect();
        assert_eq!(
            last,
            ["Sentinel is now ready to exit, bye bye...", "Removing the pid file.", "User requested shutdown..."],
            "{log}"
        );
    }
}

/// A supervisor that waits for the pid file and then signals, as init scripts do.
#[test]
fn a_signal_is_obeyed_in_order_as_soon_as_the_pid_file_is_there() {
    for round in 0..6 {
        let (folder, path, port) = configured("pidfile pid");
        let pid_file = folder.path().join("pid");
        let process = Command::new(PROGRAM)
            .arg(&path)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program can be started");
        let mut running = Running { process, port, folder };
        let deadline = Instant::now() + PATIENCE;
        while !pid_file.exists() {
            assert!(Instant::now() < deadline, "no pid file; log:\n{}", running.log());
            std::thread::sleep(Duration::from_micros(50));
        }
        if round % 2 == 1 {
            running.signal(Signal::HUP);
        }
        let status = running.stop(Signal::TERM);
        assert_eq!(status.code(), Some(0), "round {round}; log:\n{}", running.log());
        assert!(!pid_file.exists(), "round {round}: the pid file was left");
    }
}

/// logrotate: `mv`, then `kill -HUP` behind `postrotate`, then the moved file is compressed and removed.
#[test]
fn sighup_opens_a_log_that_was_moved_away_at_once() {
    let mut running = Running::start("loglevel warning", &[]);
    let (log, moved) = (running.folder.path().join("log"), running.folder.path().join("log.1"));
    let open_files = format!("/proc/{}/fd", running.process.id());
    let holds = |path: &Path| {
        let links = fs::read_dir(&open_files).expect("a process shows its files");
        links.filter_map(|link| fs::read_link(link.ok()?.path()).ok()).any(|target| target == path)
    };
    assert!(holds(&log));
    // Lines are written by a thread of their own, which may be late.
    running.wait_for("its id in the log", |running| running.log().contains("Sentinel ID is"));

    // When it is rotated, and nothing is logged
    fs::rename(&log, &moved).expect("a log can be moved");
    assert!(holds(&moved), "it is still written to");
    running.signal(Signal::HUP);

    // Then the moved file is free, and the new one is there
    running.wait_for("a new log", |_| holds(&log) && !holds(&moved));
    let before = fs::read_to_string(&moved).expect("the moved log is there");
    fs::remove_file(&moved).expect("a moved log can be removed");

    // And all that comes later is in it
    assert!(before.contains("Sentinel ID is"), "{before}");
    let status = running.stop(Signal::TERM);
    assert!(status.success());
    let after = running.log();
    assert!(!after.contains("Sentinel ID is") && after.contains("Received SIGTERM"), "{after}");
}

#[test]
fn sighup_keeps_the_log_where_a_new_one_cannot_be_opened() {
    let mut running = Running::start("", &[]);
    let (log, moved) = (running.folder.path().join("log"), running.folder.path().join("log.1"));
    assert_eq!(running.ask(&["masters"]).status.code(), Some(0));

    // When a folder has taken the place of the log
    fs::rename(&log, &moved).expect("a log can be moved");
    fs::create_dir(&log).expect("a folder can be made");
    running.signal(Signal::HUP);

    // Then that is said where it can be
    running.wait_for("a complaint", |_| {
        let text = fs::read_to_string(&moved).unwrap_or_default();
        text.contains("the log file cannot be opened anew: Is a directory; the one before stays in use")
    });
}

#[test]
fn it_says_why_it_does_not_start() {
    let none = run(&[]);
    assert_eq!(none.status.code(), Some(1));
    assert!(text(&none.stdout).contains("# Sentinel needs config file on disk to save state. Exiting..."), "{none:?}");

    let missing = run(&["/nonexistent/s.conf"]);
    assert_eq!(missing.status.code(), Some(1));
    let why = "Fatal error, can't open config file '/nonexistent/s.conf': No such file or directory";
    assert!(text(&missing.stdout).contains(why), "{missing:?}");

    let (_folder, path, _) = configured("sentinel monitor m 127.0.0.1 1 0");
    let wrong = run(&[path.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(text(&wrong.stderr).contains("Quorum must be 1 or greater."), "{wrong:?}");

    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (_folder, path, _) = configured("");
    let busy = run(&[path.to_str().unwrap(), "--port", &port, "--logfile", ""]);
    assert_eq!(busy.status.code(), Some(1));
    assert!(text(&busy.stdout).contains(&format!("Failed listening on port {port} (TCP), aborting.")), "{busy:?}");
}

#[test]
fn directives_of_the_command_line_win() {
    let (folder, path, _) = configured("");
    let port = free_port();
    let running = Running::again(folder, &path, port, &["--sentinel", "--port", &port.to_string()]);
    assert_eq!(running.ask(&["masters"]).status.code(), Some(0));
}

#[test]
fn a_dash_reads_further_directives_from_standard_input() {
    let (_folder, path, _) = configured("");
    let mut process = Command::new(PROGRAM)
        .arg(&path)
        .arg("-")
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut stdin = process.stdin.take().expect("it was piped");
    stdin.write_all(b"sentinel monitor m 127.0.0.1 1 0\n").expect("the program reads");
    drop(stdin);
    let output = process.wait_with_output().expect("a child can be waited for");
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Quorum must be 1 or greater."), "{output:?}");
}

#[test]
fn clients_that_come_and_go_are_told_as_by_the_reference_at_loglevel_verbose() {
    let mut running = Running::start("loglevel debug\nunixsocket socket", &[]);
    let connect = |port| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the port is open");

    // When clients come: one that asks and leaves, one that breaks the protocol, one led here by a browser, one over the socket
    let mut plain = connect(running.port);
    let address = plain.local_addr().expect("a connection has two ends");
    plain.write_all(b"CLIENT SETNAME somebody\r\n").expect("it reads");
    plain.read_exact(&mut [0; 5]).expect("it answers");
    drop(plain);
    let broken = |request: &[u8]| {
        let mut client = connect(running.port);
        client.write_all(request).expect("it reads");
        let mut answer = String::new();
        let _ = client.read_to_string(&mut answer);
        answer
    };
    assert_eq!(broken(b"*1\r\nAUTH secret\r\n"), "-ERR Protocol error: expected '$', got 'A'\r\n");
    for _ in 0..3 {
        assert_eq!(broken(b"POST / HTTP/1.1\r\n"), "");
    }
    let socket = running.folder.path().join("socket");
    drop(std::os::unix::net::UnixStream::connect(&socket).expect("the socket is open"));

    // Then each is told
    let expected = [
        format!(" - Accepted {address}\n"),
        " - Client closed connection id=".to_owned(),
        format!(" addr={address} laddr=127.0.0.1:{} ", running.port),
        " - Protocol error (expected '$', got 'A') from client: id=".to_owned(),
        " # Possible SECURITY ATTACK detected".to_owned(),
        " - Accepted connection to socket\n".to_owned(),
        format!(" . Rewritten config file ({}) successfully\n", running.folder.path().join("s.conf").display()),
    ];
    running.wait_for("a line about each client", |running| {
        let log = running.log();
        expected.iter().all(|line| log.contains(line)) && log.matches("Client closed connection").count() >= 2
    });
    let log = running.log();
    assert_eq!(log.matches("SECURITY ATTACK").count(), 1, "as seldom as the reference tells it: {log}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn the_log_can_be_json() {
    let mut running = Running::start("sentinel monitor m 127.0.0.1 1 1", &["--log-format", "json"]);
    running.wait_for("the first master in the log", |running| running.log().contains("+monitor"));
    let log = running.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let monitor = lines.iter().find(|line| line["event"] == "+monitor").expect("an event");
    assert_eq!((&monitor["master"], &monitor["quorum"]), (&"m".into(), &1.into()), "{monitor}");
}

#[test]
fn a_running_one_is_questioned_and_the_exit_status_tells() {
    let running = Running::start("sentinel monitor m 127.0.0.1 1 1\nrequirepass opensesame", &[]);
    let ask = |words: &[&str]| {
        let output = Command::new(PROGRAM)
            .args(words)
            .args(["-h", "127.0.0.1", "-p", &running.port.to_string()])
            .env("SENTINEL_PASSWORD", "opensesame")
            .output()
            .expect("the program can be started");
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    assert_eq!(ask(&["get-master-addr-by-name", "m"]), (Some(0), "127.0.0.1 1\n".to_owned(), String::new()));
    let (code, json, _) = ask(&["get-master-addr-by-name", "m", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["host"], &json["port"]), (Some(0), &"127.0.0.1".into(), &1.into()));
    let (code, table, _) = ask(&["masters"]);
    assert!(code == Some(0) && table.lines().count() == 2 && table.contains("m     127.0.0.1  1"), "{table}");
    assert_eq!(ask(&["get-master-addr-by-name", "other"]).0, Some(3));
    assert_eq!(ask(&["failover", "other"]).0, Some(3));
    let (code, _, why) = ask(&["failover", "m"]);
    assert!(code == Some(4) && why.contains("NOGOODSLAVE"), "{code:?} {why}");

    let without_password = running.ask(&["masters"]);
    assert_eq!(without_password.status.code(), Some(4));
    assert!(text(&without_password.stderr).contains("SENTINEL_PASSWORD"), "{without_password:?}");
    let nobody = run(&["masters", "-p", &free_port().to_string()]);
    assert_eq!(nobody.status.code(), Some(5));
    assert!(text(&nobody.stderr).contains("Connection refused (does it run there?"), "{nobody:?}");
    assert_eq!(run(&["failover"]).status.code(), Some(2));
}

#[test]
fn why_a_question_has_no_answer_is_told_with_the_remedy() {
    let running = Running::start("sentinel monitor m 127.0.0.1 1 1", &[]);
    let with_password = |word: &str| {
        let mut command = Command::new(PROGRAM);
        command.args(["masters", "-p", &running.port.to_string(), "--timeout", "300"]).env("SENTINEL_PASSWORD", word);
        let output = command.output().expect("the program can be started");
        (output.status.code(), text(&output.stderr))
    };

    // A password where none is needed
    let (code, told) = with_password("x");
    assert_eq!(code, Some(4), "{told}");
    let part = "AUTH <password> called without any password configured";
    assert!(told.contains(part) && told.contains("unset SENTINEL_PASSWORD"), "{told}");

    // A wrong one
    let secret = Running::start("requirepass opensesame", &[]);
    let output = secret.ask(&["masters", "--password", "x"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(text(&output.stderr).contains("WRONGPASS "), "{output:?}");
    assert!(text(&output.stderr).contains("SENTINEL_PASSWORD or in REDISCLI_AUTH)"), "{output:?}");

    // A Sentinel that hangs
    running.signal(Signal::STOP);
    let output = running.ask(&["masters", "--timeout", "300"]);
    running.signal(Signal::CONT);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(text(&output.stderr).contains("no answer within 300 ms (--timeout)"), "{output:?}");
}

#[test]
fn the_name_of_the_reference_makes_every_word_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("redis-sentinel");
    std::os::unix::fs::symlink(PROGRAM, &link).unwrap();
    let output = Command::new(&link).arg("masters").current_dir(folder.path()).output().unwrap();
    assert!(text(&output.stdout).contains("can't open config file 'masters'"), "{output:?}");
    let version = Command::new(&link).arg("-v").output().unwrap();
    assert!(version.status.success() && text(&version.stdout).starts_with("Redis server v="), "{version:?}");
}

#[test]
fn in_the_background_it_goes_on_without_the_one_that_started_it() {
    let (folder, path, port) = configured("daemonize yes\npidfile pid");
    let started = run(&[path.to_str().unwrap()]);
    assert_eq!(started.status.code(), Some(0), "{started:?}");
    let deadline = Instant::now() + PATIENCE;
    let pid_file = folder.path().join("pid");
    let pid = loop {
        let pid = fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse().ok()).and_then(Pid::from_raw);
        match pid {
            Some(pid) if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() => break pid,
            _ => assert!(Instant::now() < deadline, "{:?}", fs::read_to_string(folder.path().join("log"))),
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let mut answer = Vec::new();
    let program: OsString = PROGRAM.into();
    let ask = Command::new(program).args(["masters", "-p", &port.to_string()]).stdout(Stdio::piped()).spawn();
    ask.unwrap().stdout.unwrap().read_to_end(&mut answer).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    while pid_file.exists() {
        assert!(Instant::now() < deadline + PATIENCE, "it did not stop");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(text(&answer).starts_with("NAME"), "{}", text(&answer));
}

#[test]
fn a_save_that_hangs_is_told_and_the_process_can_be_stopped() {
    let mut running = Running::start("sentinel monitor m 127.0.0.1 1 1", &[]);
    running.wait_for("the first save", |running| running.config().contains("sentinel myid"));
    // Whoever opens this waits for somebody at its other end.
    let path = running.folder.path().join("s.conf");
    fs::remove_file(&path).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo can be started").success());
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).unwrap();
    client.write_all(b"SENTINEL FLUSHCONFIG\r\n").unwrap();
    running.wait_for("a word about it", |running| running.log().contains("s.conf has not ended for 1"));
    let mut other = TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).unwrap();
    other.write_all(b"PING\r\n").unwrap();
    let mut answer = [0; 7];
    other.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"+PONG\r\n");
    // Every two seconds it is looked whether the file was edited: that look hangs, too.
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(running.stop(Signal::TERM).code(), Some(0), "{}", running.log());
    assert!(running.log().contains("could not be saved within"), "{}", running.log());
}

#[test]
fn a_pipe_that_nobody_reads_keeps_it_from_nothing() {
    // What it logs goes to a pipe of this test, which holds some 64 kB.
    let mut running = Running::start("logfile \"\"\nsentinel monitor m 127.0.0.1 1 1", &[]);
    let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, running.port)).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    for _ in 0..100 {
        client.write_all(&b"SENTINEL SET m quorum 1\r\n".repeat(20)).unwrap();
        let mut answers = [0; 20 * 5];
        client.read_exact(&mut answers).unwrap();
        assert_eq!(answers, *b"+OK\r\n".repeat(20));
    }
    assert_eq!(running.stop(Signal::TERM).code(), Some(0));
    let mut said = String::new();
    running.process.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(said.len() >= 32 * 1024, "the pipe was full: {}", said.len());
}

/// The writing end of a pipe that is full and that nobody reads, and its other end.
fn full_pipe() -> (std::io::PipeWriter, std::io::PipeReader) {
    let (reader, writer) = std::io::pipe().expect("the system gives a pipe");
    rustix::io::ioctl_fionbio(&writer, true).expect("a pipe takes the option");
    let mut filling = &writer;
    while filling.write(&[b'x'; 4096]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).expect("a pipe takes the option");
    (writer, reader)
}

#[test]
fn a_start_that_is_refused_ends_though_nobody_reads_why() {
    let folder = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let taken = port.local_addr().unwrap().port();
    for (what, text) in [
        ("a faulty file, told to standard error", "sentinel monitor m 127.0.0.1 1 0\n".to_owned()),
        ("a port that is taken, told to standard output", format!("bind 127.0.0.1\nport {taken}\n")),
    ] {
        let file = folder.path().join("s.conf");
        fs::write(&file, text).unwrap();
        let (writer, _reader) = full_pipe();
        let mut process = Command::new(PROGRAM)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("a descriptor can be copied"))
            .stderr(writer)
            .spawn()
            .expect("the program can be started");
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = process.try_wait().expect("a child can be asked") {
                break status;
            }
            if Instant::now() > deadline {
                process.kill().expect("a child can be killed");
                panic!("{what}: it did not end");
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        assert_eq!(status.code(), Some(1), "{what}");
    }
}
