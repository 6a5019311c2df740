//! What a run has shown.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::Duration;

use crate::cast::Cast;
use crate::episode::Outcome;
use crate::host::Role;

/// One deployment through all its episodes.
#[derive(Debug)]
pub(crate) struct Report {
    deployment: &'static str,
    seed: u64,
    lasted: Duration,
    episodes: usize,
    faults: BTreeMap<String, usize>,
    failovers: usize,
    healed: Vec<Duration>,
    disagreements: Vec<String>,
    guarded_losses: usize,
    applications: Vec<ApplicationReport>,
}

#[derive(Debug)]
struct ApplicationReport {
    name: String,
    acknowledged: usize,
    kept: usize,
    lost: usize,
    failed: u64,
    longest_gap: Duration,
    longest_idle: Option<Duration>,
}

impl Report {
    pub(crate) fn of(deployment: &'static str, seed: u64) -> Self {
        Self {
            deployment,
            seed,
            lasted: Duration::ZERO,
            episodes: 0,
            faults: BTreeMap::new(),
            failovers: 0,
            healed: Vec::new(),
            disagreements: Vec::new(),
            guarded_losses: 0,
            applications: Vec::new(),
        }
    }

    pub(crate) fn add(&mut self, outcome: Outcome) {
        self.episodes += 1;
        for fault in outcome.faults {
            *self.faults.entry(fault).or_default() += 1;
        }
        self.healed.extend(outcome.healed);
        self.disagreements.extend(outcome.disagreement);
        self.guarded_losses += outcome.missing.guarded.len();
    }

    /// Whether it must not be so.
    pub(crate) fn has_failed(&self) -> bool {
        !self.disagreements.is_empty() || self.guarded_losses > 0
    }

    /// Reads off what is known at the end only.
    pub(crate) fn finish(&mut self, cast: &Cast, lasted: Duration) {
        self.lasted = lasted;
        // Only the leader says so, once for each promotion.
        self.failovers = cast
            .of(Role::Sentinel)
            .map(|host| {
                let log = fs::read(&host.log).unwrap_or_default();
                String::from_utf8_lossy(&log).lines().filter(|line| line.contains("+promoted-slave")).count()
            })
            .sum();
        self.applications = cast
            .promised()
            .iter()
            .map(|writes| ApplicationReport {
                name: writes.application.clone(),
                acknowledged: writes.acknowledged(),
                kept: writes.kept(),
                lost: writes.lost().0,
                failed: writes.failed(),
                longest_gap: writes.longest_gap(),
                longest_idle: writes.longest_idle(),
            })
            .collect();
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}: seed {}, {} s, {} episodes, {} failovers",
            self.deployment,
            self.seed,
            self.lasted.as_secs(),
            self.episodes,
            self.failovers
        )?;
        let faults: Vec<String> = self.faults.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
        writeln!(f, "  faults: {}", faults.join(", "))?;
        let mut healed = self.healed.clone();
        healed.sort();
        if let (Some(median), Some(worst)) = (healed.get(healed.len() / 2), healed.last()) {
            writeln!(
                f,
                "  healed after the last fault: median {} ms, worst {} ms",
                median.as_millis(),
                worst.as_millis()
            )?;
        }
        for application in &self.applications {
            let ApplicationReport { name, acknowledged, kept, lost, failed, longest_gap, longest_idle } = application;
            write!(
                f,
                "  {name}: {acknowledged} writes acknowledged, {lost} of them lost, {failed} refused or unanswered; \
                 longest gap {} ms",
                longest_gap.as_millis()
            )?;
            if let Some(idle) = longest_idle {
                write!(f, ", {} ms where a client that connects anew for each write could", idle.as_millis())?;
            }
            if *kept > 0 {
                write!(f, "; {kept} of them every replica had (WAIT), {} of these lost", self.guarded_losses)?;
            }
            writeln!(f)?;
        }
        if self.guarded_losses == 0 {
            writeln!(f, "  with WAIT for every replica none would have been lost")?;
        }
        match self.disagreements.as_slice() {
            [] => writeln!(f, "  disagreements after healing: none"),
            all => {
                writeln!(f, "  DISAGREEMENTS after healing: {}", all.len())?;
                all.iter().try_for_each(|state| writeln!(f, "    {state}"))
            }
        }
    }
}
