//! What goes wrong, and when.

mod apply;
mod plan;

use crate::{physics::HostId, time::Time};

pub use plan::plan;

/// One fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When it begins.
    pub at: Time,
    /// When it ends.
    pub until: Time,
    /// What it is.
    pub kind: Kind,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are hosts and groups, and what the variant says of them")]
pub enum Kind {
    /// The master of a group is killed, whoever that is then.
    KillMaster { group: usize, power: bool },
    /// The masters of all groups are killed in the same instant.
    KillAllMasters,
    /// These data nodes are killed.
    KillNodes { nodes: Vec<HostId> },
    /// A data node is killed, or its machine loses power; it comes back with what is on disk, or with nothing.
    KillNode { node: HostId, power: bool, wipe: bool },
    /// The master of a group stands still (SIGSTOP).
    HangMaster { group: usize },
    /// A process stands still.
    Hang { host: HostId },
    /// A Sentinel is killed.
    KillSentinel { sentinel: HostId, power: bool },
    /// A Sentinel is stopped here and started elsewhere.
    MoveSentinel { sentinel: HostId },
    /// Nothing passes between one part of the network and the rest.
    Split { hosts: Vec<HostId> },
    /// Nothing gets from one part of the network to the rest; the other way is open.
    OneWay { hosts: Vec<HostId> },
    /// Nothing passes between two hosts.
    Pair { one: HostId, other: HostId },
    /// A firewall refuses new connections to a host.
    Refuse { host: HostId },
    /// All connections of a host are reset, once.
    Reset { host: HostId },
    /// Everything from and to a host takes longer.
    Slow { host: HostId, by: Time },
    /// Packets from and to a host are lost, so many in a thousand.
    Lossy { host: HostId, permille: u64 },
    /// A Sentinel's disk is slow.
    SlowDisk { sentinel: HostId, by: Time },
    /// A Sentinel's disk is full.
    FullDisk { sentinel: HostId },
    /// A Sentinel's wall clock jumps.
    WallJump { sentinel: HostId, millis: i64 },
    /// SENTINEL FAILOVER
    Failover { sentinel: HostId, group: usize },
    /// SENTINEL FAILOVER at two Sentinels in the same moment.
    TwoFailovers { sentinel: HostId, other: HostId, group: usize },
    /// SENTINEL RESET
    Forget { sentinel: HostId, group: usize },
    /// SENTINEL SET: another down-after; at the end the former one.
    ChangeDownAfter { sentinel: HostId, group: usize, to: Time },
    /// SENTINEL REMOVE; at the end SENTINEL MONITOR and SET.
    Remove { sentinel: HostId, group: usize },
}
