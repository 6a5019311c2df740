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

/// Why no failover is started although the master is objectively down.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Withheld {
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
        let until = self.master.switched_at? + self.master.settings.failover_pause;
        (until > self.ctx.mono() && !planted(Bug::IgnorePause)).then_some(until)
    }

    /// Says once why nothing is done.
    pub(crate) fn tell_withheld(&mut self) {
        let Some(switched_at) = self.master.switched_at else { return };
        if self.master.said.insert(Said::Withheld) {
            let (since, pause) = (self.ctx.mono().since(switched_at), self.master.settings.failover_pause);
            let why = Withheld::Pause { since, pause };
            self.master_event(|subject| Event::FailoverWithheld { subject, why });
        }
    }
}
