//! Fewer faults that still break a rule.

use crate::{run::run, scenario::Scenario, trace::Detail};

/// Leaves out fault after fault as long as the same rule is broken. Returns the numbers of those that are needed.
pub fn shrink(seed: u64) -> Vec<usize> {
    let full = Scenario::of(seed);
    let Some(wanted) = run(&full, Detail::None).violation.map(|it| it.rule) else { return Vec::new() };
    let fails = |only: &[usize]| {
        let mut scenario = full.clone();
        scenario.keep(only);
        run(&scenario, Detail::None).violation.is_some_and(|it| it.rule == wanted)
    };
    let mut needed: Vec<usize> = (0..full.faults.len()).collect();
    let mut chunk = needed.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < needed.len() {
            let mut fewer = needed.clone();
            fewer.drain(at..(at + chunk).min(fewer.len()));
            if fails(&fewer) {
                needed = fewer;
            } else {
                at += chunk;
            }
        }
        chunk = if chunk == 1 { 0 } else { chunk.div_ceil(2) };
    }
    needed
}
