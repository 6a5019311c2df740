//! Masters, their replicas and the Sentinels that watch them.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::authority::Authority;
use crate::node::DataNode;
use crate::ports::free_port;
use crate::programs::Kind;
use crate::sentinel::{Fields, SentinelProcess};
use crate::wait::eventually;
use crate::writer::Writer;

/// A first INFO (at once), the hellos (2 s apart), a first sync and an INFO after it (10 s when the first came too early).
const DISCOVERED_WITHIN: Duration = Duration::from_secs(25);
/// More than any failover of these tests takes, also the reference's when its first election is lost: it tries again
/// after twice the failover timeout.
const SWITCHED_WITHIN: Duration = Duration::from_secs(30);
/// Nothing is measured by it: an old master comes after 10 s when the reference demotes it.
const LINKED_WITHIN: Duration = Duration::from_secs(20);

/// What is to be started. The defaults are those of most tests: one master `mymaster`, two replicas, quorum 2, down
/// after 1 s, failover timeout 5 s, one replica reconfigured at a time.
#[derive(Debug, Clone)]
pub struct DeploymentBuilder {
    names: Vec<String>,
    replicas: usize,
    kinds: Vec<Kind>,
    quorums: Vec<u32>,
    down_after: Duration,
    failover_timeout: Duration,
    parallel_syncs: u32,
    priorities: Vec<u32>,
    monitor_host: String,
    sentinel_lines: Vec<String>,
    http: bool,
    data_lines: Vec<String>,
    authority: Option<Arc<Authority>>,
}

impl DeploymentBuilder {
    /// Watches masters of these names, each with its own replicas.
    #[must_use]
    pub fn names(mut self, names: &[&str]) -> Self {
        self.names = names.iter().map(|&name| name.to_owned()).collect();
        self
    }

    /// The number of replicas of each master.
    #[must_use]
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    /// The quorum of every Sentinel.
    #[must_use]
    pub fn quorum(mut self, quorum: u32) -> Self {
        self.quorums = vec![quorum; self.kinds.len()];
        self
    }

    /// The quorum each Sentinel is configured with. One whose quorum cannot be reached votes, but never runs itself: so a
    /// test decides who leads.
    #[must_use]
    pub fn quorums(mut self, quorums: &[u32]) -> Self {
        assert_eq!(quorums.len(), self.kinds.len(), "one quorum a Sentinel");
        self.quorums = quorums.to_vec();
        self
    }

    /// `down-after-milliseconds`.
    #[must_use]
    pub fn down_after(mut self, time: Duration) -> Self {
        self.down_after = time;
        self
    }

    /// `failover-timeout`.
    #[must_use]
    pub fn failover_timeout(mut self, time: Duration) -> Self {
        self.failover_timeout = time;
        self
    }

    /// `parallel-syncs`.
    #[must_use]
    pub fn parallel_syncs(mut self, count: u32) -> Self {
        self.parallel_syncs = count;
        self
    }

    /// `replica-priority` of the replicas, in their order.
    #[must_use]
    pub fn priorities(mut self, priorities: &[u32]) -> Self {
        self.priorities = priorities.to_vec();
        self
    }

    /// The host under which the Sentinels are told to watch the masters, 127.0.0.1 if not a name for it.
    #[must_use]
    pub fn monitor_host(mut self, host: &str) -> Self {
        host.clone_into(&mut self.monitor_host);
        self
    }

    /// A further line in every Sentinel's configuration.
    #[must_use]
    pub fn sentinel_line(mut self, line: &str) -> Self {
        self.sentinel_lines.push(line.to_owned());
        self
    }

    /// Every Sentinel has an HTTP endpoint, on a port of its own.
    #[must_use]
    pub fn with_http(mut self) -> Self {
        self.http = true;
        self
    }

    /// A further line in every data node's configuration.
    #[must_use]
    pub fn data_line(mut self, line: &str) -> Self {
        self.data_lines.push(line.to_owned());
        self
    }

    /// Nothing is spoken but TLS, with certificates of this authority, by which all know each other.
    #[must_use]
    pub fn encrypted_by(mut self, authority: &Arc<Authority>) -> Self {
        self.authority = Some(Arc::clone(authority));
        self
    }

    /// Starts everything and waits until every Sentinel knows every other one and every replica.
    pub fn start(self) -> Deployment {
        self.start_after(|_| {})
    }

    /// The same; when the data nodes replicate and no Sentinel runs yet, `prepare` may change them.
    pub fn start_after(self, prepare: impl FnOnce(&[Group])) -> Deployment {
        let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
        let mut deployment = Deployment { groups: Vec::new(), sentinels: Vec::new(), folder };
        for name in &self.names {
            let group = self.start_group(&deployment.folder, name);
            deployment.groups.push(group);
        }
        for group in &deployment.groups {
            group.wait_until_linked(group.master());
        }
        prepare(&deployment.groups);
        for (index, kind) in self.kinds.iter().enumerate() {
            let label = format!("sentinel-{}-{}", index + 1, kind.name());
            let lines = self.sentinel_config(index, &deployment.groups);
            let folder = deployment.folder.path();
            let sentinel = match &self.authority {
                Some(authority) => {
                    SentinelProcess::start_encrypted(folder, &label, *kind, &lines, &authority.lines(&label))
                }
                None => SentinelProcess::start(folder, &label, *kind, &lines),
            };
            deployment.sentinels.push(sentinel);
        }
        deployment.wait_until_discovered();
        deployment
    }

