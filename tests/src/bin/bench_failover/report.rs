//! The table, and the same as JSON.

use std::fmt;
use std::time::SystemTime;

use sentinel_tests::Kind;
use sentinel_tests::programs;
use serde::Serialize;

use crate::measure::Samples;

/// What was measured, where and with what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    cores: usize,
    versions: Versions,
    rows: Vec<Row>,
}

/// What the programs say of themselves.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Versions {
    ours: String,
    reference: String,
    data_nodes: String,
}

impl Versions {
    /// Of the programs that the fixtures run.
    pub(crate) fn found() -> Self {
        Self {
            ours: Kind::Ours.version(),
            reference: Kind::Reference.version(),
            data_nodes: programs::version_of(&programs::redis_server()),
        }
    }
}

/// One measured time. All values are milliseconds.
#[derive(Debug, Serialize)]
struct Row {
    what: &'static str,
    /// What the median of ours must not exceed.
    at_most: Option<f64>,
    ours: Summary,
    reference: Summary,
    /// The reference's median over ours.
    ratio: f64,
}

#[derive(Debug, Serialize)]
struct Summary {
    median: f64,
    worst: f64,
    samples: Vec<f64>,
}

impl Report {
    pub(crate) fn new(versions: Versions, ours: &Samples, reference: &Samples) -> Self {
        let row = |what, at_most, pick: fn(&Samples) -> &Vec<f64>| {
            let ours = Summary::of(pick(ours));
            let reference = Summary::of(pick(reference));
            Row { what, at_most, ratio: reference.median / ours.median, ours, reference }
        };
        Self {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            versions,
            rows: vec![
                row("SIGKILL of the master to the quorum-th `+sdown`", None, |samples| &samples.kill_to_down),
                row("quorum-th `+sdown` to the first write the new master accepts", Some(50.0), |samples| {
                    &samples.down_to_write
                }),
                row(
                    "quorum-th `+sdown` to the first write of an application that asks the Sentinels",
                    Some(50.0),
                    |samples| &samples.down_to_application,
                ),
                row("SIGKILL to the first write of an application that asks the Sentinels", None, |samples| {
                    &samples.kill_to_application
                }),
                row("`SENTINEL FAILOVER` to the first write the new master accepts", Some(100.0), |samples| {
                    &samples.forced_to_write
                }),
                row("`SENTINEL FAILOVER` to the application's first write to the new master", Some(100.0), |samples| {
                    &samples.forced_to_application
                }),
                row(
                    "the new master's first accepted write to the old one's first refused write",
                    Some(100.0),
                    |samples| &samples.write_to_demoted,
                ),
                row("a returning old master: first answer to first refused write", Some(1000.0), |samples| {
                    &samples.return_to_fenced
                }),
            ],
        }
    }
}

impl Summary {
    fn of(samples: &[f64]) -> Self {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[middle],
            _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
        };
        Self { median, worst: sorted.last().copied().unwrap_or(f64::NAN), samples: samples.to_vec() }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounds = self.rows.first().map_or(0, |row| row.ours.samples.len());
        writeln!(
            f,
            "One master, two replicas, three Sentinels, quorum 2, down after 1000 ms; {rounds} rounds each, in turn; {}, {} cores.",
            self.date, self.cores
        )?;
        writeln!(f, "\n- ours: {}", self.versions.ours)?;
        writeln!(f, "- reference: {}", self.versions.reference)?;
        writeln!(f, "- data nodes: {}\n", self.versions.data_nodes)?;
        writeln!(f, "| milliseconds | sentinel: median | worst | redis-sentinel: median | worst | ratio | to reach |")?;
        writeln!(f, "|---|---:|---:|---:|---:|---:|---|")?;
        for row in &self.rows {
            writeln!(
                f,
                "| {} | {:.1} | {:.1} | {:.1} | {:.1} | {} | {} |",
                row.what,
                row.ours.median,
                row.ours.worst,
                row.reference.median,
                row.reference.worst,
                ratio(row.ratio),
                verdict(row)
            )?;
        }
        Ok(())
    }
}

/// A ratio says nothing where ours took no measurable time.
fn ratio(value: f64) -> String {
    if value.is_finite() && (0.0..10_000.0).contains(&value) { format!("{value:.1}") } else { "–".to_owned() }
}

fn verdict(row: &Row) -> String {
    match row.at_most {
        None => String::new(),
        Some(limit) if row.ours.median <= limit => format!("{limit:.0}: reached"),
        Some(limit) => format!("{limit:.0}: **missed**"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        let summary = Summary::of(&[4.0, 1.0, 3.0, 100.0]);
        assert!((summary.median - 3.5).abs() < 1e-9);
        assert!((summary.worst - 100.0).abs() < 1e-9);
    }

    #[test]
    fn a_figure_that_is_missed_is_said_to_be_missed() {
        let samples = |value| Samples { down_to_write: vec![value], ..Samples::default() };
        let table = Report::new(Versions::default(), &samples(80.0), &samples(1000.0)).to_string();
        assert!(table.contains("50: **missed**"), "{table}");
        let table = Report::new(Versions::default(), &samples(20.0), &samples(1000.0)).to_string();
        assert!(table.contains("| 20.0 | 20.0 | 1000.0 | 1000.0 | 50.0 | 50: reached |"), "{table}");
    }
}
