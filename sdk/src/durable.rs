//! Writes that replicas have confirmed.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, FromRedisValue, Pipeline, RedisError, RedisResult, Value};
use tokio::time::{Instant, sleep};

use crate::command;
use crate::connection_like::connection_like;
use crate::error::{Error, Outcome};
use crate::pool::SentinelPool;
use crate::reply::{Verdict, judge_pipeline};
use crate::retry::Backoff;

/// How many nodes must have a write before it counts.
///
/// # When such a write survives the death of the master
///
/// A replica confirms what it has received and executed (`WAIT`). The write is there after a failover if a replica that has confirmed it is promoted:
///
/// - **all replicas have confirmed it** (`n` is the number of replicas): always, whichever is promoted;
/// - **fewer have, and the Sentinels are ours**: if a replica that has confirmed it can be reached by them and all replicas have the same priority
///   (`replica-priority`), for they ask each replica what it has before they choose;
/// - **fewer have, and the Sentinels are redis-sentinel or valkey-sentinel**: nothing is promised. They choose by the last INFO of each replica, which
///   is up to 10 s old, and prefer one that was ahead then. In a test with an INFO every 200 ms they lost 121 writes that one of two replicas
///   had confirmed.
///
/// A write that all have confirmed is not lost to a master that was cut off from its replicas either: that one gets no confirmation. It may be
/// lost when several nodes lose their memory at the same time, unless they write to disk (`appendfsync always`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum WriteConcern {
    /// The master alone.
    #[default]
    Master,
    /// So many replicas, within this time. Only with all of them a write survives every failover.
    Replicas(usize, Duration),
}

/// The answer to a write, and who has it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written<T> {
    /// What the master answered.
    pub value: T,
    /// How many replicas have confirmed what the master had executed by then.
    pub replicas: usize,
}

/// A handle for writes of which replicas must have confirmed the receipt before they count; see [`WriteConcern`].
///
/// `WAIT` follows each command or pipeline on its way, over a connection taken from the pool for it
/// ([`Builder::max_connections`](crate::Builder::max_connections) are under way at a time at most). What the node refused without executing it is repeated
/// as with [`Master`](crate::Master); nothing else is.
///
/// It implements [`redis::aio::ConnectionLike`]: there, too few confirmations are the error [`Error::NotReplicated`]. Reads need no such
/// handle.
///
/// ```no_run
/// # use std::time::Duration;
/// # use redis::AsyncCommands;
/// # use sentinel_sdk::{SentinelPool, WriteConcern};
/// # async fn example(pool: SentinelPool) -> redis::RedisResult<()> {
/// // The deployment has two replicas: both, so that it does not matter which is promoted.
/// let mut durable = pool.durable(WriteConcern::Replicas(2, Duration::from_secs(1)));
/// let () = durable.set("order:17", "paid").await?;
/// // Or to decide by oneself.
/// let written = durable.write::<u64>(redis::cmd("INCR").arg("orders")).await?;
/// println!("{} replicas have number {}", written.replicas, written.value);
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Durable {
    pool: SentinelPool,
    concern: WriteConcern,
}

impl SentinelPool {
    /// A handle for writes that replicas have to confirm.
    pub fn durable(&self, concern: WriteConcern) -> Durable {
        Durable { pool: self.clone(), concern }
    }
}

impl Durable {
    /// Sends one command, and tells how many replicas have confirmed it, be they enough or not.
    ///
    /// # Errors
    ///
    /// Those of the command, and of the pool as for [`SentinelPool::get`].
    pub async fn write<T: FromRedisValue>(&self, command: &Cmd) -> RedisResult<Written<T>> {
        let mut outer = self.noted(false);
        let value = outer.command(command).await?.extract_error()?;
        Ok(Written { value: redis::from_redis_value(value)?, replicas: outer.replicas })
    }

    /// Sends a pipeline, and waits for the confirmation of all its writes together.
    ///
    /// # Errors
    ///
    /// As for [`write`](Self::write).
    pub async fn write_pipeline<T: FromRedisValue>(&self, pipeline: &Pipeline) -> RedisResult<Written<T>> {
        let mut outer = self.noted(false);
        let value = pipeline.query_async(&mut outer).await?;
        Ok(Written { value, replicas: outer.replicas })
    }

