//! Time, hosts and the network: what every process lives in.

mod conn;
mod host;
mod queue;
mod ways;

use std::{
    collections::{BTreeSet, VecDeque},
    net::Ipv4Addr,
    sync::Arc,
};

use sentinel_core::LinkFault;

use crate::{
    invariants::{Checks, Observation},
    packet::Packet,
    rng::Rng,
    time::Time,
    trace::Trace,
};

use self::{conn::Conn, queue::Queue};

pub use host::{HostState, Record};

/// A host with one process on it.
pub type HostId = usize;

/// A connection, by its place in the list of all that ever were.
pub type ConnId = usize;

/// The end that dialled.
pub const DIALER: usize = 0;
/// The end that listened.
pub const LISTENER: usize = 1;

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
                also: None,
                port,
                powered: true,
                running: true,
                hung: 0,
                refusing: 0,
                swallowing: 0,
                without_user: 0,
                shut: 0,
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

    /// Tells the invariants of something.
    pub fn observe(&mut self, observation: &Observation<'_>) {
        self.checks.observe(self.now, observation);
    }
}
