//! Data spread over several watched masters.
//!
//! A [`ShardedPool`] has a pool for each of N masters, each with replicas and watched by Sentinels, and shares the 16,384 slots of Redis
//! Cluster among them. The servers know nothing of it: no cluster mode, no redirections. Each shard fails over for itself, and what is
//! written at the others meanwhile is not delayed.
//!
//! ```no_run
//! use redis::AsyncCommands;
//! use sentinel_sdk::sharding::ShardedPool;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // Three masters that the same Sentinels watch, with a third of the slots each.
//! let pool = ShardedPool::from_url("redis-sentinel://s1,s2,s3/0?master=east,west,north").await?;
//! println!("{}", pool.table());
//! let mut master = pool.master();
//! let () = master.mset(&[("a", 1), ("b", 2), ("c", 3)]).await?;
//! let values: Vec<u64> = master.mget(&["a", "b", "c"]).await?;
//! // Keys with the same part in braces lie on the same shard.
//! let () = redis::pipe().atomic().incr("{17}:visits", 1).sadd("{17}:pages", "/").query_async(&mut master).await?;
//! # Ok(()) }
//! ```
//!
//! # Where the slots are
//!
//! The table is given ([`SlotTable`]: in equal parts, or as a text that can be kept with the configuration), and is then the same for the
//! life of the pool. All programs need the same one. Or it is stored at one of the shards ([`ShardedBuilder::stored`]): then it can be changed.
//!
//! # Moving slots
//!
//! With a stored table slots move from one shard to another while programs read and write ([`ShardedPool::mover`]; the example `shards` is a
//! command that does it). Every pool confirms the table four times in the time of a [lease](StoredTable::lease), and sends nothing once the lease
//! is over. To move slots is to store three further versions of the table, each only when no pool goes by the one before it any more and none of its
//! commands is under way:
//!
//! 1. *Leaving*: reads go to the old shard, writes to these slots wait. The old shard copies their keys to the new one (`MIGRATE COPY`, a few
//!    at a time), and the replicas of the new shard confirm that they have them.
//! 2. *Arriving*: reads go to the new shard, writes still wait. Until here both have the same data.
//! 3. *There*: writes go on, at the new shard. The copies at the old one are removed.
//!
//! So no write is lost, and none is read in an older state than before. Writes to the slots that move wait for as long as it takes to look through
//! the keys of the old shard and copy those of the slots; all others, and all reads, go on. If either master is replaced meanwhile, or
//! that takes longer than [`Mover::longest_hold`], the slots stay where they were. A program that dies while it moves
//! slots leaves the table in one of these versions: [`Mover::resume`] goes on from there.
//!
//! What it takes:
//!
//! - All writers are pools of this kind, with the same [`StoredTable`]. [`ShardedPool::shard`] and [`ShardedPool::shard_of`] give connections that know
//!   nothing of moves: what is written over them to slots that move may be lost.
//! - The old master reaches the new one at the address that the Sentinels tell, and may log in there as this pool does. With TLS the
//!   servers need `tls-replication yes`.
//! - Without a master at the shard that keeps the table all commands wait from the end of the lease on. Choose a lease longer than
//!   a failover, and [`StoredTable::replicas`] with care.
//!
//! ```no_run
//! # use sentinel_sdk::sharding::{ShardedPool, StoredTable};
//! # async fn example(builder: sentinel_sdk::sharding::ShardedBuilder) -> Result<(), Box<dyn std::error::Error>> {
//! let pool = builder.stored(StoredTable::at("east")).connect().await?;
//! let moved = pool.mover()?.move_slots(0..=999, "west").await?;
//! println!("{} keys moved; writes to them waited for {:?}", moved.keys, moved.held);
//! # Ok(()) }
//! ```

mod copy;
mod handle;
mod mover;
mod plan;
mod route;
mod slot;
mod stored;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{join_all, try_join_all};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use self::route::{Route, Routes};
use self::stored::Keeper;
use crate::builder::Builder;
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::pool::SentinelPool;

