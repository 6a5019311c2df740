//! A pause between automatic failovers, for deployments in which two in a row do more harm than an outage. Off unless it
//! is asked for (`failover-pause`): the reference has none.
//!
//! It counts from the last switch that this Sentinel knows of, whoever led it and whyever; it is not kept over a
//! restart. Votes are given as ever, so that Sentinels without such a pause can act. SENTINEL FAILOVER is the operator's
//! way around it.

use std::{fmt, time::Duration};

use crate::{
    events::Event,
    planted::{Bug, planted},
    state::Said,
    time::Instant,
    watch::Watch,
};

/// How often it is looked whether a pause without an end has come to one.
const LOOK_AGAIN: Duration = Duration::from_secs(3_600);

/// Why no failover is started although the master is objectively down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Withheld {
    /// An operator has paused failovers.
    ByOperator {
        /// Why.
        reason: Option<String>,
    },
    /// The last switch is more recent than `failover-pause` allows.
    Pause {
        /// The time since that switch.
        since: Duration,
        /// The pause asked for.
        pause: Duration,
    },
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Withheld::ByOperator { reason } => {
                let reason = reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
                write!(f, "#an operator has paused failovers{reason}, SENTINEL FAILOVER would start one")
            }
            Withheld::Pause { since, pause } => write!(
                f,
                "#the last switch was {} ms ago, failover-pause is {} ms, SENTINEL FAILOVER would start one",
                since.as_millis(),
                pause.as_millis()
            ),
        }
    }
}

impl Watch<'_> {
    /// Until when no automatic failover starts, if that is in the future.
    pub(crate) fn withheld_until(&self) -> Option<Instant> {
        let now = self.ctx.mono();
        let switched = self.master.switched_at.map(|at| at + self.master.settings.failover_pause);
        let pause = switched.filter(|until| *until > now && !planted(Bug::IgnorePause));
        // One without an end is looked at again from time to time.
        let operator = self.paused_until().map(|until| until.min(now + LOOK_AGAIN));
        pause.into_iter().chain(operator).max()
    }

    /// Says once why nothing is done.
    pub(crate) fn tell_withheld(&mut self) {
        if self.paused_until().is_some() {
            if self.master.said.insert(Said::Withheld) {
                let why = Withheld::ByOperator { reason: self.master.settings.pause_reason.clone() };
                self.master_event(|subject| Event::FailoverWithheld { subject, why });
            }
            return;
        }
        let Some(switched_at) = self.master.switched_at else { return };
        if self.master.said.insert(Said::Withheld) {
            let (since, pause) = (self.ctx.mono().since(switched_at), self.master.settings.failover_pause);
            let why = Withheld::Pause { since, pause };
            self.master_event(|subject| Event::FailoverWithheld { subject, why });
        }
    }
}
