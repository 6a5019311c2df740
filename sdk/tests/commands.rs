//! What happens to commands and connections when the master refuses, hangs, breaks or moves.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Builder, Error, Event, Outcome, RetryPolicy, SentinelPool, Timeouts};
use support::deployment::Server;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};
use support::{eventually, topology};

/// So long that no test is saved by the periodic question.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);

fn builder(sentinel: &ScriptedSentinel) -> Builder {
    SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap().refresh_interval(NEVER)
}

/// A scripted master; `script` decides about everything but the greeting, PING and ROLE.
async fn scripted_master(script: impl Fn(&[String]) -> Step + Send + Sync + 'static) -> Scripted {
    Scripted::start(move |words| {
        if let Some(step) = greeting(words) {
            return step;
        }
        match words[0].as_str() {
            "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
            "PING" => say("+PONG\r\n"),
            "INFO" => say(bulk("")),
            _ => script(words),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_readonly_answer_makes_the_pool_ask_and_the_write_arrives_on_the_new_master() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let b = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut master = pool.master();
    let () = master.set("k", "old").await.unwrap();

    // The switch happens without a push; the old master just becomes a replica.
    sentinel.believe(&b.address(), 2);
    let _: String = a.ask(&["REPLICAOF", "127.0.0.1", &b.port.to_string()]);
    let () = master.set("k", "new").await.unwrap();

    assert_eq!(b.ask::<String>(&["GET", "k"]), "new");
    assert_eq!(pool.topology().borrow().master.as_ref().unwrap().port(), b.port);
    let statistics = pool.statistics();
    assert!(statistics.refusals >= 1 && statistics.retries >= 1, "{statistics:?}");
    assert_eq!(statistics.outcomes_unknown, 0);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_that_lasts_is_returned_as_it_is_when_the_time_is_over() {
    let node = scripted_master(|_| say("-READONLY You can't write against a read only replica.\r\n")).await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let within = Duration::from_millis(200);
    let pool = builder(&sentinel).retry(RetryPolicy::within(within)).connect().await.unwrap();
    let began = Instant::now();
    let error = pool.master().set::<_, _, ()>("k", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("READONLY"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(pool.statistics().retries > 1);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loading_master_is_waited_for() {
    let asked = Arc::new(AtomicUsize::new(0));
    let node = scripted_master({
        let asked = asked.clone();
        move |_| match asked.fetch_add(1, Ordering::SeqCst) {
            0..3 => say("-LOADING Redis is loading the dataset in memory\r\n"),
            _ => say(":1\r\n"),
        }
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let value: u64 = pool.master().incr("k", 1).await.unwrap();
    assert_eq!((value, asked.load(Ordering::SeqCst)), (1, 4));
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_broken_connection_a_read_is_repeated_and_a_write_is_reported_as_unknown() {
    let seen = Arc::new(AtomicUsize::new(0));
    let node = scripted_master({
        let seen = seen.clone();
        // Every other command is met with a closed connection.
        move |_| match seen.fetch_add(1, Ordering::SeqCst) % 2 {
            0 => Step::Close,
            _ => say(":7\r\n"),
        }
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut master = pool.master();

    let value: u64 = master.get("k").await.unwrap();
    assert_eq!((value, seen.load(Ordering::SeqCst)), (7, 2));

    let error = master.incr::<_, _, u64>("secret-key", 1).await.unwrap_err();
    assert_eq!(seen.load(Ordering::SeqCst), 3, "the write was sent more than once");
    assert!(error.is_connection_dropped(), "{error}");
    match Error::find(&error) {
        Some(Error::OutcomeUnknown { command, address, .. }) => {
            assert_eq!(command, "INCRBY");
            assert_eq!(address.port(), node.port);
        }
        other => panic!("{other:?} from {error}"),
    }
    assert!(!error.to_string().contains("secret-key"), "{error}");
    assert_eq!(pool.statistics().outcomes_unknown, 1);
    let value: u64 = master.incr("k", 1).await.unwrap();
    assert_eq!(value, 7);

    // The caller vouches: repeated.
    let value: u64 = master.idempotent().incr("k", 1).await.unwrap();
    assert_eq!((value, seen.load(Ordering::SeqCst)), (7, 6));
    assert_eq!(pool.topology().borrow().generation, 1, "the same master is no switch");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_timeouts_in_a_row_make_the_pool_doubt_and_leave_a_hanging_master() {
    let folder = tempfile::tempdir().unwrap();
    let b = Server::redis(folder.path(), None, "");
    let hanging = scripted_master(|_| Step::Hang).await;
    let sentinel = ScriptedSentinel::start(&hanging.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.command = Duration::from_millis(50);
    timeouts.handshake = Duration::from_millis(200);
    let pool = builder(&sentinel).timeouts(timeouts).timeouts_in_a_row(2).connect().await.unwrap();
    sentinel.believe(&b.address(), 2);
    let mut master = pool.master();
    for _ in 0..2 {
        let error = master.incr::<_, _, u64>("k", 1).await.unwrap_err();
        assert!(error.is_timeout(), "{error}");
        assert!(Error::find(&error).is_some_and(Error::is_outcome_unknown), "{error}");
    }
    // No push, no broken connection: only the timeouts say that something is wrong.
    let value: u64 = master.incr("k", 1).await.unwrap();
    assert_eq!(value, 1);
    assert_eq!(pool.topology().borrow().master.as_ref().unwrap().port(), b.port);
    assert_eq!(pool.statistics().timeouts, 2);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_exclusive_connection_fails_at_the_switch_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let b = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let blocked = tokio::spawn(async move {
        let popped = connection.blpop::<_, Option<(String, String)>>("jobs", 0.0).await;
        (popped, connection)
    });
    support::somebody_blocks(&a).await;
    sentinel.believe(&b.address(), 2);
    sentinel.push_switch();
    let (popped, connection) =
        tokio::time::timeout(PATIENCE, blocked).await.expect("the blocked command was not told of the switch").unwrap();
    match Error::find(&popped.unwrap_err()) {
        Some(Error::Switched(switched)) => {
            assert!(switched.in_flight);
            assert_eq!(switched.generation, 1);
            assert_eq!(switched.to.as_ref().unwrap().port(), b.port);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(connection.generation(), 1);
    // Nothing of the old generation is left open at the old master, although its connection is still held.
    eventually(
        "the old master is left alone",
        PATIENCE,
        || async { a.ask::<String>(&["INFO", "clients"]).contains("connected_clients:1\r\n").then_some(()) },
        || a.ask(&["CLIENT", "LIST"]),
    )
    .await;
    drop(connection);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_waiter_for_a_connection_is_served_by_the_new_generation() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let b = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).max_connections(1).connect().await.unwrap();
    let held = pool.get().await.unwrap();
    let waiting = tokio::spawn({
        let pool = pool.clone();
        async move { pool.get().await }
    });
    eventually(
        "somebody waits",
        PATIENCE,
        || async { (pool.statistics().waiters == 1).then_some(()) },
        || format!("{:?}", pool.statistics()),
    )
    .await;
    sentinel.believe(&b.address(), 2);
    sentinel.push_switch();
    let mut fresh = tokio::time::timeout(PATIENCE, waiting).await.unwrap().unwrap().unwrap();
    assert_eq!(fresh.address().port(), b.port);
    let () = fresh.set("k", 1).await.unwrap();
    drop((held, fresh));
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_has_an_end_and_a_limit() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.wait = Duration::from_millis(300);
    let pool = builder(&sentinel).max_connections(1).max_waiters(1).timeouts(timeouts).connect().await.unwrap();
    let held = pool.get().await.unwrap();
    let (one, two) = tokio::join!(pool.get(), pool.get());
    let errors = [one.unwrap_err(), two.unwrap_err()];
    assert!(errors.iter().any(|error| matches!(error, Error::PoolExhausted { size: 1, .. })), "{errors:?}");
    assert!(errors.iter().any(|error| matches!(error, Error::TooManyWaiters { limit: 1 })), "{errors:?}");
    drop(held);
    pool.get().await.unwrap();
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_is_reused_clean_and_thrown_away_changed() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).max_connections(1).client_name("shop").connect().await.unwrap();
    let id = async |commands: &[&str]| {
        let mut connection = pool.get().await.unwrap();
        let id: u64 = redis::cmd("CLIENT").arg("ID").query_async(&mut connection).await.unwrap();
        for command in commands {
            let mut words = command.split(' ');
            let mut command = redis::cmd(words.next().unwrap());
            command.arg(words.collect::<Vec<_>>());
            let _: redis::Value = command.query_async(&mut connection).await.unwrap();
        }
        id
    };
    let first = id(&["SET k v", "WATCH k", "MULTI", "GET k", "EXEC"]).await;
    assert_eq!(id(&["WATCH k"]).await, first, "a finished transaction leaves the connection as it was");
    let second = id(&["SELECT 1"]).await;
    assert_ne!(second, first, "watched keys stayed");
    let third = id(&[]).await;
    assert_ne!(third, second, "the database stayed changed");
    assert_eq!(id(&[]).await, third);

    // A command that was given up half-way: its answer must not reach the next user.
    let mut connection = pool.get().await.unwrap();
    let blocking = connection.blpop::<_, Option<(String, String)>>("jobs", 0.0);
    assert!(tokio::time::timeout(Duration::from_millis(50), blocking).await.is_err());
    drop(connection);
    assert_ne!(id(&[]).await, third);
    eventually(
        "what was thrown away is closed, and nothing else",
        PATIENCE,
        || async { (a.ask::<String>(&["CLIENT", "LIST"]).matches("name=shop ").count() == 2).then_some(()) },
        || a.ask(&["CLIENT", "LIST"]),
    )
    .await;
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_shared_connection_refuses_what_would_disturb_others() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut master = pool.master();
    let error = master.blpop::<_, Option<(String, String)>>("jobs", 0.1).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NotShareable { .. })), "{error}");
    let error = redis::cmd("WATCH").arg("k").exec_async(&mut master).await.unwrap_err();
    assert!(error.to_string().contains("WATCH"), "{error}");
    // A pipeline with MULTI is fine, and so is a script.
    let (value, length): (u64, u64) =
        redis::pipe().atomic().incr("k", 1).strlen("k").query_async(&mut master).await.unwrap();
    assert_eq!((value, length), (1, 1));
    let script = redis::Script::new("return redis.call('INCR', KEYS[1])");
    let value: u64 = script.key("k").invoke_async(&mut master).await.unwrap();
    assert_eq!(value, 2);
    // A blocking command has its own time on top of the limit on an exclusive connection.
    let mut connection = pool.get().await.unwrap();
    let nothing: Option<(String, String)> = connection.blpop("jobs", 0.05).await.unwrap();
    assert_eq!(nothing, None);
    drop(connection);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_role_permission_the_greeting_tells_the_role() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let _: String = a.ask(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@dangerous"]);
    let replica = Server::redis(folder.path(), Some(a.port), "");
    let _: String = replica.ask(&["ACL", "SETUSER", "app", "on", ">pw", "~*", "+@all", "-@dangerous"]);
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let url = format!("redis-sentinel://app:pw@{}/3?master=mymaster", sentinel.address());
    let pool = Builder::from_url(&url).unwrap().refresh_interval(NEVER).connect().await.unwrap();
    let () = pool.master().set("k", 1).await.unwrap();
    let _: Option<String> = a.ask(&["GET", "k"]);
    assert!(a.ask::<String>(&["INFO", "keyspace"]).contains("db3:keys=1"));
    let mut events = pool.events();
    sentinel.believe(&replica.address(), 2);
    sentinel.push_switch();
    let rejected = async {
        loop {
            if let Some(Event::CandidateRejected { reason, .. }) = events.next().await {
                return reason;
            }
        }
    };
    let reason = tokio::time::timeout(PATIENCE, rejected).await.unwrap();
    assert!(reason.contains("it is a"), "{reason}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_wait_for_the_first_master_and_no_longer_than_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    sentinel.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("$-1\r\n"));
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_millis(100))).build().unwrap();
    let mut master = pool.master();
    let error = master.set::<_, _, ()>("k", 1).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NoMaster { .. })), "{error}");
    assert!(error.is_timeout(), "{error}");
    sentinel.belief.lock().unwrap().instead.clear();
    topology(&pool, "the master is verified", |topology| topology.verified).await;
    let () = master.set("k", 1).await.unwrap();
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_that_says_that_it_was_refused_runs_once() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_millis(300))).connect().await.unwrap();
    let mut master = pool.master();
    for error in ["TRYAGAIN later", "LOADING my things", "CLUSTERDOWN x", "NOREPLICAS for you", "READONLY book"] {
        let key = error.split(' ').next().unwrap();
        let script = redis::Script::new("redis.call('INCR', KEYS[1]) return redis.error_reply(ARGV[1])");
        let failed = script.key(key).arg(error).invoke_async::<()>(&mut master).await.unwrap_err();
        assert_eq!(failed.code(), Some(key), "{failed}");
        assert_eq!(a.ask::<u64>(&["GET", key]), 1, "{error}");
    }
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_became_of_a_lost_attempt_stays_unknown_whatever_follows() {
    let seen = Arc::new(AtomicUsize::new(0));
    let node = scripted_master({
        let seen = seen.clone();
        move |_| match seen.fetch_add(1, Ordering::SeqCst) {
            0 => Step::Close,
            _ => say("-READONLY You can't write against a read only replica.\r\n"),
        }
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_millis(300))).connect().await.unwrap();
    let error = pool.master().idempotent().set::<_, _, ()>("k", 1).await.unwrap_err();
    assert!(seen.load(Ordering::SeqCst) > 1, "it was repeated");
    assert_eq!(Outcome::of(&error), Outcome::Unknown, "{error}");
    assert_eq!(pool.statistics().outcomes_unknown, 1);
    // The same through `?` into this crate's error.
    assert!(Error::from(error).is_outcome_unknown());
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_no_effect_on_the_data_has_no_unknown_outcome() {
    let node = scripted_master(|words| match words[0].as_str() {
        "MULTI" => say("+OK\r\n"),
        _ => Step::Close,
    })
    .await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let outcome = async |before: &[&str], command: &str| {
        let mut connection = pool.get().await.unwrap();
        for command in before {
            redis::cmd(command).exec_async(&mut connection).await.unwrap();
        }
        let error = redis::cmd(command).arg("k").exec_async(&mut connection).await.unwrap_err();
        Error::from(error)
    };
    let watch = outcome(&[], "WATCH").await;
    assert!(!matches!(watch, Error::OutcomeUnknown { .. }), "{watch}");
    let queued = outcome(&["MULTI"], "INCR").await;
    assert!(!matches!(queued, Error::OutcomeUnknown { .. }), "{queued}");
    let exec = outcome(&["MULTI"], "EXEC").await;
    assert!(matches!(exec, Error::OutcomeUnknown { .. }), "{exec}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blocked_command_that_the_server_throws_out_is_told_of_the_switch() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let b = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let blocked = tokio::spawn(async move { connection.blpop::<_, Option<(String, String)>>("jobs", 0.0).await });
    support::somebody_blocks(&a).await;
    sentinel.believe(&b.address(), 2);
    let _: String = a.ask(&["REPLICAOF", "127.0.0.1", &b.port.to_string()]);
    let error = tokio::time::timeout(PATIENCE, blocked).await.expect("it blocks on").unwrap().unwrap_err();
    match Error::find(&error) {
        Some(Error::Switched(switched)) => {
            assert!(!switched.in_flight, "it popped nothing");
            assert_eq!(switched.to.as_ref().map(|to| to.port()), Some(b.port));
        }
        other => panic!("{other:?} from {error}"),
    }
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_served_at_once_is_no_waiter() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let mut timeouts = Timeouts::default();
    timeouts.wait = Duration::from_secs(2);
    let pool = builder(&sentinel).max_connections(8).max_waiters(1).timeouts(timeouts).connect().await.unwrap();
    let callers = (0..8).map(|_| pool.get());
    let connections = futures::future::join_all(callers).await;
    for connection in &connections {
        assert!(connection.is_ok(), "{connection:?}");
    }
    let (one, two) = tokio::join!(pool.get(), pool.get());
    let errors = [one.unwrap_err(), two.unwrap_err()];
    assert!(errors.iter().any(|error| matches!(error, Error::TooManyWaiters { limit: 1 })), "{errors:?}");
    drop(connections);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_is_tried_again_when_a_watched_key_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&a.address(), 1).await;
    let pool = builder(&sentinel).retry(RetryPolicy::within(Duration::from_secs(5))).connect().await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let mut attempts = 0;
    let (value,): (u64,) = connection
        .transaction(&["k"], async |connection, mut pipeline| {
            let value: u64 = connection.get::<_, Option<u64>>("k").await?.unwrap_or(0);
            attempts += 1;
            if attempts < 3 {
                let _: u64 = pool.master().incr("k", 10).await?;
            }
            pipeline.set("k", value + 1).ignore().get("k").query_async(connection).await
        })
        .await
        .unwrap();
    assert_eq!((value, attempts), (21, 3));
    // Left before EXEC, nothing stays watched.
    let error = connection
        .transaction(&["k"], async |_, _| -> redis::RedisResult<Option<()>> {
            Err((redis::ErrorKind::Client, "no").into())
        })
        .await;
    assert!(error.is_err());
    let () = pool.master().set("k", 5).await.unwrap();
    let executed: Option<()> = redis::pipe().atomic().get("k").ignore().query_async(&mut connection).await.unwrap();
    assert!(executed.is_some());
    drop(connection);
    pool.shutdown(Duration::ZERO).await;
}
