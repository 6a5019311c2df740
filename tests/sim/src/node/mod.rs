//! A Redis node, precise enough to lose data: its data set is a list of values; what matters of Redis is how that list
//! travels, is kept and is lost.

mod disk;
mod handover;
mod info;
mod replicate;
mod serve;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use bytes::Bytes;
use sentinel_core::{RequestId, types::HostPort};

pub use disk::Persistence;
pub(crate) use serve::WRONGPASS;

use crate::{
    packet::{Packet, Purpose},
    physics::{ConnId, Event, HostId, LISTENER, Physics},
    rng::Rng,
    say,
    time::{MS, SEC, Time},
};

/// One piece of the replication stream. It ends at an offset; the next one begins behind it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The offset behind it.
    pub end: u64,
    /// What it does.
    pub item: Item,
}

/// What a piece of the replication stream does.
#[derive(Clone, Debug)]
pub enum Item {
    /// A value is added to the data set. With true, replicas acknowledge at once (WAIT).
    Write(u32, bool),
    /// A message is published.
    Publish(Bytes),
    /// Nothing; the link lives.
    Ping,
}

impl Item {
    fn len(&self) -> u64 {
        match self {
            Item::Write(..) => 40,
            Item::Publish(text) => 50 + text.len() as u64,
            Item::Ping => 14,
        }
    }
}

/// One time for which a node is a master: until it becomes a replica, or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reign {
    /// The node.
    pub node: HostId,
    /// Counts its starts and promotions.
    pub number: u32,
}

/// What a node's configuration file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whom it follows. Rewritten by CONFIG REWRITE.
    pub replicaof: Option<HostPort>,
    /// `replica-announce-ip` with its name, if it has one.
    pub announces_name: bool,
    /// `replica-priority`
    pub priority: u32,
    /// How data survives.
    pub persistence: Persistence,
    /// `min-replicas-to-write`, with `min-replicas-max-lag` 10.
    pub min_replicas: usize,
    /// `repl-timeout`
    pub repl_timeout: Time,
    /// How many entries the replication backlog keeps.
    pub backlog: usize,
    /// A server from before Redis 6.2: it does not know FAILOVER.
    pub old: bool,
    /// Whether copies of its file are kept for the day on which somebody puts one back.
    pub copies: bool,
    /// How long a copy of everything takes to make and, again, to read.
    pub sync_time: Time,
}

/// How far a replica has come in following its master.
#[derive(Debug)]
pub(crate) enum Sync {
    /// The next attempt comes with the next second.
    Idle,
    /// Connecting, or waiting for the answer to PSYNC.
    Asking(ConnId),
    /// Everything is being sent.
    Receiving { conn: ConnId, replid: u64 },
    /// Everything is being read; the stream waits.
    Loading { conn: ConnId, replid: u64, offset: u64, values: Arc<Vec<u32>>, pending: Vec<Entry> },
    /// Up to date, but for what is on its way.
    Streaming(ConnId),
}

impl Sync {
    pub(crate) const fn conn(&self) -> Option<ConnId> {
        match self {
            Sync::Idle => None,
            Sync::Asking(conn) | Sync::Receiving { conn, .. } | Sync::Loading { conn, .. } | Sync::Streaming(conn) => {
                Some(*conn)
            }
        }
    }
}

/// When a link was lost.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) at: Time,
    /// How far the wall clock was ahead then.
    pub(crate) ahead: i64,
}

/// The replica's side of replication.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) of: HostPort,
    pub(crate) sync: Sync,
    pub(crate) down_since: Option<Lost>,
    pub(crate) heard_at: Time,
}

/// The master's side, for one replica.
#[derive(Debug)]
pub(crate) struct Downstream {
    pub(crate) addr: HostPort,
    /// Until everything has been sent: what comes behind it.
    pub(crate) waiting: Option<Vec<Entry>>,
    pub(crate) snapshot: Option<(Arc<Vec<u32>>, u64)>,
    pub(crate) acked: u64,
    pub(crate) acked_at: Time,
}

/// An application that waits for replicas.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) conn: ConnId,
    pub(crate) value: u32,
    pub(crate) offset: u64,
    pub(crate) need: usize,
    pub(crate) until: Time,
    /// Every Sentinel had another master in force when this was taken. When it is acknowledged says nothing: what was sent to
    /// the next master before that became one is its own.
    pub(crate) overruled: bool,
}

