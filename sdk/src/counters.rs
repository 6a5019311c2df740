//! Counts of what a pool did.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// The counters themselves; each is only ever raised.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)+
        }

        /// Counts since the pool was made, and the numbers of connections and waiters at this instant.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Statistics {
            $($(#[$doc])* pub $name: u64,)+
            /// Exclusive connections that are open, checked out or idle.
            pub connections_open: u64,
            /// Exclusive connections that wait in the pool.
            pub connections_idle: u64,
            /// Callers that wait for a verified master or an exclusive connection.
            pub waiters: u64,
        }

        impl Counters {
            pub(crate) fn read(&self) -> Statistics {
                Statistics {
                    $($name: self.$name.read(),)+
                    ..Statistics::default()
                }
            }
        }
    };
}

counters! {
    /// Commands and pipelines given to the pool's handles and connections.
    commands,
    /// Repetitions of commands, after a refusal or (idempotent ones) a lost connection.
    retries,
    /// Answers that refused a command without executing it: READONLY, MASTERDOWN, LOADING and their kind.
    refusals,
    /// Commands without an answer in time.
    timeouts,
    /// Commands reported to their callers as "outcome unknown".
    outcomes_unknown,
    /// Switches to another master, the first one included.
    switches,
    /// Times the verified master was lost.
    masters_lost,
    /// Nodes that were named the master and did not answer as one.
    candidates_rejected,
    /// `+switch-master` messages that arrived.
    pushes,
    /// Questions put to Sentinels.
    questions,
    /// Questions that brought no usable answer.
    questions_failed,
    /// Connections opened, to nodes and Sentinels.
    dials,
    /// Connections that could not be opened.
    dials_failed,
}

#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
