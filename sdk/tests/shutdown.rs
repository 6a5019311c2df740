//! After a shutdown nothing is left. Alone in its binary: other tests would open sockets of their own.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Error, SentinelPool};
use support::deployment::Server;
use support::eventually;
use support::scripted::{ScriptedSentinel, Step};

const PATIENCE: Duration = Duration::from_secs(10);

fn open_files() -> Vec<String> {
    let files = fs::read_dir("/proc/self/fd").unwrap();
    let mut files: Vec<_> = files
        .filter_map(|file| fs::read_link(file.unwrap().path()).ok())
        .map(|target| target.display().to_string())
        .filter(|target| target.starts_with("socket:"))
        .collect();
    files.sort();
    files
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// The runtime takes a finished task off its list a moment after those who waited for it are woken.
async fn only(tasks_left: usize) {
    eventually(
        "the tasks are gone",
        Duration::from_secs(1),
        || async { (tasks() == tasks_left).then_some(()) },
        || format!("{} tasks, {tasks_left} expected", tasks()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_task_and_no_socket_outlives_the_pool() {
    let folder = tempfile::tempdir().unwrap();
    let a = Server::redis(folder.path(), None, "");
    let sentinel = Server::sentinel(folder.path(), a.port, 1);
    let (sockets, alive) = (open_files(), tasks());

    // Shut down while everything is in use.
    let url = format!("redis-sentinel://{},127.0.0.1:1?master=mymaster", sentinel.address());
    let pool = SentinelPool::from_url(&url).await.unwrap();
    let mut master = pool.master();
    let () = master.set("k", 1).await.unwrap();
    let mut held = pool.get().await.unwrap();
    let idle = pool.get().await.unwrap();
    drop(idle);
    let mut events = pool.events();
    let mut news = pool.subscribe(["news"]).await.unwrap();
    let mut replica = pool.replica();
    let _: Option<u8> = replica.get("k").await.unwrap();
    assert!(tasks() > alive && open_files().len() > sockets.len());
    let began = Instant::now();
    pool.shutdown(Duration::from_millis(200)).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(200), "it did not wait for the connection in use: {took:?}");
    assert!(took < PATIENCE, "{took:?}");
    // At once, not eventually: shutdown joined every task.
    assert_eq!(open_files(), sockets);
    only(alive).await;

    let error = master.set::<_, _, ()>("k", 2).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Shutdown)), "{error}");
    let error = held.set::<_, _, ()>("k", 2).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Shutdown)), "{error}");
    assert!(matches!(pool.get().await, Err(Error::Shutdown)));
    while events.next().await.is_some() {}
    while news.next().await.is_some() {}
    assert!(!pool.topology().borrow().verified);
    drop((pool, master, held, events, news, replica));

    // A command under way is waited for.
    let pool = SentinelPool::from_url(&url).await.unwrap();
    let mut connection = pool.get().await.unwrap();
    let blocked = tokio::spawn(async move { connection.blpop::<_, (String, String)>("jobs", 0.0).await });
    support::somebody_blocks(&a).await;
    let master = pool.master();
    let stopping = tokio::spawn(async move { pool.shutdown(PATIENCE).await });
    eventually(
        "new commands are refused",
        PATIENCE,
        || async { master.clone().get::<_, Option<u64>>("k").await.err() },
        String::new,
    )
    .await;
    let _: u64 = a.ask(&["LPUSH", "jobs", "last"]);
    assert_eq!(blocked.await.unwrap().unwrap(), ("jobs".to_owned(), "last".to_owned()));
    stopping.await.unwrap();
    assert_eq!(open_files(), sockets);
    only(alive).await;
    drop(master);

    // A pool that never found a master, with a Sentinel that hangs.
    let hanging = ScriptedSentinel::start(&a.address(), 1).await;
    hanging.instead("HELLO", Step::Hang);
    let with_server = tasks();
    let pool = SentinelPool::builder().master("mymaster").sentinel(&hanging.address()).unwrap().build().unwrap();
    let waiting = tokio::spawn({
        let mut master = pool.master();
        async move { master.get::<_, Option<u64>>("k").await }
    });
    eventually(
        "somebody waits",
        PATIENCE,
        || async { (pool.statistics().waiters == 1 && hanging.server.open() == 1).then_some(()) },
        || format!("{:?}", pool.statistics()),
    )
    .await;
    pool.shutdown(Duration::ZERO).await;
    let error = waiting.await.unwrap().unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Shutdown)), "{error}");
    eventually(
        "the sentinel sees the end",
        PATIENCE,
        || async { (hanging.server.open() == 0 && tasks() <= with_server).then_some(()) },
        || format!("{} tasks, {with_server} before", tasks()),
    )
    .await;
    drop((pool, hanging));

    // Dropping every handle ends the tasks too, a little later.
    let pool = SentinelPool::from_url(&url).await.unwrap();
    let mut master = pool.master();
    drop(pool);
    let () = master.set("k", 3).await.unwrap();
    drop(master);
    eventually(
        "the dropped pool ends",
        PATIENCE,
        || async { (tasks() == alive && open_files() == sockets).then_some(()) },
        || format!("{} tasks, {:?}", tasks(), open_files()),
    )
    .await;
}
