//! What is known, as JSON.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::get,
};
use sentinel_core::{View, settings::sentinel::SENTINEL, view::MasterView};
use sentinel_resp::Reply;

use super::{
    Shared, answers, model,
    model::{Candidate, Consensus, Explanation, Incident, IncidentDetail, Master, MasterDetail, Problem, Refusal},
    probe, problem,
};

type Known = State<Arc<Shared>>;
type Settings = BTreeMap<String, serde_json::Value>;

pub(super) fn routes() -> Router<super::State> {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/problems", get(problems))
        .route("/v1/config", get(config))
        .route("/v1/masters", get(masters))
        .route("/v1/masters/{master}", get(master))
        .route("/v1/masters/{master}/replicas", get(replicas))
        .route("/v1/masters/{master}/sentinels", get(sentinels))
        .route("/v1/masters/{master}/candidates", get(candidates))
        .route("/v1/masters/{master}/consensus", get(consensus))
        .route("/v1/masters/{master}/explain", get(explain))
        .route("/v1/masters/{master}/settings", get(settings))
        .route("/v1/masters/{master}/history", get(history))
        .route("/v1/masters/{master}/history/{id}", get(incident))
        .route("/v1/masters/{master}/primary", probe::of_primary())
        .route("/v1/masters/{master}/replica", probe::of_replica())
}

pub(super) fn unknown_master() -> Response {
    problem(StatusCode::NOT_FOUND, "there is no master of this name")
}

fn about(shared: &Shared, name: &str, answer: impl FnOnce(&View, &MasterView) -> Response) -> Response {
    let view = shared.view.load();
    view.masters.get(name).map_or_else(unknown_master, |master| answer(&view, master))
}

/// This Sentinel, in short.
#[utoipa::path(get, path = "/v1/status", tag = "sentinel", responses((status = 200, body = model::Status), (status = 401, body = Refusal)))]
pub(super) async fn status(State(shared): Known) -> Response {
    Json(model::Status::of(&shared.view.load(), shared.now())).into_response()
}

/// Everything that is wrong, the worst first.
#[utoipa::path(get, path = "/v1/problems", tag = "sentinel", responses((status = 200, body = [Problem]), (status = 401, body = Refusal)))]
pub(super) async fn problems(State(shared): Known) -> Response {
    let view = shared.view.load();
    Json(Problem::all(&view, view.masters.values().map(AsRef::as_ref), shared.now())).into_response()
}

/// The settings of this Sentinel by their keys in TOML. Secrets are masked.
#[utoipa::path(get, path = "/v1/config", tag = "sentinel", responses((status = 200, body = BTreeMap<String, serde_json::Value>), (status = 401, body = Refusal)))]
pub(super) async fn config(State(shared): Known) -> Response {
    let settings: Settings = answers::rows(SENTINEL, &shared.view.load().globals);
    Json(settings).into_response()
}

/// All masters, in the order of their names.
#[utoipa::path(get, path = "/v1/masters", tag = "masters", responses((status = 200, body = [Master]), (status = 401, body = Refusal)))]
pub(super) async fn masters(State(shared): Known) -> Response {
    let (view, now) = (shared.view.load(), shared.now());
    let failovers = answers::last_failovers(&view);
    let masters: Vec<_> = view.masters.values().map(|master| Master::of(&view, master, &failovers, now)).collect();
    Json(masters).into_response()
}

/// One master with its nodes, Sentinels and problems.
#[utoipa::path(
    get, path = "/v1/masters/{master}", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = MasterDetail), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn master(State(shared): Known, Path(name): Path<String>) -> Response {
    about(&shared, &name, |view, master| Json(MasterDetail::of(view, master, shared.now())).into_response())
}

/// The replicas of a master.
#[utoipa::path(
    get, path = "/v1/masters/{master}/replicas", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = [model::Replica]), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn replicas(State(shared): Known, Path(name): Path<String>) -> Response {
    about(&shared, &name, |_, master| Json(model::Replica::all(master, shared.now())).into_response())
}

