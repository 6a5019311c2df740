//! A slot table that is kept at one of the shards and can change while it is used.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use redis::RedisResult;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::route::{Route, Routes};
use super::table::SlotTable;
use crate::config_error::ConfigError;
use crate::error::Error;
use crate::exclusive::ExclusiveConnection;
use crate::pool::SentinelPool;
use crate::subscription::Subscription;
use crate::users::Users;

/// The pause after a renewal that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a pool that is shut down tries to say so.
const LEAVING: Duration = Duration::from_millis(500);
/// On top of what a command may take: clocks that run differently.
const MARGIN: Duration = Duration::from_secs(1);

/// Where a slot table is kept that can change; see [the module](super#moving-slots).
///
/// ```
/// # use std::time::Duration;
/// # use sentinel_sdk::sharding::StoredTable;
/// let stored = StoredTable::at("east").key("shop:slots").lease(Duration::from_secs(10));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct StoredTable {
    pub(super) shard: Arc<str>,
    key: String,
    pub(super) lease: Duration,
    pub(super) replicas: usize,
}

impl StoredTable {
    /// At the master of this shard.
    pub fn at(shard: &str) -> Self {
        Self { shard: shard.into(), key: "sentinel-sdk:slots".to_owned(), lease: Duration::from_secs(10), replicas: 1 }
    }

    /// What the names of its keys there begin with. Default `sentinel-sdk:slots`.
    pub fn key(mut self, key: &str) -> Self {
        key.clone_into(&mut self.key);
        self
    }

    /// How long a pool goes by the table that it has confirmed last. It is confirmed four times as often; a pool that cannot, since that shard
    /// has no master, lets commands wait once this time is over. Choose it longer than a failover takes, and the same in all programs. Default
    /// 10 s.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease;
        self
    }

    /// How many replicas of that shard must confirm the table, too. With so many as make a majority of its nodes together with the master (1
    /// of 2), a master that was cut off from the others confirms nothing, and no two parts of a divided network ever go by tables that
    /// contradict each other. With 0 they may, unless the servers refuse writes without replicas (`min-replicas-to-write`). Default 1.
    pub fn replicas(mut self, replicas: usize) -> Self {
        self.replicas = replicas;
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        if self.lease < Duration::from_millis(100) {
            let reason = "is shorter than 100 ms; it could not be renewed in time".to_owned();
            return Err(ConfigError::Setting { setting: "lease", reason });
        }
        Ok(())
    }

    pub(super) fn table_key(&self) -> String {
        format!("{}:table", self.key)
    }

    /// Each pool that goes by the table, with what it says of itself.
    pub(super) fn members_key(&self) -> String {
        format!("{}:members", self.key)
    }

    pub(super) fn channel(&self) -> String {
        format!("{}:changed", self.key)
    }

    pub(super) fn is_own(&self, key: &[u8]) -> bool {
        key == self.table_key().as_bytes() || key == self.members_key().as_bytes()
    }
}

/// What a pool says of itself to those who move slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// Nothing is under way by an older version than this.
    pub(super) version: u64,
    /// From a renewal on it may have commands under way for this long, whatever happens to it.
    pub(super) span: Duration,
    /// Grows with each renewal.
    pub(super) beat: u64,
}

impl Record {
    pub(super) fn write(&self) -> String {
        format!("{} {} {}", self.version, self.span.as_millis(), self.beat)
    }

    /// `None`: not written by this crate.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut numbers = text.split(' ').map(str::parse::<u64>);
        let mut next = || numbers.next()?.ok();
        Some(Self { version: next()?, span: Duration::from_millis(next()?), beat: next()? })
    }
}

/// Keeps the table of a pool confirmed.
pub(super) struct Keeper {
    pub(super) home: SentinelPool,
    pub(super) stored: StoredTable,
    pub(super) names: Arc<[Arc<str>]>,
    pub(super) routes: Arc<Routes>,
    /// How this pool is known to those who move slots.
    id: String,
    record: Record,
    connection: Option<ExclusiveConnection>,
    /// Commands under way by older versions.
    older: Vec<Arc<Users>>,
}

impl Keeper {
    /// `longest_command`: how long a command may be under way.
    pub(super) fn new(
        home: SentinelPool,
        stored: StoredTable,
        names: Arc<[Arc<str>]>,
        routes: Arc<Routes>,
        longest_command: Duration,
    ) -> Self {
        let span = stored.lease + longest_command + MARGIN;
        let id = format!("{}-{:016x}", std::process::id(), fastrand::u64(..));
        let record = Record { version: 0, span, beat: 0 };
        Self { home, stored, names, routes, id, record, connection: None, older: Vec::new() }
    }

