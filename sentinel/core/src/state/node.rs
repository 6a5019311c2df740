use std::{sync::Arc, time::Duration};

use crate::{
    canonical::Remembered,
    guard::Restart,
    monitor::{Condition, InfoReport, NEVER_LINKED, PingPeriod},
    output::Target,
    planted::{Bug, planted},
    state::{Link, NodeId},
    time::Instant,
    types::{HostPort, RunId},
    view::Role,
};

/// INFO tells the difference of two whole seconds of a clock that is looked at ten times a second: up to so much more than
/// the time that has passed.
const CLOCK_LEAP: Duration = Duration::from_millis(1500);
/// An answer to INFO may come that much later than it is due.
const LATE_REPORT: Duration = Duration::from_secs(2);

/// A Redis or Valkey process: the master or one of its replicas.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    /// How it is told to others; its link leads to the address as it was given.
    pub(crate) addr: HostPort,
    pub(crate) link: Link,
    /// Since when it is subjectively down.
    pub(crate) sdown_since: Option<Instant>,
    /// When it last became subjectively down; kept when it returns.
    pub(crate) last_sdown_at: Option<Instant>,
    /// The newest INFO.
    pub(crate) info: InfoReport,
    pub(crate) info_text: Option<Arc<str>>,
    pub(crate) info_at: Option<Instant>,
    pub(crate) role: Role,
    pub(crate) role_since: Instant,
    /// When the address it replicates from last changed.
    pub(crate) source_changed_at: Instant,
    /// When its link to its master was up for certain: seen so, or told by the process that runs now.
    pub(crate) linked_until: Option<Instant>,
    /// When it was asked for INFO last.
    pub(crate) info_asked_at: Option<Instant>,
    /// Its part in the failover in progress.
    pub(crate) reconf: Reconf,
    /// When it was last told to follow the master, because it did not.
    pub(crate) ordered_at: Option<Instant>,
    /// It was our master until a switch, or was told to become one and then given up, and has not been seen as a replica
    /// since.
    pub(crate) former_master: bool,
    /// What it held when it was last seen in sync with the master.
    pub(crate) in_sync: Option<InSync>,
    /// The keys that it was in sync with, as they were last written.
    pub(crate) keys_written: Option<u64>,
    /// The process that was last seen to be a replica here.
    pub(crate) was_replica: Option<RunId>,
    /// The process that began here as a master without having been made one, until it has a link to one.
    pub(crate) was_master: Option<RunId>,
    /// What became of its data when it was last started anew as the master. None: it was not.
    pub(crate) restart: Option<Restart>,
    /// Its data are of another history than the master's.
    pub(crate) stranger: bool,
    /// The process that was found to be a stranger. It stays one until its data are known to be ours: whom it was told
    /// to follow meanwhile says nothing of what it holds.
    pub(crate) found_strange: Option<RunId>,
    /// What shows that it belongs to this deployment.
    pub(crate) familiar: Familiar,
    /// What its last INFO shows that is wrong with it, and decides nothing.
    pub(crate) condition: Remembered<Condition>,
    /// When INFO showed that it had been started anew. What others said of it before is about what it was.
    pub(crate) restart_seen_at: Option<Instant>,
    /// It rebooted then, and has not answered PONG since.
    pub(crate) rebooted_at: Option<Instant>,
    pub(crate) script_kill_sent: bool,
    /// The last hello heard through its subscription, own ones included.
    pub(crate) hello_heard_at: Instant,
}

/// What shows that a node which refuses the login belongs to this deployment all the same.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Familiar {
    /// Its data are known to be of the master's history, by what its last INFO says.
    pub(crate) of_lineage: bool,
    /// Its keys when it last told of them as the master.
    pub(crate) keys_as_master: Option<u64>,
    /// When it was last told that nothing does, and that it is left alone.
    pub(crate) told_at: Option<Instant>,
}

/// A replica that was up to date.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct InSync {
    /// The keys it held. None: it did not tell.
    pub(crate) keys: Option<u64>,
}

/// How far a replica has come in following a new master.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reconf {
    /// Not part of a failover, or its turn has not come.
    Waiting,
    /// SLAVEOF was sent.
    Sent { at: Instant },
    /// Its INFO names the new master. `progress_at` is when its synchronisation last moved.
    InProgress { progress_at: Instant, progress: u64 },
    /// Its link to the new master is up, or nothing more is expected of it.
    Done,
}

impl Reconf {
    /// Whether it takes one of the parallel-syncs places.
    pub(crate) const fn is_under_way(self) -> bool {
        matches!(self, Reconf::Sent { .. } | Reconf::InProgress { .. })
    }

    /// The flag in SENTINEL REPLICAS.
    pub(crate) const fn flag(self) -> Option<&'static str> {
        match self {
            Reconf::Waiting => None,
            Reconf::Sent { .. } => Some("reconf_sent"),
            Reconf::InProgress { .. } => Some("reconf_inprog"),
            Reconf::Done => Some("reconf_done"),
        }
    }
}

