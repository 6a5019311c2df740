//! Values kept in the program, of whose changes the server tells. Needs the feature `near-cache`.
//!
//! A [`NearCache`] answers reads of one key from memory. It reads over a connection of its own, on which the master tells of each key that
//! was read there and is changed (`CLIENT TRACKING`, RESP3, servers from version 6 on). All else goes to the master.
//!
//! ```no_run
//! use redis::AsyncCommands;
//! use sentinel_sdk::SentinelPool;
//! use sentinel_sdk::near_cache::NearCache;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = SentinelPool::from_url("redis-sentinel://s1,s2,s3?master=mymaster").await?;
//! let mut cache = NearCache::builder().max_bytes(64 << 20).build(&pool)?;
//! let name: Option<String> = cache.hget("user:17", "name").await?;
//! // From memory, unless somebody has changed user:17.
//! let name: Option<String> = cache.hget("user:17", "name").await?;
//! println!("{:?}: {:.0} % from memory", name, 100.0 * cache.statistics().hit_rate());
//! # Ok(()) }
//! ```
//!
//! # What is promised
//!
//! - After the word that a key was changed has arrived, no read brings what was there before. Before it arrives, one may: that takes
//!   as long as a message from the server does. What is written through the same cache is seen by its next read.
//! - After a switch, or when the connection ends, everything that was kept is dropped, and reads go to the master until the next connection stands.
//!   A connection over which nothing comes is noticed after [`Builder::sentinel_ping_interval`](crate::Builder::sentinel_ping_interval)
//!   and the time of a [handshake](crate::Timeouts::handshake): for so long (2 s by default) changes may go unnoticed at most.
//! - Callers that miss the same value at the same time cause one read.
//! - It takes no more memory than it was given, roughly.
//!
//! Kept are the answers to the commands in [`CACHED`]: reads of one key whose answer changes only with the key.

mod store;
mod track;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use self::store::{Found, Limits, Load, Loaded, Store};
use self::track::Tracker;
use crate::command;
use crate::config_error::ConfigError;
use crate::connection_like::connection_like;
use crate::keys::{Keys, arguments, keys};
use crate::master::Master;
use crate::pool::SentinelPool;

/// The commands whose answers are kept. Sorted.
#[rustfmt::skip] // a table reads better than a column
pub const CACHED: &[&str] = &[
    "BITCOUNT", "BITPOS", "EXISTS", "GEODIST", "GEOHASH", "GEOPOS", "GEOSEARCH", "GET",
    "GETBIT", "GETRANGE", "HEXISTS", "HGET", "HGETALL", "HKEYS", "HLEN", "HMGET",
    "HSTRLEN", "HVALS", "LINDEX", "LLEN", "LPOS", "LRANGE", "SCARD", "SISMEMBER",
    "SMEMBERS", "SMISMEMBER", "STRLEN", "TYPE", "XLEN", "XRANGE", "XREVRANGE", "ZCARD",
    "ZCOUNT", "ZLEXCOUNT", "ZMSCORE", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREVRANGE",
    "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCORE",
];

/// Commands that may change anything without naming it.
const ANYTHING: &[&str] = &["EVAL", "EVALSHA", "FCALL", "FLUSHALL", "FLUSHDB", "SWAPDB"];

/// Bounds of a [`NearCache`].
#[derive(Debug, Clone)]
#[must_use]
pub struct NearCacheBuilder {
    limits: Limits,
}

impl Default for NearCacheBuilder {
    fn default() -> Self {
        let limits = Limits { bytes: 32 << 20, entries: 100_000, ttl: Duration::from_secs(300), stale: Duration::ZERO };
        Self { limits }
    }
}

impl NearCacheBuilder {
    /// The memory for keys, answers and what they need beside it, roughly. Default 32 MB.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.limits.bytes = bytes;
        self
    }

    /// The largest number of keys. Default 100,000.
    pub fn max_entries(mut self, entries: u64) -> Self {
        self.limits.entries = entries;
        self
    }

    /// An answer that is older is asked for anew although nothing was heard of a change. Shortened at random by up to a tenth, so that
    /// what was read at the same time is not asked for at the same time. Default 5 min.
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.limits.ttl = ttl;
        self
    }

    /// For this long after [`ttl`](Self::ttl) the old answer is still given, while the new one is asked for behind it. Default: zero, callers wait.
    /// What is known to be changed is never given.
    pub fn stale_while_revalidate(mut self, longest: Duration) -> Self {
        self.limits.stale = longest;
        self
    }

    /// Begins to keep what is read through it.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Setting`] where a bound is zero.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn build(self, pool: &SentinelPool) -> Result<NearCache, ConfigError> {
        let Limits { bytes, entries, ttl, .. } = self.limits;
        for (setting, is_zero) in [("max_bytes", bytes == 0), ("max_entries", entries == 0), ("ttl", ttl.is_zero())] {
            if is_zero {
                let reason = "is zero; nothing could ever be kept".to_owned();
                return Err(ConfigError::Setting { setting, reason });
            }
        }
        let store = Arc::new(Store::new(self.limits));
        let (tracker, end) = Tracker::start(pool, &store);
        let inner = Inner { store, tracker, _end: end };
        Ok(NearCache { inner: Arc::new(inner), master: pool.master() })
    }
}

/// A handle that answers reads from memory where it can; see [the module](self). Clones share what is kept.
///
/// It implements [`redis::aio::ConnectionLike`]. Pipelines go to the master as they are.
#[derive(Debug, Clone)]
pub struct NearCache {
    inner: Arc<Inner>,
    master: Master,
}

