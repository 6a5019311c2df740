//! What the JSON answers say, from what is known.

use std::collections::{BTreeMap, HashMap};

use sentinel_core::{
    Problem as Found, Severity, View,
    command::Command,
    history::Incident as Past,
    settings::{
        MasterSettings,
        master::MASTER,
        row::{Row, Value},
    },
    time::{Instant, Now},
    view::{MasterView, NodeView, PeerView, ReplicaView},
};
use sentinel_resp::Reply;

use super::{
    lag,
    model::{
        Candidate, Consensus, Explanation, Incident, IncidentDetail, Line, Master, MasterDetail, Node, Opinion,
        Problem, Replica, Sentinel, Severities, Status,
    },
};

/// What the outcome of an incident says in which another node took the master's place.
const TOOK_THE_PLACE_OF: &str = " took the place of ";

impl Status {
    pub(super) fn of(view: &View, now: Now) -> Self {
        let mut problems = Severities::of(&view.problems);
        let mut masters_well = 0;
        for master in view.masters.values() {
            let its = Severities::of(&master.problems);
            masters_well += usize::from(its.critical == 0 && status_of(master) == "ok");
            problems.critical += its.critical;
            problems.warning += its.warning;
            problems.info += its.info;
        }
        Status {
            id: view.id.to_string(),
            run_id: view.run_id.as_ref().map(ToString::to_string),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            current_epoch: view.current_epoch.get(),
            masters: view.masters.len(),
            masters_well,
            tilt_ms: view.tilt_since.map(|at| age(at, now.mono)),
            save_error: view.persist_error.as_ref().map(ToString::to_string),
            problems,
        }
    }
}

impl Severities {
    fn of(problems: &[std::sync::Arc<Found>]) -> Self {
        let mut all = Severities::default();
        for problem in problems {
            *match problem.severity {
                Severity::Critical => &mut all.critical,
                Severity::Warning => &mut all.warning,
                Severity::Info => &mut all.info,
            } += 1;
        }
        all
    }
}

impl Problem {
    pub(super) fn of(problem: &Found, now: Instant) -> Self {
        let Found { code, severity, scope, since, sentence, remedy } = problem;
        Problem {
            code: code.as_str().to_owned(),
            severity: severity.as_str().to_owned(),
            scope: scope.kind().to_owned(),
            master: scope.master().map(ToString::to_string),
            address: scope.addr().map(ToString::to_string),
            sentinel: scope.id().map(ToString::to_string),
            age_ms: age(*since, now),
            problem: sentence.clone(),
            remedy: remedy.clone(),
        }
    }

    /// The problems of this process and of the other Sentinels, and of the masters, or of one of them; the worst first.
    pub(super) fn all<'a>(view: &View, masters: impl IntoIterator<Item = &'a MasterView>, now: Now) -> Vec<Self> {
        let of_masters = masters.into_iter().flat_map(|master| master.problems.iter());
        let mut all: Vec<_> = view.problems.iter().chain(of_masters).collect();
        all.sort_by_key(|problem| (std::cmp::Reverse(problem.severity), problem.since));
        all.into_iter().map(|problem| Problem::of(problem, now.mono)).collect()
    }
}

/// `ok`, `sdown` or `odown`.
pub(super) fn status_of(master: &MasterView) -> &'static str {
    match (&master.odown_since, &master.node.sdown_since) {
        (Some(_), _) => "odown",
        (None, Some(_)) => "sdown",
        (None, None) => "ok",
    }
}

/// Whether an operator has paused it.
pub(super) fn is_paused(master: &MasterView, now: Now) -> bool {
    master.settings.paused_until.as_millis() > u128::from(now.wall.0)
}

/// What `SENTINEL CKQUORUM` says, and whether that is OK.
pub(super) fn quorum(view: &View, master: &MasterView, now: Now) -> (bool, String) {
    let name = sentinel_resp::text::into_bytes(master.name.to_string()).into();
    let Ok(Command::Query(query)) = Command::parse(&["SENTINEL".into(), "ckquorum".into(), name]) else {
        return (false, String::new());
    };
    match query.answer(view, now) {
        Reply::Status(text) => (true, text.into_owned()),
        Reply::Error(text) => (false, text),
        _ => (false, String::new()),
    }
}

