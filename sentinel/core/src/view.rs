//! An immutable picture of everything, from which clients are answered without visiting the engine.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

pub use crate::master_views::MasterViews;

use crate::{
    history::Incident,
    problems::Problem,
    settings::{GlobalSettings, MasterSettings, Timing},
    time::Instant,
    types::{Epoch, HostPort, MasterName, RunId, SentinelId},
};

/// Everything a reader may ask for, as of one moment.
#[derive(Clone, Debug)]
pub struct View {
    /// This Sentinel's id.
    pub id: SentinelId,
    /// This run of the process, as its INFO tells it.
    pub run_id: Option<RunId>,
    /// The highest epoch seen.
    pub current_epoch: Epoch,
    /// Since when this Sentinel is in TILT.
    pub tilt_since: Option<Instant>,
    /// Settings of the Sentinel.
    pub globals: Arc<GlobalSettings>,
    /// The timing constants in force.
    pub timing: Timing,
    /// Requests for votes, and answers to our own, that were refused for want of the right signature, since the start.
    pub refused_requests: u64,
    /// From where another process says hello with our own id, and when it did so last.
    pub own_id_elsewhere: Option<(HostPort, Instant)>,
    /// What happened to masters, oldest first.
    pub history: Arc<[Arc<Incident>]>,
    /// What is wrong with this process and the other Sentinels.
    pub problems: Arc<[Arc<Problem>]>,
    /// Why the last write of the state failed, while it has not succeeded since.
    pub persist_error: Option<Arc<str>>,
    /// Where this Sentinel is to crash (SENTINEL SIMULATE-FAILURE).
    pub simulated: crate::command::SimulatedFailures,
    /// The calls of scripts that run or wait, oldest first.
    pub scripts: Arc<[ScriptView]>,
    /// The monitored masters.
    pub masters: MasterViews,
}

/// One monitored master with all that belongs to it.
#[derive(Clone, Debug)]
pub struct MasterView {
    /// Its name.
    pub name: MasterName,
    /// The address given to clients (GET-MASTER-ADDR-BY-NAME).
    pub serving: HostPort,
    /// The node configured as master.
    pub node: NodeView,
    /// Since when it is objectively down.
    pub odown_since: Option<Instant>,
    /// The state of the failover in progress, in the reference's words (`wait_start` … `reconf_slaves`).
    pub failover_state: Option<&'static str>,
    /// Whether that failover was asked for by SENTINEL FAILOVER.
    pub failover_forced: bool,
    /// It is one that an operator wants without loss, or not at all (`SENTINEL FAILOVER … COORDINATED`).
    pub failover_coordinated: bool,
    /// The epoch of the configuration.
    pub config_epoch: Epoch,
    /// What the last promotion brought that this Sentinel led.
    pub promotion: Option<crate::Promotion>,
    /// Settings.
    pub settings: Arc<MasterSettings>,
    /// What is wrong with it and its nodes.
    pub problems: Arc<[Arc<Problem>]>,
    /// The replicas, ordered by address.
    pub replicas: Vec<ReplicaView>,
    /// The other Sentinels, ordered by id.
    pub peers: Vec<PeerView>,
}

/// What is known of a data node, or of the link to a peer.
#[derive(Clone, Debug)]
pub struct NodeView {
    /// Its address.
    pub addr: HostPort,
    /// From INFO; none before the first.
    pub run_id: Option<RunId>,
    /// The numbers that change with every PING.
    pub vitals: Arc<Vitals>,
    /// Since when it is subjectively down.
    pub sdown_since: Option<Instant>,
    /// Whether its link is up.
    pub connected: bool,
    /// How many instances share the link.
    pub link_refcount: u32,
    /// When the last INFO came.
    pub info_at: Option<Instant>,
    /// The last INFO, whole.
    pub info: Option<Arc<str>>,
    /// The role it reports. Before the first INFO: the one it is configured for.
    pub role: Role,
    /// Since when it reports that role.
    pub role_since: Instant,
    /// Whether SCRIPT KILL was sent since it went down.
    pub script_kill_sent: bool,
    /// What it does not let us do, and what to do about it.
    pub denied: Option<Arc<str>>,
    /// Whether it rebooted and has not answered PONG since.
    pub rebooted: bool,
}

/// The role a data node reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `role:master`
    Master,
    /// `role:slave`
    Replica,
}

impl Role {
    /// The word of the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Master => "master",
            Role::Replica => "slave",
        }
    }
}

/// A replica.
#[derive(Clone, Debug)]
pub struct ReplicaView {
    /// The node.
    pub node: NodeView,
    /// From `master_link_down_since_seconds`, in milliseconds; 0 while the link is up, -1000 if it never was.
    pub master_link_down_ms: i64,
    /// Whether its link to its master is up.
    pub master_link_up: bool,
    /// Whom it replicates from, as it says.
    pub master_addr: Option<(String, u16)>,
    /// Its priority, 100 before the first INFO. 0: never promoted.
    pub priority: u32,
    /// Its replication offset in bytes, 0 before the first INFO.
    pub offset: u64,
    /// Whether it wants to be listed.
    pub announced: bool,
    /// Why it would not be promoted, in a word. None: it could be. During a failover: what held before.
    pub refusal: Option<&'static str>,
    /// Whether it was chosen for promotion in the failover in progress.
    pub promoted: bool,
    /// Its flag in the failover in progress: `reconf_sent`, `reconf_inprog` or `reconf_done`.
    pub reconf: Option<&'static str>,
}

