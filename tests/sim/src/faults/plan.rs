//! Drawing the faults of a scenario.

use crate::{
    faults::{Fault, Kind},
    physics::HostId,
    rng::Rng,
    scenario::Scenario,
    time::{MS, SEC, Time},
};

/// Everybody knows everybody by then.
const FIRST: Time = 20 * SEC;
/// No fault begins later.
const LAST: Time = 400 * SEC;

/// The faults of a scenario.
pub fn plan(scenario: &Scenario) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults");
    let mut faults = Vec::new();
    if scenario.calm {
        let mut at = FIRST + rng.below(10 * SEC);
        while at < LAST {
            let until = at + rng.between(500 * MS, 40 * SEC);
            faults.push(Fault { at, until, kind: single(scenario, &mut rng) });
            at = until + 3 * scenario.failover_timeout + 60 * SEC;
        }
    } else {
        let count = rng.between(6, 24);
        for _ in 0..count {
            let at = rng.between(FIRST, LAST);
            let longest = rng.pick(&[2 * SEC, 10 * SEC, 60 * SEC]);
            let until = at + rng.between(10 * MS, longest);
            faults.push(Fault { at, until, kind: any(scenario, &mut rng) });
        }
        faults.sort_by_key(|fault| fault.at);
    }
    faults
}

/// Faults of which each is survived by itself.
fn single(scenario: &Scenario, rng: &mut Rng) -> Kind {
    let group = rng.index(scenario.groups.len());
    match rng.below(10) {
        0..=3 => Kind::KillMaster { group, power: rng.permille(300) },
        4 => Kind::HangMaster { group },
        5 => Kind::KillNode { node: node(scenario, rng), power: rng.permille(300), wipe: false },
        6 => Kind::KillSentinel { sentinel: sentinel(scenario, rng), power: rng.permille(300) },
        7 => Kind::Failover { sentinel: sentinel(scenario, rng), group },
        8 => Kind::Split { hosts: vec![node(scenario, rng)] },
        _ => Kind::Hang { host: sentinel(scenario, rng) },
    }
}

fn any(scenario: &Scenario, rng: &mut Rng) -> Kind {
    let group = rng.index(scenario.groups.len());
    // Forgetting others lowers the majority: with a small quorum that is the operator's fault alone.
    let forgets = scenario.quorum > scenario.sentinels / 2;
    loop {
        let kind = match rng.below(30) {
            0..=3 => Kind::KillMaster { group, power: rng.permille(300) },
            4 => Kind::HangMaster { group },
            5 | 6 => Kind::KillNode {
                node: node(scenario, rng),
                power: rng.permille(300),
                wipe: scenario.wipes && rng.permille(500),
            },
            7 => Kind::Hang { host: rng.index(scenario.sentinels + scenario.node_hosts().len()) },
            8 => Kind::Hang { host: sentinel(scenario, rng) },
            9 | 10 => Kind::KillSentinel { sentinel: sentinel(scenario, rng), power: rng.permille(300) },
            11 => Kind::MoveSentinel { sentinel: sentinel(scenario, rng) },
            12 | 13 => Kind::Split { hosts: part(scenario, rng) },
            14 | 15 => Kind::OneWay { hosts: part(scenario, rng) },
            16 | 17 => {
                let (one, other) = (rng.index(scenario.host_count()), rng.index(scenario.host_count()));
                Kind::Pair { one, other }
            }
            18 => Kind::Refuse { host: rng.index(scenario.sentinels + scenario.node_hosts().len()) },
            19 => Kind::Reset { host: rng.index(scenario.host_count()) },
            20 => Kind::Slow { host: rng.index(scenario.host_count()), by: rng.between(10 * MS, 3 * SEC) },
            21 => Kind::Lossy { host: rng.index(scenario.host_count()), permille: rng.between(10, 300) },
            22 => Kind::SlowDisk { sentinel: sentinel(scenario, rng), by: rng.between(50 * MS, 5 * SEC) },
            23 => Kind::FullDisk { sentinel: sentinel(scenario, rng) },
            24 => Kind::WallJump {
                sentinel: sentinel(scenario, rng),
                millis: i64::try_from(rng.below(200_000)).unwrap_or(0) - 100_000,
            },
            25 => Kind::Failover { sentinel: sentinel(scenario, rng), group },
            26 => Kind::TwoFailovers { sentinel: sentinel(scenario, rng), other: sentinel(scenario, rng), group },
            27 => Kind::ChangeDownAfter {
                sentinel: sentinel(scenario, rng),
                group,
                to: rng.between(500 * MS, 10 * SEC),
            },
            28 if forgets => Kind::Forget { sentinel: sentinel(scenario, rng), group },
            29 if forgets => Kind::Remove { sentinel: sentinel(scenario, rng), group },
            _ => continue,
        };
        return kind;
    }
}

fn node(scenario: &Scenario, rng: &mut Rng) -> HostId {
    let nodes = scenario.node_hosts();
    nodes[rng.index(nodes.len())].0
}

fn sentinel(scenario: &Scenario, rng: &mut Rng) -> HostId {
    scenario.sentinel_host(rng.index(scenario.sentinels))
}

/// Some of the hosts, often one alone.
fn part(scenario: &Scenario, rng: &mut Rng) -> Vec<HostId> {
    let count = scenario.host_count();
    if rng.permille(400) {
        return vec![rng.index(count)];
    }
    (0..count).filter(|_| rng.permille(400)).collect()
}
