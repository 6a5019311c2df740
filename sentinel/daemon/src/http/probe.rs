//! Whether a node is the primary, or a replica that may be read from: 200 or 503, for load balancers and probes.
//!
//! Bodies and methods are as those of Patroni's health checks: GET has a JSON document with either status, HEAD and OPTIONS have
//! the status alone. The answer is taken from the view, so that a check costs the monitor nothing.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{Method, StatusCode},
    response::{IntoResponse as _, Response},
    routing::{MethodRouter, get},
};
use sentinel_core::{
    Code,
    types::{Host, HostPort},
    view::{MasterView, NodeView, ReplicaView, Role},
};

use super::{
    Shared,
    api::unknown_master,
    lag,
    model::{Health, Refusal},
    refused,
};

type Known = State<Arc<Shared>>;
type Parameters = Result<Query<Vec<(String, String)>>, QueryRejection>;

/// How many names may be looked up at the same time. Each holds a thread until the resolver answers.
pub(super) const LOOKUPS: usize = 16;

/// `/v1/masters/{master}/primary`
pub(super) fn of_primary() -> MethodRouter<super::State> {
    get(primary).options(primary)
}

/// `/v1/masters/{master}/replica`
pub(super) fn of_replica() -> MethodRouter<super::State> {
    get(replica).options(replica)
}

/// Whether an address is the primary: the configured master, not down, a master by its last report, and not being replaced.
/// HEAD and OPTIONS are answered with the status alone.
#[utoipa::path(
    get, path = "/v1/masters/{master}/primary", tag = "health checks",
    params(
        ("master" = String, Path, description = "its name"),
        ("addr" = String, Query, description = "`host:port` of the node"),
    ),
    responses(
        (status = 200, body = Health), (status = 503, body = Health), (status = 400, body = Refusal),
        (status = 401, body = Refusal), (status = 404, body = Refusal),
    )
)]
pub(super) async fn primary(
    State(shared): Known,
    method: Method,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Response {
    let answer = async {
        let Asked { addr, .. } = Asked::read(parameters, false).map_err(|text| refused(&text))?;
        let view = shared.view.load_full();
        let master = view.masters.get(&name).ok_or_else(unknown_master)?;
        let found = find(&shared, master, &addr).await;
        let outcome = found.as_ref().map_err(Clone::clone).and_then(|it| is_primary(master, it));
        Ok(answered(master, &addr, &found, None, outcome))
    };
    without_body(&method, answer.await)
}

/// Whether an address is a replica that may be read from: up, linked, of the master's history, and no further behind than
/// `lag`. HEAD and OPTIONS are answered with the status alone.
#[utoipa::path(
    get, path = "/v1/masters/{master}/replica", tag = "health checks",
    params(
        ("master" = String, Path, description = "its name"),
        ("addr" = String, Query, description = "`host:port` of the node"),
        ("lag" = Option<u64>, Query, description = "bytes of the replication stream that it may lack"),
    ),
    responses(
        (status = 200, body = Health), (status = 503, body = Health), (status = 400, body = Refusal),
        (status = 401, body = Refusal), (status = 404, body = Refusal),
    )
)]
pub(super) async fn replica(
    State(shared): Known,
    method: Method,
    Path(name): Path<String>,
    parameters: Parameters,
) -> Response {
    let answer = async {
        let Asked { addr, lag: allowed } = Asked::read(parameters, true).map_err(|text| refused(&text))?;
        let view = shared.view.load_full();
        let master = view.masters.get(&name).ok_or_else(unknown_master)?;
        let found = find(&shared, master, &addr).await;
        let behind = match &found {
            Ok(Found::Replica(it)) => lag::of(master, &it.node.addr),
            _ => None,
        };
        let mut outcome = match &found {
            Ok(it) => is_good_replica(&shared, master, it).await,
            Err(why) => Err(why.clone()),
        };
        if let (Ok(()), Some(allowed)) = (&outcome, allowed) {
            outcome = match behind {
                Some(behind) if behind <= allowed => Ok(()),
                Some(behind) => Err(format!("it lacks {behind} bytes, {allowed} are allowed")),
                None => Err("the master has not told how far behind it is".to_owned()),
            };
        }
        Ok(answered(master, &addr, &found, behind, outcome))
    };
    without_body(&method, answer.await)
}

/// HEAD has no body by itself.
fn without_body(method: &Method, answer: Result<Response, Response>) -> Response {
    let answer = answer.unwrap_or_else(|refused| refused);
    if method == Method::OPTIONS { answer.status().into_response() } else { answer }
}

