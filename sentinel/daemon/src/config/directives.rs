//! The names that a classic configuration may contain, and how far each is built.

use super::reference;

/// What happens with a generic directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Support {
    /// It has its function here.
    Built,
    /// It is read into the model, but nothing acts on it yet: worth a warning, since ignoring it may be dangerous.
    Unbuilt(&'static str),
    /// It concerns data nodes only: accepted, kept in the file, without effect, here as in the reference.
    DataNode,
}

/// Directives of the process, TLS and access control, which a Sentinel heeds.
const HEEDED: &[(&str, Support)] = &[
    ("acl-pubsub-default", Support::Built),
    ("aclfile", Support::Built),
    ("acllog-max-len", Support::Built),
    ("bind", Support::Built),
    ("bind-source-addr", Support::Built),
    ("client-output-buffer-limit", Support::Built),
    ("client-query-buffer-limit", Support::Built),
    ("daemonize", Support::Built),
    ("dir", Support::Built),
    ("logfile", Support::Built),
    ("loglevel", Support::Built),
    ("maxclients", Support::Built),
    ("pidfile", Support::Built),
    ("port", Support::Built),
    ("protected-mode", Support::Built),
    ("proto-max-bulk-len", Support::Built),
    ("rename-command", Support::Built),
    ("requirepass", Support::Built),
    ("supervised", Support::Built),
    ("syslog-enabled", Support::Built),
    ("syslog-facility", Support::Built),
    ("syslog-ident", Support::Built),
    ("tcp-backlog", Support::Built),
    ("tcp-keepalive", Support::Built),
    ("timeout", Support::Built),
    ("tls-auth-clients", Support::Built),
    ("tls-ca-cert-dir", Support::Built),
    ("tls-ca-cert-file", Support::Built),
    ("tls-cert-file", Support::Built),
    ("tls-ciphers", Support::Built),
    ("tls-ciphersuites", Support::Built),
    ("tls-client-cert-file", Support::Built),
    ("tls-client-key-file", Support::Built),
    ("tls-client-key-file-pass", Support::Built),
    ("tls-dh-params-file", Support::Built),
    ("tls-key-file", Support::Built),
    ("tls-key-file-pass", Support::Built),
    ("tls-port", Support::Built),
    ("tls-prefer-server-ciphers", Support::Built),
    ("tls-protocols", Support::Built),
    ("tls-replication", Support::Built),
    ("tls-session-cache-size", Support::Built),
    ("tls-session-cache-timeout", Support::Built),
    ("tls-session-caching", Support::Built),
    ("unixsocket", Support::Built),
    ("unixsocketperm", Support::Built),
    ("user", Support::Built),
    ("loadmodule", Support::Unbuilt("modules are never loaded: nothing that the module would add is there")),
];

