//! Reading from replicas.
//!
//! Nothing here runs before somebody asks for a handle. From then on the Sentinels are asked for the replicas, too; [`keep`] opens a
//! connection to each that they hold for readable, and verifies on it that it is a replica that is linked to its master.

mod keep;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::future::{Either, select};
use redis::RedisResult;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Address;
use crate::balance::{Balance, ReadPreference};
use crate::config::Patience;
use crate::connection_like::connection_like_by_run;
use crate::error::Error;
use crate::master::Master;
use crate::readers::{Line, Picked};
use crate::reply::Verdict;
use crate::request::{Request, exchange, timed};
use crate::retry::Backoff;
use crate::shared::{Owner, Shared};

/// Commands that read, for a replica that is up and linked to the master; see [`Balance`](crate::Balance) and [`ReadPreference`].
///
/// It implements [`redis::aio::ConnectionLike`] as [`Master`] does. What is read may be older than what was written before: replication
/// is asynchronous. Each command may go to another replica. A read that fails at one is repeated at another; the one that failed sits
/// out until it has proved itself on a new connection. A read at a replica that falls silent ([`Timeouts::silence`](crate::Timeouts::silence)) is
/// also put to another one, and the first answer counts. What is not known to be a read is sent, too, to replicas alone, and their refusal
/// (READONLY) is the answer.
///
/// Until the first replica is known, a moment after the first handle was made, the preference decides.
#[derive(Debug, Clone)]
pub struct Replica {
    owner: Arc<Owner>,
    master: Master,
    preference: ReadPreference,
    balance: Balance,
    within: Option<Duration>,
}

impl Replica {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        let shared = &owner.0;
        if !shared.readers.wanted.swap(true, Ordering::AcqRel) {
            shared.dialer.spawn(keep::run(shared.clone()));
            // Has the Sentinels asked now, and not at the next periodic question.
            shared.doubt.notify_one();
        }
        let (preference, balance) = (shared.config.read_preference, shared.config.balance);
        Self { master: Master::new(owner.clone()), preference, balance, within: None, owner }.prefer(preference)
    }

    /// A handle for reads that go elsewhere than those of others.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use redis::AsyncCommands;
    /// # use sentinel_sdk::{Balance, ReadPreference, SentinelPool};
    /// # async fn example(pool: SentinelPool) -> redis::RedisResult<()> {
    /// // As fresh as it can be, and from a replica while there is no master.
    /// let mut replica = pool.replica().prefer(ReadPreference::MasterPreferred).within(Duration::from_millis(500));
    /// let price: Option<u64> = replica.get("price").await?;
    /// // What was seen of a key does not go back in time.
    /// let seen: Option<u64> = pool.replica().balance(Balance::ByKey).get("seen").await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn prefer(mut self, preference: ReadPreference) -> Self {
        let shared = &self.owner.0;
        if preference == ReadPreference::Any && !shared.readers.master_wanted.swap(true, Ordering::AcqRel) {
            shared.dialer.spawn(keep::measure_master(shared.clone()));
        }
        self.preference = preference;
        self
    }

    /// A handle whose reads are shared among the replicas in another way.
    #[must_use]
    pub fn balance(mut self, balance: Balance) -> Self {
        self.balance = balance;
        self
    }

    /// A handle for reads that have this much time in all; see [`Master::within`].
    #[must_use]
    pub fn within(mut self, time: Duration) -> Self {
        self.within = Some(time);
        self.master = self.master.within(time);
        self
    }

    async fn run<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let recorder = self.owner.0.metrics.clone();
        timed(&recorder, request, self.carry_out(request)).await
    }

    async fn carry_out<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let Self { owner, master, preference, balance, within } = self;
        let (preference, balance) = (*preference, *balance);
        let shared = &*owner.0;
        let user = shared.users.enter(master.number)?;
        shared.users.count_command(master.number);
        request.check_shareable()?;
        let repeatable = request.reads_only();
        let retry = shared.config.retry;
        let began = Instant::now();
        let deadline = began + within.unwrap_or(retry.within);
        if preference == ReadPreference::MasterPreferred && repeatable && shared.usable_link().is_some() {
            // Its own way when the master is lost meanwhile: that one waits for the next.
            drop(user);
            return master.carry_out(request).await;
        }
        let limit = within.map_or(shared.config.timeouts.command, |within| within.min(shared.config.timeouts.command));
        let terms = Terms {
            balance,
            with_master: repeatable && preference == ReadPreference::Any,
            to_master: repeatable && preference != ReadPreference::ReplicaOnly,
            repeatable_until: repeatable.then_some(deadline),
            patience: Patience { silence: shared.config.timeouts.silence, limit: Some(limit) },
        };
        let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause);
        let mut tried: Vec<Address> = Vec::new();
        let mut last: Option<RedisResult<R::Answer>> = None;
        loop {
            let picked = pick(shared, terms, request, &tried);
            let goes_to_master = match &picked {
                Some(Picked::Replica(_)) => false,
                Some(Picked::Master) => true,
                None => terms.to_master,
            };
            if goes_to_master {
                drop(user);
                return master.carry_out(request).await;
            }
            let Some(Picked::Replica(line)) = picked else {
                if !wait(shared, deadline, &mut tried, &mut backoff).await? {
                    return last.unwrap_or_else(|| Err(shared.no_replica(began.elapsed()).into()));
                }
                continue;
            };
            if last.is_some() {
                shared.counters.retries.add_one();
            }
            tried.push(line.address().clone());
            let (line, answer) = match ask(shared, master, line, request, terms, &mut tried).await {
                Asked::Replica(line, answer) => (line, answer),
                Asked::Master(answer) => return answer,
            };
            let answer = match request.judge(&answer) {
                Verdict::Answered => return answer,
                // READONLY: that is what a replica is.
                Verdict::Refused(_) | Verdict::Suspicious(_) if !repeatable => return answer,
                Verdict::Refused(_) | Verdict::Suspicious(_) => {
                    shared.counters.refusals.add_one();
                    answer
                }
                Verdict::Lost if !repeatable => {
                    line.fail();
                    shared.counters.outcomes_unknown.add_one();
                    let (command, address) = (request.name(), line.address().clone());
                    return answer.map_err(|source| Error::OutcomeUnknown { command, address, source }.into());
                }
                Verdict::Lost => answer,
            };
            line.fail();
            if Instant::now() >= deadline {
                return answer;
            }
            last = Some(answer);
        }
    }
}

