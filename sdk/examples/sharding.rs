//! Values spread over several masters.
//!
//! ```sh
//! cargo run -p sentinel-sdk --example sharding -- 'redis-sentinel://s1,s2,s3?master=east,west'
//! ```

use std::error::Error;
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::sharding::{ShardedPool, slot_of};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("usage: sharding redis-sentinel://HOST:PORT?master=NAME,NAME")?;
    let pool = ShardedPool::from_url(&url).await?;
    print!("{}", pool.table());
    let mut master = pool.master();
    let keys: Vec<String> = (0..10).map(|number| format!("example:{number}")).collect();
    let pairs: Vec<(&String, u32)> = keys.iter().zip(0..).collect();
    let () = master.mset(&pairs).await?;
    let values: Vec<u32> = master.mget(&keys).await?;
    for (key, value) in keys.iter().zip(values) {
        let slot = slot_of(key.as_bytes());
        println!("{key} = {value}: slot {slot} at {}", pool.table().shard_of_slot(slot));
    }
    // What belongs together has the same part in braces: it can be changed in one transaction.
    let mut transaction = redis::pipe();
    transaction.atomic().incr("example:{7}:visits", 1).rpush("example:{7}:pages", "/").ignore();
    let (visits,): (u64,) = transaction.query_async(&mut master).await?;
    println!("visits: {visits}");
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
