//! The same pool for programs without a runtime.
//!
//! Everything happens on one thread of its own; a call waits for its answer. Called from within a runtime it would block that one, and
//! panics: use [`crate::SentinelPool`] there.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use redis::Commands;
//! use sentinel_sdk::blocking::SentinelPool;
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = SentinelPool::from_url("redis-sentinel://s1:26379,s2:26379,s3:26379/0?master=mymaster")?;
//! let mut master = pool.master();
//! let () = master.set("greeting", "hello")?;
//! let visits: u64 = master.incr("visits", 1)?;
//! println!("{visits} visits, served by {:?}", pool.topology().master);
//! pool.shutdown(Duration::from_secs(5));
//! # Ok(()) }
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use redis::aio::ConnectionLike;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, Value};
use tokio::runtime::{self, Runtime};

use crate::builder::Builder;
use crate::counters::Statistics;
use crate::error::Error;
use crate::exclusive::ExclusiveConnection;
use crate::master::Master;
use crate::replica::Replica;
use crate::topology::{ReplicaState, Topology};

/// See [`crate::SentinelPool`]. Cloning is cheap, and all clones are the same pool.
#[derive(Debug, Clone)]
pub struct SentinelPool {
    // Before the runtime: what is dropped first still has it.
    pool: crate::SentinelPool,
    runtime: Arc<Runtime>,
}

impl SentinelPool {
    /// Starts a pool from a URL and waits for the first verified master; see [`crate::SentinelPool::from_url`].
    ///
    /// # Errors
    ///
    /// As there, and [`Error::Redis`] when no thread can be started.
    pub fn from_url(url: &str) -> Result<Self, Error> {
        Self::connect(Builder::from_url(url)?)
    }

    /// The same with all settings of a builder.
    ///
    /// # Errors
    ///
    /// As for [`Builder::connect`], and [`Error::Redis`] when no thread can be started.
    pub fn connect(builder: Builder) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("sentinel-sdk")
            .enable_all()
            .build()
            .map_err(RedisError::from)?;
        let pool = runtime.block_on(builder.connect())?;
        Ok(Self { pool, runtime: Arc::new(runtime) })
    }

    /// A handle for commands to the current master; see [`crate::SentinelPool::master`].
    pub fn master(&self) -> Connection<Master> {
        self.wrap(self.pool.master())
    }

    /// A handle for reads from replicas; see [`crate::SentinelPool::replica`].
    pub fn replica(&self) -> Connection<Replica> {
        let _inside = self.runtime.enter();
        self.wrap(self.pool.replica())
    }

    /// An exclusive connection to the current master; see [`crate::SentinelPool::get`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn get(&self) -> Result<Connection<ExclusiveConnection>, Error> {
        Ok(self.wrap(self.runtime.block_on(self.pool.get())?))
    }

    /// Subscribes to channels at the master, wherever it is; see [`crate::SentinelPool::subscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn subscribe<C: Into<Vec<u8>>>(&self, channels: impl IntoIterator<Item = C>) -> Result<Subscription, Error> {
        Ok(self.waiting(self.runtime.block_on(self.pool.subscribe(channels))?))
    }

    /// The same for patterns; see [`crate::SentinelPool::psubscribe`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn psubscribe<C: Into<Vec<u8>>>(&self, patterns: impl IntoIterator<Item = C>) -> Result<Subscription, Error> {
        Ok(self.waiting(self.runtime.block_on(self.pool.psubscribe(patterns))?))
    }

    /// What the pool knows now.
    pub fn topology(&self) -> Arc<Topology> {
        self.pool.topology().borrow().clone()
    }

    /// What happens from now on; see [`crate::SentinelPool::events`].
    pub fn events(&self) -> Events {
        self.waiting(self.pool.events())
    }

    /// The replicas that the pool has a connection to; see [`crate::SentinelPool::replicas`].
    pub fn replicas(&self) -> Vec<ReplicaState> {
        self.pool.replicas()
    }

    /// Counts since the pool was made.
    pub fn statistics(&self) -> Statistics {
        self.pool.statistics()
    }

    /// See [`SentinelPool::metrics`](crate::SentinelPool::metrics).
    #[cfg(feature = "metrics")]
    pub fn metrics(&self) -> crate::metrics::Metrics {
        self.pool.metrics()
    }

    /// Stops the pool; see [`crate::SentinelPool::shutdown`].
    pub fn shutdown(&self, drain: Duration) {
        self.runtime.block_on(self.pool.shutdown(drain));
    }

    fn wrap<C>(&self, inner: C) -> Connection<C> {
        Connection { inner, runtime: Arc::clone(&self.runtime) }
    }

    fn waiting<S>(&self, stream: S) -> Waiting<S> {
        Waiting { stream, runtime: Arc::clone(&self.runtime) }
    }
}

/// A handle or connection of a pool. It implements [`redis::ConnectionLike`]: all of [`redis::Commands`], pipelines and scripts work.
pub struct Connection<C> {
    inner: C,
    runtime: Arc<Runtime>,
}

impl<C> Connection<C> {
    /// What it stands for, with what only that can do.
    pub const fn get_ref(&self) -> &C {
        &self.inner
    }

    /// The same with another one in its place: [`Master::idempotent`], for example.
    pub fn map<D>(&self, change: impl FnOnce(&C) -> D) -> Connection<D> {
        Connection { inner: change(&self.inner), runtime: Arc::clone(&self.runtime) }
    }
}