pub use handle::{Sharded, ShardedMaster, ShardedReplica};
pub use mover::{MoveError, Moved, Mover};
pub use slot::{SLOTS, slot_of};
pub use stored::StoredTable;
pub use table::{Moving, SlotTable};

/// Pools of several masters that share the slots among them. Cloning is cheap, and all clones are the same pool.
#[derive(Clone)]
pub struct ShardedPool {
    inner: Arc<Inner>,
}

struct Inner {
    names: Arc<[Arc<str>]>,
    pools: Vec<SentinelPool>,
    routes: Arc<Routes>,
    /// How long a command waits for its slot.
    within: Duration,
    stored: Option<StoredTable>,
    /// Ends the task that keeps the table confirmed.
    end: DropGuard,
    tasks: TaskTracker,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").field("names", &self.names).finish_non_exhaustive()
    }
}

impl fmt::Debug for ShardedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardedPool").field("shards", &self.inner.names).finish_non_exhaustive()
    }
}

/// Settings of a [`ShardedPool`].
///
/// ```no_run
/// # use sentinel_sdk::Builder;
/// # use sentinel_sdk::sharding::{ShardedPool, SlotTable};
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let table: SlotTable = std::fs::read_to_string("slots.txt")?.parse()?;
/// let pool = ShardedPool::builder()
///     .shard("east", Builder::from_url("redis-sentinel://s1,s2,s3?master=east")?)
///     // Watched by others.
///     .shard("west", Builder::from_url("redis-sentinel://:secret@t1,t2,t3?master=mymaster")?)
///     .table(table)
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct ShardedBuilder {
    shards: Vec<(Arc<str>, Builder)>,
    table: Option<SlotTable>,
    stored: Option<StoredTable>,
}

impl ShardedBuilder {
    /// Adds a shard by the name that the slot table has for it.
    pub fn shard(mut self, name: &str, builder: Builder) -> Self {
        self.shards.push((name.into(), builder));
        self
    }

    /// Which shard has which slots. Default: equal parts, in the order of the shards.
    pub fn table(mut self, table: SlotTable) -> Self {
        self.table = Some(table);
        self
    }

    /// Keeps the table at one of the shards, where it can change: what is [given](Self::table) counts only as long as none is there.
    pub fn stored(mut self, stored: StoredTable) -> Self {
        self.stored = Some(stored);
        self
    }

    /// Starts a pool for each shard and waits for the first verified master of all.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] where the table does not fit the shards; those of [`Builder::connect`] for any of them.
    pub async fn connect(self) -> Result<ShardedPool, Error> {
        let names: Arc<[Arc<str>]> = self.shards.iter().map(|(name, _)| name.clone()).collect();
        if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
            let reason = format!("a name stands twice: {}", names.join(", "));
            return Err(ConfigError::Setting { setting: "shards", reason }.into());
        }
        let table = match self.table {
            Some(table) => table,
            None => SlotTable::even(&*names)?,
        };
        let configs = || self.shards.iter().map(|(_, builder)| &builder.config);
        let within = configs().map(|config| config.retry.within).max().unwrap_or_default();
        let command = configs().map(|config| config.timeouts.command).max().unwrap_or_default();
        let routes = Arc::new(Routes::new(Route::new(table, &names)?, self.stored.is_some()));
        let home = match &self.stored {
            Some(stored) => {
                stored.check()?;
                let position = names.iter().position(|name| *name == stored.shard);
                let reason = || format!("is to be stored at `{}`, which is none of the shards", stored.shard);
                Some(position.ok_or_else(|| ConfigError::Setting { setting: "slot table", reason: reason() })?)
            }
            None => None,
        };
        let pools = try_join_all(self.shards.into_iter().map(|(_, builder)| builder.connect())).await?;
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        if let Some((home, stored)) = home.zip(self.stored.clone()) {
            // An attempt may begin as long as it may be repeated, and then has its own time.
            let longest = within + command;
            let mut keeper = Keeper::new(pools[home].clone(), stored, names.clone(), routes.clone(), longest);
            keeper.begin().await?;
            tasks.spawn(keeper.run(stop.clone()));
        }
        let inner = Inner { names, pools, routes, within, stored: self.stored, end: stop.drop_guard(), tasks };
        Ok(ShardedPool { inner: Arc::new(inner) })
    }
}

