//! The life of the connection to one Sentinel.
//!
//! One RESP3 connection carries the subscription and the questions. A Sentinel before version 6 has no RESP3: it pushes nothing,
//! and is asked instead of pinged.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::FutureExt as _;
use redis::aio::{MultiplexedConnection, SendError};
use redis::{ProtocolVersion, PushInfo};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::push::{self, Push};
use super::question::{Failure, ask};
use super::{News, Report};
use crate::address::Address;
use crate::config::Config;
use crate::dial::{DialError, Dialer, Ending, Link, cause_of, no_pushes};
use crate::retry::Backoff;
use crate::stall::within;
use crate::trouble::Trouble;

/// Pauses between attempts to reach a Sentinel.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// Even when a question presses, a Sentinel that cannot be reached is not dialled more often than this.
const LEAST_PAUSE: Duration = Duration::from_millis(100);
const AFTER_A_PANIC: Duration = Duration::from_secs(1);

/// Follows one Sentinel until `stop`: subscribes, asks, pings, and dials again whenever the connection ends.
pub(crate) async fn watch(
    sentinel: Address,
    config: Arc<Config>,
    dialer: Dialer,
    replicas: Arc<AtomicBool>,
    ask_now: Arc<Notify>,
    stop: CancellationToken,
    reports: mpsc::Sender<Report>,
) {
    let pushed = Arc::new(Notify::new());
    let watch = Watch { sentinel, config, dialer, replicas, ask_now, pushed, stop: stop.clone(), reports };
    // Dropping the future at any of its waits is safe: it owns its connection and nothing else.
    let supervised = async {
        loop {
            // What the caller gave (`address_map`) runs in here, and may panic.
            let Err(panic) = AssertUnwindSafe(watch.run()).catch_unwind().await else { return };
            let trouble = Trouble::from(format!("its task panicked: {}", cause_of(&*panic)));
            tracing::error!(sentinel = %watch.sentinel, %trouble, "sentinel lost");
            watch.report(News::Lost(trouble)).await;
            sleep(AFTER_A_PANIC).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = supervised => {}
    }
}

struct Subscription {
    link: Link,
    /// Whether switches are pushed.
    pushes: bool,
}

struct Watch {
    sentinel: Address,
    config: Arc<Config>,
    dialer: Dialer,
    /// Whether the replicas are asked for.
    replicas: Arc<AtomicBool>,
    ask_now: Arc<Notify>,
    /// Raised by each push of our master; several before the next question are one.
    pushed: Arc<Notify>,
    stop: CancellationToken,
    reports: mpsc::Sender<Report>,
}

impl Watch {
    async fn run(&self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, LONGEST_PAUSE);
        loop {
            let began = Instant::now();
            let trouble = match self.subscribe().await {
                Ok(subscription) => {
                    self.report(News::Subscribed).await;
                    let trouble = Trouble::from(self.serve(subscription).await);
                    if began.elapsed() > LONGEST_PAUSE {
                        backoff.reset();
                    }
                    trouble
                }
                Err(trouble) => trouble,
            };
            tracing::debug!(sentinel = %self.sentinel, %trouble, "sentinel lost");
            self.report(News::Lost(trouble)).await;
            let pressed = async {
                sleep(LEAST_PAUSE).await;
                self.ask_now.notified().await;
            };
            tokio::select! {
                () = sleep(backoff.pause()) => {}
                () = pressed => {}
            }
        }
    }

    /// Asks once, then whenever a push arrives or the follower wants to know; pings in between. Returns when the connection is over.
    async fn serve(&self, Subscription { mut link, pushes }: Subscription) -> String {
        loop {
            if let Err(trouble) = self.question(&mut link.connection).await {
                return trouble;
            }
            loop {
                tokio::select! {
                    () = link.ended() => return "the connection was closed".to_owned(),
                    () = self.pushed.notified() => break,
                    () = self.ask_now.notified() => break,
                    () = sleep(self.config.sentinel_ping) => {
                        if !pushes {
                            break;
                        }
                        if let Err(trouble) = self.ping(&mut link.connection).await {
                            return trouble;
                        }
                    }
                }
            }
        }
    }

    async fn question(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let counters = &self.dialer.counters;
        counters.questions.add_one();
        let replicas = self.replicas.load(Ordering::Acquire);
        let news = match ask(connection, &self.config.master, replicas, self.config.timeouts.question).await {
            Ok(view) => News::Answered(view.translated(&self.config.address_map)),
            Err(failure) => {
                counters.questions_failed.add_one();
                match failure {
                    Failure::Answer(trouble) => News::Useless(trouble),
                    Failure::Link(trouble) => return Err(trouble),
                }
            }
        };
        self.report(news).await;
        Ok(())
    }

    async fn ping(&self, connection: &mut MultiplexedConnection) -> Result<(), String> {
        let deadline = self.config.timeouts.question;
        match within(deadline, connection.send_packed_command(&redis::cmd("PING"))).await {
            // Any answer is a sign of life.
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(format!("no answer to PING within {deadline:?}")),
        }
    }

    async fn subscribe(&self) -> Result<Subscription, Trouble> {
        let deadline = self.config.timeouts.handshake;
        let (mut link, pushes) = match self.dial(ProtocolVersion::RESP3).await {
            Ok(link) => (link, true),
            Err(error) if error.lacks_resp3 => {
                let link = self.dial(ProtocolVersion::RESP2).await;
                (link?, false)
            }
            Err(error) => return Err(error.into()),
        };
        if pushes {
            within(deadline, link.connection.subscribe(push::SWITCH))
                .await
                .map_err(|_| format!("no answer to SUBSCRIBE within {deadline:?}"))?
                .map_err(|error| format!("SUBSCRIBE failed: {error}"))?;
            // An ACL may permit no more than the one: then a failover is heard of at its end.
            if let Ok(Err(error)) = within(deadline, link.connection.subscribe(&push::STEPS)).await {
                tracing::debug!(sentinel = %self.sentinel, %error, "the steps of failovers are not told");
            }
        }
        if let Some(name) = &self.config.client_name {
            let mut command = redis::cmd("CLIENT");
            command.arg("SETNAME").arg(name);
            // A name is a courtesy; a Sentinel that refuses it is still asked.
            let _ = within(deadline, link.connection.send_packed_command(&command)).await;
        }
        Ok(Subscription { link, pushes })
    }

    async fn dial(&self, protocol: ProtocolVersion) -> Result<Link, DialError> {
        let access = self.config.sentinel_access(protocol);
        let ending = Ending { closed: self.stop.clone(), grace: Duration::ZERO };
        if protocol == ProtocolVersion::RESP2 {
            return self.dialer.dial(&self.sentinel, &access, ending, no_pushes()).await;
        }
        let master = self.config.master.clone();
        let pushed = self.pushed.clone();
        let counters = self.dialer.counters.clone();
        let (sentinel, map, reports) = (self.sentinel.clone(), self.config.address_map.clone(), self.reports.clone());
        let receive = move |push: PushInfo| -> Result<(), SendError> {
            let step = match push::read(&push, &master) {
                None => return Ok(()),
                Some(Push::News) => None,
                Some(Push::Switch) => {
                    counters.pushes.add_one();
                    None
                }
                Some(Push::Promotion(replica)) => {
                    // What the caller gave may panic; here it would take the connection with it.
                    let translated = catch_unwind(AssertUnwindSafe(|| map.translate(replica)));
                    translated.ok().map(Push::Promotion)
                }
                step @ Some(Push::Failover | Push::Abort) => step,
            };
            if let Some(step) = step {
                // Where there is no room for it, its end is heard of all the same.
                let _ = reports.try_send(Report { sentinel: sentinel.clone(), news: News::Step(step) });
            }
            pushed.notify_one();
            Ok(())
        };
        self.dialer.dial(&self.sentinel, &access, ending, Some(receive)).await
    }

    async fn report(&self, news: News) {
        let report = Report { sentinel: self.sentinel.clone(), news };
        // The follower is gone only while the pool shuts down.
        let _ = self.reports.send(report).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;
    use crate::counters::Counters;

    /// The clock stands still but for the pauses: what is measured is exact.
    #[tokio::test(start_paused = true)]
    async fn a_question_that_presses_ends_the_pause_of_a_sentinel_that_cannot_be_reached() {
        // No connection can be made to this address: the kernel says so at once, and sends nothing.
        let sentinel = Address::new("255.255.255.255", 26379).unwrap();
        let config = Arc::new(Config::default());
        let stop = CancellationToken::new();
        let dialer = Dialer {
            tasks: TaskTracker::new(),
            span: tracing::Span::none(),
            stop: stop.clone(),
            timeouts: config.timeouts,
            metrics: crate::measure::Recorder::new(),
            counters: Arc::new(Counters::default()),
            users: Arc::default(),
        };
        let ask_now = Arc::new(Notify::new());
        let (reporter, mut reports) = mpsc::channel(1);
        tokio::spawn(watch(sentinel, config, dialer, Arc::default(), ask_now.clone(), stop.clone(), reporter));
        let mut pause = async || {
            let began = Instant::now();
            match reports.recv().await.map(|report| report.news) {
                Some(News::Lost(trouble)) => assert!(trouble.text.contains("cannot connect"), "{trouble}"),
                other => panic!("{other:?}"),
            }
            began.elapsed()
        };

        // Left alone, it is dialled ever more rarely.
        while pause().await < LONGEST_PAUSE / 2 {}
        assert!(pause().await >= LONGEST_PAUSE / 2);
        // When the master is missed, it is dialled soon, and yet no more often than it may be.
        for _ in 0..20 {
            ask_now.notify_one();
            let pause = pause().await;
            assert!(pause >= LEAST_PAUSE && pause < LEAST_PAUSE * 2, "dialled after {pause:?}");
        }
        assert!(pause().await >= LONGEST_PAUSE / 2, "one question, one attempt");
        stop.cancel();
    }
}
