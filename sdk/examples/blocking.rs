//! Without a runtime: a transaction with WATCH on a connection of its own, begun anew when the master changes under it.
//!
//! ```text
//! cargo run -p sentinel-sdk --example blocking -- 'redis-sentinel://127.0.0.1:26379?master=mymaster'
//! ```
//!
//! It tries a hundred times to move a piece from one account to another, every 100 ms.

use std::error::Error;
use std::thread::sleep;
use std::time::Duration;

use redis::{Commands, RedisResult};
use sentinel_sdk::Error as PoolError;
use sentinel_sdk::blocking::SentinelPool;

fn main() -> Result<(), Box<dyn Error>> {
    let url = std::env::args().nth(1).ok_or("give the URL: redis-sentinel://host[:port],...?master=name")?;
    let pool = SentinelPool::from_url(&url)?;
    let () = pool.master().mset(&[("account:a", 100), ("account:b", 0)])?;

    for _ in 0..100 {
        match move_one(&pool) {
            Ok((a, b)) => println!("a has {a}, b has {b}"),
            // The connection belonged to a master that is none any more: the next one is to the new master.
            Err(error) => match PoolError::find(&error) {
                Some(error) if error.is_outcome_unknown() => println!("perhaps moved: {error}"),
                _ => println!("not moved: {error}"),
            },
        }
        sleep(Duration::from_millis(100));
    }
    pool.shutdown(Duration::from_secs(1));
    Ok(())
}

fn move_one(pool: &SentinelPool) -> RedisResult<(i64, i64)> {
    let mut connection = pool.get()?;
    redis::transaction(&mut connection, &["account:a", "account:b"], |connection, pipeline| {
        let left: i64 = connection.get("account:a")?;
        if left < 1 {
            return Ok(Some((left, connection.get("account:b")?)));
        }
        pipeline.decr("account:a", 1).incr("account:b", 1).query(connection)
    })
}
