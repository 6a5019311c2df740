//! The table of the settings of one master.

use super::{
    MasterSettings,
    row::{Changed::ByCommand, Field, Kind, OURS, Row, THEIRS, ms, rows},
};

rows! {
    MasterSettings, MASTER, "All settings of a master, in the order in which the reference writes them; then our own.";
    DOWN_AFTER: "down-after-milliseconds", "down-after", THEIRS, ByCommand, ms(1), down_after,
        "Silence after which it is subjectively down.";
    FAILOVER_TIMEOUT: "failover-timeout", "failover-timeout", THEIRS, ByCommand, ms(1), failover_timeout,
        "Bounds each phase of a failover; twice this passes between two.";
    PARALLEL_SYNCS: "parallel-syncs", "parallel-syncs", THEIRS, ByCommand, Kind::Count { least: 1, most: u32::MAX }, parallel_syncs,
        "How many replicas are pointed at a new master at the same time.";
    NOTIFICATION_SCRIPT: "notification-script", "notification-script", THEIRS, ByCommand,
        Kind::Script { called: "Notification script" }, notification_script,
        "Program called for every warning event.";
    CLIENT_RECONFIG_SCRIPT: "client-reconfig-script", "client-reconfig-script", THEIRS, ByCommand,
        Kind::Script { called: "Client reconfiguration script" }, client_reconfig_script,
        "Program called when the address changes.";
    AUTH_PASS: "auth-pass", "auth-pass", THEIRS, ByCommand, Kind::Secret, auth_pass,
        "Password at master and replicas.";
    AUTH_USER: "auth-user", "auth-user", THEIRS, ByCommand, Kind::Text, auth_user,
        "User at master and replicas.";
    REBOOT_DOWN_AFTER: "master-reboot-down-after-period" | "primary-reboot-down-after-period", "reboot-down-after", THEIRS, ByCommand,
        ms(0), reboot_down_after,
        "How long a rebooted master may be loading before it is subjectively down. 0: without limit.";
    DOWN_ON_REFUSED: "down-on-refused", "down-on-refused", OURS, ByCommand, Kind::Count { least: 0, most: u32::MAX }, down_on_refused,
        "Subjectively down at once after so many refused connections in a row. 0: never.";
    LOSSLESS_FAILOVER: "lossless-failover", "lossless-failover", OURS, ByCommand, Kind::Switch, lossless_failover,
        "Whether SENTINEL FAILOVER of a master that is well makes it hand over without loss, where it can.";
    CATCH_UP: "lossless-catch-up", "lossless-catch-up", OURS, ByCommand, ms(1), catch_up,
        "How long a replica may catch up, while writes go on, before the master pauses them and hands over to it.";
    EMPTY_MASTER_FAILOVER: "empty-master-failover", "empty-master-failover", OURS, ByCommand, Kind::Switch, empty_master_failover,
        "Whether a master that was restarted without its data, while replicas hold them, is replaced at once.";
    PROMOTE_BEST_EFFORT: "promote-best-effort", "promote-best-effort", OURS, ByCommand, Kind::Switch, promote_best_effort,
        "Whether the best replica is promoted at once when the configured master is a replica and no node is a master.";
    MAX_LAG: "max-lag", "max-lag", OURS, ByCommand, Kind::Bytes, max_lag,
        "How much of the replication stream a candidate may lack. 0: any amount.";
    FAILOVER_PAUSE: "failover-pause", "failover-pause", OURS, ByCommand, ms(0), failover_pause,
        "After a switch no automatic failover starts for this long. SENTINEL FAILOVER does.";
    RELOAD_GRACE: "reload-grace", "reload-grace", OURS, ByCommand, ms(0), reload_grace,
        "How long a replica that was restarted from an append-only file waits for a better candidate.";
    PROMOTE_EMPTY: "promote-empty", "promote-empty", OURS, ByCommand, Kind::Switch, promote_empty,
        "A replica that holds nothing may be promoted although others are known to have held data: for caches.";
    PAUSED_UNTIL: "paused-until", "paused-until", OURS, ByCommand, ms(0), paused_until,
        "Nobody is nominated before this time, in milliseconds since 1970. 0: not paused. SENTINEL PAUSE sets it.";
    PAUSE_REASON: "pause-reason", "pause-reason", OURS, ByCommand, Kind::Text, pause_reason,
        "Why it is paused.";
    PING_PERIOD: "ping-period", "ping-period", OURS, ByCommand, ms(0), ping_period,
        "Time between two PINGs. 0: a quarter of `down-after`, at most 1 s; more with many instances.";
}

/// The setting of a name, in any case.
pub fn of_master(name: &str) -> Option<&'static Row<MasterSettings>> {
    MASTER.iter().copied().find(|row| row.is_called(name))
}
