//! Counts up at the master, ten times a second, and tells what happens to the pool meanwhile.
//!
//! Run it against any deployment, `make demo ARGS=--keep` for example, and take the master away:
//!
//! ```text
//! cargo run -p sentinel-sdk --example follow -- 'redis-sentinel://127.0.0.1:26379?master=mymaster'
//! ```
//!
//! Ctrl-C ends it.

use std::error::Error;
use std::time::{Duration, Instant};

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::SentinelPool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the URL: redis-sentinel://host[:port],...?master=name")?;
    let pool = SentinelPool::from_url(&url).await?;

    let mut events = pool.events();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            println!("         {event:?}");
        }
    });

    let work = async {
        let mut master = pool.master();
        let mut last = Instant::now();
        loop {
            // Not idempotent: when the master dies over it, the error says that the outcome is unknown, and the caller decides.
            match master.incr::<_, _, u64>("follow:count", 1).await {
                Ok(count) => println!("{:5} ms since the last one: {count}", last.elapsed().as_millis()),
                Err(error) => match sentinel_sdk::Error::find(&error) {
                    Some(unknown) if unknown.is_outcome_unknown() => println!("perhaps counted: {unknown}"),
                    _ => println!("not counted: {error}"),
                },
            }
            last = Instant::now();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::select! {
        () = work => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    println!("{}", pool.statistics().to_prometheus(&pool.topology().borrow().name));
    pool.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
