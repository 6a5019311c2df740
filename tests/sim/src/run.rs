//! Running one seed to its end.

use crate::{
    invariants::{
        CLEARED_WITHIN, Losses, Overruled, Seen, Violation, converged, count_losses, count_overruled, left_over,
        losses_are_bounded,
    },
    scenario::Scenario,
    time::{SEC, Time},
    trace::Detail,
};

/// How long each history is at least: ten minutes.
pub const LENGTH: Time = 600 * SEC;

/// How one history ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// The broken rule, if one was.
    pub violation: Option<Violation>,
    /// The digest of the history.
    pub digest: u64,
    /// How long after the last fault the world was at rest.
    pub rest_after: Option<Time>,
    /// Events that happened.
    pub steps: u64,
    /// Candidacies.
    pub elections: u64,
    /// Epochs in which somebody stood, and nobody was elected.
    pub undecided: u64,
    /// Replicas promoted.
    pub promotions: u64,
    /// From the death of a master that died alone to the first `+switch-master`, without down-after.
    pub failover_times: Vec<Time>,
    /// What became of the writes.
    pub losses: Losses,
    /// What became of those of masters that were overruled.
    pub overruled: Overruled,
    /// The log, if it was kept.
    pub lines: Vec<String>,
}

/// Runs a scenario. A panic, of an engine or of the world, is a broken rule as well.
pub fn run(scenario: &Scenario, detail: Detail) -> Outcome {
    std::panic::catch_unwind(|| live(scenario, detail)).unwrap_or_else(|panic| {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        Outcome {
            seed: scenario.seed,
            violation: Some(Violation { at: 0, rule: "nothing panics", what }),
            digest: 0,
            rest_after: None,
            steps: 0,
            elections: 0,
            undecided: 0,
            promotions: 0,
            failover_times: Vec::new(),
            losses: Losses::default(),
            overruled: Overruled::default(),
            lines: Vec::new(),
        }
    })
}

fn live(scenario: &Scenario, detail: Detail) -> Outcome {
    let mut world = scenario.build(detail);
    let mut rest_at: Option<Time> = None;
    let mut next_look = scenario.healed_at + SEC;
    let mut violation = None;
    let (mut seen, mut next_second) = (Seen::default(), 0);
    while let Some(now) = world.step() {
        if let Some(found) = world.physics.checks.violation() {
            violation = Some(found.clone());
            break;
        }
        if now >= next_second {
            next_second = now + SEC;
            if let Err(what) = seen.look(&mut world, now) {
                violation =
                    Some(Violation { at: now, rule: "a fault that lasts is a problem on those who can see it", what });
                break;
            }
        }
        if now < next_look {
            continue;
        }
        next_look = now + SEC;
        match converged(&mut world, scenario.healed_at) {
            Ok(()) => {
                rest_at.get_or_insert(now);
            }
            Err(_) if now < scenario.deadline => rest_at = None,
            Err(what) => {
                let rule = "after the faults end, all agree and everything works within bounded time";
                violation = Some(Violation { at: now, rule, what });
                break;
            }
        }
        if let Some(at) = rest_at.filter(|at| now > at + 5 * SEC && now >= LENGTH) {
            match left_over(&mut world) {
                None => break,
                Some(_) if now < at + CLEARED_WITHIN => {}
                Some(what) => {
                    violation = Some(Violation { at: now, rule: "at rest nothing is listed as a problem", what });
                    break;
                }
            }
        }
    }
    let losses = if violation.is_none() { count_losses(&world) } else { Losses::default() };
    if violation.is_none() && losses.guarded > 0 {
        violation = Some(Violation {
            at: world.physics.now(),
            rule: "no write that every replica had acknowledged is lost",
            what: format!("{} of {} are lost", losses.guarded, losses.acknowledged),
        });
    }
    if violation.is_none()
        && scenario.keeps_files()
        && let Err(what) = losses_are_bounded(&world)
    {
        let rule = "with all replicas in min-replicas-to-write, a failover loses what was acknowledged last";
        violation = Some(Violation { at: world.physics.now(), rule, what });
    }
    let overruled = if violation.is_none() { count_overruled(&mut world) } else { Overruled::default() };
    if violation.is_none() && overruled.unreported > 0 {
        let rule = "no write of an overruled master comes back unreported";
        let what = format!("{} of {} that were acknowledged", overruled.unreported, overruled.acknowledged);
        violation = Some(Violation { at: world.physics.now(), rule, what });
    }
    if violation.is_none() && losses.unguarded > 0 && scenario.moves_only() {
        violation = Some(Violation {
            at: world.physics.now(),
            rule: "no acknowledged write is lost when a master that is well is moved",
            what: format!("{} of {} are lost", losses.unguarded, losses.acknowledged),
        });
    }
    Outcome {
        seed: scenario.seed,
        violation,
        digest: world.physics.trace.digest(),
        rest_after: rest_at.map(|at| at.saturating_sub(scenario.healed_at)),
        steps: world.steps,
        elections: world.physics.checks.elections,
        undecided: world.physics.checks.undecided(),
        promotions: world.physics.checks.promotions,
        failover_times: (world.physics.checks.failover_times.iter())
            .map(|time| time.saturating_sub(scenario.down_after))
            .collect(),
        losses,
        overruled,
        lines: world.physics.trace.lines().to_vec(),
    }
}
