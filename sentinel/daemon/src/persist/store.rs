//! One file that keeps the newest snapshot, atomically and durably.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use sentinel_core::snapshot::Snapshot;

use super::disk::{Disk, RealDisk, Stamp};
use crate::config::{ConfigError, Keep, Renderer};

/// How often a file that somebody changes during a save is read again before that save gives up.
const MAX_REREADS: usize = 5;

/// A step of a save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Following symbolic links and reading what is there.
    Read,
    /// Creating the temporary file in the same folder.
    Create,
    /// Writing it.
    Write,
    /// Forcing it to the medium.
    Sync,
    /// Putting it in the place of the old one.
    Rename,
    /// Forcing the new name to the medium.
    SyncFolder,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Read => "reading the present file",
            Step::Create => "creating a temporary file in its folder",
            Step::Write => "writing",
            Step::Sync => "fsync",
            Step::Rename => "renaming the temporary file over it",
            Step::SyncFolder => "fsync of its folder",
        })
    }
}

/// Why a snapshot is not known to be durable.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be saved ({step}): {}{}", .path.display(), crate::config::system_text(.error), remedy(.error))]
pub struct SaveError {
    /// The file.
    pub path: PathBuf,
    /// What failed.
    pub step: Step,
    /// What the system said.
    #[source]
    pub error: io::Error,
}

fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; make room on that volume",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make the folder writable, or keep the state elsewhere (state-file, sentinel state-config-file)"
        }
        io::ErrorKind::ResourceBusy => {
            "; a file that is mounted on its own cannot be replaced: mount its folder, or keep the state elsewhere \
             (state-file, sentinel state-config-file)"
        }
        _ => "",
    }
}

/// Keeps snapshots in one file.
#[derive(Debug)]
pub struct Store<D = RealDisk> {
    disk: D,
    renderer: Renderer,
    /// The version that the renderer knows.
    seen: Option<Stamp>,
    /// What is on the medium for certain.
    durable: Option<Vec<u8>>,
}

impl Store {
    /// A store on the real file system.
    pub fn new(keep: Keep) -> Self {
        Store::on(RealDisk, keep)
    }
}

impl<D: Disk> Store<D> {
    /// A store on another disk.
    pub fn on(disk: D, keep: Keep) -> Self {
        Store { disk, renderer: Renderer::new(keep), seen: None, durable: None }
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        self.renderer.path()
    }

    /// Tells at the start what would otherwise be found out at the first failover: whether the file can be replaced.
    pub fn check_writable(&mut self) -> Result<(), ConfigError> {
        let path = self.path().to_owned();
        let private = self.renderer.is_private();
        let disk = &mut self.disk;
        let outcome = (|| {
            let target = disk.resolve(&path)?;
            let present = disk.stamp(&target)?;
            if present.is_some() {
                std::fs::OpenOptions::new().append(true).open(&target)?;
            }
            disk.create(&target, None, private).map(drop)
        })();
        outcome.map_err(|error| ConfigError::NotWritable { path, error })
    }

    /// Makes a snapshot durable. After an error the file is what it was before, or complete and new, but then perhaps not
    /// yet on the medium.
    ///
    /// What somebody else wrote into the file since the last save is kept, as far as it does not concern what is saved.
    pub fn save(&mut self, snapshot: &Snapshot) -> Result<(), SaveError> {
        let path = self.path().to_owned();
        let at = |step: Step| {
            let path = path.clone();
            move |error: io::Error| SaveError { path, step, error }
        };
        let target = self.disk.resolve(&path).map_err(at(Step::Read))?;
        for attempt in 1.. {
            let present = self.look(&target).map_err(at(Step::Read))?;
            let bytes = self.renderer.render(snapshot);
            if self.durable.as_ref() == Some(&bytes) {
                return Ok(());
            }
            let private = self.renderer.is_private();
            let mut file = self.disk.create(&target, present.as_ref(), private).map_err(at(Step::Create))?;
            self.disk.write(&mut file, &bytes).map_err(at(Step::Write))?;
            let written = self.disk.sync_file(&file).map_err(at(Step::Sync))?;
            // Someone who saved an edit while we wrote must not lose it.
            if attempt < MAX_REREADS && self.disk.stamp(&target).map_err(at(Step::Read))? != present {
                continue;
            }
            self.disk.rename(file, &target).map_err(at(Step::Rename))?;
            self.seen = Some(written);
            self.durable = None;
            self.disk.sync_folder(&target).map_err(at(Step::SyncFolder))?;
            self.durable = Some(bytes);
            return Ok(());
        }
        Ok(())
    }

    /// Reads the file again if it is another one than the renderer knows.
    fn look(&mut self, target: &Path) -> io::Result<Option<Stamp>> {
        let present = self.disk.stamp(target)?;
        if present.is_none() || present != self.seen {
            self.durable = None;
        }
        // A file that vanished is written anew from the text that was there.
        if present.is_some() && present != self.seen {
            let bytes = self.disk.read(target)?;
            self.renderer.reread(&bytes);
            self.seen = present;
        }
        Ok(present)
    }
}
