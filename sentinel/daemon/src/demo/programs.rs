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
    found("REDIS_SERVER", ["redis-server", "valkey-server"], "redis-server")
}

/// The redis-sentinel to compare with.
pub(super) fn reference() -> Result<PathBuf, DemoError> {
    found("REDIS_SENTINEL", ["redis-sentinel", "valkey-sentinel"], "redis-sentinel")
}

/// What a variable names, which must be there then; else the first of the programs that is on the PATH.
fn found(variable: &'static str, programs: [&'static str; 2], package: &'static str) -> Result<PathBuf, DemoError> {
    match env::var_os(variable).map(PathBuf::from) {
        Some(named) if named.is_file() => Ok(named),
        // A bare name is looked for, as scripts/install-redis does.
        Some(named) => named
            .to_str()
            .filter(|name| !name.contains('/'))
            .and_then(on_path)
            .ok_or(DemoError::NotThere { variable, named }),
        None => programs.iter().find_map(|program| on_path(program)).ok_or(DemoError::Missing {
            program: programs[0],
            package,
            variable,
        }),
    }
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
