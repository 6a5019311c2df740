//! A connection for one user.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use redis::{Pipeline, RedisError, RedisResult, ToRedisArgs};
use tokio::time::{Instant, timeout};

use crate::address::Address;
use crate::command::{self, Blocking};
use crate::config::Patience;
use crate::connection_like::connection_like_by_run;
use crate::error::Error;
use crate::generation::{Generation, Opener};
use crate::measure::{Step, Timer};
use crate::reply::{Sign, Verdict};
use crate::request::{Request, exchange, timed};
use crate::shared::Owner;
use crate::users::LongUser;

/// An exclusive connection to the master: for WATCH and MULTI, blocking commands and big replies.
///
/// It belongs to the master it was opened to. After a switch every command on it fails with [`Switched`](crate::Switched);
/// it never moves to the new master. It repeats nothing: a refusal (READONLY, ...) is the caller's to see, although the pool takes it as a sign.
///
/// Dropped, it goes back to the pool, unless its user left it in another state than it was opened in (a transaction open,
/// subscribed, another database) or a command unanswered: then it is closed.
pub struct ExclusiveConnection {
    object: Object<Opener>,
    generation: Arc<Generation>,
    owner: Arc<Owner>,
    /// Until it is given back.
    _in_use: Timer,
    _user: LongUser,
}

impl ExclusiveConnection {
    pub(crate) fn new(object: Object<Opener>, generation: Arc<Generation>, owner: Arc<Owner>, user: LongUser) -> Self {
        let in_use = owner.0.metrics.timer(Step::Use);
        Self { object, generation, owner, _in_use: in_use, _user: user }
    }

    /// The master it is connected to.
    pub fn address(&self) -> &Address {
        &self.generation.address
    }

    /// The generation it belongs to; see [`Topology::generation`](crate::Topology::generation).
    pub fn generation(&self) -> u64 {
        self.generation.number
    }

    /// Watches the keys, has `run` read what it needs and send the pipeline it is given, and begins anew for as long as `run` brings `None`: EXEC
    /// does so when a watched key was changed meanwhile. The like of [`redis::aio::transaction_async`] for a connection of one's own.
    ///
    /// ```no_run
    /// # use redis::AsyncCommands;
    /// # async fn example(pool: sentinel_sdk::SentinelPool) -> Result<(), sentinel_sdk::Error> {
    /// let mut connection = pool.get().await?;
    /// let (value,): (u64,) = connection
    ///     .transaction(&["counter"], async |connection, mut pipeline| {
    ///         let value: u64 = connection.get::<_, Option<u64>>("counter").await?.unwrap_or(0);
    ///         pipeline.set("counter", value * 2 + 1).ignore().get("counter").query_async(connection).await
    ///     })
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the commands, and [`Error::Contended`] when others were faster for the time of the [`RetryPolicy`](crate::RetryPolicy).
    pub async fn transaction<K: ToRedisArgs, T>(
        &mut self,
        keys: &[K],
        mut run: impl AsyncFnMut(&mut Self, Pipeline) -> RedisResult<Option<T>>,
    ) -> RedisResult<T> {
        let deadline = Instant::now() + self.owner.0.config.retry.within;
        let mut attempts = 0;
        loop {
            redis::cmd("WATCH").arg(keys).exec_async(self).await?;
            let mut pipeline = redis::pipe();
            pipeline.atomic();
            let answer = run(self, pipeline).await;
            if self.object.in_transaction && !self.object.spoiled {
                // Left before EXEC.
                redis::cmd("UNWATCH").exec_async(self).await?;
            }
            if let Some(answer) = answer? {
                return Ok(answer);
            }
            attempts += 1;
            if Instant::now() >= deadline {
                return Err(Error::Contended { attempts }.into());
            }
        }
    }

