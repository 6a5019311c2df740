//! Slots move while programs write, and nothing is lost.

#![allow(clippy::similar_names, reason = "what a mover has moved")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::{AsyncCommands, Value};
use sentinel_sdk::Error;
use sentinel_sdk::sharding::{MoveError, ShardedPool, StoredTable, slot_of};
use support::shards::Shards;

const SOON: Duration = Duration::from_secs(20);
const WRITERS: usize = 4;
const KEYS: usize = 50;

fn stored() -> StoredTable {
    StoredTable::at("east").lease(Duration::from_secs(4))
}

async fn connect(shards: &Shards) -> ShardedPool {
    shards.impatient().stored(stored()).connect().await.unwrap()
}

/// Writers over pools of their own, as those of other programs.
struct Writers {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    tasks: Vec<tokio::task::JoinHandle<Log>>,
    pools: Vec<ShardedPool>,
}

/// What one writer knows of its keys.
#[derive(Debug, Default)]
struct Log {
    /// How often each key was raised for certain, and perhaps.
    raised: BTreeMap<String, (u64, u64)>,
    /// What was read less than had been written for certain before.
    stale: Vec<String>,
    others: Vec<String>,
}

impl Writers {
    /// Each has keys of its own, of which `fits`.
    async fn start(shards: &Shards, fits: impl Fn(&str) -> bool) -> Self {
        let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (mut tasks, mut pools) = (Vec::new(), Vec::new());
        for writer in 0..WRITERS {
            let pool = connect(shards).await;
            let keys = (0..).map(|number| format!("w{writer}:{number}")).filter(|key| fits(key));
            let keys: Vec<_> = keys.take(KEYS).collect();
            tasks.push(tokio::spawn(work(pool.clone(), keys, stop.clone(), written.clone())));
            pools.push(pool);
        }
        Self { stop, written, tasks, pools }
    }

    async fn go_on(&self, more: u64) {
        let goal = self.written.load(Ordering::Relaxed) + more;
        let reached = || async { (self.written.load(Ordering::Relaxed) >= goal).then_some(()) };
        support::eventually("writes go on", SOON, reached, String::new).await;
    }

    /// Stops, and compares what is stored with what was written.
    async fn check(self, reader: &ShardedPool) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let (mut sure, mut perhaps) = (0, 0);
        for task in self.tasks {
            let log = task.await.unwrap();
            assert!(log.stale.is_empty(), "read less than was written: {:?}", log.stale);
            assert!(log.others.is_empty(), "{:?}", log.others);
            for (key, (raised, unknown)) in log.raised {
                let value: u64 = reader.master().get::<_, Option<u64>>(&key).await.unwrap().unwrap_or(0);
                let possible = raised..=raised + unknown;
                assert!(
                    possible.contains(&value),
                    "{key} (slot {}): {value}, not {possible:?}",
                    slot_of(key.as_bytes())
                );
                sure += raised;
                perhaps += unknown;
            }
        }
        for pool in self.pools {
            pool.shutdown(SOON).await;
        }
        (sure, perhaps)
    }
}

