//! What stands in the place of the measurements without the feature `metrics`: nothing.

use std::time::Duration;

use crate::error::Outcome;

#[derive(Debug, Clone)]
pub(crate) struct Recorder;

impl Recorder {
    pub(crate) fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn begin(&self, _: impl FnOnce() -> usize) -> Timed {
        Timed
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn timer(&self, _: Step) -> Timer {
        Timer
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn without_master(&self, _: Duration) {}

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn waited_in_vain(&self) {}
}

pub(crate) struct Timed;

impl Timed {
    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn end(self, _: impl FnOnce() -> Option<Outcome>) {}
}

#[derive(Debug)]
pub(crate) struct Timer;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create,
    Wait,
    Use,
}
