//! The handle that follows the master.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::{Instant, sleep};

use crate::connection_like::connection_like_by_run;
use crate::error::Error;
use crate::generation::MasterLink;
use crate::reply::Verdict;
use crate::request::{Request, exchange_shared, timed};
use crate::retry::Backoff;
use crate::shared::{Owner, Shared};
use crate::wheel::Alarm;

/// Commands for the current master, over one connection that all clones share.
///
/// It implements [`redis::aio::ConnectionLike`]: all of [`redis::AsyncCommands`], pipelines and scripts work. It never has to be
/// made anew; while no master is verified, commands wait, for the time of the [`RetryPolicy`](crate::RetryPolicy).
///
/// A command that the node refused without executing it (READONLY, MASTERDOWN, LOADING, ...) is repeated after the Sentinels
/// were asked. A command whose answer never came is repeated only if it changes nothing; otherwise the error is
/// [`Error::OutcomeUnknown`]. Commands that would block or change the shared connection (BLPOP, WATCH, SUBSCRIBE, ...)
/// fail with [`Error::NotShareable`]: they need [`SentinelPool::get`](crate::SentinelPool::get).
#[derive(Debug)]
pub struct Master {
    owner: Arc<Owner>,
    idempotent: bool,
    within: Option<Duration>,
    /// The number of this handle.
    pub(crate) number: usize,
    alarm: Alarm,
}

impl Drop for Master {
    fn drop(&mut self) {
        self.alarm.remove(&self.owner.0.wheel);
    }
}

impl Clone for Master {
    fn clone(&self) -> Self {
        Self::with(self.owner.clone(), self.idempotent, self.within)
    }
}

impl Master {
    pub(crate) fn new(owner: Arc<Owner>) -> Self {
        Self::with(owner, false, None)
    }

    fn with(owner: Arc<Owner>, idempotent: bool, within: Option<Duration>) -> Self {
        let number = owner.0.number_handle();
        Self { owner, idempotent, within, number, alarm: Alarm::new(number) }
    }

    /// A handle for commands of which the caller says that executing them twice is the same as once (`SET` of a value that only
    /// this caller writes, for example): they are also repeated after a lost connection or a timeout.
    #[must_use]
    pub fn idempotent(&self) -> Self {
        Self::with(self.owner.clone(), true, self.within)
    }

    /// A handle for commands that have this much time, repetitions and the wait for a master included, in place of the times of the
    /// [`RetryPolicy`](crate::RetryPolicy) and of [`Timeouts::command`](crate::Timeouts::command).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use redis::AsyncCommands;
    /// # async fn example(pool: sentinel_sdk::SentinelPool) -> redis::RedisResult<()> {
    /// let page: Option<String> = pool.master().within(Duration::from_millis(80)).get("page").await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn within(&self, time: Duration) -> Self {
        Self::with(self.owner.clone(), self.idempotent, Some(time))
    }

    async fn run<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let Self { owner, idempotent, within, number, alarm } = self;
        let shared = &*owner.0;
        shared.users.count_command(*number);
        timed(&shared.metrics, request, carry_out(shared, *idempotent, *within, *number, alarm, request)).await
    }

    /// The same for a command that is counted and measured already.
    pub(crate) async fn carry_out<R: Request>(&mut self, request: &R) -> RedisResult<R::Answer> {
        let Self { owner, idempotent, within, number, alarm } = self;
        carry_out(&owner.0, *idempotent, *within, *number, alarm, request).await
    }
}

connection_like_by_run!(Master);

async fn carry_out<R: Request>(
    shared: &Shared,
    idempotent: bool,
    within: Option<Duration>,
    number: usize,
    alarm: &mut Alarm,
    request: &R,
) -> RedisResult<R::Answer> {
    let _user = shared.users.enter(number)?;
    request.check_shareable()?;
    let began = Instant::now();
    let end = within.map(|within| began + within);
    // What happens almost always costs nothing of what follows.
    let mut first = None;
    if !shared.is_held.load(Ordering::Acquire)
        && let Some(link) = shared.usable_link()
    {
        let answer = send(shared, &link, request, began, end, alarm).await;
        if request.judge(&answer) == Verdict::Answered {
            link.answered();
            return answer;
        }
        first = Some((link, answer));
    }
    Box::pin(go_on(shared, idempotent, alarm, request, (began, end), first)).await
}