async fn work(pool: ShardedPool, keys: Vec<String>, stop: Arc<AtomicBool>, written: Arc<AtomicU64>) -> Log {
    let mut log = Log::default();
    let mut master = pool.master();
    for key in keys.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let known = log.raised.entry(key.clone()).or_default();
        match master.incr::<_, _, u64>(key, 1).await {
            Ok(_) => {
                known.0 += 1;
                written.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => match Error::find(&error) {
                Some(error) if error.is_outcome_unknown() => known.1 += 1,
                Some(Error::SlotMoving { .. } | Error::NoLease { .. } | Error::NoMaster { .. }) => {}
                _ => log.others.push(error.to_string()),
            },
        }
        match master.get::<_, Option<u64>>(key).await {
            Ok(value) if value.unwrap_or(0) < known.0 => {
                let version = pool.table().version();
                log.stale.push(format!("{key}: {value:?}, not {} at version {version}", known.0));
            }
            _ => {}
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    log
}

/// The keys at the master of a shard that belong to these slots.
fn keys_at(shards: &Shards, shard: usize, slots: &std::ops::RangeInclusive<u16>) -> usize {
    let keys: Vec<String> = shards.master(shard).ask(&["KEYS", "*"]);
    let ours = keys.iter().filter(|key| !key.starts_with("sentinel-sdk:"));
    ours.filter(|key| slots.contains(&slot_of(key.as_bytes()))).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_move_there_and_back_under_writers_and_nothing_is_lost() {
    let shards = Shards::start(&["east", "west"]);
    let pool = connect(&shards).await;
    let writers = Writers::start(&shards, |_| true).await;
    writers.go_on(200).await;
    // Kinds of values and their times to live come along.
    let slot = slot_of(b"{tag}");
    let from = pool.table().shard_of(b"{tag}").to_owned();
    let to = if from == "east" { "west" } else { "east" };
    let mut master = pool.master();
    let () = master.rpush("{tag}list", &[1, 2, 3]).await.unwrap();
    let () = master.set_ex("{tag}expires", "x", 1000).await.unwrap();

    let mut mover = pool.mover().unwrap();
    let all: [std::ops::RangeInclusive<u16>; 3] = [0..=4000, 4001..=8191, slot..=slot];
    for (slots, to) in [(&all[0], "west"), (&all[2], to), (&all[1], "west"), (&all[2], &from), (&all[0], "east")] {
        let moved = mover.move_slots(slots.clone(), to).await.unwrap();
        println!("{slots:?} to {to}: {moved:?}");
        writers.go_on(100).await;
    }
    let (sure, perhaps) = writers.check(&pool).await;
    println!("{sure} writes for certain, {perhaps} perhaps; {}", pool.table());
    assert!(sure > 500);
    assert_eq!(pool.table().shard_of_slot(4001), "west");
    assert_eq!(pool.table().shard_of_slot(0), "east");
    assert_eq!(master.lrange::<_, Vec<u64>>("{tag}list", 0, -1).await.unwrap(), [1, 2, 3]);
    let ttl: u64 = master.ttl("{tag}expires").await.unwrap();
    assert!((900..=1000).contains(&ttl), "{ttl}");
    // Nothing is left where nobody looks.
    assert_eq!(keys_at(&shards, 1, &all[0]), 0);
    assert_eq!(
        keys_at(&shards, 0, &(4001..=8191)),
        usize::from(pool.table().shard_of_slot(slot) == "east" && slot > 4000 && slot < 8192) * 2
    );
    // The table is at its home, for those who come later.
    let late = connect(&shards).await;
    assert_eq!(late.table(), pool.table());
    late.shutdown(SOON).await;
    pool.shutdown(SOON).await;
    let members: BTreeMap<String, String> = shards.master(0).ask(&["HGETALL", "sentinel-sdk:slots:members"]);
    assert!(members.is_empty(), "who leaves is not waited for: {members:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_at_any_moment_is_not_waited_for() {
    let shards = Shards::start(&["east", "west"]);
    for round in 0..60 {
        let pool = connect(&shards).await;
        tokio::time::sleep(Duration::from_micros(round * 50)).await;
        pool.shutdown(SOON).await;
        let members: BTreeMap<String, String> = shards.master(0).ask(&["HGETALL", "sentinel-sdk:slots:members"]);
        assert!(members.is_empty(), "round {round}: {members:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_dies_while_it_gets_slots_costs_nothing() {
    let mut shards = Shards::start(&["east", "west"]);
    let pool = connect(&shards).await;
    // Enough to copy that there is a middle.
    let mut pipeline = redis::pipe();
    for number in 0..20_000 {
        pipeline.set(format!("bulk:{number}"), "x".repeat(200)).ignore();
    }
    let () = pipeline.query_async(&mut pool.master()).await.unwrap();
    let slots = 0..=8191_u16;
    let bulk = keys_at(&shards, 0, &slots);
    let table = pool.table();
    let writers = Writers::start(&shards, |key| table.shard_of(key.as_bytes()) == "east").await;
    writers.go_on(100).await;
    let mut mover = pool.mover().unwrap().longest_hold(Duration::from_secs(4));
    let dying = async {
        // As soon as the first copies are there.
        let arrived =
            || async { (shards.nodes[1][0].try_ask::<u64>(&["DBSIZE"]).unwrap_or(0) > 9_000 + 2_000).then_some(()) };
        let size = shards.nodes[1][0].ask::<u64>(&["DBSIZE"]);
        support::eventually("copies arrive", SOON, arrived, || format!("{size} at first")).await;
        let pid: String = shards.nodes[1][0].ask(&["INFO", "server"]);
        let pid = pid.lines().find_map(|line| line.strip_prefix("process_id:")).unwrap().trim().to_owned();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
    };
    let (first, ()) = tokio::join!(mover.move_slots(slots.clone(), "west"), dying);
    println!("{first:?}");
    let error = first.expect_err("the master that was to get the slots is dead");
    println!("{error}");
    shards.nodes[1][0].kill();
    let again = async {
        loop {
            // What was begun is undone, once the shard has a master.
            let done = async {
                let table = mover.resume().await?;
                assert!(table.moving().is_none());
                mover.clean("west").await?;
                mover.move_slots(slots.clone(), "west").await
            };
            match done.await {
                Ok(moved) => break moved,
                Err(error) => println!("not yet: {error}"),
            }
        }
    };
    let moved = tokio::time::timeout(Duration::from_secs(90), again).await.expect("it never moves");
    println!("{moved:?}");
    writers.go_on(100).await;
    let (sure, perhaps) = writers.check(&pool).await;
    println!("{sure} writes for certain, {perhaps} perhaps");
    assert_eq!(keys_at(&shards, 0, &slots), 0);
    assert!(keys_at(&shards, 1, &slots) >= bulk, "{bulk}");
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_mover_left_half_way_is_put_right_by_another() {
    let shards = Shards::start(&["east", "west"]);
    let pool = connect(&shards).await;
    let writers = Writers::start(&shards, |_| true).await;
    writers.go_on(100).await;
    let slots = 0..=8191_u16;
    for version in ["leaving", "arriving"] {
        let mut mover = pool.mover().unwrap();
        let mut moving = Box::pin(mover.move_slots(slots.clone(), "west"));
        // Dropped the moment the table says so.
        let until = async {
            loop {
                let text: String = shards.master(0).ask(&["GET", "sentinel-sdk:slots:table"]);
                let table: sentinel_sdk::sharding::SlotTable = text.parse().unwrap();
                let owner = table.shard_of_slot(0).to_owned();
                if table.moving().is_some() && (version == "leaving" || owner == "west") {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        tokio::select! {
            biased;
            () = until => {}
            moved = &mut moving => println!("too quick for {version}: {moved:?}"),
        }
        drop(moving);
        let mut other = pool.mover().unwrap();
        if other.table().await.unwrap().moving().is_some() {
            let refused = other.move_slots(0..=0, "west").await;
            assert!(matches!(refused, Err(MoveError::Busy(_))), "{refused:?}");
        }
        let table = other.resume().await.unwrap();
        assert!(table.moving().is_none(), "{table}");
        writers.go_on(100).await;
        let owner = table.shard_of_slot(0).to_owned();
        println!("left while {version}: now at {owner}");
        let elsewhere = usize::from(owner == "east");
        other.clean(&shards.names[elsewhere]).await.unwrap();
        assert_eq!(keys_at(&shards, elsewhere, &slots), 0);
        if owner == "west" {
            other.move_slots(slots.clone(), "east").await.unwrap();
        }
    }
    let (sure, _) = writers.check(&pool).await;
    assert!(sure > 300);
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_home_of_the_table_commands_wait_once_the_lease_is_over() {
    let mut shards = Shards::start(&["east", "west"]);
    for sentinel in &mut shards.sentinels {
        let _: Value = sentinel.ask(&["SENTINEL", "SET", "east", "down-after-milliseconds", "60000"]);
    }
    let builder = shards.impatient().stored(stored().lease(Duration::from_secs(1)));
    let pool = builder.connect().await.unwrap();
    let key = (0..10_000).map(|n| format!("k{n}")).find(|key| pool.table().shard_of(key.as_bytes()) == "west").unwrap();
    let () = pool.master().set(&key, 1).await.unwrap();
    shards.nodes[0][0].kill();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let error = pool.master().set::<_, _, ()>(&key, 2).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NoLease { .. })), "{error}");
    assert!(matches!(pool.mover().unwrap().move_slots(0..=0, "west").await, Err(MoveError::Sdk(_))));
    pool.shutdown(Duration::ZERO).await;
}

/// A pool that goes by an older version is not overtaken: a move waits for it, and is undone where writes would wait for too long.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_does_not_take_up_the_table_stops_the_move_and_not_the_writers() {
    let shards = Shards::start(&["east", "west"]);
    let pool = connect(&shards).await;
    let () = pool.master().set("{a}", 1).await.unwrap();
    let version = Arc::new(AtomicU64::new(pool.table().version()));
    let lags = tokio::spawn({
        let (version, mut home) = (version.clone(), pool.shard("east").unwrap().master());
        async move {
            for beat in 1.. {
                let record = format!("{} 3000 {beat}", version.load(Ordering::SeqCst));
                let () = home.hset("sentinel-sdk:slots:members", "lags", record).await.unwrap();
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    let slot = slot_of(b"{a}");
    let before = pool.table();
    let (from, to) = if before.shard_of_slot(slot) == "east" { ("east", "west") } else { ("west", "east") };
    let mut mover = pool.mover().unwrap().longest_hold(Duration::from_secs(2));
    let undone = async {
        let mut seen = 0;
        loop {
            let table = pool.table();
            seen += usize::from(table.moving().is_some());
            if seen > 0 && table.moving().is_none() {
                version.store(table.version(), Ordering::SeqCst);
                return table;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let (moved, undone) = tokio::join!(mover.move_slots(slot..=slot, to), undone);
    assert!(matches!(moved, Err(MoveError::TooSlow(_))), "{moved:?}");
    assert_eq!(undone.ranges().collect::<Vec<_>>(), before.ranges().collect::<Vec<_>>());
    assert_eq!(pool.master().incr::<_, _, u64>("{a}", 1).await.unwrap(), 2);
    assert_eq!(keys_at(&shards, usize::from(to == "west"), &(slot..=slot)), 0);
    // It is not heard of any more.
    lags.abort();
    let began = std::time::Instant::now();
    let () = pool.shard("east").unwrap().master().hset("sentinel-sdk:slots:members", "lags", "0 3000 0").await.unwrap();
    let moved = mover.move_slots(slot..=slot, to).await.unwrap();
    assert!(began.elapsed() > Duration::from_secs(3), "it was not waited for: {:?}", began.elapsed());
    assert!(moved.keys == 1 && moved.held < Duration::from_secs(2), "{moved:?}");
    assert_eq!(pool.master().get::<_, u64>("{a}").await.unwrap(), 2);
    assert_eq!(keys_at(&shards, usize::from(from == "west"), &(slot..=slot)), 0);
    pool.shutdown(SOON).await;
}
