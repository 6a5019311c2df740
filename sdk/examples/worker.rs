//! Jobs taken from a list, each done at least once, whatever happens to the master or to the worker.
//!
//! ```sh
//! cargo run -p sentinel-sdk --example worker -- 'redis-sentinel://HOST:PORT?master=NAME' worker-1
//! redis-cli -p PORT_OF_THE_MASTER LPUSH jobs one two three
//! ```
//!
//! A job stands in a list of the worker while it is done. What a worker left there when it died, it does first when it is back.

use std::error::Error as StdError;
use std::time::Duration;

use redis::{AsyncCommands, Direction, RedisResult};
use sentinel_sdk::SentinelPool;

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("usage: worker redis-sentinel://HOST:PORT?master=NAME [WORKER]")?;
    let mine = format!("jobs:{}", arguments.next().unwrap_or_else(|| "worker".to_owned()));
    let pool = SentinelPool::from_url(&url).await?;
    let work = async {
        loop {
            // A connection of one's own: it blocks. After a switch it is of no more use, and the next one belongs to the new master.
            if let Err(error) = work_until_it_breaks(&pool, &mine).await {
                eprintln!("{error}; going on with a new connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = tokio::signal::ctrl_c() => {}
    }
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

async fn work_until_it_breaks(pool: &SentinelPool, mine: &str) -> RedisResult<()> {
    let mut connection = pool.get().await?;
    while let Some(job) = connection.lindex::<_, Option<String>>(mine, 0).await? {
        done(&mut connection, mine, &job).await?;
    }
    loop {
        let job: Option<String> = connection.blmove("jobs", mine, Direction::Right, Direction::Left, 5.0).await?;
        if let Some(job) = job {
            done(&mut connection, mine, &job).await?;
        }
    }
}

async fn done(connection: &mut sentinel_sdk::ExclusiveConnection, mine: &str, job: &str) -> RedisResult<()> {
    println!("{job} is done");
    connection.lrem(mine, 1, job).await
}
