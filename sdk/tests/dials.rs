//! What is looked at before a connection is used, while it is, and when it is opened.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Builder, Event, SentinelPool};
use support::deployment::Server;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};
use support::{eventually, topology};

const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);

fn builder(sentinel: &ScriptedSentinel) -> Builder {
    SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap().refresh_interval(NEVER)
}

fn master() -> Step {
    say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()]))
}

/// A node whose answer to ROLE the test decides, of the connections in their order.
async fn node(role: impl Fn() -> Step + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => role(),
        "SET" => say("+OK\r\n"),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_periodic_check_finds_a_master_that_is_one_no_longer() {
    // Given a Sentinel that has not noticed, and nobody who writes
    let demoted = Arc::new(AtomicBool::new(false));
    let told = demoted.clone();
    let node = node(move || {
        if told.load(Ordering::SeqCst) {
            return say(array(&[bulk("slave"), bulk("b"), ":1\r\n".into(), bulk("connected"), ":0\r\n".into()]));
        }
        master()
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).refresh_interval(Duration::from_millis(50)).connect().await.unwrap();
    let mut events = pool.events();
    demoted.store(true, Ordering::SeqCst);
    let lost = async {
        loop {
            match events.next().await {
                Some(Event::MasterLost { reason, .. }) => return reason,
                Some(_) => {}
                None => panic!("the events ended"),
            }
        }
    };
    let reason = tokio::time::timeout(PATIENCE, lost).await.expect("nobody noticed");
    assert!(reason.contains("it is a slave"), "{reason}");
    assert!(!pool.topology().borrow().verified);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_sentinels_say_is_looked_at_again_after_a_dial() {
    // Given a candidate that takes its time to answer, and a Sentinel that changes its mind meanwhile
    let a = node(master).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let slow = node(move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Step::Late(Duration::from_millis(500), array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()]))
    })
    .await;
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut events = pool.events();
    sentinel.believe(&slow.address(), 2);
    sentinel.push_switch();
    let dialled = || async { (asked.load(Ordering::SeqCst) > 0).then_some(()) };
    eventually("the candidate is dialled", PATIENCE, dialled, String::new).await;
    let before = sentinel.asked();
    sentinel.believe(&a.address(), 1);
    sentinel.push_switch();
    let heard = || async { (sentinel.asked() > before).then_some(()) };
    eventually("the sentinel is asked again", PATIENCE, heard, String::new).await;
    // Then the pool does not go to a node that nobody names any more
    let dial = || async { (pool.statistics().dials >= 3).then_some(()) };
    eventually("the dial is over", PATIENCE, dial, || format!("{:?}", pool.statistics())).await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    assert_eq!(pool.topology().borrow().generation, 1);
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        assert!(!matches!(event, Event::Switched { .. }), "{event:?}");
    }
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exclusive_dial_under_way_during_a_switch_is_discarded() {
    // Given a master that is slow to answer on every connection but the first
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let a = node(move || match counted.fetch_add(1, Ordering::SeqCst) {
        0 => master(),
        _ => Step::Late(Duration::from_millis(400), array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
    })
    .await;
    let b = node(master).await;
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let taken = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await }
    });
    let dialled = || async { (asked.load(Ordering::SeqCst) > 1).then_some(()) };
    eventually("the connection is being opened", PATIENCE, dialled, String::new).await;
    sentinel.believe(&b.address(), 2);
    sentinel.push_switch();
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    let mut connection = taken.await.unwrap().unwrap();
    assert_eq!((connection.generation(), connection.address().port()), (2, b.port));
    let () = connection.set("k", 1).await.unwrap();
    drop(connection);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_are_told_which_library_this_is() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let info: String = a.ask(&["INFO", "server"]);
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap().trim().to_owned();
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let connection = pool.get().await.unwrap();
    let clients: String = a.ask(&["CLIENT", "LIST"]);
    // `CLIENT SETINFO` came with 7.2.
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap()).collect();
    if parts[..2] >= [7, 2][..] {
        assert_eq!(clients.matches("lib-name=sentinel-sdk").count(), 2, "{clients}");
    } else {
        assert!(!clients.contains("lib-name="), "{clients}");
    }
    drop(connection);
    pool.shutdown(Duration::ZERO).await;

    // Whatever the version of the server
    let told = Arc::new(AtomicUsize::new(0));
    let counted = told.clone();
    let scripted = Scripted::start(move |words| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ROLE"] => master(),
            ["CLIENT", "SETINFO", what, value] => {
                let named =
                    matches!((*what, *value), ("LIB-NAME", "sentinel-sdk") | ("LIB-VER", env!("CARGO_PKG_VERSION")));
                counted.fetch_add(usize::from(named), Ordering::SeqCst);
                say("+OK\r\n")
            }
            _ => greeting(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap_or_else(|| say("-ERR unknown command\r\n")),
        }
    })
    .await;
    let sentinel = ScriptedSentinel::start(&scripted.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    assert_eq!(told.load(Ordering::SeqCst), 2);
    pool.shutdown(Duration::ZERO).await;
}

#[test]
fn streams_and_handles_can_be_shared() {
    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone>() {}
    shared::<SentinelPool>();
    shared::<sentinel_sdk::Events>();
    shared::<sentinel_sdk::Subscription>();
    shared::<sentinel_sdk::ExclusiveConnection>();
    cloned::<sentinel_sdk::Delivery>();
}
