//! Writes are held while a failover goes on.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Master, SentinelPool};
use support::eventually;
use support::scripted::{Scripted, ScriptedSentinel, array, bulk, greeting, say};

const SOON: Duration = Duration::from_secs(20);
/// So long that the end of no test depends on it.
const NEVER: Duration = Duration::from_secs(3600);

/// A master that counts what is written.
async fn counting_master() -> (Scripted, Arc<AtomicUsize>) {
    let written = Arc::new(AtomicUsize::new(0));
    let counter = written.clone();
    let server = Scripted::start(move |words| {
        if let Some(step) = greeting(words) {
            return step;
        }
        match words[0].as_str() {
            "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
            "GET" => say(bulk("v")),
            "SET" => {
                counter.fetch_add(1, Ordering::SeqCst);
                say("+OK\r\n")
            }
            "INFO" => say(bulk("")),
            _ => say("+PONG\r\n"),
        }
    })
    .await;
    (server, written)
}

/// Begins writes until one of them is held; it goes on in its task.
async fn held_write(pool: &SentinelPool) -> tokio::task::JoinHandle<()> {
    let begin = || async {
        let mut master: Master = pool.master();
        let mut write = tokio::spawn(async move { master.set("k", 1).await.unwrap() });
        tokio::time::timeout(Duration::from_millis(200), &mut write).await.is_err().then_some(write)
    };
    eventually("a write is held", SOON, begin, String::new).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_are_held_from_the_first_step_of_a_failover_until_its_own_sentinel_gives_it_up() {
    let (node, written) = counting_master().await;
    let leader = ScriptedSentinel::start(&node.address(), 1).await.named("a");
    let other = ScriptedSentinel::start(&node.address(), 1).await.named("b");
    leader.knows(&[&other]);
    other.knows(&[&leader]);
    let builder = SentinelPool::builder().master("mymaster").refresh_interval(NEVER).hold_writes(NEVER);
    let builder = builder.sentinel(&leader.address()).unwrap().sentinel(&other.address()).unwrap();
    let pool = builder.connect().await.unwrap();
    let mut master = pool.master();
    let () = master.set("k", 0).await.unwrap();
    support::topology(&pool, "both sentinels are followed", |topology| {
        topology.sentinels.iter().filter(|sentinel| sentinel.connected).count() == 2
    })
    .await;

    let payload = format!("master mymaster {}", node.address().replace(':', " "));
    leader.publish("+try-failover", &payload);
    let write = held_write(&pool).await;
    let before = written.load(Ordering::SeqCst);
    assert_eq!(master.get::<_, String>("k").await.unwrap(), "v", "reads go on");

    let asked = other.asked();
    other.publish("-failover-abort-not-elected", &payload);
    let heard = || async { (other.asked() > asked).then_some(()) };
    eventually("the other one was heard", SOON, heard, String::new).await;
    let still = held_write(&pool).await;
    assert_eq!(written.load(Ordering::SeqCst), before, "the failover of the first one goes on");

    leader.publish("-failover-abort-slave-timeout", &payload);
    tokio::time::timeout(SOON, write).await.expect("it is released").unwrap();
    tokio::time::timeout(SOON, still).await.expect("it is released").unwrap();
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_go_on_when_nothing_follows_for_as_long_as_they_may_be_held() {
    let (node, _) = counting_master().await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let builder = SentinelPool::builder().master("mymaster").refresh_interval(NEVER);
    let pool =
        builder.sentinel(&sentinel.address()).unwrap().hold_writes(Duration::from_secs(2)).connect().await.unwrap();
    let payload = format!("master mymaster {}", node.address().replace(':', " "));
    sentinel.publish("+elected-leader", &payload);
    let write = held_write(&pool).await;
    tokio::time::timeout(SOON, write).await.expect("it is released").unwrap();
    pool.shutdown(Duration::ZERO).await;
}
