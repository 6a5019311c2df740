//! The description of the endpoint, made out of its functions and types.

use axum::{Json, response::IntoResponse as _, response::Response};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
};

use super::{api, health, metrics, model, stream};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "sentinel",
        description = "What a Sentinel knows, and its metrics. Everything is read; nothing is changed through it.",
        license(name = "MIT")
    ),
    paths(
        health::live, health::ready, metrics::answer, stream::answer, api::status, api::problems, api::config, api::masters,
        api::master, api::replicas, api::sentinels, api::candidates, api::consensus, api::explain, api::settings, api::history,
        api::incident, answer,
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
pub(super) async fn answer() -> Response {
    Json(Description::openapi()).into_response()
}
