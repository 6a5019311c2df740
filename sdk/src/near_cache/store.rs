//! What is kept, and what is on its way. No I/O.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::sync::Cache;
use redis::{RedisError, Value};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::counters::Counter;
use crate::retry::shortened;

/// What an entry takes beside its bytes: measured, roughly.
const OVERHEAD: usize = 200;

/// Bounds of a cache.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) bytes: u64,
    pub(super) entries: u64,
    pub(super) ttl: Duration,
    pub(super) stale: Duration,
}

/// The answer to a read, or why there is none.
pub(super) type Loaded = Result<Arc<Value>, RedisError>;

/// The answers to all commands that read one key.
type Answers = Arc<Vec<Stored>>;

#[derive(Debug, Clone)]
struct Stored {
    command: Arc<[u8]>,
    value: Arc<Value>,
    /// Of which connection; see [`Store::epoch`].
    epoch: u64,
    /// Older than that it is asked for anew.
    fresh_until: Instant,
}

/// A read that is under way.
#[derive(Debug, Clone)]
struct Flight {
    command: Arc<[u8]>,
    done: watch::Receiver<Option<Loaded>>,
    number: u64,
}

/// What a cache has for a read.
pub(super) enum Found {
    /// An answer.
    Fresh(Arc<Value>),
    /// An answer that is to be asked for anew, by this caller if it is given the load.
    Stale(Arc<Value>, Option<Load>),
    /// Somebody else has asked.
    OnItsWay(watch::Receiver<Option<Loaded>>),
    /// Nothing.
    Missing(Load),
    /// No connection is there that would tell of changes: nothing is kept.
    Off,
}

/// The task to bring an answer.
#[derive(Debug)]
pub(super) struct Load {
    key: Arc<[u8]>,
    command: Arc<[u8]>,
    epoch: u64,
    number: u64,
    done: watch::Sender<Option<Loaded>>,
}

impl Load {
    /// Where its outcome is told.
    pub(super) fn done(&self) -> watch::Receiver<Option<Loaded>> {
        self.done.subscribe()
    }
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: Counter,
    pub(super) misses: Counter,
    pub(super) stale_hits: Counter,
    pub(super) shared_loads: Counter,
    pub(super) invalidations: Counter,
    pub(super) flushes: Counter,
}

#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    kept: Cache<Arc<[u8]>, Answers, Hasher>,
    /// Whatever changes entries or flights holds it: no answer is kept of which an invalidation has arrived.
    flights: Mutex<Flights>,
    /// Odd: a connection tells of changes, and what was kept by another one counts no more. Even: none does.
    epoch: AtomicU64,
    pub(super) counts: Counts,
}

type Hasher = std::hash::RandomState;

#[derive(Debug, Default)]
struct Flights {
    by_key: HashMap<Arc<[u8]>, Vec<Flight>>,
    last: u64,
}

impl Store {
    pub(super) fn new(limits: Limits) -> Self {
        // So that the bound of the entries is one of their weight, too.
        let least = (limits.bytes / limits.entries.max(1)).max(1);
        let weigh = move |key: &Arc<[u8]>, answers: &Answers| {
            let sizes = answers.iter().map(|stored| stored.command.len() + size(&stored.value) + OVERHEAD);
            let bytes = u64::try_from(key.len() + sizes.sum::<usize>()).unwrap_or(u64::MAX);
            u32::try_from(bytes.max(least)).unwrap_or(u32::MAX)
        };
        let kept = Cache::builder()
            .weigher(weigh)
            .max_capacity(limits.bytes)
            .time_to_live(limits.ttl.saturating_add(limits.stale))
            .build_with_hasher(Hasher::new());
        Self { limits, kept, flights: Mutex::default(), epoch: AtomicU64::new(0), counts: Counts::default() }
    }

    /// The number of the connection that tells of changes, if one does.
    pub(super) fn epoch(&self) -> Option<u64> {
        Some(self.epoch.load(Ordering::Acquire)).filter(|epoch| epoch % 2 == 1)
    }