/// The ids of incidents by the names of masters.
pub(super) type Failovers<'a> = HashMap<&'a str, u64>;

/// The last incident of each master in which another node took its place.
pub(super) fn last_failovers(view: &View) -> Failovers<'_> {
    let switches = view.history.iter().filter(|it| it.outcome.contains(TOOK_THE_PLACE_OF));
    switches.map(|it| (it.master.as_str(), it.id)).collect()
}

impl Master {
    pub(super) fn of(view: &View, master: &MasterView, failovers: &Failovers<'_>, now: Now) -> Self {
        Master {
            name: master.name.to_string(),
            address: master.serving.to_string(),
            status: status_of(master).to_owned(),
            failover: master.failover_state.map(str::to_owned),
            config_epoch: master.config_epoch.get(),
            quorum: master.settings.quorum.get(),
            quorum_reachable: quorum(view, master, now).0,
            paused: is_paused(master, now),
            replicas: master.replicas.len(),
            ok_replicas: master.replicas.iter().filter(|replica| replica.node.sdown_since.is_none()).count(),
            sentinels: master.peers.len() + 1,
            ok_sentinels: master.peers.iter().filter(|peer| peer.node.sdown_since.is_none()).count() + 1,
            last_failover: failovers.get(master.name.as_str()).copied(),
            problems: Severities::of(&master.problems),
        }
    }
}

impl MasterDetail {
    pub(super) fn of(view: &View, master: &MasterView, now: Now) -> Self {
        MasterDetail {
            master: Master::of(view, master, &last_failovers(view), now),
            node: Node::of(&master.node, now.mono),
            replicas: Replica::all(master, now),
            sentinels: Sentinel::all(master, now),
            problems: Problem::all(view, [master], now),
        }
    }
}

impl Node {
    fn of(node: &NodeView, now: Instant) -> Self {
        Node {
            address: node.addr.to_string(),
            run_id: node.run_id.as_ref().map(ToString::to_string),
            connected: node.connected,
            sdown_ms: node.sdown_since.map(|at| age(at, now)),
            last_ok_ping_ms: millis(node.vitals.since_ok_reply(now)),
            info_age_ms: node.info_at.map(|at| age(at, now)),
            denied: node.denied.as_ref().map(ToString::to_string),
        }
    }
}

impl Replica {
    pub(super) fn all(master: &MasterView, now: Now) -> Vec<Self> {
        let lags: HashMap<_, _> = lag::all(master).collect();
        let of = |replica: &ReplicaView| Replica::of(replica, lags.get(&replica.node.addr).copied(), now.mono);
        master.replicas.iter().map(of).collect()
    }

    fn of(replica: &ReplicaView, lag_bytes: Option<u64>, now: Instant) -> Self {
        let down = u64::try_from(replica.master_link_down_ms).ok();
        Replica {
            node: Node::of(&replica.node, now),
            link_up: replica.master_link_up,
            link_down_ms: down.filter(|_| !replica.master_link_up),
            priority: replica.priority,
            offset: replica.offset,
            lag_bytes,
            follows: replica.master_addr.as_ref().map(|(host, port)| format!("{host}:{port}")),
            refusal: replica.refusal,
            promoted: replica.promoted,
        }
    }
}

impl Sentinel {
    pub(super) fn all(master: &MasterView, now: Now) -> Vec<Self> {
        master.peers.iter().map(|peer| Sentinel::of(peer, now.mono)).collect()
    }

    fn of(peer: &PeerView, now: Instant) -> Self {
        Sentinel {
            id: peer.id.to_string(),
            node: Node::of(&peer.node, now),
            master_down: peer.master_down,
            last_hello_ms: age(peer.hello_at, now),
            voted_for: peer.vote.as_ref().map(|(id, _)| id.to_string()),
            voted_epoch: peer.vote.as_ref().map(|(_, epoch)| epoch.get()),
        }
    }
}

