//! What an operator sets: for one master, for the whole Sentinel, and the timing constants.
//!
//! Each setting is a field here, with its default, and one row in the table of its kind ([`master::MASTER`],
//! [`sentinel::SENTINEL`]). Commands, both forms of the configuration, its rewrite, the kept state and the manual are
//! derived from the rows.

pub mod master;
pub mod row;
pub mod sentinel;

use std::{
    collections::BTreeMap,
    num::{NonZeroU32, NonZeroU64},
    time::Duration,
};

use crate::{
    events::Level,
    types::{Host, Quorum, Secret},
};

/// How long [`MasterSettings::reload_grace`] is unless something else is asked for.
pub const DEFAULT_RELOAD_GRACE: Duration = Duration::from_secs(10);

/// The settings of one monitored master.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as operators set it")]
pub struct MasterSettings {
    /// How many Sentinels must agree that the master is down.
    pub quorum: Quorum,
    /// Silence after which an instance is subjectively down. At least 1 ms; default 30 s.
    pub down_after: Duration,
    /// Bounds each phase of a failover and, doubled, the pause between two. At least 1 ms; default 3 min.
    pub failover_timeout: Duration,
    /// How many replicas are pointed at a new master at the same time. At least 1; default 1.
    pub parallel_syncs: u32,
    /// User for AUTH at master and replicas.
    pub auth_user: Option<String>,
    /// Password for AUTH at master and replicas. Without one no AUTH is sent.
    pub auth_pass: Option<Secret>,
    /// Program called for every warning event of this master.
    pub notification_script: Option<String>,
    /// Program called when the address of this master changes.
    pub client_reconfig_script: Option<String>,
    /// How long a rebooted master may answer only LOADING before it is subjectively down. Zero: without limit.
    pub reboot_down_after: Duration,
    /// Commands that data nodes know under another name: from (upper case) to.
    pub rename_commands: BTreeMap<String, String>,
    /// After so many refused connections in a row the instance is subjectively down at once. None: never.
    pub down_on_refused: Option<NonZeroU32>,
    /// Whether SENTINEL FAILOVER of a master that is well tries to hand over without loss first. Default yes.
    pub lossless_failover: bool,
    /// For how long a replica may catch up, while the master goes on taking writes, before the master is asked to
    /// hand over to it. At least 1 ms; default 5 s.
    pub catch_up: Duration,
    /// Whether a master that was restarted without its data, while replicas hold them, is replaced at once. Default no:
    /// the reference goes on with it, and the replicas throw their data away.
    pub empty_master_failover: bool,
    /// Whether, when the configured master is a replica and no node is a master, one is promoted at once, also one
    /// whose link has been down for long. Default no: it is only told, and the reference's slower rule applies.
    pub promote_best_effort: bool,
    /// Bytes of the replication stream that a candidate may lack. None: any number. A former master that has not
    /// followed the present one is no candidate then: what it lacks cannot be told.
    pub max_lag: Option<NonZeroU64>,
    /// After a switch no automatic failover starts for this long. Zero: at once.
    pub failover_pause: Duration,
    /// How long a replica waits for a better candidate that was restarted from a file which tells no offset (an
    /// append-only file), counted from the moment in which the master is objectively down. Default 10 s; zero: not at
    /// all.
    pub reload_grace: Duration,
    /// Whether a replica that holds nothing may be promoted although others are known to have held data. Default no;
    /// where nobody is known to have held any, it may be, as in the reference.
    pub promote_empty: bool,
    /// Since 1970: nobody is nominated before this time (`SENTINEL PAUSE`). Zero: not paused.
    pub paused_until: Duration,
    /// Why it is paused.
    pub pause_reason: Option<String>,
    /// Time between two PINGs. None: min(1 s, `down_after` / 4), and more where very many instances are watched, up to
    /// min(1 s, `down_after`).
    pub ping_period: Option<Duration>,
}

impl MasterSettings {
    /// How many replicas may copy the new master's data at the same time.
    pub(crate) fn sync_places(&self) -> usize {
        self.parallel_syncs.max(1) as usize
    }

    /// The reference's defaults with the given quorum.
    pub fn new(quorum: Quorum) -> Self {
        MasterSettings {
            quorum,
            down_after: Duration::from_secs(30),
            failover_timeout: Duration::from_secs(180),
            parallel_syncs: 1,
            auth_user: None,
            auth_pass: None,
            notification_script: None,
            client_reconfig_script: None,
            reboot_down_after: Duration::ZERO,
            rename_commands: BTreeMap::new(),
            down_on_refused: None,
            lossless_failover: true,
            catch_up: Duration::from_secs(5),
            empty_master_failover: false,
            promote_best_effort: false,
            max_lag: None,
            failover_pause: Duration::ZERO,
            reload_grace: DEFAULT_RELOAD_GRACE,
            promote_empty: false,
            paused_until: Duration::ZERO,
            pause_reason: None,
            ping_period: None,
        }
    }
}

