//! One file that keeps the newest snapshot, atomically and durably.

use std::{
    collections::HashSet,
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sentinel_core::snapshot::Snapshot;

use super::disk::{Disk, RealDisk, Stamp};
use crate::config::{ConfigError, Keep, Renderer, Renewal, copy_path, redo, system_text};

/// How long after a file was found cut off it is looked at again: somebody may be in the middle of writing it anew.
const CUT_OFF_AGAIN: Duration = Duration::from_millis(100);

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
    /// In place: appending the record from which the rest can be done again.
    Record,
    /// In place: overwriting the old content.
    Overwrite,
    /// In place: cutting the record off.
    Truncate,
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
            Step::Record => "appending a redo record to it",
            Step::Overwrite => "overwriting it in place",
            Step::Truncate => "cutting off its redo record",
        })
    }
}

/// Why a snapshot is not known to be durable.
#[derive(Debug, thiserror::Error)]
#[error("{} could not be saved ({step}): {}{}", .path.display(), system_text(.error), remedy(.error))]
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

/// How a file gets its next version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// A temporary file is renamed over it: a reader sees the old or the new one.
    Replace,
    /// It is overwritten, with a redo record at its end meanwhile: after a crash this program reads the old or the new
    /// content, but others may see a mix of both. With the reason why it cannot be replaced.
    InPlace(String),
}

/// Keeps snapshots in one file.
#[derive(Debug)]
pub struct Store<D = RealDisk> {
    disk: D,
    renderer: Renderer,
    way: Way,
    /// The version that the renderer knows.
    seen: Option<Stamp>,
    /// What stands in it.
    known: Vec<u8>,
    /// Whether that is on the medium for certain.
    durable: bool,
    /// What somebody else wrote there, in the place of what, until it is seen what becomes of it.
    foreign: Option<(Vec<u8>, Vec<u8>)>,
    /// What was overwritten and kept aside, until that is told.
    overwritten: Option<String>,
    /// The version that this process wrote, or started from.
    own: OwnVersion,
}

/// Which version of the file is known to this process: whoever looks at the file tells by it whether somebody else wrote
/// there.
#[derive(Clone, Debug, Default)]
pub struct OwnVersion(Arc<Mutex<Option<Stamp>>>);

impl OwnVersion {
    fn set(&self, stamp: Option<Stamp>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stamp;
    }

