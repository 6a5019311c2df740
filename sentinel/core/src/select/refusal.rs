use std::{fmt, num::NonZeroU64, time::Duration};

use crate::{time::Instant, types::HostPort};

/// Why a replica is no candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// It is subjectively down.
    SubjectivelyDown,
    /// Its link is down.
    Disconnected,
    /// Its last acceptable answer to a PING is too old.
    SilentFor(Duration),
    /// Its priority is 0: never promoted.
    PriorityZero,
    /// It has not answered INFO, or too long ago.
    InfoTooOld(Option<Duration>),
    /// It lost its master long before the master went down: its data is old.
    LinkDownTooLong {
        /// How long its link to the master has been down.
        down: Duration,
        /// The longest that is accepted.
        longest: Duration,
    },
    /// It is not known to have had a copy of the master's data.
    NeverSynced,
    /// It says that it is a master, and it is not one that this Sentinel made, nor one that others follow: it was restarted
    /// as one, from whatever file it had, and may have taken writes of its own.
    WrongRole,
    /// It is reading its data from a file, or from a master: it obeys no order until it has them.
    Loading,
    /// It was restarted from a file that tells no offset: it is promoted after a while (`reload-grace`), should no better
    /// one come back until then.
    Reloaded {
        /// How long it must still wait.
        wait: Duration,
        /// From when on.
        from: Instant,
    },
    /// The same, and the time is over, but a better one is expected.
    BetterExpected(HostPort),
    /// It was restarted from a file that tells no offset, and holds fewer keys than it did.
    FewerKeys {
        /// Keys that it holds.
        keys: u64,
        /// Keys that it held when it was last seen in sync.
        before: u64,
    },
    /// It holds nothing, and others are known to have held data (`promote-empty`).
    Empty,
    /// It was started as a master, without data, and has not been a replica since: the others would throw theirs away.
    StartedEmpty,
    /// Its data are of another history than the master's: a stranger on an address that was used again.
    WrongHistory,
    /// The same, and the configured master has taken its data over, as somebody told it to; but this other node may still hold the data
    /// of before. Only an order decides.
    OthersMayHoldMore(HostPort),
    /// It refuses the login, and its data are not known to be of the master's history: it may be another deployment's.
    LoginRefused,
    /// The master was restarted without its data, and this one holds none of them any more.
    Emptied,
    /// What it lacks cannot be told, and `max-lag` is set: it was the master before the present one and has not followed
    /// since, or it was restarted from a file that tells no offset.
    LagUnknown,
    /// It lacks more of the replication stream than `max-lag` allows.
    LagsBehind {
        /// Bytes that it lacks of what is known to exist.
        lag: u64,
        /// The most that is accepted.
        most: NonZeroU64,
    },
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::SubjectivelyDown => f.write_str("it is subjectively down"),
            Refusal::Disconnected => f.write_str("its link is down"),
            Refusal::SilentFor(age) => write!(f, "no acceptable answer to PING for {} ms", age.as_millis()),
            Refusal::PriorityZero => f.write_str("its priority is 0"),
            Refusal::InfoTooOld(Some(age)) => write!(f, "its last INFO is {} ms old", age.as_millis()),
            Refusal::InfoTooOld(None) => f.write_str("it has not answered INFO yet"),
            Refusal::LinkDownTooLong { down, longest } => write!(
                f,
                "its link to the master has been down for {} ms, longer than {} ms",
                down.as_millis(),
                longest.as_millis()
            ),
            Refusal::NeverSynced => f.write_str("it is not known to have been in sync with the master"),
            Refusal::WrongRole => {
                f.write_str("it says that it is a master, and was not made one: its data went a way of their own")
            }
            Refusal::Loading => f.write_str("it is loading its data"),
            Refusal::Reloaded { wait, .. } => write!(
                f,
                "how far it has come cannot be told (restarted from a file?): it must wait {} ms for a better one (reload-grace)",
                wait.as_millis()
            ),
            Refusal::BetterExpected(other) => {
                write!(
                    f,
                    "how far it has come cannot be told (restarted from a file?), and {other} may be better in a moment"
                )
            }
            Refusal::FewerKeys { keys, before } => {
                write!(
                    f,
                    "how far it has come cannot be told (restarted from a file?), and it holds {keys} keys of the {before} that it held"
                )
            }
            Refusal::Empty => f.write_str("it is empty, and the others are known to have held data (promote-empty)"),
            Refusal::StartedEmpty => {
                f.write_str("it was started as a master, without data, and nobody has followed it")
            }
            Refusal::WrongHistory => f.write_str("its replication id shares nothing with the master's history"),
            Refusal::OthersMayHoldMore(other) => write!(
                f,
                "its data are of another history, which the master has taken over, and {other} may still hold those of before: \
                 an order decides (FAILOVER ... TO ... FORCE, or FORGET-REPLICA)"
            ),
            Refusal::LoginRefused => {
                f.write_str("it refuses the login, and its data are not known to be of the master's history")
            }
            Refusal::Emptied => f.write_str("it holds none of the data that the master has lost"),
            Refusal::LagUnknown => f.write_str("what it lacks cannot be told, and max-lag is set"),
            Refusal::LagsBehind { lag, most } => write!(f, "it lacks {lag} bytes, max-lag allows {most}"),
        }
    }
}

