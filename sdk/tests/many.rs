//! Ten thousand tasks on one pool. Alone in its binary: it counts tasks, sockets and memory.

mod support;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Builder, Error, SentinelPool};
use support::deployment::{Deployment, MASTER};
use support::eventually;

const TASKS: usize = 10_000;
const SOON: Duration = Duration::from_secs(60);
/// Ten thousand answers where other programs have the processors.
const LONG: Duration = Duration::from_secs(300);

/// The memory of this process, in bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn sockets() -> usize {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let is_socket = |file: &fs::DirEntry| {
        fs::read_link(file.path()).is_ok_and(|target| target.to_string_lossy().starts_with("socket:"))
    };
    files.filter(|file| file.as_ref().is_ok_and(is_socket)).count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// Uses the pool in one of several ways until told to stop; returns how often that brought an answer, and what else
/// there was.
async fn use_it(pool: SentinelPool, number: usize, stop: Arc<AtomicBool>, moved: Arc<AtomicUsize>) -> Vec<String> {
    let mut strange = Vec::new();
    let (mut master, mut replica) = (pool.master(), pool.replica());
    let mut has_moved = false;
    while !stop.load(Ordering::Relaxed) {
        let generation = pool.topology().borrow().generation;
        let began = Instant::now();
        let answer = match number % 50 {
            0 => match pool.get().await {
                Ok(mut connection) => connection.incr::<_, _, u64>("exclusive", 1).await,
                Err(error) => Err(error.into()),
            },
            1..=10 => replica.get::<_, Option<u64>>(number).await.map(|_| 1),
            _ => master.incr::<_, _, u64>(number % 100, 1).await,
        };
        match answer {
            Ok(_) if generation > 1 && !has_moved => {
                has_moved = true;
                moved.fetch_add(1, Ordering::Relaxed);
            }
            Ok(_) => {}
            Err(error) => match Error::find(&error) {
                Some(Error::OutcomeUnknown { .. } | Error::Switched(_) | Error::PoolExhausted { .. }) => {}
                // One of one's own that broke before it was used.
                Some(Error::Node { .. }) if number.is_multiple_of(50) => {}
                _ => strange.push(error.to_string()),
            },
        }
        // It is about ten thousand that wait, not about throughput: half of a processor serves them. Where this machine
        // is slow, less is asked of it: it is not to be flooded until nothing is answered in time.
        tokio::time::sleep(Duration::from_secs(4) + 2 * began.elapsed()).await;
    }
    strange
}

async fn round(kill: bool) -> usize {
    let mut deployment = Deployment::start();
    let (tasks_before, sockets_before) = (tasks(), sockets());
    let pool = Builder::from_url(&deployment.url(3)).unwrap().max_waiters(2 * TASKS).connect().await.unwrap();
    let (stop, moved) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let all: Vec<_> =
        (0..TASKS).map(|number| tokio::spawn(use_it(pool.clone(), number, stop.clone(), moved.clone()))).collect();
    eventually(
        "all are at work",
        SOON,
        || async { (pool.statistics().commands > 10_000).then_some(()) },
        || format!("{:?}", pool.statistics()),
    )
    .await;
    if kill {
        deployment.nodes[0].kill();
    } else {
        let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    }
    let began = Instant::now();
    let all_moved = || async { (moved.load(Ordering::Relaxed) == TASKS).then_some(()) };
    let show = || format!("{} of {TASKS}, {:?}", moved.load(Ordering::Relaxed), pool.statistics());
    eventually("every task has an answer after the switch", LONG, all_moved, show).await;
    println!("all served {:?} after the failover began; {:?}", began.elapsed(), pool.statistics());
    stop.store(true, Ordering::Relaxed);
    let mut strange = Vec::new();
    for task in all {
        strange.extend(task.await.unwrap());
    }
    assert!(strange.is_empty(), "{} errors, such as {:?}", strange.len(), &strange[..strange.len().min(3)]);
    assert_eq!(pool.statistics().waiters, 0);
    pool.shutdown(SOON).await;
    assert_eq!(sockets(), sockets_before);
    drop(pool);
    let only = || async { (tasks() == tasks_before).then_some(()) };
    eventually("no task is left", Duration::from_secs(5), only, || tasks().to_string()).await;
    memory()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_tasks_go_through_failovers_and_leave_nothing() {
    let first = round(true).await;
    // What one round needed is there for the next one: it needs no more.
    let mut last = 0;
    for kill in [false, true] {
        last = round(kill).await;
        println!("{} MB, {} MB after the first round", last >> 20, first >> 20);
    }
    // The allocator keeps more of it when the machine is slow (27 % more were seen). Two rounds that left all they
    // needed would more than double it.
    assert!(last < first + first / 2, "{last} bytes, {first} after the first round");
}
