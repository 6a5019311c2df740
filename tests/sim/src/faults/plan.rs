//! Drawing the faults of a scenario.

use crate::{
    faults::{Fault, Kind},
    node::Persistence,
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
    let mut faults = if scenario.calm { one_by_one(scenario, &mut rng) } else { chaos(scenario, &mut rng) };
    faults.extend(for_guards(scenario));
    faults.extend(logins_and_disks(scenario));
    let last = faults.iter().map(|fault| fault.until).max().unwrap_or(FIRST);
    faults.extend(for_handovers(scenario, last));
    faults.extend(for_identities(scenario));
    let over = faults.iter().map(|fault| fault.until).max().unwrap_or(FIRST);
    faults.extend(for_files(scenario, over));
    faults.extend(for_clocks(scenario, &faults));
    faults.sort_by_key(|fault| fault.at);
    faults
}

/// Wall clocks of data nodes that jump: one, or all of them, and mostly when something has just happened to a master. Drawn by
/// itself: all else is as it would be without.
fn for_clocks(scenario: &Scenario, others: &[Fault]) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults for clocks");
    if !rng.permille(250) {
        return Vec::new();
    }
    let kills = |kind: &Kind| matches!(kind, Kind::KillMaster { .. } | Kind::HangMaster { .. } | Kind::KillAllMasters);
    let deaths: Vec<Time> = others.iter().filter(|fault| kills(&fault.kind)).map(|fault| fault.at).collect();
    let mut faults = Vec::new();
    for _ in 0..rng.between(1, 4) {
        let at = if deaths.is_empty() || rng.permille(300) {
            rng.between(FIRST, LAST)
        } else {
            rng.pick(&deaths) + rng.below(2 * scenario.down_after + SEC)
        };
        let one = node(scenario, &mut rng);
        let nodes = if rng.permille(500) { scenario.node_hosts().iter().map(|it| it.0).collect() } else { vec![one] };
        let further = i64::try_from(rng.between(5_000, 300_000)).unwrap_or(0);
        let millis = if rng.permille(700) { further } else { -further };
        faults.push(Fault { at, until: at, kind: Kind::NodeClocks { nodes, millis } });
    }
    faults
}

/// What guards are there for. Drawn by itself: all else is as it would be without.
fn for_guards(scenario: &Scenario) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults for guards");
    let mut faults = Vec::new();
    let mut add = |rng: &mut Rng, kind| {
        let at = rng.between(FIRST, LAST);
        faults.push(Fault { at, until: at, kind });
    };
    if !scenario.calm && rng.permille(200) {
        let kind = Kind::Typed { group: rng.index(scenario.groups.len()), nth: rng.index(8) };
        add(&mut rng, kind);
    }
    if scenario.guards.signed_hellos {
        for _ in 0..rng.between(1, 4) {
            let (group, nth) = (rng.index(scenario.groups.len()), rng.index(8));
            let (sentinel, signed) = (sentinel(scenario, &mut rng), rng.permille(500));
            add(&mut rng, Kind::Forged { sentinel, group, nth, signed });
        }
        // Drawn by themselves: the forged hellos are as they would be without.
        let mut rng = Rng::new(scenario.seed, "forged votes");
        for _ in 0..rng.between(1, 4) {
            let (one, other) = (sentinel(scenario, &mut rng), sentinel(scenario, &mut rng));
            let (group, signed) = (rng.index(scenario.groups.len()), rng.permille(500));
            add(&mut rng, Kind::ForgedVote { sentinel: one, other, group, signed });
        }
    }
    faults
}

/// Handovers that nobody leads to their end. Drawn by itself: all else is as it would be without.
fn for_handovers(scenario: &Scenario, last: Time) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults for handovers");
    if scenario.crowd || scenario.old_servers || !rng.permille(300) {
        return Vec::new();
    }
    let begin = if scenario.calm {
        last + 3 * scenario.failover_timeout + 60 * SEC
    } else {
        rng.between(FIRST, LAST - 20 * SEC)
    };
    let until = begin + rng.between(15 * SEC, 60 * SEC);
    let (group, nth) = (rng.index(scenario.groups.len()), rng.index(8));
    let sentinel = sentinel(scenario, &mut rng);
    if rng.permille(400) {
        let hang = Fault { at: begin, until, kind: Kind::HangReplica { group, nth } };
        return vec![hang, Fault { at: begin + rng.below(3 * SEC), until, kind: Kind::Forced { group, nth } }];
    }
    let order = Kind::FailoverTo { sentinel, group, nth, coordinated: rng.permille(300) };
    let vanish = Kind::Vanish { sentinel, group, nth, with_target: rng.permille(500) };
    vec![
        Fault { at: begin, until: begin, kind: order },
        Fault { at: begin + rng.between(MS, 60 * MS), until, kind: vanish },
    ]
}

