//! Reads from the nearest replicas, and tells once a second which they are.
//!
//! ```text
//! cargo run -p sentinel-sdk --example replicas -- 'redis-sentinel://127.0.0.1:26379?master=mymaster'
//! ```
//!
//! Ctrl-C ends it.

use std::error::Error;
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Balance, Builder};
use tokio::time::{Instant, interval};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the URL: redis-sentinel://host[:port],...?master=name")?;
    let pool = Builder::from_url(&url)?
        .balance(Balance::LowestLatency { tolerance: Duration::from_millis(1) })
        .max_lag(1_000_000)
        .connect()
        .await?;

    let mut replica = pool.replica();
    let work = async {
        let mut second = interval(Duration::from_secs(1));
        loop {
            let until = second.tick().await + Duration::from_secs(1);
            let (mut reads, mut failed) = (0, 0);
            while Instant::now() < until {
                match replica.get::<_, Option<String>>("follow:count").await {
                    Ok(_) => reads += 1,
                    Err(_) => failed += 1,
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            println!("{reads} reads, {failed} failed");
            for state in pool.replicas() {
                let sentinel_sdk::ReplicaState { address, readable, latency, lag, .. } = state;
                println!("    {address}: readable {readable}, {latency:?} away, {lag:?} bytes behind");
            }
        }
    };
    tokio::select! {
        () = work => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    pool.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
