//! The table of metrics: each is defined here, once.

/// What kind of number a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Times, in buckets.
    Histogram,
}

impl Kind {
    /// The word of the text format.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    /// Its name; that of a counter as it is shown, with `_total`.
    pub name: &'static str,
    /// What kind it is.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub help: &'static str,
}

macro_rules! table {
    ($($metric:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            #[doc = $help]
            pub(super) const $metric: Metric =
                Metric { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*

        /// All metrics, in the order in which they are shown.
        pub const TABLE: &[Metric] = &[$($metric),*];
    };
}

table! {
    // Names and labels of redis_exporter, so that dashboards and rules made for it go on working.
    MASTERS: Gauge "redis_sentinel_masters" [] "The number of masters this sentinel is watching";
    TILT: Gauge "redis_sentinel_tilt" [] "Sentinel is in TILT mode";
    RUNNING_SCRIPTS: Gauge "redis_sentinel_running_scripts" [] "Number of scripts in execution right now";
    QUEUED_SCRIPTS: Gauge "redis_sentinel_scripts_queue_length" [] "Queue of user scripts to execute";
    SIMULATED: Gauge "redis_sentinel_simulate_failure_flags" [] "Failures simulations";
    STATUS: Gauge "redis_sentinel_master_status" ["master_name", "master_address", "master_status"] "Master status on Sentinel: 1 for ok, otherwise 0";
    REPLICAS: Gauge "redis_sentinel_master_slaves" ["master_name", "master_address"] "The number of slaves of the master";
    OK_REPLICAS: Gauge "redis_sentinel_master_ok_slaves" ["master_name", "master_address"] "The number of okay slaves of the master";
    SENTINELS: Gauge "redis_sentinel_master_sentinels" ["master_name", "master_address"] "The number of sentinels monitoring this master";
    OK_SENTINELS: Gauge "redis_sentinel_master_ok_sentinels" ["master_name", "master_address"] "The number of okay sentinels monitoring this master";
    CONFIG_EPOCH: Gauge "redis_sentinel_master_config_epoch" ["master_name", "master_address"] "Configuration epoch of the master";
    LAST_OK_PING: Gauge "redis_sentinel_master_last_ok_ping_reply_seconds" ["master_name", "master_address"] "Seconds since the last acceptable answer of the master to a PING";
    QUORUM_STATUS: Gauge "redis_sentinel_master_ckquorum_status" ["master_name", "message"] "Master ckquorum status";
    SETTING_QUORUM: Gauge "redis_sentinel_master_setting_ckquorum" ["master_name", "master_address"] "The quorum of the master";
    SETTING_FAILOVER_TIMEOUT: Gauge "redis_sentinel_master_setting_failover_timeout" ["master_name", "master_address"] "The failover-timeout of the master in milliseconds";
    SETTING_PARALLEL_SYNCS: Gauge "redis_sentinel_master_setting_parallel_syncs" ["master_name", "master_address"] "The parallel-syncs of the master";
    SETTING_DOWN_AFTER: Gauge "redis_sentinel_master_setting_down_after_milliseconds" ["master_name", "master_address"] "The down-after-milliseconds of the master";
    PEER_INFO: Gauge "redis_sentinel_peer_info" ["master_name", "master_address", "name", "ip", "port", "runid", "flags"] "Another Sentinel that watches the master; only with ?include=peers";

    BUILD_INFO: Gauge "sentinel_build_info" ["version"] "The version of this program";
    CLIENTS: Gauge "sentinel_clients" [] "Clients of the Redis port";
    SUBSCRIBERS: Gauge "sentinel_subscribers" [] "Clients of the Redis port that have subscribed to something";
    DESCRIPTORS: Gauge "sentinel_descriptors" [] "Open files and connections of this process";
    LINKS: Gauge "sentinel_links" ["role", "state"] "Connections to masters, replicas and Sentinels, by their role and by whether they are up";
    NODE_DOWN: Gauge "sentinel_node_down" ["role", "kind"] "Instances that are subjectively or objectively down, by their role";
    PROBLEM: Gauge "sentinel_problem" ["master", "code"] "How many problems of this code there are; without a master they are of this process or of other Sentinels";
    QUORUM_REACHABLE: Gauge "sentinel_quorum_reachable" ["master"] "Whether quorum and majority can be reached now";
    PAUSED: Gauge "sentinel_paused" ["master"] "Whether an operator has paused failovers";
    LAST_FAILOVER: Gauge "sentinel_last_failover_timestamp_seconds" ["master"] "When the master was switched last since the start of this process";
    REPLICA_LINK_UP: Gauge "sentinel_replica_link_up" ["master", "replica"] "Whether the replica's link to its master is up";
    REPLICA_ELIGIBLE: Gauge "sentinel_replica_eligible" ["master", "replica", "reason"] "Whether the replica could be promoted; if not, why, in a word; during a failover as it was before";
    REPLICA_LAG: Gauge "sentinel_replica_lag_bytes" ["master", "replica"] "Bytes of the replication stream that the replica had not acknowledged at the last INFO of its master";
    LINK_FAILURES: Counter "sentinel_link_failures_total" ["role", "cause"] "Links to data nodes (data-node) and to other Sentinels (sentinel) that could not be opened or have ended, by the cause";
    SCRIPTS: Counter "sentinel_scripts_total" ["result"] "Calls of scripts that have ended: with status 0 (ok), with another (failed), by a signal (killed), or before they began (not-started)";
    WEBHOOKS: Counter "sentinel_webhooks_total" ["result"] "Events for webhook-url: taken there (ok), refused or not taken however often they were tried (failed), or given up since too many waited (dropped)";
    COMMANDS: Counter "sentinel_commands_total" ["command", "result"] "Commands of clients of the Redis port, by whether the answer was an error (ok, error); refused are requests that were no command, had the wrong number of words, or were not permitted";
    CERTIFICATE_EXPIRY: Gauge "sentinel_certificate_expiry_timestamp_seconds" [] "When the certificate of this Sentinel ends to be valid";
    FAILOVERS: Counter "sentinel_failovers_total" ["master", "trigger", "result", "reason"] "Failovers that have ended, by what began them (down, operator, or other-sentinel for those that another one led), how they ended (switched, aborted), and why they were aborted";
    ELECTIONS: Counter "sentinel_elections_total" ["result"] "Elections in which this Sentinel was a candidate";
    VOTES: Counter "sentinel_votes_total" [] "Votes that this Sentinel has given";
    EVENTS: Counter "sentinel_events_total" ["event"] "Events by their channel";
    TILTS: Counter "sentinel_tilt_total" [] "How often this process has entered TILT";
    SAVES: Counter "sentinel_state_saves_total" ["result"] "Writes of the state";
    FAILOVER_PHASE: Histogram "sentinel_failover_phase_seconds" ["phase"] "How long the phases of failovers took that this Sentinel led";
    OUTAGE: Histogram "sentinel_outage_seconds" [] "From the moment in which this Sentinel held a master for down to the switch to another";
    PING_TIME: Histogram "sentinel_ping_seconds" ["role"] "From a PING to its answer, of data nodes (data-node) and of other Sentinels (sentinel)";
    SAVE_TIME: Histogram "sentinel_state_save_seconds" [] "How long writes of the state took";
    LOOP_LAG: Histogram "sentinel_loop_lag_seconds" [] "How much later than due the monitor's loop has acted on time";
}