/// Another Sentinel.
#[derive(Clone, Debug)]
pub struct PeerView {
    /// Its id.
    pub id: SentinelId,
    /// The link, shared by all masters.
    pub node: NodeView,
    /// Whether it told us that this master is down.
    pub master_down: bool,
    /// When the last hello came; at first when it was discovered.
    pub hello_at: Instant,
    /// The id and epoch of the vote we know of.
    pub vote: Option<(SentinelId, Epoch)>,
    /// Who was found where it is known to be, if that is somebody else.
    pub impostor: Option<Arc<str>>,
    /// Whether it answers, but does not say who it is.
    pub withheld: bool,
    /// Why it does not count although it answers: it does not prove that it knows `hello-auth-key`.
    pub unproven: Option<&'static str>,
    /// Whether it has proved that it knows `hello-auth-key`: requests for votes are signed.
    pub authenticated: bool,
}

/// One call of a script.
#[derive(Clone, Debug)]
pub struct ScriptView {
    /// The file.
    pub path: Arc<str>,
    /// The arguments behind it.
    pub args: Arc<[String]>,
    /// How often it was started.
    pub starts: u32,
    /// Whether it runs.
    pub state: ScriptState,
}

/// What a call of a script is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptState {
    /// It runs.
    Running {
        /// Since when.
        since: Instant,
        /// Its process; 0 while that is being made.
        pid: u32,
    },
    /// It waits for its first or next start.
    Scheduled {
        /// Which is not before this.
        due: Instant,
    },
}

/// Numbers that change with every PING. The engine writes them, readers read them, nobody waits; the engine never
/// reads them back, so that its decisions stay a function of its inputs.
#[derive(Debug, Default)]
pub struct Vitals {
    pending: AtomicU32,
    ping_sent: AtomicU64,
    ok_reply: AtomicU64,
    reply: AtomicU64,
}

/// The vitals of one link, as their engine holds them. A copy of the engine writes its own.
#[derive(Debug)]
pub(crate) struct OwnVitals(Arc<Vitals>);

impl OwnVitals {
    /// A new instance: its silence counts from `now`.
    pub(crate) fn new(now: Instant) -> Self {
        OwnVitals(Vitals::new(now))
    }

    /// For readers.
    pub(crate) fn shared(&self) -> Arc<Vitals> {
        Arc::clone(&self.0)
    }
}

impl std::ops::Deref for OwnVitals {
    type Target = Vitals;

    fn deref(&self) -> &Vitals {
        &self.0
    }
}

impl Clone for OwnVitals {
    fn clone(&self) -> Self {
        let copy = |of: &AtomicU64| AtomicU64::new(of.load(Relaxed));
        let Vitals { pending, ping_sent, ok_reply, reply } = &*self.0;
        OwnVitals(Arc::new(Vitals {
            pending: AtomicU32::new(pending.load(Relaxed)),
            ping_sent: copy(ping_sent),
            ok_reply: copy(ok_reply),
            reply: copy(reply),
        }))
    }
}

/// Written, and never read back.
impl std::hash::Hash for OwnVitals {
    fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
}

impl Vitals {
    /// A new instance: its silence counts from `now`.
    pub(crate) fn new(now: Instant) -> Arc<Self> {
        let vitals = Vitals::default();
        vitals.ping_sent.store(now.as_micros(), Relaxed);
        vitals.ok_reply.store(now.as_micros(), Relaxed);
        vitals.reply.store(now.as_micros(), Relaxed);
        Arc::new(vitals)
    }

    pub(crate) fn set_pending(&self, commands: u32) {
        self.pending.store(commands, Relaxed);
    }

    pub(crate) fn set_ping_sent(&self, at: Option<Instant>) {
        self.ping_sent.store(at.map_or(u64::MAX, Instant::as_micros), Relaxed);
    }

    pub(crate) fn set_ok_reply(&self, at: Instant) {
        self.ok_reply.store(at.as_micros(), Relaxed);
    }

    pub(crate) fn set_reply(&self, at: Instant) {
        self.reply.store(at.as_micros(), Relaxed);
    }

    /// Commands sent over the link and not answered.
    pub fn pending_commands(&self) -> u32 {
        self.pending.load(Relaxed)
    }

    /// Age of the oldest PING without an acceptable answer. None: there is none.
    pub fn ping_pending_for(&self, now: Instant) -> Option<Duration> {
        match self.ping_sent.load(Relaxed) {
            u64::MAX => None,
            at => Some(now.since(Instant::from_micros(at))),
        }
    }

    /// Age of the last acceptable answer to a PING; at first, of the instance.
    pub fn since_ok_reply(&self, now: Instant) -> Duration {
        now.since(Instant::from_micros(self.ok_reply.load(Relaxed)))
    }

    /// Age of the last answer of any kind to a PING; at first, of the instance.
    pub fn since_reply(&self, now: Instant) -> Duration {
        now.since(Instant::from_micros(self.reply.load(Relaxed)))
    }
}