fn answered(
    master: &MasterView,
    addr: &HostPort,
    found: &Result<Found<'_>, String>,
    lag_bytes: Option<u64>,
    outcome: Result<(), String>,
) -> Response {
    let status = if outcome.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let node = found.as_ref().ok().map(Found::node);
    let role = node.filter(|node| node.info_at.is_some()).map(|node| match node.role {
        Role::Master => "master",
        Role::Replica => "replica",
    });
    let health = Health {
        master: master.name.to_string(),
        address: addr.to_string(),
        role: role.map(str::to_owned),
        healthy: outcome.is_ok(),
        reason: outcome.err(),
        lag_bytes,
        config_epoch: master.config_epoch.get(),
    };
    (status, Json(health)).into_response()
}

/// What a check asks for.
#[derive(Debug, PartialEq)]
struct Asked {
    addr: HostPort,
    lag: Option<u64>,
}

impl Asked {
    /// A parameter that is not known is refused: a mistyped `lag` would be no bound at all.
    fn read(parameters: Parameters, takes_lag: bool) -> Result<Self, String> {
        let Query(parameters) = parameters.map_err(|error| error.body_text())?;
        let (mut addr, mut lag) = (None, None);
        for (name, value) in parameters {
            match name.as_str() {
                "addr" if addr.is_none() => {
                    let address = address(&value).ok_or_else(|| {
                        "`addr` is not an address: write host:port, [ipv6]:port or name:port".to_owned()
                    })?;
                    addr = Some(address);
                }
                "lag" if takes_lag && lag.is_none() => {
                    let bytes = value.parse::<u64>().map_err(|_| "`lag` is a number of bytes, 0 or more".to_owned())?;
                    lag = Some(bytes);
                }
                "addr" | "lag" if name == "addr" || takes_lag => {
                    return Err(format!("`{name}` is given twice"));
                }
                _ => {
                    let known = if takes_lag { "`addr` and `lag`" } else { "`addr` alone" };
                    return Err(format!("this path takes {known}"));
                }
            }
        }
        let addr = addr.ok_or_else(|| "`addr` is missing: ?addr=host:port says which node is meant".to_owned())?;
        Ok(Asked { addr, lag })
    }
}

/// An address whose port is one that can be connected to, and whose name is one that a resolver can be asked for.
fn address(text: &str) -> Option<HostPort> {
    let addr = text.parse::<HostPort>().ok().filter(|addr| addr.port != 0)?;
    let is_usable = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    match &addr.host {
        Host::Ip(_) => Some(addr),
        Host::Name(name) => is_usable(name).then_some(addr),
    }
}

/// The node that is asked about.
enum Found<'a> {
    Master(&'a NodeView),
    Replica(&'a ReplicaView),
}

impl Found<'_> {
    const fn node(&self) -> &NodeView {
        match self {
            Found::Master(node) => node,
            Found::Replica(replica) => &replica.node,
        }
    }
}

/// The node of this master at an address, by what names resolve to; else why there is none.
async fn find<'a>(shared: &Shared, master: &'a MasterView, addr: &HostPort) -> Result<Found<'a>, String> {
    let unknown = || format!("{addr} is no node of {}", master.name);
    let near = match spelt_or_near(master, addr) {
        Ok(node) => return Ok(node),
        Err(near) if near.is_empty() => return Err(unknown()),
        Err(near) => near,
    };
    let Ok(_permit) = shared.lookups.try_acquire() else {
        return Err("too many names are being looked up".to_owned());
    };
    let asked = shared.resolver.resolve(&addr.host).await.map_err(|why| format!("{}: {why}", addr.host))?;
    let mut found = Vec::new();
    for node in near {
        let host = &node.node().addr.host;
        if host.is_ip() && addr.host.is_ip() {
            continue;
        }
        if shared.resolver.resolve(host).await.is_ok_and(|known| known.iter().any(|ip| asked.contains(ip))) {
            found.push(node);
        }
    }
    match found.len() {
        0 | 1 => found.pop().ok_or_else(unknown),
        _ => Err(format!("{addr} stands for several nodes of {}", master.name)),
    }
}

/// The node whose address is written so, or those that have the same port.
fn spelt_or_near<'a>(master: &'a MasterView, addr: &HostPort) -> Result<Found<'a>, Vec<Found<'a>>> {
    let mut near = Vec::new();
    for node in std::iter::once(Found::Master(&master.node)).chain(master.replicas.iter().map(Found::Replica)) {
        if is_spelt(&node.node().addr, addr) {
            return Ok(node);
        }
        if node.node().addr.port == addr.port {
            near.push(node);
        }
    }
    Err(near)
}

/// Whether two addresses are one as they are written.
fn is_spelt(one: &HostPort, other: &HostPort) -> bool {
    one.port == other.port
        && match (&one.host, &other.host) {
            (host, Host::Name(name)) => host.is_name(name),
            (one, other) => one == other,
        }
}