    fn start_group(&self, folder: &TempDir, name: &str) -> Group {
        let start = |label: &str, replica_of, lines: &[String]| {
            let label = format!("{name}-{label}");
            match &self.authority {
                Some(authority) => {
                    let tls = authority.lines(&label);
                    DataNode::start_encrypted(folder.path(), &label, replica_of, lines, &tls)
                }
                None => DataNode::start(folder.path(), &label, replica_of, lines),
            }
        };
        let master = start("first", None, &self.data_lines);
        let port = master.port();
        let mut nodes = vec![master];
        for index in 0..self.replicas {
            let mut lines = self.data_lines.clone();
            if let Some(priority) = self.priorities.get(index) {
                lines.push(format!("replica-priority {priority}"));
            }
            nodes.push(start(&format!("replica-{}", index + 1), Some(port), &lines));
        }
        Group { name: name.to_owned(), nodes }
    }

    fn sentinel_config(&self, index: usize, groups: &[Group]) -> Vec<String> {
        let mut lines = Vec::new();
        for Group { name, nodes } in groups {
            let port = nodes[0].port();
            let quorum = self.quorums[index];
            lines.push(format!("sentinel monitor {name} {} {port} {quorum}", self.monitor_host));
            lines.push(format!("sentinel down-after-milliseconds {name} {}", self.down_after.as_millis()));
            lines.push(format!("sentinel failover-timeout {name} {}", self.failover_timeout.as_millis()));
            lines.push(format!("sentinel parallel-syncs {name} {}", self.parallel_syncs));
        }
        lines.extend_from_slice(&self.sentinel_lines);
        if self.http {
            lines.push(format!("http-listen 127.0.0.1:{}", free_port()));
        }
        lines
    }
}

/// The nodes that began as one master and its replicas.
#[derive(Debug)]
pub struct Group {
    name: String,
    nodes: Vec<DataNode>,
}

impl Group {
    /// The name under which it is watched.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The node that was the master at the start.
    pub fn master(&self) -> &DataNode {
        &self.nodes[0]
    }

    /// The nodes that were replicas at the start.
    pub fn replicas(&self) -> &[DataNode] {
        &self.nodes[1..]
    }

    /// All nodes.
    pub fn nodes(&self) -> &[DataNode] {
        &self.nodes
    }

    /// The node on that port.
    pub fn node(&self, port: u16) -> &DataNode {
        self.nodes
            .iter()
            .find(|node| node.port() == port)
            .unwrap_or_else(|| panic!("{} has no node on port {port}", self.name))
    }

    /// Waits until every running node but `master` replicates from it.
    #[track_caller]
    pub fn wait_until_linked(&self, master: &DataNode) {
        eventually(&format!("the nodes of {} follow {}", self.name, master.label()), LINKED_WITHIN, || {
            for node in &self.nodes {
                if node.port() != master.port() && node.is_running() {
                    node.follows(master)?;
                }
            }
            Ok(())
        });
    }
}

/// Everything a test has started. When it is dropped all processes end; when that is because of a panic, their
/// states and logs are printed.
#[derive(Debug)]
pub struct Deployment {
    groups: Vec<Group>,
    sentinels: Vec<SentinelProcess>,
    /// Last, so that it is removed after the processes that write into it have ended.
    folder: TempDir,
}

impl Deployment {
    /// A deployment with one Sentinel of each of these kinds.
    pub fn of(kinds: &[Kind]) -> DeploymentBuilder {
        DeploymentBuilder {
            names: vec!["mymaster".to_owned()],
            replicas: 2,
            kinds: kinds.to_vec(),
            quorums: vec![2; kinds.len()],
            down_after: Duration::from_secs(1),
            failover_timeout: Duration::from_secs(5),
            parallel_syncs: 1,
            priorities: Vec::new(),
            monitor_host: "127.0.0.1".to_owned(),
            sentinel_lines: Vec::new(),
            http: false,
            data_lines: Vec::new(),
            authority: None,
        }
    }

    /// A deployment with `count` Sentinels of the kind under test.
    pub fn of_ours(count: usize) -> DeploymentBuilder {
        Self::of(&vec![Kind::under_test(); count])
    }

    /// The data nodes watched under that name.
    pub fn group(&self, name: &str) -> &Group {
        self.groups.iter().find(|group| group.name == name).unwrap_or_else(|| panic!("no master is named {name}"))
    }

    /// The data nodes of a deployment with one master.
    pub fn only_group(&self) -> &Group {
        assert_eq!(self.groups.len(), 1, "there are several masters");
        &self.groups[0]
    }

    /// All Sentinels.
    pub fn sentinels(&self) -> &[SentinelProcess] {
        &self.sentinels
    }

    /// The Sentinels that run now.
    pub fn running_sentinels(&self) -> impl Iterator<Item = &SentinelProcess> {
        self.sentinels.iter().filter(|sentinel| sentinel.is_running())
    }

