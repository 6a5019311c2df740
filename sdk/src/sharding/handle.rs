//! The handles of a sharded pool.

use std::sync::Arc;

use futures::future::join_all;
use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use super::Inner;
use super::plan::{Layout as _, Part, PipelinePlan, Plan, Slots, join, plan, plan_pipeline, slots};
use super::route::{Entered, Route};
use super::slot::slot_of;
use crate::command;
use crate::connection_like::connection_like;
use crate::error::{Error, Outcome};
use crate::master::Master;
use crate::replica::Replica;

/// Commands for the masters of all shards; see [`Sharded`].
pub type ShardedMaster = Sharded<Master>;

/// Reads from the replicas of all shards; see [`Sharded`].
pub type ShardedReplica = Sharded<Replica>;

/// Sends each command to the shard of its keys. Like the handles it is made of it implements [`redis::aio::ConnectionLike`].
///
/// - MGET, MSET, DEL, UNLINK, EXISTS and TOUCH are taken apart where their keys lie on several shards, and their answers put together in
///   order. Taken apart, MSET is no longer one step: where a part fails, others may be executed ([`Error::Partial`]).
/// - So is a pipeline, command by command. Its commands reach each shard in their order; one that is [`atomic`](redis::Pipeline::atomic) is not taken apart.
/// - All else whose keys lie on several shards is refused before it is sent ([`Error::CrossShard`]): give keys that belong together the
///   same part in braces.
/// - What names no key, or is not known here (modules), needs [`on`](Self::on).
#[derive(Debug, Clone)]
pub struct Sharded<H> {
    inner: Arc<Inner>,
    shards: Vec<H>,
    pinned: Option<u16>,
}

impl<H: ConnectionLike + Clone + Send> Sharded<H> {
    pub(super) fn new(inner: Arc<Inner>, shards: Vec<H>) -> Self {
        Self { inner, shards, pinned: None }
    }

    /// A handle that sends everything to the shard of this key, whatever it is: commands of modules, PUBLISH, SCAN. Keys that a
    /// command names are not looked at.
    ///
    /// ```no_run
    /// # use sentinel_sdk::sharding::ShardedPool;
    /// # async fn example(pool: ShardedPool) -> redis::RedisResult<()> {
    /// let mut on = pool.master().on("user:{17}");
    /// redis::cmd("JSON.SET").arg("user:{17}:profile").arg("$").arg("{}").exec_async(&mut on).await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn on(&self, key: impl AsRef<[u8]>) -> Self {
        Self { pinned: Some(slot_of(key.as_ref())), ..self.clone() }
    }

    fn slots(&self, command: &Cmd) -> Result<Slots, Error> {
        self.pinned.map_or_else(|| slots(command), |slot| Ok(Slots::One(slot)))
    }

    async fn enter(&self, slots: &Slots, writes: bool) -> Result<Entered, Error> {
        self.inner.routes.enter(slots, writes, self.inner.within).await
    }

    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        let slots = self.slots(command)?;
        let entered = self.enter(&slots, !command::nature(command).idempotent).await?;
        match plan(command, &slots, &*entered.route)? {
            Plan::Whole(shard) => self.shards[shard].req_packed_command(command).await,
            Plan::Split(parts, how) => {
                let answers = self.send(parts.iter().map(|part| (part.shard, &part.command))).await;
                let harmless = command::nature(command).idempotent;
                let answers = all_or_error(&entered.route, &command::name(command), harmless, &parts, answers)?;
                join(how, &parts, answers)
            }
        }
    }

    /// Sends one command to each of these shards, which stand there once each.
    async fn send<'a>(&mut self, parts: impl Iterator<Item = (usize, &'a Cmd)>) -> Vec<RedisResult<Value>> {
        let sent = parts.map(|(shard, command)| {
            let mut handle = self.shards[shard].clone();
            async move { handle.req_packed_command(command).await.and_then(Value::extract_error) }
        });
        join_all(sent).await
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let slots = pipeline.cmd_iter().map(|command| self.slots(command)).collect::<Result<Vec<_>, _>>()?;
        let all = Slots::Many(slots.iter().flat_map(Slots::iter).collect());
        let harmless = pipeline.cmd_iter().all(|command| command::nature(command).idempotent);
        let entered = self.enter(&all, !harmless).await?;
        match plan_pipeline(pipeline, &slots, &*entered.route)? {
            PipelinePlan::Whole(shard) => self.shards[shard].req_packed_commands(pipeline, offset, count).await,
            PipelinePlan::Split(plans) => {
                let name = command::pipeline_name(pipeline);
                self.split(pipeline, &plans, &entered.route, harmless, &name).await
            }
        }
    }

    fn database(&self) -> i64 {
        self.shards.first().map_or(0, ConnectionLike::get_db)
    }

    /// One pipeline for each shard, and the answers where they belong.
    async fn split(
        &mut self,
        pipeline: &Pipeline,
        plans: &[Plan],
        route: &Route,
        harmless: bool,
        name: &str,
    ) -> RedisResult<Vec<Value>> {
        let mut pipelines: Vec<Pipeline> = self.shards.iter().map(|_| redis::pipe()).collect();
        for (command, plan) in pipeline.cmd_iter().zip(plans) {
            match plan {
                Plan::Whole(shard) => _ = pipelines[*shard].add_command(command.clone()),
                Plan::Split(parts, _) => {
                    for part in parts {
                        pipelines[part.shard].add_command(part.command.clone());
                    }
                }
            }
        }
        let sent =
            pipelines.iter().enumerate().filter(|(_, pipeline)| !pipeline.is_empty()).map(|(shard, pipeline)| {
                let mut handle = self.shards[shard].clone();
                async move { (shard, handle.req_packed_commands(pipeline, 0, pipeline.len()).await) }
            });
        let mut answers: Vec<std::vec::IntoIter<Value>> = self.shards.iter().map(|_| Vec::new().into_iter()).collect();
        let mut failed = Vec::new();
        for (shard, answer) in join_all(sent).await {
            match answer {
                Ok(found) if found.len() == pipelines[shard].len() => answers[shard] = found.into_iter(),
                Ok(_) => failed.push((shard, (redis::ErrorKind::UnexpectedReturnType, "answers are missing").into())),
                Err(error) => failed.push((shard, error)),
            }
        }
        let used = pipelines.iter().filter(|pipeline| !pipeline.is_empty()).count();
        if let Some(error) = partial(route, name, harmless, used, &failed) {
            return Err(error);
        }
        let mut next = |shard: usize| answers[shard].next().unwrap_or(Value::Nil);
        plans.iter().map(|plan| answer_to(plan, &mut next)).collect()
    }
}

