//! Which programs the fixtures run.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Whose Sentinel a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The `sentinel` of this repository.
    Ours,
    /// redis-sentinel.
    Reference,
}

impl Kind {
    /// Ours, or the reference when `SENTINEL_UNDER_TEST=reference`: so a story can be checked against what it imitates.
    pub fn under_test() -> Self {
        match env::var("SENTINEL_UNDER_TEST").as_deref() {
            Ok("reference") => Self::Reference,
            Ok("ours") | Err(_) => Self::Ours,
            Ok(other) => panic!("SENTINEL_UNDER_TEST is ours or reference, not {other:?}"),
        }
    }

    /// The other one.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Ours => Self::Reference,
            Self::Reference => Self::Ours,
        }
    }

    /// How it is called in tables and logs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "sentinel",
            Self::Reference => "redis-sentinel",
        }
    }

    /// The program and the arguments that start it with the configuration file `config`.
    pub fn command(self, config: &Path) -> (PathBuf, Vec<std::ffi::OsString>) {
        match self {
            Self::Ours => (our_sentinel(), vec![config.into()]),
            Self::Reference => match reference_sentinel() {
                Some(program) => (program, vec![config.into()]),
                // The same program, asked to be a Sentinel.
                None => (redis_server(), vec![config.into(), "--sentinel".into()]),
            },
        }
    }

    /// What the program says of its version.
    pub fn version(self) -> String {
        version_of(&self.program())
    }

    /// The program.
    pub fn program(self) -> PathBuf {
        match self {
            Self::Ours => our_sentinel(),
            Self::Reference => reference_sentinel().unwrap_or_else(redis_server),
        }
    }
}

/// The server that is run as data node: `REDIS_SERVER`, else redis-server or valkey-server on the PATH.
///
/// # Panics
/// When there is none.
pub fn redis_server() -> PathBuf {
    named_or_on_path("REDIS_SERVER", &["redis-server", "valkey-server"]).unwrap_or_else(|| {
        panic!("no redis-server or valkey-server on the PATH: install one (make test does), or name it in REDIS_SERVER")
    })
}

/// The reference: `REDIS_SENTINEL`, else redis-sentinel or valkey-sentinel on the PATH.
pub fn reference_sentinel() -> Option<PathBuf> {
    named_or_on_path("REDIS_SENTINEL", &["redis-sentinel", "valkey-sentinel"])
}

/// The command line client that comes with the servers: `REDIS_CLI`, else redis-cli or valkey-cli on the PATH.
///
/// # Panics
/// When there is none.
pub fn redis_cli() -> PathBuf {
    named_or_on_path("REDIS_CLI", &["redis-cli", "valkey-cli"])
        .unwrap_or_else(|| panic!("no redis-cli or valkey-cli on the PATH: name one in REDIS_CLI"))
}

/// Our `sentinel`: `SENTINEL_BIN`, else the one in the folder the running program was built in. That one is built first,
/// once for each process, so that no test runs against yesterday's.
///
/// # Panics
/// When it cannot be built.
pub fn our_sentinel() -> PathBuf {
    static OURS: OnceLock<PathBuf> = OnceLock::new();
    OURS.get_or_init(|| match env::var_os("SENTINEL_BIN") {
        Some(path) => path.into(),
        None => build_our_sentinel(),
    })
    .clone()
}

/// `setpriv`, which has the kernel kill a child when its parent dies; it comes with util-linux.
pub(crate) fn death_signal_wrapper() -> Option<PathBuf> {
    static SETPRIV: OnceLock<Option<PathBuf>> = OnceLock::new();
    SETPRIV
        .get_or_init(|| {
            let setpriv = on_path("setpriv")?;
            let works = Command::new(&setpriv)
                .args(["--pdeathsig", "KILL", "--", "true"])
                .status()
                .is_ok_and(|status| status.success());
            works.then_some(setpriv)
        })
        .clone()
}

/// The first line of what `program --version` prints.
pub fn version_of(program: &Path) -> String {
    let output = Command::new(program).arg("--version").output();
    match output {
        Ok(output) => String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or("version unknown").to_owned(),
        Err(error) => format!("version unknown: {error}"),
    }
}

fn build_our_sentinel() -> PathBuf {
    let (folder, release) = build_folder();
    let target = folder.parent().unwrap_or(&folder);
    let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    build
        .args(["build", "--quiet", "--package", "sentineld", "--bin", "sentinel"])
        .arg("--manifest-path")
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .arg("--target-dir")
        .arg(target);
    if release {
        build.arg("--release");
    }
    let status = build.status().unwrap_or_else(|error| panic!("cannot run cargo to build sentinel: {error}"));
    assert!(
        status.success(),
        "sentinel does not build: run cargo build -p sentineld, or name a built one in SENTINEL_BIN"
    );
    folder.join("sentinel")
}

/// The folder of the profile in which the running program was built, and whether that is a release build.
fn build_folder() -> (PathBuf, bool) {
    let program = env::current_exe().expect("the running program has a path");
    let folder = program
        .ancestors()
        .skip(1)
        .find(|folder| folder.file_name().is_some_and(|name| name != "deps" && name != "examples"))
        .expect("a built program lies in a folder")
        .to_owned();
    let release = folder.file_name().is_some_and(|name| name == "release");
    (folder, release)
}

fn named_or_on_path(variable: &str, names: &[&str]) -> Option<PathBuf> {
    match env::var_os(variable) {
        Some(path) if !path.is_empty() => {
            let path = PathBuf::from(path);
            let found = if path.components().count() > 1 {
                path.exists().then_some(path.clone())
            } else {
                on_path(&path.to_string_lossy())
            };
            Some(found.unwrap_or_else(|| panic!("{variable} names {}, which does not exist", path.display())))
        }
        _ => names.iter().find_map(|name| on_path(name)),
    }
}

/// The program of that name on the PATH.
pub fn on_path(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}