/// Addresses of Sentinels that change hands. Half of them are followed by the worst that can happen then: who was restarted is
/// alone, and the master dies.
fn for_identities(scenario: &Scenario) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults for identities");
    let mut faults = Vec::new();
    if scenario.calm || scenario.sentinels < 3 || !rng.permille(300) {
        return faults;
    }
    for _ in 0..rng.between(1, 3) {
        let at = rng.between(FIRST, LAST);
        let until = at + rng.between(10 * MS, 20 * SEC);
        let one = rng.index(scenario.sentinels);
        let other = (one + 1 + rng.index(scenario.sentinels - 1)) % scenario.sentinels;
        let (one, other) = (scenario.sentinel_host(one), scenario.sentinel_host(other));
        let kind = match rng.below(5) {
            0..=2 => Kind::ExchangeSentinels { one, other },
            3 => Kind::ReuseSentinel { sentinel: one, other },
            _ => Kind::TwoAddresses { sentinel: one, away: other },
        };
        faults.push(Fault { at, until, kind });
        if rng.permille(500) {
            let alone = until + rng.below(12 * SEC);
            let back = alone + scenario.down_after + rng.between(5 * SEC, 20 * SEC);
            let hosts = (0..scenario.sentinels).map(|it| scenario.sentinel_host(it)).filter(|it| *it != one).collect();
            faults.push(Fault { at: alone, until: back, kind: Kind::Split { hosts } });
            let kind = Kind::KillMaster { group: rng.index(scenario.groups.len()), power: false };
            faults.push(Fault { at: alone + rng.below(SEC), until: back, kind });
        }
    }
    faults
}

/// Restarts from files: of every age, and of a kind that tells no offset. Drawn by itself, too.
fn for_files(scenario: &Scenario, over: Time) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "faults for files");
    let mut faults = Vec::new();
    if scenario.old_files {
        for _ in 0..rng.between(1, 3) {
            let at = rng.between(FIRST + 40 * SEC, LAST);
            let back = at + rng.between(500 * MS, 4 * SEC);
            let kind = Kind::OldFile { node: node(scenario, &mut rng), age: rng.index(8), stray: rng.permille(600) };
            faults.push(Fault { at, until: back, kind });
            if rng.permille(700) {
                let died = back + rng.between(300 * MS, 7 * SEC);
                let until = died + scenario.down_after + rng.between(2 * SEC, 20 * SEC);
                let kind = Kind::KillMaster { group: rng.index(scenario.groups.len()), power: false };
                faults.push(Fault { at: died, until, kind });
            }
        }
    }
    let append_only = matches!(scenario.persistence, Persistence::AofAlways | Persistence::AofEverySecond);
    if scenario.calm && !scenario.switchovers && append_only && rng.permille(300) {
        let (group, nth) = (rng.index(scenario.groups.len()), rng.index(8));
        let at = over + 3 * scenario.failover_timeout + 60 * SEC + 2 * scenario.guards.failover_pause;
        let back = rng.between(SEC, 8 * SEC);
        faults.push(Fault { at, until: at + back, kind: Kind::KillReplica { group, nth } });
        let until = at + back + 2 * scenario.down_after + 60 * SEC;
        faults.push(Fault { at, until, kind: Kind::KillAllBut { group, nth, back } });
    }
    faults
}

/// Refused logins, and disks that are worse than full. Drawn by themselves, too.
fn logins_and_disks(scenario: &Scenario) -> Vec<Fault> {
    let mut rng = Rng::new(scenario.seed, "logins and disks");
    let mut faults = Vec::new();
    // Old files have histories of their own.
    if scenario.calm || scenario.old_files || rng.permille(500) {
        return faults;
    }
    for _ in 0..rng.between(1, 4) {
        let at = rng.between(FIRST, LAST);
        let until = at + rng.between(SEC, 60 * SEC);
        let kind = if rng.permille(700) {
            Kind::Logins { node: node(scenario, &mut rng), shut: rng.permille(500) }
        } else {
            Kind::SickDisk { sentinel: sentinel(scenario, &mut rng), hangs: rng.permille(500) }
        };
        faults.push(Fault { at, until, kind });
    }
    faults
}

