//! One world, as its seed makes it.

use std::net::Ipv4Addr;

use sentinel_core::{
    MasterSnapshot, Snapshot,
    settings::{GlobalSettings, MasterSettings, Timing},
    types::{Epoch, Host, HostPort, MasterName, Quorum, SentinelId},
};

use crate::{
    app::App,
    faults::{Fault, Kind, plan},
    guards::Guards,
    invariants::{Checks, Setting},
    node::{Config, Node, Persistence},
    physics::{HostId, Physics, Record},
    rng::Rng,
    sentinel::{DiskState, Sentinel},
    time::{MS, SEC, Time},
    trace::{Detail, Trace},
    world::World,
};

/// The name of a group.
pub fn group_name(group: usize) -> String {
    format!("group{group}")
}

/// The first of the seeds that are drawn from a text: far away from those that people count from, and with room for as
/// many as they like behind it. The same text gives the same seed on every machine.
pub fn fresh_seed(text: &str) -> u64 {
    const FIRST: u64 = 1_000_000_000;
    // FNV-1a
    let hash = text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    FIRST + (hash >> 24) * 10_000
}

/// Everything that a seed decides before the first moment.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent turn that a history may take")]
pub struct Scenario {
    /// The seed.
    pub seed: u64,
    /// Single faults with time to recover between them, instead of many at once.
    pub calm: bool,
    /// Nothing happens but that operators move masters that are well, one after the other.
    pub switchovers: bool,
    /// Many groups, whose masters die in the same instant.
    pub crowd: bool,
    /// How many Sentinels.
    pub sentinels: usize,
    /// How many data nodes each group has.
    pub groups: Vec<usize>,
    /// The quorum of every group.
    pub quorum: usize,
    /// down-after
    pub down_after: Time,
    /// failover-timeout
    pub failover_timeout: Time,
    /// parallel-syncs
    pub parallel_syncs: u32,
    /// How data survives.
    pub persistence: Persistence,
    /// Whether nodes may come back without their data although it was on disk.
    pub wipes: bool,
    /// Replicas may come back from files of any age, also as masters.
    pub old_files: bool,
    /// min-replicas-to-write: of all replicas of the group at most, so `usize::MAX` wants all.
    pub min_replicas: usize,
    /// Data nodes are known by names, which may fail to resolve, or resolve to a former address.
    pub names: bool,
    /// `announce-hostnames`, where there are names: else replicas and Sentinels tell addresses, and nodes keep theirs.
    pub announces_names: bool,
    /// Addresses of replicas may be given to others.
    pub strangers: bool,
    /// SENTINEL FAILOVER hands over if it can (`lossless-failover`).
    pub lossless: bool,
    /// repl-timeout
    pub repl_timeout: Time,
    /// What Sentinels are asked for besides what the reference does.
    pub guards: Guards,
    /// The timing constants of every Sentinel.
    pub timing: Timing,
    /// How long a save of a Sentinel takes on a disk that is well, from half of it to half as much again.
    pub save_time: Time,
    /// Servers from before Redis 6.2, without FAILOVER.
    pub old_servers: bool,
    /// Entries in a replication backlog.
    pub backlog: usize,
    /// Time for a full synchronisation.
    pub sync_time: Time,
    /// For each application: its group, how many replicas it waits for, and its period.
    pub apps: Vec<(usize, usize, Time)>,
    /// Latency: the least, and how much more it may be.
    pub latency: (Time, Time),
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// No fault is in force any more.
    pub healed_at: Time,
    /// The world must have come to rest.
    pub deadline: Time,
}

