//! The table, and the same as JSON.

use std::{fmt, time::SystemTime};

use sentinel_tests::Kind;
use serde::Serialize;

/// What was measured, where and with what.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    date: String,
    cores: usize,
    ours: String,
    reference: String,
    /// How long it took, in seconds.
    pub(crate) seconds: u64,
    rows: Vec<Row>,
    /// What a reader should know of single rows.
    notes: Vec<String>,
}

/// One figure of both.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    unit: &'static str,
    ours: Option<f64>,
    reference: Option<f64>,
    /// How many times better ours is: less time, less memory, more answers.
    ratio: Option<f64>,
    target: Option<Target>,
    reached: Option<bool>,
}

/// What ours has to reach.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) enum Target {
    /// This value, or less.
    AtMost(f64),
    /// This value or less, and so many times less than the reference.
    LessAndBetter(f64, f64),
    /// So much of the reference's value at most.
    OfReferenceAtMost(f64),
    /// So much of the reference's value at least.
    OfReferenceAtLeast(f64),
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            date: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            ours: Kind::Ours.version(),
            reference: Kind::Reference.version(),
            seconds: 0,
            rows: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Adds a figure of which less is better, or more if the target says so.
    pub(crate) fn add(
        &mut self,
        what: impl Into<String>,
        unit: &'static str,
        ours: Option<f64>,
        reference: Option<f64>,
        target: Option<Target>,
    ) {
        let more_is_better = unit == "a second";
        let ratio = ours
            .zip(reference)
            .map(|(ours, reference)| if more_is_better { ours / reference } else { reference / ours });
        let reached = target.and_then(|target| {
            let Some(ours) = ours else { return Some(false) };
            match (target, reference) {
                (Target::AtMost(limit), _) | (Target::LessAndBetter(limit, _), None) => Some(ours <= limit),
                (Target::LessAndBetter(limit, times), Some(reference)) => {
                    Some(ours <= limit && reference / ours >= times)
                }
                (Target::OfReferenceAtMost(share), Some(reference)) => Some(ours <= reference * share),
                (Target::OfReferenceAtLeast(share), Some(reference)) => Some(ours >= reference * share),
                (_, None) => None,
            }
        });
        let what = what.into();
        eprintln!("  {what}: {} / {} {unit}", number(ours), number(reference));
        self.rows.push(Row { what, unit, ours, reference, ratio, target, reached });
    }

    /// Adds what a reader should know.
    pub(crate) fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Emulated data nodes, 2 replicas a master, one Sentinel with quorum 1, down after 2000 ms, unless said \
             otherwise; {}, {} cores, {} s.",
            self.date, self.cores, self.seconds
        )?;
        writeln!(f, "\n- ours: {}\n- reference: {}\n", self.ours, self.reference)?;
        writeln!(f, "| | unit | sentinel | redis-sentinel | times better | to reach |")?;
        writeln!(f, "|---|---|---:|---:|---:|---|")?;
        for row in &self.rows {
            let verdict = match row.reached {
                Some(true) => "reached",
                Some(false) => "**missed**",
                None => "",
            };
            let target = row.target.map(|target| target.to_string()).unwrap_or_default();
            let separator = if target.is_empty() || verdict.is_empty() { "" } else { ": " };
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {target}{separator}{verdict} |",
                row.what,
                row.unit,
                number(row.ours),
                number(row.reference),
                number(row.ratio.filter(|ratio| ratio.is_finite() && (0.0..10_000.0).contains(ratio))),
            )?;
        }
        if !self.notes.is_empty() {
            writeln!(f)?;
        }
        for note in &self.notes {
            writeln!(f, "- {note}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::AtMost(limit) => write!(f, "{}", number(Some(*limit))),
            Target::LessAndBetter(limit, times) => write!(f, "{}, {times}x", number(Some(*limit))),
            Target::OfReferenceAtMost(share) => write!(f, "at most {share:.1}x the reference's"),
            Target::OfReferenceAtLeast(share) => write!(f, "at least {share:.1}x the reference's"),
        }
    }
}

fn number(value: Option<f64>) -> String {
    match value {
        None => "–".to_owned(),
        Some(value) if value.abs() >= 1_000.0 => format!("{value:.0}"),
        Some(value) if value.abs() >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(ours: f64, reference: f64, unit: &'static str, target: Target) -> String {
        let mut report = Report::new();
        report.add("x", unit, Some(ours), Some(reference), Some(target));
        report.to_string().lines().find(|line| line.starts_with("| x")).expect("a row").to_owned()
    }

    #[test]
    fn a_figure_that_is_missed_is_said_to_be_missed() {
        assert!(line(2.0, 10.0, "s", Target::AtMost(1.0)).contains("| 5.00 | 1.00: **missed** |"));
        assert!(line(2.0, 30.0, "s", Target::LessAndBetter(2.0, 10.0)).contains("2.00, 10x: reached"));
        assert!(line(2.0, 10.0, "s", Target::LessAndBetter(2.0, 10.0)).contains("missed"));
        assert!(line(9.0, 10.0, "MB", Target::OfReferenceAtMost(0.8)).contains("missed"));
        assert!(line(20_000.0, 10_000.0, "a second", Target::OfReferenceAtLeast(1.5)).contains("| 2.00 |"));
    }
}