/// A Redis node.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "what INFO shows of a server are such independent facts")]
pub struct Node {
    /// Where it runs.
    pub host: HostId,
    /// Which group it belongs to.
    pub group: usize,
    /// Counts its starts.
    pub life: u32,
    /// What its configuration file says.
    pub config: Config,
    run_id: String,
    /// The data set.
    pub data: Vec<u32>,
    /// Whether it has ever held its group's data in this life or from disk: as a replica that finished a synchronisation,
    /// or as the first master.
    pub synced: bool,
    /// Whether its data are not the group's at all: another process that was given this address.
    pub foreign: bool,
    /// Whether its data went a way of their own: it was restarted as a master from an old file.
    pub stray: bool,
    /// Whether it was restarted without its data, and has had none of others since.
    blank: bool,
    reigns: u32,
    replid: u64,
    replid2: u64,
    /// Whether there is a replication backlog: it has had a replica, or a master.
    has_backlog: bool,
    /// Offsets up to here (excluded) belong to `replid2`, too.
    second_offset: u64,
    /// `master_repl_offset`
    pub offset: u64,
    backlog: VecDeque<Entry>,
    /// The first offset that the backlog can serve.
    backlog_start: u64,
    /// Whether it can ask to go on from its offset.
    cached: bool,
    pub(crate) upstream: Option<Upstream>,
    downstreams: BTreeMap<ConnId, Downstream>,
    clients: BTreeMap<ConnId, Purpose>,
    subscribers: BTreeSet<ConnId>,
    waiting: Vec<Waiting>,
    loading: bool,
    pub(crate) handover: Option<handover::Handover>,
    /// Until when clients are paused (CLIENT PAUSE).
    paused_until: Time,
    /// What waits while writes are paused.
    pub(crate) postponed: Vec<(ConnId, Packet)>,
    ticks: u64,
    /// How far its wall clock is ahead, in microseconds.
    clock_ahead: i64,
    disk: disk::Disk,
    rng: Rng,
}

impl Node {
    /// A node that has never run.
    pub fn new(host: HostId, group: usize, config: Config, seed: u64) -> Self {
        Node {
            host,
            group,
            life: 0,
            synced: config.replicaof.is_none(),
            config,
            run_id: String::new(),
            data: Vec::new(),
            foreign: false,
            stray: false,
            blank: false,
            reigns: 0,
            replid: 0,
            replid2: 0,
            has_backlog: false,
            second_offset: 0,
            offset: 0,
            backlog: VecDeque::new(),
            backlog_start: 1,
            cached: false,
            upstream: None,
            downstreams: BTreeMap::new(),
            clients: BTreeMap::new(),
            subscribers: BTreeSet::new(),
            waiting: Vec::new(),
            loading: false,
            handover: None,
            paused_until: 0,
            postponed: Vec::new(),
            ticks: 0,
            clock_ahead: 0,
            disk: disk::Disk::default(),
            rng: Rng::new(seed, &format!("node {host}")),
        }
    }

    /// Whether it is a master.
    pub fn is_master(&self) -> bool {
        self.upstream.is_none()
    }

    /// Whether the replication ids that INFO shows of both have one in common.
    pub fn shares_an_id_with(&self, other: &Self) -> bool {
        [self.replid, self.replid2].iter().any(|id| *id != 0 && [other.replid, other.replid2].contains(id))
    }

    /// min-replicas-to-write
    pub const fn min_replicas(&self) -> usize {
        self.config.min_replicas
    }

    /// Whom it follows, and whether that link is up.
    pub fn follows(&self) -> Option<(&HostPort, bool)> {
        self.upstream.as_ref().map(|up| (&up.of, matches!(up.sync, Sync::Streaming(_))))
    }

    /// Starts the process, with what is on disk.
    pub fn start(&mut self, physics: &mut Physics) {
        self.life += 1;
        self.reigns += 1;
        self.foreign = false;
        self.run_id = self.rng.hex40();
        self.replid = self.rng.word();
        self.replid2 = 0;
        self.second_offset = 0;
        self.has_backlog = false;
        self.backlog.clear();
        self.downstreams.clear();
        self.clients.clear();
        self.subscribers.clear();
        self.waiting.clear();
        self.upstream = None;
        self.cached = false;
        self.loading = false;
        self.handover = None;
        self.paused_until = 0;
        self.postponed.clear();
        if self.life > 1 {
            self.load(physics);
        }
        self.blank = self.life > 1 && self.data.is_empty();
        self.backlog_start = self.offset + 1;
        physics.hosts[self.host].running = true;
        physics.hosts[self.host].powered = true;
        say!(physics, "node {} starts with {} values at offset {}", self.host, self.data.len(), self.offset);
        if let Some(of) = self.config.replicaof.clone() {
            self.upstream = Some(Upstream { of, sync: Sync::Idle, down_since: None, heard_at: physics.now() });
            if !self.loading {
                self.dial_master(physics);
            }
        }
        let first = self.rng.below(SEC);
        physics.after(first, Event::Cron { host: self.host, life: self.life });
    }