/// The settings of the Sentinel itself, as far as decisions depend on them.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as operators set it")]
pub struct GlobalSettings {
    /// The port this Sentinel listens on, announced in hellos unless `announce_port` says otherwise.
    pub port: u16,
    /// The address announced in hellos. None: the local address of each link.
    pub announce_ip: Option<Host>,
    /// The port announced in hellos. None: `port`.
    pub announce_port: Option<u16>,
    /// User for AUTH at other Sentinels.
    pub sentinel_user: Option<String>,
    /// Password for AUTH at other Sentinels. None: `requirepass`.
    pub sentinel_pass: Option<Secret>,
    /// This Sentinel's own password, also tried at other Sentinels.
    pub requirepass: Option<Secret>,
    /// The key that hellos and requests for votes are signed with, and that those of others must be signed with.
    /// Default none.
    pub hello_auth_key: Option<Secret>,
    /// Whether, where there is a key, only what is signed with it counts. Default yes. With no a key is brought to
    /// Sentinels one after the other, or changed: each signs, and believes the others as if it had no key.
    pub hello_auth_required: bool,
    /// How many incidents the history keeps, of all masters together: 1 to 2000, default 200. One has 31 kB at most.
    pub history_size: u32,
    /// Whether host names are accepted anywhere. Default no.
    pub resolve_hostnames: bool,
    /// Whether names instead of addresses are told to others. Default no.
    pub announce_hostnames: bool,
    /// Whether SENTINEL SET may not change script paths. Default yes.
    pub deny_scripts_reconfig: bool,
    /// Least level that is logged, as the log itself was started with it. None: nothing is. Not kept in the state.
    pub log_level: Option<Level>,
}

impl GlobalSettings {
    /// The key with which others must sign, if they must.
    pub(crate) fn required_key(&self) -> Option<&Secret> {
        self.hello_auth_key.as_ref().filter(|_| self.hello_auth_required)
    }
}

impl Default for GlobalSettings {
    fn default() -> Self {
        GlobalSettings {
            port: 26379,
            announce_ip: None,
            announce_port: None,
            sentinel_user: None,
            sentinel_pass: None,
            requirepass: None,
            hello_auth_key: None,
            hello_auth_required: true,
            history_size: 200,
            resolve_hostnames: false,
            announce_hostnames: false,
            deny_scripts_reconfig: true,
            log_level: Some(Level::Notice),
        }
    }
}

/// The timing constants. The reference's, as far as SENTINEL DEBUG shows them; the rest belongs to the documented
/// departures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Timing {
    /// INFO to masters and replicas. 10 s.
    pub info_period: Duration,
    /// INFO to replicas of a master that is objectively down or in failover, or whose master link is down. 1 s.
    pub urgent_info_period: Duration,
    /// Longest time between two PINGs. 1 s.
    pub ping_period: Duration,
    /// Hello to every instance. 2 s.
    pub publish_period: Duration,
    /// is-master-down-by-addr to each peer while a master is subjectively down. 1 s.
    pub ask_period: Duration,
    /// Silence before a newly monitored master is subjectively down. 30 s.
    pub default_down_after: Duration,
    /// The failover timeout of a newly monitored master. 3 min.
    pub default_failover_timeout: Duration,
    /// A wake-up later than this means that the process stood still. 2 s.
    pub tilt_trigger: Duration,
    /// Longest time in TILT. 30 s.
    pub tilt_period: Duration,
    /// From SLAVEOF to the INFO that names the new master. 10 s.
    pub reconf_timeout: Duration,
    /// Least age of a connection that is closed for silence. 15 s.
    pub min_link_reconnect_period: Duration,
    /// Longest election. 10 s.
    pub election_timeout: Duration,
    /// Longest run of a script. 60 s.
    pub script_max_runtime: Duration,
    /// First pause before a failed script is started again. 30 s.
    pub script_retry_delay: Duration,
    /// Self-nomination waits a random time up to this, or up to three writes to the disk where they take longer, but
    /// at most three times this. 15 ms.
    pub nomination_delay: Duration,
    /// First pause after a lost election; a random time from this to twice this, doubled with each loss. 200 ms.
    pub lost_election_delay: Duration,
    /// Longest pause after a lost election. 10 s.
    pub max_lost_election_delay: Duration,
    /// How long the choice of a replica waits for fresh offsets. 300 ms.
    pub fresh_offset_wait: Duration,
    /// Longest pause between two attempts to connect to an instance. 100 ms.
    pub reconnect_period: Duration,
    /// INFO to a replica that is being pointed at a new master. 100 ms.
    pub reconf_info_period: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Timing {
            info_period: ms(10_000),
            urgent_info_period: ms(1_000),
            ping_period: ms(1_000),
            publish_period: ms(2_000),
            ask_period: ms(1_000),
            default_down_after: ms(30_000),
            default_failover_timeout: ms(180_000),
            tilt_trigger: ms(2_000),
            tilt_period: ms(30_000),
            reconf_timeout: ms(10_000),
            min_link_reconnect_period: ms(15_000),
            election_timeout: ms(10_000),
            script_max_runtime: ms(60_000),
            script_retry_delay: ms(30_000),
            nomination_delay: ms(15),
            lost_election_delay: ms(200),
            max_lost_election_delay: ms(10_000),
            fresh_offset_wait: ms(300),
            reconnect_period: ms(100),
            reconf_info_period: ms(100),
        }
    }
}
