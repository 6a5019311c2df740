//! The table of problems: one row for each.

use std::time::Duration;

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Somebody wanted it so, or it is over soon.
    Info,
    /// The next failure may find nobody ready.
    Warning,
    /// A master is away, or would not be replaced if it died now.
    Critical,
}

impl Severity {
    /// The word for programs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Critical => "critical",
        }
    }
}

/// One row: what a problem is called, how bad it is, how long it must last before it is listed, and what mends it.
struct Row {
    name: &'static str,
    severity: Severity,
    hold: Duration,
    remedy: &'static str,
}

macro_rules! table {
    ($($(#[$doc:meta])* $code:ident $name:literal $severity:ident $hold:literal $remedy:literal),* $(,)?) => {
        /// What is wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Code {
            $($(#[$doc])* $code,)*
        }

        impl Code {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Code] = &[$(Code::$code),*];

            const fn row(self) -> Row {
                match self {
                    $(Code::$code => Row {
                        name: $name,
                        severity: Severity::$severity,
                        hold: Duration::from_secs($hold),
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

// In a remedy `{master}`, `{addr}`, `{host}`, `{port}` and `{id}` stand for those of the scope.
table! {
    /// The master is subjectively or objectively down.
    MasterDown "master-down" Critical 0 "SENTINEL EXPLAIN {master} says what keeps it from being replaced",
    /// No node of the deployment is a master.
    NoMaster "no-master" Critical 5 "SENTINEL FAILOVER {master}, or `promote-best-effort yes`",
    /// A node takes writes beside the master.
    TwoMasters "two-masters" Critical 5 "REPLICAOF the master's address there, once its data are not needed",
    /// Fewer Sentinels can be reached than must agree.
    QuorumLost "quorum-lost" Critical 0 "start the missing Sentinels; SENTINEL FORGET {master} <id> for one that is gone for good; SENTINEL SET {master} quorum <n>",
    /// One more Sentinel lost, and no failover is possible.
    OneLossFromQuorum "one-loss-from-quorum" Warning 0 "start the missing Sentinels; SENTINEL FORGET {master} <id> for one that is gone for good",
    /// No replica could be promoted now.
    NoEligibleReplica "no-eligible-replica" Warning 10 "SENTINEL CANDIDATES {master} says why each is refused",
    /// A replica is subjectively down.
    ReplicaDown "replica-down" Warning 0 "start it; SENTINEL FORGET-REPLICA {master} {host} {port} if it is gone for good",
    /// A replica has no link to its master.
    ReplicaLinkDown "replica-link-down" Warning 5 "its log says why: most often `masterauth` and `masteruser` there, or a way that is closed",
    /// A master refuses every write, since no replica counts for what it wants.
    MinReplicasUnsatisfiable "min-replicas-unsatisfiable" Critical 15 "bring a replica back; or CONFIG SET min-replicas-to-write 0 there, which gives up what it protects from",
    /// A master keeps too little for replicas that were away.
    BacklogTooSmall "backlog-too-small" Info 25 "CONFIG SET repl-backlog-size there, to more than is written in down-after",
    /// A node holds data of another history.
    ForeignHistory "foreign-history" Warning 5 "see whose data these are; REPLICAOF there throws them away, SENTINEL FORGET-REPLICA {master} {host} {port} leaves them alone",
    /// A node or Sentinel refuses a login or a command.
    AccessDenied "access-denied" Warning 0 "the rule or the setting that the sentence names",
    /// Another Sentinel cannot be reached.
    PeerUnreachable "peer-unreachable" Warning 0 "start it, or open the way to it; SENTINEL FORGET <master> {id} if it is gone for good",
    /// Another Sentinel does not prove that it knows the key.
    PeerUnproven "peer-unproven" Warning 0 "give it the same hello-auth-key; `hello-auth-required no` while the key is brought in",
    /// Somebody else answers in a Sentinel's place.
    PeerElsewhere "peer-elsewhere" Warning 0 "see who answers at {addr}; SENTINEL FORGET <master> {id} if the Sentinel is gone for good",
    /// Another Sentinel does not say who it is.
    PeerUnidentified "peer-unidentified" Info 5 "let this Sentinel's user there call SENTINEL MYID (`+sentinel|myid`)",
    /// Another Sentinel tells another address or epoch.
    PeersDisagree "peers-disagree" Warning 10 "SENTINEL CONSENSUS {master} says who believes what",
    /// Another process uses the id of this Sentinel.
    DuplicateId "duplicate-id" Critical 0 "stop one of the two, remove `sentinel myid` from its files, start it again",
    /// The clock of a node and that of this host differ.
    ClockSkew "clock-skew" Warning 15 "time synchronisation (NTP, chrony) on both hosts",
    /// A script of a master fails.
    ScriptFailing "script-failing" Warning 0 "call it by hand with the user and the arguments that this process has; `journalctl` or the log shows what it printed",
    /// This process stood still, and does not trust its eyes.
    Tilt "tilt" Warning 0 "nothing if it ends by itself; else give this process more time of the processor",
    /// The state cannot be written.
    StateNotSaved "state-not-saved" Critical 0 "make room or give rights where the state is kept; nothing that must be durable leaves this Sentinel meanwhile",
    /// The configuration says what is not in force.
    ConfigurationNotTaken "configuration-not-taken" Warning 5 "SENTINEL RELOAD (or SIGHUP) says what it applies, and what is left to do",
    /// The certificate of this Sentinel is not valid for long any more, or not at all.
    CertificateExpires "certificate-expires" Warning 0 "renew the certificate, and have it read: SIGHUP, or `tls-auto-reload-interval`",
    /// Writing the state takes long.
    SlowDisk "slow-disk" Warning 0 "a faster disk for the state: votes wait for it",
    /// A host name has no address.
    NameNotResolved "name-not-resolved" Warning 0 "the name service, or /etc/hosts",
    /// This process has no room for connections.
    Descriptors "descriptors" Critical 0 "raise the limit of open files (ulimit -n, LimitNOFILE=)",
    /// Nothing is nominated by this Sentinel.
    Paused "paused" Info 0 "SENTINEL RESUME {master}",
}

impl Code {
    /// The name for programs: it does not change.
    pub const fn as_str(self) -> &'static str {
        self.row().name
    }

    /// How bad it is where nothing makes it worse.
    pub const fn severity(self) -> Severity {
        self.row().severity
    }

    /// For how long it must be found before it is listed.
    pub(crate) const fn hold(self) -> Duration {
        self.row().hold
    }

    /// What mends it, with the names of what it is about.
    pub(super) fn remedy(self, scope: &super::Scope) -> String {
        let mut text = self.row().remedy.to_owned();
        if let Some(master) = scope.master() {
            text = text.replace("{master}", master.as_str());
        }
        if let Some(addr) = scope.addr() {
            text = text.replace("{addr}", &addr.to_string());
            text = text.replace("{host}", &addr.host.to_string());
            text = text.replace("{port}", &addr.port.to_string());
        }
        if let Some(id) = scope.id() {
            text = text.replace("{id}", id.as_str());
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::problems::Scope;

    #[test]
    fn every_code_has_a_name_of_its_own_and_a_remedy_without_gaps() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        let addr = || "10.0.0.1:6379".parse().unwrap();
        let name = || crate::types::MasterName::new("m").unwrap();
        let id = crate::types::SentinelId::new(&"a".repeat(40)).unwrap();
        let scopes = [
            Scope::Process,
            Scope::Peer { id, addr: addr() },
            Scope::Master { name: name(), addr: addr() },
            Scope::Node { master: name(), addr: addr() },
        ];
        for code in Code::ALL {
            assert!(code.as_str().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{}", code.as_str());
            // Each is about one kind of thing at least for which nothing is left open.
            let full = scopes.iter().any(|scope| !code.remedy(scope).contains('{'));
            assert!(full && !code.remedy(&scopes[3]).is_empty(), "{}", code.as_str());
        }
    }
}
