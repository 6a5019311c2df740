//! Tests that this machine does not allow.

use std::env;
use std::fs::OpenOptions;
use std::io::Write as _;

/// Notes that the running test, or a part of it, cannot run here. The caller returns afterwards.
///
/// With `ALLOW_SKIPS=1` the reason is appended to the file that `SKIPPED_TESTS` names, which `scripts/test` prints at its end.
///
/// # Panics
/// Unless `ALLOW_SKIPS=1`: a test that did not run has not passed.
#[track_caller]
pub fn skipped(reason: &str) {
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    assert!(
        env::var_os("ALLOW_SKIPS").is_some_and(|value| value == "1"),
        "{name} cannot run here: {reason}. ALLOW_SKIPS=1 leaves such tests out"
    );
    println!("SKIPPED: {name}: {reason}");
    let Some(path) = env::var_os("SKIPPED_TESTS") else { return };
    let noted = OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| {
        // One write: tests of several processes end up in one file.
        file.write_all(format!("{name}: {reason}\n").as_bytes())
    });
    noted.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
