//! Sentinels that move, that belong to others, or that are all gone.

mod support;

use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Address, Builder, SentinelPool};
use support::deployment::Server;
use support::scripted::{ScriptedSentinel, Step};
use support::topology;
use tempfile::TempDir;

/// So long that no test is saved by the periodic question.
const NEVER: Duration = Duration::from_secs(3600);

struct Nodes {
    a: Server,
    b: Server,
    _folder: TempDir,
}

fn two_masters() -> Nodes {
    let folder = tempfile::tempdir().unwrap();
    Nodes { a: Server::redis(folder.path(), None, ""), b: Server::redis(folder.path(), None, ""), _folder: folder }
}

fn builder(sentinels: &[&ScriptedSentinel]) -> Builder {
    let addresses = sentinels.iter().map(|sentinel| sentinel.address().parse::<Address>().unwrap());
    SentinelPool::builder().master("mymaster").sentinels(addresses).refresh_interval(NEVER)
}

fn port(pool: &SentinelPool) -> u16 {
    pool.topology().borrow().master.as_ref().unwrap().port()
}

/// Waits until the pool has a link to this Sentinel.
async fn followed(pool: &SentinelPool, sentinel: &ScriptedSentinel) {
    let address: Address = sentinel.address().parse().unwrap();
    topology(pool, "the sentinel is followed", |topology| {
        topology.sentinels.iter().any(|sentinel| sentinel.address == address && sentinel.connected)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_restart_elsewhere_one_after_another_are_followed() {
    let mut nodes = two_masters();
    let one = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("1");
    let two = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("2");
    one.knows(&[&two]);
    two.knows(&[&one]);
    let pool = builder(&[&one, &two]).connect().await.unwrap();
    followed(&pool, &one).await;
    followed(&pool, &two).await;

    // Each keeps its id at its new address.
    let new_one = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("1");
    new_one.knows(&[&two]);
    two.knows(&[&new_one]);
    drop(one);
    followed(&pool, &new_one).await;
    let new_two = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("2");
    new_two.knows(&[&new_one]);
    new_one.knows(&[&new_two]);
    drop(two);
    followed(&pool, &new_two).await;

    nodes.a.kill();
    for sentinel in [&new_one, &new_two] {
        sentinel.believe(&nodes.b.address(), 2);
    }
    let () = pool.master().idempotent().set("k", 1).await.unwrap();
    assert_eq!(port(&pool), nodes.b.port);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_comes_back_to_its_seed_address_is_followed_once() {
    let nodes = two_masters();
    let seed = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("1");
    let other = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("2");
    let moved = ScriptedSentinel::start(&nodes.a.address(), 1).await.named("1");
    other.knows(&[&seed]);
    seed.knows(&[&other]);
    moved.knows(&[&other]);
    let pool = builder(&[&seed, &other]).connect().await.unwrap();
    followed(&pool, &seed).await;
    followed(&pool, &other).await;
    seed.instead("HELLO", Step::Close);
    other.knows(&[&moved]);
    seed.server.cut();
    followed(&pool, &moved).await;
    let seed_address: Address = seed.address().parse().unwrap();
    assert!(
        pool.topology().borrow().sentinels.iter().any(|sentinel| sentinel.address == seed_address),
        "a seed was dropped"
    );

    seed.belief.lock().unwrap().instead.clear();
    other.knows(&[&seed]);
    let moved_address: Address = moved.address().parse().unwrap();
    topology(&pool, "the double is dropped", |topology| {
        topology.sentinels.iter().all(|sentinel| sentinel.address != moved_address)
            && topology.sentinels.iter().all(|sentinel| sentinel.connected)
    })
    .await;
    pool.shutdown(Duration::ZERO).await;
}
