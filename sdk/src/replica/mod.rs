//! Reading from replicas.
//!
//! Nothing here runs before somebody asks for a handle. From then on the Sentinels are asked for the replicas, too; [`keep`] opens a
//! connection to each that they hold for readable, and verifies on it that it is a replica that is linked to its master.

mod keep;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::future::{Either, select};
use redis::RedisResult;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use crate::address::Address;
use crate::balance::ReadPreference;
use crate::error::Error;
use crate::master::Master;
use crate::readers::Line;
use crate::reply::Verdict;
use crate::request::{Request, connection_like, exchange};
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
}

impl Replica {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        let shared = &owner.0;
        if !shared.readers.wanted.swap(true, Ordering::AcqRel) {
            shared.dialer.spawn(keep::run(shared.clone()));
            // Has the Sentinels asked now, and not at the next periodic question.
            shared.doubt.notify_one();
        }
        Self { master: Master::new(owner.clone()), owner }
    }

    async fn run<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let Self { owner, master } = self;
        let shared = &*owner.0;
        let user = shared.users.enter(master.number)?;
        shared.users.count_command(master.number);
        request.check_shareable()?;
        let repeatable = request.reads_only();
        let retry = shared.config.retry;
        let began = Instant::now();
        let deadline = began + retry.within;
        let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause);
        let mut tried: Vec<Address> = Vec::new();
        let mut last: Option<RedisResult<R::Answer>> = None;
        loop {
            let Some(line) = pick(shared, request, &tried) else {
                // What may write is never sent to the master by this handle.
                if repeatable && shared.config.read_preference == ReadPreference::ReplicaPreferred {
                    drop(user);
                    return master.carry_out(request).await;
                }
                if !wait(shared, deadline, &mut tried, &mut backoff).await? {
                    return last.unwrap_or_else(|| Err(shared.no_replica(began.elapsed()).into()));
                }
                continue;
            };
            if last.is_some() {
                shared.counters.retries.add_one();
            }
            tried.push(line.address().clone());
            let (line, answer) =
                match ask(shared, master, line, request, repeatable.then_some(deadline), &mut tried).await {
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

fn pick<R: Request>(shared: &Shared, request: &R, tried: &[Address]) -> Option<Arc<Line>> {
    shared.readers.pick(shared.config.balance, request.key(), tried)
}

/// Sends a request to a replica. If that falls silent before `repeatable_until`, it is also sent to where the next one would go, and what is
/// answered first counts: new reads avoid a replica that hangs at once, and those under way need not wait until it times out.
async fn ask<R: Request>(
    shared: &Shared,
    master: &mut Master,
    line: Arc<Line>,
    request: &R,
    repeatable_until: Option<Instant>,
    tried: &mut Vec<Address>,
) -> Asked<R::Answer> {
    let silent = Notify::new();
    let mut first = pin!(send(shared, &line, request, || silent.notify_one()));
    tokio::select! {
        biased;
        answer = &mut first => return Asked::Replica(line.clone(), answer),
        () = silent.notified() => {}
    }
    let repeatable = repeatable_until.is_some_and(|until| Instant::now() < until);
    let spare = pick(shared, request, tried);
    let somewhere = spare.is_some() || shared.config.read_preference == ReadPreference::ReplicaPreferred;
    if !repeatable || !somewhere {
        return Asked::Replica(line.clone(), first.await);
    }
    shared.counters.retries.add_one();
    let second = async {
        match &spare {
            Some(spare) => Asked::Replica(spare.clone(), send(shared, spare, request, || ()).await),
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
    on_silence: impl Fn(),
) -> RedisResult<R::Answer> {
    let _under_way = line.enter();
    let on_silence = || {
        line.fail();
        on_silence();
    };
    exchange(shared, &line.link, request, shared.config.patience(), on_silence).await
}

connection_like!(Replica);

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