struct Inner {
    store: Arc<Store>,
    tracker: Tracker,
    _end: DropGuard,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

/// Counts since a [`NearCache`] was made, and its size at this instant.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearCacheStatistics {
    /// Reads that were answered from memory.
    pub hits: u64,
    /// Reads that were answered from memory although their time was over, while they were asked for anew.
    pub stale_hits: u64,
    /// Reads that were sent to the master.
    pub misses: u64,
    /// Reads that waited for an answer somebody else had asked for.
    pub shared_loads: u64,
    /// Keys of whose change was told.
    pub invalidations: u64,
    /// How often everything was dropped: each new connection is one.
    pub flushes: u64,
    /// Keys of which something is kept.
    pub entries: u64,
    /// The memory they take, roughly.
    pub bytes: u64,
    /// Whether a connection tells of changes: without one nothing is kept.
    pub connected: bool,
}

impl NearCacheStatistics {
    /// The part of the reads that was answered from memory, 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    pub fn hit_rate(&self) -> f64 {
        let hits = self.hits + self.stale_hits;
        let all = hits + self.misses + self.shared_loads;
        if all == 0 { 0.0 } else { hits as f64 / all as f64 }
    }
}

impl NearCache {
    /// Bounds at their defaults.
    pub fn builder() -> NearCacheBuilder {
        NearCacheBuilder::default()
    }

    /// How much it is of use.
    pub fn statistics(&self) -> NearCacheStatistics {
        let store = &self.inner.store;
        let counts = &store.counts;
        let (entries, bytes) = store.size();
        NearCacheStatistics {
            hits: counts.hits.read(),
            stale_hits: counts.stale_hits.read(),
            misses: counts.misses.read(),
            shared_loads: counts.shared_loads.read(),
            invalidations: counts.invalidations.read(),
            flushes: counts.flushes.read(),
            entries,
            bytes,
            connected: store.epoch().is_some(),
        }
    }

    /// The answer to a read, without a copy of it being made.
    ///
    /// # Errors
    ///
    /// Those of the command.
    pub async fn read(&mut self, command: &Cmd) -> RedisResult<Arc<Value>> {
        let found = match cached_key(command) {
            Some(key) => self.inner.store.find(key, &command.get_packed_command()),
            None => Found::Off,
        };
        let loaded = match found {
            Found::Fresh(value) => return Ok(value),
            Found::Stale(value, load) => {
                if let Some(load) = load {
                    self.load(load, command);
                }
                return Ok(value);
            }
            Found::OnItsWay(done) => arrival(done).await,
            Found::Missing(load) => {
                let done = self.load(load, command);
                arrival(done).await
            }
            Found::Off => None,
        };
        match loaded {
            Some(Ok(value)) => Ok(value),
            // The pool's own way repeats, waits for a master, and says what is wrong.
            Some(Err(_)) | None => Ok(Arc::new(self.through(command).await?)),
        }
    }

    /// Asks for it in a task of its own: others may wait for it when this caller has gone.
    fn load(&self, load: Load, command: &Cmd) -> watch::Receiver<Option<Loaded>> {
        let done = load.done();
        self.inner.tracker.load(load, command.clone());
        done
    }

    async fn command(&mut self, command: &Cmd) -> RedisResult<Value> {
        match cached_key(command) {
            Some(_) => Ok(Arc::unwrap_or_clone(self.read(command).await?)),
            None => self.through(command).await,
        }
    }

    async fn pipeline(&mut self, pipeline: &Pipeline, offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let changed = Changes::of(&self.inner.store, pipeline.cmd_iter());
        let answers = self.master.req_packed_commands(pipeline, offset, count).await;
        drop(changed);
        answers
    }

    fn database(&self) -> i64 {
        self.master.get_db()
    }

    async fn through(&mut self, command: &Cmd) -> RedisResult<Value> {
        let changed = Changes::of(&self.inner.store, [command]);
        let answer = self.master.req_packed_command(command).await;
        drop(changed);
        answer
    }
}

async fn arrival(mut done: watch::Receiver<Option<Loaded>>) -> Option<Loaded> {
    // An error: its task was ended.
    done.wait_for(Option::is_some).await.ok()?.clone()
}

/// The key of a command whose answers are kept.
fn cached_key(command: &Cmd) -> Option<&[u8]> {
    let name = command::word(command, 0)?;
    CACHED.binary_search(&name.as_str()).ok()?;
    if name.as_str() == "EXISTS" && command.args_iter().len() != 2 {
        return None;
    }
    command::argument(command, 1)
}

/// The keys that commands may change: forgotten when their answer is there, so that their sender reads what it has written.
struct Changes<'a> {
    store: &'a Store,
    keys: Vec<Vec<u8>>,
    /// It is not known which.
    any: bool,
}

impl<'a> Changes<'a> {
    fn of<'c>(store: &'a Store, commands: impl IntoIterator<Item = &'c Cmd>) -> Self {
        let mut changes = Self { store, keys: Vec::new(), any: false };
        for command in commands {
            if command::nature(command).idempotent {
                continue;
            }
            let arguments = arguments(command);
            match keys(&arguments) {
                Keys::At(positions) => changes.keys.extend(positions.iter().map(|at| arguments[*at].to_vec())),
                Keys::Unknown => changes.any = true,
                Keys::None => changes.any |= ANYTHING.contains(&command::name(command).as_str()),
            }
        }
        changes
    }
}

/// Also when the caller does not wait for the answer.
impl Drop for Changes<'_> {
    fn drop(&mut self) {
        if self.any {
            self.store.invalidate_all();
        }
        for key in &self.keys {
            self.store.invalidate(key);
        }
    }
}

connection_like!(NearCache);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_reads_are_kept_and_the_table_can_be_searched() {
        assert!(CACHED.is_sorted());
        for name in CACHED {
            let command = redis::cmd(name);
            assert!(command::nature(&command).idempotent, "{name} is no read");
        }
    }
}
