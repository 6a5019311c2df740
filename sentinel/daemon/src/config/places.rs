//! Where each thing was said, for what can be judged only when everything was read.

use std::{collections::BTreeMap, fmt::Display, path::Path, sync::Arc};

use super::{
    build::Directive,
    fault::{Fault, Named, Place, Refusal},
};

/// A line that takes the place of an earlier one in the same file.
#[derive(Clone, Debug)]
pub(crate) struct Repeated {
    /// The master, if it belongs to one.
    pub(crate) master: Option<String>,
    /// The directive, in lower case, without `sentinel`.
    pub(crate) name: String,
    /// The number of the earlier line.
    pub(crate) first: usize,
    /// The later one, which counts.
    pub(crate) place: Place,
}

/// The place of the last line of each kind.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    last: BTreeMap<(Option<String>, String), Place>,
    /// The last line itself of each kind that belongs to no master.
    lines: BTreeMap<String, Directive>,
    file: Arc<Path>,
    repeated: Vec<Repeated>,
}

/// What may stand any number of times, each line for itself.
const MANY: [&str; 10] = [
    "user",
    "include",
    "loadmodule",
    "rename-command",
    "client-output-buffer-limit",
    "save",
    "known-replica",
    "known-slave",
    "known-sentinel",
    "in-sync",
];

impl Default for Places {
    fn default() -> Self {
        Places::within(Path::new(""))
    }
}

impl Places {
    /// No line yet, of this file.
    pub(super) fn within(file: &Path) -> Self {
        Places { last: BTreeMap::new(), lines: BTreeMap::new(), file: file.into(), repeated: Vec::new() }
    }

    /// The file.
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// Remembers a line. The directive is in lower case.
    pub(super) fn put(&mut self, master: Option<&String>, name: &str, directive: &Directive) {
        let earlier = self.last.insert((master.cloned(), name.to_owned()), directive.place.clone());
        // TOML refuses the same key twice; what is in another file, or on the command line, is meant to take its place.
        if let Some(Place::File { path, line: first, column: None }) = earlier
            && matches!(&directive.place, Place::File { path: here, column: None, .. } if *here == path)
            && !MANY.contains(&name)
        {
            let (master, place) = (master.cloned(), directive.place.clone());
            self.repeated.push(Repeated { master, name: name.to_owned(), first, place });
        }
        if master.is_none() {
            self.lines.insert(name.to_owned(), directive.clone());
        }
    }

    /// The lines that take the place of an earlier one.
    pub(crate) fn repeated(&self) -> &[Repeated] {
        &self.repeated
    }

    /// Where something was said: else where the master is named, else the file as a whole.
    pub(crate) fn of(&self, master: Option<&str>, name: &str) -> Place {
        let find = |name: &str| self.last.get(&(master.map(str::to_owned), name.to_owned()));
        let otherwise = || Place::Whole { path: Arc::clone(&self.file) };
        find(name).or_else(|| find("monitor")).cloned().unwrap_or_else(otherwise)
    }

    /// The line that names the file in which what is learnt is kept, if it is not the configuration itself.
    pub(crate) fn state_file(&self) -> Option<Named> {
        self.named("state-config-file")
    }

    /// The line that says it, if any does: for a message that shows where a name comes from.
    pub(crate) fn named(&self, name: &str) -> Option<Named> {
        let directive = self.lines.get(name)?;
        Some(Named { place: directive.place.clone(), directive: directive.called.clone() })
    }

    /// A text that stands for itself, as the reference has it, and below it the line that leads to it and the remedy.
    pub(crate) fn explained(&self, text: impl Display, name: &str, remedy: &str) -> String {
        let otherwise = || Named { place: self.of(None, name), directive: name.to_owned() };
        let named = self.named(name).unwrap_or_else(otherwise);
        format!("{text}\n{named}\n    help: {remedy}")
    }

    /// A fault of something that was said, for whatever is only found when it is used.
    pub(crate) fn fault(&self, name: &str, what: impl Into<String>, remedy: impl Into<String>) -> Fault {
        let refusal = Refusal::new(what, remedy);
        match self.lines.get(name) {
            Some(directive) => directive.fault(refusal),
            None => Fault {
                place: self.of(None, name),
                directive: name.to_owned(),
                line: String::new(),
                what: refusal.what,
                remedy: refusal.remedy,
            },
        }
    }
}
