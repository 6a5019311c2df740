//! Fetches the clients from their registries, into a folder of the build.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use sentinel_tests::redis_py;

use crate::clients::{Client, Language, SOURCES};

/// Why the clients cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InstallError {
    /// A program is missing.
    #[error("cannot run {program}: {cause}; install {package}")]
    Missing { program: &'static str, package: &'static str, cause: io::Error },
    /// redis-py is not there.
    #[error(transparent)]
    Python(#[from] redis_py::InstallError),
    /// A package manager has reported an error, which it has printed.
    #[error("{program} ended with {status}; the clients of {folder} are not installed")]
    Failed { program: &'static str, status: ExitStatus, folder: PathBuf },
    /// A folder cannot be made or filled.
    #[error("{}: {cause}", path.display())]
    Folder { path: PathBuf, cause: io::Error },
}

/// Installs what these clients need and is not there yet; the folder with all of them.
pub(crate) fn install(clients: &[Client]) -> Result<PathBuf, InstallError> {
    let folder = build_folder().join("clients");
    let sources = Path::new(SOURCES);
    let needs = |language| clients.iter().any(|client| client.language() == language);
    if needs(Language::Python) {
        redis_py::install(&redis_py::folder(&build_folder()))?;
    }
    if needs(Language::Node) {
        let target = folder.join("node");
        let pinned = sources.join("node/package-lock.json");
        if is_outdated(&target, &pinned) {
            make(&target)?;
            for name in ["package.json", "package-lock.json"] {
                copy(&sources.join("node").join(name), &target.join(name))?;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&target);
            run("npm", "nodejs and npm (Node 20 or later)", npm, sources)?;
            remember(&target, &pinned)?;
        }
    }
    if needs(Language::Rust) {
        let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo
            .args(["build", "--release", "--manifest-path"])
            .arg(sources.join("rust/Cargo.toml"))
            .arg("--target-dir")
            .arg(folder.join("rust"));
        run("cargo", "Rust", cargo, sources)?;
    }
    Ok(folder)
}

/// The folder into which cargo builds, found from the running program: `<folder>/<profile>/client-failover`.
fn build_folder() -> PathBuf {
    let program = env::current_exe().expect("the running program has a path");
    program.ancestors().nth(2).expect("a built program lies in the folder of a profile").to_owned()
}

/// Whether the versions pinned now are other ones than those that were installed.
fn is_outdated(target: &Path, pinned: &Path) -> bool {
    let installed = fs::read(marker(target));
    installed.is_err() || installed.ok() != fs::read(pinned).ok()
}

fn remember(target: &Path, pinned: &Path) -> Result<(), InstallError> {
    copy(pinned, &marker(target))
}

fn marker(target: &Path) -> PathBuf {
    target.join("installed-from")
}

fn make(path: &Path) -> Result<(), InstallError> {
    fs::create_dir_all(path).map_err(|cause| InstallError::Folder { path: path.to_owned(), cause })
}

fn copy(from: &Path, to: &Path) -> Result<(), InstallError> {
    fs::copy(from, to).map(drop).map_err(|cause| InstallError::Folder { path: to.to_owned(), cause })
}

fn run(program: &'static str, package: &'static str, mut command: Command, folder: &Path) -> Result<(), InstallError> {
    let status = command.status().map_err(|cause| InstallError::Missing { program, package, cause })?;
    if status.success() { Ok(()) } else { Err(InstallError::Failed { program, status, folder: folder.to_owned() }) }
}