impl Node {
    pub(crate) fn new(id: NodeId, target: Target, ping_period: PingPeriod, role: Role, now: Instant) -> Self {
        Node {
            id,
            addr: target.addr.clone(),
            link: Link::new(target, ping_period, now),
            sdown_since: None,
            last_sdown_at: None,
            info: InfoReport::default(),
            info_text: None,
            info_at: None,
            role,
            role_since: now,
            source_changed_at: now,
            linked_until: None,
            info_asked_at: None,
            reconf: Reconf::Waiting,
            ordered_at: None,
            former_master: false,
            in_sync: None,
            keys_written: None,
            was_replica: None,
            was_master: None,
            restart: None,
            stranger: false,
            found_strange: None,
            familiar: Familiar::default(),
            condition: Remembered(Condition::default()),
            restart_seen_at: None,
            rebooted_at: None,
            script_kill_sent: false,
            hello_heard_at: now,
        }
    }

    /// Whether it can be reached, as far as we know.
    pub(crate) const fn is_reachable(&self) -> bool {
        self.sdown_since.is_none() && self.link.is_up()
    }

    /// Whether it keeps back what is published, or may: it is handing over, or has not told yet over a new connection that it is not.
    pub(crate) fn keeps_hellos(&self) -> bool {
        self.info.handover.is_under_way() || self.link.behind_hello && self.is_unread()
    }

    /// Whether it has not told over its present connection what it is: another process may have taken its place. One
    /// that does not permit INFO never tells.
    pub(crate) fn is_unread(&self) -> bool {
        let unread = self.link.up_since().is_some_and(|since| self.info_at.is_none_or(|at| at < since));
        unread && !self.link.denials.refuses("info")
    }

    /// Whether it may be one that has nothing to do with this deployment: it refuses the login, and nothing shows that
    /// its data are of the master's history.
    ///
    /// A former master that was restarted tells another id. It is known by about as many keys as it had as the master;
    /// one that came back with nothing has nothing to lose.
    pub(crate) fn is_unfamiliar(&self) -> bool {
        let keys = self.info.holdings.keys();
        let as_before =
            self.familiar.keys_as_master.is_some_and(|had| had > 0 && had.abs_diff(keys) <= had.max(keys) / 10);
        let former = self.former_master && (as_before || self.info.is_empty_master());
        self.link.denials.refuse_login() && !self.familiar.of_lineage && !former
    }

    /// Whether it is the process that was a replica when one was last seen here: it has not been restarted since.
    pub(crate) fn was_replica_before(&self) -> bool {
        self.was_replica.is_some() && self.was_replica == self.info.run_id
    }

    /// Whether it is the process that was a master here without having been made one, and that has not followed anybody since.
    pub(crate) fn was_master_by_itself(&self) -> bool {
        self.was_master.is_some() && self.was_master == self.info.run_id
    }

    /// Whether it holds about as many keys as when it was last seen in sync: nine tenths, and not none. None: that is not
    /// known.
    pub(crate) fn holds_what_it_did(&self) -> Option<bool> {
        let (before, now) = (self.in_sync.as_ref()?.keys?, self.info.holdings.keys_told()?);
        Some(now > 0 && now >= before - before / 10)
    }

    /// A process tells by its wall clock for how long its link has been down. Where it tells more than is possible, or less than
    /// nothing, that clock was set meanwhile (its machine was suspended, say), and what was seen of the link counts: it
    /// broke between two reports, nobody knows when, and the later one counts. The earlier one is as old as INFO is
    /// seldom (`info_period`), and may alone be longer ago than a short `down-after-milliseconds` allows. Where it is
    /// older than that, since either process stood still, it counts.
    ///
    /// An answer may have been on its way for long: it tells of a moment between the question and now.
    pub(crate) fn doubt_link_age(
        &mut self,
        report: &mut InfoReport,
        same_process: bool,
        info_period: Duration,
        now: Instant,
    ) {
        let seen = self.linked_until.take().filter(|_| same_process);
        if report.role != Some(Role::Replica) || !report.link_up && report.link_down_ms == NEVER_LINKED {
            return;
        }
        let asked = self.info_asked_at.unwrap_or(now);
        if report.link_up {
            self.linked_until = seen.max(Some(asked));
            return;
        }
        let told = u64::try_from(report.link_down_ms).ok().map(Duration::from_millis);
        let leapt = seen
            .filter(|_| !planted(Bug::BelieveTheClock))
            .filter(|seen| told.is_none_or(|told| now.before(told) + CLOCK_LEAP < *seen));
        let Some(seen) = leapt else {
            self.linked_until = seen.max(told.map(|told| asked.before(told)));
            return;
        };
        let is_recent = now.since(seen) <= info_period + LATE_REPORT;
        let since = if self.info.link_up && is_recent { now } else { seen };
        report.link_down_ms = i64::try_from(now.since(since).as_millis()).unwrap_or(i64::MAX);
        self.linked_until = Some(since);
    }

    /// Takes time that nobody observed out of what is awaited from this node.
    pub(crate) fn forgive(&mut self, stall: Duration) {
        match &mut self.reconf {
            Reconf::Sent { at } | Reconf::InProgress { progress_at: at, .. } => *at = *at + stall,
            Reconf::Waiting | Reconf::Done => {}
        }
        self.rebooted_at = self.rebooted_at.map(|at| at + stall);
        self.hello_heard_at = self.hello_heard_at + stall;
    }
}
