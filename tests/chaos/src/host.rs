//! One host: an address, a disk that can be filled, and a process that can be stopped, killed and started again.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::isolate::run;
use crate::network::{HostId, address_of, give_address, namespace};

/// What a host is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A redis-server.
    Data,
    /// A Sentinel, ours or redis-sentinel.
    Sentinel,
    /// An application.
    Application,
}

/// A host with the program that runs on it.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) id: HostId,
    pub(crate) role: Role,
    pub(crate) name: String,
    ip: Ipv4Addr,
    /// Its disk.
    pub(crate) folder: PathBuf,
    /// What its program prints; not on its disk, which may be full.
    pub(crate) log: PathBuf,
    program: Vec<String>,
    variables: Vec<(String, String)>,
    child: Option<Child>,
}

impl Host {
    /// A host whose disk has `megabytes`, mounted under `parent`.
    pub(crate) fn new(id: HostId, role: Role, name: &str, parent: &Path, megabytes: u32) -> Result<Self, String> {
        let folder = parent.join(name);
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "tmpfs"]).arg(&folder))?;
        let log = parent.join(format!("{name}.log"));
        Ok(Self {
            id,
            role,
            name: name.to_owned(),
            ip: address_of(id),
            folder,
            log,
            program: Vec::new(),
            variables: Vec::new(),
            child: None,
        })
    }

    /// Where its program answers.
    pub(crate) fn address(&self) -> String {
        let port = if self.role == Role::Data { 6379 } else { 26379 };
        format!("{}:{port}", self.ip)
    }

    /// The address it has now.
    pub(crate) const fn ip(&self) -> Ipv4Addr {
        self.ip
    }

    /// Gives it another address. Its program must not run: it would keep connections that nobody reaches.
    pub(crate) fn move_to(&mut self, ip: Ipv4Addr) -> Result<(), String> {
        give_address(self.id, ip)?;
        self.ip = ip;
        Ok(())
    }

    /// Decides what runs here, and starts it.
    pub(crate) fn install(&mut self, program: Vec<String>, variables: Vec<(String, String)>) -> Result<(), String> {
        self.program = program;
        self.variables = variables;
        self.start()
    }

    /// Starts the program, if it is not running.
    pub(crate) fn start(&mut self) -> Result<(), String> {
        if self.is_running() {
            return Ok(());
        }
        let name = &self.name;
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.log)
            .map_err(|error| format!("{}: {error}", self.log.display()))?;
        let errors = output.try_clone().map_err(|error| format!("{name}: {error}"))?;
        let child = Command::new("ip")
            .args(["netns", "exec", &namespace(self.id)])
            .args(&self.program)
            .envs(self.variables.iter().map(|(key, value)| (key, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| format!("{name}: {error}"))?;
        self.child = Some(child);
        Ok(())
    }

    /// Mends the append-only file and starts the data node, if it ended for the sake of that file.
    pub(crate) fn repair_data(&mut self) -> Result<bool, String> {
        if self.is_running() {
            return Ok(false);
        }
        let log = fs::read(&self.log).map_err(|error| format!("{}: {error}", self.log.display()))?;
        let log = String::from_utf8_lossy(&log);
        if !log.lines().last().is_some_and(|line| line.contains("Bad file format reading the append only file")) {
            return Ok(false);
        }
        let mut check = Command::new("redis-check-aof")
            .args(["--fix", "appendonlydir/appendonly.aof.manifest"])
            .current_dir(&self.folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("redis-check-aof: {error}"))?;
        // It asks whether it may cut the file off.
        let agreed = check.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(b"y\n"));
        let ended = agreed.and_then(|()| check.wait()).map_err(|error| format!("redis-check-aof: {error}"))?;
        if !ended.success() {
            return Err(format!("{}: redis-check-aof cannot mend the append-only file: {ended}", self.name));
        }
        self.start()?;
        Ok(true)
    }

    /// Whether the program runs; it may have ended by itself.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            // An error means that it has ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// SIGSTOP: it holds its connections and answers nobody.
    pub(crate) fn hang(&mut self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
    }

    fn signal(&mut self, signal: Signal) {
        if self.is_running()
            && let Some(child) = &self.child
        {
            // It may end in this moment.
            let _ = kill_process(Pid::from_child(child), signal);
        }
    }

    /// Fills its disk to the last byte.
    pub(crate) fn fill_disk(&self) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.ballast())?;
        for size in [1 << 16, 1 << 12, 1 << 8, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(())
    }

    /// Makes room again.
    pub(crate) fn free_disk(&self) {
        // It is not there unless the disk was filled.
        let _ = fs::remove_file(self.ballast());
    }

    fn ballast(&self) -> PathBuf {
        self.folder.join("ballast")
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.kill();
        // The end of the namespaces removes it if this cannot.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.folder));
    }
}
