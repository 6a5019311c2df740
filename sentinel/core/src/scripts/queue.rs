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
use crate::{canonical::Remembered, time::Instant, view::ScriptView};

/// All calls that have not come to their last end, oldest first.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Queue {
    jobs: VecDeque<Job>,
    running: usize,
    last_id: Remembered<u64>,
    /// What readers see, until something changes.
    shown: Remembered<Option<Arc<[ScriptView]>>>,
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
    /// How many calls there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.jobs.len()
    }

    /// Adds a call. Returns those that are given up for it.
    ///
    /// When a master has moved on, a failed client reconfiguration for the former move is not tried again: it would
    /// send clients back. A departure, the reference calls it.
    pub(crate) fn push(&mut self, call: Call, now: Instant) -> Vec<GivenUp> {
        self.shown.0 = None;
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
        self.last_id.0 += 1;
        self.jobs.push_back(Job {
            id: JobId(self.last_id.0),
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
            self.shown.0 = None;
        }
        begun
    }

    /// A script has its process.
    pub(crate) fn started(&mut self, id: JobId, pid: u32) -> bool {
        let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) else { return false };
        let Phase::Starting { since } = job.phase else { return false };
        job.phase = Phase::Running { since, pid, killed: false };
        self.shown.0 = None;
        true
    }

    /// What a call is.
    pub(crate) fn call(&self, id: JobId) -> Option<&Call> {
        self.jobs.iter().find(|job| job.id == id).map(|job| &job.call)
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

    /// Whether no call runs or waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Whether readers see something old.
    pub(crate) const fn is_stale(&self) -> bool {
        self.shown.0.is_none()
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
        self.shown.0 = None;
        Some(at)
    }

    fn give_up(&mut self, at: usize) -> Option<GivenUp> {
        self.jobs.remove(at).map(|job| GivenUp { call: job.call, end: job.last })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::MasterName;

    const DELAY: Duration = Duration::from_secs(30);
    const LIMIT: Duration = Duration::from_secs(60);

    fn at(ms: u64) -> Instant {
        Instant::from_micros(ms * 1_000)
    }

    fn call(master: &str, kind: Kind, what: &str) -> Call {
        let lane = Lane { master: MasterName::new(master).unwrap(), kind };
        Call { lane, path: "/script".into(), args: [what.to_owned()].into() }
    }

    fn notify(master: &str, what: &str) -> Call {
        call(master, Kind::Notification, what)
    }

    impl Queue {
        /// Begins, and gives each script a process with the number of its call.
        fn begun(&mut self, now: Instant) -> Vec<(JobId, String)> {
            let begun = self.begin(now);
            for (id, _) in &begun {
                assert!(self.started(*id, u32::try_from(id.0).unwrap()));
            }
            begun.into_iter().map(|(id, call)| (id, call.args[0].clone())).collect()
        }

        /// Begins one, which is the only one that may.
        fn only(&mut self, now: Instant) -> JobId {
            let begun = self.begun(now);
            assert_eq!(begun.len(), 1, "{begun:?}");
            begun[0].0
        }

        fn names(&self) -> Vec<&str> {
            self.jobs.iter().map(|job| job.call.args[0].as_str()).collect()
        }
    }

    fn what(begun: &[(JobId, String)]) -> Vec<&str> {
        begun.iter().map(|(_, what)| what.as_str()).collect()
    }

    #[test]
    fn scripts_of_one_master_and_kind_begin_in_order_and_others_beside_them() {
        let mut queue = Queue::default();
        for it in ["a1", "a2", "a3"] {
            queue.push(notify("a", it), at(0));
        }
        queue.push(notify("b", "b1"), at(0));
        queue.push(call("a", Kind::ClientReconfig, "a-reconfig"), at(0));
        let begun = queue.begun(at(0));
        assert_eq!(what(&begun), ["a1", "b1", "a-reconfig"]);
        assert_eq!(queue.begun(at(500)), []);
        // An end lets the next begin at once.
        assert_eq!(queue.ended(begun[0].0, ScriptEnd::Exited(0), at(500), DELAY), None);
        assert_eq!(what(&queue.begun(at(500))), ["a2"]);
        // One that goes on has its head start, and no more.
        assert_eq!(queue.deadline(at(500), LIMIT), Some(at(1_500)));
        assert_eq!(queue.begun(at(1_499)), []);
        assert_eq!(what(&queue.begun(at(1_500))), ["a3"]);
        assert_eq!(queue.deadline(at(1_500), LIMIT), Some(at(60_000)), "next is the limit of the first");
    }

    #[test]
    fn sixteen_run_at_once_and_the_next_waits_for_an_end() {
        let mut queue = Queue::default();
        for number in 0..20 {
            queue.push(notify(&format!("m{number:02}"), &number.to_string()), at(0));
        }
        let begun = queue.begun(at(0));
        assert_eq!(begun.len(), MAX_RUNNING);
        assert_eq!(queue.deadline(at(0), LIMIT), Some(at(60_000)), "only an end makes room");
        queue.ended(begun[7].0, ScriptEnd::Exited(0), at(10), DELAY);
        assert_eq!(what(&queue.begun(at(10))), ["16"]);
    }

    #[test]
    fn a_failing_script_is_started_ten_times_with_doubling_pauses() {
        for end in [ScriptEnd::Exited(1), ScriptEnd::Killed(15)] {
            let mut queue = Queue::default();
            queue.push(notify("m", "x"), at(0));
            let mut now = at(0);
            for seconds in [30, 60, 120, 240, 480, 960, 1_920, 3_840, 7_680] {
                let id = queue.only(now);
                assert_eq!(queue.ended(id, end, now, DELAY), None);
                let due = now + Duration::from_secs(seconds);
                assert_eq!(queue.deadline(now, LIMIT), Some(due));
                assert_eq!(queue.begun(now + Duration::from_secs(seconds - 1)), []);
                now = due;
            }
            let id = queue.only(now);
            assert_eq!(queue.view()[0].starts, 10);
            let given_up = queue.ended(id, end, now, DELAY).unwrap();
            assert_eq!(given_up, GivenUp { call: notify("m", "x"), end: Some(end) });
            assert!(queue.view().is_empty());
        }
    }

    #[test]
    fn another_status_is_an_end_for_good() {
        for status in [2, 3, 126, 255] {
            let mut queue = Queue::default();
            queue.push(notify("m", "x"), at(0));
            let id = queue.only(at(0));
            let given_up = queue.ended(id, ScriptEnd::Exited(status), at(1), DELAY).unwrap();
            assert_eq!(given_up.end.unwrap().signal_and_status(), (0, status));
            assert_eq!(queue.deadline(at(1), LIMIT), None);
        }
    }

    #[test]
    fn one_that_waits_for_another_try_does_not_hold_up_the_next() {
        let mut queue = Queue::default();
        queue.push(notify("m", "first"), at(0));
        queue.push(notify("m", "second"), at(0));
        let first = queue.only(at(0));
        queue.ended(first, ScriptEnd::Exited(1), at(10), DELAY);
        let second = queue.begun(at(10));
        assert_eq!(what(&second), ["second"]);
        queue.ended(second[0].0, ScriptEnd::Exited(0), at(20), DELAY);
        assert_eq!(what(&queue.begun(at(30_010))), ["first"]);
    }

    #[test]
    fn a_full_queue_gives_up_the_oldest_that_does_not_run() {
        let mut queue = Queue::default();
        for number in 0..MAX_JOBS {
            assert_eq!(queue.push(notify("m", &number.to_string()), at(0)), []);
            if number == 0 {
                queue.only(at(0));
            }
        }
        let given_up = queue.push(notify("m", "new"), at(1));
        assert_eq!(given_up, [GivenUp { call: notify("m", "1"), end: None }]);
        assert_eq!(queue.jobs.len(), MAX_JOBS);
        assert_eq!((queue.names()[0], queue.names()[1], queue.names()[MAX_JOBS - 1]), ("0", "2", "new"));
    }

    #[test]
    fn one_that_runs_too_long_is_told_once_and_tried_again() {
        let mut queue = Queue::default();
        queue.push(notify("m", "x"), at(0));
        let id = queue.only(at(0));
        assert_eq!(queue.overdue(at(59_999), LIMIT), []);
        assert_eq!(queue.overdue(at(60_000), LIMIT), [Overdue { id, path: "/script".into(), pid: 1 }]);
        assert_eq!(queue.overdue(at(60_100), LIMIT), []);
        assert_eq!(queue.deadline(at(60_100), LIMIT), None);
        queue.ended(id, ScriptEnd::Killed(9), at(60_200), DELAY);
        assert_eq!(queue.deadline(at(60_200), LIMIT), Some(at(90_200)));
        // A limit that was lowered meanwhile counts for those that run.
        queue.only(at(90_200));
        assert_eq!(queue.deadline(at(90_300), Duration::from_secs(1)), Some(at(91_200)));
    }

    #[test]
    fn a_former_move_is_not_tried_again_after_a_newer_one() {
        let reconfig = |what| call("m", Kind::ClientReconfig, what);
        let mut queue = Queue::default();
        // One that waits for its next try is given up at once,
        queue.push(reconfig("a to b"), at(0));
        let id = queue.only(at(0));
        queue.ended(id, ScriptEnd::Exited(1), at(0), DELAY);
        let given_up = queue.push(reconfig("b to c"), at(10));
        assert_eq!(given_up, [GivenUp { call: reconfig("a to b"), end: Some(ScriptEnd::Exited(1)) }]);
        // one that runs when it fails,
        let id = queue.only(at(10));
        assert_eq!(queue.push(reconfig("c to d"), at(20)), []);
        assert!(queue.ended(id, ScriptEnd::Exited(1), at(30), DELAY).is_some());
        // and one that has not begun begins, in its turn.
        assert_eq!(queue.push(reconfig("d to e"), at(40)), []);
        let begun = queue.begun(at(40));
        assert_eq!(what(&begun), ["c to d"]);
        queue.ended(begun[0].0, ScriptEnd::Exited(0), at(50), DELAY);
        assert_eq!(what(&queue.begun(at(50))), ["d to e"]);
        // Other masters move on their own.
        queue.push(call("n", Kind::ClientReconfig, "n"), at(60));
        assert!(queue.jobs.iter().all(|job| !job.superseded));
    }

    #[test]
    fn one_without_a_process_keeps_its_turn_and_its_tries() {
        let mut queue = Queue::default();
        queue.push(notify("m", "first"), at(0));
        queue.push(notify("m", "second"), at(0));
        let none = ScriptFault::NoProcess("too many".to_owned());
        for round in 0..50 {
            let now = at(round * 1_000);
            let (id, call) = queue.begin(now).pop().unwrap();
            assert_eq!(call.args[0], "first");
            assert_eq!(queue.not_started(id, &none, now), Some(call));
            assert_eq!((queue.view()[0].starts, queue.begin(now).len()), (0, 0));
            assert_eq!(queue.deadline(now, LIMIT), Some(at((round + 1) * 1_000)));
        }
        let missing = ScriptFault::NotExecutable("no such file".to_owned());
        let (id, call) = queue.begin(at(50_000)).pop().unwrap();
        assert_eq!(queue.not_started(id, &missing, at(50_000)), Some(call));
        assert_eq!(queue.names(), ["second"]);
        assert_eq!(what(&queue.begun(at(50_000))), ["second"]);
    }

    #[test]
    fn what_is_not_known_changes_nothing() {
        let mut queue = Queue::default();
        queue.push(notify("m", "x"), at(0));
        for id in [JobId(1), JobId(7)] {
            // Not begun, and never heard of.
            assert!(!queue.started(id, 1));
            assert_eq!(queue.ended(id, ScriptEnd::Exited(2), at(0), DELAY), None);
            assert_eq!(queue.pid(id), None);
        }
        let id = queue.only(at(0));
        assert!(!queue.started(id, 9), "it is started once");
        assert_eq!(queue.pid(id), Some(1));
    }

    #[test]
    fn whatever_happens_no_deadline_has_passed_and_no_call_is_forgotten() {
        let mut rng = crate::rng::Rng::new(7);
        let mut queue = Queue::default();
        let mut running = Vec::new();
        let mut now = at(0);
        for step in 0..20_000_u64 {
            let mut die = |sides: u64| rng.next() % sides;
            match die(10) {
                0..=3 => {
                    let kind = if die(2) == 0 { Kind::Notification } else { Kind::ClientReconfig };
                    queue.push(call(&format!("m{}", die(24)), kind, &step.to_string()), now);
                }
                4..=7 if !running.is_empty() => {
                    let (id, _) = running.swap_remove(usize::try_from(die(running.len() as u64)).unwrap());
                    let ends = [ScriptEnd::Exited(0), ScriptEnd::Exited(1), ScriptEnd::Exited(2), ScriptEnd::Killed(9)];
                    queue.ended(id, ends[usize::try_from(die(4)).unwrap()], now, DELAY);
                }
                _ => now = queue.deadline(now, LIMIT).unwrap_or(now) + Duration::from_millis(die(300)),
            }
            running.extend(queue.begun(now));
            queue.overdue(now, LIMIT);
            assert!(queue.deadline(now, LIMIT).is_none_or(|at| at > now), "a deadline in the past is a busy loop");
            assert!(queue.running == running.len() && running.len() <= MAX_RUNNING && queue.jobs.len() <= MAX_JOBS);
            let waits = queue.jobs.len() > running.len();
            assert!(!waits || queue.running == MAX_RUNNING || queue.deadline(now, LIMIT).is_some(), "nothing wakes it");
        }
    }
}
