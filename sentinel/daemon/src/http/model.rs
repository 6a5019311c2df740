//! What the JSON answers look like. Numbers are numbers, times are milliseconds, what is not known is left out; secrets are
//! never shown.

use serde::Serialize;
use utoipa::ToSchema;

/// Why there is no other answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// This Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// Its id.
    pub(super) id: String,
    /// This run of the process.
    pub(super) run_id: Option<String>,
    /// The version of the program.
    pub(super) version: String,
    /// The highest epoch seen.
    pub(super) current_epoch: u64,
    /// How many masters it watches.
    pub(super) masters: usize,
    /// How many of them are neither down nor without a possible failover.
    pub(super) masters_well: usize,
    /// For how long it has been in TILT, in milliseconds.
    pub(super) tilt_ms: Option<u64>,
    /// Why the last save of the state failed.
    pub(super) save_error: Option<String>,
    pub(super) problems: Severities,
}

/// How many problems there are of each severity.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Severities {
    pub(super) critical: usize,
    pub(super) warning: usize,
    pub(super) info: usize,
}

/// One thing that is wrong, as `SENTINEL PROBLEMS` lists it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the field is called so in the answers of the Redis port")]
pub(super) struct Problem {
    /// Its name for programs.
    pub(super) code: String,
    /// `critical`, `warning` or `info`.
    pub(super) severity: String,
    /// What it is about: `process`, `sentinel`, `master` or `node`.
    pub(super) scope: String,
    pub(super) master: Option<String>,
    pub(super) address: Option<String>,
    /// The id of the Sentinel that it is about.
    pub(super) sentinel: Option<String>,
    /// For how long it has been so, in milliseconds.
    pub(super) age_ms: u64,
    /// One sentence.
    pub(super) problem: String,
    /// The command or the setting that mends it.
    pub(super) remedy: String,
}

/// A master, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Master {
    pub(super) name: String,
    /// Where clients find it.
    pub(super) address: String,
    /// `ok`, `sdown` (subjectively down) or `odown` (objectively down).
    pub(super) status: String,
    /// The state of the failover in progress, in the reference's words.
    pub(super) failover: Option<String>,
    pub(super) config_epoch: u64,
    pub(super) quorum: u32,
    /// Whether quorum and majority can be reached now.
    pub(super) quorum_reachable: bool,
    /// Whether an operator has paused failovers.
    pub(super) paused: bool,
    pub(super) replicas: usize,
    /// Of these those that are not down.
    pub(super) ok_replicas: usize,
    /// All Sentinels that are known to watch it, this one included.
    pub(super) sentinels: usize,
    /// Of these those that are not down.
    pub(super) ok_sentinels: usize,
    /// The last incident in which another node took the master's place, as far as the history reaches: its id, which is when it
    /// began, in milliseconds since 1970.
    pub(super) last_failover: Option<u64>,
    pub(super) problems: Severities,
}

/// A master with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MasterDetail {
    pub(super) master: Master,
    pub(super) node: Node,
    pub(super) replicas: Vec<Replica>,
    /// The other Sentinels.
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) problems: Vec<Problem>,
}

/// What is known of a data node, or of the connection to a Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    pub(super) address: String,
    pub(super) run_id: Option<String>,
    pub(super) connected: bool,
    /// For how long it has been subjectively down.
    pub(super) sdown_ms: Option<u64>,
    /// Age of the last acceptable answer to a PING.
    pub(super) last_ok_ping_ms: u64,
    /// Age of the last INFO.
    pub(super) info_age_ms: Option<u64>,
    /// What it does not let this Sentinel do.
    pub(super) denied: Option<String>,
}

/// A replica.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replica {
    #[serde(flatten)]
    pub(super) node: Node,
    /// Whether its link to its master is up.
    pub(super) link_up: bool,
    /// For how long that has been down.
    pub(super) link_down_ms: Option<u64>,
    /// 0: it is never promoted.
    pub(super) priority: u32,
    pub(super) offset: u64,
    /// What it had not acknowledged at the master's last INFO, in bytes.
    pub(super) lag_bytes: Option<u64>,
    /// Whom it replicates from, as it says.
    pub(super) follows: Option<String>,
    /// Why it would not be promoted, in a word; null: it could be. During a failover as it was before.
    pub(super) refusal: Option<&'static str>,
    /// Whether it is the one to be promoted.
    pub(super) promoted: bool,
}

