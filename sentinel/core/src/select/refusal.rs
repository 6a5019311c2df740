use std::{fmt, num::NonZeroU64, time::Duration};

/// Why a replica is no candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// It has never had a copy of the master's data.
    NeverSynced,
    /// It was started as a master, without data, and has not been a replica since: the others would throw theirs away.
    StartedEmpty,
    /// Its data are of another history than the master's: a stranger on an address that was used again.
    WrongHistory,
    /// It refuses the login, and its data are not known to be of the master's history: it may be another deployment's.
    LoginRefused,
    /// The master was restarted without its data, and this one holds none of them any more.
    Emptied,
    /// It was the master before the present one and has not followed since: what it lacks cannot be told, and `max-lag` is set.
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
            Refusal::NeverSynced => f.write_str("it has never synchronised with the master"),
            Refusal::StartedEmpty => {
                f.write_str("it was started as a master, without data, and nobody has followed it")
            }
            Refusal::WrongHistory => f.write_str("its replication id shares nothing with the master's history"),
            Refusal::LoginRefused => {
                f.write_str("it refuses the login, and its data are not known to be of the master's history")
            }
            Refusal::Emptied => f.write_str("it holds none of the data that the master has lost"),
            Refusal::LagUnknown => f.write_str(
                "it is a former master and has not followed the present one: what it lacks cannot be told, max-lag is set",
            ),
            Refusal::LagsBehind { lag, most } => write!(f, "it lacks {lag} bytes, max-lag allows {most}"),
        }
    }
}
