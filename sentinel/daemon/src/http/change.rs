//! The calls that change something. Each is a command of the Redis port with its words in JSON: it goes through the same row
//! of the table of commands, and what the engine answers becomes the answer.
//!
//! They exist only where a token is set. Browsers send requests for other pages' sake: one whose `Origin` is another place
//! than this is refused, and so is a body that a form could have sent.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse as _, Response},
    routing::{post, put},
};
use bytes::Bytes;
use sentinel_core::{
    command::errors,
    settings::{master::MASTER, row::Kind},
    types::HostPort,
};
use sentinel_resp::{Reply, text};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{Shared, model::Refusal, problem, refused};

type Known = State<Arc<Shared>>;

/// Bytes of a body.
const BODY: usize = 16 * 1024;
/// So many are taken in before a longer one is refused, so that whoever sends it hears why.
const DRAINED: usize = 64 * 1024;
/// How long a body may take to come.
const BODY_WITHIN: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<super::State> {
    Router::new()
        .route("/v1/reload", post(reload))
        .route("/v1/masters/{master}", put(monitor).delete(remove))
        .route("/v1/masters/{master}/failover", post(failover))
        .route("/v1/masters/{master}/pause", post(pause))
        .route("/v1/masters/{master}/resume", post(resume))
        .route("/v1/masters/{master}/forget", post(forget))
        .route("/v1/masters/{master}/settings", post(settings))
        .route_layer(middleware::from_fn(same_origin))
}

/// Lets a request pass that no other place's page has made a browser send.
async fn same_origin(request: Request, next: Next) -> Response {
    if is_foreign(request.headers()) {
        return problem(StatusCode::FORBIDDEN, "a page of another origin may change nothing here");
    }
    next.run(request).await
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    if text(header::HeaderName::from_static("sec-fetch-site"))
        .is_some_and(|site| site != "same-origin" && site != "none")
    {
        return true;
    }
    let Some(origin) = text(header::ORIGIN) else { return false };
    let place = origin.split_once("://").map(|(_, place)| place);
    !place.is_some_and(|place| text(header::HOST).is_some_and(|host| host.eq_ignore_ascii_case(place)))
}

/// What a change has come to.
#[derive(Serialize, ToSchema)]
pub(super) struct Done {
    /// What the command answers on the Redis port: `OK`, or lines that say more.
    #[schema(value_type = Value)]
    result: serde_json::Value,
}

/// Which replica is to be promoted, and how.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Failover {
    /// `host:port` of the replica; without it the rules choose.
    to: Option<String>,
    /// The master hands over without losing a write, or stays.
    coordinated: bool,
    /// That replica is promoted whatever it holds, in place of a master that is down.
    force: bool,
    /// Only say which one it would be, what may be lost, and what the nodes do not permit.
    dry_run: bool,
    /// Why; it stands in the log and in the history.
    reason: Option<String>,
}

/// For how long nobody is nominated.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Pause {
    /// Seconds, or a text such as `30m`; without it the pause has no end.
    #[schema(value_type = Option<String>)]
    ttl: Option<serde_json::Value>,
    /// Why.
    reason: Option<String>,
}

/// What is gone for good; one of the three.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Forget {
    /// The id of another Sentinel.
    sentinel: Option<String>,
    /// All other Sentinels that have never said who they are and cannot be reached.
    unverified: bool,
    /// `host:port` of a replica.
    replica: Option<String>,
}

/// A master that is to be monitored.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Monitor {
    /// `host:port`
    address: String,
    /// How many Sentinels must agree that it is down.
    quorum: u32,
}

/// Nothing.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Nothing {}

/// Settings by their keys in TOML or their names in SENTINEL SET; times are milliseconds, null unsets.
type Settings = BTreeMap<String, serde_json::Value>;

