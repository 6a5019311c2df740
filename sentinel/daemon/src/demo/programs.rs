//! Finding and running the programs of the demo.

use std::{
    env,
    fs::File,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use super::DemoError;

/// The redis-server or valkey-server to use.
pub(super) fn server() -> Result<PathBuf, DemoError> {
    named("REDIS_SERVER").or_else(|| on_path("redis-server")).or_else(|| on_path("valkey-server")).ok_or(
        DemoError::Missing {
            program: "redis-server or valkey-server",
            package: "redis-server",
            variable: "REDIS_SERVER",
        },
    )
}

/// The redis-sentinel to compare with.
pub(super) fn reference() -> Result<PathBuf, DemoError> {
    named("REDIS_SENTINEL")
        .or_else(|| on_path("redis-sentinel"))
        .or_else(|| on_path("valkey-sentinel"))
        .ok_or(DemoError::Missing { program: "redis-sentinel", package: "redis-sentinel", variable: "REDIS_SENTINEL" })
}

fn named(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from).filter(|path| path.is_file())
}

fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// So many different free ports on loopback, below those that the system gives to outgoing connections.
pub(super) fn free_ports(count: usize) -> Result<Vec<u16>, DemoError> {
    let first = 20_000 + u16::try_from(std::process::id() % 10_000).unwrap_or(0);
    let mut held = Vec::new();
    for port in (first..32_000).chain(20_000..first) {
        if held.len() == count {
            break;
        }
        held.extend(TcpListener::bind(("127.0.0.1", port)).ok().map(|listener| (port, listener)));
    }
    if held.len() < count {
        let source = std::io::Error::new(std::io::ErrorKind::AddrInUse, "all taken");
        return Err(DemoError::System {
            what: "no free ports between 20000 and 32000 on 127.0.0.1".to_owned(),
            source,
        });
    }
    Ok(held.into_iter().map(|(port, _)| port).collect())
}

/// A child that ends with the demo.
#[derive(Debug)]
pub(super) struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts a program in a folder of its own; what it says goes to a file there.
    pub(super) fn start(name: &str, program: &Path, args: &[String], folder: &Path) -> Result<Self, DemoError> {
        let system = |what: String| move |source| DemoError::System { what, source };
        std::fs::create_dir_all(folder).map_err(system(format!("cannot make {}", folder.display())))?;
        let log = folder.join("log");
        let file = File::options().create(true).append(true).open(&log);
        let file = file.map_err(system(format!("cannot open {}", log.display())))?;
        let errors = file.try_clone().map_err(system(format!("cannot open {}", log.display())))?;
        let child = Command::new(program)
            .args(args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .map_err(system(format!("cannot start {}", program.display())))?;
        Ok(Process { name: name.to_owned(), log, child })
    }

    /// SIGKILL, and wait until it is gone.
    pub(super) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The last lines of its log.
    pub(super) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        format!("--- {}\n{}\n", self.name, lines[lines.len().saturating_sub(15)..].join("\n"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
