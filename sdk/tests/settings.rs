//! Logins that change, times of single handles, and the life of exclusive connections.

mod support;

use std::sync::Arc;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Builder, Credentials, Error, Outcome, ReadPreference};
use support::deployment::{Deployment, MASTER, Server};
use support::eventually;
use support::scripted::ScriptedSentinel;

const SOON: Duration = Duration::from_secs(20);

async fn alone(folder: &std::path::Path) -> (Server, ScriptedSentinel, Builder) {
    let server = Server::redis(folder, None, "");
    let sentinel = ScriptedSentinel::start(&server.address(), 1).await;
    let builder = Builder::from_url(&format!("redis-sentinel://{}?master=mymaster", sentinel.address())).unwrap();
    (server, sentinel, builder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_connection_asks_for_the_login_of_now() {
    let deployment = Deployment::start();
    let set = |password: &str| {
        for node in &deployment.nodes {
            let rule = format!(">{password}");
            let () = node.ask(&["ACL", "SETUSER", "app", "reset", "on", &rule, "~*", "&*", "+@all"]);
        }
    };
    set("first");
    let current = Arc::new(Mutex::new(Ok("first".to_owned())));
    let provider = {
        let current = current.clone();
        move || {
            let answer = current.lock().unwrap().clone();
            async move { answer.map(|password: String| Credentials::user("app", password)) }
        }
    };
    let builder = Builder::from_url(&deployment.url(3)).unwrap().credentials_provider(provider);
    let pool = builder.clone().connect().await.unwrap();
    let mut master = pool.master();
    let who: String = redis::cmd("ACL").arg("WHOAMI").query_async(&mut master).await.unwrap();
    assert_eq!(who, "app");
    // The password rotates; what is open stays, and the master that follows is logged in at with the new one.
    set("second");
    *current.lock().unwrap() = Ok("second".to_owned());
    let () = master.set("k", 1).await.unwrap();
    let generation = pool.topology().borrow().generation;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    support::topology(&pool, "the pool moved", |topology| topology.generation > generation).await;
    let () = master.set("k", 2).await.unwrap();
    let mut connection = pool.get().await.unwrap();
    assert_eq!(connection.get::<_, u64>("k").await.unwrap(), 2);
    drop(connection);
    // Who knows no password gets no connection, and is told why.
    *current.lock().unwrap() = Err("the vault is closed");
    let mut timeouts = sentinel_sdk::Timeouts::default();
    timeouts.start = Duration::from_secs(1);
    let error = builder.timeouts(timeouts).connect().await.map(drop).unwrap_err();
    assert!(error.to_string().contains("the vault is closed"), "{error}");
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handle_may_have_a_time_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let (mut server, _sentinel, builder) = alone(folder.path()).await;
    let pool = builder.connect().await.unwrap();
    let hurried = pool.master().within(Duration::from_millis(150));
    let () = hurried.clone().set("k", 1).await.unwrap();
    // A master that hangs.
    let () = server.ask(&["CLIENT", "PAUSE", "1000", "ALL"]);
    let began = Instant::now();
    let error = hurried.clone().set::<_, _, ()>("k", 2).await.unwrap_err();
    assert_eq!(Outcome::of(&error), Outcome::Unknown);
    let error = hurried.idempotent().get::<_, u64>("k").await.unwrap_err();
    assert!(error.is_timeout(), "{error}");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(300) && took < Duration::from_millis(900), "{took:?}");
    // Others have the time of the pool.
    assert_eq!(pool.master().get::<_, u64>("k").await.unwrap(), 2);
    // One that is gone.
    server.kill();
    let began = Instant::now();
    let error = hurried.clone().set::<_, _, ()>("k", 3).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    assert!(Error::find(&error).is_some(), "{error}");
    let began = Instant::now();
    let replica = pool.replica().prefer(ReadPreference::ReplicaOnly).within(Duration::from_millis(150));
    let error = replica.clone().get::<_, u64>("k").await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NoReplica { .. })), "{error}");
    assert!(began.elapsed() < Duration::from_millis(700), "{:?}", began.elapsed());
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_and_old_connections_are_closed_and_some_are_kept_ready() {
    let folder = tempfile::tempdir().unwrap();
    let (_server, _sentinel, builder) = alone(folder.path()).await;
    let pool = builder.clone().max_idle(Duration::from_millis(300)).min_idle(2).connect().await.unwrap();
    let counts = || {
        let statistics = pool.statistics();
        (statistics.connections_open, statistics.connections_idle)
    };
    let are = |open, idle| async move { (counts() == (open, idle)).then_some(()) };
    eventually("two are ready before anybody asks", SOON, || are(2, 2), || format!("{:?}", counts())).await;
    let mut taken = Vec::new();
    for _ in 0..5 {
        taken.push(pool.get().await.unwrap());
    }
    eventually("two more are ready", SOON, || are(7, 2), || format!("{:?}", counts())).await;
    taken.clear();
    eventually("the others are closed", SOON, || are(2, 2), || format!("{:?}", counts())).await;
    pool.shutdown(SOON).await;

    let pool = builder.max_lifetime(Duration::from_millis(400)).connect().await.unwrap();
    let id = |mut connection: sentinel_sdk::ExclusiveConnection| async move {
        redis::cmd("CLIENT").arg("ID").query_async::<u64>(&mut connection).await.unwrap()
    };
    // The same one twice, unless its time was over just then.
    let twice = || async {
        let first = id(pool.get().await.unwrap()).await;
        (id(pool.get().await.unwrap()).await == first).then_some(first)
    };
    let first = eventually("it is used again", SOON, twice, String::new).await;
    let closed = || async { (pool.statistics().connections_open == 0).then_some(()) };
    eventually("it is closed although nobody asks", SOON, closed, String::new).await;
    assert_ne!(id(pool.get().await.unwrap()).await, first);
    // One that is in use outlives its time, and goes then.
    let mut old = pool.get().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    let () = old.set("k", 1).await.unwrap();
    drop(old);
    eventually("it is closed", SOON, closed, String::new).await;
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_are_ready_right_after_a_switch() {
    let deployment = Deployment::start();
    let pool = Builder::from_url(&deployment.url(3)).unwrap().min_idle(3).connect().await.unwrap();
    let ready = || async { (pool.statistics().connections_idle == 3).then_some(()) };
    eventually("three are ready", SOON, ready, String::new).await;
    let generation = pool.topology().borrow().generation;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    support::topology(&pool, "the pool moved", |topology| topology.generation > generation).await;
    let moved = Instant::now();
    eventually("three are ready", Duration::from_secs(2), ready, || format!("{:?}", pool.statistics())).await;
    println!("ready {:?} after the switch", moved.elapsed());
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_that_prefer_the_master_go_on_without_one() {
    let mut deployment = Deployment::start();
    for sentinel in &deployment.sentinels {
        let _: redis::Value = sentinel.ask(&["SENTINEL", "SET", MASTER, "down-after-milliseconds", "60000"]);
    }
    let pool = Builder::from_url(&deployment.url(3)).unwrap().stale_reads(SOON * 3).connect().await.unwrap();
    let mut reads = pool.replica().prefer(ReadPreference::MasterPreferred).within(Duration::from_secs(3));
    let mut master = pool.master();
    eventually(
        "both replicas are read from",
        SOON,
        || async { (pool.replicas().len() == 2).then_some(()) },
        String::new,
    )
    .await;
    // As fresh as what was written: no replica is asked.
    for number in 0..200 {
        let () = master.set("k", number).await.unwrap();
        assert_eq!(reads.get::<_, u64>("k").await.unwrap(), number);
    }
    deployment.nodes[0].kill();
    let lost = || async { (!pool.topology().borrow().verified).then_some(()) };
    eventually("the master is lost", SOON, lost, String::new).await;
    let value: u64 = reads.get("k").await.unwrap();
    assert_eq!(value, 199);
    pool.shutdown(SOON).await;
}

/// A script goes by its hash, and is sent in full to a server that does not have it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_are_known_to_the_new_master_when_they_are_needed() {
    let deployment = Deployment::start();
    let pool = Builder::from_url(&deployment.url(3)).unwrap().connect().await.unwrap();
    let script = redis::Script::new("return redis.call('INCR', KEYS[1])");
    let mut master = pool.master();
    assert_eq!(script.key("n").invoke_async::<u64>(&mut master).await.unwrap(), 1);
    let generation = pool.topology().borrow().generation;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    let after = support::topology(&pool, "the pool moved", |topology| topology.generation > generation).await;
    let node = deployment.node(after.master.as_ref().unwrap());
    assert_eq!(node.ask::<Vec<u64>>(&["SCRIPT", "EXISTS", script.get_hash()]), [0]);
    assert_eq!(script.key("n").invoke_async::<u64>(&mut master).await.unwrap(), 2);
    assert_eq!(node.ask::<Vec<u64>>(&["SCRIPT", "EXISTS", script.get_hash()]), [1]);
    pool.shutdown(SOON).await;
}
