//! The description of the endpoint, made out of its functions and types.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    response::{IntoResponse as _, Response},
};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{Shared, api, change, health, metrics, model, probe, stream};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sentinel",
        description = "What a Sentinel knows, its metrics, and, where a token is set, what operators can change.",
        license(name = "MIT")
    ),
    paths(
        health::live, health::ready, metrics::answer, stream::answer, api::status, api::problems, api::config, api::masters,
        api::master, api::replicas, api::sentinels, api::candidates, api::consensus, api::explain, api::settings, api::history,
        api::incident, probe::primary, probe::replica, answer,
        change::failover, change::pause, change::resume, change::forget, change::settings, change::monitor, change::remove,
        change::reload,
    ),
    modifiers(&Bearer),
    security((), ("token" = []))
)]
struct Description;

/// The token, where one is set.
struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        document.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

/// This description.
#[utoipa::path(
    get, path = "/openapi.json", tag = "sentinel",
    responses((status = 200, description = "an OpenAPI document", content_type = "application/json"), (status = 401, body = model::Refusal))
)]
pub(super) async fn answer(State(shared): State<Arc<Shared>>) -> Response {
    let mut document = Description::openapi();
    if !shared.changes {
        // They do not exist.
        document.paths.paths.retain(|_, item| {
            (item.post, item.put, item.delete) = (None, None, None);
            item.get.is_some()
        });
    }
    Json(document).into_response()
}