    /// An application that writes to the master `name`, a value every 2 ms.
    pub fn write_to(&self, name: &str) -> Writer {
        let ports: Vec<u16> = self.sentinels.iter().map(SentinelProcess::port).collect();
        Writer::start(&ports, name, Duration::from_millis(2))
    }

    /// Waits until every running Sentinel knows all Sentinels and all replicas, linked and healthy.
    #[track_caller]
    pub fn wait_until_discovered(&self) {
        for group in &self.groups {
            eventually(&format!("every Sentinel knows the whole of {}", group.name), DISCOVERED_WITHIN, || {
                self.running_sentinels().try_for_each(|sentinel| self.knows_all(sentinel, group))
            });
        }
    }

    /// Waits until all running Sentinels name the same master, other than the one on `old_port`, and it is one; then that node.
    #[track_caller]
    pub fn wait_for_switch(&self, name: &str, old_port: u16) -> &DataNode {
        self.wait_for_switch_within(name, old_port, SWITCHED_WITHIN)
    }

    /// The same with another limit.
    #[track_caller]
    pub fn wait_for_switch_within(&self, name: &str, old_port: u16, within: Duration) -> &DataNode {
        let group = self.group(name);
        eventually(&format!("all Sentinels agree on a new master of {name}"), within, || {
            let ports = self.named_ports(name);
            let first = ports.first().copied().flatten();
            match first {
                Some(port) if port != old_port && ports.iter().all(|other| *other == first) => {
                    let node = group.node(port);
                    let role = node.role();
                    if role.as_deref() == Some("master") {
                        Ok(node)
                    } else {
                        Err(format!("{} is {role:?}", node.label()))
                    }
                }
                _ => Err(format!("they name {ports:?}, the old one is {old_port}")),
            }
        })
    }

    /// What each running Sentinel answers to `GET-MASTER-ADDR-BY-NAME`.
    pub fn named_ports(&self, name: &str) -> Vec<Option<u16>> {
        self.running_sentinels().map(|sentinel| sentinel.master_port(name).ok().flatten()).collect()
    }

    /// Waits until all running Sentinels have the same configuration epoch for `name`; then that epoch.
    #[track_caller]
    pub fn wait_for_one_config_epoch(&self, name: &str) -> u64 {
        eventually(&format!("all Sentinels have one config epoch of {name}"), LINKED_WITHIN, || {
            let epochs: Vec<u64> = self.running_sentinels().map(|sentinel| sentinel.config_epoch(name)).collect();
            match epochs.first() {
                Some(first) if epochs.iter().all(|epoch| epoch == first) => Ok(*first),
                _ => Err(format!("{epochs:?}")),
            }
        })
    }

    /// The state and the last log lines of everything.
    pub fn dump(&self) -> String {
        let mut text = String::new();
        for sentinel in &self.sentinels {
            dump_sentinel(&mut text, sentinel, &self.groups);
        }
        for node in self.groups.iter().flat_map(Group::nodes) {
            let running = node.is_running();
            let _ = writeln!(
                text,
                "--- {} on port {}, running: {running}, role: {:?}, last lines of its log:\n{}",
                node.label(),
                node.port(),
                running.then(|| node.role()).flatten(),
                node.last_output(12)
            );
        }
        text
    }

    fn knows_all(&self, sentinel: &SentinelProcess, group: &Group) -> Result<(), String> {
        let label = sentinel.label();
        let describe = |error: redis::RedisError| format!("{label}: {error}");
        let master = sentinel.master(&group.name).map_err(describe)?;
        expect(label, &master, "flags", "master")?;
        expect(label, &master, "num-slaves", &group.replicas().len().to_string())?;
        let others = self.sentinels.len() - 1;
        expect(label, &master, "num-other-sentinels", &others.to_string())?;
        for replica in sentinel.replicas(&group.name).map_err(describe)? {
            expect(label, &replica, "flags", "slave")?;
            expect(label, &replica, "master-link-status", "ok")?;
        }
        for peer in sentinel.peers(&group.name).map_err(describe)? {
            expect(label, &peer, "flags", "sentinel")?;
        }
        Ok(())
    }
}

impl Drop for Deployment {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let began = Instant::now();
            eprintln!("{}(gathered in {:?})", self.dump(), began.elapsed());
        }
    }
}

fn expect(label: &str, fields: &Fields, field: &str, value: &str) -> Result<(), String> {
    if fields.get(field).map(String::as_str) == Some(value) {
        Ok(())
    } else {
        Err(format!("{label}: {field} is not {value:?} in {fields:?}"))
    }
}

fn dump_sentinel(text: &mut String, sentinel: &SentinelProcess, groups: &[Group]) {
    let running = sentinel.is_running();
    let _ = writeln!(text, "--- {} on port {}, running: {running}", sentinel.label(), sentinel.port());
    if running {
        for group in groups {
            let _ = writeln!(text, "{:?}", sentinel.master(&group.name));
        }
    }
    let _ = writeln!(text, "last lines of its log:\n{}", sentinel.last_output(60));
}
