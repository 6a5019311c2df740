//! Whom a Sentinel looks like to programs that ask: INFO, COMMAND, HELLO, HELP, and the first lines of the log
//! (`compatible-version`).
//!
//! What it can do does not depend on it: commands of later versions are there in any case, they are only not listed.

use sentinel_core::command::row::Listed;

use crate::commands::Command;

/// A version whose looks are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compatible {
    /// redis-sentinel 7.0.
    #[default]
    Redis70,
    /// redis-sentinel 8.0.
    Redis80,
    /// valkey-sentinel 8.0.
    Valkey80,
    /// valkey-sentinel 8.1.
    Valkey81,
    /// valkey-sentinel 9.1.
    Valkey91,
}

use Compatible::{Redis70, Redis80, Valkey80, Valkey81, Valkey91};

/// As the setting writes them. The first of each is how we write it.
pub(crate) const VERSIONS: [(&str, Compatible); 11] = [
    ("7.0.15", Redis70),
    ("redis-8.0", Redis80),
    ("valkey-8.0", Valkey80),
    ("valkey-8.1", Valkey81),
    ("valkey-9.1", Valkey91),
    ("redis-7.0", Redis70),
    ("redis-7.0.15", Redis70),
    ("redis-8.0.2", Redis80),
    ("valkey-8.0.1", Valkey80),
    ("valkey-8.1.1", Valkey81),
    ("valkey-9.1.2", Valkey91),
];

/// Of Redis 8.0 and of Valkey.
const SINCE_REDIS_80: &[&str] = &[
    "listener0",
    "listener1",
    "listener2",
    "watching_clients",
    "total_watched_keys",
    "total_blocking_keys",
    "total_blocking_keys_on_nokey",
    "evicted_scripts",
    "client_query_buffer_limit_disconnections",
    "client_output_buffer_limit_disconnections",
    "eventloop_cycles",
    "eventloop_duration_sum",
    "eventloop_duration_cmd_sum",
    "instantaneous_eventloop_cycles_per_sec",
    "instantaneous_eventloop_duration_usec",
    "acl_access_denied_auth",
    "acl_access_denied_cmd",
    "acl_access_denied_key",
    "acl_access_denied_channel",
];

const SINCE_VALKEY_80: &[&str] = &[
    "server_name",
    "valkey_version",
    "server_mode",
    "availability_zone",
    "io_threaded_freed_objects",
    "io_threaded_poll_processed",
    "io_threaded_total_prefetch_batches",
    "io_threaded_total_prefetch_entries",
];

const SINCE_VALKEY_81: &[&str] = &[
    "valkey_release_stage",
    "clients_hz",
    "paused_reason",
    "paused_actions",
    "paused_timeout_milliseconds",
    "io_threaded_accept_processed",
];

const SINCE_VALKEY_91: &[&str] = &[
    "total_net_cluster_slot_import_bytes",
    "total_net_cluster_slot_export_bytes",
    "expired_fields",
    "expired_keys_with_volatile_items_stale_perc",
    "acl_access_denied_tls_cert",
    "acl_access_denied_db",
    "used_active_time_main_thread",
    "sentinel_total_tilt",
    // Of ACL GETUSER.
    "databases",
];

const OF_REDIS: &[&str] = &["redis_mode"];
const OF_REDIS_80: &[&str] = &["expired_subkeys"];

/// What a client of a cluster tells every node, since 7.2, and how it knows that.
const TOLD_TO_ALL: &[&str] = &["acl|deluser", "acl|save", "acl|setuser", "client|setinfo", "client|setname"];
const TO_ALL: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];

/// What Valkey 9.1 executes while a script is running.
const ALLOWED_WHILE_BUSY: &[&str] = &[
    "client|caching",
    "client|getname",
    "client|getredir",
    "client|id",
    "client|no-evict",
    "client|setinfo",
    "client|setname",
];