/// Single faults, with time to recover between them.
fn one_by_one(scenario: &Scenario, rng: &mut Rng) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut at = FIRST + rng.below(10 * SEC);
    while at < LAST {
        let until = at + rng.between(500 * MS, 40 * SEC);
        let kind = if scenario.crowd {
            Kind::KillAllMasters
        } else if scenario.switchovers {
            let group = rng.index(scenario.groups.len());
            Kind::Failover { sentinel: sentinel(scenario, rng), group }
        } else {
            single(scenario, rng)
        };
        faults.push(Fault { at, until, kind });
        at = until + 3 * scenario.failover_timeout + 60 * SEC;
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

/// Many faults: spread over the time, or in a few storms of such as meet each other.
fn chaos(scenario: &Scenario, rng: &mut Rng) -> Vec<Fault> {
    let style = rng.pick(&[Style::Any, Style::Any, Style::Network, Style::Processes, Style::Operators]);
    let storms = rng.permille(500);
    let mut left = rng.between(6, 30);
    let mut faults = Vec::new();
    while left > 0 {
        let begin = rng.between(FIRST, LAST - 10 * SEC);
        if rng.permille(150) {
            let conspiracy = conspiracy(scenario, rng, begin);
            left = left.saturating_sub(conspiracy.len() as u64);
            faults.extend(conspiracy);
            continue;
        }
        let together = if storms { rng.between(2, 8).min(left) } else { 1 };
        left -= together;
        let width = rng.pick(&[10 * MS, 500 * MS, 10 * SEC]);
        for _ in 0..together {
            let at = begin + rng.below(width);
            let longest = rng.pick(&[2 * SEC, 10 * SEC, 60 * SEC]);
            let kind = any(scenario, style, rng);
            // Whoever is not there for long is not asked to do anything.
            let shortest = if matches!(kind, Kind::Stranger { .. }) { 30 * SEC } else { 10 * MS };
            let until = at + rng.between(shortest, longest.max(2 * shortest));
            faults.push(Fault { at, until, kind });
        }
    }
    faults
}

/// Faults that seldom meet by chance in the order in which they are worst.
fn conspiracy(scenario: &Scenario, rng: &mut Rng, begin: Time) -> Vec<Fault> {
    let group = rng.index(scenario.groups.len());
    let nth = rng.index(8);
    let power = rng.permille(300);
    let outage = scenario.down_after + rng.between(2 * SEC, 20 * SEC);
    let kill = |at| Fault { at, until: at + outage, kind: Kind::KillMaster { group, power } };
    match rng.below(6) {
        // A stranger is there when the master dies.
        4 if scenario.strangers => {
            let died = begin + rng.between(12 * SEC, 20 * SEC);
            let kind = Kind::Stranger { node: node(scenario, rng), reigns: rng.permille(500) };
            vec![Fault { at: begin, until: died + outage, kind }, kill(died)]
        }
        // Two Sentinels are restarted and left alone with the replicas, and the master dies: do they know that there are
        // more?
        5 if scenario.sentinels > 3 => {
            let first = rng.index(scenario.sentinels);
            let left_alone = [first, (first + 1) % scenario.sentinels];
            let hosts = (0..scenario.sentinels).filter(|it| !left_alone.contains(it));
            let hosts = hosts.map(|it| scenario.sentinel_host(it)).collect();
            let mut faults = vec![Fault { at: begin, until: begin + outage, kind: Kind::Split { hosts } }];
            for sentinel in left_alone.map(|it| scenario.sentinel_host(it)) {
                let until = begin + rng.between(10 * MS, SEC);
                faults.push(Fault { at: begin, until, kind: Kind::KillSentinel { sentinel, power } });
            }
            faults.push(kill(begin + rng.below(SEC)));
            faults
        }
        // A replica falls behind, and then the master dies.
        0 | 1 => {
            let died = begin + rng.between(2 * SEC, 10 * SEC);
            let kind = Kind::Lag { group, nth };
            vec![Fault { at: begin, until: died + rng.between(MS, outage), kind }, kill(died)]
        }
        // A replica comes back with nothing, and then the master dies.
        2 => {
            let back = begin + rng.between(SEC, 10 * SEC);
            let kind = Kind::KillNode { node: node(scenario, rng), power, wipe: scenario.wipes };
            let died = back + rng.below(2 * scenario.sync_time);
            vec![Fault { at: begin, until: back, kind }, kill(died)]
        }
        // The new master dies while the failover is not yet over, or right behind it.
        _ => {
            let next = begin + scenario.down_after + rng.below(4 * SEC);
            vec![kill(begin), kill(next)]
        }
    }
}

/// What most faults of a history are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Any,
    Network,
    Processes,
    Operators,
}

