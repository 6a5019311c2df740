//! A fleet of emulated groups, spread over as many processes as the descriptors of one allow.

use std::{
    io::{self, BufRead, BufReader, Write},
    net::{Ipv4Addr, SocketAddrV4},
    path::Path,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use rustix::process::{Resource, getrlimit};

use crate::{
    control::{Order, Sight},
    worker,
};

/// Descriptors of a process that are no nodes' and no connections'.
const SPARE_DESCRIPTORS: usize = 200;

/// Groups of one master and its replicas. They end with this value.
#[derive(Debug)]
pub struct Fleet {
    workers: Vec<Worker>,
    per_group: usize,
}

#[derive(Debug)]
struct Worker {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    addresses: Vec<Ipv4Addr>,
    port: u16,
}

impl Fleet {
    /// Starts `groups` groups of a master with `replicas` replicas, each of which can be connected to
    /// `connections` times. `program` is one that calls [`worker::run`] when its arguments are `fleet FIRST NODES
    /// PER_GROUP`.
    ///
    /// # Errors
    /// When a process cannot be started or cannot listen.
    pub fn start(program: &Path, groups: usize, replicas: usize, connections: usize) -> io::Result<Self> {
        let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok());
        let per_group = replicas + 1;
        let room = limit.unwrap_or(100_000).saturating_sub(SPARE_DESCRIPTORS) / (1 + connections) / per_group;
        // Every fleet has addresses of its own, so that several can be at work on one machine.
        let mut first = Ipv4Addr::new(127, 2 + (std::process::id() % 240) as u8, 0, 1);
        let mut fleet = Fleet { workers: Vec::new(), per_group };
        let mut left = groups;
        while left > 0 {
            let nodes = left.min(room.max(1)) * per_group;
            let worker = Worker::start(program, first, nodes, per_group)?;
            first = worker::addresses(first).nth(nodes).unwrap_or(first);
            fleet.workers.push(worker);
            left -= nodes / per_group;
        }
        Ok(fleet)
    }

    /// How many processes it takes.
    pub fn processes(&self) -> usize {
        self.workers.len()
    }

    /// How many groups there are.
    pub fn groups(&self) -> usize {
        self.workers.iter().map(|worker| worker.addresses.len()).sum::<usize>() / self.per_group
    }

    /// The number of a node: of its group's first master (0) or one of the replicas.
    pub const fn node(&self, group: usize, member: usize) -> usize {
        group * self.per_group + member
    }

    /// Where a node is.
    ///
    /// # Panics
    /// When there is no such node.
    pub fn addr(&self, node: usize) -> SocketAddrV4 {
        let (worker, node) = self.place(node);
        SocketAddrV4::new(self.workers[worker].addresses[node], self.workers[worker].port)
    }

    /// Kills nodes.
    pub fn kill(&mut self, nodes: &[usize]) -> io::Result<()> {
        self.order_nodes(nodes, Order::Kill)
    }

    /// Stops nodes as SIGSTOP does.
    pub fn hang(&mut self, nodes: &[usize]) -> io::Result<()> {
        self.order_nodes(nodes, Order::Hang)
    }

    /// Starts killed nodes again, or lets stopped ones go on.
    pub fn resume(&mut self, nodes: &[usize]) -> io::Result<()> {
        self.order_nodes(nodes, Order::Resume)
    }

    /// Begins to count anew.
    pub fn look_anew(&mut self) -> io::Result<()> {
        self.workers.iter_mut().try_for_each(|worker| worker.order(&Order::LookAnew).map(drop))
    }

    /// What all nodes saw since then.
    pub fn look(&mut self) -> io::Result<Sight> {
        let mut all = Sight::default();
        for worker in &mut self.workers {
            let sight = worker.order(&Order::Look)?;
            all.add(&sight.ok_or_else(|| io::Error::other("the nodes do not say what they saw"))?);
        }
        Ok(all)
    }

    fn order_nodes(&mut self, nodes: &[usize], order: fn(Vec<usize>) -> Order) -> io::Result<()> {
        let mut of_worker = vec![Vec::new(); self.workers.len()];
        for node in nodes {
            let (worker, node) = self.place(*node);
            of_worker[worker].push(node);
        }
        for (worker, nodes) in self.workers.iter_mut().zip(of_worker) {
            if !nodes.is_empty() {
                worker.order(&order(nodes))?;
            }
        }
        Ok(())
    }

    fn place(&self, mut node: usize) -> (usize, usize) {
        for (index, worker) in self.workers.iter().enumerate() {
            match node.checked_sub(worker.addresses.len()) {
                None => return (index, node),
                Some(rest) => node = rest,
            }
        }
        panic!("there is no such node");
    }
}

impl Worker {
    fn start(program: &Path, first: Ipv4Addr, nodes: usize, per_group: usize) -> io::Result<Self> {
        let mut child = Command::new(program)
            .args(["fleet", &first.to_string(), &nodes.to_string(), &per_group.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("a process without the pipes that were asked for"));
        };
        let mut answers = BufReader::new(answers);
        let mut line = String::new();
        answers.read_line(&mut line)?;
        let port = line.trim().parse().map_err(|_| io::Error::other("the emulated nodes did not start"))?;
        let addresses = worker::addresses(first).take(nodes).collect();
        Ok(Worker { child, orders, answers, addresses, port })
    }

    fn order(&mut self, order: &Order) -> io::Result<Option<Sight>> {
        writeln!(self.orders, "{}", serde_json::to_string(order)?)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
