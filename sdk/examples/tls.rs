//! Encrypted connections, and users of their own at Sentinels and nodes.
//!
//! ```sh
//! APP_PASSWORD=... cargo run -p sentinel-sdk --example tls -- s1:26379 mymaster ca.crt
//! ```
//!
//! The same in a URL: `rediss-sentinel://app:...@s1?master=mymaster&tls_ca_file=ca.crt&sentinel_user=sentinel&sentinel_password=...`

use std::error::Error as StdError;
use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::{Credentials, SentinelPool, Tls};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [sentinel, name, authority] = &*arguments else { return Err("usage: tls SENTINEL NAME CA-FILE".into()) };
    // Certificates must name the hosts as the Sentinels tell them; `with_server_name` is for those that do not.
    let tls = Tls::authority_file(authority)?;
    let pool = SentinelPool::builder()
        .master(name)
        .sentinel(sentinel)?
        .tls(tls.clone())
        .sentinel_tls(tls)
        // Asked for with each connection: the password may be another one by then. At the nodes the user needs its commands, ROLE, INFO, PING and, for
        // subscriptions, its channels; at the Sentinels SENTINEL, SUBSCRIBE, PING.
        .credentials_provider(|| async { std::env::var("APP_PASSWORD").map(|it| Credentials::user("app", it)) })
        .sentinel_credentials(Credentials::user("sentinel", std::env::var("SENTINEL_PASSWORD").unwrap_or_default()))
        .connect()
        .await?;
    let pong: String = pool.master().ping().await?;
    println!("{pong} from {:?}", pool.topology().borrow().master);
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}
