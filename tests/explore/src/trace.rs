//! A history, told again step by step.

use std::fmt::Write as _;

use crate::{action::Action, scenario::Scenario, table::Table, world::Outcome};

/// A history as text, and how it ends.
///
/// # Errors
///
/// If something cannot happen that should.
pub fn tell(scenario: &Scenario, history: &[Action]) -> Result<(String, Outcome), String> {
    let table = Table::default();
    let mut world = scenario.world(&table);
    let mut text = String::new();
    for (number, action) in history.iter().enumerate() {
        let mut possible = Vec::new();
        world.actions(&table, &mut possible);
        if !possible.contains(action) {
            let possible: Vec<String> = possible.iter().map(ToString::to_string).collect();
            return Err(format!("step {}: {action} cannot happen, but {}", number + 1, possible.join(" ")));
        }
        let _ = writeln!(text, "{:>3} {action:<4} {}", number + 1, action.words());
        let mut steps = Vec::new();
        let outcome = world.apply(*action, &table, &mut |who, id, stimulus| steps.push((who, id, stimulus)));
        for (who, id, stimulus) in steps {
            let (_, _, log) = table.local(id).told_step(stimulus, &table.words);
            for line in log {
                let _ = writeln!(text, "           {who} {line}");
            }
        }
        if outcome != Outcome::Fine {
            return Ok((text, outcome));
        }
    }
    Ok((text, Outcome::Fine))
}

/// What replays a history.
pub fn command(scenario: &Scenario, history: &[Action]) -> String {
    let steps: Vec<String> = history.iter().map(ToString::to_string).collect();
    format!("make explore ARGS=\"--world {} --replay '{}'\"", scenario.name, steps.join(" "))
}