/// Promotes a replica, though the master may be well: `SENTINEL FAILOVER`.
#[utoipa::path(
    post, path = "/v1/masters/{master}/failover", tag = "changes", request_body = Failover,
    params(("master" = String, Path, description = "its name")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 404, body = Refusal), (status = 409, description = "it cannot be done now", body = Refusal),
    )
)]
pub(super) async fn failover(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    let words = async {
        let Failover { to, coordinated, force, dry_run, reason } = body(request).await?;
        let mut words = vec!["FAILOVER".to_owned(), name];
        if let Some(to) = to {
            words.push("TO".to_owned());
            words.extend(address("to", &to).map_err(|text| refused(&text))?);
        }
        let options = [(force, "FORCE"), (coordinated, "COORDINATED"), (dry_run, "DRYRUN")];
        words.extend(options.into_iter().filter(|(wanted, _)| *wanted).map(|(_, word)| word.to_owned()));
        words.extend(reason.into_iter().flat_map(|reason| ["REASON".to_owned(), reason]));
        Ok(words)
    };
    match words.await {
        Ok(words) => ordered(&shared, words).await,
        Err(refused) => refused,
    }
}

/// Has no Sentinel nominate itself, for a time: `SENTINEL PAUSE`. The name `*` stands for all masters.
#[utoipa::path(
    post, path = "/v1/masters/{master}/pause", tag = "changes", request_body = Pause,
    params(("master" = String, Path, description = "its name, or `*`")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 404, body = Refusal),
    )
)]
pub(super) async fn pause(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    let words = async {
        let Pause { ttl, reason } = body(request).await?;
        let ttl = match ttl {
            None | Some(serde_json::Value::Null) => "0".to_owned(),
            Some(ttl) => word("ttl", &ttl).map_err(|text| refused(&text))?,
        };
        Ok(["PAUSE".to_owned(), name, ttl].into_iter().chain(reason).collect())
    };
    match words.await {
        Ok(words) => ordered(&shared, words).await,
        Err(refused) => refused,
    }
}

/// Ends a pause: `SENTINEL RESUME`. The name `*` stands for all masters.
#[utoipa::path(
    post, path = "/v1/masters/{master}/resume", tag = "changes",
    params(("master" = String, Path, description = "its name, or `*`")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 404, body = Refusal),
    )
)]
pub(super) async fn resume(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    match body(request).await {
        Ok(Nothing {}) => ordered(&shared, vec!["RESUME".to_owned(), name]).await,
        Err(refused) => refused,
    }
}

/// Forgets another Sentinel or a replica that is gone: `SENTINEL FORGET`, `FORGET-REPLICA`.
#[utoipa::path(
    post, path = "/v1/masters/{master}/forget", tag = "changes", request_body = Forget,
    params(("master" = String, Path, description = "its name")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 404, body = Refusal),
    )
)]
pub(super) async fn forget(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    let words = async {
        let which = body(request).await?;
        let (command, rest) = match which {
            Forget { sentinel: Some(id), unverified: false, replica: None } => ("FORGET", vec![id]),
            Forget { sentinel: None, unverified: true, replica: None } => ("FORGET", vec!["UNVERIFIED".to_owned()]),
            Forget { sentinel: None, unverified: false, replica: Some(addr) } => {
                ("FORGET-REPLICA", address("replica", &addr).map_err(|text| refused(&text))?.into())
            }
            _ => return Err(refused("name one of `sentinel`, `unverified` and `replica`")),
        };
        Ok([command.to_owned(), name].into_iter().chain(rest).collect())
    };
    match words.await {
        Ok(words) => ordered(&shared, words).await,
        Err(refused) => refused,
    }
}

/// Changes settings of a master: `SENTINEL SET`. With one that is wrong none is changed.
#[utoipa::path(
    post, path = "/v1/masters/{master}/settings", tag = "changes",
    request_body = BTreeMap<String, serde_json::Value>, params(("master" = String, Path, description = "its name")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 404, body = Refusal),
    )
)]
pub(super) async fn settings(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    let words = async {
        let settings: Settings = body(request).await?;
        if settings.is_empty() {
            return Err(refused("the body names no setting"));
        }
        let mut words = vec!["SET".to_owned(), name];
        // SET applies one after the other, and finds only at its turn that scripts may not be set here.
        let (scripts, others): (Vec<_>, Vec<_>) = settings.into_iter().partition(|(key, _)| key.ends_with("-script"));
        for (key, value) in scripts.into_iter().chain(others) {
            let row = MASTER.iter().find(|row| row.key == key);
            let value = match (&value, row.map(|row| row.kind)) {
                // What means none.
                (
                    serde_json::Value::Null,
                    Some(Kind::Bytes | Kind::Port | Kind::Count { .. } | Kind::Milliseconds { .. }),
                ) => "0".to_owned(),
                (serde_json::Value::Null, _) => String::new(),
                (value, _) => word(&key, value).map_err(|text| refused(&text))?,
            };
            words.extend([row.map_or(key, |row| row.name.to_owned()), value]);
        }
        Ok(words)
    };
    match words.await {
        Ok(words) => ordered(&shared, words).await,
        Err(refused) => refused,
    }
}

