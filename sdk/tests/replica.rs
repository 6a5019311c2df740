//! Reads from replicas: on real servers, and on scripted ones that lag.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Balance, Builder, Error, ReadPreference, Replica, RetryPolicy, SentinelPool, Timeouts};
use support::deployment::{Deployment, MASTER, Server};
use support::eventually;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};

const SOON: Duration = Duration::from_secs(60);

/// The port of the node that answers.
async fn port(replica: &mut Replica) -> Result<u16, redis::RedisError> {
    let info: String = redis::cmd("INFO").arg("server").query_async(replica).await?;
    let line = info.lines().find_map(|line| line.strip_prefix("tcp_port:")).expect("a port");
    Ok(line.trim().parse().expect("a number"))
}

/// How often each of the next reads went where.
async fn shares(replica: &mut Replica, reads: usize) -> BTreeMap<u16, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..reads {
        *shares.entry(port(replica).await.expect("a read")).or_default() += 1;
    }
    shares
}

/// Waits until reads go to these nodes and no others.
async fn reads_go_to(replica: &mut Replica, nodes: &[&Server]) {
    let mut wanted: Vec<u16> = nodes.iter().map(|node| node.port).collect();
    wanted.sort_unstable();
    let deadline = Instant::now() + SOON;
    loop {
        let seen: Vec<u16> = shares(replica, 20).await.into_keys().collect();
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "reads go to {seen:?}, and not to {wanted:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_shared_among_the_replicas_and_follow_a_switch() {
    let mut deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let () = pool.master().set("k", "v").await.unwrap();
    let mut replica = pool.replica();
    reads_go_to(&mut replica, &[&deployment.nodes[1], &deployment.nodes[2]]).await;
    assert_eq!(pool.topology().borrow().replicas.len(), 2);
    // One at a time there is nothing to choose by but the turn.
    assert!(shares(&mut replica, 20).await.values().all(|share| *share == 10));
    let value: String = replica.get("k").await.unwrap();
    assert_eq!(value, "v");

    // A write is the caller's mistake, and the replica says so.
    let error = replica.set::<_, _, ()>("k", 2).await.unwrap_err();
    assert_eq!(error.code(), Some("READONLY"), "{error}");
    let error = replica.blpop::<_, ()>("k", 1.0).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NotShareable { .. })), "{error}");

    // A replica that dies is left out without a failed read.
    deployment.nodes[1].kill();
    for _ in 0..100 {
        let _: String = replica.get("k").await.unwrap();
    }
    reads_go_to(&mut replica, &[&deployment.nodes[2]]).await;

    // A new one is read from as soon as the Sentinels know it, and the one that was the master after a failover.
    deployment.nodes[1] = Server::redis(deployment.folder.path(), Some(deployment.nodes[0].port), "");
    reads_go_to(&mut replica, &[&deployment.nodes[1], &deployment.nodes[2]]).await;
    let before = pool.topology().borrow().generation;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    let after = support::topology(&pool, "the pool moved", |topology| topology.generation > before).await;
    let master = after.master.clone().unwrap().port();
    let others: Vec<_> = deployment.nodes.iter().filter(|node| node.port != master).collect();
    reads_go_to(&mut replica, &others).await;
    pool.shutdown(Duration::from_secs(1)).await;
    let error = replica.get::<_, String>("k").await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Shutdown)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_replica_the_preference_decides() {
    let mut deployment = Deployment::start();
    let builder = || Builder::from_url(&deployment.url(3)).unwrap();
    let patient = builder().connect().await.unwrap();
    let strict = builder()
        .read_preference(ReadPreference::ReplicaOnly)
        .balance(Balance::RoundRobin)
        .retry(RetryPolicy::within(Duration::from_secs(2)))
        .connect()
        .await
        .unwrap();
    let (mut preferred, mut only) = (patient.replica(), strict.replica());
    reads_go_to(&mut preferred, &[&deployment.nodes[1], &deployment.nodes[2]]).await;
    reads_go_to(&mut only, &[&deployment.nodes[1], &deployment.nodes[2]]).await;

    let replicas = deployment.nodes.split_off(1);
    drop(replicas);
    reads_go_to(&mut preferred, &[&deployment.nodes[0]]).await;
    let error = eventually(
        "a read is refused for want of a replica",
        SOON,
        || async { only.clone().get::<_, Option<String>>("k").await.err() },
        String::new,
    )
    .await;
    match Error::find(&error) {
        Some(Error::NoReplica { causes, .. }) => {
            assert!(causes.iter().all(|cause| cause.role == sentinel_sdk::Role::Replica), "{causes}");
        }
        _ => assert!(error.is_io_error(), "{error}"),
    }
    patient.shutdown(Duration::from_secs(1)).await;
    strict.shutdown(Duration::from_secs(1)).await;
}

/// A node that tells the role it is given, and its name for any key.
async fn node(name: &'static str, role: impl Fn() -> String + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => say(role()),
        "GET" => say(bulk(name)),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await
}