impl Scenario {
    /// The scenario of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed, "scenario");
        let calm = rng.permille(300);
        let crowd = calm && rng.permille(80);
        let switchovers = calm && !crowd && rng.permille(250);
        let sentinels = rng.pick(&[3, 3, 3, 3, 3, 5, 5, 4]);
        let majority = sentinels / 2 + 1;
        let quorum = if rng.permille(400) { majority } else { rng.pick(&[2, majority]) };
        let group_count = if crowd { rng.between(4, 9) } else { rng.pick(&[1, 1, 1, 1, 2]) };
        let sizes: &[usize] = if crowd { &[2] } else { &[3, 3, 3, 2, 2, 3, 4, 5] };
        let groups: Vec<usize> = (0..group_count).map(|_| rng.pick(sizes)).collect();
        let persistence = rng.pick(&[
            Persistence::AofAlways,
            Persistence::AofAlways,
            Persistence::AofEverySecond,
            Persistence::Rdb(20),
            Persistence::None,
        ]);
        let wipes = !calm && rng.permille(250);
        let names = rng.permille(200);
        let strangers = !calm && rng.permille(200);
        let guarded = persistence == Persistence::AofAlways && !wipes && !strangers;
        let mut apps = Vec::new();
        for (group, nodes) in groups.iter().enumerate() {
            for _ in 0..rng.between(1, 2) {
                let wait = if guarded && rng.permille(500) { nodes - 1 } else { 0 };
                apps.push((group, wait, rng.between(100 * MS, 600 * MS)));
            }
        }
        let no_wait = apps.iter().all(|(_, wait, _)| *wait == 0);
        let mut scenario = Scenario {
            seed,
            calm,
            switchovers,
            crowd,
            sentinels,
            groups,
            quorum,
            down_after: rng.pick(&[1, 2, 3, 5, 5, 10]) * SEC,
            failover_timeout: rng.pick(&[6, 10, 20]) * SEC,
            parallel_syncs: rng.pick(&[1, 1, 2]),
            persistence,
            wipes,
            old_files: !calm && no_wait && Rng::new(seed, "old files").permille(300),
            min_replicas: rng.pick(&[0, 0, 0, 1, usize::MAX]),
            names,
            announces_names: Rng::new(seed, "announce").permille(600),
            strangers,
            lossless: rng.permille(800),
            repl_timeout: rng.pick(&[10, 20]) * SEC,
            guards: Guards::of(seed),
            timing: Timing::default(),
            save_time: MS,
            old_servers: rng.permille(300),
            backlog: rng.pick(&[50, 1_000, 10_000]),
            sync_time: rng.pick(&[50 * MS, 300 * MS, 2 * SEC]),
            apps,
            latency: rng.pick(&[(50, 100), (200, 1_000), (MS, 20 * MS)]),
            faults: Vec::new(),
            healed_at: 0,
            deadline: 0,
        };
        scenario.faults = plan(&scenario);
        scenario.settle();
        scenario
    }

    /// Whether a node comes back with everything it has acknowledged, whatever ended it.
    pub const fn keeps_files(&self) -> bool {
        matches!(self.persistence, Persistence::AofAlways) && !self.wipes && !self.strangers && !self.old_files
    }

    /// Whether nothing happens but that masters which are well are moved without loss. A node that takes over and is cut off then may
    /// acknowledge what nobody else hears of, and `FORCE` does not wait for the replica.
    pub fn moves_only(&self) -> bool {
        let cut_off = |kind: &Kind| matches!(kind, Kind::Forced { .. } | Kind::Vanish { with_target: true, .. });
        let moves = self.switchovers && self.lossless && !self.old_servers;
        moves && !self.faults.iter().any(|fault| cut_off(&fault.kind))
    }

    /// Keeps these faults only.
    pub fn keep(&mut self, only: &[usize]) {
        let mut number = 0;
        self.faults.retain(|_| {
            number += 1;
            only.contains(&(number - 1))
        });
        self.settle();
    }

    fn settle(&mut self) {
        self.healed_at = self.faults.iter().map(|fault| fault.until + fault.kind.aftermath()).max().unwrap_or(20 * SEC);
        // What may still have to pass, one after the other: pauses between failovers, the repair of a replica that
        // follows the wrong master, a silent link's end, a full synchronisation.
        let pauses = 4 * self.failover_timeout + 2 * self.guards.failover_pause;
        let rest = pauses + 4 * self.down_after + 2 * self.repl_timeout + 90 * SEC;
        self.deadline = self.healed_at + rest;
    }

    /// The host of a Sentinel.
    pub const fn sentinel_host(&self, index: usize) -> HostId {
        index
    }

    /// The hosts of the data nodes, with their groups.
    pub fn node_hosts(&self) -> Vec<(HostId, usize)> {
        let mut hosts = Vec::new();
        for (group, nodes) in self.groups.iter().enumerate() {
            for _ in 0..*nodes {
                hosts.push((self.sentinels + hosts.len(), group));
            }
        }
        hosts
    }

    /// All hosts.
    pub fn host_count(&self) -> usize {
        self.sentinels + self.groups.iter().sum::<usize>() + self.apps.len()
    }

    /// Makes the world.
    ///
    /// # Panics
    ///
    /// Never: ids, names and quorums are drawn so that they are valid.
    pub fn build(&self, detail: Detail) -> World {
        let mut rng = Rng::new(self.seed, "build");
        let nodes = self.node_hosts();
        let byte = |index: usize| u8::try_from(index + 1).unwrap_or(255);
        let mut hosts: Vec<(Ipv4Addr, u16)> = Vec::new();
        hosts.extend((0..self.sentinels).map(|index| (Ipv4Addr::new(10, 0, 1, byte(index)), 26_379)));
        hosts.extend((0..nodes.len()).map(|index| (Ipv4Addr::new(10, 0, 0, byte(index)), 6_379)));
        hosts.extend((0..self.apps.len()).map(|index| (Ipv4Addr::new(10, 0, 2, byte(index)), 0)));
        let name_of = |host: HostId| format!("node{host}.example");
        let is_node = |host: HostId| nodes.iter().any(|(it, _)| *it == host);
        let address = |host: HostId| {
            let known_as = if self.names && is_node(host) {
                Host::Name(name_of(host).into())
            } else {
                Host::Ip(hosts[host].0.into())
            };
            HostPort::new(known_as, hosts[host].1)
        };
        let ids: Vec<SentinelId> =
            (0..self.sentinels).map(|_| SentinelId::new(&rng.hex40()).expect("40 hex digits are an id")).collect();
        let first_of = |group: usize| nodes.iter().find(|(_, it)| *it == group).map_or(0, |(host, _)| *host);
        let setting = Setting {
            groups: (0..self.groups.len()).map(group_name).collect(),
            ids: (0..hosts.len()).map(|host| ids.get(host).cloned()).collect(),
            nodes: (0..hosts.len())
                .map(|host| nodes.iter().find(|(it, _)| *it == host).map(|(_, group)| (address(host), *group)))
                .collect(),
            behind: (0..hosts.len())
                .map(|host| is_node(host).then(|| HostPort::new(Host::Ip(hosts[host].0.into()), hosts[host].1)))
                .collect(),
            quorum: self.quorum,
            down_after: self.down_after,
            guards: self.guards,
        };
        let mut globals = GlobalSettings {
            resolve_hostnames: self.names,
            announce_hostnames: self.names && self.announces_names,
            ..GlobalSettings::default()
        };
        self.guards.apply_to_all(&mut globals);
        let sentinels = (0..self.sentinels).map(|index| {
            let masters = (0..self.groups.len()).map(|group| {
                let name = MasterName::new(&group_name(group)).expect("a plain word is a name");
                MasterSnapshot::new(name, address(first_of(group)), self.settings()).into()
            });
            let snapshot = Snapshot {
                id: ids[index].clone(),
                current_epoch: Epoch::ZERO,
                globals: globals.clone().into(),
                masters: masters.collect(),
            };
            Sentinel::new(index, snapshot, self.timing, DiskState::Works(self.save_time), self.seed)
        });
        let sentinels: Vec<Sentinel> = sentinels.collect();
        let priorities: Vec<u32> = (0..nodes.len()).map(|_| rng.pick(&[100, 100, 100, 100, 50, 0])).collect();
        let data_nodes: Vec<Node> = nodes
            .iter()
            .enumerate()
            .map(|(index, (host, group))| {
                let first = first_of(*group);
                let second = first + 1;
                // At least one replica can always be promoted.
                let priority = if *host == second || *host == first { 100 } else { priorities[index] };
                let config = Config {
                    replicaof: (*host != first).then(|| address(first)),
                    announces_name: self.announces_names,
                    priority,
                    persistence: self.persistence,
                    min_replicas: self.min_replicas.min(self.groups[*group] - 1),
                    repl_timeout: self.repl_timeout,
                    backlog: self.backlog,
                    sync_time: self.sync_time,
                    copies: self.old_files,
                    old: self.old_servers,
                };
                Node::new(*host, *group, config, self.seed)
            })
            .collect();
        let sentinel_addresses: Vec<HostPort> = (0..self.sentinels).map(address).collect();
        let first_app = self.sentinels + nodes.len();
        let apps: Vec<App> = self
            .apps
            .iter()
            .enumerate()
            .map(|(index, (group, wait, period))| {
                App::new(first_app + index, *group, *wait, *period, sentinel_addresses.clone(), self.seed)
            })
            .collect();
        let checks = Checks::new(setting);
        let mut physics = Physics::new(self.seed, hosts.clone(), self.latency, Trace::new(detail), checks);
        if self.names {
            for (host, _) in &nodes {
                physics.hosts[*host].record = Some(Record::new(&name_of(*host), hosts[*host].0));
            }
        }
        World::new(physics, sentinels, data_nodes, apps, self.clone())
    }

    /// The settings of every group at every Sentinel.
    ///
    /// # Panics
    ///
    /// Never: a drawn quorum is at least 2.
    pub fn settings(&self) -> MasterSettings {
        let quorum = Quorum::new(i64::try_from(self.quorum).unwrap_or(1)).expect("at least one");
        let mut settings = MasterSettings::new(quorum);
        settings.down_after = std::time::Duration::from_micros(self.down_after);
        settings.failover_timeout = std::time::Duration::from_micros(self.failover_timeout);
        settings.parallel_syncs = self.parallel_syncs;
        settings.lossless_failover = self.lossless;
        self.guards.apply(&mut settings);
        // All else is as it would be without.
        if self.faults.iter().any(|fault| matches!(fault.kind, Kind::Logins { .. })) {
            settings.auth_pass = Some(sentinel_core::types::Secret::new("of the Sentinels"));
        }
        settings
    }
}
