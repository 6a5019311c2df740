//! Reads from memory, with the server telling of changes.
//!
//! ```sh
//! cargo run -p sentinel-sdk --features near-cache --example near_cache -- 'redis-sentinel://HOST:PORT?master=NAME'
//! ```

use std::error::Error;
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::SentinelPool;
use sentinel_sdk::near_cache::NearCache;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: near_cache redis-sentinel://HOST:PORT?master=NAME")?;
    let pool = SentinelPool::from_url(&url).await?;
    let mut cache =
        NearCache::builder().max_bytes(8 << 20).stale_while_revalidate(Duration::from_secs(30)).build(&pool)?;
    // Somebody else writes now and then.
    let mut master = pool.master();
    tokio::spawn(async move {
        loop {
            let _: Result<u64, _> = master.incr("example:counter", 1).await;
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    });
    for _ in 0..10 {
        let began = Instant::now();
        let mut last = None;
        for _ in 0..10_000 {
            last = cache.get::<_, Option<u64>>("example:counter").await?;
        }
        let statistics = cache.statistics();
        println!("{last:?}: 10,000 reads in {:?}, {:.2} % from memory", began.elapsed(), 100.0 * statistics.hit_rate());
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
