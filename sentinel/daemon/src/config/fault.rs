//! What is wrong with a configuration, where, and what to write instead.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sentinel_resp::text;

use super::last_good::LastGood;

/// Where a directive stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// In a file.
    File {
        /// As it was named: on the command line, by `include`, or by `state-file`.
        path: Arc<Path>,
        /// From 1.
        line: usize,
        /// From 1, in characters; known for TOML only.
        column: Option<usize>,
    },
    /// On the standard input (`-`).
    Stdin {
        /// From 1.
        line: usize,
    },
    /// An option of the command line.
    CommandLine,
    /// A secret that came from the environment.
    Environment,
    /// No line of it: what the file does not say.
    Whole {
        /// The file.
        path: Arc<Path>,
    },
}

impl Place {
    /// The line, from 1; none for what has no lines.
    pub const fn line(&self) -> Option<usize> {
        match self {
            Place::File { line, .. } | Place::Stdin { line } => Some(*line),
            Place::CommandLine | Place::Environment | Place::Whole { .. } => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File { path, line, column: None } => write!(f, "{}:{line}", path.display()),
            Place::File { path, line, column: Some(column) } => write!(f, "{}:{line}:{column}", path.display()),
            Place::Stdin { line } => write!(f, "standard input:{line}"),
            Place::CommandLine => f.write_str("command line"),
            Place::Environment => f.write_str("environment"),
            Place::Whole { path } => write!(f, "{}", path.display()),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where it stands.
    pub place: Place,
    /// The directive or key at fault, as it is documented.
    pub directive: String,
    /// The line as it stands in the file, trimmed, secrets masked.
    pub line: String,
    /// What is wrong. For everything that redis-sentinel refuses too, its own text.
    pub what: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: {}: {}", self.place, self.directive, self.what)?;
        if !self.line.is_empty() {
            writeln!(f, "    {}", self.line)?;
        }
        write!(f, "    help: {}", self.remedy)
    }
}

/// Something that loads, but does not do what its author may expect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Where it stands.
    pub place: Place,
    /// The directive or key.
    pub directive: String,
    /// What it does not do, or what is done instead.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place, self.directive, self.text)
    }
}

/// Why no configuration could be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file, or one that it names, cannot be read. The text is the reference's, plus the remedy.
    #[error(
        "Fatal error, can't open config file '{}': {}\n{}",
        .path.display(), system_text(.error), remedy_of_open(.path, .error, .named.as_ref())
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
        /// The line that names it; none for the file of the command line.
        named: Option<Named>,
    },
    /// State could not be kept: the file or its folder is not writable. The text is the reference's, plus the remedy.
    #[error(
        "Sentinel config file {} is not writable: {}. Exiting...\n{}",
        .path.display(), system_text(.error), remedy_of_writing(.path, .error, .named.as_ref())
    )]
    NotWritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
        /// The line that names it; none for the configuration itself.
        named: Option<Named>,
    },
    /// Everything that is wrong in it, at once.
    #[error("{0}")]
    Faults(Faults),
    /// The file ends where the copy beside it goes on: what was learnt, votes given among it, would be forgotten.
    #[error("{} has been cut off: only the beginning of what was written there is left", .path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
    },
    /// Any of the others, where a good copy lies beside the file. Nothing is put in its place: it may be older.
    #[error(
        "{error}\nhelp: {}, written at {}, loads. Compare the two; then put the copy in place with: cp -p {} {}",
        .copy.path.display(), .copy.written, .copy.path.display(), .copy.of.display()
    )]
    WithCopy {
        /// What is wrong.
        error: Box<ConfigError>,
        /// The copy.
        copy: LastGood,
    },
}

impl ConfigError {
    /// The same with the line that names the file which cannot be written.
    pub(crate) fn naming(self, line: Option<Named>) -> Self {
        match self {
            ConfigError::NotWritable { path, error, .. } => ConfigError::NotWritable { path, error, named: line },
            other => other,
        }
    }

    /// Whether the file could be read and its content is wrong: the reference says that on standard error.
    pub fn is_content(&self) -> bool {
        match self {
            ConfigError::Faults(_) | ConfigError::Truncated { .. } => true,
            ConfigError::WithCopy { error, .. } => error.is_content(),
            ConfigError::Open { .. } | ConfigError::NotWritable { .. } => false,
        }
    }
}

/// The directive that names a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// Where it stands.
    pub place: Place,
    /// As its author calls it.
    pub directive: String,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.directive)
    }
}

/// What to do about a file that cannot be read.
fn remedy_of_open(path: &Path, error: &io::Error, named: Option<&Named>) -> String {
    let missing = error.kind() == io::ErrorKind::NotFound;
    match named {
        Some(named) => format!("{named}\n    help: name a file that this user may read, or remove the line"),
        // A word without a dot or a slash is hardly a file, and a mistyped command is taken for one.
        None if missing && !path.to_string_lossy().contains(['.', '/']) => format!(
            "help: name a file that this user may read; `{}` is no command either: `sentinel --help` lists them",
            path.display()
        ),
        None => "help: name a file that this user may read".to_owned(),
    }
}

