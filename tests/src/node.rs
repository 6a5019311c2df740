//! One redis-server or valkey-server.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{Connection, FromRedisValue, IntoConnectionInfo, RedisResult};

use crate::doors;
use crate::ports::free_port;
use crate::process::{ServerProcess, last_lines};
use crate::programs;
use crate::wait::eventually;

const STARTS_WITHIN: Duration = Duration::from_secs(10);
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);

/// What a node finds when it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataset {
    /// All it had acknowledged (its append-only file).
    Kept,
    /// Nothing, like a new machine under the old address.
    Lost,
}

/// A data node on its own port and in its own folder. It is killed when dropped.
#[derive(Debug)]
pub struct DataNode {
    label: String,
    port: u16,
    /// What the port is called on the command line.
    option: &'static str,
    folder: PathBuf,
    process: Mutex<Option<ServerProcess>>,
}

impl DataNode {
    /// The same on a port that speaks TLS only, as `tls` says. The fixtures reach it by its Unix socket.
    pub fn start_encrypted(
        parent: &Path,
        label: &str,
        replica_of: Option<u16>,
        lines: &[String],
        tls: &[String],
    ) -> Self {
        Self::begin(parent, label, replica_of, lines, Some(tls))
    }

    /// Starts a node in the new folder `<parent>/<label>`, as a replica of the port `replica_of` if there is one, and waits
    /// until it answers. `lines` are added to its configuration.
    pub fn start(parent: &Path, label: &str, replica_of: Option<u16>, lines: &[String]) -> Self {
        Self::begin(parent, label, replica_of, lines, None)
    }

    fn begin(parent: &Path, label: &str, replica_of: Option<u16>, lines: &[String], tls: Option<&[String]>) -> Self {
        let folder = parent.join(label);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let port = free_port();
        let mut config = format!(
            "port {port}\n\
             bind 127.0.0.1\n\
             dir {}\n\
             daemonize no\n\
             save \"\"\n\
             appendonly yes\n\
             repl-diskless-sync-delay 0\n\
             enable-debug-command local\n",
            folder.display()
        );
        if let Some(master) = replica_of {
            writeln!(config, "replicaof 127.0.0.1 {master}").expect("a String takes all text");
        }
        let encrypted = tls.map(|tls| [doors::lines(port, &folder), tls.to_vec()].concat());
        for line in encrypted.iter().flatten().chain(lines) {
            config.push_str(line);
            config.push('\n');
        }
        fs::write(folder.join("redis.conf"), config)
            .unwrap_or_else(|error| panic!("{label}: cannot write its configuration: {error}"));
        let node = Self {
            label: label.to_owned(),
            port,
            option: if tls.is_some() { "--tls-port" } else { "--port" },
            folder,
            process: Mutex::new(None),
        };
        node.launch(port);
        node.wait_until_it_answers();
        node
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// `127.0.0.1:<port>`, as Sentinels name a replica.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Its configuration file, which CONFIG REWRITE writes.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("redis.conf")
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.take_running().kill();
    }

    /// SIGSTOP: the kernel goes on accepting connections and bytes for it, it answers none.
    pub fn hang(&self) {
        self.with_running(ServerProcess::hang);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.with_running(ServerProcess::resume);
    }

    /// Whether it was started and not killed.
    pub fn is_running(&self) -> bool {
        self.lock().as_mut().is_some_and(|process| process.exit_status().is_none())
    }

    /// Starts it again on its port after [`kill`](Self::kill), without waiting until it answers.
    pub fn launch_again(&self, dataset: Dataset) {
        assert!(!self.is_running(), "{} is still running", self.label);
        if dataset == Dataset::Lost {
            self.lose_dataset();
        }
        self.launch(self.port);
    }

    /// Starts it again on its port after [`kill`](Self::kill), and waits until it answers.
    pub fn restart(&self, dataset: Dataset) {
        self.launch_again(dataset);
        self.wait_until_it_answers();
    }

    /// While the node is dead for everybody: runs it on a port that nobody knows, as the master it was, has `change` alter its
    /// data, and ends it. So a node can return with a history that nobody else has.
    pub fn change_while_away<T>(&self, change: impl FnOnce(&mut Connection) -> T) -> T {
        assert!(!self.is_running(), "{} is still running", self.label);
        let hidden = free_port();
        self.launch(hidden);
        let mut connection = eventually(&format!("{} answers on its hidden port", self.label), STARTS_WITHIN, || {
            connect(hidden).map_err(|error| error.to_string())
        });
        eventually(&format!("{} has loaded its data", self.label), STARTS_WITHIN, || {
            redis::cmd("PING").query::<String>(&mut connection).map_err(|error| error.to_string())
        });
        let value = change(&mut connection);
        self.take_running().kill();
        value
    }

