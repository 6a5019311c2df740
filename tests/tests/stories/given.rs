//! What several stories begin with or ask for.

use std::time::Duration;

use sentinel_tests::{Deployment, EventRecorder, Kind, SentinelProcess};

/// More than anything that is bound to happen takes.
pub(crate) const SOON: Duration = Duration::from_secs(15);

/// A switch is told with the old and the new address; whether `payload` is that of `name` from one port to another.
pub(crate) fn is_switch(payload: &str, name: &str, from: u16, to: u16) -> bool {
    payload == format!("{name} 127.0.0.1 {from} 127.0.0.1 {to}")
}

/// Waits until every Sentinel has told that the master moved from one port to another.
#[track_caller]
pub(crate) fn wait_until_all_tell_the_switch(recorders: &[EventRecorder], name: &str, from: u16, to: u16) {
    for recorder in recorders {
        recorder.wait_for("+switch-master", |payload| is_switch(payload, name, from, to), SOON);
    }
}

/// Records the events of every Sentinel, in their order.
pub(crate) fn record_all(deployment: &Deployment) -> Vec<EventRecorder> {
    deployment.sentinels().iter().map(SentinelProcess::record).collect()
}

/// The positions of the Sentinels that were elected so far.
pub(crate) fn leaders(recorders: &[EventRecorder]) -> Vec<usize> {
    recorders
        .iter()
        .enumerate()
        .filter(|(_, recorder)| recorder.count("+elected-leader") > 0)
        .map(|(index, _)| index)
        .collect()
}

/// Whether the story is to be left out because redis-sentinel, whom it is told about, is known to fail; says why.
pub(crate) fn only_true_of_ours(why: &str) -> bool {
    let skip = Kind::under_test() == Kind::Reference;
    if skip {
        eprintln!("skipped with redis-sentinel: {why}");
    }
    skip
}
