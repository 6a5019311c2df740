//! The configuration, classic and TOML.

use std::path::Path;
use std::sync::Arc;

use sentinel_core::types::SentinelId;
use sentineld::config::{Renderer, Source, load};

use crate::files::Memory;

/// Where no disk is touched, any folder will do.
const FOLDER: &str = "/etc/redis";

/// A classic file, and the files that it names: each behind a NUL byte. See [`toml`].
pub fn classic(data: &[u8]) {
    let _ = loads_and_is_kept("sentinel.conf", data);
}

/// A TOML file, and the files that it names, each behind a NUL byte. It is loaded or refused with the line at fault; what was loaded
/// is written, and loads again as the same.
pub fn toml(data: &[u8]) {
    let _ = loads_and_is_kept("sentinel.toml", data);
}

/// Returns why it was refused.
fn loads_and_is_kept(name: &str, data: &[u8]) -> Result<(), String> {
    let mut parts = data.split(|byte| *byte == 0);
    let main = parts.next().unwrap_or_default();
    let files = Arc::new(Memory::of(parts.map(<[u8]>::to_vec).collect()));
    let path = Path::new(FOLDER).join(name);
    files.write(&path, main);
    let source = Source {
        path,
        options: Vec::new(),
        stdin: None,
        directory: FOLDER.into(),
        environment: |name| (name.len() % 2 == 0).then(|| format!("value of {name}")),
        files: files.clone(),
    };
    let loaded = match load(&source) {
        Ok(loaded) => loaded,
        Err(error) => {
            let reason = error.to_string();
            assert!(!reason.is_empty(), "a refusal without a reason");
            return Err(reason);
        }
    };
    let id = SentinelId::new(&"a".repeat(40)).expect("an id");
    let snapshot = loaded.config.snapshot(id.clone());
    let mut renderer = Renderer::new(loaded.keep);
    // The file that is written need not be the one that was loaded: the state may lie elsewhere.
    let kept = renderer.path().to_owned();
    if kept == source.path {
        renderer.reread(main);
    }
    let written = renderer.render(&snapshot);
    files.write(&kept, &written);
    let shown = String::from_utf8_lossy(&written);
    let again = load(&source).unwrap_or_else(|error| panic!("not loaded again: {error}\n{shown}"));
    assert_eq!(again.config.snapshot(id), snapshot, "{shown}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is refused at its first line would lead nowhere.
    #[test]
    fn those_of_the_corpus_that_name_files_are_loaded() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
        for input in ["classic/includes", "classic/secrets", "classic/scripts-and-state", "toml/secrets-and-state"] {
            let bytes = std::fs::read(corpus.join(input)).expect("a file of the corpus");
            let name = if input.starts_with("toml") { "sentinel.toml" } else { "sentinel.conf" };
            assert_eq!(loads_and_is_kept(name, &bytes), Ok(()), "{input}");
        }
    }
}
