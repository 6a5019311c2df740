//! Trouble that lasts: what it costs the servers, and what the caller is told.

mod support;

use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Builder, RetryPolicy, SentinelPool, Timeouts};
use support::deployment::Server;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};

/// So long that no test is saved by the periodic question.
const NEVER: Duration = Duration::from_secs(3600);

fn builder(sentinel: &ScriptedSentinel) -> Builder {
    SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap().refresh_interval(NEVER)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_lacks_replicas_is_not_doubted_by_its_writers() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "min-replicas-to-write 1");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_secs(1))).connect().await.unwrap();
    let mut writers = Vec::new();
    for _ in 0..50 {
        let mut master = pool.master();
        writers.push(tokio::spawn(async move { master.set::<_, _, ()>("k", 1).await }));
    }
    for writer in writers {
        let error = writer.await.unwrap().unwrap_err();
        assert_eq!(error.code(), Some("NOREPLICAS"), "{error}");
    }
    let statistics = pool.statistics();
    assert!(statistics.refusals > 100, "{statistics:?}");
    assert_eq!(statistics.masters_lost, 0, "{statistics:?}");
    assert!(statistics.questions < 20, "{statistics:?}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_refuses_writes_and_calls_itself_a_master_is_lost_ever_more_rarely() {
    let node = Scripted::start(|words| match words[0].as_str() {
        "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
        "SET" => say("-READONLY You can't write against a read only replica.\r\n"),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_secs(1))).connect().await.unwrap();
    let mut writers = Vec::new();
    for _ in 0..50 {
        let mut master = pool.master();
        writers.push(tokio::spawn(async move { master.set::<_, _, ()>("k", 1).await }));
    }
    for writer in writers {
        assert_eq!(writer.await.unwrap().unwrap_err().code(), Some("READONLY"));
    }
    let statistics = pool.statistics();
    assert!((1..10).contains(&statistics.masters_lost), "{statistics:?}");
    assert!(statistics.questions < 50, "{statistics:?}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_without_room_for_more_clients_is_not_stormed_and_the_caller_reads_why() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.wait = Duration::from_secs(1);
    let pool = builder(&sentinel).timeouts(timeouts).connect().await.unwrap();
    // The pool's own connection, and the one that says so.
    let _: String = a.ask(&["CONFIG", "SET", "maxclients", "1"]);
    let mut callers = Vec::new();
    for _ in 0..30 {
        let pool = pool.clone();
        callers.push(tokio::spawn(async move { pool.get().await.map(drop) }));
    }
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err().to_string();
        assert!(error.contains("max number of clients reached"), "{error}");
    }
    let statistics = pool.statistics();
    assert!(statistics.dials_failed < 100, "{statistics:?}");
    assert_eq!(statistics.masters_lost, 0, "{statistics:?}");
    let () = pool.master().set("k", 1).await.unwrap();
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_master_that_is_busy_with_a_script_is_still_the_master() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "lua-time-limit 50");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.silence = Duration::from_millis(100);
    let pool = builder(&sentinel).timeouts(timeouts).connect().await.unwrap();
    let endless = tokio::spawn({
        let mut master = pool.master();
        async move { redis::Script::new("while true do end").invoke_async::<_, ()>(&mut master).await }
    });
    let busy = || async { a.try_ask::<String>(&["PING"]).is_none().then_some(()) };
    support::eventually("the script runs", Duration::from_secs(10), busy, String::new).await;
    // Until the silence was noticed, and longer than an answer to the question for the role may take.
    tokio::time::sleep(timeouts.silence + timeouts.handshake + Duration::from_millis(400)).await;
    let killed: String = redis::cmd("SCRIPT").arg("KILL").query_async(&mut pool.master()).await.unwrap();
    assert_eq!(killed, "OK");
    let error = endless.await.unwrap().unwrap_err().to_string();
    assert!(error.contains("killed"), "{error}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_link_is_given_up_in_time_however_often_it_is_suspected() {
    // Given a master that falls silent on every connection that is open, and commands that notice it one after another
    let silent = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let told = silent.clone();
    let node = Scripted::start(move |words| match words[0].as_str() {
        "INCRBY" => Step::Hang,
        _ if told.load(std::sync::atomic::Ordering::SeqCst) && words[0] != "HELLO" => Step::Hang,
        "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.silence = Duration::from_millis(300);
    timeouts.handshake = Duration::from_millis(600);
    let pool = builder(&sentinel).timeouts(timeouts).connect().await.unwrap();
    silent.store(true, std::sync::atomic::Ordering::SeqCst);
    let began = Instant::now();
    for _ in 0..20 {
        let mut master = pool.master();
        tokio::spawn(async move { master.incr::<_, _, u64>("k", 1).await });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let given_up = || async { (pool.statistics().dials + pool.statistics().dials_failed > 2).then_some(()) };
    support::eventually("the link is given up", Duration::from_secs(10), given_up, String::new).await;
    assert!(began.elapsed() < Duration::from_secs(3), "given up after {:?}", began.elapsed());
    pool.shutdown(Duration::ZERO).await;
}
