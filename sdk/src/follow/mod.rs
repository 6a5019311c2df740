//! The one task that decides which master the pool stands by.
//!
//! Every sign that something changed comes together here: answers of Sentinels (after a push, a subscription or the periodic
//! question), a broken connection, a doubt raised by a command. A sign never moves the pool by itself: the best candidate is
//! dialled, asked for its role on the connection that will be kept, and only then installed.

mod attempts;
mod bench;
mod choose;
mod doubt;
mod install;
mod promotion;
mod roster;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::attempts::Attempts;
use self::bench::Bench;
use self::choose::{Candidate, Known, Situation, Voice, agreed_epoch};
use self::promotion::{Hold, Promotion, promoted};
use self::roster::Roster;
use crate::address::Address;
use crate::generation::{Generation, MasterLink};
use crate::retry::shortened;
use crate::role::History;
use crate::sentinel::{News, Report};
use crate::shared::Shared;
use crate::topology::Topology;

/// At the start, the answers of slower Sentinels are waited for this long after the first, so that a stale one that is quick
/// does not decide.
const GATHER: Duration = Duration::from_millis(100);
/// While no master is at hand, the Sentinels are asked this often at first...
const FASTEST_QUESTIONS: Duration = Duration::from_millis(30);
/// ...and, in an outage that lasts, this often; also while no Sentinel can be reached, though the master can.
const SLOWEST_QUESTIONS: Duration = Duration::from_secs(1);
/// While replicas are missed that somebody would read from, or a Sentinel that may have moved, the Sentinels are asked this often at first,
/// and ever more rarely, down to the refresh interval.
const FASTEST_SEARCH: Duration = Duration::from_millis(250);
/// While no master is at hand, a rejected candidate is tried again at least this often; while one is, as rarely as the refresh interval.
const LONGEST_BENCH: Duration = Duration::from_millis(100);
/// An older configuration is believed only after a majority named it for this long without a master being at hand.
const OLDER_AFTER: Duration = Duration::from_secs(5);
/// Reports that wait to be heard; the Sentinels' tasks wait for room.
const REPORTS: usize = 64;

/// The answer to ROLE that is waited for.
type Check = Pin<Box<dyn Future<Output = Result<History, Unproved>> + Send>>;

/// Why the node is not known to be the master.
struct Unproved {
    reason: String,
    /// It says so itself.
    denied: bool,
}

pub(crate) struct Follower {
    shared: Arc<Shared>,
    reports: mpsc::Receiver<Report>,
    roster: Roster,
    known: Option<Known>,
    generation: Option<Arc<Generation>>,
    since: Option<SystemTime>,
    link: Option<Arc<MasterLink>>,
    serial: u64,
    attempts: Attempts,
    /// A replica that Sentinels promote.
    promotion: Option<Promotion>,
    /// When the pool followed one before the Sentinels named it.
    promoted_at: Option<Instant>,
    /// Writes are held.
    hold: Option<Hold>,
    /// ROLE is being asked on the link in use.
    check: Option<Check>,
    /// The ids of the data that the known master has.
    history: History,
    /// Which node more than half of all Sentinels name with an older configuration, and since when.
    older: Option<(Address, Instant)>,
    /// When the link was suspected last.
    suspected_at: Option<Instant>,
    bench: Bench,
    /// Since when no verified master is at hand.
    missing_since: Option<Instant>,
    next_question: Instant,
    /// Since when replicas are missed that somebody would read from.
    replicas_missed_since: Option<Instant>,
    /// When to look at the candidates again although nothing new was heard.
    next_look: Option<Instant>,
}

