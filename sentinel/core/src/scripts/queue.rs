//! The calls that run or wait, and which of them may begin.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use super::{
    HEAD_START, JobId, MAX_JOBS, MAX_RUNNING, NO_PROCESS_PAUSE, ScriptEnd, ScriptFault,
    job::{Call, Job, Kind, Lane, Next, Phase},
};
use crate::{time::Instant, view::ScriptView};

/// All calls that have not come to their last end, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    jobs: VecDeque<Job>,
    running: usize,
    last_id: u64,
    /// What readers see, until something changes.
    shown: Option<Arc<[ScriptView]>>,
}

/// A call that will not be started again, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct GivenUp {
    pub(crate) call: Call,
    /// How it ended. None: it never began, since newer calls took its place.
    pub(crate) end: Option<ScriptEnd>,
}

/// A process that runs for too long.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) id: JobId,
    pub(crate) path: Arc<str>,
    pub(crate) pid: u32,
}

impl Queue {
    /// Adds a call. Returns those that are given up for it.
    ///
    /// When a master has moved on, a failed client reconfiguration for the former move is not tried again: it would
    /// send clients back. A departure, the reference calls it.
    pub(crate) fn push(&mut self, call: Call, now: Instant) -> Vec<GivenUp> {
        self.shown = None;
        let mut given_up = Vec::new();
        if call.lane.kind == Kind::ClientReconfig {
            for job in self.jobs.iter_mut().filter(|job| job.call.lane == call.lane) {
                job.superseded = true;
            }
            let stale = |job: &Job| job.superseded && job.last.is_some() && job.running_since().is_none();
            while let Some(at) = self.jobs.iter().position(stale) {
                given_up.extend(self.give_up(at));
            }
        }
        self.last_id += 1;
        self.jobs.push_back(Job {
            id: JobId(self.last_id),
            call,
            starts: 0,
            last: None,
            superseded: false,
            phase: Phase::Waiting { due: now },
        });
        if self.jobs.len() > MAX_JOBS
            && let Some(at) = self.jobs.iter().position(|job| job.running_since().is_none())
        {
            given_up.extend(self.give_up(at));
        }
        given_up
    }

    /// Takes note that everything that may begin now does, and says what that is, in its order.
    pub(crate) fn begin(&mut self, now: Instant) -> Vec<(JobId, Call)> {
        let mut begun = Vec::new();
        let mut busy = self.busy_lanes(now);
        for job in &mut self.jobs {
            if self.running >= MAX_RUNNING {
                break;
            }
            let Phase::Waiting { due } = job.phase else { continue };
            if due > now {
                if job.last.is_none() {
                    // It has not had its turn; whoever failed in it has.
                    busy.insert(job.call.lane.clone());
                }
                continue;
            }
            if !busy.insert(job.call.lane.clone()) {
                continue;
            }
            job.phase = Phase::Starting { since: now };
            job.starts += 1;
            self.running += 1;
            begun.push((job.id, job.call.clone()));
        }
        if !begun.is_empty() {
            self.shown = None;
        }
        begun
    }

    /// A script has its process.
    pub(crate) fn started(&mut self, id: JobId, pid: u32) -> bool {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else { return false };
        let Phase::Starting { since } = job.phase else { return false };
        job.phase = Phase::Running { since, pid, killed: false };
        self.shown = None;
        true
    }

    /// The process of a script, if it has one.
    pub(crate) fn pid(&self, id: JobId) -> Option<u32> {
        self.jobs.iter().find(|job| job.id == id).and_then(|job| match job.phase {
            Phase::Running { pid, .. } => Some(pid),
            Phase::Waiting { .. } | Phase::Starting { .. } => None,
        })
    }