impl ShardedPool {
    /// Connects as the URL says; see [`SentinelPool::from_url`]. `master=` names several masters that the same Sentinels watch, separated
    /// by commas; each has as many slots as the next one.
    ///
    /// # Errors
    ///
    /// As for [`ShardedBuilder::connect`].
    pub async fn from_url(url: &str) -> Result<Self, Error> {
        let all = Builder::from_url(url)?;
        let names = all.config.master.clone();
        let builder =
            names.split(',').fold(Self::builder(), |builder, name| builder.shard(name, all.clone().master(name)));
        builder.connect().await
    }

    /// A builder without shards.
    pub fn builder() -> ShardedBuilder {
        ShardedBuilder::default()
    }

    /// A handle for commands at the masters.
    pub fn master(&self) -> ShardedMaster {
        Sharded::new(self.inner.clone(), self.inner.pools.iter().map(SentinelPool::master).collect())
    }

    /// A handle for reads from the replicas; see [`SentinelPool::replica`].
    pub fn replica(&self) -> ShardedReplica {
        Sharded::new(self.inner.clone(), self.inner.pools.iter().map(SentinelPool::replica).collect())
    }

    /// Which shard has which slots.
    pub fn table(&self) -> SlotTable {
        self.inner.routes.current().table.clone()
    }

    /// The pool of a shard, for exclusive connections, subscriptions, events and statistics.
    pub fn shard(&self, name: &str) -> Option<&SentinelPool> {
        let position = self.inner.names.iter().position(|known| **known == *name)?;
        self.inner.pools.get(position)
    }

    /// The pool of the shard that a key belongs to.
    ///
    /// ```no_run
    /// # use sentinel_sdk::sharding::ShardedPool;
    /// # async fn example(pool: ShardedPool) -> Result<(), sentinel_sdk::Error> {
    /// let mut connection = pool.shard_of("jobs").get().await?;
    /// let job: Option<(String, String)> = redis::cmd("BLPOP").arg("jobs").arg(5).query_async(&mut connection).await?;
    /// # Ok(()) }
    /// ```
    pub fn shard_of(&self, key: impl AsRef<[u8]>) -> &SentinelPool {
        let route = self.inner.routes.current();
        &self.inner.pools[plan::Layout::shard(&*route, slot_of(key.as_ref()))]
    }

    /// All shards with their names.
    pub fn shards(&self) -> impl Iterator<Item = (&str, &SentinelPool)> {
        self.inner.names.iter().map(|name| &**name).zip(&self.inner.pools)
    }

    /// What moves slots; only with a table that is [stored](ShardedBuilder::stored).
    ///
    /// # Errors
    ///
    /// [`MoveError::NotStored`].
    pub fn mover(&self) -> Result<Mover, MoveError> {
        let stored = self.inner.stored.clone().ok_or(MoveError::NotStored)?;
        Ok(Mover::new(self.clone(), stored))
    }

    /// Stops all shards; see [`SentinelPool::shutdown`].
    pub async fn shutdown(&self, drain: Duration) {
        let Inner { routes, end, tasks, .. } = &*self.inner;
        routes.end();
        let _ = timeout(drain, routes.current().users.all_gone()).await;
        end.token().cancel();
        tasks.close();
        tasks.wait().await;
        join_all(self.inner.pools.iter().map(|pool| pool.shutdown(drain))).await;
    }
}
