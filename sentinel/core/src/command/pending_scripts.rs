//! SENTINEL PENDING-SCRIPTS: what scripts run, or wait.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::table::{Does, Subcommand};
use crate::{
    time::{Instant, Now},
    view::{ScriptState, ScriptView, View},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Lists the scripts that run or wait.",
    since: Some("2.8.4"),
    complexity: None,
    help: &["PENDING-SCRIPTS", "    List the scripts that run, or wait for their first or next try."],
    ..Subcommand::admin("sentinel|pending-scripts", 2, Does::Answer(answer))
};

fn answer(_: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    Some(pending(&view.scripts, now.mono))
}

/// The calls that run or wait, oldest first, each a map.
fn pending(scripts: &[ScriptView], now: Instant) -> Reply {
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
