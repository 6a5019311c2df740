//! A connection for one user.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::Object;
use redis::{RedisError, RedisResult};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::address::Address;
use crate::command::{self, Blocking};
use crate::error::Error;
use crate::generation::{Generation, Opener};
use crate::reply::Verdict;
use crate::request::{Patience, Request, connection_like, exchange};
use crate::shared::Owner;

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
    _user: TaskTrackerToken,
}

impl ExclusiveConnection {
    pub(crate) fn new(
        object: Object<Opener>,
        generation: Arc<Generation>,
        owner: Arc<Owner>,
        user: TaskTrackerToken,
    ) -> Self {
        Self { object, generation, owner, _user: user }
    }

    /// The master it is connected to.
    pub fn address(&self) -> &Address {
        &self.generation.address
    }

    /// The generation it belongs to; see [`Topology::generation`](crate::Topology::generation).
    pub fn generation(&self) -> u64 {
        self.generation.number
    }

    async fn run<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let shared = &*self.owner.0;
        shared.counters.commands.add_one();
        let plan = Plan::of(request, shared.config.patience());
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
            Verdict::Refused => {
                shared.counters.refusals.add_one();
                shared.doubt_generation(&self.generation);
            }
            Verdict::Suspicious => shared.doubt_generation(&self.generation),
            Verdict::Lost => return answer.map_err(|error| self.lost(error, plan)),
        }
        self.object.spoiled = spoiled;
        self.object.in_transaction = match plan.transaction {
            Transaction::Begins => true,
            Transaction::Ends => false,
            Transaction::Neither => self.object.in_transaction,
        };
        answer
    }

    /// The error after the generation ended.
    fn closed(&self, in_flight: bool, plan: &Plan) -> RedisError {
        let shared = &*self.owner.0;
        if in_flight && !plan.idempotent {
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
        if plan.idempotent {
            return source;
        }
        shared.counters.outcomes_unknown.add_one();
        Error::OutcomeUnknown { command: plan.name, address: self.generation.address.clone(), source }.into()
    }
}

connection_like!(ExclusiveConnection);

/// What is expected of one command or pipeline.
struct Plan {
    name: String,
    idempotent: bool,
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
    fn of<R: Request>(request: &R, usual: Patience) -> Self {
        let mut plan = Self {
            name: request.name(),
            idempotent: request.reads_only(),
            session: false,
            patience: usual,
            transaction: Transaction::Neither,
        };
        for command in request.commands() {
            let nature = command::nature(command);
            match command::name(command).as_str() {
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
