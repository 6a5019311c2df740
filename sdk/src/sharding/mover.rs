//! Moving slots from one shard to another while both serve.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use redis::{AsyncCommands as _, RedisError};
use tokio::time::{Instant, sleep};

use super::ShardedPool;
use super::copy::{copy, keys_of, largest, remove};
use super::stored::{Record, StoredTable};
use super::table::{Moving, SlotTable};
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::exclusive::ExclusiveConnection;
use crate::pool::SentinelPool;

/// How often the members are asked.
const PAUSE: Duration = Duration::from_millis(5);

/// Why slots were not moved, or not to the end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MoveError {
    /// The table is none that can change.
    #[error("the slot table is not stored (ShardedBuilder::stored): it cannot change")]
    NotStored,
    /// Slots are on their way already, or somebody else has changed the table at the same time.
    #[error("the table was changed by somebody else, or slots are on their way: {0}; see Mover::resume")]
    Busy(String),
    /// The shard that is to get the slots has keys of them, which nobody can reach.
    #[error("{shard} has {keys} keys of these slots already; see Mover::clean")]
    NotEmpty {
        /// The shard.
        shard: Arc<str>,
        /// How many.
        keys: usize,
    },
    /// A value is larger than may be moved in one step.
    #[error("a value takes {bytes} bytes; more than Mover::largest_value allows")]
    TooLarge {
        /// The memory that it takes.
        bytes: u64,
    },
    /// Writes to the slots would have waited for too long. All is as before.
    #[error("not done within {0:?}, for which writes may wait; all is as before (Mover::longest_hold)")]
    TooSlow(Duration),
    /// What was written did not reach enough replicas.
    #[error("{reached} replicas of {shard} have what was written, {needed} have to")]
    NotReplicated {
        /// The shard.
        shard: Arc<str>,
        /// How many have it.
        reached: usize,
        /// How many have to.
        needed: usize,
    },
    /// A server or a pool reported an error. Unless it came before anything was begun, see [`Mover::resume`].
    #[error(transparent)]
    Sdk(#[from] Error),
}

impl From<RedisError> for MoveError {
    fn from(error: RedisError) -> Self {
        Self::Sdk(error.into())
    }
}

impl From<ConfigError> for MoveError {
    fn from(error: ConfigError) -> Self {
        Self::Sdk(error.into())
    }
}

/// What was moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Moved {
    /// How many slots.
    pub slots: usize,
    /// How many keys.
    pub keys: usize,
    /// The longest time for which writes to slots waited.
    pub held: Duration,
}

/// Moves slots; see [the module](super#moving-slots).
#[derive(Debug)]
pub struct Mover {
    pool: ShardedPool,
    stored: StoredTable,
    longest_hold: Duration,
    longest_step: Duration,
    largest_value: u64,
    /// The generation of the master that keeps the table, and since when it is known.
    home: (u64, Instant),
    /// When each member was last heard of.
    members: HashMap<String, (Record, Instant)>,
}

impl Mover {
    pub(super) fn new(pool: ShardedPool, stored: StoredTable) -> Self {
        Self {
            pool,
            stored,
            longest_hold: Duration::from_secs(5),
            longest_step: Duration::from_millis(200),
            largest_value: 16 * 1024 * 1024,
            home: (0, Instant::now()),
            members: HashMap::new(),
        }
    }

    /// For how long writes to the slots may wait; if that is not enough, all is left as it was before. Default 5 s; choose it shorter than the
    /// [`RetryPolicy`](crate::RetryPolicy) of the pools lets a command wait (10 s).
    #[must_use]
    pub fn longest_hold(mut self, longest: Duration) -> Self {
        self.longest_hold = longest;
        self
    }

    /// How long one MIGRATE should take at most: it stops both servers for that time. Choose a fraction of `down-after-milliseconds`. So many keys are
    /// moved at a time as take less. Default 200 ms.
    #[must_use]
    pub fn longest_step(mut self, longest: Duration) -> Self {
        self.longest_step = longest;
        self
    }

    /// Values that take more memory are not moved: one MIGRATE of such a value would stop both servers for too long. Default 16 MB.
    #[must_use]
    pub fn largest_value(mut self, bytes: u64) -> Self {
        self.largest_value = bytes;
        self
    }

    /// Moves these slots to that shard, from wherever they are.
    ///
    /// The first call waits until each pool that may go by the table is known: for the lease and the time that a command may take (half a minute
    /// with the defaults).
    ///
    /// # Errors
    ///
    /// [`MoveError`]; where it does not say that all is as before, [`resume`](Self::resume) puts things right.
    pub async fn move_slots(&mut self, slots: RangeInclusive<u16>, to: &str) -> Result<Moved, MoveError> {
        let table = self.table().await?;
        if table.moving().is_some() {
            return Err(MoveError::Busy(table.to_string()));
        }
        // The same check as for every table.
        table.assign(slots.clone(), to)?;
        self.shard(to)?;
        let mut moved = Moved::default();
        for (range, from) in table.ranges() {
            let part = *range.start().max(slots.start())..=*range.end().min(slots.end());
            if part.is_empty() || from == to {
                continue;
            }
            let (keys, held) = self.move_part(part.clone(), from, to).await?;
            moved.slots += part.len();
            moved.keys += keys;
            moved.held = moved.held.max(held);
        }
        Ok(moved)
    }

