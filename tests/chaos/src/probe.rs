//! What a client could do that keeps nothing: it connects to every Sentinel and to the master anew for each write.
//!
//! It is slow and a burden to the servers, but no old connection, no pause and no memory holds it up: where it can write, an
//! application on the same host can, and a longer silence of the application is the application's.

use std::thread;
use std::time::Duration;

use futures::future::join_all;
use sentinel_sdk::redis::{self, AsyncConnectionConfig, RedisResult, aio::MultiplexedConnection};
use tokio::time::{Instant, sleep_until, timeout};

use crate::application::now;

/// The time between two attempts.
const EVERY: Duration = Duration::from_millis(100);
/// Each attempt asks all Sentinels for this long, and then has as long to write.
const PATIENCE: Duration = Duration::from_millis(300);

/// Prints a line each time that it could write, for as long as the process lives.
pub(crate) fn start(name: &str, sentinels: &[String], key: &str) {
    let (name, sentinels, key) = (name.to_owned(), sentinels.to_vec(), key.to_owned());
    // A thread of its own: the application's tasks must not wait for it.
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            loop {
                let began = Instant::now();
                if could_write(&name, &sentinels, &key).await {
                    println!("could 0 {}", now());
                }
                sleep_until(began + EVERY).await;
            }
        });
    });
}

async fn could_write(name: &str, sentinels: &[String], key: &str) -> bool {
    let asked = sentinels.iter().map(|sentinel| timeout(PATIENCE, opinion(sentinel, name)));
    let opinions = join_all(asked).await;
    let newest = opinions.into_iter().filter_map(|opinion| opinion.ok()?.ok()).max();
    match newest {
        Some((_, master)) => matches!(timeout(PATIENCE, write(&master, key)).await, Ok(Ok(()))),
        None => false,
    }
}

/// The configuration epoch, and the master's address.
async fn opinion(sentinel: &str, name: &str) -> RedisResult<(u64, String)> {
    let mut connection = connect(sentinel).await?;
    let ((host, port), fields): ((String, u16), std::collections::HashMap<String, String>) = redis::pipe()
        .cmd("SENTINEL")
        .arg(&["GET-MASTER-ADDR-BY-NAME", name])
        .cmd("SENTINEL")
        .arg(&["MASTER", name])
        .query_async(&mut connection)
        .await?;
    let epoch = fields.get("config-epoch").and_then(|epoch| epoch.parse().ok()).unwrap_or(0);
    Ok((epoch, format!("{host}:{port}")))
}

async fn write(master: &str, key: &str) -> RedisResult<()> {
    redis::cmd("SET").arg(key).arg(0).query_async(&mut connect(master).await?).await
}

async fn connect(address: &str) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    redis::Client::open(format!("redis://{address}"))?.get_multiplexed_async_connection_with_config(&config).await
}
