//! Posts events to a URL: as JSON, in their order, signed, and again and again until they are taken.
//!
//! It has a thread and a runtime of its own, and nothing waits for it. While nobody takes events, so many wait and the
//! oldest are dropped; those that wait when the process ends are lost. Who needs all of them reads `/v1/events`, which can
//! be resumed.

mod post;

use std::{
    collections::VecDeque,
    io,
    path::Path,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use sentinel_core::{
    Severity,
    events::{Event, Level},
    types::SentinelId,
};
use tokio::{sync::mpsc, time};

use self::post::{Outcome, Target};
use crate::{
    config,
    http::{Numbered, event_as_json},
    meters::{Counter, Meters},
    monitor::Happened,
    tls::TlsError,
};

/// So many events wait at most.
const WAITING: usize = 1_000;
/// So often one is tried.
const ATTEMPTS: u32 = 10;
/// From the connection to the answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Between the first two attempts; each pause is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Between two lines of the log that say that events cannot be posted.
const TOLD_EVERY: Duration = Duration::from_secs(60);

/// What is needed to post events.
pub(crate) struct Setup {
    target: Target,
    level: Level,
}

impl Setup {
    /// What the configuration says. None: nothing is posted.
    pub(crate) fn of(settings: &config::Webhook) -> Result<Option<Self>, TlsError> {
        let target = Target::of(settings)?;
        Ok(target.map(|target| Setup { target, level: settings.level }))
    }

    /// Starts the thread that posts what happens, until the process ends.
    pub(crate) fn start(
        self,
        happened: mpsc::UnboundedReceiver<Happened>,
        meters: Arc<Meters>,
        id: SentinelId,
        run_id: &str,
    ) -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let Setup { target, level } = self;
        tracing::info!("Events from {} on are posted to {}", level.as_str(), target.url());
        let queue = Queue { level, id, numbered: Numbered::new(run_id), waiting: VecDeque::new(), full: false, meters };
        std::thread::Builder::new().name("webhook".to_owned()).spawn(move || {
            runtime.block_on(run(target, queue, happened));
            runtime.shutdown_background();
        })?;
        Ok(())
    }
}

/// Whether that could be started, without starting anything. Relative paths lie below `folder`.
pub(crate) fn check(settings: &config::Webhook, folder: &Path) -> Result<(), TlsError> {
    let ca_cert_file = settings.ca_cert_file.as_ref().map(|path| folder.join(path));
    Target::of(&config::Webhook { ca_cert_file, ..settings.clone() }).map(|_| ())
}

/// One event as it is posted.
struct Post {
    /// The name of the event, the same with every attempt.
    id: String,
    body: String,
}

/// The events that wait.
struct Queue {
    level: Level,
    id: SentinelId,
    numbered: Numbered,
    waiting: VecDeque<Post>,
    /// Whether it was said that events are dropped.
    full: bool,
    meters: Arc<Meters>,
}

impl Queue {
    fn take(&mut self, happened: &Happened) {
        let id = self.numbered.next();
        if weight(&happened.event) < self.level {
            return;
        }
        if self.waiting.len() >= WAITING {
            self.waiting.pop_front();
            self.meters.webhooks.dropped.count();
            if !self.full {
                tracing::warn!("More than {WAITING} events wait for the webhook: the oldest are dropped");
            }
            self.full = true;
        }
        let body = event_as_json(&id, happened, &self.id);
        self.waiting.push_back(Post { id, body });
    }
}

/// The level of an event. The end of a problem has that of its beginning: who was paged hears that it is over.
fn weight(event: &Event) -> Level {
    match event {
        Event::Problem { problem, .. } if problem.severity > Severity::Info => Level::Warning,
        event => event.level(),
    }
}

async fn run(target: Target, mut queue: Queue, mut happened: mpsc::UnboundedReceiver<Happened>) {
    let mut trouble = Trouble::default();
    loop {
        let Some(post) = queue.waiting.pop_front() else {
            queue.full = false;
            match happened.recv().await {
                Some(it) => queue.take(&it),
                // The monitor is gone, and with it the process.
                None => return,
            }
            continue;
        };
        let mut delivery = pin!(deliver(&target, &post, &mut trouble));
        let taken = loop {
            tokio::select! {
                biased;
                taken = &mut delivery => break taken,
                it = happened.recv() => match it {
                    Some(it) => queue.take(&it),
                    None => return,
                },
            }
        };
        let counts = &queue.meters.webhooks;
        Counter::count(if taken { &counts.ok } else { &counts.failed });
    }
}

