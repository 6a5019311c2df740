//! Carrying faults out, and ending them.

use sentinel_core::{
    command::{Change, MasterSetting, NewMaster, SetOption},
    settings::{
        master::{AUTH_PASS, DOWN_AFTER, FAILOVER_TIMEOUT, LOSSLESS_FAILOVER, PARALLEL_SYNCS},
        row::Value,
    },
    types::{Epoch, Host, HostPort, MasterName, Nonce, Signature, Signed},
};

use crate::{
    faults::{Kind, RECORD_LIFE},
    invariants::FORGED,
    packet::Purpose,
    physics::{Event, HostId, HostState, LISTENER},
    say,
    scenario::group_name,
    sentinel::DiskState,
    time::{MS, SEC, Time},
    world::{Death, Orphan, World},
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
            Kind::Lag { group, nth } => match (self.master_of(group), self.replica_of(group, nth)) {
                (Some(one), Some(other)) => Kind::Pair { one, other },
                _ => return,
            },
            Kind::HangMaster { group } => match self.master_of(group) {
                Some(host) => Kind::Hang { host },
                None => return,
            },
            Kind::HangReplica { group, nth } => match self.replica_of(group, nth) {
                Some(host) => Kind::Hang { host },
                None => return,
            },
            Kind::Vanish { sentinel, group, nth, with_target } => {
                self.expect_handover_finished(group, sentinel, until);
                match self.targets.get(&group).copied().or_else(|| self.replica_of(group, nth)) {
                    Some(target) if with_target => Kind::Split { hosts: vec![sentinel, target] },
                    _ => Kind::KillSentinel { sentinel, power: false },
                }
            }
            Kind::KillReplica { group, nth } => match self.promotable_of(group, nth) {
                Some(node) => Kind::KillNode { node, power: false, wipe: false },
                None => return,
            },
            Kind::KillAllBut { group, nth, back } => {
                let Some(first) = self.promotable_of(group, nth) else { return };
                self.expect_reloaded(group, back, until);
                let others = self.nodes.iter().filter(|node| node.group == group && node.host != first);
                Kind::KillNodes { nodes: others.map(|node| node.host).collect() }
            }
            other => other,
        };
        say!(self.physics, "fault {index} begins: {kind:?}");
        if let Kind::KillNode { node: host, .. } | Kind::Hang { host } = kind {
            self.expect_failover(host, until);
        }
        if let (Kind::KillNodes { nodes }, Kind::KillAllMasters) = (&kind, &self.scenario.faults[index].kind) {
            for node in nodes {
                self.expect_failover(*node, until);
            }
        }
        self.act(index, &kind);
        self.in_force.insert(index, kind);
    }

    /// A node of a group besides its master, counted from the first, and round again.
    fn replica_of(&self, group: usize, nth: usize) -> Option<HostId> {
        let master = self.master_of(group);
        let others = self.nodes.iter().filter(|node| node.group == group && Some(node.host) != master);
        let others: Vec<HostId> = others.map(|node| node.host).collect();
        others.get(nth.checked_rem(others.len())?).copied()
    }

    /// The same among those that may be promoted.
    fn promotable_of(&self, group: usize, nth: usize) -> Option<HostId> {
        let master = self.master_of(group)?;
        let others = self.nodes.iter().filter(|node| node.group == group && node.host != master);
        let others: Vec<HostId> = others.filter(|node| node.config.priority > 0).map(|node| node.host).collect();
        others.get(nth.checked_rem(others.len())?).copied()
    }

    /// Everybody dies, and one replica comes back soon from its append-only file: it must be promoted after the grace.
    fn expect_reloaded(&mut self, group: usize, back: Time, until: Time) {
        let now = self.physics.now();
        let settings = self.scenario.settings();
        let grace = Time::try_from(settings.reload_grace.as_micros()).unwrap_or(0);
        let known_down = now + self.scenario.down_after * 5 / 4 + SEC;
        let limit = known_down.max(now + back) + grace + 2 * self.scenario.sync_time + 4 * SEC;
        let Some(master) = self.master_of(group) else { return };
        if settings.max_lag.is_none() && limit < until {
            self.deaths.push(Death { group, master, at: now, until: limit });
        }
    }

    /// A master that dies while all else is well must be replaced: down-after counts from the first PING that is not
    /// answered, a quarter of it at most after the last that is; then an election that may have to be repeated.
    fn expect_failover(&mut self, host: HostId, until: Time) {
        let now = self.physics.now();
        let limit = now + self.scenario.down_after * 5 / 4 + 2 * SEC;
        let pause = self.scenario.guards.failover_pause;
        let Some(group) = (0..self.scenario.groups.len()).find(|group| self.master_of(*group) == Some(host)) else {
            return;
        };
        let mut switches = self.physics.checks.switches().iter();
        let paused = switches.any(|(at, of)| *of == group && at + pause > now);
        if self.scenario.calm && limit < until && !paused {
            self.deaths.push(Death { group, master: host, at: now, until: limit });
            self.physics.checks.master_died(now, group);
        }
    }

    /// Somebody types `FAILOVER TO ... FORCE` at a master.
    fn force_handover(&mut self, index: usize, group: usize, nth: usize) {
        let (Some(master), Some(replica)) = (self.master_of(group), self.replica_of(group, nth)) else { return };
        let (to, at) = (self.physics.address(replica), self.node_index(master));
        if self.physics.hosts[master].hung == 0 {
            self.nodes[at].type_failover(&mut self.physics, to, 10 * MS);
            self.expect_handover_finished(group, HostId::MAX, self.scenario.faults[index].until);
        }
    }

    /// A handover that nobody leads any more must come to its end while all else is well: a replica that does not answer is
    /// subjectively down first; or it has taken over, and only has to be named. A Sentinel that is lost itself names nobody.
    fn expect_handover_finished(&mut self, group: usize, lost: HostId, until: Time) {
        let now = self.physics.now();
        let limit = now + self.scenario.down_after * 5 / 4 + 3 * SEC;
        if self.scenario.calm && limit < until {
            self.handovers.push(Orphan { group, lost, at: now, until: limit });
        }
    }

    /// A fault ends.
    pub(crate) fn end(&mut self, index: usize) {
        let Some(kind) = self.in_force.remove(&index) else { return };
        say!(self.physics, "fault {index} ends: {kind:?}");
        self.undo(index, &kind);
        self.physics.release_held();
    }

    fn act(&mut self, index: usize, kind: &Kind) {
        match kind {
            // These have become others by now.
            Kind::KillMaster { .. }
            | Kind::HangMaster { .. }
            | Kind::HangReplica { .. }
            | Kind::Vanish { .. }
            | Kind::KillAllMasters
            | Kind::KillReplica { .. }
            | Kind::KillAllBut { .. }
            | Kind::Lag { .. } => {}
            Kind::OldFile { node, age, stray } => {
                let at = self.node_index(*node);
                let host = &self.physics.hosts[*node];
                if host.running && host.hung == 0 && !self.nodes[at].is_master() && !self.nodes[at].foreign {
                    self.nodes[at].stop(&mut self.physics, false, false);
                    self.nodes[at].put_back_file(*age, *stray);
                }
            }
            Kind::Forced { group, nth } => self.force_handover(index, *group, *nth),
            Kind::KillNodes { nodes } => {
                for node in nodes {
                    self.act(index, &Kind::KillNode { node: *node, power: false, wipe: false });
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
            Kind::ExchangeSentinels { one, other } => self.exchange_sentinels(*one, *other),
            Kind::ReuseSentinel { sentinel, other } => {
                self.exchange_sentinels(*sentinel, *other);
                self.move_sentinel(*sentinel);
            }
            Kind::TwoAddresses { sentinel, away } => {
                if self.sentinels[*away].is_running() {
                    self.sentinels[*away].stop(&mut self.physics, false);
                }
                let (ip, port) = (self.physics.hosts[*away].ip, self.physics.hosts[*away].port);
                self.physics.hosts[*sentinel].also = Some((ip, port));
            }
            Kind::Split { hosts } => self.cut(hosts, true, true),
            Kind::OneWay { hosts } => self.cut(hosts, false, true),
            Kind::Pair { one, other } => {
                self.physics.cut(*one, *other);
                self.physics.cut(*other, *one);
            }
            Kind::Refuse { host } => self.physics.hosts[*host].refusing += 1,
            Kind::BlackHole { host } => self.physics.hosts[*host].swallowing += 1,
            Kind::Sluggish { host, by } => self.physics.hosts[*host].sluggish += by,
            Kind::NoName { host, silent } => self.lose_name(*host, *silent, true),
            Kind::NoNames { silent } => {
                for host in 0..self.physics.hosts.len() {
                    self.lose_name(host, *silent, true);
                }
            }
            Kind::MoveNode { node } => {
                if self.physics.hosts[*node].running {
                    let at = self.node_index(*node);
                    self.nodes[at].stop(&mut self.physics, false, false);
                }
                let [a, b, c, d] = self.physics.hosts[*node].ip.octets();
                self.physics.hosts[*node].ip = [a, b + 1, c, d].into();
            }
            Kind::Stranger { node, reigns } => self.replace(index, *node, *reigns),
            Kind::FullNodeDisk { node } => self.fill_disk(*node, true),
            Kind::Reset { host } => {
                for (conn, _) in self.physics.conns_of(*host) {
                    self.physics.reset(conn);
                }
            }
            Kind::Slow { host, by } => self.physics.hosts[*host].slowness += by,
            Kind::Lossy { host, permille } => self.physics.hosts[*host].lossy += permille,
            Kind::Logins { node, shut } => {
                let host = &mut self.physics.hosts[*node];
                *(if *shut { &mut host.shut } else { &mut host.without_user }) += 1;
                for (conn, end) in self.physics.conns_of(*node) {
                    if end == LISTENER && self.physics.purpose(conn) == Purpose::Watch {
                        self.physics.reset(conn);
                    }
                }
            }
            Kind::SickDisk { sentinel, hangs } => {
                let state = if *hangs { DiskState::Hangs } else { DiskState::Broken(MS) };
                self.sentinels[*sentinel].set_disk(&mut self.physics, state);
            }
            Kind::SlowDisk { sentinel, by } => {
                self.sentinels[*sentinel].set_disk(&mut self.physics, DiskState::Works(*by));
            }
            Kind::FullDisk { sentinel } => {
                self.sentinels[*sentinel].set_disk(&mut self.physics, DiskState::Full(MS));
            }
            Kind::WallJump { sentinel, millis } => self.sentinels[*sentinel].jump_wall(*millis),
            Kind::NodeClocks { nodes, millis } => {
                for node in nodes {
                    let at = self.node_index(*node);
                    self.nodes[at].jump_clock(*millis);
                }
            }
            Kind::Failover { sentinel, group } => {
                self.command(*sentinel, Change::Failover { name: group_name(*group) });
            }
            Kind::FailoverTo { sentinel, group, nth, coordinated } => {
                if let Some(replica) = self.replica_of(*group, *nth) {
                    self.targets.insert(*group, replica);
                    let (name, to) = (group_name(*group), Some(self.physics.address(replica)));
                    self.command(
                        *sentinel,
                        Change::FailoverTo {
                            name,
                            to,
                            coordinated: *coordinated,
                            force: false,
                            dry_run: false,
                            reason: None,
                        },
                    );
                }
            }
            Kind::Typed { group, nth } => {
                if let (Some(master), Some(replica)) = (self.master_of(*group), self.replica_of(*group, *nth)) {
                    let (of, at) = (self.physics.address(replica), self.node_index(master));
                    if self.physics.hosts[master].hung == 0 {
                        self.nodes[at].type_replicaof(&mut self.physics, of);
                    }
                }
            }
            Kind::Forged { sentinel, group, nth, signed } => self.forge(*sentinel, *group, *nth, *signed),
            Kind::ForgedVote { sentinel, other, group, signed } => {
                self.forge_vote(*sentinel, *other, *group, *signed);
            }
            Kind::ForgetPeer { sentinel, other, group } => {
                let (name, id) = (group_name(*group), self.sentinels[*other].id.clone());
                self.command(*sentinel, Change::Forget { name, id });
            }
            Kind::ForgetReplica { sentinel, node } => {
                let group = self.nodes[self.node_index(*node)].group;
                let (name, addr) = (group_name(group), self.physics.address(*node));
                self.command(*sentinel, Change::ForgetReplica { name, addr });
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

    fn undo(&mut self, index: usize, kind: &Kind) {
        match kind {
            Kind::KillNode { node, .. } => self.start_node(*node),
            Kind::OldFile { node, .. } => {
                self.start_node(*node);
                let at = self.node_index(*node);
                if self.physics.hosts[*node].hung == 0 {
                    self.nodes[at].write_astray(&mut self.physics);
                }
            }
            Kind::MoveNode { node } => {
                self.start_node(*node);
                let delay = self.physics.rng.below(RECORD_LIFE);
                self.physics.after(delay, Event::Renamed(*node));
            }
            Kind::Stranger { node, .. } => self.put_back(index, *node),
            Kind::FullNodeDisk { node } => {
                self.fill_disk(*node, false);
                self.start_node(*node);
            }
            Kind::KillNodes { nodes } => {
                for node in nodes {
                    self.undo(index, &Kind::KillNode { node: *node, power: false, wipe: false });
                }
            }
            Kind::Hang { host } => {
                let hung = &mut self.physics.hosts[*host].hung;
                *hung = hung.saturating_sub(1);
                if *hung == 0 {
                    self.resume(*host);
                }
            }
            Kind::KillSentinel { sentinel, .. } | Kind::MoveSentinel { sentinel } => self.start_sentinel(*sentinel),
            Kind::ExchangeSentinels { one: sentinel, other } | Kind::ReuseSentinel { sentinel, other } => {
                self.start_sentinel(*sentinel);
                self.start_sentinel(*other);
            }
            Kind::TwoAddresses { sentinel, away } => {
                self.physics.hosts[*sentinel].also = None;
                self.start_sentinel(*away);
            }
            Kind::Split { hosts } => self.cut(hosts, true, false),
            Kind::OneWay { hosts } => self.cut(hosts, false, false),
            Kind::Pair { one, other } => {
                self.physics.mend(*one, *other);
                self.physics.mend(*other, *one);
            }
            Kind::Refuse { host } => self.physics.hosts[*host].refusing -= 1,
            Kind::BlackHole { host } => self.physics.hosts[*host].swallowing -= 1,
            Kind::Sluggish { host, by } => {
                self.physics.hosts[*host].sluggish -= by;
                self.slice(*host);
            }
            Kind::NoName { host, silent } => self.lose_name(*host, *silent, false),
            Kind::NoNames { silent } => {
                for host in 0..self.physics.hosts.len() {
                    self.lose_name(host, *silent, false);
                }
            }
            Kind::Slow { host, by } => self.physics.hosts[*host].slowness -= by,
            Kind::Lossy { host, permille } => self.physics.hosts[*host].lossy -= permille,
            Kind::Logins { node, shut } => {
                let host = &mut self.physics.hosts[*node];
                *(if *shut { &mut host.shut } else { &mut host.without_user }) -= 1;
            }
            Kind::SlowDisk { sentinel, .. } | Kind::FullDisk { sentinel } | Kind::SickDisk { sentinel, .. } => {
                self.sentinels[*sentinel].set_disk(&mut self.physics, DiskState::Works(self.scenario.save_time));
            }
            Kind::ChangeDownAfter { sentinel, group, .. } => {
                self.set_down_after(*sentinel, *group, self.scenario.down_after);
            }
            Kind::Remove { sentinel, group } => self.monitor(*sentinel, *group),
            Kind::KillMaster { .. }
            | Kind::KillAllMasters
            | Kind::HangMaster { .. }
            | Kind::HangReplica { .. }
            | Kind::Forced { .. }
            | Kind::Vanish { .. }
            | Kind::KillReplica { .. }
            | Kind::KillAllBut { .. }
            | Kind::Lag { .. }
            | Kind::Reset { .. }
            | Kind::WallJump { .. }
            | Kind::NodeClocks { .. }
            | Kind::Failover { .. }
            | Kind::FailoverTo { .. }
            | Kind::Typed { .. }
            | Kind::Forged { .. }
            | Kind::ForgedVote { .. }
            | Kind::ForgetPeer { .. }
            | Kind::ForgetReplica { .. }
            | Kind::TwoFailovers { .. }
            | Kind::Forget { .. } => {}
        }
    }

    fn start_sentinel(&mut self, sentinel: HostId) {
        if !self.sentinels[sentinel].is_running() {
            self.physics.hosts[sentinel].hung = 0;
            self.sentinels[sentinel].start(&mut self.physics);
        }
    }

    fn start_node(&mut self, node: HostId) {
        if !self.physics.hosts[node].running {
            self.physics.hosts[node].hung = 0;
            let at = self.node_index(node);
            self.nodes[at].start(&mut self.physics);
        }
    }

    /// Publishes a forged hello on the master of a group, which passes it on.
    fn forge(&mut self, sentinel: HostId, group: usize, nth: usize, signed: bool) {
        let (Some(master), Some(replica)) = (self.master_of(group), self.replica_of(group, nth)) else { return };
        let (from, to) = (self.physics.address(sentinel), self.physics.address(replica));
        let mut payload = format!(
            "{},{},{},{},{},{},{},{}",
            from.host,
            from.port,
            self.sentinels[sentinel].id,
            FORGED + 1,
            group_name(group),
            to.host,
            to.port,
            FORGED + 1
        );
        if signed {
            payload.push(';');
            payload.push_str(&"5a".repeat(32));
        }
        let at = self.node_index(master);
        if self.physics.hosts[master].hung == 0 {
            self.nodes[at].forge(&mut self.physics, payload);
        }
    }

    /// Asks a Sentinel for its vote in the name of another one.
    fn forge_vote(&mut self, sentinel: HostId, other: HostId, group: usize, signed: bool) {
        let Some(master) = self.master_of(group) else { return };
        let signed = signed.then(|| Signed {
            master: MasterName::new(&group_name(group)).expect("a name"),
            nonce: Nonce::parse("5a".repeat(16).as_bytes()).expect("a nonce"),
            signature: Signature::parse("5a".repeat(32).as_bytes()).expect("a signature"),
        });
        let addr = Some(self.physics.address(master));
        let candidate = Some(self.sentinels[other].id.clone());
        let change = Change::IsMasterDown { addr, epoch: Epoch::new(FORGED + 1), candidate, signed };
        if self.physics.hosts[sentinel].hung == 0 {
            self.sentinels[sentinel].stranger(&mut self.physics, change);
        }
    }

    /// The name of a host does not resolve any more, or again.
    fn lose_name(&mut self, host: HostId, silent: bool, begins: bool) {
        let Some(record) = &mut self.physics.hosts[host].record else { return };
        let count = if silent { &mut record.silent } else { &mut record.missing };
        if begins {
            *count += 1;
        } else {
            *count -= 1;
        }
    }

    /// The name of a host resolves to its present address.
    pub(crate) fn rename(&mut self, host: HostId) {
        let host = &mut self.physics.hosts[host];
        if let Some(record) = &mut host.record {
            record.ip = host.ip;
        }
    }

    fn fill_disk(&mut self, node: HostId, full: bool) {
        for it in self.nodes.iter_mut().chain(self.replaced.values_mut()).filter(|it| it.host == node) {
            it.fill_disk(full);
        }
    }

    /// Gives the address of a replica to a stranger.
    fn replace(&mut self, index: usize, node: HostId, reigns: bool) {
        let at = self.node_index(node);
        let other = self.nodes[at].is_master() || self.nodes[at].foreign;
        // One that a Sentinel has for the master, although it is none at present, is not a replica that is away: nothing tells
        // a master that was restarted from another process.
        let is_named = |snapshot: &sentinel_core::Snapshot| {
            snapshot.masters.iter().any(|it| self.physics.checks.setting().node_at(&it.addr) == Some(node))
        };
        if other
            || self.sentinels.iter().any(|sentinel| is_named(sentinel.durable()))
            || !self.physics.hosts[node].running
            || self.physics.hosts[node].hung > 0
        {
            return;
        }
        self.nodes[at].stop(&mut self.physics, false, false);
        // Nobody lives there.
        let far = HostPort::new(Host::Ip([10, 66, 0, 1].into()), 6_379);
        let stranger = self.nodes[at].stranger((!reigns).then_some(far), self.scenario.seed);
        self.replaced.insert(index, std::mem::replace(&mut self.nodes[at], stranger));
        self.nodes[at].start_stranger(&mut self.physics);
    }

    /// The original comes back, with its data.
    fn put_back(&mut self, index: usize, node: HostId) {
        let Some(original) = self.replaced.remove(&index) else { return };
        let at = self.node_index(node);
        let running = self.physics.hosts[node].running;
        if running {
            self.nodes[at].stop(&mut self.physics, false, false);
        }
        let stranger = std::mem::replace(&mut self.nodes[at], original);
        self.nodes[at].after_stranger(&stranger);
        // One that was killed is started when that is over.
        if running {
            self.start_node(node);
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
        // The next one that nobody has: addresses change hands.
        let [a, mut b, c, d] = self.physics.hosts[sentinel].ip.octets();
        loop {
            b += 1;
            let ip = [a, b, c, d].into();
            if self.physics.hosts.iter().all(|host| host.ip != ip) {
                self.physics.hosts[sentinel].ip = ip;
                break;
            }
        }
        self.tell_applications(sentinel);
    }

    /// Stops two Sentinels, and gives each machine the other's address for the next start.
    fn exchange_sentinels(&mut self, one: HostId, other: HostId) {
        for sentinel in [one, other] {
            if self.sentinels[sentinel].is_running() {
                self.sentinels[sentinel].stop(&mut self.physics, false);
            }
        }
        let place = |host: &HostState| (host.ip, host.port);
        let [first, second] = [one, other].map(|host| place(&self.physics.hosts[host]));
        for (host, (ip, port)) in [(one, second), (other, first)] {
            self.physics.hosts[host].ip = ip;
            self.physics.hosts[host].port = port;
            self.tell_applications(host);
        }
    }

    fn tell_applications(&mut self, sentinel: HostId) {
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
        let setting = MasterSetting::Of(&DOWN_AFTER, Value::Time(std::time::Duration::from_micros(to)));
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
        self.set_all(sentinel, group);
        self.unset.push((sentinel, group));
    }

    fn set_all(&mut self, sentinel: HostId, group: usize) {
        let settings = self.scenario.settings();
        self.set_down_after(sentinel, group, self.scenario.down_after);
        let login = Some(&AUTH_PASS).filter(|_| settings.auth_pass.is_some());
        for row in [&FAILOVER_TIMEOUT, &PARALLEL_SYNCS, &LOSSLESS_FAILOVER].into_iter().chain(login) {
            let setting = MasterSetting::Of(row, row.value(&settings));
            self.set(sentinel, group, setting, &format!("{} ...", row.name));
        }
        for (setting, shown) in self.scenario.guards.options() {
            self.set(sentinel, group, setting, &shown);
        }
    }

    fn monitor_later(&mut self, sentinel: HostId, group: usize) {
        self.unmonitored.push((sentinel, group));
    }

    /// What operators could not do when they wanted to.
    pub(crate) fn monitor_again(&mut self) {
        for (sentinel, group) in std::mem::take(&mut self.unmonitored) {
            self.monitor(sentinel, group);
        }
        // The name of the master may have to be looked up first; MONITOR may be answered with an error; a crash may come
        // before the disk. An operator looks what has become of it.
        let wanted = self.scenario.settings();
        for (sentinel, group) in std::mem::take(&mut self.unset) {
            let name = group_name(group);
            // What an operator asked for is not answered before it is on the disk; until then that may hold what was before.
            if self.sentinels[sentinel].is_running() && !self.sentinels[sentinel].has_written_all() {
                self.unset.push((sentinel, group));
                continue;
            }
            let known = self.sentinels[sentinel].master_of(&name).is_some();
            let on_disk = self.sentinels[sentinel].durable().masters.iter().find(|it| it.name.as_str() == name);
            let (written, set) = (on_disk.is_some(), on_disk.is_some_and(|it| *it.settings == wanted));
            if !known && !written {
                self.monitor(sentinel, group);
            } else if !set {
                self.set_all(sentinel, group);
                self.unset.push((sentinel, group));
            }
        }
    }
}
