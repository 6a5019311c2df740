//! What can go wrong, and how it travels through the `redis` crate's error type.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::{ErrorKind, RedisError};

use crate::address::Address;
use crate::cause::Causes;
use crate::config_error::ConfigError;
use crate::reply::{is_verbatim, sign};

/// An exclusive connection outlived the generation of the master it was opened to.
///
/// The connection is of no more use: take a new one with [`SentinelPool::get`](crate::SentinelPool::get), and start the
/// transaction anew. It never moves to another master silently, since what it had seen (WATCH) or queued (MULTI) was seen on the old one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the master moved from {from} while this connection was checked out (generation {generation}{}); take a new connection{}",
    match .to { Some(to) => format!(", now {to}"), None => String::new() },
    if *.in_flight { "; a command was in flight, its outcome is unknown" } else { "" })]
#[non_exhaustive]
pub struct Switched {
    /// The master the connection was opened to.
    pub from: Address,
    /// The master that replaced it.
    pub to: Option<Address>,
    /// The generation the connection belonged to.
    pub generation: u64,
    /// Whether a command with an effect had been sent and not answered: it may or may not have been executed on the old master.
    pub in_flight: bool,
}

/// What a pool or one of its connections can report beyond what the server itself says.
///
/// Commands go through the traits of the `redis` crate, whose error is [`RedisError`]. Each variant converts to it, with the
/// I/O kind that its users already know how to treat (timed out, connection aborted), and [`Error::find`] gets it back.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// No Sentinel could name a master that answers as one within the time allowed. The command was not sent.
    #[error("no verified master `{master}` within {}: {causes}", rounded(*.waited))]
    NoMaster {
        /// The name of the master, as the Sentinels know it.
        master: Arc<str>,
        /// How long it was waited for.
        waited: Duration,
        /// The last trouble with each Sentinel and with the nodes they named.
        #[source]
        causes: Causes,
    },
    /// No replica could be read from within the time allowed, and the master was not to be. The command was not sent.
    #[error("no replica of `{master}` to read from within {}: {causes}", rounded(*.waited))]
    NoReplica {
        /// The name of the master, as the Sentinels know it.
        master: Arc<str>,
        /// How long it was waited for.
        waited: Duration,
        /// The last trouble with each replica.
        #[source]
        causes: Causes,
    },
    /// The connection belongs to a master that was replaced.
    #[error(transparent)]
    Switched(#[from] Switched),
    /// The connection broke, or no answer came in time, after the command was sent: it may or may not have been executed.
    /// It is not sent again unless it is known to be idempotent; see [`Master::idempotent`](crate::Master::idempotent).
    #[error("{command} on {address}: outcome unknown, it may have been executed: {source}")]
    OutcomeUnknown {
        /// The name of the command, or of the first command of a pipeline. Never its arguments.
        command: String,
        /// The node it was sent to.
        address: Address,
        /// What happened to the connection.
        source: RedisError,
    },
    /// All exclusive connections stayed in use.
    #[error("all {size} connections stayed in use for {}; raise max_connections or give them back sooner", rounded(*.waited))]
    PoolExhausted {
        /// The largest number of exclusive connections.
        size: usize,
        /// How long it was waited for one of them.
        waited: Duration,
    },
    /// As many callers as are allowed wait already.
    #[error("{limit} callers wait already; raise max_waiters or send less")]
    TooManyWaiters {
        /// The largest number of callers that may wait.
        limit: usize,
    },
    /// The command would block or change the connection that all clones of [`Master`](crate::Master) share. It was not sent.
    #[error("{command} would disturb the connection that others share; use an exclusive one (SentinelPool::get)")]
    NotShareable {
        /// The name of the command.
        command: String,
    },
    /// The keys of a transaction were changed by others in each of its attempts; nothing was executed.
    #[error("the watched keys were changed by others in each of {attempts} attempts")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The command was executed at the master, and fewer replicas have confirmed it than were asked for: it may be lost in a failover.
    #[error("{command} was executed, and {reached} replicas have confirmed it within the time allowed, not {needed}")]
    NotReplicated {
        /// The name of the command, or of the first command of a pipeline.
        command: String,
        /// How many replicas have confirmed it.
        reached: usize,
        /// How many had to.
        needed: usize,
    },
    /// The keys of the command lie on several shards, and it cannot be taken apart. It was not sent.
    #[error("the keys of {command} lie on several shards ({}); give keys that belong together the same part in braces", .shards.join(", "))]
    CrossShard {
        /// The name of the command; `MULTI` of a transaction.
        command: String,
        /// The shards.
        shards: Vec<Arc<str>>,
    },
    /// No shard follows from the command. It was not sent.
    #[error("{command} {reason}: choose a shard (ShardedMaster::on, ShardedPool::shard)")]
    NoShard {
        /// The name of the command.
        command: String,
        /// Why not.
        reason: &'static str,
    },
    /// A command that was taken apart was executed at some shards and failed at others.
    #[error("{command} failed at {}, and was executed at the other shards: {source}", .failed.join(", "))]
    Partial {
        /// The name of the command, or of the first command of a pipeline.
        command: String,
        /// The shards at which it failed.
        failed: Vec<Arc<str>>,
        /// The first error.
        source: RedisError,
    },
    /// The slot of a key was on its way to another shard for all the time allowed. The command was not sent.
    #[error("slot {slot} is being moved, and was not written to within {}", rounded(*.waited))]
    SlotMoving {
        /// The slot.
        slot: u16,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The slot table could not be confirmed in time at the place where it is kept. The command was not sent.
    #[error("the slot table was not confirmed within {}", rounded(*.waited))]
    NoLease {
        /// How long it was waited for.
        waited: Duration,
    },
    /// The pool was shut down. The command was not sent.
    #[error("the pool was shut down")]
    Shutdown,
    /// A node could not be reached, refused the login or is not the master.
    #[error("node {address}: {reason}")]
    Node {
        /// The node that was dialled.
        address: Address,
        /// What it answered.
        reason: String,
    },
    /// An error of the `redis` crate, unchanged.
    #[error(transparent)]
    Redis(RedisError),
}

/// A duration with as many digits as people want to read: `10 s`, `1.5 s`, `250 ms`.
pub(crate) fn rounded(duration: Duration) -> String {
    let milliseconds = duration.as_millis();
    match milliseconds {
        0 => format!("{} µs", duration.as_micros()),
        1..1000 => format!("{milliseconds} ms"),
        1000..10_000 if !((milliseconds + 50) / 100).is_multiple_of(10) => format!("{:.1} s", duration.as_secs_f64()),
        _ => format!("{:.0} s", duration.as_secs_f64()),
    }
}

/// What became of a command that brought an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// It was not sent: no master was at hand, too many wait already, a setting is wrong.
    NotSent,
    /// It was sent, and refused without being executed.
    Refused,
    /// It was sent, and no answer came: it may or may not have been executed, once or, if the caller allowed that, several times. Or it was
    /// executed in part, or not confirmed by as many nodes as the caller asked for.
    Unknown,
    /// It was executed, or the server found fault with the command itself; the error is the answer.
    Answered,
}

