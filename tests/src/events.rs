//! What a Sentinel publishes, with the time at which it arrived.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use redis::RedisResult;

use crate::node::connect_with;
use crate::wait::Limit;

/// How soon the thread notices that it is no longer wanted.
const LOOK_UP: Duration = Duration::from_millis(100);
const SUBSCRIBES_WITHIN: Duration = Duration::from_secs(5);

/// One published event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When it was read from the socket.
    pub at: Instant,
    /// Its name, such as `+sdown`.
    pub channel: String,
    /// Its text.
    pub payload: String,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.channel, self.payload)
    }
}

/// Records every event of one Sentinel, until it is dropped or the Sentinel goes away.
#[derive(Debug)]
pub struct EventRecorder {
    shared: Arc<Shared>,
    started: Instant,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    events: Mutex<Vec<Event>>,
    arrived: Condvar,
    stop: AtomicBool,
}

impl Shared {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventRecorder {
    /// Subscribes to everything on that port of 127.0.0.1; nothing published after the return is missed.
    ///
    /// # Panics
    /// When the subscription fails.
    pub fn start(port: u16) -> Self {
        let shared = Arc::new(Shared::default());
        let (subscribed, confirmation) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name(format!("events of {port}"))
            .spawn({
                let shared = Arc::clone(&shared);
                move || {
                    if let Err(error) = record(port, &shared, &subscribed) {
                        // A subscription that never began is reported to the test; one that ends is the Sentinel's end.
                        let _ = subscribed.send(Err(error));
                    }
                }
            })
            .expect("a thread can be started");
        match confirmation.recv_timeout(SUBSCRIBES_WITHIN) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => panic!("cannot subscribe to port {port}: {error}"),
            Err(error) => panic!("port {port} has not confirmed a subscription: {error}"),
        }
        Self { shared, started: Instant::now(), thread: Some(thread) }
    }

    /// All events so far.
    pub fn all(&self) -> Vec<Event> {
        self.shared.events().clone()
    }

    /// The first event so far on `channel` whose payload fits.
    pub fn find(&self, channel: &str, fits: impl Fn(&str) -> bool) -> Option<Event> {
        self.shared.events().iter().find(|event| event.channel == channel && fits(&event.payload)).cloned()
    }

    /// The number of events so far on `channel`.
    pub fn count(&self, channel: &str) -> usize {
        self.shared.events().iter().filter(|event| event.channel == channel).count()
    }

    /// Waits for an event on `channel` whose payload fits; one that has already come counts.
    ///
    /// # Panics
    /// When none came `within` that time; the message lists what came instead.
    #[track_caller]
    pub fn wait_for(&self, channel: &str, fits: impl Fn(&str) -> bool, within: Duration) -> Event {
        let limit = Limit::from_now(within);
        let mut events = self.shared.events();
        loop {
            let found = events.iter().find(|event| event.channel == channel && fits(&event.payload));
            if let Some(event) = found {
                return event.clone();
            }
            let left = limit.left();
            if left.is_zero() {
                drop(events);
                panic!("no {channel} as expected within {within:?}; events were:\n{}", self.list());
            }
            events = self.shared.arrived.wait_timeout(events, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for any event on `channel`.
    #[track_caller]
    pub fn wait_for_any(&self, channel: &str, within: Duration) -> Event {
        self.wait_for(channel, |_| true, within)
    }

    /// Checks that the first events of these names came in this order, others between them allowed.
    ///
    /// # Panics
    /// When one is missing or out of order.
    #[track_caller]
    pub fn assert_order(&self, channels: &[&str]) {
        let events = self.all();
        let mut last = 0;
        for channel in channels {
            let position = events.iter().position(|event| event.channel == *channel);
            match position {
                Some(position) if position >= last => last = position,
                Some(_) => panic!("{channel} came too early in:\n{}", self.list()),
                None => panic!("{channel} is missing in:\n{}", self.list()),
            }
        }
    }

    /// All events, a line each, with seconds since the recording began.
    pub fn list(&self) -> String {
        self.all().iter().fold(String::new(), |list, event| {
            let since = event.at.saturating_duration_since(self.started);
            format!("{list}  {:8.3} {event}\n", since.as_secs_f64())
        })
    }
}

impl Drop for EventRecorder {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It cannot have panicked in a way that matters more than the test's own end.
            let _ = thread.join();
        }
    }
}

fn record(port: u16, shared: &Shared, subscribed: &mpsc::Sender<RedisResult<()>>) -> RedisResult<()> {
    let mut connection = connect_with(port, SUBSCRIBES_WITHIN)?;
    let mut pubsub = connection.as_pubsub();
    pubsub.psubscribe("*")?;
    pubsub.set_read_timeout(Some(LOOK_UP))?;
    // The test may have given up meanwhile; then `stop` is set soon.
    let _ = subscribed.send(Ok(()));
    while !shared.stop.load(Ordering::Relaxed) {
        match pubsub.get_message() {
            Ok(message) => {
                let event = Event {
                    at: Instant::now(),
                    channel: message.get_channel_name().to_owned(),
                    payload: message.get_payload()?,
                };
                shared.events().push(event);
                shared.arrived.notify_all();
            }
            Err(error) if error.is_timeout() => {}
            Err(error) => {
                // The connection has ended: nothing is left to unsubscribe from.
                return Err(error);
            }
        }
    }
    Ok(())
}
