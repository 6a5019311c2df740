//! What a scrape of the metrics costs.

use std::{io, path::Path, time::Duration};

use sentinel_fleet::{Fleet, clock::Micros};
use sentinel_tests::{Kind, free_port, http::Http};

use crate::{
    stats::Times,
    subject::{Subject, Usage},
};

/// Between two scrapes: what the last one left behind is settled by then.
const BETWEEN: Duration = Duration::from_millis(500);

/// What scrapes of one Sentinel showed.
pub(crate) struct Scrapes {
    /// From the connect to the last byte.
    pub(crate) times: Times,
    /// Series of one scrape.
    pub(crate) series: usize,
    /// Its size in kB.
    pub(crate) size: f64,
    /// Processor time of the Sentinel while it was scraped, all that it did else included, in percent of a core.
    pub(crate) cpu: f64,
}

/// Scrapes ours so often while it watches so many masters with two replicas each.
pub(crate) fn measure(program: &Path, masters: usize, rounds: usize) -> io::Result<Scrapes> {
    let mut fleet = Fleet::start(program, masters, 2, 2)?;
    let port = free_port();
    let own = [format!("http-listen 127.0.0.1:{port}")];
    let lines = ["down-after-milliseconds 2000"];
    let subject = Subject::start_with(Kind::Ours, &fleet, masters, 1, &lines, &own)?;
    let limit = Duration::from_secs(300);
    while fleet.look()?.pinged < masters * 3 {
        if Micros::now().since(subject.started) > limit.as_micros() as u64 {
            return Err(io::Error::other("not all nodes were found"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    subject.wait_until_it_acts(limit)?;
    std::thread::sleep(Duration::from_secs(3));
    let http = Http::at(port);
    let mut scrapes = Scrapes { times: Times::default(), series: 0, size: 0.0, cpu: 0.0 };
    let before = Usage::of(subject.pid())?;
    for _ in 0..rounds {
        let begun = Micros::now();
        let answer = http.get("/metrics");
        scrapes.times.add(Micros::now().since(begun));
        if answer.status != 200 {
            return Err(io::Error::other(format!("the scrape was answered with {}", answer.status)));
        }
        scrapes.series = answer.body.lines().filter(|line| !line.starts_with('#')).count();
        scrapes.size = answer.body.len() as f64 / 1e3;
        std::thread::sleep(BETWEEN);
    }
    scrapes.cpu = Usage::of(subject.pid())?.percent_since(&before);
    Ok(scrapes)
}
