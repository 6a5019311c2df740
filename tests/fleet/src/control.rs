//! What a process of emulated nodes is told, and what it says: one line each, over its standard input and output.

use serde::{Deserialize, Serialize};

/// One order. Nodes are counted from 0 within the process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Order {
    /// Refuse connections, and close those there are.
    Kill(Vec<usize>),
    /// Accept connections and answer nothing.
    Hang(Vec<usize>),
    /// Be there (again) and answer.
    Resume(Vec<usize>),
    /// Begin to count anew.
    LookAnew,
    /// Say what has been seen.
    Look,
}

/// What the nodes have seen since they began to count. Times are microseconds of the machine's monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// How many nodes there are.
    pub nodes: usize,
    /// How many of them got a PING.
    pub pinged: usize,
    /// When the last of them got its first one; 0 if none did.
    pub last_first_ping: u64,
    /// The longest time that a node which lives waited for a PING.
    pub worst_gap: u64,
    /// Nodes that became masters, and when.
    pub promoted: Vec<(usize, u64)>,
    /// How often a node was told to follow another one.
    pub demoted: u64,
    /// Connections there are now.
    pub connections: usize,
    /// Connections that were made.
    pub accepted: u64,
    /// Commands that were answered.
    pub commands: u64,
    /// Processor time used by the emulation.
    pub cpu: u64,
    /// How long it has counted.
    pub elapsed: u64,
}

impl Sight {
    /// Adds what another process of nodes saw; its nodes are counted on from those of this one.
    pub(crate) fn add(&mut self, other: &Sight) {
        let before = self.nodes;
        self.nodes += other.nodes;
        self.pinged += other.pinged;
        self.last_first_ping = self.last_first_ping.max(other.last_first_ping);
        self.worst_gap = self.worst_gap.max(other.worst_gap);
        self.promoted.extend(other.promoted.iter().map(|(node, at)| (before + node, *at)));
        self.demoted += other.demoted;
        self.connections += other.connections;
        self.accepted += other.accepted;
        self.commands += other.commands;
        self.cpu += other.cpu;
        self.elapsed = self.elapsed.max(other.elapsed);
    }
}