/// Begins to monitor a master: `SENTINEL MONITOR`. Its settings are the defaults.
#[utoipa::path(
    put, path = "/v1/masters/{master}", tag = "changes", request_body = Monitor,
    params(("master" = String, Path, description = "its name")),
    responses(
        (status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal),
        (status = 409, description = "there is one of this name", body = Refusal),
    )
)]
pub(super) async fn monitor(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    let words = async {
        let Monitor { address: at, quorum } = body(request).await?;
        let [host, port] = address("address", &at).map_err(|text| refused(&text))?;
        Ok(vec!["MONITOR".to_owned(), name, host, port, quorum.to_string()])
    };
    match words.await {
        Ok(words) => ordered(&shared, words).await,
        Err(refused) => refused,
    }
}

/// Ends monitoring of a master: `SENTINEL REMOVE`.
#[utoipa::path(
    delete, path = "/v1/masters/{master}", tag = "changes", params(("master" = String, Path, description = "its name")),
    responses((status = 200, body = Done), (status = 401, body = Refusal), (status = 403, body = Refusal), (status = 404, body = Refusal))
)]
pub(super) async fn remove(State(shared): Known, Path(name): Path<String>, request: Request) -> Response {
    match body(request).await {
        Ok(Nothing {}) => ordered(&shared, vec!["REMOVE".to_owned(), name]).await,
        Err(refused) => refused,
    }
}

/// Reads the configuration again and applies what it may: `SENTINEL RELOAD`.
#[utoipa::path(
    post, path = "/v1/reload", tag = "changes",
    responses((status = 200, body = Done), (status = 400, body = Refusal), (status = 401, body = Refusal), (status = 403, body = Refusal))
)]
pub(super) async fn reload(State(shared): Known, request: Request) -> Response {
    match body(request).await {
        Ok(Nothing {}) => ordered(&shared, vec!["RELOAD".to_owned()]).await,
        Err(refused) => refused,
    }
}

/// Has a command executed that an administrator has sent, and writes to the log who it was about.
async fn ordered(shared: &Shared, words: Vec<String>) -> Response {
    // The values of settings may be secrets.
    let shown = words.iter().take(2).cloned().collect::<Vec<_>>().join(" ");
    tracing::info!("HTTP: SENTINEL {shown:?} is asked for");
    let words: Vec<Bytes> = words.into_iter().map(|word| text::into_bytes(word).into()).collect();
    match shared.order(&words).await {
        Some(reply) => answered(&reply),
        None => problem(
            StatusCode::GATEWAY_TIMEOUT,
            "the monitor's loop has not answered in time: it may do what was asked for yet",
        ),
    }
}

fn answered(reply: &Reply) -> Response {
    let Reply::Error(error) = reply else {
        return Json(Done { result: json_of(reply) }).into_response();
    };
    let is = |other: Reply| *reply == other;
    let status = if is(errors::no_such_master()) || is(errors::no_such_sentinel()) || is(errors::no_such_replica()) {
        StatusCode::NOT_FOUND
    } else if is(errors::duplicate_master()) || !error.starts_with("ERR ") {
        // Words of their own are about how things are now.
        StatusCode::CONFLICT
    } else if is(errors::not_saved()) {
        StatusCode::INTERNAL_SERVER_ERROR
    } else {
        StatusCode::BAD_REQUEST
    };
    problem(status, error.strip_prefix("ERR ").unwrap_or(error))
}