impl Outcome {
    /// What became of the command that brought this error, whether it is one of this crate's or not.
    ///
    /// ```
    /// # use sentinel_sdk::{Error, Outcome};
    /// let error: redis::RedisError = Error::Shutdown.into();
    /// assert_eq!(Outcome::of(&error), Outcome::NotSent);
    /// ```
    pub fn of(error: &RedisError) -> Self {
        if let Some(error) = Error::find(error) {
            return error.outcome();
        }
        match error.kind() {
            ErrorKind::Io | ErrorKind::Parse => Self::Unknown,
            ErrorKind::Client | ErrorKind::InvalidClientConfig => Self::NotSent,
            _ => {
                let errors = error.clone().into_server_errors().unwrap_or_default();
                let refused = errors.iter().any(|(_, error)| sign(error).is_some() && is_verbatim(error));
                if refused { Self::Refused } else { Self::Answered }
            }
        }
    }
}

impl From<RedisError> for Error {
    /// Finds this crate's error again in one of the `redis` crate that was made from it.
    fn from(error: RedisError) -> Self {
        Self::find(&error).cloned().unwrap_or(Self::Redis(error))
    }
}

impl Error {
    /// The error of this crate that an error of the `redis` crate was made from, if it was.
    ///
    /// ```
    /// # use sentinel_sdk::Error;
    /// let error: redis::RedisError = Error::Shutdown.into();
    /// assert!(matches!(Error::find(&error), Some(Error::Shutdown)));
    /// ```
    pub fn find(error: &RedisError) -> Option<&Error> {
        // The crate keeps an I/O error behind an `Arc<dyn Error>`, and an I/O error hides what it was made from from `source()`:
        // both wrappers are opened by hand.
        let shared = error.source()?.downcast_ref::<Arc<dyn StdError + Send + Sync>>()?;
        shared.downcast_ref::<io::Error>()?.get_ref()?.downcast_ref::<Error>()
    }

    /// Whether the command may have been executed although no answer came.
    pub fn is_outcome_unknown(&self) -> bool {
        self.outcome() == Outcome::Unknown
    }

