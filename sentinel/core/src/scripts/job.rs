//! One call of a script, from the event that asks for it to its last end.

use std::{sync::Arc, time::Duration};

use super::MAX_STARTS;
use crate::{
    settings::MasterSettings,
    time::Instant,
    types::MasterName,
    view::{ScriptState, ScriptView},
};

/// One call of a script, as the engine names it. All its starts have the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JobId(pub u64);

crate::canonical::relative!(JobId: Job);

/// How the process of a script ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ScriptEnd {
    /// With this exit status. 0: done. 1: to be tried again. Anything else: failed.
    Exited(i32),
    /// By this signal: to be tried again.
    Killed(i32),
}

impl ScriptEnd {
    /// Signal and exit status, as `-script-error` shows them.
    pub(crate) const fn signal_and_status(self) -> (i32, i32) {
        match self {
            ScriptEnd::Exited(status) => (0, status),
            ScriptEnd::Killed(signal) => (signal, 0),
        }
    }

    const fn asks_for_another_try(self) -> bool {
        matches!(self, ScriptEnd::Exited(1) | ScriptEnd::Killed(_))
    }
}

/// Why a script was not started.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ScriptFault {
    /// The file is missing, not executable, or no program. The reference notices that in the child, which exits with
    /// status 2, and so it is reported.
    NotExecutable(String),
    /// The system has no process, no memory or no descriptor to give. That passes.
    NoProcess(String),
}

impl std::fmt::Display for ScriptFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ScriptFault::NotExecutable(why) => write!(f, "it cannot be executed: {why}"),
            ScriptFault::NoProcess(why) => write!(f, "the system cannot start a process now: {why}"),
        }
    }
}

/// Which of a master's scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    /// `notification-script`
    Notification,
    /// `client-reconfig-script`
    ClientReconfig,
}

/// What is wrong with a script, as its last call showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failing {
    pub(crate) path: Arc<str>,
    pub(crate) how: String,
}

impl Kind {
    /// The script of this kind that a master has now.
    pub(crate) fn of(self, settings: &MasterSettings) -> Option<&str> {
        match self {
            Kind::Notification => settings.notification_script.as_deref(),
            Kind::ClientReconfig => settings.client_reconfig_script.as_deref(),
        }
    }
}

/// Calls that begin in order: those of one kind for one master.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Lane {
    pub(crate) master: MasterName,
    pub(crate) kind: Kind,
}

/// What is to be called.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Call {
    pub(crate) lane: Lane,
    pub(crate) path: Arc<str>,
    pub(crate) args: Arc<[String]>,
}

/// A call with its history.
#[derive(Clone, Debug, Hash)]
pub(super) struct Job {
    pub(super) id: JobId,
    pub(super) call: Call,
    /// How often it was started.
    pub(super) starts: u32,
    /// How it ended the last time.
    pub(super) last: Option<ScriptEnd>,
    /// A newer call of its lane says the contrary: it is not tried again.
    pub(super) superseded: bool,
    pub(super) phase: Phase,
}

#[derive(Clone, Debug, Hash)]
pub(super) enum Phase {
    /// To be started at or after this time.
    Waiting { due: Instant },
    /// The runtime was told to start it.
    Starting { since: Instant },
    /// It has a process; whether that was told to end for having run too long.
    Running { since: Instant, pid: u32, killed: bool },
}

/// What follows from an end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Again(Instant),
    Failed,
}

impl Job {
    /// Since when it runs.
    pub(super) const fn running_since(&self) -> Option<Instant> {
        match self.phase {
            Phase::Waiting { .. } => None,
            Phase::Starting { since } | Phase::Running { since, .. } => Some(since),
        }
    }

    /// What follows when the process ends like this. `delay` is the pause after the first start; each further one is
    /// twice as long.
    pub(super) fn after(&self, end: ScriptEnd, now: Instant, delay: Duration) -> Next {
        match end {
            ScriptEnd::Exited(0) => Next::Done,
            end if end.asks_for_another_try() && self.starts < MAX_STARTS && !self.superseded => {
                let doublings = self.starts.saturating_sub(1).min(MAX_STARTS);
                Next::Again(now + delay.saturating_mul(1 << doublings))
            }
            _ => Next::Failed,
        }
    }

    pub(super) fn view(&self) -> ScriptView {
        ScriptView {
            path: Arc::clone(&self.call.path),
            args: Arc::clone(&self.call.args),
            starts: self.starts,
            state: match self.phase {
                Phase::Waiting { due } => ScriptState::Scheduled { due },
                Phase::Starting { since } => ScriptState::Running { since, pid: 0 },
                Phase::Running { since, pid, .. } => ScriptState::Running { since, pid },
            },
        }
    }
}