/// Another Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sentinel {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) node: Node,
    /// Whether it holds this master for down.
    pub(super) master_down: bool,
    pub(super) last_hello_ms: u64,
    pub(super) voted_for: Option<String>,
    pub(super) voted_epoch: Option<u64>,
}

/// Whether a node is what a load balancer asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    pub(super) master: String,
    /// The address that was asked for.
    pub(super) address: String,
    /// The role that it told last: `master` or `replica`.
    pub(super) role: Option<String>,
    pub(super) healthy: bool,
    /// Why it is not.
    pub(super) reason: Option<String>,
    /// What a replica had not acknowledged at the master's last INFO.
    pub(super) lag_bytes: Option<u64>,
    /// The epoch of the configuration that the answer follows from.
    pub(super) config_epoch: u64,
}

/// A place in the order in which replicas would be promoted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Candidate {
    pub(super) address: String,
    /// 1 for the first; none for one that would not be promoted.
    pub(super) rank: Option<u32>,
    /// Why it would not be promoted.
    pub(super) refused: Option<String>,
    /// How good a candidate it is by what is known of its data.
    pub(super) class: Option<String>,
    pub(super) priority: Option<u32>,
    pub(super) offset: Option<u64>,
}

/// What one Sentinel believes of a master.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Opinion {
    pub(super) sentinel: String,
    pub(super) address: String,
    /// `yes`, or why it does not count.
    pub(super) usable: String,
    /// Where it holds the master to be.
    pub(super) master: Option<String>,
    pub(super) config_epoch: Option<u64>,
    pub(super) current_epoch: Option<u64>,
    /// `yes`, `no` or `not asked`.
    pub(super) master_down: String,
    pub(super) voted_for: Option<String>,
    pub(super) voted_epoch: Option<u64>,
    pub(super) last_hello_ms: Option<u64>,
}

/// What all Sentinels believe of a master, this one first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Consensus {
    pub(super) opinions: Vec<Opinion>,
}

/// Why things are as they are, in sentences.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explanation {
    pub(super) sentences: Vec<String>,
}

/// Something that happened to a master.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incident {
    /// When it began, in milliseconds since 1970; of the incidents of one master each has another one.
    pub(super) id: u64,
    pub(super) lasted_ms: u64,
    /// What began it.
    pub(super) trigger: String,
    /// How it ended.
    pub(super) outcome: String,
}

/// Something that happened to a master, with everything that was said meanwhile.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentDetail {
    #[serde(flatten)]
    pub(super) incident: Incident,
    pub(super) lines: Vec<Line>,
    /// Lines that were left out.
    pub(super) omitted: u32,
}

/// One line of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Line {
    /// Since it began.
    pub(super) at_ms: u64,
    pub(super) text: String,
}

/// An event as it is posted to a webhook.
#[derive(Debug, Serialize)]
pub(super) struct Told {
    #[serde(flatten)]
    pub(super) event: Event,
    /// The id of the Sentinel that tells it.
    pub(super) sentinel: String,
}

/// An event as `/v1/events` sends it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as the field of server-sent events is called")]
pub(super) struct Event {
    pub(super) id: String,
    /// When, in milliseconds since 1970.
    pub(super) time: u64,
    /// The channel on which it is published to subscribers of the Redis port.
    pub(super) event: String,
    /// `debug`, `verbose`, `notice` or `warning`.
    pub(super) level: String,
    pub(super) master: Option<String>,
    /// What subscribers of the Redis port get.
    pub(super) payload: String,
    /// Why something is down.
    pub(super) cause: Option<Cause>,
    pub(super) problem: Option<Problem>,
}

/// Why something is down.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cause {
    /// For programs.
    pub(super) code: String,
    pub(super) text: String,
}
