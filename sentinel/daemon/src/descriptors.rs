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

/// Raises the limit as far as the system lets it be. To be called before anything is connected.
pub(crate) fn raise_limit() {
    let before = getrlimit(Resource::Nofile);
    if before.current == before.maximum {
        return;
    }
    match setrlimit(Resource::Nofile, Rlimit { current: before.maximum, ..before }) {
        Ok(()) => tracing::debug!(?before.current, ?before.maximum, "raised the limit of open files"),
        Err(error) => tracing::warn!(%error, "the limit of open files stays at {:?}", before.current),
    }
}
