//! Floods of clients of one Sentinel that watches one small deployment.

use std::{io, path::Path, time::Duration};

use sentinel_fleet::Fleet;
use sentinel_tests::Kind;

use crate::{
    load::{self, Outcome, Storm},
    stats::Times,
    subject::Subject,
};

/// Clients that connect in the same instant.
pub(crate) const STORM: usize = 5_000;
/// Subscribers of one event.
pub(crate) const SUBSCRIBERS: usize = 2_000;

/// What one Sentinel did for its clients.
pub(crate) struct Clients {
    /// MB with one master, before any client came.
    pub(crate) idle_memory: f64,
    /// 50 connections; the same with 16 questions at once; 1,000 connections.
    pub(crate) loads: [Outcome; 3],
    pub(crate) storm: Storm,
    /// The last of all subscribers, in each round.
    pub(crate) fan_out: Times,
    /// MB after all that.
    pub(crate) memory_after: f64,
}

/// Measures everything that clients see.
pub(crate) fn measure(program: &Path, kind: Kind, time: Duration) -> io::Result<Clients> {
    let fleet = Fleet::start(program, 1, 2, 2)?;
    let subject = Subject::start(kind, &fleet, 1, 1, &["down-after-milliseconds 2000"])?;
    subject.wait_until_it_acts(Duration::from_secs(60))?;
    std::thread::sleep(Duration::from_secs(2));
    let idle_memory = subject.resident()?;
    let at = subject.addr();
    let loads = [
        load::full_speed(at, 50, 1, time)?,
        load::full_speed(at, 50, 16, time)?,
        load::full_speed(at, 1_000, 1, time)?,
    ];
    let storm = load::storm(at, STORM, Duration::from_secs(20))?;
    let fan_out = load::fan_out(at, SUBSCRIBERS, 10)?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(Clients { idle_memory, loads, storm, fan_out, memory_after: subject.resident()? })
}
