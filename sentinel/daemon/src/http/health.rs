//! Health as orchestrators ask for it. It never depends on how the masters are: who takes a Sentinel away because a master is
//! down takes it away when clients need it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};

use super::{Shared, problem};

/// Whether the monitor's loop turns: it answers a question.
#[utoipa::path(
    get, path = "/livez", tag = "health",
    responses((status = 200, description = "the monitor's loop turns"), (status = 503, body = super::model::Refusal)),
    security(())
)]
pub(super) async fn live(State(shared): State<Arc<Shared>>) -> Response {
    // There is no such master, so that the answer is short.
    match shared.ask(&["SENTINEL", "CONSENSUS", ""]).await {
        Some(_) => "ok\n".into_response(),
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the monitor's loop does not answer"),
    }
}

/// Whether this Sentinel can do its part: it listens, has its state, and could save it last.
#[utoipa::path(
    get, path = "/readyz", tag = "health",
    responses(
        (status = 200, description = "it listens, its state is loaded, and the last save succeeded"),
        (status = 503, body = super::model::Refusal),
    ),
    security(())
)]
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    // Who answers here listens, and has loaded its state before.
    match &shared.view.load().persist_error {
        None => "ok\n".into_response(),
        Some(error) => problem(StatusCode::SERVICE_UNAVAILABLE, &format!("the state cannot be saved: {error}")),
    }
}