impl Compatible {
    /// Its name, as programs and people write it.
    pub const fn product(self) -> &'static str {
        if self.is_valkey() { "Valkey" } else { "Redis" }
    }

    /// Its name, as HELLO tells it.
    pub(crate) const fn server(self) -> &'static str {
        if self.is_valkey() { "valkey" } else { "redis" }
    }

    /// Its version.
    pub const fn version(self) -> &'static str {
        match self {
            Redis70 => "7.0.15",
            Redis80 => "8.0.2",
            Valkey80 => "8.0.1",
            Valkey81 => "8.1.1",
            Valkey91 => "9.1.2",
        }
    }

    /// The version of Redis that it says to be: Valkey tells that of the one it came from.
    pub(crate) const fn redis_version(self) -> &'static str {
        if self.is_valkey() { "7.2.4" } else { self.version() }
    }

    /// Whether it is Valkey, which speaks of primaries.
    pub const fn is_valkey(self) -> bool {
        matches!(self, Valkey80 | Valkey81 | Valkey91)
    }

    /// Whether the lines of a start are warnings, as they were until 7.0.
    pub(crate) const fn warns_of_start(self) -> bool {
        matches!(self, Redis70)
    }

    /// Whether INFO, or ACL GETUSER, has this field.
    pub(crate) fn tells(self, field: &str) -> bool {
        let since = |first, fields: &[&str]| !fields.contains(&field) || self >= first;
        since(Redis80, SINCE_REDIS_80)
            && since(Valkey80, SINCE_VALKEY_80)
            && since(Valkey81, SINCE_VALKEY_81)
            && since(Valkey91, SINCE_VALKEY_91)
            && (!OF_REDIS.contains(&field) || !self.is_valkey())
            && (!OF_REDIS_80.contains(&field) || self == Redis80)
    }

    /// Whether COMMAND lists this command or subcommand.
    pub(crate) fn lists(self, command: &Command) -> bool {
        match command.listed {
            Listed::ByAll => true,
            Listed::ByLater => self >= Redis80,
            Listed::ByValkey => self.is_valkey(),
            Listed::ByNone | Listed::Uncounted => false,
        }
    }

    /// The arity that COMMAND tells of a command, where it is another one than 7.0 tells.
    pub(crate) fn arity(self, command: &str, arity: i32) -> i32 {
        match command {
            "command|getkeys" | "command|getkeysandflags" if self >= Redis80 => -3,
            "sentinel|config" if self >= Redis80 => -4,
            _ => arity,
        }
    }

    /// The flags of a command that 7.0 does not tell.
    pub(crate) fn further_flags(self, command: &str) -> &'static [&'static str] {
        match command {
            "client|reply" if self >= Valkey91 => &["allow_busy", "no_multi"],
            command if self >= Valkey91 && ALLOWED_WHILE_BUSY.contains(&command) => &["allow_busy"],
            _ => &[],
        }
    }

    /// The tips of a command that 7.0 does not tell.
    pub(crate) fn further_tips(self, command: &str) -> &'static [&'static str] {
        if self >= Redis80 && TOLD_TO_ALL.contains(&command) { TO_ALL } else { &[] }
    }

    /// A line of SENTINEL HELP that names a subcommand and its words, in this version's terms.
    pub(crate) fn usage(self, line: &str) -> String {
        let mut line = line.to_owned();
        if self >= Redis80 {
            line = line.replace("CONFIG SET <param> <value>", "CONFIG SET param value [param value ...]");
            line = line.replace("CONFIG GET <param>", "CONFIG GET <param> [param param param ...]");
        }
        if self.is_valkey() {
            line = line.replace("MASTERS", "PRIMARIES").replace("MASTER", "PRIMARY").replace("master", "primary");
        }
        if self == Valkey91 && line == "FAILOVER <primary-name>" {
            line.push_str(" [COORDINATED]");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_version_is_known_and_begins_with_the_one_we_write() {
        for (name, version) in VERSIONS {
            let plain = name.strip_prefix("redis-").or_else(|| name.strip_prefix("valkey-")).unwrap_or(name);
            assert!(version.version().starts_with(plain), "{name}");
        }
    }

    #[test]
    fn a_version_tells_what_it_has_and_nothing_else() {
        let told = |field: &str| VERSIONS[..5].iter().map(|(_, version)| version.tells(field)).collect::<Vec<_>>();
        assert_eq!(told("redis_version"), [true; 5]);
        assert_eq!(told("redis_mode"), [true, true, false, false, false]);
        assert_eq!(told("server_mode"), [false, false, true, true, true]);
        assert_eq!(told("listener0"), [false, true, true, true, true]);
        assert_eq!(told("expired_subkeys"), [false, true, false, false, false]);
        assert_eq!(told("sentinel_total_tilt"), [false, false, false, false, true]);
    }
}
