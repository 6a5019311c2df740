//! Where the measurements of a pool are kept.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::histogram::Histogram;
use super::{Failure, Operation};
use crate::error::Outcome;
use crate::table;

/// Success, and each way to fail.
const ENDS: usize = 1 + Failure::ALL.len();

/// The measurements of one pool; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Recorder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Memory is taken for those that happen.
    operations: Box<[[OnceLock<Box<Histogram>>; ENDS]]>,
    steps: [Histogram; 3],
    without_master: Histogram,
    waited_in_vain: AtomicU64,
}

/// What happens to an exclusive connection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create,
    Wait,
    Use,
}

impl Recorder {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            operations: (0..table::OPERATIONS).map(|_| Default::default()).collect(),
            steps: Default::default(),
            without_master: Histogram::default(),
            waited_in_vain: AtomicU64::new(0),
        }))
    }

    /// Begins to measure an operation. One that is never ended was given up by its caller.
    pub(crate) fn begin(&self, operation: impl FnOnce() -> usize) -> Timed<'_> {
        Timed { recorder: self, operation: operation(), began: Instant::now(), is_ended: false }
    }

    /// Measures a step until this is dropped.
    pub(crate) fn timer(&self, step: Step) -> Timer {
        Timer { recorder: self.clone(), step, began: Instant::now() }
    }

    pub(crate) fn without_master(&self, lasted: Duration) {
        self.0.without_master.add(lasted);
    }

    /// Counts a caller who got no exclusive connection in time.
    pub(crate) fn waited_in_vain(&self) {
        self.0.waited_in_vain.fetch_add(1, Ordering::Relaxed);
    }

    fn operation(&self, operation: usize, failure: Option<Failure>, took: Duration) {
        let end = failure.map_or(0, |failure| 1 + failure as usize);
        self.0.operations[operation][end].get_or_init(Box::default).add(took);
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let failures = || std::iter::once(None).chain(Failure::ALL.map(Some));
        let all = self.0.operations.iter().enumerate();
        all.flat_map(|(operation, ends)| {
            ends.iter().zip(failures()).filter_map(move |(histogram, failure)| {
                Some(Operation { name: table::operation_name(operation), failure, durations: histogram.get()?.read() })
            })
        })
        .collect()
    }

    pub(crate) fn step(&self, step: Step) -> super::Distribution {
        self.0.steps[step as usize].read()
    }

    pub(crate) fn outages(&self) -> super::Distribution {
        self.0.without_master.read()
    }

    pub(crate) fn timeouts(&self) -> u64 {
        self.0.waited_in_vain.load(Ordering::Relaxed)
    }
}

/// An operation under way.
#[derive(Debug)]
pub(crate) struct Timed<'a> {
    recorder: &'a Recorder,
    operation: usize,
    began: Instant,
    is_ended: bool,
}

impl Timed<'_> {
    /// `outcome`: what became of it, if it brought an error.
    pub(crate) fn end(mut self, outcome: impl FnOnce() -> Option<Outcome>) {
        self.is_ended = true;
        let failure = outcome().map(Failure::from);
        self.recorder.operation(self.operation, failure, self.began.elapsed());
    }
}

impl Drop for Timed<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.recorder.operation(self.operation, Some(Failure::Cancelled), self.began.elapsed());
        }
    }
}

/// A step under way.
#[derive(Debug)]
pub(crate) struct Timer {
    recorder: Recorder,
    step: Step,
    began: Instant,
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.recorder.0.steps[self.step as usize].add(self.began.elapsed());
    }
}
