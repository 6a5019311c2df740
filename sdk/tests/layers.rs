//! The files of this crate import each other in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom to the top. Each may import those above it in this list, in earlier lines, and nothing else.
#[rustfmt::skip] // a table reads better than a column
const LAYERS: &[&[&str]] = &[
    // Words and numbers.
    &["table"],
    &["command", "config_error", "counters", "credentials", "fields", "retry", "stall", "trouble", "watched", "wheel"],
    &["address", "keys", "reply", "role", "silence"],
    &["balance", "cause", "event", "tls", "topology"],
    // Configuration.
    &["access", "error"],
    &["config", "measure", "users"],
    &["drive", "url"],
    &["builder"],
    // Connections.
    &["dial"],
    &["generation", "readers"],
    // What the handles and the tasks of a pool share.
    &["sentinel", "shared"],
    &["follow", "request", "subscription"],
    // Handles.
    &["connection_like"],
    &["exclusive", "master"],
    &["replica"],
    &["pool"],
    &["durable", "metrics", "near_cache", "raw", "sharding", "testing"],
    &["blocking"],
];

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// The modules that a file names with `crate::`, outside of comments and of its tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.lines().take_while(|line| !(line.starts_with("#[cfg(") && line.contains("test")));
    let code = code.filter(|line| !line.trim_start().starts_with("//"));
    let after = code.flat_map(|line| line.split("crate::").skip(1));
    let names = after.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
    names.collect()
}

/// Each module with the modules that it imports.
fn modules() -> BTreeMap<String, BTreeSet<String>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in files(&source) {
        let inside = file.strip_prefix(&source).unwrap();
        let module = inside.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs").to_owned();
        modules.entry(module).or_default().extend(imports(&fs::read_to_string(&file).unwrap()));
    }
    modules.remove("lib");
    modules
}

#[test]
fn imports_go_one_way() {
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let modules = modules();
    let listed: BTreeSet<_> = LAYERS.iter().copied().flatten().map(|module| (*module).to_owned()).collect();
    assert_eq!(modules.keys().cloned().collect::<BTreeSet<_>>(), listed, "each module stands in the list once");
    let mut wrong = Vec::new();
    for (module, imports) in &modules {
        for import in imports.iter().filter(|import| *import != module && modules.contains_key(*import)) {
            if layer(import) >= layer(module) {
                wrong.push(format!("{module} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Not for lack of anything to look at.
    assert!(modules["pool"].contains("shared") && modules["replica"].contains("readers"), "{modules:#?}");
}

#[test]
fn a_group_of_imports_is_not_used_to_hide_one() {
    for file in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        assert!(!fs::read_to_string(&file).unwrap().contains("use crate::{"), "{}: one line a module", file.display());
    }
}