    /// Whether this is that version.
    pub fn is(&self, stamp: Option<Stamp>) -> bool {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) == stamp
    }
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
        Store {
            disk,
            renderer: Renderer::new(keep),
            way: Way::Replace,
            seen: None,
            known: Vec::new(),
            durable: false,
            foreign: None,
            overwritten: None,
            own: OwnVersion::default(),
        }
    }

    /// Takes what the configuration says when it is read again.
    pub fn renewal(&self) -> Renewal {
        self.renderer.renewal()
    }

    /// Which version of the file is known to this process.
    pub fn own_version(&self) -> OwnVersion {
        self.own.clone()
    }

    /// What was overwritten by the last save and is kept aside, once.
    pub const fn take_overwritten(&mut self) -> Option<String> {
        self.overwritten.take()
    }

    /// The file, as it was named.
    pub fn path(&self) -> &Path {
        self.renderer.path()
    }

    /// Tells at the start what would otherwise be found out at the first failover: whether the file can be written, and
    /// how.
    ///
    /// A file that cannot be written is an error, as in the reference. One that can be written but not replaced is
    /// written in place; the reference starts, too, but then never saves anything.
    pub fn check_writable(&mut self) -> Result<&Way, ConfigError> {
        let path = self.path().to_owned();
        match self.probe(&path) {
            Ok(way) => {
                self.way = way;
                self.begin(&path);
                Ok(&self.way)
            }
            Err(error) => Err(ConfigError::NotWritable { path, error, named: None }),
        }
    }

    /// Remembers what the file is at the start, by which it is told later what somebody else did to it, and removes what a
    /// crash may have left beside it. Neither is needed for the start.
    fn begin(&mut self, path: &Path) {
        let Ok(target) = self.disk.resolve(path) else { return };
        if let Err(error) = self.look(&target) {
            tracing::debug!("{} cannot be read: {error}", target.display());
        }
        self.own.set(self.seen);
        for file in [target.clone(), copy_path(&target)] {
            if let Err(error) = self.disk.remove_temporary(&file) {
                tracing::debug!("what may be left beside {} cannot be removed: {error}", file.display());
            }
        }
    }

    fn probe(&mut self, path: &Path) -> io::Result<Way> {
        let private = self.renderer.is_private();
        let target = self.disk.resolve(path)?;
        let exists = self.disk.stamp(&target)?.is_some();
        if exists {
            self.disk.open(&target)?;
            if self.disk.is_mounted(&target) {
                return Ok(Way::InPlace(MOUNTED.to_owned()));
            }
        }
        match self.disk.create(&target, None, private) {
            Ok(_) => Ok(Way::Replace),
            Err(error) => in_place(exists, &error).ok_or(error),
        }
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
            if self.durable && self.known == bytes {
                return Ok(());
            }
            if let Some((foreign, before)) = self.foreign.take() {
                self.keep_aside(&target, &foreign, [&before, &bytes]);
            }
            let outcome = match (&self.way, present) {
                (Way::InPlace(_), Some(present)) => self.overwrite(&target, present, &bytes),
                _ => self.replace(&target, present, &bytes, attempt < MAX_REREADS),
            };
            match outcome {
                Ok(true) => {
                    tracing::trace!("Rewritten config file ({}) successfully", target.display());
                    self.known = bytes;
                    self.durable = true;
                    return Ok(());
                }
                Ok(false) => {}
                // A file system that was found writable at the start may be another one by now.
                Err((step @ (Step::Create | Step::Rename), error)) => match in_place(present.is_some(), &error) {
                    Some(way) if attempt < MAX_REREADS => self.way = way,
                    _ => return Err(at(step)(error)),
                },
                Err((step, error)) => return Err(at(step)(error)),
            }
        }
        Ok(())
    }

    /// How the next version will be written.
    pub const fn way(&self) -> &Way {
        &self.way
    }

    /// Puts a copy of what is durable beside the file, from which it can be restored if somebody garbles it.
    ///
    /// Nothing depends on it, so a save does not wait for it, and a folder that cannot be written has none.
    pub fn keep_copy(&mut self) -> io::Result<()> {
        if !self.durable {
            return Ok(());
        }
        let target = self.disk.resolve(self.renderer.path())?;
        let copy = copy_path(&target);
        let like = self.disk.stamp(&target)?;
        let mut file = self.disk.create(&copy, like.as_ref(), true)?;
        self.disk.write(&mut file, &self.known)?;
        self.disk.sync_file(&file)?;
        self.disk.rename(file, &copy)
    }

    /// Keeps what somebody else wrote into the file beside it, if some of the lines are theirs alone, not said before and not
    /// to be said any more; and tells. A save does not fail for it.
    fn keep_aside(&mut self, target: &Path, foreign: &[u8], ours: [&[u8]; 2]) {
        let lines = |text: &[u8]| {
            let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).map(<[u8]>::to_vec);
            lines.filter(|line| !line.is_empty() && !line.starts_with(b"#")).collect::<HashSet<_>>()
        };
        let [before, after] = ours.map(lines);
        let lost = lines(foreign).into_iter().filter(|line| !before.contains(line) && !after.contains(line)).count();
        if lost == 0 {
            return;
        }
        let aside = replaced_path(target);
        let kept = self.disk.stamp(target).and_then(|like| {
            let mut file = self.disk.create(&aside, like.as_ref(), true)?;
            self.disk.write(&mut file, foreign)?;
            self.disk.rename(file, &aside)
        });
        let what = format!(
            "{} was changed by somebody else while this process runs, and {lost} of its lines do not say what is in force: \
             they are overwritten",
            target.display()
        );
        let what = match kept {
            Ok(()) => format!("{what}; the file as it was written is kept as {}", aside.display()),
            Err(error) => format!("{what}, and cannot be kept as {}: {error}", aside.display()),
        };
        tracing::warn!("{what}");
        self.overwritten = Some(what);
    }

    /// Puts a new file in the place of the present one. False: somebody changed that one meanwhile.
    fn replace(
        &mut self,
        target: &Path,
        present: Option<Stamp>,
        bytes: &[u8],
        look_again: bool,
    ) -> Result<bool, (Step, io::Error)> {
        let at = |step| move |error| (step, error);
        let private = self.renderer.is_private();
        let mut file = self.disk.create(target, present.as_ref(), private).map_err(at(Step::Create))?;
        self.disk.write(&mut file, bytes).map_err(at(Step::Write))?;
        let written = self.disk.sync_file(&file).map_err(at(Step::Sync))?;
        // Someone who saved an edit while we wrote must not lose it.
        if look_again && self.disk.stamp(target).map_err(at(Step::Read))? != present {
            return Ok(false);
        }
        self.disk.rename(file, target).map_err(at(Step::Rename))?;
        self.seen = Some(written);
        self.own.set(self.seen);
        self.known = bytes.to_vec();
        self.durable = false;
        self.disk.sync_folder(target).map_err(at(Step::SyncFolder))?;
        Ok(true)
    }

    /// Overwrites the present file, so that it means the old or the new content at every moment: see [`redo`].
    fn overwrite(&mut self, target: &Path, present: Stamp, bytes: &[u8]) -> Result<bool, (Step, io::Error)> {
        let at = |step| move |error| (step, error);
        let file = self.disk.open(target).map_err(at(Step::Record))?;
        self.durable = false;
        self.seen = None;
        let record = redo::record(present.length(), bytes);
        let recorded = self
            .disk
            .write_at(&file, present.length(), &record)
            .and_then(|()| self.disk.sync_in_place(&file).map(drop))
            .map_err(at(Step::Record));
        if let Err(error) = recorded {
            // A part of it may stand there. It counts for nothing, but takes room on a medium that may be full.
            let _ = self.disk.truncate(&file, present.length());
            return Err(error);
        }
        self.disk
            .write_at(&file, 0, bytes)
            .and_then(|()| self.disk.sync_in_place(&file).map(drop))
            .map_err(at(Step::Overwrite))?;
        let written = self
            .disk
            .truncate(&file, bytes.len() as u64)
            .and_then(|()| self.disk.sync_in_place(&file))
            .map_err(at(Step::Truncate))?;
        self.seen = Some(written);
        self.own.set(self.seen);
        Ok(true)
    }

    /// Reads the file again if it is another one than the renderer knows.
    fn look(&mut self, target: &Path) -> io::Result<Option<Stamp>> {
        let mut present = self.disk.stamp(target)?;
        if present.is_none() || present != self.seen {
            self.durable = false;
        }
        // A file that vanished is written anew from the text that was there.
        if present.is_none() || present == self.seen {
            return Ok(present);
        }
        let mut bytes = self.disk.read(target)?;
        if self.is_cut_off(&bytes) {
            std::thread::sleep(CUT_OFF_AGAIN);
            (present, bytes) = (self.disk.stamp(target)?, self.disk.read(target)?);
        }
        if self.is_cut_off(&bytes) {
            // So is one that was cut off: its port, its addresses and its passwords stood in it, and not in the state.
            tracing::warn!(
                "{} was cut off by somebody else, to {} of {} bytes: it is restored whole",
                target.display(),
                bytes.len(),
                self.known.len()
            );
        } else {
            // What this process left there itself (the redo record of a save that failed) is nobody else's.
            self.renderer.reread(&bytes);
            let before = std::mem::replace(&mut self.known, bytes);
            self.foreign = self.seen.is_some().then(|| (self.known.clone(), before));
        }
        self.seen = present;
        Ok(present)
    }

    /// Whether this is the beginning of what stood there before, and no more.
    fn is_cut_off(&self, bytes: &[u8]) -> bool {
        self.seen.is_some() && bytes.len() < self.known.len() && self.known.starts_with(bytes)
    }
}

/// Where a version of the file is kept that somebody else wrote.
fn replaced_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".replaced");
    PathBuf::from(name)
}

const MOUNTED: &str = "it is mounted on its own";

/// Whether an error means that a file which is there can only be written in place.
fn in_place(exists: bool, error: &io::Error) -> Option<Way> {
    let reason = match error.kind() {
        io::ErrorKind::ResourceBusy => MOUNTED.to_owned(),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            format!("its folder is not writable: {}", system_text(error))
        }
        _ => return None,
    };
    exists.then_some(Way::InPlace(reason))
}