impl Follower {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let (reporter, reports) = mpsc::channel(REPORTS);
        let now = Instant::now();
        Self {
            roster: Roster::new(shared.clone(), reporter),
            shared,
            reports,
            known: None,
            generation: None,
            since: None,
            link: None,
            serial: 0,
            attempts: Attempts::default(),
            promotion: None,
            promoted_at: None,
            hold: None,
            check: None,
            history: History::default(),
            older: None,
            suspected_at: None,
            bench: Bench::default(),
            missing_since: Some(now),
            next_question: now + FASTEST_QUESTIONS,
            replicas_missed_since: None,
            next_look: None,
        }
    }

    /// Follows the master until the pool stops.
    pub(crate) async fn run(mut self) {
        let stop = self.shared.dialer.stop.clone();
        for seed in self.shared.config.seeds.clone() {
            self.roster.follow(seed, true);
        }
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Some(report) = self.reports.recv() => self.hear(report),
                (candidate, result) = self.attempts.next() => self.conclude(&candidate, result),
                result = promoted(&mut self.promotion) => self.conclude_promotion(result),
                () = at(self.hold.as_ref().map(|hold| hold.until)) => self.release(),
                result = checked(&mut self.check) => self.judge(result),
                () = self.shared.doubt.notified() => self.on_doubt(),
                () = ended(self.link.as_deref()) => self.lose("the connection was closed"),
                () = sleep_until(self.next_question) => self.refresh(),
                () = at(self.next_look) => {
                    self.next_look = None;
                    self.consider();
                }
            }
        }
        self.release();
        self.shared.standing.store(Arc::default());
        if let Some(generation) = &self.generation {
            generation.close(None);
        }
        self.link = None;
        self.publish();
        self.shared.changed.send_replace(());
    }

    fn hear(&mut self, report: Report) {
        if let News::Step(step) = report.news {
            return self.on_step(&report.sentinel, step);
        }
        let missed = self.roster.missed_since();
        self.roster.hear(report);
        let misses_another = self.roster.missed_since().is_some_and(|since| missed != Some(since));
        if misses_another || !self.roster.is_connected() {
            self.next_question = self.next_question.min(Instant::now() + self.pace());
        }
        self.look_for_replicas();
        self.note_troubles();
        self.consider();
        self.publish();
    }

    /// While replicas are missed, the Sentinels are asked more often: what they see of them is never pushed.
    fn look_for_replicas(&mut self) {
        let lacking = self.shared.readers.wanted.load(Ordering::Acquire)
            && self.generation.as_ref().is_some_and(|generation| self.roster.lacks_replicas(&generation.address));
        if !lacking {
            self.replicas_missed_since = None;
        } else if self.replicas_missed_since.is_none() {
            self.replicas_missed_since = Some(Instant::now());
            self.next_question = self.next_question.min(Instant::now() + self.pace());
        }
    }

    /// Dials the best candidate, if there is one to move to.
    fn consider(&mut self) {
        if !self.gathered() {
            return;
        }
        let healthy = self.healthy();
        let voices = self.roster.voices();
        if healthy
            && let Some(known) = &mut self.known
            && let Some(epoch) = agreed_epoch(&voices, &known.address)
        {
            known.epoch = known.epoch.max(epoch);
        }
        self.note_older(&voices);
        let ranked = self.ranked(&voices);
        self.next_look = self.bench.next_end().into_iter().chain(self.older_believed_at()).min();
        for candidate in &ranked {
            // A doubted link is being asked already; a second connection to the same node would learn no more.
            let is_asked = self.link.as_ref().is_some_and(|link| link.generation.address == candidate.address);
            let is_benched = self.bench.holds(&candidate.address, candidate.needs_proof);
            if is_asked && !is_benched {
                break;
            }
            if is_benched {
                continue;
            }
            if !self.attempts.is_dialling(&candidate.address) {
                if !self.attempts.has_room(candidate, &ranked) {
                    break;
                }
                let dial = self.dial(candidate);
                self.attempts.add(candidate.clone(), dial);
            }
            // Who has failed before, or may not be ours, does not hold up the next one.
            if !self.bench.knows(&candidate.address) && !candidate.needs_proof {
                break;
            }
        }
    }

    fn ranked(&self, voices: &[Voice]) -> Vec<Candidate> {
        let older_lasts = self.older.as_ref().is_some_and(|(_, since)| since.elapsed() >= OLDER_AFTER);
        self.situation(voices, older_lasts).ranked()
    }

    fn situation<'a>(&'a self, voices: &'a [Voice], older_lasts: bool) -> Situation<'a> {
        let (known, healthy) = (self.known.as_ref(), self.healthy());
        let lag = self.promoted_at.is_some_and(|at| at.elapsed() < OLDER_AFTER);
        Situation { voices, sentinels: self.roster.count(), known, healthy, older_lasts, lag }
    }

    /// Remembers since when an older configuration is named by most. Others may lag behind a failover for a moment.
    fn note_older(&mut self, voices: &[Voice]) {
        let named = self.situation(voices, false).older_majority();
        let before = self.older.take();
        self.older = named.map(|address| match before {
            Some((before, since)) if before == address => (address, since),
            _ => (address, Instant::now()),
        });
        if self.older.is_some() {
            self.next_question = self.next_question.min(Instant::now() + self.pace());
        }
    }

    fn older_believed_at(&self) -> Option<Instant> {
        let at = self.older.as_ref().map(|(_, since)| *since + OLDER_AFTER);
        at.filter(|at| *at > Instant::now())
    }

    /// Whether enough was heard for a decision: later always, at the start once all have been heard or the first answer is old enough.
    fn gathered(&mut self) -> bool {
        if self.known.is_some() || self.roster.all_heard() {
            return true;
        }
        let Some(first) = self.roster.first_answer() else {
            return false;
        };
        if first.elapsed() >= GATHER {
            return true;
        }
        self.next_look = Some(first + GATHER);
        false
    }

    fn refresh(&mut self) {
        self.inquire();
        self.next_question = Instant::now() + self.pace();
    }

    /// The time to the next question.
    fn pace(&self) -> Duration {
        match self.missing_since {
            // No switch can be pushed.
            None if !self.roster.is_connected() || self.older.is_some() => shortened(SLOWEST_QUESTIONS, 0.3),
            None => {
                let refresh = self.shared.config.refresh;
                let missed_since = self.replicas_missed_since.max(self.roster.missed_since());
                let pace = missed_since.map_or(refresh, |since| (since.elapsed() / 5).max(FASTEST_SEARCH).min(refresh));
                shortened(pace, 0.2)
            }
            Some(since) => {
                let pace = (since.elapsed() / 20).clamp(FASTEST_QUESTIONS, SLOWEST_QUESTIONS);
                shortened(pace, 0.3)
            }
        }
    }

    fn healthy(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.usable())
    }

    /// Keeps what a caller is told who waited in vain.
    fn note_troubles(&self) {
        let troubles = self.roster.troubles().chain(self.bench.troubles()).collect();
        *self.shared.troubles.lock().unwrap_or_else(PoisonError::into_inner) = troubles;
        let hopeless = self.known.is_none() && (self.roster.is_hopeless() || self.bench.is_hopeless());
        self.shared.hopeless.send_if_modified(|before| std::mem::replace(before, hopeless) != hopeless);
    }

    /// The replicas to read from. While no Sentinel can be asked, the last list stays in force.
    fn replicas(&self) -> Arc<[Address]> {
        let Some(generation) = &self.generation else { return Arc::default() };
        let master = &generation.address;
        self.roster.readable_replicas(master).map_or_else(
            || self.shared.readers.listed.borrow().iter().filter(|address| *address != master).cloned().collect(),
            Arc::from,
        )
    }

    fn publish(&self) {
        let master = self.generation.as_ref().map(|generation| &generation.address);
        let replicas = self.replicas();
        let topology = Topology {
            name: self.shared.config.master.clone(),
            master: master.cloned(),
            replicas: Arc::clone(&replicas),
            verified: self.healthy(),
            config_epoch: self.known.as_ref().map_or(0, |known| known.epoch),
            generation: self.generation.as_ref().map_or(0, |generation| generation.number),
            since: self.since,
            sentinels: self.roster.states(),
        };
        self.shared.readers.listed.send_if_modified(|current| {
            let changed = **current != *replicas;
            if changed {
                *current = replicas;
            }
            changed
        });
        self.shared.topology.send_if_modified(|current| {
            let changed = **current != topology;
            if changed {
                *current = Arc::new(topology);
            }
            changed
        });
    }
}

async fn checked(check: &mut Option<Check>) -> Result<History, Unproved> {
    match check {
        Some(check) => check.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn ended(link: Option<&MasterLink>) {
    match link {
        Some(link) => link.link.ended().await,
        None => std::future::pending().await,
    }
}

async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
