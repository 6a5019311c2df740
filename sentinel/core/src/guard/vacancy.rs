//! Nobody is the master: the configured one is a replica, and no node says that it is a master. Somebody typed REPLICAOF, or
//! a handover was cut off in the middle.
//!
//! It is told about a second after it is noticed (`-no-master`), when every node that can be reached has confirmed it: the
//! handovers of others take some milliseconds. The reference's rule goes on to hold: a master that says for down-after and
//! two INFO periods that it is a replica is subjectively down. With `promote-best-effort yes` it is so at once, and how
//! long a candidate's link has been down does not matter any more. The election is one like any other.

use std::fmt;

use crate::{
    events::Event,
    notice::Topic,
    state::Node,
    time::Instant,
    timer::Timer,
    types::{Host, HostPort},
    view::Role,
    watch::Watch,
};

/// How far it is known that nobody is the master.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Vacancy {
    /// Somebody is, or nothing is known.
    #[default]
    None,
    /// The configured master says that it is a replica; it is looked at again in a moment.
    Suspected,
    /// Everybody was asked at this time.
    Checked { since: Instant },
    /// It was told.
    Told {
        /// Whether one of the nodes may be promoted: none of them follows a master that is not ours.
        ours: bool,
    },
}

/// Why nobody is the master.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NoMaster {
    /// The configured master follows a node that is a replica itself, or down.
    FollowsReplica(HostPort),
    /// It follows a node that is not known, and has no connection to it.
    FollowsNobody(HostPort),
    /// It, or a node that it follows, is linked to a node that is not known: somebody made this deployment a part of
    /// another one.
    FollowsStranger(HostPort),
    /// It says that it is a replica, but not whose.
    Unclear,
}

impl fmt::Display for NoMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoMaster::FollowsReplica(addr) => write!(f, "#no node is a master, this one follows {addr}"),
            NoMaster::FollowsNobody(addr) => write!(f, "#no node is a master, this one looks for {addr}"),
            NoMaster::FollowsStranger(addr) => write!(f, "#no node is a master, all follow {addr}, which is unknown"),
            NoMaster::Unclear => f.write_str("#no node is a master"),
        }
    }
}

impl Watch<'_> {
    /// INFO of a node has come.
    pub(crate) fn judge_vacancy(&mut self) {
        if self.is_busy() {
            return;
        }
        let vacant = self.is_vacant();
        match self.master.vacancy {
            Vacancy::None if vacant => {
                self.master.vacancy = Vacancy::Suspected;
                self.look_at_vacancy_again();
            }
            Vacancy::Checked { since } if vacant && self.all_have_answered(since) => self.tell_vacancy(),
            Vacancy::None => {}
            _ if vacant => {}
            before => self.end_vacancy(before),
        }
    }

    /// A moment has passed.
    pub(crate) fn check_vacancy(&mut self) {
        if !matches!(self.master.vacancy, Vacancy::Suspected | Vacancy::Checked { .. }) {
            return;
        }
        if self.is_busy() {
            return self.look_at_vacancy_again();
        }
        if !self.is_vacant() {
            return self.end_vacancy(self.master.vacancy);
        }
        self.master.vacancy = Vacancy::Checked { since: self.ctx.mono() };
        for id in self.master.nodes.keys().copied().collect::<Vec<_>>() {
            self.ask_info(id);
        }
        self.look_at_vacancy_again();
    }

    /// Whether a candidate may be promoted although its link has long been down.
    pub(crate) fn promotes_best_effort(&self) -> bool {
        self.master.settings.promote_best_effort && self.master.vacancy == Vacancy::Told { ours: true }
    }

    fn look_at_vacancy_again(&mut self) {
        let at = self.ctx.mono() + self.ctx.timing.urgent_info_period;
        self.ctx.arm(Timer::Vacancy(self.master.key), at);
    }

    /// Whether somebody is just about to become the master, or our own eyes cannot be trusted.
    fn is_busy(&self) -> bool {
        self.master.failover.is_some() || self.master.adopting.is_some() || self.ctx.in_tilt()
    }

    fn is_vacant(&self) -> bool {
        let master = self.master.node();
        let claims = |node: &Node| node.is_reachable() && node.role == Role::Master;
        master.link.is_up()
            && master.info.role == Some(Role::Replica)
            && master.role == Role::Replica
            // It is about to follow a master, or to be one again.
            && !master.info.handover.is_under_way()
            && !self.master.replicas().any(claims)
    }

    fn all_have_answered(&self, since: Instant) -> bool {
        let answered = |node: &Node| node.info_at.is_some_and(|at| at >= since);
        self.master.nodes.values().filter(|node| node.link.is_up()).all(answered)
    }

    fn tell_vacancy(&mut self) {
        let why = self.why_vacant();
        self.ctx.timers.disarm(&Timer::Vacancy(self.master.key));
        self.master.vacancy = Vacancy::Told { ours: !matches!(why, NoMaster::FollowsStranger(_)) };
        self.master_event(|subject| Event::NoMaster { subject, why });
        self.evaluate_node(self.master.current);
    }

    fn why_vacant(&self) -> NoMaster {
        let known = |addr: &HostPort| {
            self.master.node_at(addr, &self.ctx.names).is_some() || self.master.aliases.contains_key(addr)
        };
        let stranger = self.master.nodes.values().filter(|node| node.link.is_up() && node.info.link_up);
        if let Some(addr) = stranger.filter_map(source).find(|addr| !known(addr)) {
            return NoMaster::FollowsStranger(addr);
        }
        match source(self.master.node()) {
            None => NoMaster::Unclear,
            Some(addr) if known(&addr) => NoMaster::FollowsReplica(addr),
            Some(addr) => NoMaster::FollowsNobody(addr),
        }
    }

    fn end_vacancy(&mut self, before: Vacancy) {
        self.master.vacancy = Vacancy::None;
        self.ctx.timers.disarm(&Timer::Vacancy(self.master.key));
        if matches!(before, Vacancy::Told { .. }) {
            let name = self.master.name.clone();
            self.ctx.notice(
                Topic::MasterAgain,
                Some(&name),
                format!("There is a master of {name} again, or it is away"),
            );
            self.evaluate_node(self.master.current);
        }
    }
}

/// Whom a node follows, if what it says is an address.
fn source(node: &Node) -> Option<HostPort> {
    let (host, port) = node.info.source.as_ref()?;
    Host::new(host).ok().map(|host| HostPort::new(host, *port))
}