impl<C: Clone> Clone for Connection<C> {
    fn clone(&self) -> Self {
        self.map(C::clone)
    }
}

impl<C: fmt::Debug> fmt::Debug for Connection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.inner).finish()
    }
}

impl<C: ConnectionLike> redis::ConnectionLike for Connection<C> {
    fn req_packed_command(&mut self, packed: &[u8]) -> RedisResult<Value> {
        let commands = unpack(packed)?;
        let [command] = commands.as_slice() else {
            return Err(misused("one command was expected"));
        };
        self.runtime.block_on(self.inner.req_packed_command(command))
    }

    fn req_packed_commands(&mut self, packed: &[u8], offset: usize, count: usize) -> RedisResult<Vec<Value>> {
        let pipeline = pipeline(unpack(packed)?, offset, count);
        self.runtime.block_on(self.inner.req_packed_commands(&pipeline, offset, count))
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        self.runtime.block_on(self.inner.req_packed_command(command))
    }

    fn get_db(&self) -> i64 {
        self.inner.get_db()
    }

    fn check_connection(&mut self) -> bool {
        redis::ConnectionLike::req_command(self, &redis::cmd("PING")).is_ok()
    }

    fn is_open(&self) -> bool {
        true
    }
}

/// Messages, and gaps where some may be missing; see [`crate::Subscription`].
pub type Subscription = Waiting<crate::Subscription>;

/// What happens to a pool; see [`crate::Events`].
pub type Events = Waiting<crate::Events>;

/// A stream of a pool. The iterator waits for the next item, and ends with the pool.
#[derive(Debug)]
pub struct Waiting<S> {
    stream: S,
    runtime: Arc<Runtime>,
}

impl<S: Stream + Unpin> Waiting<S> {
    /// The next item, if it comes in time.
    pub fn next_within(&mut self, time: Duration) -> Option<S::Item> {
        self.runtime.block_on(async { tokio::time::timeout(time, self.stream.next()).await.ok().flatten() })
    }
}

impl<S: Stream + Unpin> Iterator for Waiting<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        self.runtime.block_on(self.stream.next())
    }
}

/// The commands in what a [`Pipeline`] of the `redis` crate becomes for a blocking connection.
///
/// There it is bytes, while the handles have to know what they send.
fn unpack(packed: &[u8]) -> RedisResult<Vec<Cmd>> {
    let mut rest = packed;
    let mut commands = Vec::new();
    while !rest.is_empty() {
        let mut command = Cmd::new();
        for _ in 0..number(&mut rest, b'*')? {
            let length = number(&mut rest, b'$')?;
            let word = rest.get(..length).ok_or_else(|| misused("a command is cut off"))?;
            command.arg(word);
            rest = rest.get(length + 2..).ok_or_else(|| misused("a command is cut off"))?;
        }
        commands.push(command);
    }
    Ok(commands)
}

fn number(rest: &mut &[u8], kind: u8) -> RedisResult<usize> {
    let end = rest.windows(2).position(|two| two == b"\r\n").ok_or_else(|| misused("a command is cut off"))?;
    let (line, after) = rest.split_at(end);
    *rest = &after[2..];
    line.split_first()
        .filter(|(first, _)| **first == kind)
        .and_then(|(_, digits)| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or_else(|| misused("this is no command"))
}

/// A transaction comes with MULTI and EXEC around it, and with one answer behind those to its commands.
fn pipeline(mut commands: Vec<Cmd>, offset: usize, count: usize) -> Pipeline {
    let mut pipeline = redis::pipe();
    if offset + 1 == commands.len() && count == 1 && offset > 0 {
        commands.pop();
        commands.remove(0);
        pipeline.atomic();
    }
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

fn misused(what: &'static str) -> RedisError {
    RedisError::from((ErrorKind::Client, "bytes that are no commands", what.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(commands: &[Cmd]) -> Vec<String> {
        commands
            .iter()
            .map(|command| {
                let words = command.args_iter().map(|word| match word {
                    redis::Arg::Simple(word) => String::from_utf8_lossy(word).into_owned(),
                    _ => "?".to_owned(),
                });
                words.collect::<Vec<_>>().join(" ")
            })
            .collect()
    }

    #[test]
    fn a_pipeline_is_what_it_was_before_it_was_packed() {
        let mut original = redis::pipe();
        original.cmd("SET").arg("a\r\nb").arg("").cmd("GET").arg(b"\xff");
        let commands = unpack(&original.get_packed_pipeline()).unwrap();
        assert_eq!(words(&commands), ["SET a\r\nb ", "GET \u{fffd}"]);
        assert_eq!(pipeline(commands, 0, 2).get_packed_pipeline(), original.get_packed_pipeline());

        original.atomic();
        let packed = original.get_packed_pipeline();
        let commands = unpack(&packed).unwrap();
        assert_eq!(words(&commands)[0], "MULTI");
        let again = pipeline(commands, 3, 1);
        assert!(again.is_transaction());
        assert_eq!(again.get_packed_pipeline(), packed);
    }

    #[test]
    fn other_bytes_are_refused() {
        for bytes in ["x", "*1\r\n", "*1\r\n$9\r\nPING\r\n", "*x\r\n", "$1\r\na\r\n", "*1\r\n$4\r\nPING", "PING\r\n"] {
            assert!(unpack(bytes.as_bytes()).is_err(), "{bytes:?}");
        }
    }
}
