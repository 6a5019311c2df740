//! The keys of slots at one server: to find them, copy them and remove them.

use std::ops::RangeInclusive;
use std::time::Duration;

use redis::RedisResult;
use tokio::time::Instant;

use super::slot::slot_of;
use super::stored::StoredTable;
use crate::address::Address;
use crate::credentials::Credentials;
use crate::exclusive::ExclusiveConnection;

/// Keys in one step of SCAN.
const SCANNED: usize = 1000;
/// Keys in one MIGRATE, at first and at most.
const FIRST_BATCH: usize = 16;
const LARGEST_BATCH: usize = 1024;

/// Calls `found` for the keys of each step through the whole database.
async fn scan(
    connection: &mut ExclusiveConnection,
    fits: impl Fn(&[u8]) -> bool,
    mut found: impl AsyncFnMut(&mut ExclusiveConnection, Vec<Vec<u8>>) -> RedisResult<()>,
) -> RedisResult<()> {
    let mut cursor = 0_u64;
    loop {
        let mut step = redis::cmd("SCAN");
        step.arg(cursor).arg("COUNT").arg(SCANNED);
        let (next, keys): (u64, Vec<Vec<u8>>) = step.query_async(connection).await?;
        let keys: Vec<_> = keys.into_iter().filter(|key| fits(key)).collect();
        if !keys.is_empty() {
            found(connection, keys).await?;
        }
        if next == 0 {
            return Ok(());
        }
        cursor = next;
    }
}

/// All keys of these slots, each one once.
pub(super) async fn keys_of(
    connection: &mut ExclusiveConnection,
    slots: &RangeInclusive<u16>,
    stored: &StoredTable,
) -> RedisResult<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    let fits = |key: &[u8]| slots.contains(&slot_of(key)) && !stored.is_own(key);
    scan(connection, fits, async |_, keys| {
        all.extend(keys);
        Ok(())
    })
    .await?;
    // SCAN may bring a key twice.
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// The memory that the largest value of these slots takes.
pub(super) async fn largest(
    connection: &mut ExclusiveConnection,
    slots: &RangeInclusive<u16>,
    stored: &StoredTable,
) -> RedisResult<u64> {
    let mut largest = 0;
    let fits = |key: &[u8]| slots.contains(&slot_of(key)) && !stored.is_own(key);
    scan(connection, fits, async |connection, keys| {
        let mut pipeline = redis::pipe();
        for key in &keys {
            pipeline.cmd("MEMORY").arg("USAGE").arg(key);
        }
        let sizes: Vec<Option<u64>> = pipeline.query_async(connection).await?;
        largest = sizes.into_iter().flatten().fold(largest, u64::max);
        Ok(())
    })
    .await?;
    Ok(largest)
}

/// Has one server copy the keys of these slots to the other; both are stopped for no longer than `longest_step` at a time, as far as that can be
/// foreseen.
pub(super) async fn copy(
    source: &mut ExclusiveConnection,
    slots: &RangeInclusive<u16>,
    stored: &StoredTable,
    target: &Address,
    credentials: Option<Credentials>,
    database: i64,
    longest_step: Duration,
) -> RedisResult<usize> {
    let keys = keys_of(source, slots, stored).await?;
    let milliseconds = u64::try_from(longest_step.as_millis()).unwrap_or(u64::MAX).max(1);
    let (mut rest, mut batch) = (keys.as_slice(), FIRST_BATCH);
    while !rest.is_empty() {
        let (now, later) = rest.split_at(batch.min(rest.len()));
        rest = later;
        let mut migrate = redis::cmd("MIGRATE");
        migrate.arg(target.host()).arg(target.port()).arg("").arg(database).arg(milliseconds);
        migrate.arg("COPY").arg("REPLACE");
        match &credentials {
            Some(Credentials { username: Some(username), password }) => {
                migrate.arg("AUTH2").arg(username).arg(password);
            }
            Some(Credentials { username: None, password }) => _ = migrate.arg("AUTH").arg(password),
            None => {}
        }
        migrate.arg("KEYS").arg(now);
        let began = Instant::now();
        migrate.exec_async(source).await?;
        let took = began.elapsed();
        batch = if took > longest_step / 2 { (batch / 2).max(1) } else { (batch * 2).min(LARGEST_BATCH) };
    }
    Ok(keys.len())
}

/// Removes the keys of all slots that are `foreign`; returns how many there were.
pub(super) async fn remove(
    connection: &mut ExclusiveConnection,
    foreign: impl Fn(u16) -> bool,
    stored: &StoredTable,
) -> RedisResult<usize> {
    let mut removed = 0;
    let fits = |key: &[u8]| foreign(slot_of(key)) && !stored.is_own(key);
    scan(connection, fits, async |connection, keys| {
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(&keys);
        removed += unlink.query_async::<usize>(connection).await?;
        Ok(())
    })
    .await?;
    Ok(removed)
}
