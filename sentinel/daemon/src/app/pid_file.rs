//! The file with the process id.

use std::path::{Path, PathBuf};

/// Where the reference puts it when it goes into the background without being told.
const DEFAULT: &str = "/var/run/redis.pid";

/// A pid file that was written.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    /// Writes it, if one is wanted. A failure is logged and is no reason not to start, as in the reference.
    pub(super) fn create(path: Option<&Path>, in_background: bool) -> Option<Self> {
        let path = path.or_else(|| in_background.then(|| Path::new(DEFAULT)))?;
        // Absolute, so that it is found again whatever the working directory is then.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        match std::fs::write(&path, format!("{}\n", std::process::id())) {
            Ok(()) => Some(PidFile(path)),
            Err(error) => {
                tracing::warn!("the pid file {} cannot be written: {error}; change `pidfile`", path.display());
                None
            }
        }
    }

    /// Removes it.
    pub(super) fn remove(self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!("the pid file {} cannot be removed: {error}", self.0.display());
        }
    }
}