impl Refusal {
    /// The same in a word, one for each reason: a label of metrics.
    pub const fn word(&self) -> &'static str {
        match self {
            Refusal::SubjectivelyDown => "subjectively-down",
            Refusal::Disconnected => "disconnected",
            Refusal::SilentFor(_) => "silent",
            Refusal::PriorityZero => "priority-zero",
            Refusal::InfoTooOld(_) => "info-too-old",
            Refusal::LinkDownTooLong { .. } => "link-down-too-long",
            Refusal::NeverSynced => "never-synced",
            Refusal::WrongRole => "wrong-role",
            Refusal::Loading => "loading",
            Refusal::Reloaded { .. } => "reloaded",
            Refusal::BetterExpected(_) => "better-expected",
            Refusal::FewerKeys { .. } => "fewer-keys",
            Refusal::Empty => "empty",
            Refusal::StartedEmpty => "started-empty",
            Refusal::WrongHistory => "wrong-history",
            Refusal::OthersMayHoldMore(_) => "others-may-hold-more",
            Refusal::LoginRefused => "login-refused",
            Refusal::Emptied => "emptied",
            Refusal::LagUnknown => "lag-unknown",
            Refusal::LagsBehind { .. } => "lags-behind",
        }
    }

    /// The same without what changes with every look.
    pub(crate) fn without_numbers(&self) -> String {
        match self {
            Refusal::SilentFor(_) => "it does not answer PING".to_owned(),
            Refusal::InfoTooOld(Some(_)) => "its last INFO is too old".to_owned(),
            Refusal::LinkDownTooLong { .. } => "its link to the master has been down for too long".to_owned(),
            Refusal::Reloaded { .. } => "it waits for a better one (reload-grace)".to_owned(),
            Refusal::LagsBehind { .. } => "it lacks more bytes than max-lag allows".to_owned(),
            other => other.to_string(),
        }
    }

    /// When it may be none any more, without anybody doing anything about it. None: it will not change by itself.
    pub(crate) fn may_end_at(&self, now: Instant, look_again: Duration) -> Option<Instant> {
        match self {
            Refusal::Reloaded { from, .. } => Some(*from),
            Refusal::BetterExpected(_) | Refusal::Loading => Some(now + look_again),
            _ => None,
        }
    }

    /// Whether it keeps even an operator's order (`FORCE`) from being carried out: the order would not arrive.
    pub(crate) const fn is_absolute(&self) -> bool {
        matches!(self, Refusal::SubjectivelyDown | Refusal::Disconnected | Refusal::Loading)
    }
}
