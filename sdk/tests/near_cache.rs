//! Values kept in the program are those of the server.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::near_cache::NearCache;
use sentinel_sdk::{Builder, SentinelPool};
use support::deployment::{Deployment, MASTER, Server};
use support::eventually;
use support::scripted::ScriptedSentinel;

const SOON: Duration = Duration::from_secs(20);
const KEYS: usize = 20;

async fn connected(cache: &NearCache) {
    let on = || async { cache.statistics().connected.then_some(()) };
    eventually("changes are told of", SOON, on, || format!("{:?}", cache.statistics())).await;
}

/// A pool at one server, without a failover.
async fn alone(more: &str) -> (tempfile::TempDir, Server, ScriptedSentinel, SentinelPool) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::redis(folder.path(), None, more);
    let sentinel = ScriptedSentinel::start(&server.address(), 1).await;
    let pool =
        SentinelPool::from_url(&format!("redis-sentinel://{}?master=mymaster", sentinel.address())).await.unwrap();
    (folder, server, sentinel, pool)
}

fn gets(server: &Server) -> u64 {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_get:calls="));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_twice_is_asked_for_once_until_it_is_changed() {
    let (_folder, server, _sentinel, pool) = alone("").await;
    let mut cache = NearCache::builder().build(&pool).unwrap();
    connected(&cache).await;
    let () = server.ask(&["SET", "k", "1"]);
    for _ in 0..100 {
        assert_eq!(cache.get::<_, u64>("k").await.unwrap(), 1);
    }
    assert_eq!(gets(&server), 1);
    // A hundred callers at once that miss cause one read.
    let () = server.ask(&["SET", "k", "2"]);
    let told = || async { (cache.statistics().invalidations > 0).then_some(()) };
    eventually("the change is told of", SOON, told, String::new).await;
    let () = server.ask(&["CLIENT", "PAUSE", "200", "ALL"]);
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let mut cache = cache.clone();
            tokio::spawn(async move { cache.get::<_, u64>("k").await.unwrap() })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap(), 2);
    }
    assert_eq!(gets(&server), 2);
    // What this program writes, it reads; of a missing key, too, is told.
    for number in 3..50 {
        let () = cache.set("k", number).await.unwrap();
        assert_eq!(cache.get::<_, u64>("k").await.unwrap(), number);
        let () = redis::pipe().incr("k", 1).query_async(&mut cache).await.unwrap();
        assert_eq!(cache.get::<_, u64>("k").await.unwrap(), number + 1);
    }
    assert_eq!(cache.get::<_, Option<u64>>("new").await.unwrap(), None);
    let () = server.ask(&["SET", "new", "1"]);
    let seen = || async { cache.clone().get::<_, Option<u64>>("new").await.unwrap() };
    assert_eq!(eventually("the new key is seen", SOON, seen, String::new).await, 1);
    // Other commands, other answers, and errors are not kept.
    let error = cache.lrange::<_, Vec<u64>>("k", 0, -1).await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    assert_eq!(cache.strlen::<_, u64>("k").await.unwrap(), 2);
    let () = server.ask(&["FLUSHALL"]);
    let gone = || async { cache.clone().get::<_, Option<u64>>("k").await.unwrap().is_none().then_some(()) };
    eventually("everything is dropped", SOON, gone, String::new).await;
    assert!(cache.statistics().hit_rate() > 0.3, "{:?}", cache.statistics());
    pool.shutdown(SOON).await;
    assert!(cache.get::<_, Option<u64>>("k").await.is_err());
}

