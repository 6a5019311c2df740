//! Carrying faults out, and ending them.

use sentinel_core::{
    command::{Change, MasterSetting, NewMaster, SetOption},
    types::{HostPort, MasterName},
};

use crate::{
    faults::Kind,
    physics::HostId,
    say,
    scenario::group_name,
    sentinel::DiskState,
    time::{MS, SEC, Time},
    world::{Death, World},
};

impl World {
    /// A fault begins.
    pub(crate) fn begin(&mut self, index: usize) {
        let mut kind = self.scenario.faults[index].kind.clone();
        let until = self.scenario.faults[index].until;
        // From now on it is about a certain host.
        kind = match kind {
            Kind::KillMaster { group, power } => match self.master_of(group) {
                Some(node) => Kind::KillNode { node, power, wipe: false },
                None => return,
            },
            Kind::KillAllMasters => {
                let nodes = (0..self.scenario.groups.len()).filter_map(|group| self.master_of(group)).collect();
                Kind::KillNodes { nodes }
            }
            Kind::HangMaster { group } => match self.master_of(group) {
                Some(host) => Kind::Hang { host },
                None => return,
            },
            other => other,
        };
        say!(self.physics, "fault {index} begins: {kind:?}");
        if let Kind::KillNode { node: host, .. } | Kind::Hang { host } = kind {
            self.expect_failover(host, until);
        }
        if let Kind::KillNodes { nodes } = &kind {
            for node in nodes {
                self.expect_failover(*node, until);
            }
        }
        self.act(&kind);
        self.in_force.insert(index, kind);
    }

    /// A master that dies while all else is well must be replaced: down-after counts from the first PING that is not
    /// answered, a quarter of it at most after the last that is; then an election that may have to be repeated.
    fn expect_failover(&mut self, host: HostId, until: Time) {
        let now = self.physics.now();
        let limit = now + self.scenario.down_after * 5 / 4 + 2 * SEC;
        let Some(group) = (0..self.scenario.groups.len()).find(|group| self.master_of(*group) == Some(host)) else {
            return;
        };
        if self.scenario.calm && limit < until {
            self.deaths.push(Death { group, master: host, at: now, until: limit });
            self.physics.checks.master_died(now, group);
        }
    }

    /// A fault ends.
    pub(crate) fn end(&mut self, index: usize) {
        let Some(kind) = self.in_force.remove(&index) else { return };
        say!(self.physics, "fault {index} ends: {kind:?}");
        self.undo(&kind);
        self.physics.release_held();
    }

    fn act(&mut self, kind: &Kind) {
        match kind {
            Kind::KillMaster { .. } | Kind::HangMaster { .. } | Kind::KillAllMasters => {}
            Kind::KillNodes { nodes } => {
                for node in nodes {
                    self.act(&Kind::KillNode { node: *node, power: false, wipe: false });
                }
            }
            Kind::KillNode { node, power, wipe } => {
                if self.physics.hosts[*node].running {
                    let at = self.node_index(*node);
                    self.nodes[at].stop(&mut self.physics, *power, *wipe);
                }
            }
            Kind::Hang { host } => self.physics.hosts[*host].hung += 1,
            Kind::KillSentinel { sentinel, power } => {
                if self.sentinels[*sentinel].is_running() {
                    self.sentinels[*sentinel].stop(&mut self.physics, *power);
                }
            }
            Kind::MoveSentinel { sentinel } => self.move_sentinel(*sentinel),
            Kind::Split { hosts } => self.cut(hosts, true, true),
            Kind::OneWay { hosts } => self.cut(hosts, false, true),
            Kind::Pair { one, other } => {
                self.physics.cut(*one, *other);
                self.physics.cut(*other, *one);
            }
            Kind::Refuse { host } => self.physics.hosts[*host].refusing += 1,
            Kind::Reset { host } => {
                for (conn, _) in self.physics.conns_of(*host) {
                    self.physics.reset(conn);
                }
            }
            Kind::Slow { host, by } => self.physics.hosts[*host].slowness += by,
            Kind::Lossy { host, permille } => self.physics.hosts[*host].lossy += permille,
            Kind::SlowDisk { sentinel, by } => self.sentinels[*sentinel].set_disk(DiskState::Works(*by)),
            Kind::FullDisk { sentinel } => self.sentinels[*sentinel].set_disk(DiskState::Full(MS)),
            Kind::WallJump { sentinel, millis } => self.sentinels[*sentinel].jump_wall(*millis),
            Kind::Failover { sentinel, group } => {
                self.command(*sentinel, Change::Failover { name: group_name(*group) });
            }
            Kind::TwoFailovers { sentinel, other, group } => {
                self.command(*sentinel, Change::Failover { name: group_name(*group) });
                self.command(*other, Change::Failover { name: group_name(*group) });
            }
            Kind::Forget { sentinel, group } => {
                self.command(*sentinel, Change::Reset { pattern: group_name(*group) });
            }
            Kind::ChangeDownAfter { sentinel, group, to } => self.set_down_after(*sentinel, *group, *to),
            Kind::Remove { sentinel, group } => self.command(*sentinel, Change::Remove { name: group_name(*group) }),
        }
    }

