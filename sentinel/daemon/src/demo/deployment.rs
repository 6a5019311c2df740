//! The deployment of the demo: three data nodes, three Sentinels.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use redis::{FromRedisValue, RedisError, aio::MultiplexedConnection};

use super::{
    DemoError,
    programs::{self, Process},
};
use crate::terminal::say;

/// The name under which the demo's master is monitored.
pub(super) const MASTER: &str = "mymaster";

/// How long anything may take that is not the subject of the demo.
const PATIENCE: Duration = Duration::from_secs(30);

/// Everything that runs. It all ends when this is dropped.
#[derive(Debug)]
pub(super) struct Deployment {
    sentinels: Vec<(u16, Process)>,
    nodes: Vec<(u16, Process)>,
    server: PathBuf,
    folder: tempfile::TempDir,
}

impl Deployment {
    /// Starts all six processes. The first node is the master.
    ///
    /// The Sentinels come last, once both replicas follow: the master's first INFO then tells of them, and nobody waits for
    /// the next one, ten seconds later.
    pub(super) async fn start(reference: bool, down_after: u64) -> Result<Self, DemoError> {
        let system = |what: String| move |source| DemoError::System { what, source };
        let server = programs::server()?;
        let (program, flavour) = if reference {
            (programs::reference()?, "redis-sentinel")
        } else {
            let own = std::env::current_exe().map_err(system("cannot find the own program".to_owned()))?;
            (own, "sentinel")
        };
        let folder = tempfile::Builder::new().prefix("sentinel-demo-").tempdir();
        let folder = folder.map_err(system("cannot make a temporary folder".to_owned()))?;
        let ports = programs::free_ports(6)?;
        let mut deployment = Deployment { sentinels: Vec::new(), nodes: Vec::new(), server, folder };
        for port in &ports[..3] {
            let node = deployment.start_node(*port, (*port != ports[0]).then_some(ports[0]))?;
            deployment.nodes.push((*port, node));
        }
        deployment.wait_until_replicated().await?;
        for port in &ports[3..] {
            let home = deployment.folder.path().join(format!("sentinel-{port}"));
            let system = |what: String| move |source| DemoError::System { what, source };
            fs::create_dir_all(&home).map_err(system(format!("cannot make {}", home.display())))?;
            let file = home.join("sentinel.conf");
            let text = format!(
                "# Written by `sentinel demo`.\nport {port}\nbind 127.0.0.1\ndir {}\n\n\
                 sentinel monitor {MASTER} 127.0.0.1 {} 2\n\
                 sentinel down-after-milliseconds {MASTER} {down_after}\n\
                 sentinel failover-timeout {MASTER} 20000\n",
                home.display(),
                ports[0]
            );
            fs::write(&file, text).map_err(system(format!("cannot write {}", file.display())))?;
            let args = [file.display().to_string()];
            let process = Process::start(&format!("{flavour} {port}"), &program, &args, &home)?;
            deployment.sentinels.push((*port, process));
        }
        Ok(deployment)
    }

    fn start_node(&self, port: u16, replica_of: Option<u16>) -> Result<Process, DemoError> {
        let home = self.folder.path().join(format!("node-{port}"));
        let mut args = vec!["--port", &port.to_string(), "--bind", "127.0.0.1", "--appendonly", "yes", "--save", ""]
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>();
        // Replicas are served at once, without the usual pause for further ones to join.
        args.extend(["--repl-diskless-sync-delay", "0"].map(str::to_owned));
        if let Some(master) = replica_of {
            args.extend(["--replicaof".to_owned(), format!("127.0.0.1 {master}")]);
        }
        Process::start(&format!("redis-server {port}"), &self.server, &args, &home)
    }

    /// The ports of the Sentinels.
    pub(super) fn sentinel_ports(&self) -> Vec<u16> {
        self.sentinels.iter().map(|(port, _)| *port).collect()
    }

    /// How many Sentinels there are.
    pub(super) fn sentinels(&self) -> usize {
        self.sentinels.len()
    }

