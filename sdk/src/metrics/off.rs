//! What stands in the place of the measurements without the feature `metrics`: nothing.

use std::time::Duration;

use redis::RedisResult;

use crate::request::Request;

#[derive(Debug, Clone)]
pub(crate) struct Recorder;

impl Recorder {
    pub(crate) fn new() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(crate) fn begin<R: Request>(&self, _: &R) -> Timed {
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
    pub(crate) fn end<R: Request>(self, _: &R, _: &RedisResult<R::Answer>) {}
}

#[derive(Debug)]
pub(crate) struct Timer;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Create,
    Wait,
    Use,
}