    fn undo(&mut self, kind: &Kind) {
        match kind {
            Kind::KillNode { node, .. } => {
                if !self.physics.hosts[*node].running {
                    self.physics.hosts[*node].hung = 0;
                    let at = self.node_index(*node);
                    self.nodes[at].start(&mut self.physics);
                }
            }
            Kind::KillNodes { nodes } => {
                for node in nodes {
                    self.undo(&Kind::KillNode { node: *node, power: false, wipe: false });
                }
            }
            Kind::Hang { host } => {
                let hung = &mut self.physics.hosts[*host].hung;
                *hung = hung.saturating_sub(1);
                if *hung == 0 {
                    self.resume(*host);
                }
            }
            Kind::KillSentinel { sentinel, .. } | Kind::MoveSentinel { sentinel } => {
                if !self.sentinels[*sentinel].is_running() {
                    self.physics.hosts[*sentinel].hung = 0;
                    self.sentinels[*sentinel].start(&mut self.physics);
                }
            }
            Kind::Split { hosts } => self.cut(hosts, true, false),
            Kind::OneWay { hosts } => self.cut(hosts, false, false),
            Kind::Pair { one, other } => {
                self.physics.mend(*one, *other);
                self.physics.mend(*other, *one);
            }
            Kind::Refuse { host } => self.physics.hosts[*host].refusing -= 1,
            Kind::Slow { host, by } => self.physics.hosts[*host].slowness -= by,
            Kind::Lossy { host, permille } => self.physics.hosts[*host].lossy -= permille,
            Kind::SlowDisk { sentinel, .. } | Kind::FullDisk { sentinel } => {
                self.sentinels[*sentinel].set_disk(DiskState::Works(MS));
            }
            Kind::ChangeDownAfter { sentinel, group, .. } => {
                self.set_down_after(*sentinel, *group, self.scenario.down_after);
            }
            Kind::Remove { sentinel, group } => self.monitor(*sentinel, *group),
            Kind::KillMaster { .. }
            | Kind::KillAllMasters
            | Kind::HangMaster { .. }
            | Kind::Reset { .. }
            | Kind::WallJump { .. }
            | Kind::Failover { .. }
            | Kind::TwoFailovers { .. }
            | Kind::Forget { .. } => {}
        }
    }

    fn cut(&mut self, part: &[HostId], both_ways: bool, begins: bool) {
        for from in part {
            for to in (0..self.physics.hosts.len()).filter(|host| !part.contains(host)) {
                let mut change = |from, to| {
                    if begins { self.physics.cut(from, to) } else { self.physics.mend(from, to) }
                };
                change(*from, to);
                if both_ways {
                    change(to, *from);
                }
            }
        }
    }

    /// Stops a Sentinel, and gives its machine another address for the next start.
    fn move_sentinel(&mut self, sentinel: HostId) {
        if self.sentinels[sentinel].is_running() {
            self.sentinels[sentinel].stop(&mut self.physics, false);
        }
        let [a, b, c, d] = self.physics.hosts[sentinel].ip.octets();
        self.physics.hosts[sentinel].ip = [a, b + 1, c, d].into();
        let addr = self.physics.address(sentinel);
        for app in &mut self.apps {
            app.sentinel_moved(sentinel, addr.clone());
        }
    }

    fn command(&mut self, sentinel: HostId, change: Change) {
        // An operator at a process that is gone, or stands still, gets no answer and goes away.
        if self.sentinels[sentinel].is_running() && self.physics.hosts[sentinel].hung == 0 {
            self.sentinels[sentinel].operator(&mut self.physics, change);
        }
    }

    fn set(&mut self, sentinel: HostId, group: usize, setting: MasterSetting, shown: &str) {
        let options = vec![SetOption { setting, shown: shown.to_owned() }];
        self.command(sentinel, Change::Set { name: group_name(group), options, error: None });
    }

    fn set_down_after(&mut self, sentinel: HostId, group: usize, to: Time) {
        let setting = MasterSetting::DownAfter(std::time::Duration::from_micros(to));
        self.set(sentinel, group, setting, &format!("down-after-milliseconds {}", to / MS));
    }

    /// SENTINEL MONITOR at what another Sentinel says, and SET of everything that is not the default.
    fn monitor(&mut self, sentinel: HostId, group: usize) {
        let name = group_name(group);
        let told: Option<HostPort> = (0..self.sentinels.len())
            .filter(|other| *other != sentinel)
            .find_map(|other| self.sentinels[other].master_of(&name))
            .map(|(addr, _)| addr)
            .or_else(|| self.master_of(group).map(|host| self.physics.address(host)));
        let Some(addr) = told else { return self.monitor_later(sentinel, group) };
        if !self.sentinels[sentinel].is_running() || self.physics.hosts[sentinel].hung > 0 {
            return self.monitor_later(sentinel, group);
        }
        let settings = self.scenario.settings();
        let new =
            NewMaster { name: MasterName::new(&name).expect("a plain word is a name"), addr, quorum: settings.quorum };
        self.command(sentinel, Change::Monitor(new));
        self.set_down_after(sentinel, group, self.scenario.down_after);
        self.set(sentinel, group, MasterSetting::FailoverTimeout(settings.failover_timeout), "failover-timeout ...");
        self.set(sentinel, group, MasterSetting::ParallelSyncs(settings.parallel_syncs), "parallel-syncs ...");
    }

    fn monitor_later(&mut self, sentinel: HostId, group: usize) {
        self.unmonitored.push((sentinel, group));
    }

    /// What operators could not do when they wanted to.
    pub(crate) fn monitor_again(&mut self) {
        for (sentinel, group) in std::mem::take(&mut self.unmonitored) {
            self.monitor(sentinel, group);
        }
    }
}
