//! Files that exist for one input only.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use sentineld::config::Files;

/// Files that one load may read; then there are no more. Includes of includes grow without bound otherwise.
const MOST_READS: usize = 64;

/// What was written lies under its path. Every other path leads to one of the given pieces, always to the same one.
#[derive(Debug)]
pub(crate) struct Memory {
    pieces: Vec<Vec<u8>>,
    written: Mutex<BTreeMap<PathBuf, Vec<u8>>>,
    reads: AtomicUsize,
}

impl Memory {
    pub(crate) fn of(pieces: Vec<Vec<u8>>) -> Self {
        Self { pieces, written: Mutex::default(), reads: AtomicUsize::new(0) }
    }

    /// Puts a file there. Reading is counted anew.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), bytes.to_vec());
        self.reads.store(0, Ordering::Relaxed);
    }

    fn piece(&self, path: &Path) -> Option<&Vec<u8>> {
        let sum: usize = path.as_os_str().as_encoded_bytes().iter().map(|byte| usize::from(*byte)).sum();
        // One path more than there are pieces leads nowhere.
        self.pieces.get(sum % (self.pieces.len() + 1))
    }
}

impl Files for Memory {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        if let Some(bytes) = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(path) {
            return Ok(bytes.clone());
        }
        // Nobody has kept a copy of what is only now given.
        let is_copy = path.extension().is_some_and(|extension| extension == "last-good");
        if is_copy || self.reads.fetch_add(1, Ordering::Relaxed) >= MOST_READS {
            return Err(missing());
        }
        self.piece(path).cloned().ok_or_else(missing)
    }

    fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let names = ["a", "b"].map(|letter| PathBuf::from(pattern.replace(['*', '?', '['], letter)));
        Ok(names.into_iter().filter(|path| self.piece(path).is_some()).collect())
    }

    fn real_path(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    fn modified(&self, _: &Path) -> Option<SystemTime> {
        None
    }

    fn is_directory(&self, path: &Path) -> io::Result<bool> {
        Ok(self.piece(path).is_none())
    }

    fn may_append(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn is_executable(&self, path: &Path) -> bool {
        self.piece(path).is_some()
    }
}
