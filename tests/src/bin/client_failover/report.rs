//! The table.

use std::fmt;
use std::time::{Duration, SystemTime};

use sentinel_tests::Kind;

use crate::clients::Client;
use crate::round::Outcome;

/// What was seen of all clients.
#[derive(Debug)]
pub(crate) struct Report {
    rounds: u32,
    rows: Vec<Row>,
    /// All clients saw the same failovers.
    together: bool,
}

/// What was seen of one client.
#[derive(Debug)]
pub(crate) struct Row {
    client: Client,
    version: String,
    ours: Vec<Outcome>,
    reference: Vec<Outcome>,
}

impl Row {
    pub(crate) fn of(client: Client, version: String) -> Self {
        Self { client, version, ours: Vec::new(), reference: Vec::new() }
    }

    pub(crate) fn client(&self) -> Client {
        self.client
    }

    pub(crate) fn name(&self) -> &'static str {
        self.client.name()
    }

    pub(crate) fn add(&mut self, kind: Kind, outcome: Outcome) {
        match kind {
            Kind::Ours => self.ours.push(outcome),
            Kind::Reference => self.reference.push(outcome),
        }
    }
}

impl Report {
    pub(crate) fn of(rounds: u32, rows: Vec<Row>) -> Self {
        Self { rounds, rows, together: false }
    }

    /// Of clients that saw the same failovers.
    pub(crate) fn together(rounds: u32, rows: Vec<Row>) -> Self {
        Self { rounds, rows, together: true }
    }

    /// Whether every client wrote again in every round.
    pub(crate) fn all_recovered(&self) -> bool {
        self.rows.iter().flat_map(|row| row.ours.iter().chain(&row.reference)).all(|outcome| outcome.gap.is_some())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        writeln!(
            f,
            "SIGKILL of the master under {}; three Sentinels, quorum 2, down after 1000 ms; {} failovers each; \
             {}, {cores} cores; {}, {}; `make {}`.\n",
            if self.together { "1,000 writes a second of each client at the same time" } else { "500 writes a second" },
            self.rounds,
            humantime::format_rfc3339_seconds(SystemTime::now()),
            Kind::Ours.version(),
            Kind::Reference.version().split(" sha=").next().unwrap_or_default(),
            if self.together { "bench-sdk-gap" } else { "test-clients" }
        )?;
        writeln!(
            f,
            "| client | version | longest gap with ours | with redis-sentinel | failed: ours | redis-sentinel | \
             lost: ours | redis-sentinel |"
        )?;
        writeln!(f, "|---|---|---:|---:|---:|---:|---:|---:|")?;
        for row in &self.rows {
            writeln!(
                f,
                "| {} | {} | {} | {} | {} | {} | {} | {} |",
                row.name(),
                row.version,
                gap(&row.ours),
                gap(&row.reference),
                sum(&row.ours, |outcome| outcome.failed),
                sum(&row.reference, |outcome| outcome.failed),
                sum(&row.ours, |outcome| outcome.lost),
                sum(&row.reference, |outcome| outcome.lost)
            )?;
        }
        Ok(())
    }
}

/// The longest of all rounds in milliseconds: what a user of that client must reckon with.
fn gap(outcomes: &[Outcome]) -> String {
    let gaps: Option<Vec<Duration>> = outcomes.iter().map(|outcome| outcome.gap).collect();
    match gaps.and_then(|gaps| gaps.into_iter().max()) {
        Some(longest) => format!("{} ms", longest.as_millis()),
        None => "**does not recover**".to_owned(),
    }
}

fn sum(outcomes: &[Outcome], pick: fn(&Outcome) -> usize) -> usize {
    outcomes.iter().map(pick).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(milliseconds: Option<u64>) -> Outcome {
        Outcome { gap: milliseconds.map(Duration::from_millis), failed: 2, lost: 1 }
    }

    #[test]
    fn a_client_that_did_not_recover_once_is_said_not_to() {
        let mut row = Row::of(Client::Fred, "1.0".to_owned());
        row.add(Kind::Ours, outcome(Some(900)));
        row.add(Kind::Reference, outcome(Some(2000)));
        assert!(Report::of(1, vec![row]).all_recovered());

        let mut row = Row::of(Client::Fred, "1.0".to_owned());
        row.add(Kind::Ours, outcome(Some(900)));
        row.add(Kind::Ours, outcome(None));
        assert!(!Report::together(2, vec![row]).all_recovered());
        assert_eq!(gap(&[outcome(Some(900)), outcome(None)]), "**does not recover**");
        assert_eq!(gap(&[outcome(Some(900)), outcome(Some(1100))]), "1100 ms");
    }
}