/// Everything else that a data node of 7.0 knows.
const DATA_NODE: &str = "\
    active-defrag-cycle-max active-defrag-cycle-min active-defrag-ignore-bytes active-defrag-max-scan-fields \
    active-defrag-threshold-lower active-defrag-threshold-upper active-expire-effort activedefrag activerehashing \
    always-show-logo aof-disable-auto-gc aof-load-truncated aof-rewrite-incremental-fsync aof-timestamp-enabled \
    aof-use-rdb-preamble aof_rewrite_cpulist aof-rewrite-cpulist appenddirname appendfilename appendfsync appendonly \
    auto-aof-rewrite-min-size auto-aof-rewrite-percentage bgsave_cpulist bgsave-cpulist bio_cpulist bio-cpulist \
    busy-reply-threshold cluster-allow-pubsubshard-when-down cluster-allow-reads-when-down \
    cluster-allow-replica-migration cluster-announce-bus-port cluster-announce-hostname cluster-announce-ip \
    cluster-announce-port cluster-announce-tls-port cluster-config-file cluster-enabled cluster-link-sendbuf-limit \
    cluster-migration-barrier cluster-node-timeout cluster-port cluster-preferred-endpoint-type \
    cluster-replica-no-failover cluster-replica-validity-factor cluster-require-full-coverage \
    cluster-slave-no-failover cluster-slave-validity-factor crash-log-enabled crash-memcheck-enabled databases \
    dbfilename disable-thp dynamic-hz enable-debug-command enable-module-command enable-protected-configs \
    hash-max-listpack-entries hash-max-listpack-value hash-max-ziplist-entries hash-max-ziplist-value \
    hll-sparse-max-bytes hz ignore-warnings io-threads io-threads-do-reads jemalloc-bg-thread \
    latency-monitor-threshold latency-tracking latency-tracking-info-percentiles lazyfree-lazy-eviction \
    lazyfree-lazy-expire lazyfree-lazy-server-del lazyfree-lazy-user-del lazyfree-lazy-user-flush lfu-decay-time \
    lfu-log-factor list-compress-depth list-max-listpack-size list-max-ziplist-entries list-max-ziplist-size \
    list-max-ziplist-value lua-time-limit masterauth masteruser maxmemory maxmemory-clients \
    maxmemory-eviction-tenacity maxmemory-policy maxmemory-samples min-replicas-max-lag min-replicas-to-write \
    min-slaves-max-lag min-slaves-to-write no-appendfsync-on-rewrite notify-keyspace-events oom-score-adj \
    oom-score-adj-values proc-title-template propagation-error-behavior rdb-del-sync-files \
    rdb-save-incremental-fsync rdbchecksum rdbcompression repl-backlog-size repl-backlog-ttl \
    repl-disable-tcp-nodelay repl-diskless-load repl-diskless-sync repl-diskless-sync-delay \
    repl-diskless-sync-max-replicas repl-ping-replica-period repl-ping-slave-period repl-timeout \
    replica-announce-ip replica-announce-port replica-announced replica-ignore-disk-write-errors \
    replica-ignore-maxmemory replica-lazy-flush replica-priority replica-read-only replica-serve-stale-data \
    replicaof sanitize-dump-payload save server_cpulist server-cpulist set-max-intset-entries set-proc-title \
    shutdown-on-sigint shutdown-on-sigterm shutdown-timeout slave-announce-ip slave-announce-port \
    slave-ignore-maxmemory slave-lazy-flush slave-priority slave-read-only slave-serve-stale-data slaveof \
    slowlog-log-slower-than slowlog-max-len socket-mark-id stop-writes-on-bgsave-error stream-node-max-bytes \
    stream-node-max-entries tls-cluster \
    tracking-table-max-keys zset-max-listpack-entries zset-max-listpack-value zset-max-ziplist-entries \
    zset-max-ziplist-value";

/// The `sentinel` directives that the reference does not know: a file that has one does not load there. Behind
/// [`HIDDEN`] it does.
pub(super) const EXTENSIONS: &[&str] = &[
    "down-on-refused",
    "empty-master-failover",
    "failover-pause",
    "hello-auth-key",
    "in-sync",
    "lossless-catch-up",
    "lossless-failover",
    "max-lag",
    "ping-period",
    "promote-best-effort",
    "promote-empty",
    "reload-grace",
    "state-config-file",
];

/// Begins a line of ours that the reference takes for a comment, so that it loads the file all the same.
pub(super) const HIDDEN: &str = "#@ ";

/// Whether a line, in words, is one that may stand behind [`HIDDEN`]: one that the reference does not know. All others
/// behind it are comments.
pub(super) fn may_be_hidden(words: &[String]) -> bool {
    match words {
        [first, name, ..] if first.eq_ignore_ascii_case("sentinel") => {
            let name = name.to_ascii_lowercase();
            EXTENSIONS.contains(&name.as_str()) || reference::of_directive(&name, true).is_some()
        }
        [name, ..] => reference::of_directive(&name.to_ascii_lowercase(), false).is_some(),
        [] => false,
    }
}

/// How a generic directive is treated; none for a name that nobody knows. The name is in lower case.
pub(super) fn support(name: &str) -> Option<Support> {
    HEEDED
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, support)| *support)
        .or_else(|| DATA_NODE.split_ascii_whitespace().any(|known| known == name).then_some(Support::DataNode))
}

/// All generic names, for "did you mean".
pub(super) fn generic_names() -> impl Iterator<Item = &'static str> {
    HEEDED.iter().map(|(name, _)| *name).chain(["include", "sentinel"]).chain(DATA_NODE.split_ascii_whitespace())
}

/// The known name that looks most like a mistyped one, if any comes near.
pub(super) fn nearest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wrong = wrong.to_ascii_lowercase().replace('_', "-");
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&wrong, name), name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// "did you mean `x`?", or what else to do with an unknown name.
pub(super) fn did_you_mean<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    match nearest(wrong, known) {
        Some(name) => format!("did you mean `{name}`?"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_name_stands_once() {
        let names: Vec<&str> = generic_names().collect();
        let distinct: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), distinct.len());
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    }

    #[test]
    fn a_mistyped_name_is_recognised() {
        assert_eq!(nearest("prot", generic_names()), Some("port"));
        assert_eq!(nearest("log_level", generic_names()), Some("loglevel"));
        assert_eq!(nearest("qqqq", generic_names()), None);
    }
}
