//! The table of the settings of the Sentinel itself that commands change.

use super::{
    GlobalSettings,
    row::{
        Changed::{ByCommand, InFile, Rewritten},
        Field, Kind, OURS, Row, THEIRS, rows,
    },
};

rows! {
    GlobalSettings, SENTINEL, "All settings of the Sentinel itself that decisions depend on, in the order in which the reference writes them.";
    DENY_SCRIPTS_RECONFIG: "deny-scripts-reconfig", "deny-scripts-reconfig", THEIRS, Rewritten, Kind::Switch, deny_scripts_reconfig,
        "Forbid SENTINEL SET to change the scripts.";
    RESOLVE_HOSTNAMES: "resolve-hostnames", "resolve-hostnames", THEIRS, ByCommand, Kind::Switch, resolve_hostnames,
        "Accept host names wherever an address may stand.";
    ANNOUNCE_HOSTNAMES: "announce-hostnames", "announce-hostnames", THEIRS, ByCommand, Kind::Switch, announce_hostnames,
        "Tell others names instead of addresses.";
    ANNOUNCE_IP: "announce-ip", "announce-ip", THEIRS, ByCommand, Kind::Host, announce_ip,
        "Address under which others reach this Sentinel, for NAT and containers.";
    ANNOUNCE_PORT: "announce-port", "announce-port", THEIRS, ByCommand, Kind::Port, announce_port,
        "Port under which others reach this Sentinel. 0: the own port.";
    SENTINEL_USER: "sentinel-user", "sentinel-user", THEIRS, ByCommand, Kind::Text, sentinel_user,
        "User at other Sentinels.";
    SENTINEL_PASS: "sentinel-pass", "sentinel-pass", THEIRS, ByCommand, Kind::Secret, sentinel_pass,
        "Password at other Sentinels. Without it `requirepass`.";
    HELLO_AUTH_KEY: "hello-auth-key", "hello-auth-key", OURS, InFile, Kind::Secret, hello_auth_key,
        "Key that hellos and requests for votes are signed with; others are not believed. The same at all Sentinels, none of which is redis-sentinel.";
    HELLO_AUTH_REQUIRED: "hello-auth-required", "hello-auth-required", OURS, InFile, Kind::Switch, hello_auth_required,
        "Believe only what is signed with `hello-auth-key`. false: while a key is brought in or changed, one Sentinel after the other.";
    HISTORY_SIZE: "history-size", "history-size", OURS, InFile, Kind::Count { least: 1, most: 2_000 }, history_size,
        "Incidents that the history keeps, of all masters together.";
}

/// The setting of a name, in any case.
pub fn of_sentinel(name: &str) -> Option<&'static Row<GlobalSettings>> {
    SENTINEL.iter().copied().find(|row| row.is_called(name))
}