    /// Puts the table there if there is none, and confirms what is there.
    pub(super) async fn begin(&mut self) -> Result<(), Error> {
        let table = self.routes.current().table.to_string();
        let mut master = self.home.master();
        let () = redis::cmd("SET").arg(self.stored.table_key()).arg(table).arg("NX").query_async(&mut master).await?;
        let deadline = Instant::now() + self.stored.lease;
        loop {
            match self.renew().await {
                Ok(()) => return Ok(()),
                Err(error @ Error::Config(_)) => return Err(error),
                Err(error) if Instant::now() >= deadline => return Err(error),
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut news: Option<Subscription> = None;
        loop {
            let renewed = self.renew_or_leave(&stop).await;
            if stop.is_cancelled() {
                break;
            }
            let pause = match renewed {
                Ok(()) => self.stored.lease / 4,
                Err(error) => {
                    tracing::warn!(%error, "the slot table was not confirmed");
                    self.connection = None;
                    PAUSE.min(self.stored.lease / 4)
                }
            };
            let drained = async {
                if self.older.is_empty() {
                    std::future::pending::<()>().await;
                }
                for users in &self.older {
                    users.all_gone().await;
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                // Those who move slots wait for this to be told.
                () = drained => self.older.clear(),
                () = heard(&mut news, &self.home, &self.stored) => {}
                () = sleep(pause) => {}
            }
        }
        self.leave().await;
    }

    /// A renewal is not given up half way when the pool is shut down: that would leave its record behind.
    async fn renew_or_leave(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        let mut renewal = pin!(self.renew());
        tokio::select! {
            biased;
            renewed = &mut renewal => renewed,
            () = stop.cancelled() => timeout(LEAVING, renewal).await.unwrap_or(Err(Error::Shutdown)),
        }
    }

    /// Whoever has nothing under way need not be waited for.
    async fn leave(mut self) {
        let users = self.routes.current().users.clone();
        self.older.push(users);
        if self.older.iter().any(|users| users.count() > 0) {
            return;
        }
        let mut gone = redis::cmd("HDEL");
        gone.arg(self.stored.members_key()).arg(&self.id);
        let told = async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => self.home.get().await?,
            };
            gone.exec_async(&mut connection).await
        };
        // If not: those who move slots wait until the record is too old.
        if !matches!(timeout(LEAVING, told).await, Ok(Ok(()))) {
            tracing::debug!("the record of this pool stays until it is too old");
        }
    }

    /// Says that this pool is there, and takes up the table. Both reach enough replicas, or do not count.
    async fn renew(&mut self) -> Result<(), Error> {
        let began = Instant::now();
        let text = self.exchange().await?;
        let Some(text) = text else {
            let reason = format!("key {} is gone", self.stored.table_key());
            return Err(ConfigError::Setting { setting: "slot table", reason }.into());
        };
        let table: SlotTable = text.parse()?;
        let current = self.routes.current().table.version();
        if table.version() > current || self.record.beat == 1 {
            tracing::info!(version = table.version(), moving = ?table.moving(), "slot table taken up");
            let version = table.version();
            let before = self.routes.install(Route::new(table, &self.names)?);
            self.older.push(before.users.clone());
            tracing::debug!(version, under_way = before.users.count(), "commands by older versions are waited for");
        }
        self.older.retain(|users| users.count() > 0);
        self.routes.renew(began + self.stored.lease);
        let version = self.routes.current().table.version();
        if self.older.is_empty() && self.record.version < version {
            self.record.version = version;
            // Told at once.
            return Box::pin(self.renew()).await;
        }
        Ok(())
    }

    async fn exchange(&mut self) -> Result<Option<String>, Error> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.home.get().await?,
        };
        self.record.beat += 1;
        let mut pipeline = redis::pipe();
        pipeline.hset(self.stored.members_key(), &self.id, self.record.write()).ignore();
        pipeline.get(self.stored.table_key());
        if self.stored.replicas == 0 {
            let (text,): (Option<String>,) = pipeline.query_async(&mut connection).await?;
            self.connection = Some(connection);
            return Ok(text);
        }
        let wait = u64::try_from(self.stored.lease.as_millis() / 4).unwrap_or(u64::MAX).max(1);
        pipeline.cmd("WAIT").arg(self.stored.replicas).arg(wait);
        let answers: RedisResult<(Option<String>, usize)> = pipeline.query_async(&mut connection).await;
        let (text, replicas) = answers?;
        let address = connection.address().clone();
        self.connection = Some(connection);
        if replicas < self.stored.replicas {
            let reason = format!("{replicas} replicas confirmed the slot table, {} have to", self.stored.replicas);
            return Err(Error::Node { address, reason });
        }
        Ok(text)
    }
}

/// Waits for word of a new version.
async fn heard(news: &mut Option<Subscription>, home: &SentinelPool, stored: &StoredTable) {
    if news.is_none() {
        match home.subscribe([stored.channel()]).await {
            Ok(subscription) => *news = Some(subscription),
            Err(_) => std::future::pending().await,
        }
    }
    if let Some(subscription) = news
        && subscription.next().await.is_none()
    {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = Record { version: 7, span: Duration::from_millis(1500), beat: 42 };
        assert_eq!(Record::read(&record.write()), Some(record));
        for text in ["", "7", "7 1500", "x 1 2", "-1 1 2"] {
            assert_eq!(Record::read(text), None, "{text}");
        }
    }
}