    pub(super) fn print_addresses(&self) {
        let list = |ports: &[(u16, Process)]| {
            ports.iter().map(|(port, _)| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join("  ")
        };
        say!("  master     {}", list(&self.nodes[..1]));
        say!("  replicas   {}", list(&self.nodes[1..]));
        say!("  Sentinels  {}", list(&self.sentinels));
    }

    pub(super) fn print_invitation(&self) {
        say!("\nEverything is still running, until Ctrl-C. Try:");
        let port = self.sentinels[0].0;
        for command in [
            "sentinel get-master-addr-by-name mymaster",
            "sentinel masters",
            "psubscribe '*'",
            "sentinel failover mymaster",
        ] {
            say!("  redis-cli -p {port} {command}");
        }
        for (port, _) in &self.nodes {
            say!("  redis-cli -p {port} role");
        }
    }

    /// Waits until both replicas have what the master has now, and go on receiving: a master calls a replica online as soon as
    /// it has sent it the data, before the replica has loaded them, and a replica that is still loading has no write since.
    pub(super) async fn wait_until_replicated(&self) -> Result<(), DemoError> {
        let started = Instant::now();
        let written = loop {
            let master = replication(self.nodes[0].0).await;
            if let Some(offset) = offset_of(&master, "master_repl_offset") {
                break offset;
            }
            self.patient(started, "an answer of the master", master).await?;
        };
        for (port, _) in &self.nodes[1..] {
            loop {
                let replica = replication(*port).await;
                let received = offset_of(&replica, "slave_repl_offset").is_some_and(|offset| offset >= written);
                if received && replica.contains("master_link_status:up") {
                    break;
                }
                self.patient(started, "the replication of both replicas", replica).await?;
            }
        }
        Ok(())
    }

    /// A pause before the next look; an error when there has been enough of them.
    async fn patient(&self, since: Instant, what: &str, seen: String) -> Result<(), DemoError> {
        if since.elapsed() > PATIENCE {
            return Err(self.overdue(what, seen));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        Ok(())
    }

    /// Waits until every Sentinel knows two replicas and two other Sentinels.
    pub(super) async fn wait_until_discovered(&self) -> Result<(), DemoError> {
        let started = Instant::now();
        loop {
            let mut seen = String::new();
            let mut ready = true;
            for (port, _) in &self.sentinels {
                let state = Self::known_by(*port).await;
                ready &= state == Some((2, 2));
                let _ = write!(seen, "Sentinel {port} knows {state:?} (replicas, Sentinels); ");
            }
            if ready {
                return Ok(());
            }
            self.patient(started, "the discovery of all instances", seen).await?;
        }
    }

    async fn known_by(port: u16) -> Option<(usize, usize)> {
        let fields: std::collections::BTreeMap<String, String> =
            ask(port, &["SENTINEL", "MASTER", MASTER]).await.ok()?;
        let number = |field| fields.get(field).and_then(|text: &String| text.parse().ok());
        Some((number("num-slaves")?, number("num-other-sentinels")?))
    }

    fn overdue(&self, what: &str, seen: String) -> DemoError {
        let logs = self.sentinels.iter().chain(&self.nodes).map(|(_, process)| process.last_words()).collect();
        DemoError::Overdue { what: what.to_owned(), seconds: PATIENCE.as_secs(), seen, logs }
    }

    /// SIGKILL. Returns when.
    pub(super) fn kill_master(&mut self) -> Instant {
        let at = Instant::now();
        self.nodes[0].1.kill();
        at
    }

    /// Starts the old master again, as it was: with its data, and believing that it is the master.
    pub(super) fn restart_old_master(&mut self) -> Result<Instant, DemoError> {
        let port = self.nodes[0].0;
        let at = Instant::now();
        self.nodes[0].1 = self.start_node(port, None)?;
        Ok(at)
    }

    /// The role that the old master reports, if it answers.
    pub(super) async fn old_master_role(&self) -> Option<String> {
        let (role, _) = role(self.nodes[0].0).await?;
        Some(if role == "slave" { "replica".to_owned() } else { role })
    }

    /// Whether the old master follows the new one and refuses writes.
    pub(super) async fn old_master_is_fenced(&self) -> bool {
        let Some(new) = self.agreed_master().await else { return false };
        let port = self.nodes[0].0;
        let follows = matches!(role(port).await, Some((role, Some(of))) if role == "slave" && of == new);
        follows
            && ask::<String>(port, &["SET", "demo:stray", "1"])
                .await
                .is_err_and(|error| error.code() == Some("READONLY"))
    }

    /// The port of the master that all Sentinels name, if they agree.
    pub(super) async fn agreed_master(&self) -> Option<u16> {
        let mut named = Vec::new();
        for (port, _) in &self.sentinels {
            let (_, master): (String, u16) = ask(*port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).await.ok()?;
            named.push(master);
        }
        named.dedup();
        (named.len() == 1).then(|| named[0])
    }

    /// Whether the surviving replica that was not promoted is linked to the new master.
    pub(super) async fn replicas_follow_new_master(&self) -> bool {
        let Some(new) = self.agreed_master().await else { return false };
        for (port, _) in self.nodes[1..].iter().filter(|(port, _)| *port != new) {
            let info = replication(*port).await;
            if !(info.contains(&format!("master_port:{new}\r")) && info.contains("master_link_status:up")) {
                return false;
            }
        }
        true
    }
}

/// Its role, and the port of the master it follows.
async fn role(port: u16) -> Option<(String, Option<u16>)> {
    let parts: Vec<redis::Value> = ask(port, &["ROLE"]).await.ok()?;
    let role = String::from_redis_value(parts.first()?.clone()).ok()?;
    let of = if role == "slave" { u16::from_redis_value(parts.get(2)?.clone()).ok() } else { None };
    Some((role, of))
}

/// What it says of its replication; nothing if it does not answer.
async fn replication(port: u16) -> String {
    ask(port, &["INFO", "replication"]).await.unwrap_or_default()
}

/// A replication offset, in bytes.
fn offset_of(info: &str, field: &str) -> Option<u64> {
    info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':')?.trim_end().parse().ok())
}

/// One question on a connection of its own.
async fn ask<T: FromRedisValue>(port: u16, words: &[&str]) -> Result<T, RedisError> {
    let mut connection = connect(port).await?;
    let mut command = redis::cmd(words[0]);
    command.arg(&words[1..]);
    command.query_async(&mut connection).await
}

async fn connect(port: u16) -> Result<MultiplexedConnection, RedisError> {
    redis::Client::open(("127.0.0.1", port))?.get_multiplexed_async_connection().await
}
