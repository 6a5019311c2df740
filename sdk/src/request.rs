//! What the handles send: one command, or one pipeline.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::address::Address;
use crate::command;
use crate::config::{Config, Patience};
use crate::dial::Link;
use crate::error::{Error, Outcome};
use crate::keys::first_key;
use crate::measure::Recorder;
use crate::reply::{Verdict, judge, judge_pipeline};
use crate::shared::Shared;
use crate::silence::attend;
use crate::stall::{NoAnswer, TURN, was_stalled};
use crate::table;
use crate::wheel::Alarm;

/// One command or one pipeline.
pub(crate) trait Request: Sync {
    type Answer;

    /// Sends it, and waits for the answer as long as it takes.
    fn send(&self, connection: &mut MultiplexedConnection) -> impl Future<Output = RedisResult<Self::Answer>> + Send;
    fn judge(&self, answer: &RedisResult<Self::Answer>) -> Verdict;
    /// What it is called in messages.
    fn name(&self) -> String;
    fn commands(&self) -> impl Iterator<Item = &Cmd>;
    /// Whether it is wrapped in MULTI and EXEC on its way.
    fn is_transaction(&self) -> bool;

    /// Whether executing it twice is the same as once.
    fn reads_only(&self) -> bool {
        self.commands().all(|command| command::nature(command).idempotent)
    }

    /// Its place among the operations that are measured.
    fn operation(&self) -> usize;

    /// What became of it, if it brought an error.
    fn outcome(&self, answer: &RedisResult<Self::Answer>) -> Option<Outcome>;

    /// Around all that is done about it.
    fn span(&self, config: &Config) -> Span {
        // The names that OpenTelemetry has for databases.
        tracing::debug_span!(
            "command",
            otel.kind = "client",
            db.system.name = "redis",
            db.operation.name = self.name(),
            db.namespace = config.database,
            sentinel.master = &*config.master,
        )
    }

    /// The first key that it names.
    fn key(&self) -> Option<&[u8]> {
        self.commands().find_map(first_key)
    }

    /// Whether it may go over a connection that others use, too.
    fn check_shareable(&self) -> Result<(), Error> {
        // Inside MULTI nothing blocks.
        let may_block = !self.is_transaction();
        for command in self.commands() {
            if command::disturbs(command, may_block) {
                return Err(Error::NotShareable { command: command::name(command) });
            }
        }
        Ok(())
    }
}

pub(crate) struct One<'a>(pub(crate) &'a Cmd);

impl Request for One<'_> {
    type Answer = Value;

    async fn send(&self, connection: &mut MultiplexedConnection) -> RedisResult<Value> {
        connection.send_packed_command(self.0).await
    }

    fn judge(&self, answer: &RedisResult<Value>) -> Verdict {
        judge(self.0, answer)
    }

    fn name(&self) -> String {
        command::name(self.0)
    }

    fn commands(&self) -> impl Iterator<Item = &Cmd> {
        std::iter::once(self.0)
    }

    fn is_transaction(&self) -> bool {
        false
    }

    fn operation(&self) -> usize {
        command::word(self.0, 0).map_or(table::OTHER, |name| table::place_of(name.as_str()))
    }

    fn outcome(&self, answer: &RedisResult<Value>) -> Option<Outcome> {
        match answer {
            Ok(Value::ServerError(error)) => Some(Outcome::of(&error.clone().into())),
            Ok(_) => None,
            Err(error) => Some(Outcome::of(error)),
        }
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
        connection.send_packed_commands(self.pipeline, self.offset, self.count).await
    }

    fn judge(&self, answers: &RedisResult<Vec<Value>>) -> Verdict {
        judge_pipeline(self.pipeline, answers)
    }

    fn name(&self) -> String {
        command::pipeline_name(self.pipeline)
    }

    fn commands(&self) -> impl Iterator<Item = &Cmd> {
        self.pipeline.cmd_iter()
    }

    fn is_transaction(&self) -> bool {
        self.pipeline.is_transaction()
    }

    fn operation(&self) -> usize {
        if self.is_transaction() { table::TRANSACTION } else { table::PIPELINE }
    }

    fn outcome(&self, answers: &RedisResult<Vec<Value>>) -> Option<Outcome> {
        answers.as_ref().err().map(Outcome::of)
    }
}

