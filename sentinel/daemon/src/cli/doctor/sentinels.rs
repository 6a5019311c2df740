//! Whether the Sentinels agree, and whether there are enough of them.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Hit,
    facts::{Deployment, Facts, is_cut_off, place_of, shown},
};
use crate::cli::target::Place;

/// `a of x, b of y`
fn told(values: &[(&Place, String)]) -> String {
    values.iter().map(|(place, value)| format!("{value} at {}", shown(place))).collect::<Vec<_>>().join(", ")
}

pub(super) fn different_masters(of: &Deployment<'_>) -> Vec<Hit> {
    let claim = |watched: &super::facts::Watched| {
        let addr = place_of(&watched.fields).map_or_else(|| "nobody".to_owned(), |place| shown(&place));
        format!("{addr} of epoch {}", watched.fields.get("config-epoch").map_or("?", String::as_str))
    };
    let claims: Vec<_> = of.sentinels.iter().map(|(place, _, watched)| (*place, claim(watched))).collect();
    let newest = of.sentinels.iter().find(|(.., watched)| place_of(&watched.fields).as_ref() == Some(&of.master));
    let newest = newest.map(|(.., watched)| claim(watched)).unwrap_or_default();
    let Some((wrong, _)) = claims.iter().find(|(_, claim)| *claim != newest) else { return Vec::new() };
    vec![Hit::new(format!("the Sentinels disagree: {}", told(&claims))).at(wrong)]
}

pub(super) fn duplicate_ids(facts: &Facts) -> Vec<Hit> {
    let mut owners: BTreeMap<&str, Vec<&Place>> = BTreeMap::new();
    for (place, told) in facts.answering() {
        if let Some(id) = &told.id {
            owners.entry(id).or_default().push(place);
        }
    }
    let shared = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
    let hit = |(id, owners): (&str, Vec<&Place>)| {
        let places: Vec<String> = owners.iter().map(|place| shown(place)).collect();
        Hit::new(format!("{id} is the id of {}: they count as one Sentinel", places.join(" and "))).at(owners[1])
    };
    shared.map(hit).collect()
}

/// How many Sentinels there are, can be reached, and must agree.
struct Reach<'a> {
    known: usize,
    usable: usize,
    quorum: usize,
    majority: usize,
    missing: Vec<&'a Place>,
}

impl Reach<'_> {
    fn needed(&self) -> usize {
        self.quorum.max(self.majority)
    }

    fn shown(&self) -> String {
        let Reach { known, usable, quorum, majority, missing } = self;
        let places: Vec<String> = missing.iter().map(|place| shown(place)).collect();
        let missing = if places.is_empty() { String::new() } else { format!("; not reached: {}", places.join(", ")) };
        format!("{usable} of {known} Sentinels can agree, quorum {quorum} and majority {majority} are needed{missing}")
    }
}

fn reach<'a>(of: &Deployment<'a>) -> Reach<'a> {
    let known = of.here.len();
    // One that is not reached from here may well be from there.
    let is_usable =
        |place: &Place, answers: bool| answers || of.flags(place).iter().any(|(_, flags)| !is_cut_off(flags));
    let missing: Vec<&Place> =
        of.here.iter().filter(|it| !is_usable(&it.place, it.told.is_ok())).map(|it| &it.place).collect();
    let quorums = of.each("quorum");
    let quorum = quorums.iter().filter_map(|(_, text)| text.parse().ok()).max().unwrap_or(0);
    Reach { known, usable: known - missing.len(), quorum, majority: known / 2 + 1, missing }
}

pub(super) fn quorum_too_high(of: &Deployment<'_>) -> Vec<Hit> {
    let Reach { known, quorum, majority, .. } = reach(of);
    if quorum <= known {
        return Vec::new();
    }
    let highest = of.each("quorum").into_iter().find(|(_, text)| text.parse() == Ok(quorum));
    let text = format!("a quorum of {quorum} is never reached by {known} Sentinels: there will be no failover");
    highest.map(|(place, _)| Hit::new(text).at(place).naming(majority)).into_iter().collect()
}

/// What forgets Sentinels, at one that answered.
fn forget(of: &Deployment<'_>, whom: &Place) -> String {
    let Some((place, told, watched)) = of.sentinels.first() else { return "SENTINEL RESET".to_owned() };
    let id = watched.peers.iter().find(|peer| place_of(peer).as_ref() == Some(whom)).and_then(|peer| peer.get("runid"));
    let (host, port) = place;
    match id {
        Some(id) if told.problems.is_some() => {
            format!("`sentinel forget {} {id} -h {host} -p {port}`, at each of those that are left", of.name)
        }
        _ => format!("redis-cli -h {host} -p {port} SENTINEL RESET {}, at each, a minute apart", of.name),
    }
}

