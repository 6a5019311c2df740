//! One Sentinel process, ours or the reference.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use redis::{FromRedisValue, RedisResult};

use crate::doors;
use crate::events::EventRecorder;
use crate::http::Http;
use crate::node;
use crate::ports::free_port;
use crate::process::{ServerProcess, last_lines};
use crate::programs::{Kind, our_sentinel};
use crate::wait::eventually;

/// What those of ours look like that are started from now on.
static LOOK: OnceLock<&'static str> = OnceLock::new();

/// Has all of ours that are started from now on look like this version (`compatible-version`). The first call counts.
pub fn look_like(version: &'static str) {
    let _ = LOOK.set(version);
}

const STARTS_WITHIN: Duration = Duration::from_secs(10);
const ENDS_WITHIN: Duration = Duration::from_secs(5);

/// Field names and values, as `SENTINEL MASTER` and its kin list them.
pub type Fields = BTreeMap<String, String>;

/// A Sentinel on its own port, with its own configuration file that it rewrites. It is killed when dropped.
#[derive(Debug)]
pub struct SentinelProcess {
    label: String,
    port: u16,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    kind: Kind,
    process: Option<ServerProcess>,
}

impl SentinelProcess {
    /// Starts a Sentinel in the new folder `<parent>/<label>` and waits until it answers. `lines` are its configuration
    /// apart from `port`, `bind` and `dir`.
    pub fn start(parent: &Path, label: &str, kind: Kind, lines: &[String]) -> Self {
        Self::begin(parent, label, kind, lines, None)
    }

    /// The same on a port that speaks TLS only, as `tls` says. The fixtures reach it by its Unix socket.
    pub fn start_encrypted(parent: &Path, label: &str, kind: Kind, lines: &[String], tls: &[String]) -> Self {
        Self::begin(parent, label, kind, lines, Some(tls))
    }

    fn begin(parent: &Path, label: &str, kind: Kind, lines: &[String], tls: Option<&[String]>) -> Self {
        let folder = parent.join(label);
        fs::create_dir(&folder).unwrap_or_else(|error| panic!("cannot make {}: {error}", folder.display()));
        let port = free_port();
        let mut config = format!("port {port}\nbind 127.0.0.1\ndaemonize no\ndir {}\n", folder.display());
        if let Some(look) = LOOK.get() {
            // A comment for the reference, which may take the file over.
            config = config + "#@ compatible-version " + look + "\n";
        }
        let encrypted = tls.map(|tls| [doors::lines(port, &folder), tls.to_vec()].concat());
        for line in encrypted.iter().flatten().chain(lines) {
            config.push_str(line);
            config.push('\n');
        }
        let sentinel = Self { label: label.to_owned(), port, folder, state: Mutex::new(State { kind, process: None }) };
        fs::write(sentinel.config_file(), config)
            .unwrap_or_else(|error| panic!("{label}: cannot write its configuration: {error}"));
        sentinel.restart();
        sentinel
    }

    /// Its port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its name in messages.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Whose program runs now.
    pub fn kind(&self) -> Kind {
        self.lock().kind
    }

    /// Where its configuration is.
    pub fn config_file(&self) -> PathBuf {
        self.folder.join("sentinel.conf")
    }

    /// The present text of its configuration.
    pub fn config(&self) -> String {
        fs::read_to_string(self.config_file())
            .unwrap_or_else(|error| panic!("{}: cannot read its configuration: {error}", self.label))
    }

    /// SIGKILL.
    pub fn kill(&self) {
        self.take_running().kill();
    }

    /// SIGTERM, and waits for its end, which must be an orderly one.
    pub fn terminate(&self) {
        let status = self.take_running().terminate(ENDS_WITHIN);
        assert!(status.success(), "{} ended with {status}:\n{}", self.label, self.last_output(20));
    }

    /// SIGSTOP.
    pub fn hang(&self) {
        self.with_running(ServerProcess::hang);
    }

    /// SIGHUP.
    pub fn hang_up(&self) {
        self.with_running(ServerProcess::hang_up);
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.with_running(ServerProcess::resume);
    }

    /// Whether it was started and not stopped.
    pub fn is_running(&self) -> bool {
        self.lock().process.as_mut().is_some_and(|process| process.exit_status().is_none())
    }

    /// Starts it with the file as it is now, and waits until it answers.
    pub fn restart(&self) {
        let (program, arguments) = self.kind().command(&self.config_file());
        self.restart_by(&program, &arguments);
    }

