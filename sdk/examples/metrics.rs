//! How long commands take, once a second, and at the end what an exporter would be given.
//!
//! ```sh
//! cargo run -p sentinel-sdk --features metrics --example metrics -- 'redis-sentinel://HOST:PORT?master=NAME'
//! ```

use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::SentinelPool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: metrics redis-sentinel://HOST:PORT?master=NAME")?;
    let pool = SentinelPool::from_url(&url).await?;
    let work = tokio::spawn({
        let mut master = pool.master();
        async move {
            for number in 0_u64.. {
                // An error is measured, too.
                let _: redis::RedisResult<()> = master.set("metrics:example", number).await;
                let _: redis::RedisResult<u64> = master.get("metrics:example").await;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
    });
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for operation in pool.metrics().operations {
            let (name, durations) = (operation.name, &operation.durations);
            let end = operation.failure.map_or("ok", |failure| failure.as_str());
            let at = |share| durations.quantile(share).unwrap_or_default();
            println!("{name} {end}: {} times, 50 % {:?}, 99 % {:?}", durations.count(), at(0.5), at(0.99));
        }
    }
    work.abort();
    let metrics = pool.metrics();
    println!("{}{}", metrics.to_prometheus(), metrics.statistics.to_prometheus(&metrics.master));
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
