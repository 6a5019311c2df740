//! The file operations that durability depends on, each of which can fail.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// How many links a path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How the name of a temporary file ends, behind so many random letters and digits.
const SUFFIX: &str = ".tmp";
const RANDOM: usize = 6;

/// What tells one version of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    /// Permissions, to be given to the next version.
    mode: u32,
    owner: (u32, u32),
}

impl Stamp {
    /// How many bytes the file has.
    pub const fn length(&self) -> u64 {
        self.length
    }

    fn of(meta: &fs::Metadata) -> Self {
        Stamp {
            device: meta.dev(),
            inode: meta.ino(),
            length: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
        }
    }
}

/// The operations, in the order in which one save uses them. The provided methods are the real ones: a test overrides
/// those that it wants to fail.
pub trait Disk: Send {
    /// The file that a path leads to, through symbolic links, even if it does not exist yet.
    fn resolve(&mut self, path: &Path) -> io::Result<PathBuf> {
        let mut path = path.to_owned();
        for _ in 0..MAX_LINKS {
            match fs::read_link(&path) {
                Ok(target) => path = folder(&path).join(target),
                Err(_) => return Ok(path),
            }
        }
        Err(io::Error::other("too many levels of symbolic links"))
    }

    /// The version that is there. None: no file.
    fn stamp(&mut self, path: &Path) -> io::Result<Option<Stamp>> {
        match fs::metadata(path) {
            Ok(meta) => Ok(Some(Stamp::of(&meta))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The whole file.
    fn read(&mut self, path: &Path) -> io::Result<Vec<u8>> {
        crate::config::read_file(path)
    }

    /// An empty file in the folder of `target`, with the permissions of the version that it replaces; without one as
    /// private as asked.
    fn create(&mut self, target: &Path, replaces: Option<&Stamp>, private: bool) -> io::Result<NamedTempFile> {
        let name = target.file_name().unwrap_or_default();
        let mode = if private { 0o600 } else { 0o644 };
        let file = tempfile::Builder::new()
            .prefix(name)
            .suffix(SUFFIX)
            .rand_bytes(RANDOM)
            .permissions(fs::Permissions::from_mode(mode)) // less the umask
            .tempfile_in(folder(target))?;
        if let Some(stamp) = replaces {
            // The owner first: a change of it clears bits of the mode. Only root may give files away; the reference
            // does not even try.
            let created = file.as_file().metadata()?;
            if (created.uid(), created.gid()) != stamp.owner {
                let _ = std::os::unix::fs::fchown(file.as_file(), Some(stamp.owner.0), Some(stamp.owner.1));
            }
            file.as_file().set_permissions(fs::Permissions::from_mode(stamp.mode))?;
        }
        Ok(file)
    }

    /// Removes temporary files that a process which was killed has left beside this file: none is used again.
    fn remove_temporary(&mut self, target: &Path) -> io::Result<()> {
        let prefix = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for entry in fs::read_dir(folder(target))? {
            let entry = entry?;
            let name = entry.file_name();
            let random = name.to_str().and_then(|name| name.strip_prefix(&*prefix)?.strip_suffix(SUFFIX));
            let ours =
                random.is_some_and(|it| it.len() == RANDOM && it.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            if ours && entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
                tracing::info!("Removed {}, which a process that was killed had left", entry.path().display());
            }
        }
        Ok(())
    }

    /// Writes all of it.
    fn write(&mut self, file: &mut NamedTempFile, bytes: &[u8]) -> io::Result<()> {
        file.as_file_mut().write_all(bytes)
    }

    /// Forces the content to the medium. Returns the version that was written.
    fn sync_file(&mut self, file: &NamedTempFile) -> io::Result<Stamp> {
        file.as_file().sync_all()?;
        Ok(Stamp::of(&file.as_file().metadata()?))
    }

    /// Puts the new version in the place of the old one. On failure the temporary file is removed.
    fn rename(&mut self, file: NamedTempFile, target: &Path) -> io::Result<()> {
        file.persist(target).map(drop).map_err(|error| error.error)
    }

    /// Whether a file is mounted on its own, so that nothing can be put in its place. Unknown counts as no.
    fn is_mounted(&mut self, path: &Path) -> bool {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};

        statx(CWD, path, AtFlags::empty(), StatxFlags::BASIC_STATS)
            .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
    }

    /// The file that is there, for writing in place.
    fn open(&mut self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).open(path)
    }

    /// Writes all of it at this place of a file.
    fn write_at(&mut self, file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
        file.write_all_at(bytes, offset)
    }

    /// Forces what was written in place to the medium. Returns the version that is there now.
    fn sync_in_place(&mut self, file: &File) -> io::Result<Stamp> {
        file.sync_all()?;
        Ok(Stamp::of(&file.metadata()?))
    }

    /// Cuts a file off at this length.
    fn truncate(&mut self, file: &File, length: u64) -> io::Result<()> {
        file.set_len(length)
    }

    /// Forces the new name to the medium.
    fn sync_folder(&mut self, target: &Path) -> io::Result<()> {
        File::open(folder(target))?.sync_all()
    }
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {}

/// The folder that a file is in.
pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