    /// What became of the command.
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::OutcomeUnknown { .. }
            | Self::Partial { .. }
            | Self::NotReplicated { .. }
            | Self::Switched(Switched { in_flight: true, .. }) => Outcome::Unknown,
            Self::Redis(error) => Outcome::of(error),
            Self::Contended { .. } => Outcome::Refused,
            _ => Outcome::NotSent,
        }
    }

    fn io_kind(&self) -> io::ErrorKind {
        match self {
            Self::NoMaster { .. } | Self::NoReplica { .. } | Self::SlotMoving { .. } | Self::NoLease { .. } => {
                io::ErrorKind::TimedOut
            }
            // Not the server is late: the caller asks for too much at a time.
            Self::PoolExhausted { .. } | Self::Contended { .. } => io::ErrorKind::ResourceBusy,
            Self::TooManyWaiters { .. } => io::ErrorKind::QuotaExceeded,
            Self::OutcomeUnknown { source, .. } if source.is_timeout() => io::ErrorKind::TimedOut,
            Self::OutcomeUnknown { .. } => io::ErrorKind::ConnectionReset,
            Self::NotShareable { .. } | Self::CrossShard { .. } | Self::NoShard { .. } => io::ErrorKind::Unsupported,
            Self::Config(_) => io::ErrorKind::InvalidInput,
            Self::Partial { .. } | Self::NotReplicated { .. } => io::ErrorKind::Other,
            Self::Switched(_) | Self::Shutdown | Self::Node { .. } | Self::Redis(_) => io::ErrorKind::ConnectionAborted,
        }
    }
}

impl From<Error> for RedisError {
    fn from(error: Error) -> Self {
        match error {
            Error::Redis(error) => error,
            Error::Config(error) => Self::from((ErrorKind::InvalidClientConfig, "invalid settings", error.to_string())),
            error => Self::from(io::Error::new(error.io_kind(), error)),
        }
    }
}

impl From<Switched> for RedisError {
    fn from(switched: Switched) -> Self {
        Error::Switched(switched).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_typed_error_is_found_behind_the_redis_error() {
        let switched =
            Switched { from: "a:1".parse().unwrap(), to: Some("b:2".parse().unwrap()), generation: 7, in_flight: true };
        let error = RedisError::from(switched.clone());
        assert!(error.is_io_error());
        assert!(error.is_connection_dropped());
        match Error::find(&error.clone()) {
            Some(Error::Switched(found)) => assert_eq!(*found, switched),
            other => panic!("{other:?}"),
        }
        assert!(error.to_string().contains("now b:2"), "{error}");
    }

    #[test]
    fn the_outcome_survives_every_conversion() {
        let lost = || Error::OutcomeUnknown {
            command: "INCR".into(),
            address: "a:1".parse().unwrap(),
            source: io::Error::from(io::ErrorKind::BrokenPipe).into(),
        };
        let there: RedisError = lost().into();
        assert_eq!(Outcome::of(&there), Outcome::Unknown);
        let back: Error = there.into();
        assert!(matches!(back, Error::OutcomeUnknown { .. }) && back.is_outcome_unknown(), "{back:?}");
        let again: Error = RedisError::from(back).into();
        assert_eq!(again.outcome(), Outcome::Unknown);
        // A cause is a value.
        assert!(again.source().is_some_and(|source| source.downcast_ref::<RedisError>().is_some()));
    }

    #[test]
    fn each_error_tells_the_outcome() {
        let server = |text: &str| redis::parse_redis_value(text.as_bytes()).unwrap().extract_error().unwrap_err();
        for (error, outcome) in [
            (server("-READONLY You can't write against a read only replica.\r\n"), Outcome::Refused),
            (server("-WRONGTYPE x\r\n"), Outcome::Answered),
            (io::Error::from(io::ErrorKind::TimedOut).into(), Outcome::Unknown),
            (Error::TooManyWaiters { limit: 1 }.into(), Outcome::NotSent),
            (Error::PoolExhausted { size: 1, waited: Duration::ZERO }.into(), Outcome::NotSent),
        ] {
            assert_eq!(Outcome::of(&error), outcome, "{error}");
        }
    }

    #[test]
    fn durations_are_for_people() {
        for (microseconds, text) in [
            (250, "250 µs"),
            (12_345, "12 ms"),
            (999_999, "999 ms"),
            (1_000_400, "1 s"),
            (1_512_345, "1.5 s"),
            (9_990_000, "10 s"),
            (10_003_141, "10 s"),
        ] {
            assert_eq!(rounded(Duration::from_micros(microseconds)), text);
        }
    }

    #[test]
    fn what_the_caller_asks_too_much_of_is_no_timeout() {
        for error in [Error::TooManyWaiters { limit: 1 }, Error::PoolExhausted { size: 1, waited: Duration::ZERO }] {
            assert!(!RedisError::from(error).is_timeout());
        }
    }

    #[test]
    fn an_unknown_outcome_keeps_whether_it_was_a_timeout() {
        let timed_out = Error::OutcomeUnknown {
            command: "INCR".into(),
            address: "a:1".parse().unwrap(),
            source: io::Error::from(io::ErrorKind::TimedOut).into(),
        };
        assert!(timed_out.is_outcome_unknown());
        assert!(RedisError::from(timed_out).is_timeout());
    }

    #[test]
    fn a_foreign_redis_error_holds_none_of_ours() {
        assert!(Error::find(&RedisError::from((ErrorKind::Client, "x"))).is_none());
        assert!(Error::find(&io::Error::from(io::ErrorKind::BrokenPipe).into()).is_none());
    }
}