/// Sorts of faults, to draw from.
#[derive(Clone, Copy)]
enum Sort {
    KillMaster,
    HangMaster,
    KillNode,
    FullNodeDisk,
    Hang,
    HangSentinel,
    KillSentinel,
    MoveSentinel,
    Sluggish,
    SlowDisk,
    FullDisk,
    WallJump,
    Split,
    OneWay,
    Pair,
    Lag,
    Refuse,
    BlackHole,
    Reset,
    Slow,
    Lossy,
    Failover,
    FailoverTo,
    TwoFailovers,
    ChangeDownAfter,
    Forget,
    ForgetOne,
    Remove,
    Name,
    MoveNode,
    Stranger,
}

impl Style {
    /// What is drawn from: the more often, the more likely.
    fn sorts(self) -> &'static [(Sort, u64)] {
        use Sort::{
            BlackHole, ChangeDownAfter, Failover, FailoverTo, Forget, ForgetOne, FullDisk, FullNodeDisk, Hang,
            HangMaster, HangSentinel, KillMaster, KillNode, KillSentinel, Lag, Lossy, MoveNode, MoveSentinel, Name,
            OneWay, Pair, Refuse, Remove, Reset, Slow, SlowDisk, Sluggish, Split, Stranger, TwoFailovers, WallJump,
        };
        match self {
            Style::Any => &[
                (KillMaster, 3),
                (HangMaster, 1),
                (KillNode, 2),
                (FullNodeDisk, 1),
                (Hang, 1),
                (HangSentinel, 1),
                (KillSentinel, 2),
                (MoveSentinel, 1),
                (Sluggish, 1),
                (SlowDisk, 1),
                (FullDisk, 1),
                (WallJump, 1),
                (Split, 2),
                (OneWay, 2),
                (Pair, 2),
                (Lag, 1),
                (Refuse, 1),
                (BlackHole, 1),
                (Reset, 1),
                (Slow, 1),
                (Lossy, 1),
                (Failover, 1),
                (FailoverTo, 1),
                (TwoFailovers, 1),
                (ChangeDownAfter, 1),
                (Forget, 1),
                (ForgetOne, 1),
                (Remove, 1),
                (Name, 2),
                (MoveNode, 1),
                (Stranger, 3),
            ],
            Style::Network => &[
                (KillMaster, 1),
                (KillSentinel, 1),
                (Split, 3),
                (OneWay, 3),
                (Pair, 3),
                (Lag, 1),
                (Refuse, 1),
                (BlackHole, 1),
                (Reset, 1),
                (Slow, 1),
                (Lossy, 1),
                (Failover, 1),
                (Name, 4),
                (MoveNode, 2),
            ],
            Style::Processes => &[
                (KillMaster, 4),
                (HangMaster, 1),
                (KillNode, 2),
                (FullNodeDisk, 1),
                (Hang, 1),
                (HangSentinel, 3),
                (KillSentinel, 3),
                (MoveSentinel, 1),
                (Sluggish, 2),
                (SlowDisk, 2),
                (FullDisk, 2),
                (Stranger, 3),
            ],
            Style::Operators => &[
                (KillMaster, 2),
                (KillSentinel, 1),
                (Split, 1),
                (OneWay, 1),
                (Pair, 1),
                (Failover, 2),
                (FailoverTo, 2),
                (TwoFailovers, 3),
                (ChangeDownAfter, 1),
                (Forget, 2),
                (ForgetOne, 2),
                (Remove, 2),
            ],
        }
    }

    fn draw(self, rng: &mut Rng) -> Sort {
        let sorts = self.sorts();
        let mut at = rng.below(sorts.iter().map(|(_, weight)| weight).sum());
        for (sort, weight) in sorts {
            if at < *weight {
                return *sort;
            }
            at -= weight;
        }
        sorts[0].0
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
        let kind = match style.draw(rng) {
            Sort::KillMaster => Kind::KillMaster { group, power: rng.permille(300) },
            Sort::HangMaster => Kind::HangMaster { group },
            Sort::KillNode => Kind::KillNode {
                node: node(scenario, rng),
                power: rng.permille(300),
                wipe: scenario.wipes && rng.permille(500),
            },
            Sort::FullNodeDisk => Kind::FullNodeDisk { node: node(scenario, rng) },
            Sort::Hang => Kind::Hang { host: process(scenario, rng) },
            Sort::HangSentinel => Kind::Hang { host: sentinel(scenario, rng) },
            Sort::KillSentinel => Kind::KillSentinel { sentinel: sentinel(scenario, rng), power: rng.permille(300) },
            Sort::MoveSentinel => Kind::MoveSentinel { sentinel: sentinel(scenario, rng) },
            Sort::Sluggish => Kind::Sluggish { host: process(scenario, rng), by: rng.between(5 * MS, 2 * SEC) },
            Sort::SlowDisk => Kind::SlowDisk { sentinel: sentinel(scenario, rng), by: rng.between(50 * MS, 5 * SEC) },
            Sort::FullDisk => Kind::FullDisk { sentinel: sentinel(scenario, rng) },
            Sort::WallJump => Kind::WallJump {
                sentinel: sentinel(scenario, rng),
                millis: i64::try_from(rng.below(200_000)).unwrap_or(0) - 100_000,
            },
            Sort::Split => Kind::Split { hosts: part(scenario, rng) },
            Sort::OneWay => Kind::OneWay { hosts: part(scenario, rng) },
            Sort::Pair => {
                let (one, other) = (rng.index(scenario.host_count()), rng.index(scenario.host_count()));
                Kind::Pair { one, other }
            }
            Sort::Lag => Kind::Lag { group, nth: rng.index(8) },
            Sort::Refuse => Kind::Refuse { host: process(scenario, rng) },
            Sort::BlackHole => Kind::BlackHole { host: process(scenario, rng) },
            Sort::Reset => Kind::Reset { host: rng.index(scenario.host_count()) },
            Sort::Slow => Kind::Slow { host: rng.index(scenario.host_count()), by: rng.between(10 * MS, 3 * SEC) },
            Sort::Lossy => Kind::Lossy { host: rng.index(scenario.host_count()), permille: rng.between(10, 300) },
            Sort::Failover => Kind::Failover { sentinel: sentinel(scenario, rng), group },
            Sort::FailoverTo => Kind::FailoverTo {
                sentinel: sentinel(scenario, rng),
                group,
                nth: rng.index(8),
                coordinated: rng.permille(300),
            },
            Sort::TwoFailovers => {
                Kind::TwoFailovers { sentinel: sentinel(scenario, rng), other: sentinel(scenario, rng), group }
            }
            Sort::ChangeDownAfter => {
                Kind::ChangeDownAfter { sentinel: sentinel(scenario, rng), group, to: rng.between(500 * MS, 10 * SEC) }
            }
            Sort::Forget if forgets => Kind::Forget { sentinel: forgetful, group },
            Sort::ForgetOne if forgets && rng.permille(500) => {
                Kind::ForgetPeer { sentinel: forgetful, other: sentinel(scenario, rng), group }
            }
            Sort::ForgetOne if forgets => Kind::ForgetReplica { sentinel: forgetful, node: node(scenario, rng) },
            Sort::Remove if forgets => Kind::Remove { sentinel: forgetful, group },
            Sort::Name if scenario.names && rng.permille(300) => Kind::NoNames { silent: rng.permille(500) },
            Sort::Name if scenario.names => Kind::NoName { host: node(scenario, rng), silent: rng.permille(500) },
            Sort::MoveNode if scenario.names && scenario.announces_names => {
                Kind::MoveNode { node: node(scenario, rng) }
            }
            Sort::Stranger if scenario.strangers => {
                Kind::Stranger { node: node(scenario, rng), reigns: rng.permille(500) }
            }
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

/// A Sentinel or a data node.
fn process(scenario: &Scenario, rng: &mut Rng) -> HostId {
    rng.index(scenario.sentinels + scenario.node_hosts().len())
}

/// Some of the hosts, often one alone.
fn part(scenario: &Scenario, rng: &mut Rng) -> Vec<HostId> {
    let count = scenario.host_count();
    if rng.permille(400) {
        return vec![rng.index(count)];
    }
    (0..count).filter(|_| rng.permille(400)).collect()
}
