//! What the reading of a configuration asks of the file system: the only way from there to a file.
//!
//! It is a trait so that any bytes can be loaded as a configuration although they name files: a fuzzer must neither read
//! devices nor depend on what lies on the machine.

use std::{
    fmt,
    fs::{self, File, OpenOptions},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// No configuration is longer; a device or a log file named by mistake is.
const MAX_BYTES: u64 = 64 << 20;

/// Files, as far as a configuration is read from them and names them. Nothing is created or changed.
pub trait Files: fmt::Debug + Send + Sync {
    /// The whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The files that a pattern with `*`, `?` and `[...]` fits, sorted; or why it is none.
    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String>;

    /// The path without symbolic links; the same path where that cannot be said.
    fn real_path(&self, path: &Path) -> PathBuf;

    /// When the file was written.
    fn modified(&self, path: &Path) -> Option<SystemTime>;

    /// Whether that is a directory, or why nothing is known of it.
    fn is_directory(&self, path: &Path) -> io::Result<bool>;

    /// Whether lines could be appended to the file, or it could be created; why not.
    fn may_append(&self, path: &Path) -> io::Result<()>;

    /// Whether this process may execute the file.
    fn is_executable(&self, path: &Path) -> bool;
}

/// The files of this machine.
#[derive(Clone, Copy, Debug)]
pub struct Disk;

impl Files for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        read_file(path)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let paths = glob::glob(pattern).map_err(|error| error.to_string())?;
        Ok(paths.filter_map(Result::ok).collect())
    }

    fn real_path(&self, path: &Path) -> PathBuf {
        fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
    }

    fn modified(&self, path: &Path) -> Option<SystemTime> {
        fs::metadata(path).and_then(|found| found.modified()).ok()
    }

    fn is_directory(&self, path: &Path) -> io::Result<bool> {
        fs::metadata(path).map(|found| found.is_dir())
    }

    fn may_append(&self, path: &Path) -> io::Result<()> {
        match OpenOptions::new().append(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                path.parent().map_or(Ok(()), |folder| fs::metadata(folder).map(drop))
            }
            other => other.map(drop),
        }
    }

    fn is_executable(&self, path: &Path) -> bool {
        crate::scripts::is_executable(path)
    }
}

/// Reads a whole file, within reason.
pub(crate) fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(io::Error::other(format!("the file is longer than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}