/// The other Sentinels that watch a master.
#[utoipa::path(
    get, path = "/v1/masters/{master}/sentinels", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = [model::Sentinel]), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn sentinels(State(shared): Known, Path(name): Path<String>) -> Response {
    about(&shared, &name, |_, master| Json(model::Sentinel::all(master, shared.now())).into_response())
}

/// The settings of a master by their keys in TOML. Secrets are masked.
#[utoipa::path(
    get, path = "/v1/masters/{master}/settings", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = BTreeMap<String, serde_json::Value>), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn settings(State(shared): Known, Path(name): Path<String>) -> Response {
    about(&shared, &name, |_, master| Json(answers::settings_of(&master.settings)).into_response())
}

/// The replicas in the order in which they would be promoted, and why the others would not be.
#[utoipa::path(
    get, path = "/v1/masters/{master}/candidates", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = [Candidate]), (status = 401, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal))
)]
pub(super) async fn candidates(State(shared): Known, Path(name): Path<String>) -> Response {
    asked(&shared, "CANDIDATES", &name, Candidate::read).await
}

/// What each Sentinel believes of a master.
#[utoipa::path(
    get, path = "/v1/masters/{master}/consensus", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = Consensus), (status = 401, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal))
)]
pub(super) async fn consensus(State(shared): Known, Path(name): Path<String>) -> Response {
    asked(&shared, "CONSENSUS", &name, Consensus::read).await
}

/// Why there was or was not a failover, and what would happen now.
#[utoipa::path(
    get, path = "/v1/masters/{master}/explain", tag = "masters", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = Explanation), (status = 401, body = Refusal), (status = 404, body = Refusal), (status = 503, body = Refusal))
)]
pub(super) async fn explain(State(shared): Known, Path(name): Path<String>) -> Response {
    asked(&shared, "EXPLAIN", &name, Explanation::read).await
}

/// What only the engine can tell.
async fn asked<T: serde::Serialize>(
    shared: &Shared,
    subcommand: &str,
    name: &str,
    read: impl FnOnce(&Reply) -> Option<T>,
) -> Response {
    if shared.view.load().masters.get(name).is_none() {
        return unknown_master();
    }
    match shared.ask(&["SENTINEL", subcommand, name]).await {
        None => problem(StatusCode::SERVICE_UNAVAILABLE, "the monitor's loop does not answer"),
        // It was removed meanwhile.
        Some(reply) => read(&reply).map_or_else(unknown_master, |answer| Json(answer).into_response()),
    }
}

/// What happened to a master, the newest first. Of one that is not watched any more the past is still known.
#[utoipa::path(
    get, path = "/v1/masters/{master}/history", tag = "history", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = [Incident]), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn history(State(shared): Known, Path(name): Path<String>) -> Response {
    let view = shared.view.load();
    let incidents: Vec<_> =
        view.history.iter().rev().filter(|it| it.master == name).map(|it| Incident::of(it)).collect();
    if incidents.is_empty() && view.masters.get(&name).is_none() {
        return unknown_master();
    }
    Json(incidents).into_response()
}

/// One of these, with everything that was said meanwhile.
#[utoipa::path(
    get, path = "/v1/masters/{master}/history/{id}", tag = "history",
    params(("master" = String, Path, description = "the master's name"), ("id" = String, Path, description = "the id of the incident")),
    responses((status = 200, body = IncidentDetail), (status = 401, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn incident(State(shared): Known, Path((name, id)): Path<(String, String)>) -> Response {
    let view = shared.view.load();
    let found = view.history.iter().find(|it| it.master == name && it.id.to_string() == id);
    match found {
        Some(incident) => Json(IncidentDetail::of(incident)).into_response(),
        None => problem(StatusCode::NOT_FOUND, "there is no such incident of that master"),
    }
}
