//! Applications on three Rust clients, each written as its documentation shows it.
//!
//! usage: `sentinel-test-clients redis-rs|fred|sentinel-sdk NAME HOST:PORT...`

mod fred_client;
mod redis_rs;
mod sdk;
mod writer;

use std::error::Error;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let client = arguments.next().ok_or("name a client: redis-rs, fred or sentinel-sdk")?;
    let name = arguments.next().ok_or("name the master")?;
    let sentinels: Vec<String> = arguments.collect();
    match client.as_str() {
        "redis-rs" => writer::write(redis_rs::Application::new(&name, &sentinels)?).await,
        "fred" => writer::write(fred_client::Application::new(&name, &sentinels).await?).await,
        "sentinel-sdk" => writer::write(sdk::Application::new(&name, &sentinels).await?).await,
        other => Err(format!("no client is called {other:?}: redis-rs, fred or sentinel-sdk").into()),
    }
}