    pub(super) fn find(&self, key: &[u8], command: &[u8]) -> Found {
        let Some(epoch) = self.epoch() else { return Found::Off };
        let mut stale = None;
        if let Some(stored) = self.kept(key, command, epoch) {
            if Instant::now() < stored.fresh_until {
                self.counts.hits.add_one();
                return Found::Fresh(stored.value);
            }
            stale = (!self.limits.stale.is_zero()).then_some(stored.value);
        }
        let load = self.begin(key, command, epoch);
        match (stale, load) {
            (Some(value), load) => {
                self.counts.stale_hits.add_one();
                Found::Stale(value, load.ok())
            }
            (None, Ok(load)) => {
                self.counts.misses.add_one();
                Found::Missing(load)
            }
            (None, Err(flight)) => {
                self.counts.shared_loads.add_one();
                Found::OnItsWay(flight)
            }
        }
    }

    fn kept(&self, key: &[u8], command: &[u8], epoch: u64) -> Option<Stored> {
        let answers = self.kept.get(key)?;
        answers.iter().find(|stored| stored.epoch == epoch && *stored.command == *command).cloned()
    }

    /// `Err`: one is under way.
    fn begin(&self, key: &[u8], command: &[u8], epoch: u64) -> Result<Load, watch::Receiver<Option<Loaded>>> {
        let mut flights = self.flights();
        flights.last += 1;
        let number = flights.last;
        let (key, command): (Arc<[u8]>, Arc<[u8]>) = (key.into(), command.into());
        let of_key = flights.by_key.entry(key.clone()).or_default();
        // One whose task is gone brings nothing any more.
        of_key.retain(|flight| flight.done.has_changed().is_ok());
        if let Some(flight) = of_key.iter().find(|flight| flight.command == command) {
            return Err(flight.done.clone());
        }
        let done = watch::Sender::new(None);
        of_key.push(Flight { command: command.clone(), done: done.subscribe(), number });
        Ok(Load { key, command, epoch, number, done })
    }

    /// The answer has arrived. It is kept unless the key was changed meanwhile.
    #[expect(clippy::needless_pass_by_value, reason = "a load is done once")]
    pub(super) fn finish(&self, load: Load, loaded: Loaded) {
        let mut flights = self.flights();
        let mut is_valid = false;
        if let Some(of_key) = flights.by_key.get_mut(&load.key) {
            is_valid = of_key.iter().any(|flight| flight.number == load.number);
            of_key.retain(|flight| flight.number != load.number);
            if of_key.is_empty() {
                flights.by_key.remove(&load.key);
            }
        }
        if let Ok(value) = &loaded
            && is_valid
            && self.epoch() == Some(load.epoch)
        {
            let fresh_until = Instant::now() + shortened(self.limits.ttl, 0.1);
            let stored = Stored { command: load.command.clone(), value: value.clone(), epoch: load.epoch, fresh_until };
            let before = self.kept.get(&load.key).unwrap_or_default();
            let others = before.iter().filter(|other| other.epoch == load.epoch && other.command != load.command);
            let answers = others.cloned().chain([stored]).collect();
            self.kept.insert(load.key.clone(), Arc::new(answers));
        }
        drop(flights);
        load.done.send_replace(Some(loaded));
    }

    /// A key was changed: what is kept of it, and what is on its way, counts no more.
    pub(super) fn invalidate(&self, key: &[u8]) {
        let mut flights = self.flights();
        self.counts.invalidations.add_one();
        flights.by_key.remove(key);
        self.kept.invalidate(key);
    }

    /// So may all keys be.
    pub(super) fn invalidate_all(&self) {
        let epoch = self.epoch.load(Ordering::Acquire);
        self.change(if epoch % 2 == 1 { epoch + 2 } else { epoch });
    }

    /// From now on a new connection tells of changes.
    pub(super) fn switch_on(&self) {
        let epoch = self.epoch.load(Ordering::Acquire);
        self.change(epoch + 1 + epoch % 2);
    }

    /// None does.
    pub(super) fn switch_off(&self) {
        let epoch = self.epoch.load(Ordering::Acquire);
        self.change(epoch + epoch % 2);
    }

    fn change(&self, epoch: u64) {
        let mut flights = self.flights();
        self.counts.flushes.add_one();
        self.epoch.store(epoch, Ordering::Release);
        flights.by_key.clear();
        self.kept.invalidate_all();
    }

    /// Entries, and their size in bytes.
    pub(super) fn size(&self) -> (u64, u64) {
        self.kept.run_pending_tasks();
        (self.kept.entry_count(), self.kept.weighted_size())
    }

