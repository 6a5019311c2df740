//! What travels over connections.

use std::sync::Arc;

use bytes::Bytes;
use sentinel_core::{Message, RequestId, types::HostPort};
use sentinel_resp::Reply;

use crate::node::{Entry, Reign};

/// Why a connection is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A Sentinel watches a data node.
    Watch,
    /// A Sentinel talks to another.
    Peer,
    /// An application asks a Sentinel for the master.
    Ask,
    /// An application writes.
    Write,
    /// A replica follows its master.
    Replicate,
}

/// What an INFO was true about when it was made, besides its text: the invariants compare what a Sentinel was told with what
/// it does, without reading texts as the engine does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is another thing that an INFO says or hides")]
pub struct InfoFacts {
    /// Whether it said that it is a replica.
    pub replica: bool,
    /// `slave_priority`.
    pub priority: u32,
    /// The offset it showed.
    pub offset: u64,
    /// Whether it has ever had a copy of its group's data.
    pub synced: bool,
    /// For how long its link to its master had been down.
    pub link_down: u64,
    /// The same by its wall clock, as it tells it.
    pub link_down_told: u64,
    /// Whether its data are of another history than its group's: a stranger on an address that was used before.
    pub foreign: bool,
    /// Whether its data went a way of their own: it was restarted as a master from an old file, and has not copied since.
    pub stray: bool,
    /// Whether it was reading its data.
    pub loading: bool,
    /// How many values it held.
    pub keys: usize,
    /// `master_replid`
    pub replid: u64,
    /// `master_replid2`, and the last offset of that: its stream went on from there.
    pub former: Option<(u64, u64)>,
    /// Whether it is a master that was restarted without its data.
    pub blank: bool,
    /// Which start of the node it was.
    pub life: u32,
    /// Whether it proved that this start was one without data: nothing was loaded, and all keys are new, if there are any. What
    /// an append-only file brings back counts as new, and what was saved since does not.
    pub shows_empty_start: bool,
    /// Whether it was handing over (FAILOVER).
    pub handing_over: bool,
    /// Whom it followed, if its link there was up.
    pub linked_to: Option<HostPort>,
}

/// One message of a stream.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are those of the protocol message that the variant stands for")]
pub enum Packet {
    /// The other side is ready: the handshake is over.
    Ready,
    /// The same, but the login is refused: what comes is served without.
    ReadyWithoutLogin,
    /// Nothing is served without another login. The connection is closed behind it.
    Shut,
    /// A Sentinel asks.
    Request { request: RequestId, message: Message },
    /// The answer, to Sentinels.
    Reply { request: RequestId, reply: Reply, facts: Option<Box<InfoFacts>> },
    /// A hello on the channel that the Sentinel has subscribed.
    Published(Bytes),
    /// An application wants to know the master of a group.
    AskMaster { group: usize },
    /// The answer.
    MasterIs(Option<HostPort>),
    /// An application writes a value and, with `wait`, wants so many replicas to have it.
    Write { value: u32, wait: usize },
    /// It was written, under this reign of the master; so many replicas have it, as far as was waited for. `overruled`:
    /// every Sentinel had another master in force already.
    Written { value: u32, replicas: usize, reign: Reign, overruled: bool },
    /// It was not.
    Refused { value: u32, why: &'static str },
    /// A replica wants to go on from here, or anything else.
    ///
    /// With `failover`, the other side is asked to become the master.
    Psync { replid: Option<u64>, offset: u64, listening: HostPort, failover: bool },
    /// It may go on, under this replication id.
    Continue { replid: u64 },
    /// It gets everything anew.
    FullResync { replid: u64 },
    /// Everything.
    Rdb { values: Arc<Vec<u32>>, offset: u64 },
    /// The other side does not become the master.
    NoTakeOver,
    /// The master cannot serve replicas now.
    NoMasterLink,
    /// The replication stream.
    Stream(Entry),
    /// How far a replica has come.
    Ack { offset: u64 },
    /// The other end is gone.
    Fin,
}