    /// Another process is given the address of this one, with data of another history; it shares nothing with it. The
    /// original waits, stopped, to be put back.
    #[must_use]
    pub fn stranger(&self, follows: Option<HostPort>, seed: u64) -> Self {
        let config = Config { replicaof: follows, persistence: Persistence::None, ..self.config.clone() };
        let mut stranger = Node::new(self.host, self.group, config, seed);
        stranger.life = self.life + 1;
        stranger.rng = Rng::new(seed, &format!("stranger {} {}", self.host, stranger.life));
        stranger
    }

    /// Starts a stranger's process, which has been at work elsewhere.
    pub fn start_stranger(&mut self, physics: &mut Physics) {
        self.start(physics);
        self.data = (0..self.rng.below(1_000)).map(|value| u32::MAX - u32::try_from(value).unwrap_or(0)).collect();
        let digits = self.rng.between(4, 30);
        self.offset = 2 + self.rng.below(1 << digits);
        self.backlog_start = self.offset + 1;
        self.synced = true;
        self.foreign = true;
        self.blank = false;
        self.has_backlog = true;
        self.cached = self.upstream.is_some();
    }

    /// What was stopped for a stranger's sake can be started again.
    pub fn after_stranger(&mut self, stranger: &Self) {
        self.life = stranger.life + 1;
    }

    /// A new connection.
    pub fn accepted(&mut self, physics: &mut Physics, conn: ConnId) {
        let purpose = physics.purpose(conn);
        match purpose {
            Purpose::Watch if physics.hosts[self.host].shut > 0 => {
                physics.send(conn, LISTENER, Packet::Shut);
                physics.close(conn, LISTENER);
            }
            Purpose::Watch => {
                self.clients.insert(conn, purpose);
                self.subscribers.insert(conn);
                let refused = physics.hosts[self.host].without_user > 0;
                physics.send(conn, LISTENER, if refused { Packet::ReadyWithoutLogin } else { Packet::Ready });
            }
            Purpose::Write => {
                self.clients.insert(conn, purpose);
                physics.send(conn, LISTENER, Packet::Ready);
            }
            Purpose::Replicate | Purpose::Peer | Purpose::Ask => {}
        }
    }

    /// A connection is gone.
    pub fn closed(&mut self, physics: &mut Physics, conn: ConnId) {
        self.clients.remove(&conn);
        self.subscribers.remove(&conn);
        self.waiting.retain(|it| it.conn != conn);
        self.postponed.retain(|(of, _)| *of != conn);
        self.downstreams.remove(&conn);
        if self.upstream.as_ref().and_then(|up| up.sync.conn()) == Some(conn) {
            self.lose_master(physics);
        }
    }

    /// A message came.
    pub fn received(&mut self, physics: &mut Physics, conn: ConnId, packet: Packet) {
        if self.postpones(physics, conn, &packet) {
            return;
        }
        match packet {
            Packet::Request { request, message } => self.sentinel_asks(physics, conn, request, message),
            Packet::Write { value, wait } => self.write(physics, conn, value, wait),
            Packet::Psync { replid, offset, listening, failover } => {
                if failover && !self.takes_over(physics, replid) {
                    physics.send(conn, LISTENER, Packet::NoTakeOver);
                } else {
                    self.replica_asks(physics, conn, replid, offset, listening);
                }
            }
            Packet::Ack { offset } => self.replica_acks(physics, conn, offset),
            other => self.master_says(physics, conn, other),
        }
    }

    /// Once a second.
    pub fn cron(&mut self, physics: &mut Physics) {
        self.ticks += 1;
        physics.after(SEC, Event::Cron { host: self.host, life: self.life });
        if self.loading {
            return;
        }
        self.replication_cron(physics);
        self.disk_cron(physics);
        if !physics.hosts[self.host].running {
            return;
        }
        let now = physics.now();
        let (over, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|it| it.until <= now);
        self.waiting = rest;
        for Waiting { conn, value, offset, overruled, .. } in over {
            let replicas = self.replicas_at(offset);
            self.written(physics, conn, value, replicas, overruled);
        }
    }

    /// Ends the connections of clients: CLIENT KILL TYPE normal, TYPE pubsub; never the one that asks.
    fn kill_clients(&mut self, physics: &mut Physics, but: ConnId) {
        for conn in self.clients.keys().copied().collect::<Vec<_>>() {
            if conn != but {
                physics.close(conn, LISTENER);
                self.closed(physics, conn);
            }
        }
    }

    /// A duration that is this node's own, around a mean.
    fn about(&mut self, mean: Time) -> Time {
        mean / 2 + self.rng.below(mean + MS)
    }
}

fn answer(physics: &mut Physics, conn: ConnId, request: RequestId, reply: sentinel_resp::Reply) {
    physics.send(conn, LISTENER, Packet::Reply { request, reply, facts: None });
}
