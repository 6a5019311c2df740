//! How many files and connections this process may have, and for whom the last of them are kept.
//!
//! The system gives the lowest free number to each new descriptor, so a high number says that few are left. What is
//! watched comes before clients, and both leave enough for writing the state and for telling clients why they are
//! turned away. In the reference the first who comes takes the last one: instances that cannot be dialled are then
//! declared down, and the log says nothing.

use std::{os::fd::RawFd, sync::OnceLock};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// For whom a descriptor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// An instance that is dialled for the first time.
    #[default]
    Link,
    /// An instance that has been connected before: what is watched already goes on being watched.
    LinkAgain,
    /// A client.
    Client,
}

impl Purpose {
    /// How many descriptors are left to others.
    const fn leaves(self) -> u64 {
        match self {
            // The state file, its folder, connections that are refused.
            Purpose::LinkAgain => 16,
            Purpose::Link => 32,
            // Links that are made anew.
            Purpose::Client => 64,
        }
    }
}

/// Whether a fresh descriptor is one of those that are kept for others: then it is to be closed.
pub(crate) fn is_kept_from(purpose: Purpose, fresh: RawFd) -> bool {
    static LIMIT: OnceLock<Option<u64>> = OnceLock::new();
    let limit = LIMIT.get_or_init(|| getrlimit(Resource::Nofile).current);
    let number = u64::try_from(fresh).unwrap_or(0);
    // With a limit as low as that nothing can be kept.
    limit.is_some_and(|limit| limit > 2 * purpose.leaves() && number >= limit - purpose.leaves())
}

/// How the limit was raised, to be said when there is a log.
#[derive(Debug)]
pub(crate) struct Raised {
    before: Rlimit,
    outcome: rustix::io::Result<()>,
}

impl Raised {
    /// Says it.
    pub(crate) fn say(&self) {
        let Rlimit { current, maximum } = self.before;
        match self.outcome {
            Ok(()) => tracing::debug!(?current, ?maximum, "raised the limit of open files"),
            Err(error) => tracing::warn!(%error, "the limit of open files stays at {current:?}"),
        }
    }
}

/// Raises the limit as far as the system lets it be. None: it is there already. To be called before anything is connected.
pub(crate) fn raise_limit() -> Option<Raised> {
    let before = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: before.maximum, ..before };
    (before.current != before.maximum).then(|| Raised { outcome: setrlimit(Resource::Nofile, wanted), before })
}

/// Has the system make room in its table for `count` descriptors. To be called while there is one thread only.
///
/// Linux doubles the table when it is full. Where several threads share it, it waits until no processor can still look at
/// the old one (an RCU grace period): tens of milliseconds, hundreds on a busy machine, in which the thread that connects or
/// accepts stands still. It is never made smaller, and costs 8 bytes a descriptor.
pub(crate) fn make_table(count: u64) {
    let last = getrlimit(Resource::Nofile).current.map_or(count, |limit| limit.min(count)).saturating_sub(1);
    let Ok(last) = RawFd::try_from(last) else { return };
    // Refused, it is no worse than before.
    if let Ok(any) = std::fs::File::open("/dev/null") {
        drop(rustix::io::fcntl_dupfd_cloexec(&any, last));
    }
}