/// `first`: an attempt that was made, and brought no answer that is the caller's.
async fn go_on<R: Request>(
    shared: &Shared,
    idempotent: bool,
    alarm: &mut Alarm,
    request: &R,
    (began, end): (Instant, Option<Instant>),
    mut first: Option<(Arc<MasterLink>, RedisResult<R::Answer>)>,
) -> RedisResult<R::Answer> {
    let reads_only = request.reads_only();
    let repeatable = idempotent || reads_only;
    let retry = shared.config.retry;
    let deadline = end.unwrap_or(began + retry.within);
    let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause);
    // What the caller gets if no further attempt brings more. An attempt whose answer was lost counts for more than all that follow:
    // a later refusal does not tell what became of it.
    let mut last: Option<(u64, RedisResult<R::Answer>)> = None;
    let mut unknown: Option<Error> = None;
    let settle = |last: RedisResult<R::Answer>, unknown: Option<Error>| match unknown {
        None => last,
        Some(error) => {
            shared.counters.outcomes_unknown.add_one();
            Err(error.into())
        }
    };
    loop {
        let (link, answer) = if let Some(first) = first.take() {
            first
        } else {
            let before = last.as_ref().map(|(serial, _)| *serial);
            let link = match next_link(shared, deadline, !reads_only, before, &mut backoff).await {
                Ok(link) => link,
                Err(error) => return settle(last.map_or_else(|| Err(error.into()), |(_, answer)| answer), unknown),
            };
            if last.is_some() {
                shared.counters.retries.add_one();
            }
            let answer = send(shared, &link, request, Instant::now(), end, alarm).await;
            (link, answer)
        };
        match request.judge(&answer) {
            Verdict::Answered => {
                link.answered();
                return answer;
            }
            Verdict::Refused(sign) => {
                shared.counters.refusals.add_one();
                shared.heed(sign, &link);
            }
            Verdict::Suspicious(sign) => {
                shared.heed(sign, &link);
                if !repeatable {
                    return answer;
                }
            }
            Verdict::Lost if reads_only => {}
            Verdict::Lost => {
                if let Err(source) = &answer
                    && unknown.is_none()
                {
                    unknown = Some(Error::OutcomeUnknown {
                        command: request.name(),
                        address: link.generation.address.clone(),
                        source: source.clone(),
                    });
                }
                if !repeatable {
                    return settle(answer, unknown);
                }
            }
        }
        if Instant::now() >= deadline {
            return settle(answer, unknown);
        }
        last = Some((link.serial, answer));
    }
}

async fn send<R: Request>(
    shared: &Shared,
    link: &MasterLink,
    request: &R,
    began: Instant,
    end: Option<Instant>,
    alarm: &mut Alarm,
) -> RedisResult<R::Answer> {
    // What is sent from now on waits until the link has proved itself or another one is there.
    let on_silence = || shared.doubt(link);
    let answer = exchange_shared(shared, &link.link, request, (began, end), alarm, on_silence).await;
    if answer.as_ref().is_err_and(RedisError::is_timeout) && link.timed_out() >= shared.config.timeouts_in_a_row {
        shared.doubt(link);
    }
    answer
}

/// The link for the next attempt; the same one as in the last attempt only after a pause.
async fn next_link(
    shared: &Shared,
    deadline: Instant,
    writes: bool,
    last: Option<u64>,
    backoff: &mut Backoff,
) -> Result<Arc<MasterLink>, Error> {
    if writes {
        shared.released(deadline).await?;
    }
    let link = shared.link(deadline).await?;
    if last != Some(link.serial) {
        return Ok(link);
    }
    let pause = backoff.pause();
    if Instant::now() + pause >= deadline {
        return Err(shared.no_master(shared.config.retry.within));
    }
    sleep(pause).await;
    shared.link(deadline).await
}
