//! The world: it takes one event after the other to whom it concerns.

use std::collections::BTreeMap;

use crate::{
    app::App,
    faults::Kind,
    node::Node,
    packet::Packet,
    physics::{Event, HostId, Occurrence, Physics},
    say,
    scenario::{Scenario, group_name},
    sentinel::Sentinel,
    time::{SEC, Shown, Time},
};

/// Everything there is.
pub struct World {
    /// Time and the network.
    pub physics: Physics,
    /// The Sentinels; their hosts come first.
    pub sentinels: Vec<Sentinel>,
    /// The data nodes; their hosts come next.
    pub nodes: Vec<Node>,
    /// The applications.
    pub apps: Vec<App>,
    pub(crate) scenario: Scenario,
    /// Nodes whose address a stranger has, by the fault that gave it away.
    pub(crate) replaced: BTreeMap<usize, Node>,
    /// Faults that have begun and not ended.
    pub(crate) in_force: BTreeMap<usize, Kind>,
    /// What operators still have to bring back under watch.
    pub(crate) unmonitored: Vec<(HostId, usize)>,
    /// Where they have to look whether what they set is on disk.
    pub(crate) unset: Vec<(HostId, usize)>,
    /// Deaths of masters that must be answered by a failover: by when, of which group, who died when.
    pub(crate) deaths: Vec<Death>,
    /// Handovers that must have come to their end.
    pub(crate) handovers: Vec<Orphan>,
    /// Whom each group's master was last to hand over to.
    pub(crate) targets: BTreeMap<usize, HostId>,
    /// Events so far.
    pub steps: u64,
}

/// A master that died alone, with everybody else in good health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Death {
    pub(crate) group: usize,
    pub(crate) master: HostId,
    pub(crate) at: Time,
    pub(crate) until: Time,
}

/// A handover that nobody leads any more, with everybody else in good health.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Orphan {
    pub(crate) group: usize,
    /// The Sentinel that is lost.
    pub(crate) lost: HostId,
    pub(crate) at: Time,
    pub(crate) until: Time,
}

impl World {
    /// A world at its first moment.
    pub fn new(
        physics: Physics,
        sentinels: Vec<Sentinel>,
        nodes: Vec<Node>,
        apps: Vec<App>,
        scenario: Scenario,
    ) -> Self {
        let mut world = World {
            physics,
            sentinels,
            nodes,
            apps,
            scenario,
            replaced: BTreeMap::new(),
            in_force: BTreeMap::new(),
            unmonitored: Vec::new(),
            unset: Vec::new(),
            deaths: Vec::new(),
            handovers: Vec::new(),
            targets: BTreeMap::new(),
            steps: 0,
        };
        world.start();
        world
    }

    fn start(&mut self) {
        for node in &mut self.nodes {
            node.start(&mut self.physics);
        }
        for sentinel in &mut self.sentinels {
            sentinel.start(&mut self.physics);
        }
        for app in &mut self.apps {
            app.start(&mut self.physics);
        }
        for (index, fault) in self.scenario.faults.iter().enumerate() {
            self.physics.at(fault.at, Event::Fault(index));
            self.physics.at(fault.until, Event::Mend(index));
        }
        self.physics.after(SEC, Event::Look);
    }

    /// The scenario it follows.
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(crate) fn node_index(&self, host: HostId) -> usize {
        host - self.sentinels.len()
    }

    fn app_index(&self, host: HostId) -> usize {
        host - self.sentinels.len() - self.nodes.len()
    }

    /// The node that most Sentinels would name as a group's master: the running master with the most replicas.
    pub(crate) fn master_of(&self, group: usize) -> Option<HostId> {
        let masters = self
            .nodes
            .iter()
            .filter(|node| node.group == group && node.is_master() && !node.foreign)
            .filter(|node| self.physics.hosts[node.host].running);
        masters.max_by_key(|node| (node.offset, node.host)).map(|node| node.host)
    }

