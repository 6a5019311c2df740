//! Time, hosts and the network: what every process lives in.

use std::{
    collections::{BTreeSet, VecDeque},
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use sentinel_core::{
    LinkFault,
    types::{Host, HostPort},
};

use crate::{
    invariants::{Checks, Observation},
    packet::{Packet, Purpose},
    queue::Queue,
    rng::Rng,
    time::{MS, SEC, Time},
    trace::Trace,
};

/// A host with one process on it.
pub type HostId = usize;

/// A connection, by its place in the list of all that ever were.
pub type ConnId = usize;

/// The end that dialled.
pub const DIALER: usize = 0;
/// The end that listened.
pub const LISTENER: usize = 1;

/// How long a Sentinel's runtime waits for a connection.
const CONNECT_TIMEOUT: Time = 2 * SEC;

/// How long an answer takes of a name server that works, or says that there is no such name.
const LOOKUP: Time = MS;
/// How long is waited for a name server that does not answer.
const LOOKUP_TIMEOUT: Time = 5 * SEC;

/// Something that will happen.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say whom it concerns")]
pub enum Event {
    /// A connection request reaches the other host.
    Syn(ConnId),
    /// The dialler hears how it ended.
    Dialed(ConnId, Result<(), LinkFault>),
    /// The listener hears of a new connection.
    Accepted(ConnId),
    /// The next message of a stream reaches one end.
    Arrive { conn: ConnId, to: usize },
    /// A dialler has waited long enough for [`Packet::Ready`].
    HandshakeOver(ConnId),
    /// A Sentinel's engine wants to be called.
    Wake { host: HostId, life: u32, at: Time },
    /// A Sentinel's disk has finished, or failed.
    DiskDone { host: HostId, life: u32 },
    /// A name server has answered a Sentinel, or not in time.
    Resolved { host: HostId, life: u32, name: Arc<str>, outcome: Result<Ipv4Addr, &'static str> },
    /// A Sentinel's disk may be tried again.
    DiskRetry { host: HostId, life: u32 },
    /// A data node's or application's periodic work.
    Cron { host: HostId, life: u32 },
    /// A data node has a copy of everything ready for one replica.
    RdbReady { host: HostId, life: u32, conn: ConnId },
    /// A data node has read its data.
    Loaded { host: HostId, life: u32, conn: Option<ConnId> },
    /// A data node looks at the handover under way.
    HandoverTick { host: HostId, life: u32 },
    /// An application has waited long enough for an answer.
    Impatient { host: HostId, turn: u64 },
    /// A fault begins.
    Fault(usize),
    /// A fault ends.
    Mend(usize),
    /// A slow process has the processor for a moment.
    Slice(HostId),
    /// The record of a host's name follows its address.
    Renamed(HostId),
    /// The world looks at itself.
    Look,
}

/// Something that happens to a process.
#[derive(Debug)]
pub enum Occurrence {
    /// An event that is for it.
    Event(Event),
    /// A message has come at its end of a connection.
    Message(ConnId, Packet),
}

/// The name of a host, and what a name server says about it.
#[derive(Clone, Debug)]
pub struct Record {
    /// The name, by which all others know the host.
    pub name: Arc<str>,
    /// The address on record, perhaps a former one.
    pub ip: Ipv4Addr,
    /// There is no such record.
    pub missing: u32,
    /// There is no answer.
    pub silent: u32,
}

impl Record {
    /// A name that resolves.
    pub fn new(name: &str, ip: Ipv4Addr) -> Self {
        Record { name: name.into(), ip, missing: 0, silent: 0 }
    }
}

/// One machine and the process on it.
#[derive(Debug)]
pub struct HostState {
    /// Its address now.
    pub ip: Ipv4Addr,
    /// Its name, if that is what others know.
    pub record: Option<Record>,
    /// The port its process listens on.
    pub port: u16,
    /// Whether the machine runs; if not, nothing answers at all.
    pub powered: bool,
    /// Whether the process runs; if not, connections are refused.
    pub running: bool,
    /// Whether the process stands still (SIGSTOP): the kernel still accepts.
    pub hung: u32,
    /// A firewall refuses new connections.
    pub refusing: u32,
    /// A firewall drops requests for new connections; open ones go on.
    pub swallowing: u32,
    /// The process gets on only once in so much time.
    pub sluggish: Time,
    /// Its next moment is due.
    pub slice_due: bool,
    /// Added to every message from and to it.
    pub slowness: Time,
    /// Messages so often, in a thousand, are lost once and come a retransmission later.
    pub lossy: u64,
    /// What waits for a process that stands still.
    pub inbox: VecDeque<Occurrence>,
}

struct Conn {
    ends: [HostId; 2],
    open: [bool; 2],
    purpose: Purpose,
    port: u16,
    /// The last arrival at each end: a stream keeps its order.
    last: [Time; 2],
    /// What is on its way to each end, in order.
    pipe: [VecDeque<Packet>; 2],
    /// How many of these should have arrived at each end, but the way was cut.
    held: [usize; 2],
}

/// Everything around the processes.
pub struct Physics {
    now: Time,
    /// Places in `slots`.
    queue: Queue<u32>,
    slots: Vec<Option<Event>>,
    free: Vec<u32>,
    /// The hosts.
    pub hosts: Vec<HostState>,
    conns: Vec<Conn>,
    /// Connections on which something is held.
    stuck: BTreeSet<ConnId>,
    /// How many faults cut the way from one host to another.
    cut: Vec<Vec<u32>>,
    base_latency: Time,
    jitter: Time,
    /// Chance for everything that is not decided by the scenario.
    pub rng: Rng,
    /// The log.
    pub trace: Trace,
    /// The invariants.
    pub checks: Checks,
}

impl Physics {
    /// A network of hosts.
    pub fn new(seed: u64, hosts: Vec<(Ipv4Addr, u16)>, latency: (Time, Time), trace: Trace, checks: Checks) -> Self {
        let count = hosts.len();
        let hosts = hosts
            .into_iter()
            .map(|(ip, port)| HostState {
                ip,
                port,
                powered: true,
                running: true,
                hung: 0,
                refusing: 0,
                swallowing: 0,
                sluggish: 0,
                slice_due: false,
                record: None,
                slowness: 0,
                lossy: 0,
                inbox: VecDeque::new(),
            })
            .collect();
        Physics {
            now: 0,
            queue: Queue::new(),
            slots: Vec::new(),
            free: Vec::new(),
            hosts,
            conns: Vec::new(),
            stuck: BTreeSet::new(),
            cut: vec![vec![0; count]; count],
            base_latency: latency.0,
            jitter: latency.1,
            rng: Rng::new(seed, "physics"),
            trace,
            checks,
        }
    }

    /// The time.
    pub const fn now(&self) -> Time {
        self.now
    }

    /// Lets something happen after a while.
    pub fn after(&mut self, delay: Time, event: Event) {
        self.at(self.now + delay, event);
    }

    /// Lets something happen.
    ///
    /// # Panics
    ///
    /// When more than 2^32 events wait.
    pub fn at(&mut self, at: Time, event: Event) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = Some(event);
            slot
        } else {
            self.slots.push(Some(event));
            u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 events wait at the same time")
        };
        self.queue.add(at, slot);
    }

    /// Goes on to what happens next.
    pub fn advance(&mut self) -> Option<Event> {
        let (now, slot) = self.queue.take()?;
        self.now = now;
        self.free.push(slot);
        self.slots[slot as usize].take()
    }

    /// Where a host's process listens, as others know it.
    pub fn address(&self, host: HostId) -> HostPort {
        let it = &self.hosts[host];
        let known_as = match &it.record {
            Some(record) => Host::Name(Arc::clone(&record.name)),
            None => Host::Ip(IpAddr::V4(it.ip)),
        };
        HostPort::new(known_as, it.port)
    }

    /// The host that others mean by a name, or by an address.
    pub fn host_at(&self, addr: &HostPort) -> Option<HostId> {
        let is_it = |it: &HostState| match &addr.host {
            Host::Ip(ip) => IpAddr::V4(it.ip) == *ip,
            Host::Name(name) => it.record.as_ref().is_some_and(|record| record.name == *name),
        };
        self.hosts.iter().position(|it| it.port == addr.port && is_it(it))
    }

    /// The address of a host's process as a number.
    pub fn numeric_address(&self, host: HostId) -> HostPort {
        let it = &self.hosts[host];
        HostPort::new(Host::Ip(IpAddr::V4(it.ip)), it.port)
    }

    /// The address of a host, and after which time it is known, or that there is none.
    pub fn lookup(&self, host: &Host) -> (Time, Result<Ipv4Addr, &'static str>) {
        match host {
            Host::Ip(IpAddr::V4(ip)) => (0, Ok(*ip)),
            Host::Ip(IpAddr::V6(_)) => (0, Err("no route")),
            Host::Name(name) => {
                let record = self.hosts.iter().filter_map(|host| host.record.as_ref()).find(|it| it.name == *name);
                match record {
                    Some(it) if it.silent > 0 => (LOOKUP_TIMEOUT, Err("no answer")),
                    Some(it) if it.missing == 0 => (LOOKUP, Ok(it.ip)),
                    _ => (LOOKUP, Err("no such name")),
                }
            }
        }
    }

    /// Tells the invariants of something.
    pub fn observe(&mut self, observation: &Observation<'_>) {
        self.checks.observe(self.now, observation);
    }

    // Connections ---------------------------------------------------------------------------------------------

    /// Opens a connection. [`Event::Dialed`] says how that ended.
    pub fn dial(&mut self, from: HostId, to: &HostPort, purpose: Purpose) -> ConnId {
        let conn = self.conns.len();
        let (known_after, found) = self.lookup(&to.host);
        let target = found.ok().and_then(|ip| self.hosts.iter().position(|host| host.ip == ip && host.port == to.port));
        self.conns.push(Conn {
            ends: [from, target.unwrap_or(from)],
            open: [true, false],
            purpose,
            port: to.port,
            last: [0; 2],
            pipe: [VecDeque::new(), VecDeque::new()],
            held: [0; 2],
        });
        match (found, target) {
            (Err(why), _) => {
                self.after(known_after, Event::Dialed(conn, Err(LinkFault::Unresolved(why.to_owned()))));
            }
            (Ok(_), Some(target)) if !self.is_cut(from, target) => {
                let delay = self.latency(from, target);
                self.after(delay, Event::Syn(conn));
            }
            (Ok(_), _) => self.dial_fails_late(conn),
        }
        conn
    }

    fn dial_fails_late(&mut self, conn: ConnId) {
        let fault = LinkFault::Failed("no answer within 2 s".to_owned());
        self.after(CONNECT_TIMEOUT, Event::Dialed(conn, Err(fault)));
    }

    /// A connection request arrives.
    pub fn syn(&mut self, conn: ConnId) {
        let [from, to] = self.conns[conn].ends;
        let host = &self.hosts[to];
        if !host.powered || host.swallowing > 0 || self.is_cut(from, to) || self.is_cut(to, from) {
            // The way that was waited for already counts.
            self.dial_fails_late(conn);
        } else if !host.running || host.refusing > 0 || host.port != self.conns[conn].port {
            let delay = self.latency(to, from);
            self.after(delay, Event::Dialed(conn, Err(LinkFault::Refused)));
        } else {
            self.conns[conn].open[LISTENER] = true;
            let delay = self.latency(to, from);
            let at = self.now + delay;
            self.conns[conn].last[DIALER] = at;
            self.at(self.now, Event::Accepted(conn));
            self.at(at, Event::Dialed(conn, Ok(())));
        }
    }

    /// Which process an event is for, if it is for one.
    pub fn addressee(&self, event: &Event) -> Option<HostId> {
        match event {
            Event::Dialed(conn, _) | Event::HandshakeOver(conn) => Some(self.conns[*conn].ends[DIALER]),
            Event::Accepted(conn) => Some(self.conns[*conn].ends[LISTENER]),
            Event::Arrive { conn, to } => Some(self.conns[*conn].ends[*to]),
            Event::Wake { host, .. }
            | Event::DiskDone { host, .. }
            | Event::DiskRetry { host, .. }
            | Event::Resolved { host, .. }
            | Event::Cron { host, .. }
            | Event::RdbReady { host, .. }
            | Event::Loaded { host, .. }
            | Event::HandoverTick { host, .. }
            | Event::Impatient { host, .. } => Some(*host),
            Event::Syn(_) | Event::Fault(_) | Event::Mend(_) | Event::Slice(_) | Event::Renamed(_) | Event::Look => {
                None
            }
        }
    }

    /// Who is at the other end.
    pub fn other_end(&self, conn: ConnId, me: usize) -> HostId {
        self.conns[conn].ends[1 - me]
    }

    /// Whether this end is open.
    pub fn is_open(&self, conn: ConnId, end: usize) -> bool {
        self.conns[conn].open[end]
    }

    /// What the connection is for.
    pub fn purpose(&self, conn: ConnId) -> Purpose {
        self.conns[conn].purpose
    }

    /// Sends from one end to the other.
    pub fn send(&mut self, conn: ConnId, from: usize, packet: Packet) {
        self.send_late(conn, from, packet, 0);
    }

    /// Sends something that takes longer on its way.
    pub fn send_late(&mut self, conn: ConnId, from: usize, packet: Packet, more: Time) {
        let it = &self.conns[conn];
        if !it.open[from] {
            return;
        }
        let to = 1 - from;
        let at = self.now + self.latency(it.ends[from], it.ends[to]) + more;
        let it = &mut self.conns[conn];
        let at = at.max(it.last[to]);
        it.last[to] = at;
        it.pipe[to].push_back(packet);
        self.at(at, Event::Arrive { conn, to });
    }

    /// A message has come to the end of its way. Returns it if there is a machine to take it, and which.
    pub fn arrive(&mut self, conn: ConnId, to: usize) -> Option<(HostId, Packet)> {
        let ends = self.conns[conn].ends;
        let [source, target] = [ends[1 - to], ends[to]];
        if self.is_cut(source, target) {
            self.conns[conn].held[to] += 1;
            self.stuck.insert(conn);
            return None;
        }
        let it = &mut self.conns[conn];
        let packet = it.pipe[to].pop_front()?;
        if !self.hosts[target].powered {
            return None;
        }
        if !self.conns[conn].open[to] {
            // Nobody knows this connection any more: the sender is told.
            if !matches!(packet, Packet::Fin) && self.conns[conn].open[1 - to] {
                let at = (self.now + self.latency(target, source)).max(self.conns[conn].last[1 - to]);
                self.conns[conn].last[1 - to] = at;
                self.conns[conn].pipe[1 - to].push_back(Packet::Fin);
                self.at(at, Event::Arrive { conn, to: 1 - to });
            }
            return None;
        }
        if matches!(packet, Packet::Fin) {
            self.conns[conn].open[to] = false;
        }
        Some((target, packet))
    }

    /// Closes one end; the other hears of it.
    pub fn close(&mut self, conn: ConnId, end: usize) {
        if self.conns[conn].open[end] {
            self.send(conn, end, Packet::Fin);
            self.conns[conn].open[end] = false;
        }
    }

    /// All connections with an open end at a host.
    pub fn conns_of(&self, host: HostId) -> Vec<(ConnId, usize)> {
        let mut found = Vec::new();
        for (conn, it) in self.conns.iter().enumerate() {
            for end in [DIALER, LISTENER] {
                if it.ends[end] == host && it.open[end] {
                    found.push((conn, end));
                }
            }
        }
        found
    }

    /// The process of a host is gone. If the machine is, too, nobody is told.
    pub fn process_ends(&mut self, host: HostId, machine_too: bool) {
        self.hosts[host].running = false;
        self.hosts[host].powered = !machine_too;
        self.hosts[host].inbox.clear();
        self.hosts[host].slice_due = false;
        for (conn, end) in self.conns_of(host) {
            if machine_too {
                self.conns[conn].open[end] = false;
            } else {
                self.close(conn, end);
            }
        }
    }

    /// Breaks an established connection at both ends.
    pub fn reset(&mut self, conn: ConnId) {
        for end in [DIALER, LISTENER] {
            if self.conns[conn].open[end] {
                // It overtakes what is on its way.
                self.conns[conn].pipe[end].push_front(Packet::Fin);
                self.after(0, Event::Arrive { conn, to: end });
            }
        }
    }

    // The network's condition -----------------------------------------------------------------------------------

    /// Whether nothing gets from one host to another.
    pub fn is_cut(&self, from: HostId, to: HostId) -> bool {
        self.cut[from][to] > 0
    }

    /// Cuts the way from one host to another.
    pub fn cut(&mut self, from: HostId, to: HostId) {
        self.cut[from][to] += 1;
    }

    /// Undoes one cut.
    pub fn mend(&mut self, from: HostId, to: HostId) {
        self.cut[from][to] = self.cut[from][to].saturating_sub(1);
    }

    /// What was held goes on, where the way is open again, when its sender tries again.
    pub fn release_held(&mut self) {
        for conn in std::mem::take(&mut self.stuck) {
            for to in [DIALER, LISTENER] {
                let [source, target] = [self.conns[conn].ends[1 - to], self.conns[conn].ends[to]];
                if self.conns[conn].held[to] == 0 {
                    continue;
                }
                if self.is_cut(source, target) {
                    self.stuck.insert(conn);
                    continue;
                }
                let retry = self.rng.below(3 * SEC);
                let at = (self.now + retry).max(self.conns[conn].last[to]);
                self.conns[conn].last[to] = at;
                for _ in 0..std::mem::take(&mut self.conns[conn].held[to]) {
                    self.at(at, Event::Arrive { conn, to });
                }
            }
        }
    }

    fn latency(&mut self, from: HostId, to: HostId) -> Time {
        let mut latency = self.base_latency + self.rng.below(self.jitter + 1);
        latency += self.hosts[from].slowness + self.hosts[to].slowness;
        let lossy = self.hosts[from].lossy + self.hosts[to].lossy;
        if lossy > 0 && self.rng.permille(lossy) {
            latency += 200 * MS + self.rng.below(400 * MS);
        }
        latency
    }
}