/// What was said about a webhook that takes nothing: once, and once when it takes events again; of one that fails now and
/// then not more often than [`TOLD_EVERY`].
#[derive(Default)]
struct Trouble {
    told: bool,
    told_at: Option<Instant>,
    given_up: u64,
}

/// Whether the event was taken in the end.
async fn deliver(target: &Target, post: &Post, trouble: &mut Trouble) -> bool {
    for attempt in 0..ATTEMPTS {
        let outcome = time::timeout(ANSWERED_WITHIN, target.post(&post.id, &post.body)).await;
        let outcome = outcome.unwrap_or_else(|_| Outcome::Later(format!("no answer within {ANSWERED_WITHIN:?}")));
        match outcome {
            Outcome::Taken => {
                if std::mem::take(&mut trouble.told) {
                    let given_up = std::mem::take(&mut trouble.given_up);
                    tracing::info!("The webhook takes events again; {given_up} were given up meanwhile");
                }
                return true;
            }
            Outcome::Later(why) => trouble.tell(target, &why),
            Outcome::Never(why) => {
                trouble.tell(target, &why);
                break;
            }
        }
        if attempt + 1 < ATTEMPTS {
            time::sleep(pause(attempt)).await;
        }
    }
    trouble.given_up += 1;
    false
}

impl Trouble {
    fn tell(&mut self, target: &Target, why: &str) {
        let rests = self.told_at.is_some_and(|at| at.elapsed() < TOLD_EVERY);
        if !self.told && !rests {
            (self.told, self.told_at) = (true, Some(Instant::now()));
            tracing::warn!("Cannot post events to {}: {why}", target.url());
        }
    }
}

/// How long to wait behind an attempt.
fn pause(attempt: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempt).unwrap_or(u32::MAX)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use sentinel_core::time::Now;

    use super::*;

    fn queue(level: Level) -> Queue {
        Queue {
            level,
            id: SentinelId::new(&"ab".repeat(20)).unwrap(),
            numbered: Numbered::new("0123456789"),
            waiting: VecDeque::new(),
            full: false,
            meters: Arc::default(),
        }
    }

    #[test]
    fn pauses_grow_up_to_a_minute() {
        let pauses: Vec<_> = (0..ATTEMPTS).map(|attempt| pause(attempt).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]);
        assert_eq!(pause(40), LONGEST_PAUSE);
    }

    #[test]
    fn what_waits_is_bounded_and_the_newest_stay() {
        let mut queue = queue(Level::Warning);
        for _ in 0..WAITING + 7 {
            queue.take(&Happened { at: Now::default(), event: Event::TiltEntered });
        }
        assert_eq!((queue.waiting.len(), queue.meters.webhooks.dropped.get()), (WAITING, 7));
        assert_eq!(queue.waiting.front().map(|post| post.id.as_str()), Some("01234567-8"));
        let body: serde_json::Value = serde_json::from_str(&queue.waiting[0].body).unwrap();
        assert_eq!((&body["event"], &body["id"]), (&"+tilt".into(), &"01234567-8".into()));
        assert_eq!(body["sentinel"], "ab".repeat(20));
    }

    #[test]
    fn events_of_a_lower_level_are_numbered_and_not_posted() {
        let mut queue = queue(Level::Warning);
        let lower = Event::AccessGranted(sample());
        assert!(lower.level() < Level::Warning);
        queue.take(&Happened { at: Now::default(), event: lower });
        queue.take(&Happened { at: Now::default(), event: Event::TiltExited });
        assert_eq!(queue.waiting.iter().map(|post| post.id.as_str()).collect::<Vec<_>>(), ["01234567-2"]);
    }

    fn sample() -> sentinel_core::events::Subject {
        let name = sentinel_core::types::MasterName::new("m").unwrap();
        sentinel_core::events::Subject::Master { name, addr: "10.0.0.1:6379".parse().unwrap() }
    }
}
