//! The first thing a newcomer sees.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use sentinel_tests::{eventually, programs};

use crate::given::only_true_of_ours;

/// Ended with the test, whatever becomes of it; its own children end with it.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // Errors mean that it has ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demo_holds_what_it_promises_and_cleans_up() {
    if only_true_of_ours("it has no demo") {
        return;
    }
    // Given a folder for temporary files
    let folder = tempfile::tempdir().expect("a temporary folder");

    // When the demo runs, with nobody at the keyboard
    let demo = Command::new(programs::our_sentinel())
        .arg("demo")
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .expect("it can be started");
    let mut demo = Demo(demo);
    let mut shown = demo.0.stdout.take().expect("its output is a pipe");
    let reader = std::thread::spawn(move || std::io::read_to_string(&mut shown));
    let status = eventually("the demo ends", Duration::from_secs(90), || match demo.0.try_wait() {
        Ok(Some(status)) => Ok(status),
        Ok(None) => Err("it still runs".to_owned()),
        Err(error) => Err(error.to_string()),
    });
    let shown = reader.join().expect("the reader does not panic").expect("the demo prints text");

    // Then it says that all it promises held
    assert!(status.success(), "{status}:\n{shown}");

    // And it leaves no files behind, and so no process that writes them
    assert!(left_in(&folder).is_empty(), "{:?}:\n{shown}", left_in(&folder));
}

fn left_in(folder: &tempfile::TempDir) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder.path()).expect("the folder can be read");
    entries.map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn a_demo_that_is_told_to_stop_takes_its_deployment_along() {
    if only_true_of_ours("it has no demo") {
        return;
    }
    // Given a demo whose deployment runs
    let folder = tempfile::tempdir().expect("a temporary folder");
    let demo = Command::new(programs::our_sentinel())
        .args(["demo", "--keep"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it can be started");
    let mut demo = Demo(demo);
    let mut shown = BufReader::new(demo.0.stdout.take().expect("its output is a pipe"));
    let addresses: Vec<String> = shown.by_ref().lines().map_while(Result::ok).take(4).collect();
    let ports: Vec<u16> = addresses
        .iter()
        .flat_map(|line| line.split_whitespace())
        .filter_map(|word| word.strip_prefix("127.0.0.1:")?.parse().ok())
        .collect();
    assert_eq!(ports.len(), 6, "{addresses:?}");

    // When it is killed politely, not with Ctrl-C
    let id = demo.0.id().try_into().ok().and_then(Pid::from_raw).expect("a process id");
    kill_process(id, Signal::TERM).expect("it can be told");

    // Then it ends, and nothing of it is left
    eventually("the demo ends", Duration::from_secs(30), || match demo.0.try_wait() {
        Ok(Some(_)) => Ok(()),
        other => Err(format!("{other:?}")),
    });
    let answering: Vec<u16> =
        ports.into_iter().filter(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()).collect();
    assert!(answering.is_empty() && left_in(&folder).is_empty(), "{answering:?} {:?}", left_in(&folder));
}

#[test]
fn a_server_that_is_named_and_is_not_there_is_told() {
    let demo = Command::new(programs::our_sentinel()).arg("demo").env("REDIS_SERVER", "/nonexistent/server").output();
    let demo = demo.expect("it can be started");
    let told = String::from_utf8_lossy(&demo.stderr);
    assert_eq!(demo.status.code(), Some(1), "{told}");
    assert!(told.contains("REDIS_SERVER names /nonexistent/server, which is no program: name another one"), "{told}");
}
