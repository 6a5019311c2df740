//! Addresses and versions of what belongs together.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Hit,
    facts::{Deployment, Told, is_loopback, shown},
};
use crate::cli::target::Place;

/// The first version that is still maintained and has what is asked for here.
const MAINTAINED: (u32, u32) = (6, 2);

pub(super) fn loopback(of: &Deployment<'_>) -> Vec<Hit> {
    if of.facts.is_trial() {
        return Vec::new();
    }
    let local = of.each("ip").into_iter().filter(|(_, ip)| is_loopback(ip));
    let text = |ip: &str| format!("{ip} means another host on each host, and not all Sentinels and nodes are on one");
    local.map(|(place, ip)| Hit::new(text(ip)).at(place)).take(1).collect()
}

fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

pub(super) fn old_versions(of: &Deployment<'_>) -> Vec<Hit> {
    let version =
        |(place, inside): (_, &super::facts::Inside)| Some((place, inside.info.get("redis_version")?.clone()));
    let old = of.answering().filter_map(version).filter(|(_, it)| numbers(it).is_some_and(|it| it < MAINTAINED));
    old.map(|(place, version)| Hit::new(format!("it is of version {version}")).at(place)).collect()
}

/// One hit if there is more than one version.
fn mixed(of: &str, versions: &BTreeMap<String, BTreeSet<&Place>>) -> Option<Hit> {
    let one = |(version, places): (&String, &BTreeSet<&Place>)| {
        let places: Vec<String> = places.iter().map(|place| shown(place)).collect();
        format!("{version} at {}", places.join(", "))
    };
    let text = || versions.iter().map(one).collect::<Vec<_>>().join("; ");
    (versions.len() > 1).then(|| Hit::new(format!("{of} are of different versions: {}", text())))
}

pub(super) fn different_versions(of: &Deployment<'_>) -> Vec<Hit> {
    let mut nodes: BTreeMap<String, BTreeSet<&Place>> = BTreeMap::new();
    for (place, inside) in of.answering() {
        let version = inside.info.get("valkey_version").map(|it| format!("valkey {it}"));
        if let Some(version) = version.or_else(|| inside.info.get("redis_version").cloned()) {
            nodes.entry(version).or_default().insert(place);
        }
    }
    // Ours look like any version, and different programs are what a migration is made of.
    let theirs = |field: &str, other: &str| {
        let mut versions: BTreeMap<String, BTreeSet<&Place>> = BTreeMap::new();
        for (place, Told { info, problems, .. }, _) in &of.sentinels {
            if let (None, Some(version)) = (problems, info.get(field).filter(|_| !info.contains_key(other))) {
                versions.entry(version.clone()).or_default().insert(place);
            }
        }
        versions
    };
    let found = [
        mixed("nodes", &nodes),
        mixed("Sentinels", &theirs("redis_version", "valkey_version")),
        mixed("Sentinels", &theirs("valkey_version", "")),
    ];
    found.into_iter().flatten().collect()
}