    /// Lets the next thing happen. Returns its time.
    pub fn step(&mut self) -> Option<Time> {
        let event = self.physics.advance()?;
        self.steps += 1;
        let now = self.physics.now();
        self.physics.trace.mix(now);
        self.dispatch(event);
        Some(now)
    }

    /// Every Sentinel must name another master in time.
    fn look_for_late_failovers(&mut self) {
        let now = self.physics.now();
        let (due, rest): (Vec<_>, _) = std::mem::take(&mut self.deaths).into_iter().partition(|it| it.until <= now);
        self.deaths = rest;
        for death in due {
            let old = self.physics.address(death.master);
            let name = group_name(death.group);
            for sentinel in &mut self.sentinels {
                if sentinel.master_of(&name).is_none_or(|(addr, _)| self.physics.host_at(&addr) == Some(death.master)) {
                    let what = format!(
                        "the master {old} of {name} died at {} and Sentinel {} still names it",
                        Shown(death.at),
                        sentinel.host
                    );
                    self.physics.checks.violate(now, "a master that dies alone is replaced in time", what);
                }
            }
        }
    }

    /// No node may be handing over for long, and the Sentinels must name one that is a master.
    fn look_for_late_handovers(&mut self) {
        let now = self.physics.now();
        let (due, rest): (Vec<_>, _) = std::mem::take(&mut self.handovers).into_iter().partition(|it| it.until <= now);
        self.handovers = rest;
        for Orphan { group, lost, at, .. } in due {
            let rule = "a handover that nobody leads comes to its end in time";
            let begun = Shown(at);
            let mut nodes = self.nodes.iter().filter(|node| node.group == group);
            if let Some(node) = nodes.find(|node| node.handover.is_some()) {
                let what = format!("node {} is handing over since about {begun}", node.host);
                self.physics.checks.violate(now, rule, what);
            }
            let name = group_name(group);
            for sentinel in self.sentinels.iter_mut().filter(|it| it.host != lost) {
                let named = sentinel.master_of(&name).and_then(|(addr, _)| self.physics.host_at(&addr));
                let is_master = |host: HostId| self.nodes.iter().any(|node| node.host == host && node.is_master());
                if !named.is_some_and(is_master) {
                    let what = format!("Sentinel {} names node {named:?}, which is no master", sentinel.host);
                    self.physics.checks.violate(now, rule, what);
                }
            }
        }
    }

    /// A process that stood still goes on with what has gathered.
    pub(crate) fn resume(&mut self, host: HostId) {
        let inbox = std::mem::take(&mut self.physics.hosts[host].inbox);
        say!(self.physics, "host {host} goes on, {} events wait", inbox.len());
        // What comes first then, deadlines or messages, is the scheduler's whim.
        if host < self.sentinels.len() && self.physics.rng.permille(500) {
            self.sentinels[host].catch_up(&mut self.physics);
        }
        for occurrence in inbox {
            self.happen(host, occurrence);
        }
    }

    /// A slow process does in one moment what has gathered since the last one.
    pub(crate) fn slice(&mut self, host: HostId) {
        self.physics.hosts[host].slice_due = false;
        if self.physics.hosts[host].hung == 0 {
            for occurrence in std::mem::take(&mut self.physics.hosts[host].inbox) {
                self.deliver(host, occurrence);
            }
        }
    }

    fn dispatch(&mut self, event: Event) {
        // The network acts whether or not a process stands still.
        let event = match event {
            Event::Arrive { conn, to } => {
                if let Some((host, packet)) = self.physics.arrive(conn, to) {
                    self.happen(host, Occurrence::Message(conn, packet));
                }
                return;
            }
            Event::Syn(conn) => return self.physics.syn(conn),
            Event::Fault(index) => return self.begin(index),
            Event::Mend(index) => return self.end(index),
            Event::Slice(host) => return self.slice(host),
            Event::Renamed(host) => return self.rename(host),
            Event::Look => {
                self.physics.after(SEC, Event::Look);
                self.look_for_late_failovers();
                self.look_for_late_handovers();
                return self.monitor_again();
            }
            other => other,
        };
        if let Some(host) = self.physics.addressee(&event) {
            self.happen(host, Occurrence::Event(event));
        }
    }

