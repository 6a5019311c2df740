//! Sentinels that move, that belong to others, or that are all gone.

mod support;

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Address, Builder, SentinelPool};
use support::deployment::Server;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};
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
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_foreign_sentinel_moves_nothing_and_a_majority_brings_the_pool_back() {
    let nodes = two_masters();
    let mut sentinels = Vec::new();
    for id in ["1", "2", "3"] {
        sentinels.push(ScriptedSentinel::start(&nodes.a.address(), 5).await.named(id));
    }
    let pool = builder(&[&sentinels[0], &sentinels[1], &sentinels[2]]).connect().await.unwrap();
    for sentinel in &sentinels {
        followed(&pool, sentinel).await;
    }
    // Somebody else's Sentinel took the address of the third, and their master is one, too.
    sentinels[2].belief.lock().unwrap().id = Some("foreign".to_owned());
    sentinels[2].believe(&nodes.b.address(), 99);
    let asked = sentinels[2].asked();
    sentinels[2].push_switch();
    support::eventually(
        "the foreign sentinel is asked",
        Duration::from_secs(10),
        || async { (sentinels[2].asked() > asked).then_some(()) },
        String::new,
    )
    .await;
    support::eventually(
        "its node is looked at",
        Duration::from_secs(10),
        || async { (pool.statistics().candidates_rejected > 0).then_some(()) },
        || format!("{:?}", pool.statistics()),
    )
    .await;
    // A lost connection does not make it any better.
    let _: u64 = nodes.a.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    for value in 0..20 {
        let () = pool.master().idempotent().set("k", value).await.unwrap();
    }
    assert_eq!(port(&pool), nodes.a.port);
    assert_eq!(nodes.b.ask::<Option<String>>(&["GET", "k"]), None);
    pool.shutdown(Duration::ZERO).await;

    // A pool that knows of no other Sentinel goes there, and comes back when it learns of the majority.
    let pool = builder(&[&sentinels[2]]).refresh_interval(Duration::from_millis(50)).connect().await.unwrap();
    assert_eq!(port(&pool), nodes.b.port);
    sentinels[2].believe(&nodes.a.address(), 5);
    sentinels[2].knows(&[&sentinels[0], &sentinels[1]]);
    let a = nodes.a.port;
    topology(&pool, "the pool is back", |topology| topology.master.as_ref().unwrap().port() == a).await;
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_sentinel_that_tells_of_a_promotion_moves_the_pool_from_a_master_that_is_well() {
    // Given a replica that was promoted, and an old master that has not been told
    let nodes = two_masters();
    let mut sentinels = Vec::new();
    for id in ["1", "2", "3"] {
        sentinels.push(ScriptedSentinel::start(&nodes.a.address(), 1).await.named(id));
    }
    let pool = builder(&[&sentinels[0], &sentinels[1], &sentinels[2]]).connect().await.unwrap();
    for sentinel in &sentinels {
        followed(&pool, sentinel).await;
    }
    nodes.b.inherit(&nodes.a);
    sentinels[1].believe(&nodes.b.address(), 2);
    sentinels[1].push_switch();
    let b = nodes.b.port;
    topology(&pool, "the pool moved", |topology| topology.master.as_ref().unwrap().port() == b).await;
    // The others, who lag, do not bring it back within the time that they may need.
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(port(&pool), b);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lie_that_is_repeated_does_not_hold_up_the_dial_to_the_master() {
    // Given a master whose greeting takes a while, and a node that nobody can reach
    let greets_after = Duration::from_millis(150);
    let node = Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
        "INFO" => say(bulk("")),
        "SET" => say("+OK\r\n"),
        "CLIENT" => Step::Late(greets_after, "+OK\r\n".to_owned()),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await;
    let nobody = Scripted::start(|_| Step::Close).await;
    let good = ScriptedSentinel::start(&node.address(), 1).await;
    let liar = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&[&good, &liar]).connect().await.unwrap();
    liar.believe(&nobody.address(), 9);
    liar.push_switch();
    let rejected = || async { (pool.statistics().candidates_rejected > 0).then_some(()) };
    support::eventually("the lie is noticed", Duration::from_secs(10), rejected, String::new).await;
    // When the connection to the master is lost
    for _ in 0..3 {
        node.cut();
        topology(&pool, "the loss is noticed", |topology| !topology.verified).await;
        let began = Instant::now();
        let () = pool.master().set("k", 1).await.unwrap();
        let took = began.elapsed();
        assert!(took < Duration::from_secs(2), "the master was dialled anew within {took:?}");
    }
    pool.shutdown(Duration::ZERO).await;
}
