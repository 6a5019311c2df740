//! One master, its replicas and their Sentinels: the real programs on free loopback ports in a temporary folder.

use std::collections::HashMap;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use redis::{ConnectionLike, FromRedisValue, Value};
use tempfile::TempDir;

/// The name the Sentinels monitor the master under.
pub(crate) const MASTER: &str = "mymaster";

/// How long the programs have to get ready.
const READY: Duration = Duration::from_secs(20);

/// A running program; killed and reaped when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) port: u16,
    child: Child,
}

impl Server {
    /// A Redis server, a replica of the node at `replica_of` if there is one.
    pub(crate) fn redis(folder: &Path, replica_of: Option<u16>, more: &str) -> Self {
        Self::start("redis-server", "REDIS_SERVER", folder, |port| {
            let replica_of = replica_of.map_or(String::new(), |port| format!("replicaof 127.0.0.1 {port}\n"));
            format!("port {port}\nbind 127.0.0.1\nsave \"\"\nrepl-diskless-sync-delay 0\n{replica_of}{more}\n")
        })
    }

    /// A Sentinel that watches the node at `master`.
    pub(crate) fn sentinel(folder: &Path, master: u16, quorum: usize) -> Self {
        Self::start("redis-sentinel", "REDIS_SENTINEL", folder, |port| {
            format!(
                "port {port}\nbind 127.0.0.1\n\
                 sentinel monitor {MASTER} 127.0.0.1 {master} {quorum}\n\
                 sentinel down-after-milliseconds {MASTER} 300\n\
                 sentinel failover-timeout {MASTER} 2000\n"
            )
        })
    }

    /// A Sentinel that watches all these masters.
    pub(crate) fn sentinel_of(folder: &Path, masters: &[(String, u16)], quorum: usize) -> Self {
        Self::start("redis-sentinel", "REDIS_SENTINEL", folder, |port| {
            let watch = |(name, master): &(String, u16)| {
                format!(
                    "sentinel monitor {name} 127.0.0.1 {master} {quorum}\n\
                     sentinel down-after-milliseconds {name} 500\n\
                     sentinel failover-timeout {name} 2000\n"
                )
            };
            let watched: Vec<_> = masters.iter().map(watch).collect();
            format!("port {port}\nbind 127.0.0.1\n{}", watched.concat())
        })
    }

