//! A Redis and Valkey client that follows the master its Sentinels name.
//!
//! It builds on the [`redis`] crate for connections and commands, and works with redis-sentinel, valkey-sentinel and every other
//! Sentinel that speaks their protocol. From Sentinels before version 6, which have no `HELLO 3`, no push is received: they are asked
//! every second instead.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use futures::StreamExt;
//! use redis::AsyncCommands;
//! use sentinel_sdk::SentinelPool;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = SentinelPool::from_url("redis-sentinel://:secret@s1:26379,s2:26379,s3:26379/0?master=mymaster").await?;
//!
//! // One handle, cloned at will; it follows every switch.
//! let mut master = pool.master();
//! let () = master.set("greeting", "hello").await?;
//! let visits: u64 = master.incr("visits", 1).await?;
//!
//! // The same for reads from replicas, which may be a moment behind.
//! let mut replica = pool.replica();
//! let seen: Option<String> = replica.get("greeting").await?;
//!
//! // A connection of one's own, for WATCH and MULTI, blocking commands and big replies.
//! let mut connection = pool.get().await?;
//! let job: Option<(String, String)> = connection.blpop("jobs", 1.0).await?;
//!
//! // What is published at the master, whichever that is.
//! let mut news = pool.subscribe(["news"]).await?;
//! tokio::spawn(async move {
//!     while let Some(delivery) = news.next().await {
//!         println!("{delivery:?}");
//!     }
//! });
//!
//! // What is known now, and what happens.
//! println!("{} visits, served by {:?}", visits, pool.topology().borrow().master);
//! let mut events = pool.events();
//! tokio::spawn(async move {
//!     while let Some(event) = events.next().await {
//!         println!("{event:?}");
//!     }
//! });
//!
//! drop(connection);
//! pool.shutdown(Duration::from_secs(5)).await;
//! # Ok(()) }
//! ```
//!
//! # How a switch is noticed
//!
//! Five signs, each enough by itself: `+switch-master` from any Sentinel; the steps of a failover before it, from which on the replica that is
//! promoted is asked for its role (see [`Builder::hold_writes`]); the question put to each Sentinel after every
//! (re)subscription; the periodic question; a broken connection, a refusal such as READONLY, a connection that owes an answer and over
//! which nothing has come for a second, or several timeouts in a row. A sign
//! is a hint: the Sentinels are asked, the node they name with the highest configuration epoch is dialled, and it must
//! say that it is a master on the very connection that is then used. A Sentinel that lags behind or answers nonsense does not move the pool,
//! and what one alone says does not while the master is well, unless the node goes on with that master's data (`INFO replication`).
//!
//! # What happens to commands
//!
//! Through [`Master`], a command that the node refused without executing it is repeated, and so is one that only reads. A
//! write whose answer was lost fails with [`Error::OutcomeUnknown`]; [`Error::find`] gets it out of a [`redis::RedisError`]. An
//! [`ExclusiveConnection`] never moves: after a switch it fails with [`Switched`].
//!
//! ```no_run
//! # use redis::AsyncCommands;
//! # use sentinel_sdk::{Error, Master};
//! # async fn example(mut master: Master) -> redis::RedisResult<()> {
//! match master.incr::<_, _, u64>("visits", 1).await {
//!     Ok(visits) => println!("{visits} visits"),
//!     Err(error) => match Error::find(&error) {
//!         // Counted once or not at all. Only the caller knows whether counting twice would be worse.
//!         Some(unknown) if unknown.is_outcome_unknown() => eprintln!("perhaps counted: {unknown}"),
//!         // Not sent: no master was found in time, too many wait already, the pool was shut down.
//!         Some(not_sent) => eprintln!("not counted: {not_sent}"),
//!         // What the server itself said of the command.
//!         None => return Err(error),
//!     },
//! }
//! // A value that only this caller writes may be written twice.
//! let () = master.idempotent().set("greeting", "hello").await?;
//! # Ok(()) }
//! ```