/// Writers raise counters; what any reader has seen, no later read falls behind, and when the writers rest, all is read as it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_goes_back_in_time_under_writers() {
    let (_folder, server, _sentinel, pool) = alone("").await;
    let cache = NearCache::builder().build(&pool).unwrap();
    connected(&cache).await;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (mut master, stop) = (pool.master(), stop.clone());
        async move {
            let mut written = 0_usize;
            while !stop.load(Ordering::Relaxed) {
                let () = master.incr(format!("k{}", written % KEYS), 1).await.unwrap();
                written += 1;
                // So that between two changes of a key there is time to read it more than once, however slow this machine is now.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            written
        }
    });
    let seen: Arc<Vec<AtomicU64>> = Arc::new((0..KEYS).map(|_| AtomicU64::new(0)).collect());
    let readers: Vec<_> = (0..4)
        .map(|reader| {
            let (mut cache, stop, seen) = (cache.clone(), stop.clone(), seen.clone());
            tokio::spawn(async move {
                for number in reader.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let key = number % KEYS;
                    let before = seen[key].load(Ordering::SeqCst);
                    let value = cache.get::<_, Option<u64>>(format!("k{key}")).await.unwrap().unwrap_or(0);
                    assert!(value >= before, "k{key}: {value} after {before}");
                    seen[key].fetch_max(value, Ordering::SeqCst);
                    if number % 8 == 0 {
                        tokio::task::yield_now().await;
                    }
                }
            })
        })
        .collect();
    let enough = || async {
        let now = cache.statistics();
        (now.hits > 500 && now.invalidations > 100 && pool.statistics().commands > 500).then_some(())
    };
    eventually("much is written and read", Duration::from_secs(120), enough, || format!("{:?}", cache.statistics()))
        .await;
    stop.store(true, Ordering::Relaxed);
    for reader in readers {
        reader.await.unwrap();
    }
    let written = writer.await.unwrap();
    let statistics = cache.statistics();
    println!("{written} writes, {statistics:?}");
    // The last word arrives a moment after the last write.
    for key in 0..KEYS {
        let value: u64 = server.ask(&["GET", &format!("k{key}")]);
        let read = || async { (cache.clone().get::<_, u64>(format!("k{key}")).await.unwrap() == value).then_some(()) };
        eventually("what was written last is read", SOON, read, || format!("k{key} is {value}")).await;
    }
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_dropped_at_a_switch_and_reads_go_on() {
    let mut deployment = Deployment::start();
    let pool = Builder::from_url(&deployment.url(3)).unwrap().connect().await.unwrap();
    let mut cache = NearCache::builder().ttl(Duration::from_secs(3600)).build(&pool).unwrap();
    connected(&cache).await;
    let () = cache.set("k", "old").await.unwrap();
    let replicated: usize =
        redis::cmd("WAIT").arg(2).arg(5000).query_async(&mut pool.get().await.unwrap()).await.unwrap();
    assert_eq!(replicated, 2);
    assert_eq!(cache.get::<_, String>("k").await.unwrap(), "old");
    let before = pool.topology().borrow().generation;
    let flushes = cache.statistics().flushes;
    // Killed, and the value is changed at the new master before this program hears of it.
    deployment.nodes[0].kill();
    let after = support::topology(&pool, "the pool moved", |topology| topology.generation > before).await;
    let () = deployment.node(after.master.as_ref().unwrap()).ask(&["SET", "k", "new"]);
    assert_eq!(cache.get::<_, String>("k").await.unwrap(), "new", "what the dead master had is still told");
    connected(&cache).await;
    assert!(cache.statistics().flushes > flushes);
    // A forced switch, of a master that lives on.
    assert_eq!(cache.get::<_, String>("k").await.unwrap(), "new");
    let generation = after.generation;
    let moved = || async {
        let now = pool.topology().borrow().clone();
        if now.generation > generation && now.verified {
            return Some(now);
        }
        // Refused, or given up, as long as the one before is not over everywhere.
        let _ = deployment.sentinels[0].try_ask::<redis::Value>(&["SENTINEL", "FAILOVER", MASTER]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        None
    };
    let after = eventually("the pool moved", SOON * 3, moved, String::new).await;
    let () = deployment.node(after.master.as_ref().unwrap()).ask(&["SET", "k", "newer"]);
    assert_eq!(cache.get::<_, String>("k").await.unwrap(), "newer");
    pool.shutdown(SOON).await;
}

/// The connection that tells of changes is closed by the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_is_dropped_with_the_connection_that_tells_of_changes() {
    let (_folder, server, _sentinel, pool) = alone("").await;
    let mut cache = NearCache::builder().build(&pool).unwrap();
    connected(&cache).await;
    for round in 0..10 {
        let () = server.ask(&["SET", "k", &round.to_string()]);
        // What is told of the change is on its way for a moment.
        let seen = || async { (cache.clone().get::<_, String>("k").await.unwrap() == round.to_string()).then_some(()) };
        eventually("the value is seen", SOON, seen, String::new).await;
        let flushes = cache.statistics().flushes;
        let _: u64 = server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        let () = server.ask(&["SET", "k", "changed"]);
        let dropped = || async { (cache.statistics().flushes > flushes).then_some(()) };
        eventually("all is dropped", SOON, dropped, || format!("{:?}", cache.statistics())).await;
        assert_eq!(cache.get::<_, String>("k").await.unwrap(), "changed");
        connected(&cache).await;
    }
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_track_costs_the_cache_and_no_reads() {
    let (_folder, server, _sentinel, pool) = alone("rename-command CLIENT \"\"").await;
    let mut cache = NearCache::builder().build(&pool).unwrap();
    let () = server.ask(&["SET", "k", "1"]);
    for _ in 0..20 {
        assert_eq!(cache.get::<_, u64>("k").await.unwrap(), 1);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(cache.statistics().hits, 0);
    pool.shutdown(SOON).await;
}
