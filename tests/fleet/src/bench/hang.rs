//! Masters that hang: three Sentinels, and how long a quorum of them takes to notice.

use std::{io, path::Path, time::Duration};

use sentinel_fleet::Fleet;
use sentinel_tests::{EventRecorder, Kind};

use crate::{stats::Times, subject::Subject};

const SENTINELS: usize = 3;
const QUORUM: usize = 2;
/// Between two hangs: they meet the Sentinels' periods at all phases.
const BETWEEN: Duration = Duration::from_millis(137);
const LIMIT: Duration = Duration::from_secs(15);

/// From the hang of a master to the quorum-th `+sdown`, of `masters` masters one after the other.
pub(crate) fn measure(program: &Path, kind: Kind, masters: usize) -> io::Result<Times> {
    let mut fleet = Fleet::start(program, masters, 2, 2 * SENTINELS)?;
    let lines = ["down-after-milliseconds 1000", "failover-timeout 60000"];
    let mut subjects = Vec::new();
    for _ in 0..SENTINELS {
        subjects.push(Subject::start(kind, &fleet, masters, QUORUM, &lines)?);
    }
    for subject in &subjects {
        let mut client = subject.client()?;
        let begun = std::time::Instant::now();
        loop {
            let answer = client.ask(&["INFO", "sentinel"])?;
            let text = answer.as_text().unwrap_or_default().to_owned();
            if text.matches("slaves=2,sentinels=3").count() == masters && text.contains("sentinel_tilt:0") {
                break;
            }
            if begun.elapsed() > LIMIT {
                return Err(io::Error::other(format!("the Sentinels do not find each other: {text}")));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    std::thread::sleep(Duration::from_secs(2));
    let events: Vec<EventRecorder> = subjects.iter().map(|subject| EventRecorder::start(subject.port)).collect();
    let mut hung = Vec::new();
    for group in 0..masters {
        hung.push(std::time::Instant::now());
        fleet.hang(&[fleet.node(group, 0)])?;
        std::thread::sleep(BETWEEN);
    }
    let mut times = Times::default();
    for (group, hung) in hung.into_iter().enumerate() {
        let wanted = format!("master m{group} ");
        let down = loop {
            let mut seen: Vec<_> = events
                .iter()
                .filter_map(|recorder| recorder.find("+sdown", |payload| payload.starts_with(&wanted)))
                .map(|event| event.at)
                .collect();
            seen.sort();
            if let Some(at) = seen.get(QUORUM - 1) {
                break *at;
            }
            if hung.elapsed() > LIMIT {
                return Err(io::Error::other(format!("a quorum does not notice that m{group} hangs")));
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        times.add(u64::try_from(down.duration_since(hung).as_micros()).unwrap_or(u64::MAX));
    }
    Ok(times)
}