    async fn run<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let recorder = self.owner.0.metrics.clone();
        timed(&recorder, request, self.carry_out(request)).await
    }

    async fn carry_out<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let shared = &*self.owner.0;
        shared.counters.commands.add_one();
        let plan = Plan::of(request, shared.config.patience(), self.object.queues);
        if !plan.harmless {
            shared.released(Instant::now() + shared.config.retry.within).await?;
        }
        if self.generation.closed.is_cancelled() {
            return Err(self.closed(false, &plan));
        }
        if self.object.link.has_ended() {
            return Err(Error::Node {
                address: self.generation.address.clone(),
                reason: "the connection broke earlier; take a new one".to_owned(),
            }
            .into());
        }
        // Stays set when this future is dropped half-way: the answer of one user must not reach the next.
        let spoiled = std::mem::replace(&mut self.object.spoiled, true) || plan.session;
        let on_silence = || shared.suspect(&self.generation);
        let answer = tokio::select! {
            biased;
            answer = exchange(shared, &self.object.link, request, plan.patience, on_silence) => answer,
            () = self.generation.closed.cancelled() => return Err(self.closed(true, &plan)),
        };
        match request.judge(&answer) {
            Verdict::Answered => {}
            Verdict::Refused(sign) => {
                shared.counters.refusals.add_one();
                shared.heed_generation(sign, &self.generation);
                // Thrown out because of the switch, which says more than the server does.
                if sign == Sign::NoMaster && plan.blocks {
                    return Err(self.thrown_out().await);
                }
            }
            Verdict::Suspicious(sign) => shared.heed_generation(sign, &self.generation),
            Verdict::Lost => return answer.map_err(|error| self.lost(error, plan)),
        }
        self.object.spoiled = spoiled;
        self.object.in_transaction = match plan.transaction {
            Transaction::Begins => true,
            Transaction::Ends => false,
            Transaction::Neither => self.object.in_transaction,
        };
        self.object.queues = match plan.queueing {
            Some(queueing) => queueing,
            None => self.object.queues,
        };
        answer
    }

    /// The error of a command that the server gave up blocking, since it is a master no longer. The switch is noticed in a moment.
    async fn thrown_out(&mut self) -> RedisError {
        self.object.spoiled = true;
        let noticed = self.owner.0.config.timeouts.question;
        let _ = timeout(noticed, self.generation.closed.cancelled()).await;
        self.generation.switched(false).into()
    }

    /// The error after the generation ended.
    fn closed(&self, in_flight: bool, plan: &Plan) -> RedisError {
        let shared = &*self.owner.0;
        let in_flight = in_flight && !plan.harmless;
        if in_flight {
            shared.counters.outcomes_unknown.add_one();
        }
        if !shared.dialer.stop.is_cancelled() {
            return self.generation.switched(in_flight).into();
        }
        if !in_flight {
            return Error::Shutdown.into();
        }
        Error::OutcomeUnknown {
            command: plan.name.clone(),
            address: self.generation.address.clone(),
            source: io::Error::from(io::ErrorKind::ConnectionAborted).into(),
        }
        .into()
    }

    fn lost(&self, source: RedisError, plan: Plan) -> RedisError {
        let shared = &*self.owner.0;
        shared.suspect(&self.generation);
        if self.generation.closed.is_cancelled() {
            return self.closed(true, &plan);
        }
        if plan.harmless {
            return source;
        }
        shared.counters.outcomes_unknown.add_one();
        Error::OutcomeUnknown { command: plan.name, address: self.generation.address.clone(), source }.into()
    }
}

connection_like_by_run!(ExclusiveConnection);

/// What is expected of one command or pipeline.
struct Plan {
    name: String,
    /// It has no effect that could be lost: it reads, or concerns the connection alone, or is queued and never executed without EXEC.
    harmless: bool,
    blocks: bool,
    /// Whether commands are queued afterwards, if it changes that.
    queueing: Option<bool>,
    /// The connection is not what it was afterwards.
    session: bool,
    patience: Patience,
    transaction: Transaction,
}

enum Transaction {
    Begins,
    Ends,
    Neither,
}

impl Plan {
    /// `usual`: the patience with a command that does not block.
    /// `queues`: the connection is between MULTI and EXEC.
    fn of<R: Request>(request: &R, usual: Patience, queues: bool) -> Self {
        let mut plan = Self {
            name: request.name(),
            harmless: true,
            blocks: false,
            queueing: None,
            session: false,
            patience: usual,
            transaction: Transaction::Neither,
        };
        for command in request.commands() {
            let nature = command::nature(command);
            let name = command::name(command);
            match name.as_str() {
                "MULTI" => plan.queueing = Some(true),
                "EXEC" | "DISCARD" => plan.queueing = Some(false),
                _ => {}
            }
            let waits_for_exec = plan.queueing.unwrap_or(queues) && !request.is_transaction();
            plan.harmless &= nature.idempotent || waits_for_exec || (nature.session && name != "EXEC");
            plan.blocks |= nature.blocking != Blocking::No;
            match name.as_str() {
                "WATCH" | "MULTI" => plan.transaction = Transaction::Begins,
                "EXEC" | "DISCARD" | "UNWATCH" => plan.transaction = Transaction::Ends,
                _ => plan.session |= nature.session,
            }
            let blocks = match nature.blocking {
                Blocking::No => Duration::ZERO,
                Blocking::For(duration) => duration,
                Blocking::Forever => Duration::MAX,
            };
            // A command that blocks is silent for as long as it may.
            plan.patience.silence = plan.patience.silence.saturating_add(blocks);
            plan.patience.limit = plan.patience.limit.and_then(|limit| limit.checked_add(blocks));
        }
        if request.is_transaction() {
            // EXEC at its end also forgets the watched keys.
            plan.transaction = Transaction::Ends;
        }
        plan
    }
}

impl fmt::Debug for ExclusiveConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExclusiveConnection")
            .field("address", self.address())
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}