    async fn move_part(
        &mut self,
        slots: RangeInclusive<u16>,
        from: &str,
        to: &str,
    ) -> Result<(usize, Duration), MoveError> {
        let table = self.table().await?;
        if table.moving().is_some() {
            return Err(MoveError::Busy(table.to_string()));
        }
        let mut source = self.shard(from)?.get().await?;
        let mut target = self.shard(to)?.get().await?;
        let keys = keys_of(&mut target, &slots, &self.stored).await?.len();
        if keys > 0 {
            return Err(MoveError::NotEmpty { shard: to.into(), keys });
        }
        let bytes = largest(&mut source, &slots, &self.stored).await?;
        if bytes > self.largest_value {
            return Err(MoveError::TooLarge { bytes });
        }
        // Nobody who is gone is waited for while writes are held.
        self.everybody(table.version(), None).await?;
        let began = Instant::now();
        let moving = Moving { slots: slots.clone(), from: from.into(), to: to.into() };
        let leaving = self.publish(&table, table.with_moving(Some(moving))).await?;
        let copied = self.carry(&leaving, &slots, (&mut source, &mut target), to, began).await;
        let keys = match copied {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(%error, "slots stay where they were");
                self.publish(&leaving, leaving.with_moving(None)).await?;
                self.clean(to).await?;
                return Err(error);
            }
        };
        let arriving = self.publish(&leaving, leaving.assign(slots.clone(), to)?).await?;
        // From here on there is only the way forward.
        self.everybody(arriving.version(), None).await?;
        self.publish(&arriving, arriving.with_moving(None)).await?;
        let held = began.elapsed();
        tracing::info!(first = slots.start(), last = slots.end(), from, to, keys, ?held, "slots moved");
        self.clean(from).await?;
        Ok((keys, held))
    }

    /// Copies what nobody writes to any more.
    async fn carry(
        &mut self,
        leaving: &SlotTable,
        slots: &RangeInclusive<u16>,
        (source, target): (&mut ExclusiveConnection, &mut ExclusiveConnection),
        to: &str,
        began: Instant,
    ) -> Result<usize, MoveError> {
        let within = self.longest_hold;
        let deadline = began + within;
        self.everybody(leaving.version(), Some(deadline)).await?;
        let config = self.shard(to)?.config();
        let credentials = match &config.provider {
            Some(provider) => {
                let address = target.address().clone();
                let asked = provider.ask().await;
                Some(asked.map_err(|error| Error::Node { address, reason: format!("no credentials: {error}") })?)
            }
            None => config.credentials.clone(),
        };
        let database = config.database;
        let copied = async {
            let address = target.address().clone();
            let keys = copy(source, slots, &self.stored, &address, credentials, database, self.longest_step).await?;
            // What was copied must survive the death of its new master as what was written there.
            replicated(target, to, 0, within).await?;
            // Connections of a master that was replaced meanwhile fail.
            redis::cmd("PING").exec_async(source).await?;
            redis::cmd("PING").exec_async(target).await?;
            Ok(keys)
        };
        tokio::time::timeout_at(deadline, copied).await.map_err(|_| MoveError::TooSlow(within))?
    }

    /// Puts right what was left half-way by a program that moved slots and is no more: slots that were being copied stay where they were; of those
    /// that had arrived, the old copies are removed. Returns the table.
    ///
    /// # Errors
    ///
    /// [`MoveError`].
    pub async fn resume(&mut self) -> Result<SlotTable, MoveError> {
        let table = self.table().await?;
        let Some(moving) = table.moving().cloned() else { return Ok(table) };
        let has_arrived = table.shard_of_slot(*moving.slots.start()) == &*moving.to;
        // Those who have seen a later version, which was lost with a master, take this one up.
        let table = self.publish(&table, table.with_moving(Some(moving.clone()))).await?;
        if has_arrived {
            self.everybody(table.version(), None).await?;
        }
        let table = self.publish(&table, table.with_moving(None)).await?;
        self.everybody(table.version(), None).await?;
        self.clean(if has_arrived { &moving.from } else { &moving.to }).await?;
        Ok(table)
    }

    /// Removes from a shard the keys of all slots that it does not have; returns how many. Nobody can reach them: they are what was copied in vain, or
    /// what came back with a replica that was promoted.
    ///
    /// # Errors
    ///
    /// [`MoveError::Busy`] while slots are on their way.
    pub async fn clean(&mut self, shard: &str) -> Result<usize, MoveError> {
        let table = self.table().await?;
        if table.moving().is_some() {
            return Err(MoveError::Busy(table.to_string()));
        }
        // Whoever goes by an older version may still read there.
        self.everybody(table.version(), None).await?;
        let mut connection = self.shard(shard)?.get().await?;
        let foreign = |slot| table.shard_of_slot(slot) != shard;
        Ok(remove(&mut connection, foreign, &self.stored).await?)
    }

    /// The table as it is stored.
    ///
    /// # Errors
    ///
    /// [`MoveError::Sdk`].
    pub async fn table(&self) -> Result<SlotTable, MoveError> {
        let text: String = self.home()?.master().get(self.stored.table_key()).await?;
        Ok(text.parse()?)
    }

    /// Stores the next version, and tells all. Nobody else may have changed it.
    async fn publish(&mut self, before: &SlotTable, after: SlotTable) -> Result<SlotTable, MoveError> {
        // No version is given out twice, even if one was lost with a master.
        let seen = self.records().await?.values().map(|record| record.version).max().unwrap_or_default();
        let after = after.with_version(before.version().max(seen) + 1);
        let mut connection = self.home()?.get().await?;
        let key = self.stored.table_key();
        let (expected, text) = (before.to_string(), after.to_string());
        let (channel, version) = (self.stored.channel(), after.version());
        let stored: Option<String> = connection
            .transaction(&[&key], async |connection, mut pipeline| {
                let found: Option<String> = connection.get(&key).await?;
                if found.as_ref() != Some(&expected) {
                    return Ok(Some(found));
                }
                pipeline.set(&key, &text).ignore().publish(&channel, version).ignore();
                let done: Option<()> = pipeline.query_async(connection).await?;
                Ok(done.map(|()| Some(expected.clone())))
            })
            .await?;
        if stored.as_ref() != Some(&expected) {
            return Err(MoveError::Busy(stored.unwrap_or_default()));
        }
        replicated(&mut connection, &self.stored.shard, self.stored.replicas, self.longest_hold).await?;
        Ok(after)
    }

    /// Waits until nobody goes by an older version, or only those who are gone for good.
    async fn everybody(&mut self, version: u64, deadline: Option<Instant>) -> Result<(), MoveError> {
        loop {
            let records = self.records().await?;
            let longest = records.values().map(|record| record.span).max().unwrap_or_default();
            let generation = self.home()?.topology().borrow().generation;
            if self.home.0 != generation {
                // Another master, which may not know all members: each that is still there has told it by then.
                self.home = (generation, Instant::now());
                self.members.clear();
            }
            let now = Instant::now();
            let mut waits = self.home.1.elapsed() <= longest;
            for (id, record) in &records {
                let (known, since) = self.members.entry(id.clone()).or_insert((*record, now));
                if known.beat != record.beat {
                    (*known, *since) = (*record, now);
                }
                if record.version >= version {
                    continue;
                }
                if since.elapsed() <= record.span {
                    waits = true;
                } else {
                    tracing::info!(id, "a pool has not been heard of for longer than its commands may take");
                    let _: usize = self.home()?.master().idempotent().hdel(self.stored.members_key(), id).await?;
                }
            }
            if !waits {
                return Ok(());
            }
            if deadline.is_some_and(|deadline| now >= deadline) {
                return Err(MoveError::TooSlow(self.longest_hold));
            }
            sleep(PAUSE).await;
        }
    }

    async fn records(&self) -> Result<BTreeMap<String, Record>, MoveError> {
        let all: BTreeMap<String, String> = self.home()?.master().hgetall(self.stored.members_key()).await?;
        Ok(all.into_iter().filter_map(|(id, text)| Some((id, Record::read(&text)?))).collect())
    }

    fn home(&self) -> Result<&SentinelPool, MoveError> {
        self.shard(&self.stored.shard)
    }

    fn shard(&self, name: &str) -> Result<&SentinelPool, MoveError> {
        self.pool.shard(name).ok_or_else(|| {
            let reason = format!("`{name}` is none of them");
            ConfigError::Setting { setting: "shards", reason }.into()
        })
    }
}

/// Waits until all replicas that are connected have what was written over this connection, and at least so many.
async fn replicated(
    connection: &mut ExclusiveConnection,
    shard: &str,
    least: usize,
    within: Duration,
) -> Result<(), MoveError> {
    let info: String = redis::cmd("INFO").arg("replication").query_async(connection).await?;
    let connected = info.lines().filter(|line| line.starts_with("slave") && line.contains("state=online")).count();
    let needed = connected.max(least);
    if needed == 0 {
        return Ok(());
    }
    let milliseconds = u64::try_from(within.as_millis()).unwrap_or(u64::MAX).max(1);
    let reached: usize = redis::cmd("WAIT").arg(needed).arg(milliseconds).query_async(connection).await?;
    if reached < needed {
        return Err(MoveError::NotReplicated { shard: shard.into(), reached, needed });
    }
    Ok(())
}
