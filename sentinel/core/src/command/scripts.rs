//! PENDING-SCRIPTS.

use sentinel_resp::Reply;

use crate::{
    time::Instant,
    view::{ScriptState, ScriptView},
};

/// The calls that run or wait, oldest first, each a map.
pub(super) fn pending(scripts: &[ScriptView], now: Instant) -> Reply {
    Reply::Array(scripts.iter().map(|script| one(script, now)).collect())
}

fn one(script: &ScriptView, now: Instant) -> Reply {
    let argv = std::iter::once(Reply::display(&script.path)).chain(script.args.iter().map(Reply::display));
    let (flags, pid, time, ms) = match script.state {
        // Told to begin, and on its way: it has no process yet.
        ScriptState::Running { pid: 0, .. } => ("scheduled", 0, "run-delay", std::time::Duration::ZERO),
        ScriptState::Running { since, pid } => ("running", pid, "run-time", now.since(since)),
        ScriptState::Scheduled { due } => ("scheduled", 0, "run-delay", due.since(now)),
    };
    Reply::Map(vec![
        (Reply::from("argv"), Reply::Array(argv.collect())),
        (Reply::from("flags"), Reply::from(flags)),
        (Reply::from("pid"), Reply::display(pid)),
        (Reply::from(time), Reply::display(ms.as_millis())),
        (Reply::from("retry-num"), Reply::display(script.starts)),
    ])
}
