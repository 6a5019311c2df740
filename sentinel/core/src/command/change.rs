//! Commands that change something, or vote: the engine executes them.

use std::time::Duration;

use bytes::Bytes;
use sentinel_resp::Reply;

use crate::{
    settings::{
        GlobalSettings, MasterSettings,
        row::{Kind, Row, Value},
    },
    types::{Epoch, HostPort, SentinelId, Signed},
};

/// A command for the engine. Its answer comes back as [`Output::Answer`](crate::Output::Answer).
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum Change {
    /// `SENTINEL IS-MASTER-DOWN-BY-ADDR ip port epoch runid`, or `SENTINEL REQUEST-VOTE master ip port epoch runid nonce signature`
    IsMasterDown {
        /// The master asked about; none if the words are no address (answered as an unknown master).
        addr: Option<HostPort>,
        /// The asker's current epoch, or the epoch of the election.
        epoch: Epoch,
        /// Who asks for this Sentinel's vote; none asks for its opinion only.
        candidate: Option<SentinelId>,
        /// What it is signed with, if it is.
        signed: Option<Signed>,
    },
    /// `PUBLISH __sentinel__:hello payload`
    Hello(Bytes),
    /// `SENTINEL FAILOVER name`
    Failover {
        /// The master.
        name: String,
    },
    /// `SENTINEL FAILOVER name [TO host port [FORCE]] [COORDINATED] [DRYRUN]`, with at least one of the options.
    FailoverTo {
        /// The master.
        name: String,
        /// The replica to promote; none leaves the choice to the rules.
        to: Option<HostPort>,
        /// The master hands over without loss, or stays.
        coordinated: bool,
        /// That replica is promoted whatever it holds, in place of a master that is down.
        force: bool,
        /// Only say what would be done.
        dry_run: bool,
        /// Why, in the operator's words.
        reason: Option<String>,
    },
    /// `SENTINEL CANDIDATES name`
    Candidates {
        /// The master.
        name: String,
    },
    /// `SENTINEL EXPLAIN name`
    Explain {
        /// The master.
        name: String,
    },
    /// `SENTINEL CONSENSUS name`
    Consensus {
        /// The master.
        name: String,
    },
    /// `SENTINEL PAUSE name|* [ttl [reason [LOCAL]]]`, `SENTINEL RESUME name|* [LOCAL]`
    Pause {
        /// The master, or `*` for all.
        name: String,
        /// What is asked for; none ends it.
        pause: Option<crate::guard::Pause>,
        /// The other Sentinels are told by whoever told us.
        local: bool,
    },
    /// `SENTINEL FORGET name id`
    Forget {
        /// The master.
        name: String,
        /// The other Sentinel.
        id: SentinelId,
    },
    /// `SENTINEL FORGET name UNVERIFIED`
    ForgetUnverified {
        /// The master.
        name: String,
    },
    /// `SENTINEL FORGET-REPLICA name host port`
    ForgetReplica {
        /// The master.
        name: String,
        /// The replica.
        addr: HostPort,
    },
    /// `SENTINEL MONITOR name ip port quorum`
    Monitor(NewMaster),
    /// `SENTINEL REMOVE name`
    Remove {
        /// The master.
        name: String,
    },
    /// `SENTINEL RESET pattern`
    Reset {
        /// A glob, case-sensitive.
        pattern: String,
    },
    /// `SENTINEL SET name option value ...`
    Set {
        /// The master.
        name: String,
        /// The options before the first bad one, in order. They are applied and saved in any case.
        options: Vec<SetOption>,
        /// The error of the first bad option, sent instead of `+OK`.
        error: Option<Reply>,
    },
    /// `SENTINEL FLUSHCONFIG`
    FlushConfig,
    /// `SENTINEL RELOAD`, or SIGHUP: what the configuration says, or why it cannot be taken.
    Reload(Result<Box<crate::reload::Configured>, String>),
    /// `SENTINEL CONFIG SET param value ...`, checked completely.
    ConfigSet(Vec<GlobalOption>),
    /// `SENTINEL DEBUG param value ...`
    Debug {
        /// The parameters before the first bad one, in order.
        options: Vec<(TimingParameter, Duration)>,
        /// The error of the first bad one, sent instead of `+OK`.
        error: Option<Reply>,
    },
    /// `SENTINEL SIMULATE-FAILURE flag ...`
    SimulateFailure {
        /// The flags from now on; they replace the earlier ones.
        failures: SimulatedFailures,
        /// What the client gets: `+OK`, the list of flags for HELP, or the error of an unknown one.
        answer: Reply,
    },
}

/// At which points of a failover this Sentinel should exit, with status 99. Not saved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SimulatedFailures {
    /// Once it is elected leader.
    pub crash_after_election: bool,
    /// Once the promotion is seen.
    pub crash_after_promotion: bool,
}

impl SimulatedFailures {
    /// The number that INFO shows: 1 for the election, 2 for the promotion, 3 for both.
    pub const fn bits(self) -> u8 {
        self.crash_after_election as u8 | (self.crash_after_promotion as u8) << 1
    }
}

/// What SENTINEL MONITOR asks for; the words are checked in the reference's order before this exists.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct NewMaster {
    /// Its name.
    pub name: crate::types::MasterName,
    /// Its address.
    pub addr: HostPort,
    /// Its quorum.
    pub quorum: crate::types::Quorum,
}

/// One option of SENTINEL SET, with the words of its `+set` event.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct SetOption {
    /// The setting.
    pub setting: MasterSetting,
    /// The event's text after the instance: option in the client's spelling, value (`******` for a password).
    pub shown: String,
}

/// One setting of a master, with the value that it is to have.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum MasterSetting {
    /// One of the table.
    Of(&'static Row<MasterSettings>, Value),
    /// How many Sentinels must agree, which stands in the line that names the master.
    Quorum(crate::types::Quorum),
    /// From (upper case), and to; none removes the renaming.
    RenameCommand(String, Option<String>),
}

impl MasterSetting {
    /// Takes effect in `settings`.
    pub fn apply(self, settings: &mut MasterSettings) {
        match self {
            MasterSetting::Of(row, value) => row.set(settings, value),
            MasterSetting::Quorum(value) => settings.quorum = value,
            MasterSetting::RenameCommand(from, Some(to)) => {
                settings.rename_commands.insert(from, to);
            }
            MasterSetting::RenameCommand(from, None) => {
                settings.rename_commands.remove(&from);
            }
        }
    }

    /// The path of a script, which `deny-scripts-reconfig` protects, and what the reference calls such a script.
    pub fn script(&self) -> Option<(Option<&str>, &'static str)> {
        match self {
            MasterSetting::Of(Row { kind: Kind::Script { called }, .. }, Value::Text(path)) => {
                Some((path.as_deref(), called))
            }
            _ => None,
        }
    }
}

/// One parameter of SENTINEL CONFIG SET, with its value.
#[derive(Clone, Debug, PartialEq, Hash)]
pub enum GlobalOption {
    /// One of the table.
    Of(&'static Row<GlobalSettings>, Value),
    /// The least level that is logged, until the next start.
    LogLevel(Option<crate::events::Level>),
}

/// One parameter of SENTINEL DEBUG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each variant is the constant of the same name in `Timing`")]
pub enum TimingParameter {
    InfoPeriod,
    PingPeriod,
    AskPeriod,
    PublishPeriod,
    DefaultDownAfter,
    DefaultFailoverTimeout,
    TiltTrigger,
    TiltPeriod,
    ReconfTimeout,
    MinLinkReconnectPeriod,
    ElectionTimeout,
    ScriptMaxRuntime,
    ScriptRetryDelay,
}
