//! Where each thing was said, for what can be judged only when everything was read.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use super::{build::Directive, fault::Place};

/// The place of the last line of each kind.
#[derive(Clone, Debug)]
pub(super) struct Places {
    last: BTreeMap<(Option<String>, String), Place>,
    file: Arc<Path>,
}

impl Default for Places {
    fn default() -> Self {
        Places::within(Path::new(""))
    }
}

impl Places {
    /// No line yet, of this file.
    pub(super) fn within(file: &Path) -> Self {
        Places { last: BTreeMap::new(), file: file.into() }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Remembers a line. The directive is in lower case.
    pub(super) fn put(&mut self, master: Option<&String>, name: &str, directive: &Directive) {
        self.last.insert((master.cloned(), name.to_owned()), directive.place.clone());
    }

    /// Where something was said: else where the master is named, else the beginning of the file.
    pub(super) fn of(&self, master: Option<&str>, name: &str) -> Place {
        let find = |name: &str| self.last.get(&(master.map(str::to_owned), name.to_owned()));
        let otherwise = || Place::File { path: Arc::clone(&self.file), line: 1, column: None };
        find(name).or_else(|| find("monitor")).cloned().unwrap_or_else(otherwise)
    }
}