    /// The same with this command line: somebody else has decided which program it is.
    pub fn restart_by(&self, program: &Path, arguments: &[OsString]) {
        assert!(!self.is_running(), "{} is still running", self.label);
        {
            let mut state = self.lock();
            state.kind = if program == our_sentinel() { Kind::Ours } else { Kind::Reference };
            state.process = Some(ServerProcess::start(&self.label, program, arguments, &self.folder));
        }
        eventually(&format!("{} answers on port {}", self.label, self.port), STARTS_WITHIN, || {
            if !self.is_running() {
                return Err(format!("it has ended:\n{}", self.last_output(20)));
            }
            match self.command::<String>(&["PING"]) {
                // It wants a password: it answers.
                Err(error) if error.code() == Some("NOAUTH") => Ok(()),
                answer => answer.map(drop).map_err(|error| error.to_string()),
            }
        });
    }

    /// The same with the other program: what one has written, the other takes over.
    pub fn restart_as(&self, kind: Kind) {
        self.lock().kind = kind;
        self.restart();
    }

    /// Sends one command on a connection of its own.
    pub fn command<T: FromRedisValue>(&self, arguments: &[&str]) -> RedisResult<T> {
        node::command(self.port, arguments)
    }

    /// Records all events from now on.
    pub fn record(&self) -> EventRecorder {
        EventRecorder::start(self.port)
    }

    /// Its id.
    pub fn id(&self) -> String {
        self.ask(&["SENTINEL", "MYID"])
    }

    /// `SENTINEL MASTER <name>`.
    pub fn master(&self, name: &str) -> RedisResult<Fields> {
        self.command(&["SENTINEL", "MASTER", name])
    }

    /// `SENTINEL REPLICAS <name>`.
    pub fn replicas(&self, name: &str) -> RedisResult<Vec<Fields>> {
        self.command(&["SENTINEL", "REPLICAS", name])
    }

    /// `SENTINEL SENTINELS <name>`.
    pub fn peers(&self, name: &str) -> RedisResult<Vec<Fields>> {
        self.command(&["SENTINEL", "SENTINELS", name])
    }

    /// The port clients are told for `name`.
    pub fn master_port(&self, name: &str) -> RedisResult<Option<u16>> {
        let address: Option<(String, u16)> = self.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", name])?;
        Ok(address.map(|(_, port)| port))
    }

    /// The configuration epoch of `name`.
    pub fn config_epoch(&self, name: &str) -> u64 {
        let fields = self.master(name);
        fields
            .as_ref()
            .ok()
            .and_then(|fields| fields.get("config-epoch")?.parse().ok())
            .unwrap_or_else(|| panic!("{} tells no config-epoch: {fields:?}", self.label))
    }

    /// The value of the configuration line that begins with `directive`.
    pub fn configured(&self, directive: &str) -> Option<String> {
        self.config().lines().find_map(|line| {
            let rest = line.strip_prefix(directive)?;
            Some(rest.strip_prefix(' ')?.trim().to_owned())
        })
    }

    /// Its HTTP endpoint.
    pub fn http(&self) -> Http {
        let listen = self.configured("http-listen");
        let port = listen.as_deref().and_then(|listen| listen.rsplit_once(':')?.1.parse().ok());
        Http::at(port.unwrap_or_else(|| panic!("{} has no HTTP endpoint: {listen:?}", self.label)))
    }

    /// The current epoch, as the file has it: it is in no reply.
    pub fn current_epoch(&self) -> u64 {
        self.configured("sentinel current-epoch")
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| panic!("{}: no current-epoch in:\n{}", self.label, self.config()))
    }

    /// Asks for a vote as a peer with that id would: the id voted for and the epoch of the vote.
    pub fn request_vote(&self, master_port: u16, epoch: u64, id: &str) -> (String, u64) {
        let (_, leader, leader_epoch): (i64, String, u64) = self.ask(&[
            "SENTINEL",
            "IS-MASTER-DOWN-BY-ADDR",
            "127.0.0.1",
            &master_port.to_string(),
            &epoch.to_string(),
            id,
        ]);
        (leader, leader_epoch)
    }

    /// `SENTINEL FAILOVER <name>`, which must be accepted.
    pub fn failover(&self, name: &str) {
        let reply: String = self.ask(&["SENTINEL", "FAILOVER", name]);
        assert_eq!(reply, "OK");
    }

    /// The last lines of its log.
    pub fn last_output(&self, lines: usize) -> String {
        last_lines(&self.folder.join("output.log"), lines)
    }

    fn ask<T: FromRedisValue>(&self, arguments: &[&str]) -> T {
        self.command(arguments).unwrap_or_else(|error| panic!("{}: {}: {error}", self.label, arguments.join(" ")))
    }

    fn with_running(&self, act: impl FnOnce(&ServerProcess)) {
        act(self.lock().process.as_ref().unwrap_or_else(|| panic!("{} is not running", self.label)));
    }

    fn take_running(&self) -> ServerProcess {
        self.lock().process.take().unwrap_or_else(|| panic!("{} is not running", self.label))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