/// What one read may do.
#[derive(Clone, Copy)]
struct Terms {
    balance: Balance,
    /// The master is one more node to read from.
    with_master: bool,
    /// It may be sent to the master. What may write never is, by this handle.
    to_master: bool,
    /// It may be sent more than once, until then.
    repeatable_until: Option<Instant>,
    patience: Patience,
}

fn pick<R: Request>(shared: &Shared, terms: Terms, request: &R, tried: &[Address]) -> Option<Picked> {
    let link = shared.usable_link().filter(|_| terms.with_master);
    // All that is under way, but for the one that asks; what of it is at replicas is known there.
    let under_way = || shared.users.commands_under_way().saturating_sub(1);
    let master = link.as_ref().map(|link| (&link.generation.address, under_way()));
    shared.readers.pick(terms.balance, request.key(), tried, master)
}

/// Sends a request to a replica. If that falls silent before `repeatable_until`, it is also sent to where the next one would go, and what is
/// answered first counts: new reads avoid a replica that hangs at once, and those under way need not wait until it times out.
async fn ask<R: Request>(
    shared: &Shared,
    master: &mut Master,
    line: Arc<Line>,
    request: &R,
    terms: Terms,
    tried: &mut Vec<Address>,
) -> Asked<R::Answer> {
    let silent = Notify::new();
    let mut first = pin!(send(shared, &line, request, terms.patience, || silent.notify_one()));
    tokio::select! {
        biased;
        answer = &mut first => return Asked::Replica(line.clone(), answer),
        () = silent.notified() => {}
    }
    let repeatable = terms.repeatable_until.is_some_and(|until| Instant::now() < until);
    let picked = pick(shared, terms, request, tried);
    let somewhere = picked.is_some() || terms.to_master;
    let spare = picked.and_then(|picked| match picked {
        Picked::Replica(line) => Some(line),
        Picked::Master => None,
    });
    if !repeatable || !somewhere {
        return Asked::Replica(line.clone(), first.await);
    }
    shared.counters.retries.add_one();
    let second = async {
        match &spare {
            Some(spare) => Asked::Replica(spare.clone(), send(shared, spare, request, terms.patience, || ()).await),
            None => Asked::Master(master.carry_out(request).await),
        }
    };
    tried.extend(spare.iter().map(|spare| spare.address().clone()));
    let first = async { Asked::Replica(line.clone(), first.await) };
    match select(pin!(first), pin!(second)).await {
        Either::Left((asked, second)) if !asked.is_answered(request) => second.await,
        Either::Right((asked, first)) if !asked.is_answered(request) => first.await,
        Either::Left((asked, _)) | Either::Right((asked, _)) => asked,
    }
}

/// Who answered, and what; or why there is no answer.
enum Asked<T> {
    Replica(Arc<Line>, RedisResult<T>),
    Master(RedisResult<T>),
}

impl<T> Asked<T> {
    fn is_answered<R: Request<Answer = T>>(&self, request: &R) -> bool {
        let (Self::Replica(_, answer) | Self::Master(answer)) = self;
        matches!(request.judge(answer), Verdict::Answered)
    }
}

async fn send<R: Request>(
    shared: &Shared,
    line: &Arc<Line>,
    request: &R,
    patience: Patience,
    on_silence: impl Fn(),
) -> RedisResult<R::Answer> {
    let _under_way = line.enter();
    let on_silence = || {
        line.fail();
        on_silence();
    };
    exchange(shared, &line.link, request, patience, on_silence).await
}

connection_like_by_run!(Replica);

/// Waits until a replica may be there; those that failed may be tried again then. False: the time is over.
async fn wait(
    shared: &Shared,
    deadline: Instant,
    tried: &mut Vec<Address>,
    backoff: &mut Backoff,
) -> Result<bool, Error> {
    if !tried.is_empty() {
        tried.clear();
        sleep(backoff.pause()).await;
        return Ok(Instant::now() < deadline);
    }
    let _waiter = shared.waiter()?;
    let mut changes = shared.readers.changes();
    if shared.readers.any() {
        return Ok(true);
    }
    tokio::select! {
        change = timeout_at(deadline, changes.changed()) => Ok(change.is_ok()),
        () = shared.dialer.stop.cancelled() => Err(Error::Shutdown),
    }
}
