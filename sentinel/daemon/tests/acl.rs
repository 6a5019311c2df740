//! Users in the configuration and in the ACL file: enforced from the start, kept, and understood by redis-sentinel.

mod config_support;

use std::{
    fs,
    io::{Read as _, Write as _},
    path::Path,
    process::{Command, Output, Stdio},
};

use config_support::Listening;
use sentinel_tests::free_port;

const OURS: &str = env!("CARGO_BIN_EXE_sentinel");
const REFERENCE: &str = "redis-sentinel";

/// A Sentinel of either kind.
struct Running(Listening);

/// Puts a configuration in its place and starts a program with it.
fn start(program: &str, folder: &Path, lines: &str) -> Running {
    let port = free_port();
    let text = format!(
        "port {port}\nbind 127.0.0.1\ndir {}\nlogfile log\nsentinel monitor m 127.0.0.1 1 2\n{lines}",
        folder.display()
    );
    fs::write(folder.join("s.conf"), text).expect("a writable folder");
    again(program, folder, port)
}

fn again(program: &str, folder: &Path, port: u16) -> Running {
    let mut command = Command::new(program);
    command.arg(folder.join("s.conf"));
    Running(Listening::start(command, port, folder.join("output")))
}

impl Running {
    /// What comes back for some requests and a last one that ends the connection.
    fn talk(&self, requests: &[&str]) -> String {
        const END: &str = "the-end-of-it";
        let mut stream = self.0.connect();
        let text = format!("{}\r\n{END}\r\n", requests.join("\r\n"));
        stream.write_all(text.as_bytes()).expect("a connection that takes requests");
        let mut answer = String::new();
        let mut bytes = [0; 4096];
        while !answer.contains(END) {
            let read = stream.read(&mut bytes).unwrap_or_else(|error| panic!("{error} after {answer:?}"));
            assert!(read > 0, "closed after {answer:?}");
            answer += &String::from_utf8_lossy(&bytes[..read]);
        }
        answer
    }
}

/// The lines about users in a configuration.
fn user_lines(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("s.conf")).expect("a configuration");
    text.lines().filter(|line| line.starts_with("user ")).map(str::to_owned).collect()
}

fn refused(program: &str, folder: &Path, lines: &str) -> Output {
    let text = format!("port {}\ndir {}\nsentinel monitor m 127.0.0.1 1 2\n{lines}", free_port(), folder.display());
    fs::write(folder.join("s.conf"), text).expect("a writable folder");
    let output = Command::new(program).arg(folder.join("s.conf")).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    output
}

#[test]
fn users_changed_at_run_time_are_kept_and_mean_the_same_to_the_reference() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "# who watches\nuser watch on >w +ping +sentinel|masters\nuser gone on nopass +@all\n";
    let ours = start(OURS, folder.path(), lines);
    assert!(ours.talk(&["AUTH watch w", "ROLE"]).starts_with("+OK\r\n-NOPERM "));
    ours.talk(&["SENTINEL FLUSHCONFIG"]);
    // Nobody changed anything: the lines stay as they were written.
    assert_eq!(user_lines(folder.path()), ["user watch on >w +ping +sentinel|masters", "user gone on nopass +@all"]);

    let added = "ACL SETUSER new on >n (+role ~x) &+switch-* +subscribe +client|setinfo";
    let changes = ours.talk(&[added, "ACL SETUSER watch >v", "ACL DELUSER gone", "SENTINEL FLUSHCONFIG"]);
    assert!(changes.starts_with("+OK\r\n+OK\r\n:1\r\n+OK\r\n"), "{changes}");
    let listed = ours.talk(&["ACL LIST"]);
    let kept = user_lines(folder.path());
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept.iter().all(|line| listed.contains(&format!("\r\n{line}\r\n"))), "{kept:?} is not {listed}");
    let text = fs::read_to_string(folder.path().join("s.conf")).expect("a configuration");
    assert!(text.contains("# who watches\nuser watch on #"), "{text}");

    let port = ours.0.port;
    drop(ours);
    let reference = again(REFERENCE, folder.path(), port);
    assert!(reference.talk(&["AUTH new n", "ROLE"]).starts_with("+OK\r\n*2\r\n"));
    reference.talk(&["ACL SETUSER by-reference on >r +@all -sentinel|reset", "SENTINEL FLUSHCONFIG"]);
    drop(reference);

    let ours = again(OURS, folder.path(), port);
    let answers = ours.talk(&["AUTH by-reference r", "SENTINEL RESET x", "AUTH watch v", "PING", "AUTH gone x"]);
    let expected = "+OK\r\n-NOPERM this user has no permissions to run the 'sentinel|reset' command\r\n+OK\r\n+PONG\r\n-WRONGPASS ";
    assert!(answers.starts_with(expected), "{answers}");
}

#[test]
fn a_fault_in_an_acl_file_ends_the_start_as_in_the_reference() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("users.acl"), "user a on +nope\nnonsense\n").expect("a writable folder");
    let said = [OURS, REFERENCE].map(|program| {
        let output = refused(program, folder.path(), "aclfile users.acl\n");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line =
            said.lines().find(|line| line.contains("ACL errors:")).unwrap_or_else(|| panic!("{said}")).to_owned();
        // The reference repeats the path as it was written, and so do we.
        line.split_once("Aborting").map_or(line.clone(), |(_, text)| text.to_owned())
    });
    assert_eq!(said[0], said[1]);
    let both = refused(OURS, folder.path(), "aclfile users.acl\nuser a on\n");
    assert!(String::from_utf8_lossy(&both.stderr).contains("Configuring Redis with users defined in redis.conf"));
}

#[test]
fn a_configuration_is_checked_with_its_acl_file() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("users.acl"), "user a on +ping\n").expect("a writable folder");
    let path = folder.path().join("s.conf");
    let text = format!("dir {}\naclfile users.acl\nsentinel monitor m 127.0.0.1 1 2\n", folder.path().display());
    fs::write(&path, text).expect("a writable folder");
    let check = || Command::new(OURS).arg("check").arg(&path).output().expect("the program can be started");
    assert!(check().status.success(), "{:?}", check());
    fs::write(folder.path().join("users.acl"), "user a on +nope\n").expect("a writable folder");
    let output = check();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("'+nope'"), "{output:?}");
}