pub(super) fn quorum_lost(of: &Deployment<'_>) -> Vec<Hit> {
    let reach = reach(of);
    if reach.usable >= reach.needed() || reach.quorum > reach.known {
        return Vec::new();
    }
    let remedy = reach.missing.first().map_or_else(String::new, |place| forget(of, place));
    vec![Hit::new(format!("no failover is possible: {}", reach.shown())).naming(remedy)]
}

pub(super) fn one_loss_from_quorum(of: &Deployment<'_>) -> Vec<Hit> {
    let reach = reach(of);
    let is_last = reach.usable == reach.needed();
    is_last.then(|| Hit::new(format!("one more loss ends failovers: {}", reach.shown()))).into_iter().collect()
}

pub(super) fn even_number(of: &Deployment<'_>) -> Vec<Hit> {
    let known = of.here.len();
    let even = known.is_multiple_of(2);
    even.then(|| Hit::new(format!("{known} Sentinels bear no more losses than {} do", known - 1))).into_iter().collect()
}

/// One hit for each Sentinel that has another value than most.
fn odd_ones(of: &Deployment<'_>, field: &str) -> Vec<Hit> {
    let values = of.each(field);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, value) in &values {
        *counts.entry(value).or_default() += 1;
    }
    let Some((most, _)) = counts.iter().max_by_key(|(_, count)| **count) else { return Vec::new() };
    let odd = values.iter().filter(|(_, value)| value != most);
    let text = |place: &Place, value: &str| {
        format!("{field} is {value} at the Sentinel {}, and {most} at most others", shown(place))
    };
    odd.map(|(place, value)| Hit::new(text(place, value)).at(place).naming(format!("{field} {most}"))).collect()
}

pub(super) fn quorum_differs(of: &Deployment<'_>) -> Vec<Hit> {
    odd_ones(of, "quorum")
}

pub(super) fn settings_differ(of: &Deployment<'_>) -> Vec<Hit> {
    ["down-after-milliseconds", "failover-timeout", "parallel-syncs"].iter().flat_map(|it| odd_ones(of, it)).collect()
}

pub(super) fn not_monitored(of: &Deployment<'_>) -> Vec<Hit> {
    let quorum = of.each("quorum").first().map_or("<quorum>", |(_, quorum)| *quorum);
    let lost = of.here.iter().filter(|it| it.told.as_ref().is_ok_and(|told| !told.masters.contains_key(of.name)));
    let text = "the others count on this Sentinel, and it does not watch this master".to_owned();
    let (host, port) = &of.master;
    lost.map(|it| Hit::new(text.clone()).at(&it.place).naming(format!("{host} {port} {quorum}"))).collect()
}

pub(super) fn one_host(of: &Deployment<'_>) -> Vec<Hit> {
    if of.facts.is_trial() {
        return Vec::new();
    }
    let mut hosts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for sentinel in &of.here {
        hosts.entry(&sentinel.place.0).or_default().push(shown(&sentinel.place));
    }
    let shared = hosts.into_iter().filter(|(_, places)| places.len() > 1);
    shared.map(|(host, places)| Hit::new(format!("{} are on one host", places.join(" and "))).naming(host)).collect()
}

pub(super) fn ghosts(of: &Deployment<'_>) -> Vec<Hit> {
    let silent = of.here.iter().filter_map(|it| Some((&it.place, it.told.as_ref().err()?)));
    let nobody = silent.filter(|(place, _)| of.flags(place).iter().all(|(_, flags)| is_cut_off(flags)));
    nobody
        .map(|(place, why)| {
            Hit::new(format!("nobody reaches this Sentinel, and it counts towards the majority: {why}"))
                .at(place)
                .naming(forget(of, place))
        })
        .collect()
}

pub(super) fn cut_off(of: &Deployment<'_>) -> Vec<Hit> {
    let answering = of.here.iter().filter(|it| it.told.is_ok());
    let hit = |place: &Place| {
        let cut: BTreeSet<String> =
            of.flags(place).into_iter().filter(|(_, flags)| is_cut_off(flags)).map(|(from, _)| shown(from)).collect();
        let from = cut.into_iter().collect::<Vec<_>>().join(", ");
        (!from.is_empty()).then(|| {
            Hit::new(format!("this Sentinel answers here, and not at the Sentinel {from}")).at(place).naming(from)
        })
    };
    answering.filter_map(|it| hit(&it.place)).collect()
}
