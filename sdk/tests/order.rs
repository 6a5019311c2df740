//! The order in which commands reach the master.

mod support;

use std::time::Duration;

use futures::future::try_join_all;
use redis::AsyncCommands;
use sentinel_sdk::SentinelPool;
use support::deployment::Server;
use support::scripted::ScriptedSentinel;

/// Callers beside each other, so that their commands go out together.
const CALLERS: usize = 8;
/// So many of all callers fit into the queue of the connection, and no task is interrupted by the scheduler. Beyond that, calls beside each other
/// in one task have no order, over a bare connection neither.
const AT_A_TIME: usize = 30;
const TIMES: usize = 40;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_caller_sends_arrives_in_its_order_among_many_callers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&server.address(), 1).await;
    let url = format!("redis-sentinel://{}?master=mymaster", sentinel.address());
    let pool = SentinelPool::from_url(&url).await.unwrap();
    let callers = (0..CALLERS).map(|caller| {
        let master = pool.master();
        tokio::spawn(async move {
            for time in 0..TIMES {
                // None waits for the answer to the one before: the first one that is polled is sent first.
                let pushed = (0..AT_A_TIME).map(|number| {
                    let mut master = master.clone();
                    let number = time * AT_A_TIME + number;
                    async move { master.rpush::<_, _, usize>(format!("list:{caller}"), number).await }
                });
                try_join_all(pushed).await.unwrap();
            }
        })
    });
    try_join_all(callers).await.unwrap();
    for caller in 0..CALLERS {
        let list: Vec<usize> = server.ask(&["LRANGE", &format!("list:{caller}"), "0", "-1"]);
        assert_eq!(list, (0..TIMES * AT_A_TIME).collect::<Vec<_>>(), "caller {caller}");
    }
    pool.shutdown(Duration::ZERO).await;
}
