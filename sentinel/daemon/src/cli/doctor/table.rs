//! The table of checks: one row for each.

use super::{
    Hit, deployment,
    facts::{Deployment, Facts},
    node, process, replication, sentinels,
};

/// How bad it is; the words are those of `SENTINEL PROBLEMS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Critical,
    Warning,
    Info,
}

impl Severity {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::Warning => "warning",
            Severity::Info => "info",
        }
    }
}

/// What a finding is about; the words are those of `SENTINEL PROBLEMS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Master,
    Node,
    Sentinel,
}

impl Scope {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Scope::Master => "master",
            Scope::Node => "node",
            Scope::Sentinel => "sentinel",
        }
    }
}

/// What is looked at.
#[derive(Clone, Copy)]
pub(super) enum Find {
    /// Everything, once.
    Once(fn(&Facts) -> Vec<Hit>),
    /// Each master with its nodes and Sentinels.
    Each(fn(&Deployment<'_>) -> Vec<Hit>),
}

/// One row.
#[derive(Clone, Copy)]
pub(super) struct Check {
    /// Its name, which does not change.
    pub(super) code: &'static str,
    pub(super) severity: Severity,
    pub(super) scope: Scope,
    /// When it is found, for the documentation.
    pub(super) when: &'static str,
    /// What mends it. `{master}`, `{host}`, `{port}` and `{addr}` stand for those of the object, `{it}` for what the check
    /// names.
    pub(super) remedy: &'static str,
    /// Problems of the Sentinels' own lists that say the same, or say why: where one is listed of the same object, this one
    /// is left out. One of the same code always is.
    pub(super) said_by: &'static [&'static str],
    pub(super) find: Find,
}

const fn row(
    (code, severity, scope): (&'static str, Severity, Scope),
    when: &'static str,
    remedy: &'static str,
    find: Find,
) -> Check {
    Check { code, severity, scope, when, remedy, said_by: &[], find }
}

const fn unless(check: Check, said_by: &'static [&'static str]) -> Check {
    Check { said_by, ..check }
}

use Find::{Each, Once};
use Scope::{Master, Node, Sentinel};
use Severity::{Critical, Info, Warning};

/// All checks, in the order in which they are told within one severity.
pub(super) const CHECKS: &[Check] = &[
    row(
        ("peers-disagree", Critical, Master),
        "Sentinels name different masters, or different configuration epochs",
        "SENTINEL RESET {master} at those that are wrong (redis-cli -h {host} -p {port}), once all can reach each other",
        Each(sentinels::different_masters),
    ),
    row(
        ("duplicate-id", Critical, Sentinel),
        "two processes have one id",
        "stop one of them, remove `sentinel myid` (`myid`) from its files, start it again",
        Once(sentinels::duplicate_ids),
    ),
    row(
        ("quorum-too-high", Critical, Master),
        "the quorum is higher than the number of Sentinels that are known",
        "redis-cli -h {host} -p {port} SENTINEL SET {master} quorum {it}, at each of them",
        Each(sentinels::quorum_too_high),
    ),
    unless(
        row(
            ("quorum-lost", Critical, Master),
            "fewer Sentinels can be reached than the quorum or the majority needs",
            "start the missing ones; forget what is gone for good: {it}",
            Each(sentinels::quorum_lost),
        ),
        &["quorum-too-high"],
    ),
    row(
        ("master-down", Critical, Node),
        "the master does not answer, and a Sentinel has no way to it either",
        "start it; `sentinel explain {master}` says what keeps it from being replaced",
        Each(node::master_down),
    ),
    row(
        ("two-masters", Critical, Node),
        "a node that is known as a replica says that it is a master",
        "redis-cli -h {host} -p {port} REPLICAOF {it}, once its data are not needed",
        Each(replication::two_masters),
    ),
    row(
        ("no-eligible-replica", Critical, Master),
        "there is no replica, or each has priority 0, no link or no answer",
        "add a replica, or give one a priority: CONFIG SET replica-priority 100",
        Each(replication::no_eligible_replica),
    ),
    row(
        ("min-replicas-unsatisfiable", Critical, Node),
        "`min-replicas-to-write` is more than there are good replicas, or than a failover would leave",
        "redis-cli -h {host} -p {port} CONFIG SET min-replicas-to-write {it}, at all nodes; or add replicas",
        Each(replication::min_replicas_unsatisfiable),
    ),
    unless(
        row(
            ("one-loss-from-quorum", Warning, Master),
            "as many Sentinels can be reached as must agree: none may be lost",
            "run three or more Sentinels, with a quorum of the majority; start the missing ones",
            Each(sentinels::one_loss_from_quorum),
        ),
        &["quorum-lost"],
    ),
    row(
        ("quorum-differs", Warning, Master),
        "Sentinels have different quorums",
        "redis-cli -h {host} -p {port} SENTINEL SET {master} {it}",
        Each(sentinels::quorum_differs),
    ),
    row(
        ("settings-differ", Warning, Master),
        "Sentinels have different `down-after-milliseconds`, `failover-timeout` or `parallel-syncs`",
        "redis-cli -h {host} -p {port} SENTINEL SET {master} {it}",
        Each(sentinels::settings_differ),
    ),
    row(
        ("not-monitored", Warning, Sentinel),
        "others know a Sentinel of this master that does not watch it",
        "redis-cli -h {host} -p {port} SENTINEL MONITOR {master} {it}; or at the others SENTINEL RESET {master}",
        Each(sentinels::not_monitored),
    ),
    row(
        ("one-host", Warning, Master),
        "two of the Sentinels are on one host",
        "run them on different hosts: who loses {it} loses both",
        Each(sentinels::one_host),
    ),
    row(
        ("peer-unreachable", Warning, Sentinel),
        "a Sentinel that is known does not answer, and those that know it have no way to it either",
        "start it; if it is gone for good: {it}",
        Each(sentinels::ghosts),
    ),
    unless(
        row(
            ("cut-off", Warning, Sentinel),
            "a Sentinel has no way to another one that answers here",
            "open the way to {addr} from {it}, and compare `sentinel-pass` there with `requirepass` here",
            Each(sentinels::cut_off),
        ),
        &["access-denied", "peer-unreachable", "peer-elsewhere", "peer-unproven"],
    ),
    unless(
        row(
            ("node-locked", Warning, Node),
            "a Sentinel has no way to a node that answers here: a wrong password, or a way that is closed",
            "redis-cli -h {it} SENTINEL SET {master} auth-pass <password>, or open the way to {addr} from there",
            Each(node::locked),
        ),
        &["access-denied", "replica-down", "master-down"],
    ),
    row(
        ("missing-permission", Warning, Node),
        "the user that Sentinels are logged in as may not do what they must (`ACL DRYRUN`)",
        "redis-cli -h {host} -p {port} ACL SETUSER {it}, and ACL SAVE or CONFIG REWRITE",
        Each(node::missing_permissions),
    ),
    row(
        ("replica-down", Warning, Node),
        "a replica does not answer, and a Sentinel has no way to it either",
        "start it; if it is gone for good SENTINEL RESET {master}, or `sentinel forget {master} --replica {addr}`",
        Each(node::replica_down),
    ),
    unless(
        row(
            ("node-unreached", Warning, Node),
            "a node does not answer here, and no Sentinel finds it down",
            "run this on a host that reaches it; if it hangs, look at its log",
            Each(node::unreached),
        ),
        &["master-down", "replica-down"],
    ),
    row(
        ("node-refuses", Warning, Node),
        "a node refuses the login or INFO of this command: nothing is known of it",
        "give --node-user and --node-password (SENTINEL_NODE_USER, SENTINEL_NODE_PASSWORD) of a user who may INFO",
        Each(node::refuses),
    ),
    row(
        ("replica-link-down", Warning, Node),
        "a replica has no link to its master, with its age",
        "its log says why: most often `masterauth` and `masteruser` there, or a way that is closed between the two",
        Each(replication::link_down),
    ),
    row(
        ("replica-auth", Warning, Node),
        "`masterauth` or `masteruser` of a node is not what the master takes",
        "redis-cli -h {host} -p {port} CONFIG SET masterauth <password of {it}>, masteruser likewise; then CONFIG REWRITE",
        Each(replication::wrong_login),
    ),
    row(
        ("chained-replica", Warning, Node),
        "a replica follows another replica",
        "redis-cli -h {host} -p {port} REPLICAOF {it}",
        Each(replication::chained),
    ),
    row(
        ("follows-another", Warning, Node),
        "a replica follows a node that is not of this master",
        "redis-cli -h {host} -p {port} REPLICAOF {it}; or take it out of the list: SENTINEL RESET {master}",
        Each(replication::follows_another),
    ),
    row(
        ("foreign-history", Warning, Node),
        "the data of a node are not of the master's history (`master_replid`, `master_replid2`)",
        "redis-cli -h {host} -p {port} REPLICAOF {it} throws its data away",
        Each(replication::foreign_history),
    ),
    row(
        ("lag", Warning, Node),
        "a replica is further behind than the backlog holds, or silent for 10 s",
        "look at its load and its network; CONFIG SET repl-backlog-size {it} at all nodes lets it come back without a full sync",
        Each(replication::lag),
    ),
    row(
        ("replica-writable", Warning, Node),
        "`replica-read-only no`",
        "redis-cli -h {host} -p {port} CONFIG SET replica-read-only yes, then CONFIG REWRITE",
        Each(replication::writable),
    ),
    row(
        ("no-persistence", Warning, Node),
        "the master keeps nothing on disk: started again it is empty, and empties its replicas",
        "redis-cli -h {host} -p {port} CONFIG SET appendonly yes, then CONFIG REWRITE, at all nodes; or never start it again by itself",
        Each(node::no_persistence),
    ),
    row(
        ("backlog-too-small", Warning, Node),
        "within down-after more is written than the backlog holds (measured for a second)",
        "redis-cli -h {host} -p {port} CONFIG SET repl-backlog-size {it}, then CONFIG REWRITE, at all nodes",
        Each(replication::backlog_too_small),
    ),
    row(
        ("loopback-master", Warning, Master),
        "the master's address means another host on each host",
        "write an address that all reach into `sentinel monitor`; then SENTINEL REMOVE {master}, SENTINEL MONITOR",
        Each(deployment::loopback),
    ),
    row(
        ("open-port", Warning, Node),
        "whoever reaches the port may do everything: no password, and `protected-mode no`",
        "redis-cli -h {host} -p {port} CONFIG SET requirepass <password> (masterauth, auth-pass likewise), or bind an inner address",
        Each(node::open_port),
    ),
    row(
        ("version-old", Info, Node),
        "older than 6.2: no longer maintained, and without FAILOVER and ACL DRYRUN",
        "upgrade the replicas, switch over, upgrade the rest",
        Each(deployment::old_versions),
    ),
    row(
        ("versions-differ", Info, Master),
        "nodes, or Sentinels of one program, are of different versions",
        "upgrade the replicas first; a replica that is older than the master may not be able to load its data",
        Each(deployment::different_versions),
    ),
    row(
        ("clock-skew", Warning, Node),
        "a clock is more than 2 s away from the others",
        "run chronyd or systemd-timesyncd on {host}",
        Once(process::clock_skew),
    ),
    row(
        ("tilt", Warning, Sentinel),
        "a Sentinel is in TILT and acts on nothing",
        "look at the load and the clock of {host}",
        Once(process::tilt),
    ),
    row(
        ("certificate-expires", Warning, Node),
        "a certificate that is shown ends within 14 days",
        "renew it; then SIGHUP to a Sentinel of ours, CONFIG SET tls-cert-file to a data node",
        Once(process::certificates),
    ),
    row(
        ("even-number", Info, Master),
        "the number of Sentinels is even: one more costs nothing and bears one more loss",
        "run one more, or one less",
        Each(sentinels::even_number),
    ),
    row(
        ("min-replicas-off", Info, Node),
        "`min-replicas-to-write 0`: a master that is cut off goes on taking writes, which are lost",
        "redis-cli -h {host} -p {port} CONFIG SET min-replicas-to-write 1, then CONFIG REWRITE, at all nodes",
        Each(replication::min_replicas_off),
    ),
];
