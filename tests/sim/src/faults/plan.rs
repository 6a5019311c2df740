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
            let kind = if scenario.crowd {
                Kind::KillAllMasters
            } else if scenario.switchovers {
                let group = rng.index(scenario.groups.len());
                Kind::Failover { sentinel: sentinel(scenario, &mut rng), group }
            } else {
                single(scenario, &mut rng)
            };
            faults.push(Fault { at, until, kind });
            at = until + 3 * scenario.failover_timeout + 60 * SEC;
        }
    } else {
        let style = rng.pick(&[Style::Any, Style::Any, Style::Network, Style::Processes, Style::Operators]);
        // Spread over the time, or in a few storms of faults that meet each other.
        let storms = rng.permille(500);
        let mut left = rng.between(6, 30);
        while left > 0 {
            let begin = rng.between(FIRST, LAST - 10 * SEC);
            let together = if storms { rng.between(2, 8).min(left) } else { 1 };
            left -= together;
            let width = rng.pick(&[10 * MS, 500 * MS, 10 * SEC]);
            for _ in 0..together {
                let at = begin + rng.below(width);
                let longest = rng.pick(&[2 * SEC, 10 * SEC, 60 * SEC]);
                let until = at + rng.between(10 * MS, longest);
                faults.push(Fault { at, until, kind: any(scenario, style, &mut rng) });
            }
        }
        faults.sort_by_key(|fault| fault.at);
    }
    faults
}

/// What most faults of a history are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Any,
    Network,
    Processes,
    Operators,
}

impl Style {
    /// Numbers of the kinds in [`any`], those that matter most several times.
    const fn kinds(self) -> &'static [u64] {
        match self {
            Style::Any => &[
                0, 0, 0, 4, 5, 5, 7, 8, 9, 9, 11, 12, 12, 14, 14, 16, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28,
                29,
            ],
            Style::Network => &[0, 9, 12, 12, 12, 14, 14, 14, 16, 16, 16, 18, 19, 20, 21, 25],
            Style::Processes => &[0, 0, 0, 0, 4, 5, 5, 7, 8, 8, 8, 9, 9, 9, 11, 22, 22, 23, 23],
            Style::Operators => &[0, 0, 12, 14, 16, 9, 25, 25, 26, 26, 26, 27, 28, 28, 29, 29],
        }
    }
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

fn any(scenario: &Scenario, style: Style, rng: &mut Rng) -> Kind {
    let group = rng.index(scenario.groups.len());
    // Forgetting others lowers the majority: with a small quorum that is the operator's fault alone.
    let forgets = scenario.quorum > scenario.sentinels / 2;
    // A node that is away when the last Sentinel is told to forget it is known to nobody when it comes back: one in each
    // history is told to.
    let forgetful = scenario.sentinel_host(usize::try_from(scenario.seed).unwrap_or(0) % scenario.sentinels);
    loop {
        let kind = match rng.pick(style.kinds()) {
            0 => Kind::KillMaster { group, power: rng.permille(300) },
            4 => Kind::HangMaster { group },
            5 => Kind::KillNode {
                node: node(scenario, rng),
                power: rng.permille(300),
                wipe: scenario.wipes && rng.permille(500),
            },
            7 => Kind::Hang { host: rng.index(scenario.sentinels + scenario.node_hosts().len()) },
            8 => Kind::Hang { host: sentinel(scenario, rng) },
            9 => Kind::KillSentinel { sentinel: sentinel(scenario, rng), power: rng.permille(300) },
            11 => Kind::MoveSentinel { sentinel: sentinel(scenario, rng) },
            12 => Kind::Split { hosts: part(scenario, rng) },
            14 => Kind::OneWay { hosts: part(scenario, rng) },
            16 => {
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
            27 => {
                Kind::ChangeDownAfter { sentinel: sentinel(scenario, rng), group, to: rng.between(500 * MS, 10 * SEC) }
            }
            28 if forgets => Kind::Forget { sentinel: forgetful, group },
            29 if forgets => Kind::Remove { sentinel: forgetful, group },
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