/// The answer to one command of a pipeline that was taken apart.
fn answer_to(plan: &Plan, next: &mut impl FnMut(usize) -> Value) -> RedisResult<Value> {
    match plan {
        Plan::Whole(shard) => Ok(next(*shard)),
        Plan::Split(parts, how) => {
            let answers: Vec<_> = parts.iter().map(|part| next(part.shard)).collect();
            match answers.iter().find(|answer| matches!(answer, Value::ServerError(_))) {
                Some(error) => Ok(error.clone()),
                None => join(*how, parts, answers),
            }
        }
    }
}

/// The answers to all parts, or what became of the whole.
fn all_or_error(
    route: &Route,
    name: &str,
    harmless: bool,
    parts: &[Part],
    answers: Vec<RedisResult<Value>>,
) -> RedisResult<Vec<Value>> {
    let (mut values, mut failed) = (Vec::new(), Vec::new());
    for (part, answer) in parts.iter().zip(answers) {
        match answer {
            Ok(value) => values.push(value),
            Err(error) => failed.push((part.shard, error)),
        }
    }
    partial(route, name, harmless, parts.len(), &failed).map_or(Ok(values), Err)
}

/// What is reported of a command that went to `shards` shards and failed at these.
fn partial(
    route: &Route,
    name: &str,
    harmless: bool,
    shards: usize,
    failed: &[(usize, RedisError)],
) -> Option<RedisError> {
    let source = failed.first()?.1.clone();
    let untouched = |error: &RedisError| matches!(Outcome::of(error), Outcome::NotSent | Outcome::Refused);
    // Nothing was executed anywhere: that is no other case than with a single shard.
    if harmless || (failed.len() == shards && failed.iter().all(|(_, error)| untouched(error))) {
        return Some(source);
    }
    let failed = failed.iter().map(|(shard, _)| route.name(*shard)).collect();
    Some(Error::Partial { command: name.to_owned(), failed, source }.into())
}

impl ShardedMaster {
    /// A handle for commands that may be executed twice; see [`Master::idempotent`].
    #[must_use]
    pub fn idempotent(&self) -> Self {
        Self { shards: self.shards.iter().map(Master::idempotent).collect(), ..self.clone() }
    }
}

connection_like!(Sharded<H> where H: ConnectionLike + Clone + Send + Sync);
