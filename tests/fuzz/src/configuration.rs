//! The configuration, classic and TOML.

use std::cell::RefCell;
use std::fs;

use sentinel_core::types::SentinelId;
use sentineld::config::{Renderer, Source, load};
use tempfile::TempDir;

/// A classic file. See [`toml`].
pub fn classic(data: &[u8]) {
    loads_and_is_kept("sentinel.conf", data);
}

/// A TOML file. It is loaded or refused with the line at fault; what was loaded is written, and loads again as the same.
pub fn toml(data: &[u8]) {
    loads_and_is_kept("sentinel.toml", data);
}

thread_local! {
    /// One folder a thread: making one costs more than all the rest.
    static FOLDER: RefCell<Option<TempDir>> = const { RefCell::new(None) };
}

fn loads_and_is_kept(name: &str, data: &[u8]) {
    if reaches_out(data) {
        return;
    }
    FOLDER.with_borrow_mut(|kept| {
        let folder = kept.get_or_insert_with(|| tempfile::tempdir().expect("a temporary folder"));
        let path = folder.path().join(name);
        fs::write(&path, data).expect("a file in the temporary folder");
        let source = Source {
            path: path.clone(),
            options: Vec::new(),
            stdin: None,
            directory: folder.path().to_owned(),
            environment: |_| None,
        };
        let loaded = match load(&source) {
            Ok(loaded) => loaded,
            Err(error) => {
                assert!(!error.to_string().is_empty(), "a refusal without a reason");
                return;
            }
        };
        let id = SentinelId::new(&"a".repeat(40)).expect("an id");
        let snapshot = loaded.config.snapshot(id);
        let mut renderer = Renderer::new(loaded.keep);
        renderer.reread(data);
        let written = renderer.render(&snapshot);
        fs::write(renderer.path(), &written).expect("a file in the temporary folder");
        let shown = String::from_utf8_lossy(&written);
        let again = load(&source).unwrap_or_else(|error| panic!("not loaded again: {error}\n{shown}"));
        let id = SentinelId::new(&"a".repeat(40)).expect("an id");
        assert_eq!(again.config.snapshot(id), snapshot, "{shown}");
    });
}

/// Whether a file names other ones, which may be endless, devices, or written by the test.
fn reaches_out(data: &[u8]) -> bool {
    let text = String::from_utf8_lossy(data).to_ascii_lowercase();
    ["include", "file", "/", "dir"].iter().any(|word| text.contains(word))
}