/// Why a node is not the primary, if it is not.
fn is_primary(master: &MasterView, found: &Found<'_>) -> Result<(), String> {
    let Found::Master(node) = found else {
        return Err(format!("the master is {}", master.serving));
    };
    if master.odown_since.is_some() {
        Err("it is objectively down".to_owned())
    } else if node.sdown_since.is_some() {
        Err("it is subjectively down".to_owned())
    } else if node.info_at.is_none() {
        Err("it has not told its role yet".to_owned())
    } else if node.role != Role::Master {
        Err("it says that it is a replica".to_owned())
    } else if let Some(state) = master.failover_state.filter(|state| *state != RECONFIGURING) {
        Err(format!("it is being replaced: {state}"))
    } else {
        Ok(())
    }
}

/// In this state of a failover the new master is the configured one.
const RECONFIGURING: &str = "reconf_slaves";

/// Why a node is not a replica to read from, if it is not.
async fn is_good_replica(shared: &Shared, master: &MasterView, found: &Found<'_>) -> Result<(), String> {
    let Found::Replica(replica) = found else {
        return Err("it is the master".to_owned());
    };
    let node = &replica.node;
    let is_foreign = || {
        let about = |it: &Arc<sentinel_core::Problem>| it.scope.addr() == Some(&node.addr);
        master.problems.iter().any(|it| it.code == Code::ForeignHistory && about(it))
    };
    if node.sdown_since.is_some() {
        Err("it is subjectively down".to_owned())
    } else if node.info_at.is_none() {
        Err("it has told nothing of itself yet".to_owned())
    } else if node.role != Role::Replica {
        Err("it says that it is a master".to_owned())
    } else if !replica.master_link_up {
        Err("its link to its master is down".to_owned())
    } else if is_foreign() || !is_of_history(&master.node, node) {
        Err("its data are of another history than the master's".to_owned())
    } else if !follows_master(shared, master, replica).await {
        Err(format!("it does not follow {}", master.serving))
    } else {
        Ok(())
    }
}

/// Whether a replica follows the master, or another replica that does. One that was replaced is a replica here, too, but says
/// that it is a master.
async fn follows_master(shared: &Shared, master: &MasterView, replica: &ReplicaView) -> bool {
    let mut at = replica;
    for _ in 0..=master.replicas.len() {
        let source = at.master_addr.as_ref().and_then(|(host, port)| Some(HostPort::new(Host::new(host).ok()?, *port)));
        let Some(source) = source else { return false };
        at = match find(shared, master, &source).await {
            Ok(Found::Master(_)) => return true,
            Ok(Found::Replica(next)) if next.node.role == Role::Replica && next.master_link_up => next,
            _ => return false,
        };
    }
    false
}

/// Whether a replica's data are of the master's history by what both tell of their replication ids: the same one, or one of
/// them was promoted since the other told. Servers that tell no id (before Redis 4) are believed.
fn is_of_history(master: &NodeView, replica: &NodeView) -> bool {
    let (masters, replicas) = (ids(master), ids(replica));
    masters.is_empty() || replicas.is_empty() || !masters.is_disjoint(&replicas)
}

fn ids(node: &NodeView) -> BTreeSet<&str> {
    /// What stands where there was no other id before.
    const NONE: &str = "0000000000000000000000000000000000000000";
    let lines = node.info.as_deref().unwrap_or_default().lines();
    lines
        .filter_map(|line| line.strip_prefix("master_replid:").or_else(|| line.strip_prefix("master_replid2:")))
        .map(str::trim)
        .filter(|id| !id.is_empty() && *id != NONE)
        .collect()
}

#[cfg(test)]
mod tests {
    use axum::http::Uri;

    use super::*;

    fn read(query: &str, takes_lag: bool) -> Result<Asked, String> {
        let uri: Uri = format!("/?{query}").parse().expect("a path");
        Asked::read(Query::try_from_uri(&uri), takes_lag)
    }

    #[test]
    fn parameters_are_read_to_the_last() {
        let addr: HostPort = "[::1]:6379".parse().expect("an address");
        let asked = |lag| Ok(Asked { addr: addr.clone(), lag });
        assert_eq!(read("addr=[::1]:6379", false), asked(None));
        assert_eq!(read("addr=%5B%3A%3A1%5D%3A6379&lag=0", true), asked(Some(0)));
        let garbage = [
            "",
            "addr=",
            "addr=6379",
            "addr=a",
            "addr=a:",
            "addr=a:0",
            "addr=a:65536",
            "addr=a:b:1",
            "addr=a%20b:1",
            "addr=a/b:1",
            "addr=%FF:1",
            "addr=a:1&addr=a:1",
            "address=a:1",
            "addr=a:1&lag=1",
            "addr=a:1&x",
        ];
        for query in garbage {
            assert!(read(query, false).is_err(), "{query}");
        }
        for query in [
            "addr=a:1&lag=",
            "addr=a:1&lag=-1",
            "addr=a:1&lag=1kb",
            "addr=a:1&lag=1&lag=1",
            "addr=a:1&max-lag=1",
            "lag=1",
        ] {
            assert!(read(query, true).is_err(), "{query}");
        }
    }
}
