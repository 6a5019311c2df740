//! Connections over which nothing comes any more, although nobody has closed them: what a path leaves behind that was cut for a
//! while, since the kernels repeat what was lost after ever longer pauses.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Builder, Error, SentinelPool, Timeouts};
use support::deployment::Deployment;
use support::eventually;
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};

/// So long that no test is saved by the periodic question.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);
/// Of commands: what must not be waited for.
const LIMIT: Duration = Duration::from_secs(4);
const SILENCE: Duration = Duration::from_millis(100);

fn builder(sentinel: &ScriptedSentinel) -> Builder {
    let mut timeouts = Timeouts::default();
    timeouts.command = LIMIT;
    timeouts.silence = SILENCE;
    timeouts.handshake = Duration::from_millis(200);
    let builder = SentinelPool::builder().master("mymaster").sentinel(&sentinel.address()).unwrap();
    builder.refresh_interval(NEVER).timeouts(timeouts)
}

/// A master whose connection falls silent with `INCRBY silence`; others are served. Counts the questions for its role.
async fn master() -> (Scripted, Arc<AtomicUsize>) {
    let roles = Arc::new(AtomicUsize::new(0));
    let counted = roles.clone();
    let server = Scripted::start(move |words| {
        let words: Vec<_> = words.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["ROLE"] => {
                counted.fetch_add(1, Ordering::SeqCst);
                say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()]))
            }
            ["INCRBY", "SILENCE", _] => Step::Hang,
            ["GET", "SLOW"] => Step::Late(SILENCE * 8, bulk("late")),
            ["SET", ..] => say("+OK\r\n"),
            _ => greeting(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
                .unwrap_or_else(|| say("-ERR unknown command\r\n")),
        }
    })
    .await;
    (server, roles)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_connection_is_replaced_long_before_its_commands_time_out() {
    let (node, _roles) = master().await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut master = pool.master();

    let mut other = master.clone();
    let began = Instant::now();
    let unanswered = tokio::spawn(async move { other.incr::<_, _, u64>("silence", 1).await });
    // The pool notices by itself, and what comes then is not sent into the void.
    eventually(
        "the connection is doubted",
        PATIENCE,
        || async { (pool.statistics().masters_lost == 1).then_some(()) },
        || format!("{:?}", pool.statistics()),
    )
    .await;
    let () = master.set("k", 1).await.unwrap();
    let took = began.elapsed();
    assert!(took < LIMIT / 2, "the next command took {took:?}");

    // What was in flight might still have been answered: it has all its time, and is not repeated.
    let error = unanswered.await.unwrap().unwrap_err();
    assert!(Error::find(&error).is_some_and(Error::is_outcome_unknown), "{error}");
    assert!(began.elapsed() >= LIMIT, "given up after {:?}", began.elapsed());
    assert_eq!(pool.topology().borrow().generation, 1, "the master is the same");
    assert_eq!(pool.statistics().outcomes_unknown, 1);
    pool.shutdown(Duration::ZERO).await;
    // The other end learns of it a moment later.
    eventually(
        "every connection is closed",
        PATIENCE,
        || async { (node.open() == 0).then_some(()) },
        || format!("{} are left", node.open()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_still_arrives_on_the_connection_that_was_given_up() {
    let (node, _roles) = master().await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut master = pool.master();
    let answer: String = master.get("slow").await.unwrap();
    assert_eq!(answer, "late");
    assert_eq!(pool.statistics().masters_lost, 1, "eight times as long as may be silent was not noticed");
    assert_eq!(pool.statistics().retries, 0);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_exclusive_connection_has_the_master_looked_at_and_disturbs_nobody() {
    let (node, roles) = master().await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = builder(&sentinel).connect().await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let (asked, checked) = (sentinel.asked(), roles.load(Ordering::SeqCst));

    let unanswered = tokio::spawn(async move { connection.incr::<_, _, u64>("silence", 1).await });
    eventually(
        "sentinel and master are asked",
        PATIENCE,
        || async { (sentinel.asked() > asked && roles.load(Ordering::SeqCst) > checked).then_some(()) },
        || format!("{} questions, {} for the role", sentinel.asked(), roles.load(Ordering::SeqCst)),
    )
    .await;
    let error = unanswered.await.unwrap().unwrap_err();
    assert!(Error::find(&error).is_some_and(Error::is_outcome_unknown), "{error}");
    let statistics = pool.statistics();
    assert_eq!((statistics.masters_lost, statistics.dials), (0, 3), "{statistics:?}");
    pool.shutdown(Duration::ZERO).await;
}

/// One worker, which the application blocks.
#[tokio::test]
async fn a_program_that_did_not_run_takes_no_server_for_silent() {
    // Given commands whose answers arrive while nothing of this program runs, for longer than any of them may take
    let deployment = Deployment::start();
    let limit = Duration::from_secs(1);
    let mut timeouts = Timeouts::default();
    (timeouts.command, timeouts.silence, timeouts.handshake, timeouts.question) = (limit, limit, limit, limit);
    let pool = Builder::from_url(&deployment.url(3)).unwrap().timeouts(timeouts).connect().await.unwrap();
    for round in 0..3 {
        let (mut master, mut replica) = (pool.master(), pool.replica());
        let mut own = pool.get().await.unwrap();
        // It answers writes when what was sent has had the time to come; well before the Sentinels miss anything.
        let _: redis::Value = deployment.nodes[0].ask(&["CLIENT", "PAUSE", "150", "WRITE"]);
        let commands = async {
            tokio::join!(
                master.set::<_, _, ()>("k", round),
                replica.exists::<_, bool>("k"),
                own.set::<_, _, ()>("own", round)
            )
        };
        let blocked = async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            std::thread::sleep(limit * 3 / 2);
        };
        let (answers, ()) = tokio::join!(commands, blocked);

        // Then all have their answers
        assert!(matches!(answers, (Ok(()), Ok(_), Ok(()))), "round {round}: {answers:?}");
    }
    // And nothing was given up
    let statistics = pool.statistics();
    assert_eq!((statistics.masters_lost, statistics.timeouts), (0, 0), "{statistics:?}");
    assert_eq!(pool.topology().borrow().generation, 1);
}