//!
//! # Reading from replicas
//!
//! [`SentinelPool::replica`] reads from every replica that the Sentinels hold for up, that says itself that its link to the master stands and,
//! with [`Builder::max_lag`], that is not too far behind. [`Builder::balance`] says which of them each read goes to, and
//! [`Builder::read_preference`] whether the master is one of them, and what happens while there is none.
//!
//! ```no_run
//! # use std::time::Duration;
//! # use sentinel_sdk::{Balance, Builder, ReadPreference};
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Builder::from_url("redis-sentinel://s1,s2,s3?master=mymaster")?
//!     // Replicas in this zone, as long as there is one: those in others are further away than a millisecond.
//!     .balance(Balance::LowestLatency { tolerance: Duration::from_millis(1) })
//!     // None that lacks more than a megabyte of what was written.
//!     .max_lag(1_000_000)
//!     // Rather an error than reads at the master.
//!     .read_preference(ReadPreference::ReplicaOnly)
//!     .connect()
//!     .await?;
//! let mut replica = pool.replica();
//! # Ok(()) }
//! ```
//!
//! # What can be observed
//!
//! [`SentinelPool::topology`] is what the pool knows, [`SentinelPool::events`] what happens to it, [`SentinelPool::replicas`] what it measures at
//! the replicas, and [`SentinelPool::statistics`] its counts, which [`Statistics::to_prometheus`] writes for an exporter. With the feature `metrics`, `SentinelPool::metrics` tells how long
//! commands and all that is done for them take. The pool tells [`tracing`]
//! the rest: at `info` what an operator wants to see, in a span `sentinel_pool` with the name of the master; at `debug` a span `command`
//! around every command or pipeline, with its name but never its arguments, and in it a span `attempt` for each node that was tried. Their
//! attributes have the names of OpenTelemetry: `db.system.name`, `db.operation.name`, `db.namespace`, `server.address`, `server.port`.
//!
//! # Features and examples
//!
//! The feature `tls`, on by default, brings `Tls` and `rediss-sentinel://`; `near-cache` brings `near_cache`, values kept in the program,
//! `metrics` brings `metrics`, latencies for Prometheus, and `testing` brings `testing`, a deployment for unit tests. The `redis` crate is exported as [`redis`], in the version whose
//! traits the handles implement. Programs without a runtime use `blocking`, with the
//! feature of that name. The folder `examples` has programs to run against a deployment
//! while its master is taken away.

mod access;
mod address;
mod balance;
#[cfg(feature = "blocking")]
pub mod blocking;
mod builder;
mod cause;
mod command;
mod config;
mod config_error;
mod connection_like;
mod counters;
mod credentials;
mod dial;
mod drive;
mod durable;
mod error;
mod event;
mod exclusive;
mod fields;
mod follow;
mod generation;
mod keys;
mod master;
#[cfg(feature = "metrics")]
mod measure;
#[cfg(not(feature = "metrics"))]
#[path = "measure/off.rs"]
mod measure;
#[cfg(feature = "metrics")]
pub mod metrics;
#[cfg(feature = "near-cache")]
pub mod near_cache;
mod pool;
mod raw;
mod readers;
mod replica;
mod reply;
mod request;
mod retry;
mod role;
mod sentinel;
pub mod sharding;
mod shared;
mod silence;
mod stall;
mod subscription;
mod table;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(feature = "tls")]
mod tls;
mod topology;
mod trouble;
mod url;
mod users;
mod watched;
mod wheel;

pub use redis;

pub use address::Address;
pub use balance::{Balance, ReadPreference};
pub use builder::Builder;
pub use cause::{Cause, Causes, Role};
pub use config::Timeouts;
pub use config_error::ConfigError;
pub use counters::Statistics;
pub use credentials::Credentials;
pub use durable::{Durable, WriteConcern, Written};
pub use error::{Error, Outcome, Switched};
pub use event::{Event, Events};
pub use exclusive::ExclusiveConnection;
pub use master::Master;
pub use pool::SentinelPool;
pub use raw::RawConnection;
pub use replica::Replica;
pub use retry::RetryPolicy;
pub use subscription::{Delivery, Gap, Subscription};
#[cfg(feature = "tls")]
pub use tls::{Tls, rustls};
pub use topology::{ReplicaState, SentinelState, Topology};

/// What stands in the README compiles as it stands there.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