    /// Sends one command on a connection of its own.
    pub fn command<T: FromRedisValue>(&self, arguments: &[&str]) -> RedisResult<T> {
        command(self.port, arguments)
    }

    /// A connection whose answers are waited for at most 2 s.
    pub fn connect(&self) -> RedisResult<Connection> {
        connect(self.port)
    }

    /// The value of one field of INFO, if the node answers and has it.
    pub fn info(&self, field: &str) -> Option<String> {
        let info: String = self.command(&["INFO"]).ok()?;
        info.lines().find_map(|line| {
            let (name, value) = line.trim_end().split_once(':')?;
            (name == field).then(|| value.to_owned())
        })
    }

    /// `master` or `slave`, if it answers.
    pub fn role(&self) -> Option<String> {
        self.info("role")
    }

    /// Its run id.
    pub fn run_id(&self) -> String {
        self.info("run_id").unwrap_or_else(|| panic!("{} tells no run id", self.label))
    }

    /// Whether it replicates from `master` over a link that is up.
    pub fn follows(&self, master: &DataNode) -> Result<(), String> {
        let port = self.info("master_port");
        let link = self.info("master_link_status");
        if port.as_deref() == Some(&master.port.to_string()) && link.as_deref() == Some("up") {
            Ok(())
        } else {
            Err(format!("{} follows port {port:?} with link {link:?}, not {}", self.label, master.label))
        }
    }

    /// Waits until it answers PING with PONG: it listens and has loaded its data.
    pub fn wait_until_it_answers(&self) {
        eventually(&format!("{} answers on port {}", self.label, self.port), STARTS_WITHIN, || {
            if !self.is_running() {
                return Err(format!("it has ended: {}", self.last_output(10)));
            }
            self.command::<String>(&["PING"]).map_err(|error| error.to_string())
        });
    }

    /// The last lines of its log.
    pub fn last_output(&self, lines: usize) -> String {
        last_lines(&self.folder.join("output.log"), lines)
    }

    fn launch(&self, port: u16) {
        let process = ServerProcess::start(
            &self.label,
            &programs::redis_server(),
            &[self.folder.join("redis.conf").into(), self.option.into(), port.to_string().into()],
            &self.folder,
        );
        *self.lock() = Some(process);
    }

    fn lose_dataset(&self) {
        for name in ["appendonlydir", "dump.rdb", "appendonly.aof"] {
            let path = self.folder.join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path)
            } else if path.exists() {
                fs::remove_file(&path)
            } else {
                Ok(())
            }
            .unwrap_or_else(|error| panic!("cannot remove {}: {error}", path.display()));
        }
    }

    fn with_running(&self, act: impl FnOnce(&ServerProcess)) {
        act(self.lock().as_ref().unwrap_or_else(|| panic!("{} is not running", self.label)));
    }

    fn take_running(&self) -> ServerProcess {
        self.lock().take().unwrap_or_else(|| panic!("{} is not running", self.label))
    }

    fn lock(&self) -> MutexGuard<'_, Option<ServerProcess>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection to a port of 127.0.0.1 on which nothing is waited for longer than 2 s.
pub(crate) fn connect(port: u16) -> RedisResult<Connection> {
    connect_with(port, ANSWERS_WITHIN)
}

/// The same with another limit, for connecting and for every answer.
pub(crate) fn connect_with(port: u16, limit: Duration) -> RedisResult<Connection> {
    let client = match doors::of(port) {
        Some(socket) => redis::Client::open(redis::ConnectionAddr::Unix(socket).into_connection_info()?)?,
        None => redis::Client::open(("127.0.0.1", port))?,
    };
    let connection = client.get_connection_with_timeout(limit)?;
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))?;
    Ok(connection)
}

/// One command on a connection of its own.
pub(crate) fn command<T: FromRedisValue>(port: u16, arguments: &[&str]) -> RedisResult<T> {
    let (name, rest) = arguments.split_first().expect("a command has at least a name");
    redis::cmd(name).arg(rest).query(&mut connect(port)?)
}