/// What to do about a file that cannot be written.
fn remedy_of_writing(path: &Path, error: &io::Error, named: Option<&Named>) -> String {
    let first = match path.parent() {
        Some(folder) if error.kind() == io::ErrorKind::NotFound => {
            format!("create the folder {}", folder.display())
        }
        _ => "make the file and its folder writable for this user".to_owned(),
    };
    match named {
        Some(named) => format!("{named}\n    help: {first}, or name another file"),
        None => format!(
            "help: {first}, or keep what is learnt elsewhere with `state-file` (TOML) or `sentinel state-config-file PATH`"
        ),
    }
}

/// All faults of one configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults {
    /// At least one.
    pub faults: Vec<Fault>,
    /// Whether the configuration is in the classic grammar: then the text begins as the reference's does.
    pub classic: bool,
}

impl Faults {
    /// In the order of their places.
    pub(crate) fn sorted(&self) -> Vec<&Fault> {
        let mut sorted: Vec<&Fault> = self.faults.iter().collect();
        sorted.sort_by(|a, b| a.place.cmp(&b.place));
        sorted
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sorted = self.sorted();
        // The one that stands first in the file, as its author reads it: redis-sentinel, which names one only, reads all
        // generic directives before those of `sentinel`.
        if let (true, Some(first)) = (self.classic, sorted.first()) {
            writeln!(f, "\n*** FATAL CONFIG FILE ERROR (Sentinel {}) ***", env!("CARGO_PKG_VERSION"))?;
            match first.place.line() {
                Some(line) => writeln!(f, "Reading the configuration file, at line {line}")?,
                None => writeln!(f, "Reading the configuration, at the {}", first.place)?,
            }
            writeln!(f, ">>> '{}'\n{}\n", first.line, first.what)?;
        }
        if let (true, [only]) = (self.classic, self.faults.as_slice()) {
            // It has been said already.
            return writeln!(f, "{}: {}\n    help: {}", only.place, only.directive, only.remedy);
        }
        let count = self.faults.len();
        writeln!(f, "{count} fault{} in the configuration:", if count == 1 { "" } else { "s" })?;
        for fault in sorted {
            write!(f, "\n{fault}\n")?;
        }
        Ok(())
    }
}

/// The bare text of a system error, without the number that Rust appends.
pub(crate) fn system_text(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// A value that was refused: the reference's text, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) what: String,
    pub(super) remedy: String,
}

impl Refusal {
    pub(super) fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let shown = |said: String| text::shown(&said).into_owned();
        Refusal { what: shown(what.into()), remedy: shown(remedy.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_are_the_references() {
        let fault = Fault {
            place: Place::File { path: Path::new("s.conf").into(), line: 3, column: None },
            directive: "sentinel monitor".into(),
            line: "sentinel monitor m 127.0.0.1 36001 0".into(),
            what: "Quorum must be 1 or greater.".into(),
            remedy: "write a quorum from 1 up".into(),
        };
        let text = Faults { faults: vec![fault], classic: true }.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "");
        assert!(lines[1].starts_with("*** FATAL CONFIG FILE ERROR ("), "{text}");
        assert_eq!(lines[2], "Reading the configuration file, at line 3");
        assert_eq!(lines[3], ">>> 'sentinel monitor m 127.0.0.1 36001 0'");
        assert_eq!(lines[4], "Quorum must be 1 or greater.");
        assert!(text.contains("s.conf:3: sentinel monitor\n    help: write a quorum"), "{text}");
        assert_eq!(text.matches("Quorum must").count(), 1, "said once: {text}");
    }

    #[test]
    fn the_heading_quotes_the_fault_that_stands_first() {
        let fault = |line: usize, text: &str| Fault {
            place: Place::File { path: Path::new("s.conf").into(), line, column: None },
            directive: "x".into(),
            line: text.into(),
            what: format!("what is wrong with {text}"),
            remedy: "none".into(),
        };
        let text = Faults { faults: vec![fault(7, "later"), fault(2, "first")], classic: true }.to_string();
        assert!(text.contains("at line 2\n>>> 'first'\nwhat is wrong with first\n"), "{text}");
        assert!(text.find("s.conf:2:").expect("listed") < text.find("s.conf:7:").expect("listed"), "{text}");
    }

    #[test]
    fn system_errors_are_shown_bare() {
        assert_eq!(system_text(&io::Error::from_raw_os_error(2)), "No such file or directory");
        assert_eq!(system_text(&io::Error::other("disk on fire")), "disk on fire");
    }
}
