//! A pool on real servers and Sentinels, through failovers.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Builder, Error, Event, SentinelPool};
use support::deployment::{Deployment, MASTER};
use support::{eventually, topology};

/// Increments a counter without a pause until told to stop.
struct Writer {
    stop: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<Vec<redis::RedisError>>,
}

impl Writer {
    fn start(pool: &SentinelPool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let written = Arc::new(AtomicU64::new(0));
        let mut master = pool.master();
        let task = tokio::spawn({
            let (stop, written) = (stop.clone(), written.clone());
            async move {
                let mut errors = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match master.incr::<_, _, u64>("counter", 1).await {
                        Ok(_) => {
                            written.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(error) => errors.push(error),
                    }
                }
                errors
            }
        });
        Self { stop, written, task }
    }

    /// Waits for `more` further writes.
    async fn goes_on(&self, more: u64) {
        let goal = self.written.load(Ordering::Relaxed) + more;
        eventually(
            "writes go on",
            Duration::from_secs(20),
            || async { (self.written.load(Ordering::Relaxed) >= goal).then_some(()) },
            || format!("{} of {goal} written", self.written.load(Ordering::Relaxed)),
        )
        .await;
    }

    async fn stop(self) -> Vec<redis::RedisError> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.unwrap()
    }
}

fn only_unknown_outcomes(errors: &[redis::RedisError]) {
    for error in errors {
        assert!(
            Error::find(error).is_some_and(Error::is_outcome_unknown),
            "a write was given up although it could have been repeated: {error}"
        );
    }
    assert!(errors.len() <= 1, "one writer has one command in flight: {errors:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_through_a_coordinated_failover() {
    let deployment = Deployment::start();
    // One seed: the other Sentinels are learnt from it.
    let pool = SentinelPool::from_url(&deployment.url(1)).await.unwrap();
    let before = topology(&pool, "three sentinels are followed", |topology| {
        topology.sentinels.iter().filter(|sentinel| sentinel.connected).count() == 3
    })
    .await;
    assert_eq!(before.master.as_ref().unwrap().port(), deployment.nodes[0].port);
    assert!(before.verified);
    let mut checked_out = pool.get().await.unwrap();
    let mut events = pool.events();
    let writer = Writer::start(&pool);
    writer.goes_on(100).await;

    let _: redis::Value = deployment.sentinels[1].ask(&["SENTINEL", "FAILOVER", MASTER]);

    let after = topology(&pool, "the pool moved", |topology| topology.generation > before.generation).await;
    writer.goes_on(100).await;
    let errors = writer.stop().await;
    only_unknown_outcomes(&errors);
    let master = after.master.clone().unwrap();
    assert_ne!(Some(&master), before.master.as_ref());
    assert!(after.config_epoch > before.config_epoch);
    assert_eq!(deployment.node(&master).role(), "master");

    let switched = loop {
        if let Event::Switched { from, to, .. } = events.next().await.unwrap() {
            break (from, to);
        }
    };
    assert_eq!(switched, (before.master.clone(), master.clone()));

    // The connection of the old generation is refused, by name.
    let error = checked_out.get::<_, Option<u64>>("counter").await.unwrap_err();
    match Error::find(&error) {
        Some(Error::Switched(switched)) => {
            assert_eq!(Some(&switched.from), before.master.as_ref());
            assert_eq!(switched.to.as_ref(), Some(&master));
            assert!(!switched.in_flight);
        }
        other => panic!("{other:?} from {error}"),
    }
    let mut fresh = pool.get().await.unwrap();
    assert_eq!(*fresh.address(), master);
    let () = fresh.set("k", "v").await.unwrap();
    drop((fresh, checked_out));
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_after_the_master_is_killed() {
    let mut deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let before = pool.topology().borrow().clone();
    let writer = Writer::start(&pool);
    writer.goes_on(100).await;
    let mut events = pool.events();

    deployment.nodes[0].kill();
    let killed = Instant::now();

    let after = topology(&pool, "the pool moved", |topology| topology.generation > before.generation).await;
    let took = killed.elapsed();
    writer.goes_on(100).await;
    let errors = writer.stop().await;
    only_unknown_outcomes(&errors);
    assert!(after.verified);
    let master = after.master.clone().unwrap();
    assert_eq!(deployment.node(&master).role(), "master");
    let mut seen = Vec::new();
    loop {
        let event = events.next().await.unwrap();
        let done = matches!(event, Event::Switched { .. });
        seen.push(event);
        if done {
            break;
        }
    }
    assert!(matches!(seen[0], Event::MasterLost { .. }), "{seen:?}");
    println!("killed, and on the new master {took:?} later: {seen:#?}");
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_pool_is_on_the_new_master_soon_after_the_first_sentinel_says_so() {
    let deployment = Deployment::start();
    let pool = Builder::from_url(&deployment.url(3)).unwrap().connect().await.unwrap();
    let generation = pool.topology().borrow().generation;
    // A subscriber of our own on each Sentinel shows when the first push leaves.
    let first_push = Arc::new(std::sync::Mutex::new(None::<Instant>));
    let mut subscribers = Vec::new();
    for sentinel in &deployment.sentinels {
        let client = redis::Client::open(format!("redis://{}", sentinel.address())).unwrap();
        let mut subscriber = client.get_async_pubsub().await.unwrap();
        subscriber.subscribe("+switch-master").await.unwrap();
        let first_push = first_push.clone();
        subscribers.push(tokio::spawn(async move {
            if subscriber.on_message().next().await.is_some() {
                first_push.lock().unwrap().get_or_insert_with(Instant::now);
            }
        }));
    }
    let mut watched = pool.topology();
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    tokio::time::timeout(Duration::from_secs(20), watched.wait_for(|topology| topology.generation > generation))
        .await
        .expect("the pool did not move")
        .unwrap();
    let moved = Instant::now();
    let pushed =
        eventually("a push is seen", Duration::from_secs(20), || async { *first_push.lock().unwrap() }, String::new)
            .await;
    let lag = moved.saturating_duration_since(pushed);
    println!("on the new master {lag:?} after the first push");
    // A few milliseconds are usual; the bound leaves room for a busy machine, and is far below the periodic question.
    assert!(lag < Duration::from_millis(500), "{lag:?}");
    for subscriber in subscribers {
        subscriber.abort();
    }
    pool.shutdown(Duration::from_secs(1)).await;
}

/// What an application writes through a forced failover, and what of it the new master lacks.
async fn lost_in_a_forced_failover(hold: Duration) -> (usize, usize) {
    let deployment = Deployment::start();
    let pool = Builder::from_url(&deployment.url(3)).unwrap().hold_writes(hold).connect().await.unwrap();
    let before = topology(&pool, "three sentinels are followed", |topology| {
        topology.sentinels.iter().filter(|sentinel| sentinel.connected).count() == 3
    })
    .await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (mut master, stop) = (pool.master(), stop.clone());
            tokio::spawn(async move {
                let mut written = Vec::new();
                for number in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{writer}.{number}");
                    if master.set::<_, _, ()>(&key, 1).await.is_ok() {
                        written.push(key);
                    }
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                written
            })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    let after = topology(&pool, "the pool moved", |topology| topology.generation > before.generation).await;
    // Beyond the moment at which all Sentinels have told of it.
    let told = || async {
        let at = |sentinel: &support::deployment::Server| {
            sentinel.try_ask::<(String, u16)>(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER]).map(|(_, port)| port)
        };
        let port = after.master.as_ref().map(|master| master.port());
        deployment.sentinels.iter().all(|sentinel| at(sentinel) == port).then_some(())
    };
    eventually("all sentinels name the new master", Duration::from_secs(60), told, String::new).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    stop.store(true, Ordering::Relaxed);
    let mut written = Vec::new();
    for writer in writers {
        written.extend(writer.await.unwrap());
    }
    assert_eq!(pool.topology().borrow().generation, after.generation, "it went back");
    let master = deployment.node(after.master.as_ref().unwrap());
    let keys: std::collections::HashSet<String> = master.ask(&["KEYS", "*"]);
    let lost = written.iter().filter(|key| !keys.contains(*key)).count();
    println!("{lost} of {} writes lost, held for up to {hold:?}", written.len());
    pool.shutdown(Duration::from_secs(1)).await;
    (lost, written.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_in_a_forced_failover_when_writes_are_held() {
    let (lost, written) = lost_in_a_forced_failover(Duration::from_secs(5)).await;
    assert_eq!(lost, 0, "of {written}");
}