    /// The process of a script ended. Returns the call if it failed for good.
    pub(crate) fn ended(&mut self, id: JobId, end: ScriptEnd, now: Instant, delay: Duration) -> Option<GivenUp> {
        let at = self.stop_running(id)?;
        let job = &mut self.jobs[at];
        job.last = Some(end);
        match job.after(end, now, delay) {
            Next::Again(due) => job.phase = Phase::Waiting { due },
            Next::Done => {
                self.jobs.remove(at);
            }
            Next::Failed => {
                return self.jobs.remove(at).map(|job| GivenUp { call: job.call, end: Some(end) });
            }
        }
        None
    }

    /// A script has got no process. It waits for one, unless there is nothing to execute.
    pub(crate) fn not_started(&mut self, id: JobId, fault: &ScriptFault, now: Instant) -> Option<Call> {
        let at = self.stop_running(id)?;
        match fault {
            ScriptFault::NotExecutable(_) => self.jobs.remove(at).map(|job| job.call),
            ScriptFault::NoProcess(_) => {
                let job = &mut self.jobs[at];
                // It was not started, so that does not count.
                job.starts = job.starts.saturating_sub(1);
                job.phase = Phase::Waiting { due: now + NO_PROCESS_PAUSE };
                Some(job.call.clone())
            }
        }
    }

    /// Which processes run for longer than `limit`. Each is told once.
    pub(crate) fn overdue(&mut self, now: Instant, limit: Duration) -> Vec<Overdue> {
        let mut overdue = Vec::new();
        for job in &mut self.jobs {
            if let Phase::Running { since, pid, killed: killed @ false } = &mut job.phase
                && *since + limit <= now
            {
                *killed = true;
                overdue.push(Overdue { id: job.id, path: Arc::clone(&job.call.path), pid: *pid });
            }
        }
        overdue
    }

    /// When [`begin`](Queue::begin) or [`overdue`](Queue::overdue) will have something to say next, if nothing else
    /// happens. Later than `now`, provided that both were asked at `now`.
    pub(crate) fn deadline(&self, now: Instant, limit: Duration) -> Option<Instant> {
        let room = self.running < MAX_RUNNING;
        let times = self.jobs.iter().filter_map(|job| match job.phase {
            Phase::Running { since, killed: false, .. } => {
                Some((since + limit).min(self.head_start_ends(job, since, now)))
            }
            Phase::Running { since, .. } | Phase::Starting { since } => Some(self.head_start_ends(job, since, now)),
            Phase::Waiting { due } => room.then_some(due),
        });
        times.filter(|at| *at > now && *at < Instant::NEVER).min()
    }

    /// Whether readers see something old.
    pub(crate) const fn is_stale(&self) -> bool {
        self.shown.is_none()
    }

    /// What readers see.
    pub(crate) fn view(&mut self) -> Arc<[ScriptView]> {
        let jobs = &self.jobs;
        Arc::clone(self.shown.get_or_insert_with(|| jobs.iter().map(Job::view).collect()))
    }

    /// Lanes in which a call began so lately that the next has to wait.
    fn busy_lanes(&self, now: Instant) -> BTreeSet<Lane> {
        let busy = |job: &&Job| job.running_since().is_some_and(|since| since + HEAD_START > now);
        self.jobs.iter().filter(busy).map(|job| job.call.lane.clone()).collect()
    }

    /// When the next call of the lane may begin beside this one; never, if none waits for that.
    fn head_start_ends(&self, job: &Job, since: Instant, now: Instant) -> Instant {
        let waits = |other: &Job| {
            other.call.lane == job.call.lane && matches!(other.phase, Phase::Waiting { due } if due <= now)
        };
        if self.running < MAX_RUNNING && self.jobs.iter().any(waits) { since + HEAD_START } else { Instant::NEVER }
    }

    fn stop_running(&mut self, id: JobId) -> Option<usize> {
        let at = self.jobs.iter().position(|job| job.id == id && job.running_since().is_some())?;
        self.running -= 1;
        self.shown = None;
        Some(at)
    }

    fn give_up(&mut self, at: usize) -> Option<GivenUp> {
        self.jobs.remove(at).map(|job| GivenUp { call: job.call, end: job.last })
    }
}
