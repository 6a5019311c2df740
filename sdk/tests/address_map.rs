//! Sentinels that tell addresses which are not reached from here: of containers, or behind NAT.

mod support;

use std::collections::HashMap;
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Address, SentinelPool};
use support::scripted::{Scripted, ScriptedSentinel, array, bulk, greeting, say};
use support::topology;

async fn node(role: String, name: &'static str) -> Scripted {
    Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => say(role.clone()),
        "GET" => say(bulk(name)),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_sentinels_tell_is_translated_and_what_the_caller_gave_is_not() {
    // Given a master, a replica and two Sentinels that know each other by addresses of their own network
    let master = node(array(&[bulk("master"), ":0\r\n".into(), array(&[])]), "master").await;
    let linked = array(&[bulk("slave"), bulk("inside-1"), ":6379\r\n".into(), bulk("connected"), ":0\r\n".into()]);
    let replica = node(linked, "replica").await;
    let first = ScriptedSentinel::start("inside-1:6379", 1).await;
    let second = ScriptedSentinel::start("inside-1:6379", 1).await;
    first.belief.lock().unwrap().peers.push("inside-4:26379".to_owned());
    let entry = ["ip", "inside-2", "port", "6379", "flags", "slave", "master-link-status", "ok"].map(bulk);
    for sentinel in [&first, &second] {
        sentinel.instead("SENTINEL REPLICAS", say(array(&[array(&entry)])));
    }
    let outside: HashMap<Address, Address> = [
        ("inside-1:6379", master.address()),
        ("inside-2:6379", replica.address()),
        ("inside-4:26379", second.address()),
        // Not told by a Sentinel: it must not be looked up.
        (&*first.address(), "nowhere.invalid:1".to_owned()),
    ]
    .into_iter()
    .map(|(inside, outside)| (inside.parse().unwrap(), outside.parse().unwrap()))
    .collect();

    // When a pool begins with the first Sentinel
    let pool = SentinelPool::builder()
        .master("mymaster")
        .sentinel(&first.address())
        .unwrap()
        .address_map(move |told| outside.get(told).unwrap_or(told).clone())
        .connect()
        .await
        .unwrap();

    // Then it reaches everybody
    let value: String = pool.master().get("k").await.unwrap();
    assert_eq!(value, "master");
    let mut reader = pool.replica();
    let known = topology(&pool, "both sentinels and the replica are known", |topology| {
        topology.replicas.len() == 1 && topology.sentinels.iter().filter(|sentinel| sentinel.connected).count() == 2
    })
    .await;
    assert_eq!(known.master.as_ref().map(ToString::to_string), Some(master.address()));
    assert_eq!(known.replicas[0].to_string(), replica.address());
    support::eventually(
        "reads go to the replica",
        Duration::from_secs(10),
        || async { (reader.clone().get::<_, String>("k").await.unwrap() == "replica").then_some(()) },
        String::new,
    )
    .await;
    let value: String = reader.get("k").await.unwrap();
    assert_eq!(value, "replica");
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_map_that_panics_costs_one_answer_and_not_the_sentinel() {
    let master = node(array(&[bulk("master"), ":0\r\n".into(), array(&[])]), "master").await;
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    let panics = std::sync::atomic::AtomicBool::new(true);
    let pool = SentinelPool::builder()
        .master("mymaster")
        .sentinel(&sentinel.address())
        .unwrap()
        .address_map(move |told| {
            assert!(!panics.swap(false, std::sync::atomic::Ordering::SeqCst), "once");
            told.clone()
        })
        .build()
        .unwrap();
    let value: String = pool.master().get("k").await.unwrap();
    assert_eq!(value, "master");
    pool.shutdown(Duration::ZERO).await;
}
