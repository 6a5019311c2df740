//! What the JSON answers look like. Numbers are numbers, times are milliseconds, what is not known is left out; secrets are
//! never shown.

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
use serde::Serialize;
use utoipa::ToSchema;

use super::lag;

/// What the outcome of an incident says in which another node took the master's place.
const TOOK_THE_PLACE_OF: &str = " took the place of ";

/// Why there is no other answer.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Refusal {
    pub(super) error: String,
}

/// This Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Status {
    /// Its id.
    pub(super) id: String,
    /// This run of the process.
    pub(super) run_id: Option<String>,
    /// The version of the program.
    pub(super) version: String,
    /// The highest epoch seen.
    pub(super) current_epoch: u64,
    /// How many masters it watches.
    pub(super) masters: usize,
    /// How many of them are neither down nor without a possible failover.
    pub(super) masters_well: usize,
    /// For how long it has been in TILT, in milliseconds.
    pub(super) tilt_ms: Option<u64>,
    /// Why the last save of the state failed.
    pub(super) save_error: Option<String>,
    pub(super) problems: Severities,
}

/// How many problems there are of each severity.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(super) struct Severities {
    pub(super) critical: usize,
    pub(super) warning: usize,
    pub(super) info: usize,
}

/// One thing that is wrong, as `SENTINEL PROBLEMS` lists it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the field is called so in the answers of the Redis port")]
pub(super) struct Problem {
    /// Its name for programs.
    pub(super) code: String,
    /// `critical`, `warning` or `info`.
    pub(super) severity: String,
    /// What it is about: `process`, `sentinel`, `master` or `node`.
    pub(super) scope: String,
    pub(super) master: Option<String>,
    pub(super) address: Option<String>,
    /// The id of the Sentinel that it is about.
    pub(super) sentinel: Option<String>,
    /// For how long it has been so, in milliseconds.
    pub(super) age_ms: u64,
    /// One sentence.
    pub(super) problem: String,
    /// The command or the setting that mends it.
    pub(super) remedy: String,
}

/// A master, in short.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Master {
    pub(super) name: String,
    /// Where clients find it.
    pub(super) address: String,
    /// `ok`, `sdown` (subjectively down) or `odown` (objectively down).
    pub(super) status: String,
    /// The state of the failover in progress, in the reference's words.
    pub(super) failover: Option<String>,
    pub(super) config_epoch: u64,
    pub(super) quorum: u32,
    /// Whether quorum and majority can be reached now.
    pub(super) quorum_reachable: bool,
    /// Whether an operator has paused failovers.
    pub(super) paused: bool,
    pub(super) replicas: usize,
    /// Of these those that are not down.
    pub(super) ok_replicas: usize,
    /// All Sentinels that are known to watch it, this one included.
    pub(super) sentinels: usize,
    /// Of these those that are not down.
    pub(super) ok_sentinels: usize,
    /// The last incident in which another node took the master's place, as far as the history reaches: its id, which is when it
    /// began, in milliseconds since 1970.
    pub(super) last_failover: Option<u64>,
    pub(super) problems: Severities,
}

/// A master with all that belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MasterDetail {
    pub(super) master: Master,
    pub(super) node: Node,
    pub(super) replicas: Vec<Replica>,
    /// The other Sentinels.
    pub(super) sentinels: Vec<Sentinel>,
    pub(super) problems: Vec<Problem>,
}

/// What is known of a data node, or of the connection to a Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    pub(super) address: String,
    pub(super) run_id: Option<String>,
    pub(super) connected: bool,
    /// For how long it has been subjectively down.
    pub(super) sdown_ms: Option<u64>,
    /// Age of the last acceptable answer to a PING.
    pub(super) last_ok_ping_ms: u64,
    /// Age of the last INFO.
    pub(super) info_age_ms: Option<u64>,
    /// What it does not let this Sentinel do.
    pub(super) denied: Option<String>,
}

