//! The slot table of a sharded pool, and moving slots while programs write.
//!
//! ```sh
//! cargo run -p sentinel-sdk --example shards -- 'redis-sentinel://s1,s2,s3?master=east,west' table
//! cargo run -p sentinel-sdk --example shards -- 'redis-sentinel://s1,s2,s3?master=east,west' move 0-999 west
//! ```
//!
//! The table is kept at the first of the masters. `resume` puts right what a command that was killed left half-way, `clean SHARD` removes copies that
//! nobody can reach.

use std::error::Error;
use std::time::Duration;

use sentinel_sdk::Builder;
use sentinel_sdk::sharding::{ShardedPool, StoredTable};

const USAGE: &str = "shards URL table | move FIRST-LAST SHARD | resume | clean SHARD";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((url, command)) = arguments.split_first() else { return Err(USAGE.into()) };
    // The programs that read and write are built in the same way.
    let (_, names) = url.split_once("master=").ok_or("the url has no master=")?;
    let names: Vec<&str> = names.split('&').next().unwrap_or_default().split(',').collect();
    let mut builder = ShardedPool::builder().stored(StoredTable::at(names[0]));
    for name in &names {
        builder = builder.shard(name, Builder::from_url(url)?.master(name));
    }
    let pool = builder.connect().await?;
    let mut mover = pool.mover()?;
    match command {
        ["table"] => print!("{}", mover.table().await?),
        ["move", slots, shard] => {
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            eprintln!("waiting until every pool is known");
            let done = mover.move_slots(first.parse()?..=last.parse()?, shard).await?;
            println!("{} keys of {} slots moved; writes waited for {:?}", done.keys, done.slots, done.held);
        }
        ["resume"] => print!("{}", mover.resume().await?),
        ["clean", shard] => println!("{} keys removed", mover.clean(shard).await?),
        _ => return Err(USAGE.into()),
    }
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