/// Has the time and the outcome of a request counted.
pub(crate) async fn timed<R: Request>(
    recorder: &Recorder,
    request: &R,
    answer: impl Future<Output = RedisResult<R::Answer>>,
) -> RedisResult<R::Answer> {
    let timed = recorder.begin(|| request.operation());
    let answer = answer.await;
    timed.end(|| request.outcome(&answer));
    answer
}

/// Sends a request over a link and waits for its answer; `on_silence` is called as [`attend`] says.
///
/// An answer that does not come in time is an I/O error that says so, and is counted.
pub(crate) async fn exchange<R: Request>(
    shared: &Shared,
    link: &Link,
    request: &R,
    patience: Patience,
    on_silence: impl Fn(),
) -> RedisResult<R::Answer> {
    let mut connection = link.connection.clone();
    let answer = request.send(&mut connection);
    let answer = attend(&link.pulse, patience.silence, patience.limit, on_silence, answer)
        .instrument(attempt(&link.address))
        .await
        .unwrap_or_else(|NoAnswer| Err(io::Error::from(io::ErrorKind::TimedOut).into()));
    if let Err(error) = &answer {
        tracing::debug!(address = %link.address, %error, "no answer");
        if error.is_timeout() {
            shared.counters.timeouts.add_one();
        }
    }
    answer
}

/// The same over the connection to the master that all share, without a timer of its own.
pub(crate) async fn exchange_shared<R: Request>(
    shared: &Shared,
    link: &Link,
    request: &R,
    (began, end): (Instant, Option<Instant>),
    alarm: &mut Alarm,
    on_silence: impl Fn(),
) -> RedisResult<R::Answer> {
    let timeouts = &shared.config.timeouts;
    let limit = end.unwrap_or(began + timeouts.command);
    let mut connection = link.connection.clone();
    let mut answer = pin!(request.send(&mut connection));
    let alarm = SwitchOff(alarm);
    let mut look = (began + timeouts.silence).min(limit);
    let mut reads = link.pulse.reads();
    let mut polled = false;
    let mut caught_up_at = None;
    let mut wait = pin!(poll_fn(|context| {
        if let Poll::Ready(answer) = answer.as_mut().poll(context) {
            return Poll::Ready(answer);
        }
        // Only who is polled again has to look at the clock.
        if std::mem::replace(&mut polled, true) {
            let now = Instant::now();
            // What has arrived meanwhile is read first.
            if was_stalled(look, now) {
                // Who waits for several things at a time is polled for the others' sake, too.
                let until = *caught_up_at.get_or_insert(now + TURN);
                if now < until {
                    alarm.0.set(&shared.wheel, until, context);
                    return Poll::Pending;
                }
            }
            if now >= limit {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::TimedOut).into()));
            }
            if now >= look {
                if link.pulse.reads() == reads {
                    on_silence();
                }
                reads = link.pulse.reads();
                look = (now + timeouts.silence).min(limit);
                caught_up_at = None;
            }
        }
        alarm.0.set(&shared.wheel, look, context);
        Poll::Pending
    }));
    let span = attempt(&link.address);
    let answer = if span.is_disabled() { wait.await } else { wait.as_mut().instrument(span).await };
    if let Err(error) = &answer {
        tracing::debug!(address = %link.address, %error, "no answer");
        if error.is_timeout() {
            shared.counters.timeouts.add_one();
        }
    }
    answer
}

/// Around one attempt.
fn attempt(address: &Address) -> Span {
    tracing::debug_span!("attempt", server.address = address.host(), server.port = address.port())
}

/// Also when the caller drops the command half-way.
struct SwitchOff<'a>(&'a mut Alarm);

impl Drop for SwitchOff<'_> {
    fn drop(&mut self) {
        self.0.switch_off();
    }
}
