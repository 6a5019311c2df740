//! The copy of the last good version that is kept beside the file that is written: found, judged, and offered.
//!
//! It is never read in the place of the file. It may be older than the last vote, so that taking it is for a person to
//! decide.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{ConfigError, Source, Warning, classic, fault::Place, load, redo, state};

/// What is appended to the name of a file for the copy of its last good version.
const SUFFIX: &str = ".last-good";

/// A copy that can be put in the place of a damaged file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastGood {
    /// The copy.
    pub path: PathBuf,
    /// The file that it is a copy of.
    pub of: PathBuf,
    /// When it was written, in local time.
    pub written: String,
}

/// Where the copy of a file lies.
pub fn copy_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(SUFFIX);
    PathBuf::from(name)
}

/// Adds to an error the copy that could help, if there is one.
pub(super) fn offer(source: &Source, path: &Path, error: ConfigError) -> ConfigError {
    let damaged = match &error {
        // The state may be what is damaged, and then its own copy helps.
        ConfigError::Faults(faults) => {
            let elsewhere = faults.faults.iter().find_map(|fault| match &fault.place {
                Place::File { path, .. } if **path != *source.path => Some(path.to_path_buf()),
                _ => None,
            });
            elsewhere.unwrap_or_else(|| path.to_owned())
        }
        ConfigError::Truncated { path } | ConfigError::Open { path, .. } => path.clone(),
        ConfigError::NotWritable { .. } | ConfigError::WithCopy { .. } => return error,
    };
    let damaged = source.directory.join(damaged);
    // A symbolic link is followed when the copy is made.
    let damaged = fs::canonicalize(&damaged).unwrap_or(damaged);
    let copy = copy_path(&damaged);
    let Ok(bytes) = classic::read_file(&copy) else { return error };
    let main = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let loads = if damaged == main { load::read(source, path, &bytes).is_ok() } else { state::is_whole(&bytes) };
    if !loads {
        return error;
    }
    ConfigError::WithCopy {
        error: Box::new(error),
        copy: LastGood { written: written(&copy), path: copy, of: damaged },
    }
}

/// Compares a file with its copy: cut off in the middle of a line, or empty, it is an error; at the end of a line it may
/// be meant, and is a warning.
pub(super) fn truncation(path: &Path, bytes: &[u8]) -> Result<Option<Warning>, ConfigError> {
    let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let copy_path = copy_path(&real);
    let Ok(copy) = classic::read_file(&copy_path) else { return Ok(None) };
    let cut = bytes.len() < copy.len() && copy.starts_with(bytes) && !redo::is_pending(bytes);
    if !cut {
        return Ok(None);
    }
    if bytes.trim_ascii().is_empty() || !bytes.ends_with(b"\n") {
        return Err(ConfigError::Truncated { path: path.to_owned() });
    }
    let line = bytes.split(|byte| *byte == b'\n').count();
    Ok(Some(Warning {
        place: Place::File { path: path.into(), line, column: None },
        directive: "the end of the file".to_owned(),
        text: format!(
            "what stood behind it is gone, perhaps with votes given and addresses learnt: {} still has it",
            copy_path.display()
        ),
    }))
}

fn written(path: &Path) -> String {
    let time = fs::metadata(path).and_then(|found| found.modified()).ok();
    let time = time.and_then(|time| jiff::Timestamp::try_from(time).ok());
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
