//! Scripts that operators name: who is called for what, in which order, how often, for how long.
//!
//! The notification script of a master hears every warning event about it; its client reconfiguration script hears
//! every switch. The runtime starts them, as it is told; whether and when is decided here. The rules are the
//! reference's: a queue of [`MAX_JOBS`], [`MAX_RUNNING`] at once, a retry when a script asks for it.
//!
//! A departure: the scripts of one master and kind begin in the order of what they tell, and one has [`HEAD_START`]
//! before the next begins beside it. The reference starts up to 16 at once, and the operating system shuffles them:
//! the script that tells of `+switch-master` may be overtaken by the one that tells of `+sdown`.

mod call;
mod job;
mod queue;

use std::time::Duration;

pub(crate) use call::Role;
pub(crate) use job::{Failing, Kind};
pub use job::{JobId, ScriptEnd, ScriptFault};
pub(crate) use queue::Queue;

/// How many jobs there may be, running ones included. One more pushes out the oldest that does not run.
pub(crate) const MAX_JOBS: usize = 256;

/// How many scripts may run at the same time.
pub(crate) const MAX_RUNNING: usize = 16;

/// How often a script that fails is started, in all.
pub(crate) const MAX_STARTS: u32 = 10;

/// How long a script may run before the next of the same master and kind begins beside it. More than a script needs
/// that does its work; one that hangs holds up what follows by this much, not by the longest run.
pub(crate) const HEAD_START: Duration = Duration::from_secs(1);

/// The pause before another try when the system has no process to give. The reference tries at each tick.
pub(crate) const NO_PROCESS_PAUSE: Duration = Duration::from_secs(1);