    /// Something happens to a process, unless it stands still.
    fn happen(&mut self, host: HostId, occurrence: Occurrence) {
        let state = &mut self.physics.hosts[host];
        if state.hung > 0 {
            state.inbox.push_back(occurrence);
            return;
        }
        if state.sluggish > 0 {
            state.inbox.push_back(occurrence);
            if !std::mem::replace(&mut state.slice_due, true) {
                let pause = state.sluggish;
                self.physics.after(pause, Event::Slice(host));
            }
            return;
        }
        self.deliver(host, occurrence);
    }

    fn deliver(&mut self, host: HostId, occurrence: Occurrence) {
        if host < self.sentinels.len() {
            self.tell_sentinel(host, occurrence);
        } else if host < self.sentinels.len() + self.nodes.len() {
            self.tell_node(self.node_index(host), occurrence);
        } else {
            self.tell_app(self.app_index(host), occurrence);
        }
    }

    fn tell_sentinel(&mut self, index: usize, occurrence: Occurrence) {
        let (sentinel, physics) = (&mut self.sentinels[index], &mut self.physics);
        if !sentinel.is_running() {
            return;
        }
        let event = match occurrence {
            Occurrence::Message(conn, Packet::Fin) => return sentinel.closed(physics, conn),
            Occurrence::Message(conn, packet) => return sentinel.received(physics, conn, packet),
            Occurrence::Event(event) => event,
        };
        match event {
            Event::Dialed(conn, result) => sentinel.dialed(physics, conn, result),
            Event::Accepted(conn) => sentinel.accepted(physics, conn),
            Event::HandshakeOver(conn) => sentinel.handshake_over(physics, conn),
            Event::Wake { life, at, .. } if life == sentinel.life => sentinel.wake(physics, at),
            Event::DiskDone { life, .. } if life == sentinel.life => sentinel.disk_done(physics),
            Event::Resolved { life, name, outcome, .. } if life == sentinel.life => {
                sentinel.resolved(physics, name, outcome);
            }
            Event::DiskRetry { life, .. } if life == sentinel.life => sentinel.disk_retry(physics),
            _ => {}
        }
    }

    fn tell_node(&mut self, index: usize, occurrence: Occurrence) {
        let (node, physics) = (&mut self.nodes[index], &mut self.physics);
        if !physics.hosts[node.host].running {
            return;
        }
        let event = match occurrence {
            Occurrence::Message(conn, Packet::Fin) => return node.closed(physics, conn),
            Occurrence::Message(conn, packet) => return node.received(physics, conn, packet),
            Occurrence::Event(event) => event,
        };
        match event {
            Event::Dialed(conn, result) => node.dialed(physics, conn, result.is_ok()),
            Event::Accepted(conn) => node.accepted(physics, conn),
            Event::Cron { life, .. } if life == node.life => node.cron(physics),
            Event::RdbReady { life, conn, .. } if life == node.life => node.rdb_ready(physics, conn),
            Event::HandoverTick { life, .. } if life == node.life => node.handover_tick(physics),
            Event::Loaded { life, conn, .. } if life == node.life => node.loaded(physics, conn),
            _ => {}
        }
    }

    fn tell_app(&mut self, index: usize, occurrence: Occurrence) {
        let (app, physics) = (&mut self.apps[index], &mut self.physics);
        let event = match occurrence {
            Occurrence::Message(conn, Packet::Fin) => return app.closed(physics, conn),
            Occurrence::Message(conn, packet) => return app.received(physics, conn, packet),
            Occurrence::Event(event) => event,
        };
        match event {
            Event::Dialed(conn, result) => app.dialed(physics, conn, result.is_ok()),
            Event::Cron { .. } => app.cron(physics),
            Event::Impatient { turn, .. } => app.impatient(physics, turn),
            _ => {}
        }
    }
}
