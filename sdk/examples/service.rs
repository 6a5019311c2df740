//! An HTTP service: a counter, health for a load balancer, metrics for Prometheus, and an orderly end.
//!
//! ```sh
//! cargo run -p sentinel-sdk --example service -- 'redis-sentinel://HOST:PORT?master=NAME'
//! curl -X POST localhost:8080/visits/home
//! ```

use std::error::Error as StdError;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use redis::AsyncCommands;
use sentinel_sdk::{Outcome, SentinelPool};

#[tokio::main]
async fn main() -> Result<(), Box<dyn StdError>> {
    let url = std::env::args().nth(1).ok_or("usage: service redis-sentinel://HOST:PORT?master=NAME")?;
    let pool = SentinelPool::from_url(&url).await?;
    let service = Router::new()
        .route("/visits/{page}", post(visit).get(visits))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(pool.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    println!("listening on {}", listener.local_addr()?);
    axum::serve(listener, service)
        .with_graceful_shutdown(async {
            let _ = tokio::signal::ctrl_c().await;
        })
        .await?;
    pool.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// A request should not wait longer than its client does.
const PATIENCE: Duration = Duration::from_secs(2);

async fn visit(State(pool): State<SentinelPool>, Path(page): Path<String>) -> (StatusCode, String) {
    match pool.master().within(PATIENCE).incr::<_, _, u64>(format!("visits:{page}"), 1).await {
        Ok(visits) => (StatusCode::OK, format!("{visits}\n")),
        // The client may try again, or ask first: this request may have been counted.
        Err(error) if Outcome::of(&error) == Outcome::Unknown => (StatusCode::ACCEPTED, format!("{error}\n")),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

async fn visits(State(pool): State<SentinelPool>, Path(page): Path<String>) -> (StatusCode, String) {
    match pool.replica().within(PATIENCE).get::<_, Option<u64>>(format!("visits:{page}")).await {
        Ok(visits) => (StatusCode::OK, format!("{}\n", visits.unwrap_or(0))),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")),
    }
}

async fn ready(State(pool): State<SentinelPool>) -> (StatusCode, String) {
    let topology = pool.topology().borrow().clone();
    let code = if topology.verified { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, format!("master: {:?}, generation {}\n", topology.master, topology.generation))
}

async fn metrics(State(pool): State<SentinelPool>) -> String {
    let name = pool.topology().borrow().name.clone();
    pool.statistics().to_prometheus(&name)
}
