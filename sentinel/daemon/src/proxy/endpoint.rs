//! `/metrics`, and whether the proxy lives and may be sent clients.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::IntoResponse,
    routing::get,
};
use tokio::{net::TcpListener, sync::watch};

use super::Shared;
use crate::http::connection::{self, HttpListener};

/// The text format of Prometheus.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Serves until the process ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let routes = Router::new()
        .route("/livez", get(|| async { "it lives\n" }))
        .route("/readyz", get(readiness))
        .route("/metrics", get(metrics))
        .with_state(shared);
    let opened = listener.into_std().and_then(|socket| HttpListener::open(socket, None));
    match opened {
        Ok(listener) => {
            // Nobody stops it before the process ends.
            let (_stop, stopped) = watch::channel(());
            connection::serve(vec![listener], routes, None, stopped).await;
        }
        Err(error) => tracing::error!("metrics are not served: {error}"),
    }
}

async fn metrics(State(shared): State<Arc<Shared>>) -> impl IntoResponse {
    let pool = shared.pool.statistics().to_prometheus(&shared.name);
    ([(header::CONTENT_TYPE, TEXT)], shared.counts.to_prometheus() + &pool)
}

/// Ready from the first master on, also while the next one is looked for: clients that wait here are served sooner than
/// those that are sent away.
async fn readiness(State(shared): State<Arc<Shared>>) -> (StatusCode, &'static str) {
    if shared.closing.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "it comes to its end\n");
    }
    if shared.pool.topology().borrow().master.is_none() {
        return (StatusCode::SERVICE_UNAVAILABLE, "no master was found yet\n");
    }
    (StatusCode::OK, "ready\n")
}
