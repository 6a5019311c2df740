//! The copy of the last good version that is kept beside the file that is written: found, judged, and offered.
//!
//! It is never read in the place of the file. It may be older than the last vote, so that taking it is for a person to
//! decide.

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use super::{ConfigError, Files, Source, Warning, fault::Place, load, redo, state};

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
    let damaged = source.files.real_path(&damaged);
    let copy = copy_path(&damaged);
    let Ok(bytes) = source.files.read(&copy) else { return error };
    let main = source.files.real_path(path);
    let loads = if damaged == main { load::read(source, path, &bytes).is_ok() } else { state::is_whole(&bytes) };
    if !loads {
        return error;
    }
    ConfigError::WithCopy {
        error: Box::new(error),
        copy: LastGood { written: written(source.files.modified(&copy)), path: copy, of: damaged },
    }
}

/// Compares a file with its copy: cut off in the middle of a line, or empty, it is an error; at the end of a line it may
/// be meant, and is a warning.
pub(super) fn truncation(files: &dyn Files, path: &Path, bytes: &[u8]) -> Result<Option<Warning>, ConfigError> {
    let real = files.real_path(path);
    let copy_path = copy_path(&real);
    let Ok(copy) = files.read(&copy_path) else { return Ok(None) };
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

fn written(time: Option<SystemTime>) -> String {
    let time = time.and_then(|time| jiff::Timestamp::try_from(time).ok());
    time.map_or_else(
        || "an unknown time".to_owned(),
        |time| time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
    )
}