    async fn command(&self, command: &Cmd) -> RedisResult<Value> {
        self.noted(true).command(command).await
    }

    async fn pipeline(&self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        self.noted(true).pipeline(pipeline, offset, count).await
    }

    fn database(&self) -> i64 {
        self.pool.config().database
    }

    fn noted(&self, is_strict: bool) -> Noted {
        Noted { durable: self.clone(), replicas: 0, is_strict }
    }

    fn enough(&self, name: String, replicas: usize) -> Result<(), Error> {
        match self.concern {
            WriteConcern::Replicas(needed, _) if replicas < needed => {
                Err(Error::NotReplicated { command: name, reached: replicas, needed })
            }
            _ => Ok(()),
        }
    }

    /// The answers as [`ConnectionLike::req_packed_commands`] brings them.
    async fn carry_out(&self, pipeline: &Pipeline) -> RedisResult<Written<Vec<Value>>> {
        let (sent, answers_at) = self.with_wait(pipeline);
        let retry = self.pool.config().retry;
        let deadline = Instant::now() + retry.within;
        let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause);
        loop {
            let answer = self.attempt(&sent, answers_at).await;
            let answers = answer.as_ref().map(|written| written.value.clone()).map_err(RedisError::clone);
            let was_refused = match &answer {
                Err(error) => matches!(Outcome::of(error), Outcome::NotSent | Outcome::Refused),
                Ok(_) => matches!(judge_pipeline(pipeline, &answers), Verdict::Refused(_)),
            };
            let is_final =
                matches!(answer.as_ref().map_err(Error::find), Err(Some(Error::Shutdown | Error::NotShareable { .. })));
            let pause = backoff.pause();
            if !was_refused || is_final || Instant::now() + pause >= deadline {
                return answer;
            }
            sleep(pause).await;
        }
    }

    async fn attempt(&self, sent: &Pipeline, answers_at: usize) -> RedisResult<Written<Vec<Value>>> {
        let mut connection = self.pool.get().await?;
        let count = sent.len() - answers_at;
        let mut value = connection.req_packed_commands(sent, answers_at, count).await?;
        let replicas = match self.concern {
            WriteConcern::Master => 0,
            WriteConcern::Replicas(..) => match value.pop() {
                Some(Value::Int(replicas)) => replicas.try_into().unwrap_or(0),
                // Whatever was answered in its place, nobody has confirmed anything.
                _ => 0,
            },
        };
        Ok(Written { value, replicas })
    }

    /// What is sent, and from which of the answers on they are the caller's.
    fn with_wait(&self, pipeline: &Pipeline) -> (Pipeline, usize) {
        let mut sent = redis::pipe();
        let is_transaction = pipeline.is_transaction();
        if is_transaction {
            sent.cmd("MULTI");
        }
        for command in pipeline.cmd_iter() {
            sent.add_command(command.clone());
        }
        let mut answers_at = 0;
        if is_transaction {
            answers_at = sent.len();
            sent.cmd("EXEC");
        }
        if let WriteConcern::Replicas(replicas, timeout) = self.concern {
            let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
            sent.cmd("WAIT").arg(replicas).arg(milliseconds);
        }
        (sent, answers_at)
    }
}

/// A handle that notes the confirmations of what was sent last.
struct Noted {
    durable: Durable,
    replicas: usize,
    /// Too few are an error.
    is_strict: bool,
}

impl Noted {
    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        let mut pipeline = redis::pipe();
        pipeline.add_command(command.clone());
        Ok(self.pipeline(&pipeline, 0, 1).await?.into_iter().next().unwrap_or(Value::Nil))
    }

    /// Which of the answers are the caller's is known by the pipeline itself.
    async fn pipeline(&mut self, pipeline: &Pipeline, _: usize, _: usize) -> RedisResult<Vec<Value>> {
        let Written { value, replicas } = self.durable.carry_out(pipeline).await?;
        self.replicas = replicas;
        let has_effect = !value.iter().all(|answer| matches!(answer, Value::ServerError(_)));
        if self.is_strict && has_effect {
            self.durable.enough(command::pipeline_name(pipeline), replicas)?;
        }
        Ok(value)
    }

    fn database(&self) -> i64 {
        self.durable.database()
    }
}

connection_like!(Noted);
connection_like!(Durable);
