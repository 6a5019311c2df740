//! What goes wrong, and when.

mod apply;
mod plan;

use crate::{
    physics::HostId,
    time::{SEC, Time},
};

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
    /// A replica is stopped and comes back from a copy of its file, so many saves old: as a replica, or (`stray`) as a master,
    /// which is written to.
    OldFile { node: HostId, age: usize, stray: bool },
    /// A replica of a group that may be promoted is killed, counted from the first.
    KillReplica { group: usize, nth: usize },
    /// All nodes of a group are killed but that replica, which dies in the same instant and comes back before them.
    KillAllBut { group: usize, nth: usize, back: Time },
    /// The master of a group stands still (SIGSTOP).
    HangMaster { group: usize },
    /// A process stands still.
    Hang { host: HostId },
    /// A Sentinel is killed.
    KillSentinel { sentinel: HostId, power: bool },
    /// A Sentinel is stopped here and started elsewhere.
    MoveSentinel { sentinel: HostId },
    /// Two Sentinels are stopped, and each is started at the other's address.
    ExchangeSentinels { one: HostId, other: HostId },
    /// A Sentinel is stopped here and started elsewhere, another one at its former address.
    ReuseSentinel { sentinel: HostId, other: HostId },
    /// A Sentinel is away, and its address leads to another one, which has two then.
    TwoAddresses { sentinel: HostId, away: HostId },
    /// Nothing passes between one part of the network and the rest.
    Split { hosts: Vec<HostId> },
    /// Nothing gets from one part of the network to the rest; the other way is open.
    OneWay { hosts: Vec<HostId> },
    /// Nothing passes between two hosts.
    Pair { one: HostId, other: HostId },
    /// Nothing passes between the master of a group and one of its replicas, counted from the first.
    Lag { group: usize, nth: usize },
    /// A firewall refuses new connections to a host.
    Refuse { host: HostId },
    /// A firewall drops requests for new connections to a host; open ones go on.
    BlackHole { host: HostId },
    /// All connections of a host are reset, once.
    Reset { host: HostId },
    /// Everything from and to a host takes longer.
    Slow { host: HostId, by: Time },
    /// Packets from and to a host are lost, so many in a thousand.
    Lossy { host: HostId, permille: u64 },
    /// A process gets on only once in so much time.
    Sluggish { host: HostId, by: Time },
    /// The name of a host does not resolve: there is none, or no answer (`silent`).
    NoName { host: HostId, silent: bool },
    /// No name resolves.
    NoNames { silent: bool },
    /// A data node is stopped here and started elsewhere, under its name, whose record follows later.
    MoveNode { node: HostId },
    /// A replica is stopped, and its address given to another process with data of another history: a master
    /// (`reigns`), or a replica of one that is far away.
    Stranger { node: HostId, reigns: bool },
    /// A data node's disk is full: it refuses writes, or ends, as Redis does with its kind of persistence.
    FullNodeDisk { node: HostId },
    /// A data node does not know the Sentinels' user any more, and disconnects them. It serves everybody, or (`shut`) nobody
    /// without another password.
    Logins { node: HostId, shut: bool },
    /// A Sentinel's disk fails with EIO, after a write or without, or hangs.
    SickDisk { sentinel: HostId, hangs: bool },
    /// A Sentinel's disk is slow.
    SlowDisk { sentinel: HostId, by: Time },
    /// A Sentinel's disk is full.
    FullDisk { sentinel: HostId },
    /// A Sentinel's wall clock jumps.
    WallJump { sentinel: HostId, millis: i64 },
    /// The wall clocks of data nodes jump: their machine was suspended, or its time was set.
    NodeClocks { nodes: Vec<HostId>, millis: i64 },
    /// SENTINEL FAILOVER
    Failover { sentinel: HostId, group: usize },
    /// SENTINEL FAILOVER TO a replica, counted from the first, also `COORDINATED`.
    FailoverTo { sentinel: HostId, group: usize, nth: usize, coordinated: bool },
    /// SENTINEL FAILOVER at two Sentinels in the same moment.
    TwoFailovers { sentinel: HostId, other: HostId, group: usize },
    /// A replica of a group, counted from the first, stands still (SIGSTOP).
    HangReplica { group: usize, nth: usize },
    /// `FAILOVER TO` a replica with `FORCE`, typed at the master of a group.
    Forced { group: usize, nth: usize },
    /// A Sentinel that has just been told to move a master is killed; or it and the replica that was named vanish from the network.
    Vanish { sentinel: HostId, group: usize, nth: usize, with_target: bool },
    /// SENTINEL RESET
    Forget { sentinel: HostId, group: usize },
    /// SENTINEL FORGET
    ForgetPeer { sentinel: HostId, other: HostId, group: usize },
    /// SENTINEL FORGET-REPLICA
    ForgetReplica { sentinel: HostId, node: HostId },
    /// SENTINEL SET: another down-after; at the end the former one.
    ChangeDownAfter { sentinel: HostId, group: usize, to: Time },
    /// Somebody types REPLICAOF at the master of a group: it follows one of its replicas, counted from the first.
    Typed { group: usize, nth: usize },
    /// Somebody publishes a hello in the name of a Sentinel: the master is another node, since a far later epoch. It has
    /// no signature, or one made with another key.
    Forged { sentinel: HostId, group: usize, nth: usize, signed: bool },
    /// Somebody asks a Sentinel for its vote in a far later epoch, in the name of another one. The request has no signature, or one
    /// made with another key.
    ForgedVote { sentinel: HostId, other: HostId, group: usize, signed: bool },
    /// SENTINEL REMOVE; at the end SENTINEL MONITOR and SET.
    Remove { sentinel: HostId, group: usize },
}

impl Kind {
    /// For how long after its end it is still felt.
    pub const fn aftermath(&self) -> Time {
        match self {
            Kind::MoveNode { .. } => RECORD_LIFE,
            // So long a master may say that it is a replica, besides down-after.
            Kind::Typed { .. } => 2 * 10 * SEC,
            _ => 0,
        }
    }
}

/// So long at most a name may still resolve to a former address.
pub(crate) const RECORD_LIFE: Time = 10 * SEC;