fn linked(offset: u64) -> String {
    array(&[bulk("slave"), bulk("a"), ":1\r\n".into(), bulk("connected"), format!(":{offset}\r\n")])
}

/// What a Sentinel answers that holds these for up and linked.
fn listed(replicas: &[&Scripted]) -> String {
    let entries: Vec<_> = replicas
        .iter()
        .map(|node| {
            let port = node.port.to_string();
            let words = ["ip", "127.0.0.1", "port", &port, "flags", "slave", "master-link-status", "ok"];
            array(&words.map(bulk))
        })
        .collect();
    array(&entries)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_or_loses_its_master_is_left_out_until_it_has_caught_up() {
    let offset = Arc::new(AtomicU64::new(900));
    let told = offset.clone();
    let master = node("master", || array(&[bulk("master"), ":1000\r\n".into(), array(&[])])).await;
    let near = node("near", || linked(1000)).await;
    let far = node("far", move || match told.load(Ordering::SeqCst) {
        0 => array(&[bulk("slave"), bulk("a"), ":1\r\n".into(), bulk("connect"), ":-1\r\n".into()]),
        offset => linked(offset),
    })
    .await;
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    sentinel.instead("SENTINEL REPLICAS", say(listed(&[&near, &far])));
    let pool = SentinelPool::builder()
        .master("mymaster")
        .sentinel(&sentinel.address())
        .unwrap()
        .sentinel_ping_interval(Duration::from_millis(20))
        .max_lag(100)
        .connect()
        .await
        .unwrap();
    let replica = pool.replica();
    let read_from = |wanted: &'static [&'static str]| {
        let mut replica = replica.clone();
        async move {
            let deadline = Instant::now() + SOON;
            loop {
                let mut seen = BTreeSet::new();
                for _ in 0..10 {
                    seen.insert(replica.get::<_, String>("k").await.unwrap());
                }
                if seen.iter().eq(wanted) {
                    return;
                }
                assert!(Instant::now() < deadline, "reads go to {seen:?}, and not to {wanted:?}");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };

    read_from(&["far", "near"]).await;
    offset.store(899, Ordering::SeqCst);
    read_from(&["near"]).await;
    offset.store(950, Ordering::SeqCst);
    read_from(&["far", "near"]).await;
    // The Sentinels have not noticed yet that it has lost its master.
    offset.store(0, Ordering::SeqCst);
    read_from(&["near"]).await;
    offset.store(1000, Ordering::SeqCst);
    read_from(&["far", "near"]).await;

    // A connection that breaks costs a read nothing.
    near.cut();
    far.cut();
    let value: String = replica.clone().get("k").await.unwrap();
    assert!(["near", "far", "master"].contains(&value.as_str()), "{value}");
    read_from(&["far", "near"]).await;
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_at_a_replica_that_hangs_does_not_wait_until_it_times_out() {
    // Given a replica that answers no read any more, and commands that may take an hour
    let node = |name: &'static str, role: String, hangs: bool| {
        Scripted::start(move |words| match words[0].as_str() {
            "ROLE" => say(role.clone()),
            "GET" if hangs => Step::Hang,
            "GET" => say(bulk(name)),
            _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
        })
    };
    let master = node("master", array(&[bulk("master"), ":1000\r\n".into(), array(&[])]), false).await;
    let hung = node("hung", linked(1000), true).await;
    let well = node("well", linked(1000), false).await;
    let mut timeouts = Timeouts::default();
    timeouts.command = Duration::from_secs(3600);
    timeouts.silence = Duration::from_millis(50);
    let builder = |sentinel: &ScriptedSentinel| {
        let builder = SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap();
        builder.balance(Balance::RoundRobin)
    };
    for (replicas, answers) in [(vec![&hung, &well], "well"), (vec![&hung], "master")] {
        let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
        sentinel.instead("SENTINEL REPLICAS", say(listed(&replicas)));
        let pool = builder(&sentinel).timeouts(timeouts).connect().await.unwrap();
        let mut replica = pool.replica();
        let all = || async { (pool.statistics().replicas_readable == replicas.len() as u64).then_some(()) };
        eventually("all are read from", SOON, all, || format!("{:?}", pool.statistics())).await;

        // When it is the turn of that replica, another node answers, and nothing has timed out
        let mut reads = 0;
        while pool.statistics().retries == 0 {
            let value = tokio::time::timeout(SOON, replica.get::<_, String>("k")).await.expect("an answer");
            assert_eq!(value.unwrap(), answers);
            reads += 1;
        }
        let statistics = pool.statistics();
        assert_eq!((statistics.commands, statistics.timeouts), (reads, 0), "{statistics:?}");
        pool.shutdown(Duration::ZERO).await;
    }

    // But who wants nothing repeated is told that there is no answer
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    sentinel.instead("SENTINEL REPLICAS", say(listed(&[&hung])));
    timeouts.command = Duration::from_millis(200);
    let pool = builder(&sentinel).timeouts(timeouts).retry(RetryPolicy::never()).connect().await.unwrap();
    let replica = pool.replica();
    let failed = || {
        let mut replica = replica.clone();
        async move { replica.get::<_, String>("k").await.err() }
    };
    let error = eventually("a read goes to the replica", SOON, failed, || format!("{:?}", pool.statistics())).await;
    assert!(error.is_timeout(), "{error}");
    assert_eq!(pool.statistics().retries, 0);
    pool.shutdown(Duration::ZERO).await;
}

/// A deployment of scripted nodes of which the replica says this of its link to the master.
async fn one_replica(state: impl Fn() -> String + Send + Sync + 'static) -> (Scripted, Scripted, ScriptedSentinel) {
    let master = node("master", || array(&[bulk("master"), ":1000\r\n".into(), array(&[])])).await;
    let replica = node("replica", move || {
        array(&[bulk("slave"), bulk("a"), ":1\r\n".into(), bulk(&state()), ":1000\r\n".into()])
    })
    .await;
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    sentinel.instead("SENTINEL REPLICAS", say(listed(&[&replica])));
    (master, replica, sentinel)
}

fn strict(sentinel: &ScriptedSentinel) -> Builder {
    SentinelPool::builder()
        .master("mymaster")
        .sentinel(&sentinel.address())
        .unwrap()
        .read_preference(ReadPreference::ReplicaOnly)
        .retry(RetryPolicy::within(Duration::from_secs(1)))
        .sentinel_ping_interval(Duration::from_millis(20))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_read_from_while_no_sentinel_can_be_reached() {
    let (_master, _replica, sentinel) = one_replica(|| "connected".to_owned()).await;
    let pool = strict(&sentinel).connect().await.unwrap();
    let mut replica = pool.replica();
    let value: String = replica.get("k").await.unwrap();
    assert_eq!(value, "replica");
    // When all Sentinels are gone, which the pool has noticed
    drop(sentinel);
    support::topology(&pool, "the loss is noticed", |topology| !topology.sentinels[0].connected).await;
    // Then the list they gave stays in force
    for _ in 0..20 {
        let value: String = replica.get("k").await.unwrap();
        assert_eq!(value, "replica");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(pool.topology().borrow().replicas.len(), 1);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_has_lost_its_master_is_read_from_for_as_long_as_is_wanted() {
    let linked = Arc::new(std::sync::atomic::AtomicBool::new(true));
    let told = linked.clone();
    let state = move || if told.load(Ordering::SeqCst) { "connected".to_owned() } else { "connect".to_owned() };
    let (_master, _replica, sentinel) = one_replica(state).await;
    let longest = Duration::from_millis(500);
    let pool = strict(&sentinel).stale_reads(longest).connect().await.unwrap();
    let mut events = pool.events();
    let mut replica = pool.replica();
    let _: String = replica.get("k").await.unwrap();
    linked.store(false, Ordering::SeqCst);
    let began = Instant::now();
    let lost = async {
        loop {
            match futures::StreamExt::next(&mut events).await {
                Some(sentinel_sdk::Event::ReplicaLost { reason, .. }) => return reason,
                Some(_) => {}
                None => panic!("the events ended"),
            }
        }
    };
    let reason = tokio::time::timeout(SOON, lost).await.expect("it is left out");
    assert!(reason.contains("connect"), "{reason}");
    assert!(began.elapsed() >= longest, "left out after {:?}", began.elapsed());
    linked.store(true, Ordering::SeqCst);
    let _: String = eventually("it is back", SOON, || async { replica.clone().get("k").await.ok() }, String::new).await;
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_is_not_listed_any_more_is_told_as_an_event() {
    let (_master, _replica, sentinel) = one_replica(|| "connected".to_owned()).await;
    let pool = strict(&sentinel).refresh_interval(Duration::from_millis(20)).connect().await.unwrap();
    let mut events = pool.events();
    let _: String = pool.replica().get("k").await.unwrap();
    sentinel.instead("SENTINEL REPLICAS", say(array(&[])));
    let lost = async {
        while !matches!(futures::StreamExt::next(&mut events).await, Some(sentinel_sdk::Event::ReplicaLost { .. })) {}
    };
    tokio::time::timeout(SOON, lost).await.expect("nobody was told");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_read_never_goes_to_the_master_by_this_handle() {
    let folder = tempfile::tempdir().unwrap();
    let master = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&master.address(), 1).await;
    let pool = SentinelPool::builder()
        .master("mymaster")
        .sentinel(&sentinel.address())
        .unwrap()
        .retry(RetryPolicy::within(Duration::from_millis(300)))
        .connect()
        .await
        .unwrap();
    let mut replica = pool.replica();
    let error = replica.set::<_, _, ()>("k", 1).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NoReplica { .. })), "{error}");
    assert_eq!(master.ask::<Option<String>>(&["GET", "k"]), None);
    let nothing: Option<String> = replica.get("k").await.unwrap();
    assert_eq!(nothing, None, "a read goes to the master");
    pool.shutdown(Duration::ZERO).await;
}