    fn flights(&self) -> MutexGuard<'_, Flights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of a value, roughly.
fn size(value: &Value) -> usize {
    let own = size_of::<Value>();
    own + match value {
        Value::BulkString(bytes) => bytes.len(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => text.len(),
        Value::Array(items) | Value::Set(items) => items.iter().map(size).sum(),
        Value::Map(pairs) => pairs.iter().map(|(key, value)| size(key) + size(value)).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { bytes: 100_000, entries: 50, ttl: Duration::from_secs(10), stale: Duration::from_secs(5) };

    fn value(number: i64) -> Arc<Value> {
        Arc::new(Value::Int(number))
    }

    fn load(store: &Store, key: &str) -> Load {
        match store.find(key.as_bytes(), b"GET") {
            Found::Missing(load) | Found::Stale(_, Some(load)) => load,
            _ => panic!("nothing to load for {key}"),
        }
    }

    fn kept(store: &Store, key: &str) -> Option<Arc<Value>> {
        match store.find(key.as_bytes(), b"GET") {
            Found::Fresh(value) | Found::Stale(value, _) => Some(value),
            _ => None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_kept_unless_its_key_was_changed_while_it_was_on_its_way() {
        let store = Store::new(LIMITS);
        assert!(matches!(store.find(b"a", b"GET"), Found::Off));
        store.switch_on();
        let (a, b) = (load(&store, "a"), load(&store, "b"));
        let Found::OnItsWay(waits) = store.find(b"a", b"GET") else { panic!("two loads at once") };
        store.invalidate(b"a");
        // Who asks after the change does not wait for the answer of before.
        let again = load(&store, "a");
        store.finish(a, Ok(value(1)));
        store.finish(b, Ok(value(2)));
        assert!(matches!(&*waits.borrow(), Some(Ok(found)) if **found == Value::Int(1)));
        assert_eq!(kept(&store, "b"), Some(value(2)));
        store.finish(again, Ok(value(3)));
        assert_eq!(kept(&store, "a"), Some(value(3)));
        store.invalidate(b"a");
        assert!(kept(&store, "a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_of_another_connection_is_found() {
        let store = Store::new(LIMITS);
        store.switch_on();
        store.finish(load(&store, "a"), Ok(value(1)));
        let late = load(&store, "b");
        store.switch_off();
        assert!(matches!(store.find(b"a", b"GET"), Found::Off));
        store.switch_on();
        store.finish(late, Ok(value(2)));
        assert!(kept(&store, "a").is_none() && kept(&store, "b").is_none());
        store.finish(load(&store, "c"), Ok(value(3)));
        store.invalidate_all();
        assert!(kept(&store, "c").is_none());
        assert!(store.epoch().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_old_is_given_once_more_while_it_is_asked_for_anew() {
        let store = Store::new(LIMITS);
        store.switch_on();
        store.finish(load(&store, "a"), Ok(value(1)));
        assert!(matches!(store.find(b"a", b"GET"), Found::Fresh(_)));
        tokio::time::advance(Duration::from_millis(10_001)).await;
        let Found::Stale(_, Some(refresh)) = store.find(b"a", b"GET") else { panic!("not asked for anew") };
        assert!(matches!(store.find(b"a", b"GET"), Found::Stale(_, None)), "asked for twice");
        store.finish(refresh, Ok(value(2)));
        assert!(matches!(store.find(b"a", b"GET"), Found::Fresh(found) if found == value(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_that_nobody_does_any_more_is_given_to_the_next() {
        let store = Store::new(LIMITS);
        store.switch_on();
        drop(load(&store, "a"));
        drop(load(&store, "a"));
    }

    #[tokio::test]
    async fn both_bounds_hold() {
        let store = Store::new(LIMITS);
        store.switch_on();
        for number in 0..1000 {
            store.finish(load(&store, &number.to_string()), Ok(value(number)));
        }
        let (entries, bytes) = store.size();
        assert!((1..=50).contains(&entries) && bytes <= 100_000, "{entries} entries, {bytes} bytes");
        let large = Arc::new(Value::BulkString(vec![0; 60_000]));
        for number in 0..10 {
            store.finish(load(&store, &format!("large{number}")), Ok(large.clone()));
        }
        assert!(store.size().1 <= 100_000);
    }
}