    fn start(program: &str, variable: &str, folder: &Path, config: impl Fn(u16) -> String) -> Self {
        let program = std::env::var(variable).unwrap_or_else(|_| program.to_owned());
        // A free port can be taken by somebody else before the program binds it: the process id in INFO tells.
        for _ in 0..10 {
            let port = free_port();
            let home = folder.join(port.to_string());
            fs::create_dir_all(&home).unwrap();
            let file = home.join("server.conf");
            fs::write(&file, format!("dir {}\n{}", home.display(), config(port))).unwrap();
            let log = fs::File::create(home.join("log")).unwrap();
            let child = Command::new(&program)
                .arg(&file)
                .stdin(Stdio::null())
                .stdout(log)
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|error| {
                    panic!("cannot start `{program}`: {error}; install it, or name it in {variable}")
                });
            let mut server = Self { port, child };
            if server.comes_up() {
                return server;
            }
        }
        panic!("`{program}` did not come up on any of ten ports");
    }

    fn comes_up(&mut self) -> bool {
        let began = Instant::now();
        let pid = format!("process_id:{}\r\n", self.child.id());
        while began.elapsed() < READY {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            match self.try_ask::<String>(&["INFO", "server"]) {
                Some(info) => return info.contains(&pid),
                None => sleep(Duration::from_millis(10)),
            }
        }
        false
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends one command and returns the answer.
    pub(crate) fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        self.try_ask(words).unwrap_or_else(|| panic!("no answer of the expected kind to {words:?} from {}", self.port))
    }

    pub(crate) fn try_ask<T: FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let client = redis::Client::open(format!("redis://{}", self.address())).unwrap();
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(1)).ok()?;
        connection.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let answer: Value = connection.req_command(&command).ok()?;
        redis::from_redis_value(answer).ok()
    }

    pub(crate) fn role(&self) -> String {
        match self.try_ask::<Vec<Value>>(&["ROLE"]) {
            Some(role) => redis::from_redis_value(role[0].clone()).unwrap(),
            None => "unreachable".to_owned(),
        }
    }

    /// Copies what the other node has, and is a master again: it goes on with that node's data.
    pub(crate) fn inherit(&self, from: &Self) {
        let _: String = self.ask(&["REPLICAOF", "127.0.0.1", &from.port.to_string()]);
        wait("the replica is linked", || {
            self.try_ask::<String>(&["INFO", "replication"]).is_some_and(|info| info.contains("master_link_status:up"))
        });
        let _: String = self.ask(&["REPLICAOF", "NO", "ONE"]);
    }

    /// Starts the program anew on the same port after its death, as a replica of another node.
    pub(crate) fn come_back(&mut self, folder: &Path, replica_of: u16) {
        let program = std::env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let file = folder.join(self.port.to_string()).join("server.conf");
        let mut command = Command::new(program);
        command.arg(file).args(["--replicaof", "127.0.0.1", &replica_of.to_string()]);
        self.child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        assert!(self.comes_up(), "it does not come back on port {}", self.port);
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A master, two replicas and three Sentinels that know each other.
#[derive(Debug)]
pub(crate) struct Deployment {
    pub(crate) nodes: Vec<Server>,
    pub(crate) sentinels: Vec<Server>,
    pub(crate) folder: TempDir,
}

/// A test that fails shows what the Sentinels said last.
impl Drop for Deployment {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            return;
        }
        for sentinel in &self.sentinels {
            let log = fs::read_to_string(self.folder.path().join(sentinel.port.to_string()).join("log"));
            let log = log.unwrap_or_else(|error| error.to_string());
            let lines: Vec<_> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(40)..].join("\n");
            eprintln!("the Sentinel on port {}:\n{last}\n", sentinel.port);
        }
    }
}

impl Deployment {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut nodes = vec![Server::redis(folder.path(), None, "")];
        let master = nodes[0].port;
        for _ in 0..2 {
            nodes.push(Server::redis(folder.path(), Some(master), ""));
        }
        wait("the replicas are linked", || {
            nodes[1..].iter().all(|replica| {
                replica
                    .try_ask::<String>(&["INFO", "replication"])
                    .is_some_and(|info| info.contains("master_link_status:up"))
            })
        });
        let sentinels = (0..3).map(|_| Server::sentinel(folder.path(), master, 2)).collect();
        let deployment = Self { nodes, sentinels, folder };
        wait("the sentinels know everybody", || {
            deployment.sentinels.iter().all(|sentinel| {
                let count = |what| sentinel.try_ask::<Vec<Value>>(&["SENTINEL", what, MASTER]).map(|list| list.len());
                count("SENTINELS") == Some(2) && count("REPLICAS") == Some(2)
            })
        });
        // A replica that has not been INFOed yet cannot be promoted.
        wait("a failover is possible", || {
            deployment.sentinels.iter().all(|sentinel| {
                let replicas: Option<Vec<HashMap<String, String>>> =
                    sentinel.try_ask(&["SENTINEL", "REPLICAS", MASTER]);
                replicas.is_some_and(|replicas| replicas.iter().all(|replica| replica["master-link-status"] == "ok"))
            })
        });
        deployment
    }

    /// The URL with the first `seeds` Sentinels in it.
    pub(crate) fn url(&self, seeds: usize) -> String {
        let hosts: Vec<_> = self.sentinels[..seeds].iter().map(Server::address).collect();
        format!("redis-sentinel://{}?master={MASTER}", hosts.join(","))
    }

    pub(crate) fn node(&self, address: &sentinel_sdk::Address) -> &Server {
        self.nodes
            .iter()
            .find(|node| node.port == address.port())
            .unwrap_or_else(|| panic!("{address} is none of ours"))
    }
}

pub(crate) fn wait(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < READY, "{what}: not within {READY:?}");
        sleep(Duration::from_millis(20));
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
