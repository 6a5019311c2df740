//! What earlier versions have written is understood by this one: their state, their history, their hellos, their signed requests for
//! votes. fixtures/README.md says what is kept of each, and how a version adds its own.

mod keep;
mod running;
mod state;
mod wire;

use std::{fs, path::PathBuf};

/// Where a folder of each version is.
fn fixtures() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures"))
}

/// The folders of all versions.
fn versions() -> Vec<PathBuf> {
    let entries =
        fs::read_dir(fixtures()).expect("the fixtures are there").map(|entry| entry.expect("an entry").path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    assert!(!folders.is_empty(), "no version is kept");
    folders
}

/// The forms in which a version keeps its state, each a folder: the name of the configuration, and of a state file of its own.
const FORMS: [(&str, &str, Option<&str>); 4] = [
    ("classic", "sentinel.conf", None),
    ("classic-apart", "sentinel.conf", Some("state.conf")),
    ("toml", "sentinel.toml", None),
    ("toml-apart", "sentinel.toml", Some("state.toml")),
];

fn read(path: impl AsRef<std::path::Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