/// A replica.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Replica {
    #[serde(flatten)]
    pub(super) node: Node,
    /// Whether its link to its master is up.
    pub(super) link_up: bool,
    /// For how long that has been down.
    pub(super) link_down_ms: Option<u64>,
    /// 0: it is never promoted.
    pub(super) priority: u32,
    pub(super) offset: u64,
    /// What it had not acknowledged at the master's last INFO, in bytes.
    pub(super) lag_bytes: Option<u64>,
    /// Whom it replicates from, as it says.
    pub(super) follows: Option<String>,
    /// Whether it is the one to be promoted.
    pub(super) promoted: bool,
}

/// Another Sentinel.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Sentinel {
    pub(super) id: String,
    #[serde(flatten)]
    pub(super) node: Node,
    /// Whether it holds this master for down.
    pub(super) master_down: bool,
    pub(super) last_hello_ms: u64,
    pub(super) voted_for: Option<String>,
    pub(super) voted_epoch: Option<u64>,
}

/// Whether a node is what a load balancer asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    pub(super) master: String,
    /// The address that was asked for.
    pub(super) address: String,
    /// The role that it told last: `master` or `replica`.
    pub(super) role: Option<String>,
    pub(super) healthy: bool,
    /// Why it is not.
    pub(super) reason: Option<String>,
    /// What a replica had not acknowledged at the master's last INFO.
    pub(super) lag_bytes: Option<u64>,
    /// The epoch of the configuration that the answer follows from.
    pub(super) config_epoch: u64,
}

/// A place in the order in which replicas would be promoted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Candidate {
    pub(super) address: String,
    /// 1 for the first; none for one that would not be promoted.
    pub(super) rank: Option<u32>,
    /// Why it would not be promoted.
    pub(super) refused: Option<String>,
    /// How good a candidate it is by what is known of its data.
    pub(super) class: Option<String>,
    pub(super) priority: Option<u32>,
    pub(super) offset: Option<u64>,
}

/// What one Sentinel believes of a master.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Opinion {
    pub(super) sentinel: String,
    pub(super) address: String,
    /// `yes`, or why it does not count.
    pub(super) usable: String,
    /// Where it holds the master to be.
    pub(super) master: Option<String>,
    pub(super) config_epoch: Option<u64>,
    pub(super) current_epoch: Option<u64>,
    /// `yes`, `no` or `not asked`.
    pub(super) master_down: String,
    pub(super) voted_for: Option<String>,
    pub(super) voted_epoch: Option<u64>,
    pub(super) last_hello_ms: Option<u64>,
}

/// What all Sentinels believe of a master, this one first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Consensus {
    pub(super) opinions: Vec<Opinion>,
}

/// Why things are as they are, in sentences.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Explanation {
    pub(super) sentences: Vec<String>,
}

/// Something that happened to a master.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Incident {
    /// When it began, in milliseconds since 1970; of the incidents of one master each has another one.
    pub(super) id: u64,
    pub(super) lasted_ms: u64,
    /// What began it.
    pub(super) trigger: String,
    /// How it ended.
    pub(super) outcome: String,
}

/// Something that happened to a master, with everything that was said meanwhile.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct IncidentDetail {
    #[serde(flatten)]
    pub(super) incident: Incident,
    pub(super) lines: Vec<Line>,
    /// Lines that were left out.
    pub(super) omitted: u32,
}

/// One line of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Line {
    /// Since it began.
    pub(super) at_ms: u64,
    pub(super) text: String,
}

/// An event as `/v1/events` sends it.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "as the field of server-sent events is called")]
pub(super) struct Event {
    pub(super) id: String,
    /// When, in milliseconds since 1970.
    pub(super) time: u64,
    /// The channel on which it is published to subscribers of the Redis port.
    pub(super) event: String,
    /// `debug`, `verbose`, `notice` or `warning`.
    pub(super) level: String,
    pub(super) master: Option<String>,
    /// What subscribers of the Redis port get.
    pub(super) payload: String,
    /// Why something is down.
    pub(super) cause: Option<Cause>,
    pub(super) problem: Option<Problem>,
}

/// Why something is down.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Cause {
    /// For programs.
    pub(super) code: String,
    pub(super) text: String,
}

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
