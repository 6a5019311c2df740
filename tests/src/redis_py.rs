//! redis-py for the applications that are written with it, in the pinned version.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

/// Where the applications and the file that pins the version lie.
pub const SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clients/python");

/// Why redis-py is not there.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    /// Python is missing.
    #[error("cannot run python3: {0}; install python3 (3.10 or later) and python3-pip")]
    NoPython(#[source] io::Error),
    /// pip has reported an error, which it has printed.
    #[error("pip ended with {0}; redis-py is not installed")]
    Pip(ExitStatus),
    /// The folder cannot be written.
    #[error("{}: {cause}", path.display())]
    Folder {
        /// What cannot be written.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Where it is installed, in the folder into which cargo builds.
pub fn folder(build: &Path) -> PathBuf {
    build.join("clients/python")
}

/// Installs the pinned version with pip into `target`, unless it is there.
pub fn install(target: &Path) -> Result<(), InstallError> {
    let pinned = Path::new(SOURCES).join("requirements.txt");
    let marker = target.join("installed-from");
    let wanted = fs::read(&pinned).map_err(|cause| InstallError::Folder { path: pinned.clone(), cause })?;
    if fs::read(&marker).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let status = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"])
        .args(["--upgrade", "--target"])
        .arg(target)
        .arg("--requirement")
        .arg(&pinned)
        .status()
        .map_err(InstallError::NoPython)?;
    if !status.success() {
        return Err(InstallError::Pip(status));
    }
    fs::write(&marker, wanted).map_err(|cause| InstallError::Folder { path: marker, cause })
}
