//! What replicas have confirmed is there after the death of the master.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::{AsyncCommands, Value};
use sentinel_sdk::{Error, Outcome, SentinelPool, WriteConcern};
use support::deployment::{Deployment, Server};
use support::eventually;

const SOON: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_tells_how_many_replicas_have_it() {
    let mut deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut both = pool.durable(WriteConcern::Replicas(2, Duration::from_secs(5)));
    let written = both.write::<u64>(redis::cmd("INCR").arg("n")).await.unwrap();
    assert_eq!((written.value, written.replicas), (1, 2));
    // At the replicas, and not on the way to them.
    for replica in &deployment.nodes[1..] {
        assert_eq!(replica.ask::<u64>(&["GET", "n"]), 1);
    }
    let mut pipeline = redis::pipe();
    pipeline.incr("n", 1).ignore().get("n");
    let written = both.write_pipeline::<(u64,)>(&pipeline).await.unwrap();
    assert_eq!((written.value, written.replicas), ((2,), 2));
    let written = both.write_pipeline::<(u64,)>(pipeline.atomic()).await.unwrap();
    assert_eq!((written.value, written.replicas), ((3,), 2));
    let () = both.set("k", "v").await.unwrap();
    let (n,): (u64,) = redis::pipe().atomic().incr("n", 1).query_async(&mut both).await.unwrap();
    assert_eq!(n, 4);
    let error = both.lpush::<_, _, u64>("k", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let alone = pool.durable(WriteConcern::Master).write::<u64>(redis::cmd("INCR").arg("n")).await.unwrap();
    assert_eq!((alone.value, alone.replicas), (5, 0));

    // One replica is gone: that is told, and does not pass for a refusal.
    deployment.nodes[2].kill();
    let mut both = pool.durable(WriteConcern::Replicas(2, Duration::from_millis(200)));
    let began = Instant::now();
    let written = both.write::<u64>(redis::cmd("INCR").arg("n")).await.unwrap();
    assert_eq!((written.value, written.replicas), (6, 1));
    assert!(began.elapsed() >= Duration::from_millis(200), "{:?}", began.elapsed());
    let error = both.incr::<_, _, u64>("n", 1).await.unwrap_err();
    match Error::find(&error) {
        Some(Error::NotReplicated { command, reached: 1, needed: 2 }) => assert_eq!(command, "INCRBY"),
        other => panic!("{other:?}: {error}"),
    }
    assert_eq!(Outcome::of(&error), Outcome::Unknown);
    assert_eq!(pool.master().get::<_, u64>("n").await.unwrap(), 7, "it was executed, and once");
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_refuses_is_repeated_at_the_new_master() {
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut durable = pool.durable(WriteConcern::Replicas(1, Duration::from_secs(5)));
    let generation = pool.topology().borrow().generation;
    let stop = Arc::new(AtomicBool::new(false));
    let writer = tokio::spawn({
        let (stop, mut durable) = (stop.clone(), durable.clone());
        async move {
            let (mut done, mut errors) = (0, Vec::new());
            while !stop.load(Ordering::Relaxed) {
                match durable.incr::<_, _, u64>("n", 1).await {
                    Ok(_) => done += 1,
                    Err(error) => errors.push(error),
                }
            }
            (done, errors)
        }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _: Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", support::deployment::MASTER]);
    support::topology(&pool, "the pool moved", |topology| topology.generation > generation).await;
    let () = durable.set("after", 1).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    let (done, errors): (u64, Vec<redis::RedisError>) = writer.await.unwrap();
    assert!(done > 50, "{done}");
    let unknown = |error: &&redis::RedisError| Outcome::of(error) == Outcome::Unknown;
    assert_eq!(errors.iter().filter(unknown).count(), errors.len(), "{errors:?}");
    assert!(errors.len() <= 2, "{errors:?}");
    pool.shutdown(SOON).await;
}

/// The master is killed `rounds` times under writers; returns how many confirmed writes there were.
async fn kill_masters(rounds: usize) -> usize {
    let mut deployment = Deployment::start();
    for sentinel in &deployment.sentinels {
        // So that nodes that come back are known soon. redis-sentinel promotes no replica whose INFO is older than five
        // times ping-period, and asks for it once a second then: a shorter period has it refuse all of them for good.
        let _: Value = sentinel.ask(&["SENTINEL", "DEBUG", "info-period", "200", "ping-period", "300"]);
        // A busy machine is late by more than 300 ms, and a master that lives is replaced.
        let _: Value =
            sentinel.ask(&["SENTINEL", "SET", support::deployment::MASTER, "down-after-milliseconds", "1000"]);
    }
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut total = 0;
    for round in 0..rounds {
        // All of them: with fewer, redis-sentinel may promote the other one by an INFO of before.
        let replicas = 2;
        let durable = pool.durable(WriteConcern::Replicas(replicas, Duration::from_secs(1)));
        let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (mut durable, stop, count) = (durable.clone(), stop.clone(), count.clone());
                tokio::spawn(async move {
                    let mut confirmed = Vec::new();
                    for number in 0.. {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        let key = format!("{round}.{writer}.{number}");
                        if durable.set::<_, _, ()>(&key, 1).await.is_ok() {
                            confirmed.push(key);
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                    confirmed
                })
            })
            .collect();
        let goal = 50 + fastrand::usize(..200);
        let written = || async { (count.load(Ordering::Relaxed) >= goal).then_some(()) };
        eventually("writes are confirmed", SOON, written, || count.load(Ordering::Relaxed).to_string()).await;
        let before = pool.topology().borrow().clone();
        let died = before.master.as_ref().unwrap().port();
        deployment.nodes.iter_mut().find(|node| node.port == died).unwrap().kill();
        let after = support::topology(&pool, "the pool moved", |now| now.generation > before.generation).await;
        stop.store(true, Ordering::Relaxed);
        let mut confirmed = Vec::new();
        for writer in writers {
            confirmed.extend(writer.await.unwrap());
        }
        let master = after.master.as_ref().unwrap().port();
        let server = |port| deployment.nodes.iter().find(|node: &&Server| node.port == port).unwrap();
        let keys: HashSet<String> = server(master).ask(&["KEYS", "*"]);
        let lost: Vec<_> = confirmed.iter().filter(|key| !keys.contains(*key)).collect();
        assert!(
            lost.is_empty(),
            "round {round}, {replicas} replicas: {} of {} lost: {lost:?}",
            lost.len(),
            confirmed.len()
        );
        total += confirmed.len();
        let () = server(master).ask(&["FLUSHALL"]);
        let folder = deployment.folder.path().to_owned();
        deployment.nodes.iter_mut().find(|node| node.port == died).unwrap().come_back(&folder, master);
        let ready = || async {
            let known = |sentinel: &Server| {
                let replicas: Vec<std::collections::HashMap<String, String>> =
                    sentinel.try_ask(&["SENTINEL", "REPLICAS", support::deployment::MASTER])?;
                let fine = replicas.iter().filter(|replica| {
                    replica["master-link-status"] == "ok"
                        && replica["flags"] == "slave"
                        && replica["master-port"] == master.to_string()
                });
                (fine.count() == 2).then_some(())
            };
            deployment.sentinels.iter().all(|sentinel| known(sentinel).is_some()).then_some(())
        };
        eventually("both replicas are known to follow", SOON, ready, || format!("round {round}")).await;
    }
    pool.shutdown(SOON).await;
    println!("{total} confirmed writes, {rounds} masters killed, none lost");
    total
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_confirmed_write_is_lost_when_masters_are_killed() {
    assert!(kill_masters(20).await > 1000);
}

/// `make test-sdk-writes`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn no_confirmed_write_is_lost_when_a_hundred_masters_are_killed() {
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(100);
    assert!(kill_masters(rounds).await > rounds * 50);
}
