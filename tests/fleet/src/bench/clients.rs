//! Floods of clients of one Sentinel that watches one small deployment.

use std::{io, net::SocketAddr, path::Path, time::Duration};

use sentinel_fleet::Fleet;
use sentinel_tests::Kind;

use crate::{
    floor::Floor,
    load::{self, Storm},
    stats::{Times, median},
    subject::{Subject, Usage},
};

/// Connections and questions at once, and how they are called.
pub(crate) const FORMS: [(&str, usize, usize); 3] =
    [("50 connections", 50, 1), ("50 connections, 16 in a pipeline", 50, 16), ("1000 connections", 1_000, 1)];
/// Clients that connect in the same instant.
pub(crate) const STORM: usize = 5_000;
/// Subscribers of one event.
pub(crate) const SUBSCRIBERS: usize = 2_000;
/// How often each load is measured, in turn with those of the others.
pub(crate) const ROUNDS: usize = 5;
/// The same for storms: more would use up the ports that connections leave from.
pub(crate) const STORMS: usize = 3;

/// What one Sentinel did for its clients. Each figure is the median of all rounds: other work of the machine disturbs
/// some of them.
pub(crate) struct Clients {
    /// MB with one master, before any client came.
    pub(crate) idle_memory: f64,
    /// One for each of [`FORMS`].
    pub(crate) loads: Vec<Load>,
    /// From the first connect to the last client's answer, in milliseconds.
    pub(crate) storm: f64,
    /// Clients that got no answer in the worst storm.
    pub(crate) storm_failed: usize,
    /// The last of all subscribers, in each round.
    pub(crate) fan_out: Times,
    /// MB after all that.
    pub(crate) memory_after: f64,
}

/// What came of one form of load.
pub(crate) struct Load {
    /// Answers a second.
    pub(crate) per_second: f64,
    /// Milliseconds.
    pub(crate) p99: f64,
    /// Microseconds of the Sentinel's processor time for each answer.
    pub(crate) cpu: f64,
}

/// Measures everything that clients see of each of these, each load lasting `time` in all. Beside them, the loads of a
/// program that only receives and sends.
pub(crate) fn measure(program: &Path, kinds: &[Kind], time: Duration) -> io::Result<(Vec<Clients>, Vec<Load>)> {
    let fields = kinds.iter().map(|kind| Field::start(program, *kind)).collect::<io::Result<Vec<_>>>()?;
    std::thread::sleep(Duration::from_secs(2));
    let idle = fields.iter().map(|field| field.subject.resident()).collect::<io::Result<Vec<_>>>()?;
    let floor = Floor::start(program)?;
    let mut servers: Vec<_> = fields.iter().map(|field| (field.subject.pid(), field.subject.addr())).collect();
    servers.push((floor.pid(), floor.addr));
    let mut loads: Vec<Vec<Load>> = servers.iter().map(|_| Vec::new()).collect();
    for (_, connections, pipeline) in FORMS {
        let rounds = in_turn(&servers, ROUNDS, |server| load(*server, connections, pipeline, time / ROUNDS as u32))?;
        for (all, rounds) in loads.iter_mut().zip(rounds) {
            let pick = |pick: fn(&Load) -> f64| median(rounds.iter().map(pick));
            all.push(Load { per_second: pick(|it| it.per_second), p99: pick(|it| it.p99), cpu: pick(|it| it.cpu) });
        }
    }
    let of_floor = loads.pop().unwrap_or_default();
    let storms = in_turn(&fields, STORMS, |field| load::storm(field.subject.addr(), STORM, Duration::from_secs(20)))?;
    let mut outcome = Vec::new();
    for (((field, idle_memory), loads), storms) in fields.iter().zip(idle).zip(loads).zip(storms) {
        let fan_out = load::fan_out(field.subject.addr(), SUBSCRIBERS, 10)?;
        std::thread::sleep(Duration::from_secs(1));
        outcome.push(Clients {
            idle_memory,
            loads,
            storm: median(storms.iter().filter_map(|storm: &Storm| storm.times.worst())),
            storm_failed: storms.iter().map(|storm| storm.failed).max().unwrap_or_default(),
            fan_out,
            memory_after: field.subject.resident()?,
        });
    }
    Ok((outcome, of_floor))
}

/// Does something with each, so often. Gives for each what came of it.
fn in_turn<S, T>(servers: &[S], rounds: usize, mut each: impl FnMut(&S) -> io::Result<T>) -> io::Result<Vec<Vec<T>>> {
    let mut outcome: Vec<Vec<T>> = servers.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for place in 0..servers.len() {
            // Nobody is always the first.
            let place = (place + round) % servers.len();
            outcome[place].push(each(&servers[place])?);
        }
    }
    Ok(outcome)
}

/// A Sentinel with a deployment of its own.
struct Field {
    subject: Subject,
    _fleet: Fleet,
}

impl Field {
    fn start(program: &Path, kind: Kind) -> io::Result<Self> {
        let fleet = Fleet::start(program, 1, 2, 2)?;
        let subject = Subject::start(kind, &fleet, 1, 1, &["down-after-milliseconds 2000"])?;
        subject.wait_until_it_acts(Duration::from_secs(60))?;
        Ok(Field { subject, _fleet: fleet })
    }
}

fn load((pid, addr): (u32, SocketAddr), connections: usize, pipeline: usize, time: Duration) -> io::Result<Load> {
    let before = Usage::of(pid)?;
    let outcome = load::full_speed(addr, connections, pipeline, time)?;
    let cpu = Usage::of(pid)?.cpu - before.cpu;
    Ok(Load {
        per_second: outcome.per_second,
        p99: outcome.times.quantile(0.99).unwrap_or_default(),
        cpu: cpu / outcome.answers.max(1) as f64,
    })
}
