//! Known weaknesses of redis-sentinel, where they are cheap to show: each test shows one on the real redis-sentinel, and that ours
//! does not share it. docs/weaknesses.md has the table of all of them.

mod hostile_messages;
mod role_change_refused;
mod save_that_fails;

use std::time::Duration;

use sentinel_tests::{Deployment, Kind};

/// The name of the only master.
const NAME: &str = "mymaster";
/// Longer than anything takes that is waited for here.
const SOON: Duration = Duration::from_secs(15);
/// For so long nothing must happen. A Sentinel that took a message did so within milliseconds.
const A_WHILE: Duration = Duration::from_secs(1);

/// One Sentinel of that kind with a master and a replica.
fn lone(kind: Kind) -> Deployment {
    Deployment::of(&[kind]).replicas(1).quorum(1).start()
}

/// An id that no Sentinel here has.
fn id(of: char) -> String {
    of.to_string().repeat(40)
}
