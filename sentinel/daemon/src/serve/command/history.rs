//! What COMMAND DOCS tells of the past and the cost of commands, as facts: since which version there is one, and how the time that it
//! takes grows. redis-cli shows them in its help.

/// The version of redis-sentinel that had it first; the `primary` spellings are Valkey's, which counts on from there. None: it
/// is a command of this Sentinel only.
pub(super) fn since(name: &str) -> Option<&'static str> {
    Some(match name {
        "auth" | "info" | "ping" | "shutdown" => "1.0.0",
        "psubscribe" | "publish" | "punsubscribe" | "subscribe" | "unsubscribe" => "2.0.0",
        "client" | "client|kill" | "client|list" => "2.4.0",
        "client|getname" | "client|setname" => "2.6.9",
        "sentinel|slaves" => "2.8.0",
        "sentinel"
        | "sentinel|ckquorum"
        | "sentinel|failover"
        | "sentinel|flushconfig"
        | "sentinel|get-master-addr-by-name"
        | "sentinel|is-master-down-by-addr"
        | "sentinel|master"
        | "sentinel|masters"
        | "sentinel|monitor"
        | "sentinel|pending-scripts"
        | "sentinel|remove"
        | "sentinel|reset"
        | "sentinel|sentinels"
        | "sentinel|set" => "2.8.4",
        "role" => "2.8.12",
        "command" | "command|count" | "command|getkeys" | "command|info" => "2.8.13",
        "client|pause" => "2.9.50",
        "client|reply" | "sentinel|info-cache" | "sentinel|simulate-failure" => "3.2.0",
        "client|help" | "client|id" | "client|unblock" | "command|help" | "sentinel|replicas" => "5.0.0",
        "acl" | "acl|cat" | "acl|deluser" | "acl|genpass" | "acl|getuser" | "acl|help" | "acl|list" | "acl|load"
        | "acl|log" | "acl|save" | "acl|setuser" | "acl|users" | "acl|whoami" | "client|caching"
        | "client|getredir" | "client|tracking" | "hello" => "6.0.0",
        "client|info"
        | "client|trackinginfo"
        | "client|unpause"
        | "sentinel|config"
        | "sentinel|help"
        | "sentinel|myid" => "6.2.0",
        "acl|dryrun"
        | "client|no-evict"
        | "command|docs"
        | "command|getkeysandflags"
        | "command|list"
        | "sentinel|debug" => "7.0.0",
        "client|setinfo" => "7.2.0",
        "sentinel|get-primary-addr-by-name"
        | "sentinel|is-primary-down-by-addr"
        | "sentinel|primaries"
        | "sentinel|primary" => "8.0.0",
        _ => return None,
    })
}

/// How the time grows that it takes. None: it depends on the subcommand, or nobody has said.
pub(super) fn complexity(name: &str) -> Option<&'static str> {
    Some(match name {
        "client|unblock" => "O(log N)",
        "acl|getuser"
        | "acl|list"
        | "acl|load"
        | "acl|log"
        | "acl|save"
        | "acl|setuser"
        | "acl|users"
        | "auth"
        | "client|kill"
        | "client|list"
        | "client|unpause"
        | "command"
        | "command|docs"
        | "command|getkeys"
        | "command|getkeysandflags"
        | "command|info"
        | "command|list"
        | "psubscribe"
        | "sentinel|debug"
        | "sentinel|info-cache"
        | "sentinel|masters"
        | "sentinel|replicas"
        | "sentinel|reset"
        | "sentinel|sentinels"
        | "sentinel|slaves"
        | "shutdown"
        | "subscribe"
        | "unsubscribe" => "O(N)",
        "publish" | "punsubscribe" => "O(N+M)",
        "acl" | "client" | "sentinel" => return None,
        "sentinel|ckquorum" | "sentinel|failover" | "sentinel|pending-scripts" | "sentinel|simulate-failure" => {
            return None;
        }
        _ => "O(1)",
    })
}

/// Spellings that are kept for old clients: since when, and what is said instead.
pub(super) fn deprecated(name: &str) -> Option<(&'static str, &'static str)> {
    (name == "sentinel|slaves").then_some(("5.0.0", "`SENTINEL REPLICAS`"))
}