fn json_of(reply: &Reply) -> serde_json::Value {
    match reply {
        Reply::Integer(number) => (*number).into(),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => items.iter().map(json_of).collect(),
        Reply::Map(fields) => {
            let named =
                |(name, value): &(Reply, Reply)| (name.as_text().unwrap_or_default().to_owned(), json_of(value));
            serde_json::Value::Object(fields.iter().map(named).collect())
        }
        reply => reply.as_text().into(),
    }
}

/// The words of an address.
fn address(field: &str, text: &str) -> Result<[String; 2], String> {
    match text.parse::<HostPort>() {
        Ok(addr) => Ok([addr.host.to_string(), addr.port.to_string()]),
        Err(error) => Err(format!("`{field}` is no host:port: {error}")),
    }
}

/// The word that a value is in a command.
fn word(field: &str, value: &serde_json::Value) -> Result<String, String> {
    match value {
        serde_json::Value::String(text) => Ok(text.clone()),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        serde_json::Value::Bool(on) => Ok(if *on { "yes" } else { "no" }.to_owned()),
        _ => Err(format!("`{field}` is a text, a number, true or false")),
    }
}

/// The body of a request; one that is empty stands for `{}`.
async fn body<T: DeserializeOwned>(request: Request) -> Result<T, Response> {
    let kind = request.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap_or_default().to_owned());
    let bytes = tokio::time::timeout(BODY_WITHIN, axum::body::to_bytes(request.into_body(), DRAINED)).await;
    let bytes = match bytes {
        Ok(Ok(bytes)) if bytes.len() <= BODY => bytes,
        Ok(_) => {
            return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "the body is longer than 16 KiB, or was cut short"));
        }
        Err(_) => return Err(problem(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")),
    };
    if bytes.is_empty() {
        return serde_json::from_str("{}").map_err(|error| refused(&format!("a body is missing: {error}")));
    }
    // A form of another page can send all but this.
    let is_json = kind.is_some_and(|kind| {
        kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
    });
    if !is_json {
        return Err(problem(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is JSON: send `Content-Type: application/json`",
        ));
    }
    let wrong = |error: serde_json::Error| refused(&format!("the body is not what this takes: {error}"));
    // A list would do for a type whose fields may all be left out.
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).map_err(wrong)?;
    T::deserialize(serde_json::Value::Object(fields)).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn foreign(headers: &[(&'static str, &'static str)]) -> bool {
        let headers = headers
            .iter()
            .map(|(name, value)| (header::HeaderName::from_static(name), HeaderValue::from_static(value)));
        is_foreign(&headers.collect())
    }

    #[test]
    fn what_a_page_of_another_place_sends_is_foreign() {
        assert!(!foreign(&[("host", "a:1")]), "no browser");
        assert!(!foreign(&[("host", "a:1"), ("origin", "http://A:1"), ("sec-fetch-site", "same-origin")]));
        assert!(!foreign(&[("host", "a"), ("origin", "https://a"), ("sec-fetch-site", "none")]));
        for headers in [
            &[("host", "a:1"), ("origin", "http://a:2")][..],
            &[("host", "a:1"), ("origin", "http://b:1")],
            &[("host", "a:1"), ("origin", "null")],
            &[("host", "a:1"), ("origin", "")],
            &[("origin", "http://a:1")],
            &[("host", "a:1"), ("sec-fetch-site", "cross-site")],
            &[("host", "a:1"), ("origin", "http://a:1"), ("sec-fetch-site", "same-site")],
        ] {
            assert!(foreign(headers), "{headers:?}");
        }
    }

    #[test]
    fn refusals_have_the_status_that_fits() {
        let status = |reply: Reply| answered(&reply).status().as_u16();
        assert_eq!(status(Reply::ok()), 200);
        assert_eq!(status(errors::no_such_master()), 404);
        assert_eq!(status(errors::no_such_replica()), 404);
        assert_eq!(status(errors::duplicate_master()), 409);
        assert_eq!(status(errors::failover_in_progress()), 409);
        assert_eq!(status(errors::no_good_replica()), 409);
        assert_eq!(status(errors::not_saved()), 500);
        assert_eq!(status(errors::invalid_host()), 400);
    }
}
