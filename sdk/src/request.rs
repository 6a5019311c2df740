//! What the handles send: one command, or one pipeline.

use std::future::Future;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, Pipeline, RedisResult, Value};

use crate::command::{self, Blocking};
use crate::error::Error;
use crate::reply::{Verdict, judge, judge_pipeline};

/// One command or one pipeline.
pub(crate) trait Request {
    type Answer;

    /// Sends it, and waits for the answer as long as it takes.
    fn send(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Self::Answer>> + Send;
    fn judge(&self, answer: &RedisResult<Self::Answer>) -> Verdict;
    fn reads_only(&self) -> bool;
    fn name(&self) -> String;
    fn check_shareable(&self) -> Result<(), Error>;
}

pub(crate) struct One<'a>(pub(crate) &'a Cmd);

impl Request for One<'_> {
    type Answer = Value;

    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        connection.req_packed_command(self.0).await
    }

    fn judge(&self, answer: &RedisResult<Value>) -> Verdict {
        judge(answer)
    }

    fn reads_only(&self) -> bool {
        command::nature(self.0).idempotent
    }

    fn name(&self) -> String {
        command::name(self.0)
    }

    fn check_shareable(&self) -> Result<(), Error> {
        check_shareable(self.0, true)
    }
}

pub(crate) struct Many<'a> {
    pub(crate) pipeline: &'a Pipeline,
    pub(crate) offset: usize,
    pub(crate) count: usize,
}

impl Request for Many<'_> {
    type Answer = Vec<Value>;

    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Vec<Value>> {
        connection.req_packed_commands(self.pipeline, self.offset, self.count).await
    }

    fn judge(&self, answers: &RedisResult<Vec<Value>>) -> Verdict {
        judge_pipeline(self.pipeline, answers)
    }

    fn reads_only(&self) -> bool {
        self.pipeline.cmd_iter().all(|command| command::nature(command).idempotent)
    }

    fn name(&self) -> String {
        command::pipeline_name(self.pipeline)
    }

    fn check_shareable(&self) -> Result<(), Error> {
        // Inside MULTI nothing blocks.
        let may_block = !self.pipeline.is_transaction();
        self.pipeline.cmd_iter().try_for_each(|command| check_shareable(command, may_block))
    }
}

fn check_shareable(command: &Cmd, may_block: bool) -> Result<(), Error> {
    let nature = command::nature(command);
    if nature.session || (may_block && nature.blocking != Blocking::No) {
        return Err(Error::NotShareable { command: command::name(command) });
    }
    Ok(())
}
