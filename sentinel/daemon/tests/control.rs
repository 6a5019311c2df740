//! Which Sentinel a command asks, as whom, and what a wrong word is answered with.

use std::{
    net::{SocketAddr, TcpStream},
    process::{Child, Command, Output},
    time::{Duration, Instant},
};

use sentinel_tests::free_port;
use socket2::{Domain, Socket, Type};

const PROGRAM: &str = env!("CARGO_BIN_EXE_sentinel");

/// A Sentinel with a password. Killed when dropped.
struct Running {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Running {
    fn start() -> Self {
        let (folder, port) = (tempfile::tempdir().expect("a temporary folder can be made"), free_port());
        let path = folder.path().join("s.conf");
        let text = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\nrequirepass open@sesame\nsentinel monitor 17 127.0.0.1 1 1\n",
            folder.path().display()
        );
        std::fs::write(&path, text).expect("a file can be written there");
        let process = Command::new(PROGRAM).arg(&path).spawn().expect("the program can be started");
        let running = Self { process, port, _folder: folder };
        let deadline = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < deadline, "it does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        running
    }
}

/// Runs a command with nothing of the environment but these.
fn run(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(PROGRAM);
    for name in ["SENTINEL_ADDRS", "SENTINEL_USER", "SENTINEL_PASSWORD", "REDISCLI_AUTH"] {
        command.env_remove(name);
    }
    command.args(words).envs(environment.iter().copied()).output().expect("the program can be started")
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[test]
fn the_first_sentinel_that_answers_serves() {
    let running = Running::start();
    let (dead, port) = (free_port(), running.port);
    let both = format!("127.0.0.1:{dead},127.0.0.1:{port}");
    let password = [("REDISCLI_AUTH", "open@sesame")];
    let output = run(&["masters", "-s", &both], &password);
    assert!(output.status.success() && told(&output).contains("17"), "{output:?}");
    let output = run(&["masters"], &[password[0], ("SENTINEL_ADDRS", both.as_str())]);
    assert!(output.status.success(), "{output:?}");
    // Where none does each is named
    let neither = format!("127.0.0.1:{dead},[::1]:{dead}");
    let output = run(&["masters", "-s", &neither], &password);
    assert_eq!(output.status.code(), Some(5));
    let text = told(&output);
    assert!(text.contains(&format!("127.0.0.1:{dead}: ")) && text.contains(&format!("[::1]:{dead}: ")), "{text}");
}

#[test]
fn a_sentinel_that_swallows_every_packet_keeps_nobody_waiting() {
    // Given one whose queue of connections is full: the kernel answers no further request for one
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("a port");
    listener.listen(0).expect("it listens");
    let at = listener.local_addr().expect("an address").as_socket().expect("an address of IP");
    let mut fillers = Vec::new();
    while let Ok(filler) = TcpStream::connect_timeout(&at, Duration::from_millis(100)) {
        fillers.push(filler);
    }
    let running = Running::start();

    // When it is named first, then the next one answers long before the whole time is over
    let began = Instant::now();
    let password = [("REDISCLI_AUTH", "open@sesame")];
    let addresses = format!("{at},127.0.0.1:{}", running.port);
    let output = run(&["masters", "-s", &addresses, "--timeout", "60000"], &password);
    assert!(output.status.success() && told(&output).contains("17"), "{output:?}");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());

    // And where no other one answers it has its whole time
    let began = Instant::now();
    let addresses = format!("{at},127.0.0.1:{}", free_port());
    let output = run(&["masters", "-s", &addresses, "--timeout", "1000"], &password);
    assert_eq!(output.status.code(), Some(5), "{output:?}");
    assert!(told(&output).contains(&format!("{at}: no answer within 1000 ms")), "{output:?}");
    assert!(began.elapsed() >= Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn a_password_is_given_in_any_of_the_usual_ways() {
    let running = Running::start();
    let port = running.port.to_string();
    let uri = format!("redis://:open%40sesame@127.0.0.1:{port}");
    assert!(run(&["masters", "-u", &uri], &[]).status.success());
    assert!(run(&["masters", "-p", &port, "-a", "open@sesame"], &[]).status.success());
    assert!(run(&["masters", "-p", &port, "--pass", "open@sesame"], &[]).status.success());
    let both = [("REDISCLI_AUTH", "wrong"), ("SENTINEL_PASSWORD", "open@sesame")];
    assert!(run(&["masters", "-p", &port], &both).status.success(), "ours comes first");
    let output = run(&["masters", "-p", &port], &both[..1]);
    assert!(output.status.code() == Some(4) && told(&output).contains("WRONGPASS"), "{output:?}");
    // A URI that is none is not repeated: it has a password in it
    let output = run(&["masters", "-u", "http://:open@127.0.0.1"], &[]);
    assert!(output.status.code() == Some(2) && !told(&output).contains("open@"), "{output:?}");
}

#[test]
fn errors_are_json_where_answers_are_and_names_stay_text() {
    let running = Running::start();
    let port = running.port.to_string();
    let output = run(&["masters", "-p", &port, "-a", "open@sesame", "--json"], &[]);
    let masters: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!((&masters[0]["name"], &masters[0]["port"]), (&"17".into(), &1.into()), "{masters}");
    let output = run(&["masters", "-p", &port, "--json"], &[]);
    let error: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(error["status"], 4, "{error}");
    assert!(error["error"].as_str().is_some_and(|text| text.contains("NOAUTH")), "{error}");
}

#[test]
fn a_word_that_is_neither_a_command_nor_a_file_is_told_what_comes_near() {
    let output = run(&["statsu"], &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("did you mean `sentinel status`?"), "{output:?}");
    let output = run(&["problem", "-p", "1"], &[]);
    assert!(output.status.code() == Some(2) && told(&output).contains("`sentinel problems`"), "{output:?}");
    // What looks like a file is one
    let output = run(&["statsu.conf"], &[]);
    assert!(output.status.code() == Some(1) && told(&output).contains("statsu.conf"), "{output:?}");
    for wrong in ["a:", "a:0", "a:x", "[::1", ",", " , "] {
        let output = run(&["masters", "-s", wrong], &[]);
        assert!(output.status.code() == Some(2) && told(&output).contains("host:port"), "{wrong}: {output:?}");
    }
    let output = run(&["failover", "m", "--to", "nowhere"], &[]);
    assert!(output.status.code() == Some(2) && told(&output).contains("host:port"), "{output:?}");
    assert_eq!(run(&["pause"], &[]).status.code(), Some(2), "which one?");
    assert_eq!(run(&["pause", "m", "5m", "--all"], &[]).status.code(), Some(2), "which one?");
}

#[test]
fn the_manual_is_printed() {
    let output = run(&["man"], &[]);
    assert!(output.status.success() && told(&output).contains(".SS switchover"), "{output:?}");
}
