//! What can go wrong, and how it is drawn.

use std::fmt;

use fastrand::Rng;

use crate::host::Role;
use crate::network::{HostId, Rule};

/// Who is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    /// Whoever is the master when it begins.
    Master,
    /// This host.
    Host(HostId),
}

/// One thing that goes wrong for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault<V = Victim> {
    /// SIGKILL; started again at the end.
    Kill(V),
    /// SIGSTOP.
    Hang(V),
    /// Its disk is full.
    FullDisk(V),
    /// Nothing passes in either direction.
    Isolate(V),
    /// What it sends is lost.
    Mute(V),
    /// What is sent to it is lost.
    Deafen(V),
    /// So many of a hundred packets to and from it are lost.
    Lossy(V, u8),
    /// Its line is slow.
    Slow(V),
    /// Nothing passes between these hosts and all others.
    Split(Vec<HostId>),
    /// What these hosts send to all others is lost.
    HalfSplit(Vec<HostId>),
    /// Nothing passes between two hosts, which both reach everybody else.
    Cut(HostId, HostId),
    /// What the first sends to the second is lost.
    OneWay(HostId, HostId),
    /// So many of a hundred packets are lost everywhere.
    LossyEverywhere(u8),
    /// An operator has a Sentinel move the master.
    Failover(HostId),
    /// A Sentinel is restarted at an address that nobody had, and back at its own at the end.
    Move(HostId),
    /// Two Sentinels are restarted, each at the other's address; at the end they change back.
    Exchange(HostId, HostId),
}

impl Fault {
    /// Draws one. `hosts` are all hosts with what they are for.
    pub(crate) fn draw(random: &mut Rng, hosts: &[(HostId, Role)]) -> Self {
        let of = |wanted: &[Role]| -> Vec<HostId> {
            hosts.iter().filter(|(_, role)| wanted.contains(role)).map(|(id, _)| *id).collect()
        };
        let servers = of(&[Role::Data, Role::Sentinel]);
        let all = of(&[Role::Data, Role::Sentinel, Role::Application]);
        let sentinels = of(&[Role::Sentinel]);
        // Most that can happen happens because something happened to the master.
        let victim = |random: &mut Rng| {
            if random.u8(..10) < 4 { Victim::Master } else { Victim::Host(pick(random, &servers)) }
        };
        match random.u8(..18) {
            0 | 1 => Self::Kill(victim(random)),
            2 => Self::Hang(victim(random)),
            3 => Self::FullDisk(victim(random)),
            4 => Self::Isolate(victim(random)),
            5 => Self::Mute(victim(random)),
            6 => Self::Deafen(victim(random)),
            7 => Self::Lossy(victim(random), random.u8(5..40)),
            8 => Self::Slow(victim(random)),
            9 | 10 => Self::Split(some(random, &all)),
            11 => Self::HalfSplit(some(random, &all)),
            12 => {
                let (one, other) = two(random, &all);
                Self::Cut(one, other)
            }
            13 => {
                let (from, to) = two(random, &all);
                Self::OneWay(from, to)
            }
            14 => Self::LossyEverywhere(random.u8(2..15)),
            15 => Self::Move(pick(random, &sentinels)),
            16 => {
                let (one, other) = two(random, &sentinels);
                Self::Exchange(one, other)
            }
            _ => Self::Failover(pick(random, &sentinels)),
        }
    }

    /// The same with a host for every victim.
    pub(crate) fn resolve(&self, master: HostId) -> Fault<HostId> {
        let host = |victim: &Victim| match victim {
            Victim::Master => master,
            Victim::Host(host) => *host,
        };
        match self {
            Self::Kill(victim) => Fault::Kill(host(victim)),
            Self::Hang(victim) => Fault::Hang(host(victim)),
            Self::FullDisk(victim) => Fault::FullDisk(host(victim)),
            Self::Isolate(victim) => Fault::Isolate(host(victim)),
            Self::Mute(victim) => Fault::Mute(host(victim)),
            Self::Deafen(victim) => Fault::Deafen(host(victim)),
            Self::Lossy(victim, lost) => Fault::Lossy(host(victim), *lost),
            Self::Slow(victim) => Fault::Slow(host(victim)),
            Self::Split(hosts) => Fault::Split(hosts.clone()),
            Self::HalfSplit(hosts) => Fault::HalfSplit(hosts.clone()),
            Self::Cut(one, other) => Fault::Cut(*one, *other),
            Self::OneWay(from, to) => Fault::OneWay(*from, *to),
            Self::LossyEverywhere(lost) => Fault::LossyEverywhere(*lost),
            Self::Failover(host) => Fault::Failover(*host),
            Self::Move(host) => Fault::Move(*host),
            Self::Exchange(one, other) => Fault::Exchange(*one, *other),
        }
    }
}

