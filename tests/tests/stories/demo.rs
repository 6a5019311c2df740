//! The first thing a newcomer sees.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

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
    let left: Vec<_> = std::fs::read_dir(folder.path())
        .expect("the folder can be read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert!(left.is_empty(), "{left:?}:\n{shown}");
}
