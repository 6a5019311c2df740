//! What concerns one process, whatever master it serves: its clock, its certificate.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{
    Hit,
    facts::{Clock, Facts, shown},
};
use crate::cli::target::Place;

/// Clocks that are further apart than this, in milliseconds, are worth a word.
const SKEW: i64 = 2_000;
/// A certificate that ends within so many seconds is to be renewed.
const SOON: u64 = 14 * 24 * 3600;

/// Everybody who answered, with the clock and the end of the certificate.
fn all(facts: &Facts) -> Vec<(&Place, Option<Clock>, Option<u64>)> {
    let sentinels = facts.answering().map(|(place, told)| (place, told.clock, told.certificate_ends));
    let nodes = facts.nodes.values().filter_map(|node| Some((&node.place, node.inside.as_ref().ok()?)));
    sentinels.chain(nodes.map(|(place, inside)| (place, inside.clock, inside.certificate_ends))).collect()
}

/// Against the clock in the middle: the one here may be the wrong one.
pub(super) fn clock_skew(facts: &Facts) -> Vec<Hit> {
    let clocks: Vec<(&Place, Clock)> = all(facts).into_iter().filter_map(|(place, it, _)| Some((place, it?))).collect();
    let mut ahead: Vec<i64> = clocks.iter().map(|(_, clock)| clock.ahead).collect();
    ahead.sort_unstable();
    let Some(middle) = ahead.get(ahead.len() / 2).copied() else { return Vec::new() };
    let wrong = clocks.iter().filter(|(_, clock)| (clock.ahead - middle).abs() > SKEW + clock.within);
    wrong
        .map(|(place, clock)| {
            let by = clock.ahead - middle;
            let way = if by > 0 { "ahead of" } else { "behind" };
            Hit::new(format!("the clock of {} is {} ms {way} the others", shown(place), by.abs())).at(place)
        })
        .collect()
}

pub(super) fn tilt(facts: &Facts) -> Vec<Hit> {
    let tilted = facts.answering().filter(|(_, told)| told.info.get("sentinel_tilt").is_some_and(|tilt| tilt != "0"));
    let text = "it stood still, or its clock jumped, and it acts on nothing for now".to_owned();
    tilted.map(|(place, _)| Hit::new(text.clone()).at(place)).collect()
}

pub(super) fn certificates(facts: &Facts) -> Vec<Hit> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |it| it.as_secs());
    let ends = all(facts).into_iter().filter_map(|(place, _, ends)| Some((place, ends?)));
    ends.filter(|(_, ends)| *ends < now + SOON)
        .map(|(place, ends)| {
            let text = match ends.checked_sub(now) {
                Some(left) => format!("the certificate that it shows ends in {} days", left / (24 * 3600)),
                None => "the certificate that it shows has ended".to_owned(),
            };
            Hit::new(text).at(place)
        })
        .collect()
}