impl Fault<HostId> {
    /// What it does to packets among these hosts.
    pub(crate) fn rules(&self, hosts: &[HostId]) -> Vec<Rule> {
        let lost = |from: HostId, to: HostId| -> u8 {
            match self {
                Self::Isolate(host) if *host == from || *host == to => 100,
                Self::Mute(host) if *host == from => 100,
                Self::Deafen(host) if *host == to => 100,
                Self::Lossy(host, lost) if *host == from || *host == to => *lost,
                Self::LossyEverywhere(lost) => *lost,
                Self::Split(side) if side.contains(&from) != side.contains(&to) => 100,
                Self::HalfSplit(side) if side.contains(&from) && !side.contains(&to) => 100,
                Self::Cut(one, other) if (from, to) == (*one, *other) || (to, from) == (*one, *other) => 100,
                Self::OneWay(sender, receiver) if (from, to) == (*sender, *receiver) => 100,
                _ => 0,
            }
        };
        let pairs = hosts.iter().flat_map(|from| hosts.iter().map(|to| (*from, *to)));
        pairs
            .filter(|(from, to)| from != to)
            .map(|(from, to)| Rule { from, to, lost: lost(from, to) })
            .filter(|rule| rule.lost > 0)
            .collect()
    }

    /// The same for a reader, with the names of the hosts.
    pub(crate) fn told(&self, name: impl Fn(HostId) -> String) -> String {
        let names = |hosts: &[HostId]| hosts.iter().map(|host| name(*host)).collect::<Vec<_>>().join("+");
        match self {
            Self::Kill(host) => format!("SIGKILL of {}", name(*host)),
            Self::Hang(host) => format!("SIGSTOP of {}", name(*host)),
            Self::FullDisk(host) => format!("full disk of {}", name(*host)),
            Self::Isolate(host) => format!("{} cut off", name(*host)),
            Self::Mute(host) => format!("{} not heard", name(*host)),
            Self::Deafen(host) => format!("{} hears nothing", name(*host)),
            Self::Lossy(host, lost) => format!("{lost} % lost at {}", name(*host)),
            Self::Slow(host) => format!("slow line of {}", name(*host)),
            Self::Split(hosts) => format!("split of {}", names(hosts)),
            Self::HalfSplit(hosts) => format!("{} not heard by the others", names(hosts)),
            Self::Cut(one, other) => format!("{} and {} cut apart", name(*one), name(*other)),
            Self::OneWay(from, to) => format!("{} not heard by {}", name(*from), name(*to)),
            Self::LossyEverywhere(lost) => format!("{lost} % lost everywhere"),
            Self::Failover(host) => format!("SENTINEL FAILOVER at {}", name(*host)),
            Self::Move(host) => format!("another address for {}", name(*host)),
            Self::Exchange(one, other) => format!("exchanged addresses of {} and {}", name(*one), name(*other)),
        }
    }
}

impl<V> fmt::Display for Fault<V> {
    /// Its kind.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kill(_) => "SIGKILL",
            Self::Hang(_) => "SIGSTOP",
            Self::FullDisk(_) => "full disk",
            Self::Isolate(_) => "host cut off",
            Self::Mute(_) => "host not heard",
            Self::Deafen(_) => "host hears nothing",
            Self::Lossy(..) => "loss at a host",
            Self::Slow(_) => "slow line",
            Self::Split(_) => "partition",
            Self::HalfSplit(_) => "one-way partition",
            Self::Cut(..) => "pair cut apart",
            Self::OneWay(..) => "pair cut one way",
            Self::LossyEverywhere(_) => "loss everywhere",
            Self::Failover(_) => "SENTINEL FAILOVER",
            Self::Move(_) => "another address",
            Self::Exchange(..) => "exchanged addresses",
        })
    }
}

fn pick(random: &mut Rng, hosts: &[HostId]) -> HostId {
    hosts[random.usize(..hosts.len())]
}

fn two(random: &mut Rng, hosts: &[HostId]) -> (HostId, HostId) {
    let one = pick(random, hosts);
    loop {
        let other = pick(random, hosts);
        if other != one {
            return (one, other);
        }
    }
}

/// Some hosts, neither none nor all.
fn some(random: &mut Rng, hosts: &[HostId]) -> Vec<HostId> {
    loop {
        let side: Vec<HostId> = hosts.iter().copied().filter(|_| random.bool()).collect();
        if !side.is_empty() && side.len() < hosts.len() {
            return side;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_one_way_partition_cuts_one_direction_and_a_partition_both() {
        let rules = Fault::HalfSplit(vec![0]).rules(&[0, 1, 2]);
        assert_eq!(rules, [Rule { from: 0, to: 1, lost: 100 }, Rule { from: 0, to: 2, lost: 100 }]);
        let rules = Fault::Split(vec![0]).rules(&[0, 1, 2]);
        assert_eq!(rules.len(), 4);
        assert!(rules.iter().all(|rule| rule.from == 0 || rule.to == 0));
    }

    #[test]
    fn the_same_seed_draws_the_same_faults_and_every_kind_is_drawn() {
        let hosts =
            [(0, Role::Data), (1, Role::Data), (2, Role::Sentinel), (3, Role::Sentinel), (4, Role::Application)];
        let draw = |seed| {
            let mut random = Rng::with_seed(seed);
            (0..400).map(|_| Fault::draw(&mut random, &hosts)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        let kinds: std::collections::BTreeSet<String> = draw(7).iter().map(ToString::to_string).collect();
        assert_eq!(kinds.len(), 16, "{kinds:?}");
    }
}