impl Incident {
    pub(super) fn of(past: &Past) -> Self {
        let Past { id, lasted, trigger, outcome, .. } = past;
        Incident { id: *id, lasted_ms: *lasted, trigger: trigger.clone(), outcome: outcome.clone() }
    }
}

impl IncidentDetail {
    pub(super) fn of(past: &Past) -> Self {
        let lines = past.lines.iter().map(|line| Line { at_ms: line.at, text: line.text.clone() });
        IncidentDetail { incident: Incident::of(past), lines: lines.collect(), omitted: past.omitted }
    }
}

impl Consensus {
    /// What `SENTINEL CONSENSUS` has answered. None: something else.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let opinions = maps(reply)?.into_iter().map(|mut fields| {
            let mut text = |name: &str| fields.remove(name).filter(|text| !text.is_empty());
            let number = |text: Option<String>| text.and_then(|text| text.parse().ok());
            Opinion {
                sentinel: text("runid").unwrap_or_default(),
                address: text("address").unwrap_or_default(),
                usable: text("usable").unwrap_or_default(),
                master: text("master"),
                config_epoch: number(text("config-epoch")),
                current_epoch: number(text("current-epoch")),
                master_down: text("master-down").unwrap_or_default(),
                voted_for: text("voted-leader"),
                voted_epoch: number(text("voted-leader-epoch")),
                last_hello_ms: number(text("last-hello-ms")),
            }
        });
        Some(Consensus { opinions: opinions.collect() })
    }
}

impl Candidate {
    /// What `SENTINEL CANDIDATES` has answered. None: something else.
    pub(super) fn read(reply: &Reply) -> Option<Vec<Self>> {
        let candidates = maps(reply)?.into_iter().map(|mut fields| Candidate {
            address: fields.remove("name").unwrap_or_default(),
            rank: fields.remove("rank").and_then(|text| text.parse().ok()),
            refused: fields.remove("refused"),
            class: fields.remove("class"),
            priority: fields.remove("slave-priority").and_then(|text| text.parse().ok()),
            offset: fields.remove("slave-repl-offset").and_then(|text| text.parse().ok()),
        });
        Some(candidates.collect())
    }
}

impl Explanation {
    /// What `SENTINEL EXPLAIN` has answered. None: something else.
    pub(super) fn read(reply: &Reply) -> Option<Self> {
        let Reply::Array(lines) = reply else { return None };
        let sentences = lines.iter().filter_map(|line| line.as_text().map(str::to_owned)).collect();
        Some(Explanation { sentences })
    }
}

fn maps(reply: &Reply) -> Option<Vec<BTreeMap<String, String>>> {
    let Reply::Array(items) = reply else { return None };
    let map = |item: &Reply| match item {
        Reply::Map(fields) => {
            let texts = fields.iter().map(|(name, value)| {
                (name.as_text().unwrap_or_default().to_owned(), value.as_text().unwrap_or_default().to_owned())
            });
            Some(texts.collect())
        }
        _ => None,
    };
    items.iter().map(map).collect()
}

/// The settings of a master by their keys in TOML, without the secret ones.
pub(super) fn settings_of(settings: &MasterSettings) -> BTreeMap<String, serde_json::Value> {
    let mut all = rows(MASTER, settings);
    all.insert("quorum".to_owned(), settings.quorum.get().into());
    all
}

/// The values of a table by their keys in TOML: milliseconds for times, null for what is not set, and for a secret whether it is.
pub(super) fn rows<S>(table: &[&Row<S>], settings: &S) -> BTreeMap<String, serde_json::Value> {
    let value = |row: &Row<S>| match row.value(settings) {
        Value::Time(time) => millis(time).into(),
        Value::Count(count) => count.into(),
        Value::Bytes(bytes) => bytes.into(),
        Value::Switch(on) => on.into(),
        Value::Text(text) => text.into(),
        Value::Secret(secret) => secret.map(|_| "******").into(),
        Value::Host(host) => host.map(|host| host.to_string()).into(),
        Value::Port(port) => port.into(),
    };
    table.iter().map(|row| (row.key.to_owned(), value(row))).collect()
}

fn age(at: Instant, now: Instant) -> u64 {
    millis(now.since(at))
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
