//! `/metrics`, in the text formats of Prometheus and `OpenMetrics`.

mod page;
mod table;

use std::{fmt, sync::Arc};

use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, prometheus_text, text},
    registry::Registry,
};
use sentinel_core::{
    View,
    time::Now,
    view::{MasterView, NodeView, ScriptState},
};

use self::page::Page;
#[allow(clippy::wildcard_imports, reason = "one constant for each row of the table")]
use table::*;
pub use table::{Kind, Metric, TABLE};

use crate::{commands::names_by_place, meters};

use super::{Shared, answers, lag, model, problem};

/// What the `OpenMetrics` format is called.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What a scrape asks for besides.
#[derive(serde::Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Wanted {
    /// `peers`: also a line for every other Sentinel of every master.
    include: Option<String>,
}

/// Metrics for Prometheus, in its text format, or in that of `OpenMetrics` for those who accept it.
#[utoipa::path(
    get, path = "/metrics", tag = "metrics", params(Wanted),
    responses((status = 200, description = "the metrics", content_type = "text/plain"), (status = 401, body = model::Refusal))
)]
pub(super) async fn answer(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    Query(wanted): Query<Wanted>,
) -> Response {
    let accepted = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let open_metrics = accepted.contains("application/openmetrics-text");
    let peers = wanted.include.is_some_and(|names| names.split(',').any(|name| name == "peers"));
    let scrape = Scrape { view: shared.view.load_full(), now: shared.now(), shared, peers };
    let mut registry = Registry::default();
    registry.register_collector(Box::new(scrape));
    let mut page = String::new();
    let (encoded, kind) = if open_metrics {
        (text::encode(&mut page, &registry), OPEN_METRICS)
    } else {
        (prometheus_text::encode(&mut page, &registry), prometheus_text::CONTENT_TYPE)
    };
    match encoded {
        Ok(()) => ([(header::CONTENT_TYPE, kind)], page).into_response(),
        Err(fmt::Error) => problem(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"),
    }
}

/// One answer under way.
struct Scrape {
    view: Arc<View>,
    now: Now,
    shared: Arc<Shared>,
    peers: bool,
}

impl fmt::Debug for Scrape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scrape")
    }
}

/// A master with the texts that its lines share.
struct Row<'a> {
    name: &'a str,
    address: String,
    reachable: (bool, String),
    view: &'a MasterView,
}

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let (view, now) = (&*self.view, self.now);
        let masters: Vec<Row<'_>> = view
            .masters
            .values()
            .map(|master| Row {
                name: master.name.as_str(),
                address: format!("{}:{}", master.node.addr.host, master.node.addr.port),
                reachable: answers::quorum(view, master, now),
                view: master,
            })
            .collect();
        let mut page = Page::new(encoder);
        self.as_redis_exporter(&mut page, &masters)?;
        self.of_process(&mut page)?;
        self.of_masters(&mut page, &masters)?;
        self.counted(&mut page)
    }
}

impl Scrape {
    fn as_redis_exporter(&self, page: &mut Page<'_>, masters: &[Row<'_>]) -> fmt::Result {
        let (view, now) = (&*self.view, self.now.mono);
        let running = view.scripts.iter().filter(|script| matches!(script.state, ScriptState::Running { .. })).count();
        page.gauge(MASTERS, [([], number(view.masters.len()))])?;
        page.gauge(TILT, [([], f64::from(u8::from(view.tilt_since.is_some())))])?;
        page.gauge(RUNNING_SCRIPTS, [([], number(running))])?;
        page.gauge(QUEUED_SCRIPTS, [([], number(view.scripts.len()))])?;
        page.gauge(SIMULATED, [([], f64::from(view.simulated.bits()))])?;
        page.gauge(
            STATUS,
            masters.iter().map(|it| {
                let status = answers::status_of(it.view);
                ([it.name, &it.address, status], f64::from(u8::from(status == "ok")))
            }),
        )?;
        let mut each = |metric, value: fn(&MasterView) -> f64| {
            page.gauge(metric, masters.iter().map(|it| ([it.name, it.address.as_str()], value(it.view))))
        };
        each(REPLICAS, |it| number(it.replicas.iter().filter(|replica| replica.announced).count()))?;
        each(OK_REPLICAS, |it| {
            let is_ok = |node: &NodeView| node.sdown_since.is_none();
            number(it.replicas.iter().filter(|replica| replica.announced && is_ok(&replica.node)).count())
        })?;
        each(SENTINELS, |it| number(it.peers.len() + 1))?;
        each(OK_SENTINELS, |it| number(it.peers.iter().filter(|peer| peer.node.sdown_since.is_none()).count() + 1))?;
        each(CONFIG_EPOCH, |it| large(it.config_epoch.get()))?;
        each(SETTING_QUORUM, |it| f64::from(it.settings.quorum.get()))?;
        each(SETTING_FAILOVER_TIMEOUT, |it| it.settings.failover_timeout.as_secs_f64() * 1_000.0)?;
        each(SETTING_PARALLEL_SYNCS, |it| f64::from(it.settings.parallel_syncs))?;
        each(SETTING_DOWN_AFTER, |it| it.settings.down_after.as_secs_f64() * 1_000.0)?;
        page.gauge(
            LAST_OK_PING,
            masters.iter().map(|it| {
                let age = it.view.node.vitals.since_ok_reply(now);
                ([it.name, it.address.as_str()], age.as_secs_f64())
            }),
        )?;
        page.gauge(
            QUORUM_STATUS,
            masters.iter().map(|it| ([it.name, it.reachable.1.as_str()], f64::from(u8::from(it.reachable.0)))),
        )?;
        self.peers(page, masters)
    }

    fn peers(&self, page: &mut Page<'_>, masters: &[Row<'_>]) -> fmt::Result {
        if !self.peers {
            return Ok(());
        }
        let peers: Vec<_> = masters.iter().flat_map(|it| it.view.peers.iter().map(move |peer| (it, peer))).collect();
        let texts: Vec<_> = peers
            .iter()
            .map(|(_, peer)| {
                let flags = if peer.node.sdown_since.is_some() { "s_down,sentinel" } else { "sentinel" };
                let flags = if peer.node.connected { flags.to_owned() } else { format!("{flags},disconnected") };
                (peer.node.addr.host.to_string(), peer.node.addr.port.to_string(), flags)
            })
            .collect();
        page.gauge(
            PEER_INFO,
            peers.iter().zip(&texts).map(|((it, peer), (ip, port, flags))| {
                let id = peer.id.as_str();
                ([it.name, &it.address, id, ip, port, id, flags], 1.0)
            }),
        )
    }

    fn of_process(&self, page: &mut Page<'_>) -> fmt::Result {
        let meters = &self.shared.meters;
        page.gauge(BUILD_INFO, [([env!("CARGO_PKG_VERSION")], 1.0)])?;
        page.gauge(CLIENTS, [([], large(meters.clients.get()))])?;
        page.gauge(SUBSCRIBERS, [([], large(meters.subscribers.get()))])?;
        let descriptors = std::fs::read_dir("/proc/self/fd").map(Iterator::count).ok();
        page.gauge(DESCRIPTORS, descriptors.map(|count| ([], number(count))))?;
        page.gauge(CERTIFICATE_EXPIRY, self.shared.tls.valid_until().map(|at| ([], large(at))))
    }

    fn of_masters(&self, page: &mut Page<'_>, masters: &[Row<'_>]) -> fmt::Result {
        let (view, now) = (&*self.view, self.now);
        let mut links = Links::default();
        let mut peers = std::collections::BTreeMap::new();
        for it in masters {
            links.add(0, &it.view.node);
            for replica in &it.view.replicas {
                links.add(1, &replica.node);
            }
            // All masters share the link to a Sentinel.
            peers.extend(it.view.peers.iter().map(|peer| (&peer.id, &peer.node)));
        }
        for node in peers.values() {
            links.add(2, node);
        }
        let states = ["up", "down"];
        let roles = ["master", "replica", "sentinel"];
        let each = |counts: [[usize; 3]; 2], names: [&'static str; 2]| {
            (0..2)
                .flat_map(move |kind| (0..3).map(move |role| ([roles[role], names[kind]], number(counts[kind][role]))))
        };
        page.gauge(LINKS, each([links.up, links.down], states))?;
        let objectively = masters.iter().filter(|it| it.view.odown_since.is_some()).count();
        page.gauge(NODE_DOWN, each([links.sdown, [objectively, 0, 0]], ["subjectively", "objectively"]))?;
        self.problems(page, masters)?;
        page.gauge(QUORUM_REACHABLE, masters.iter().map(|it| ([it.name], f64::from(u8::from(it.reachable.0)))))?;
        let paused = |it: &Row<'_>| f64::from(u8::from(answers::is_paused(it.view, now)));
        page.gauge(PAUSED, masters.iter().map(|it| ([it.name], paused(it))))?;
        let replicas: Vec<_> = masters
            .iter()
            .flat_map(|it| it.view.replicas.iter().map(move |replica| (it, replica, replica.node.addr.to_string())))
            .collect();
        page.gauge(
            REPLICA_LINK_UP,
            replicas
                .iter()
                .map(|(it, replica, addr)| ([it.name, addr.as_str()], f64::from(u8::from(replica.master_link_up)))),
        )?;
        page.gauge(
            REPLICA_ELIGIBLE,
            replicas.iter().map(|(it, replica, addr)| {
                let eligible = f64::from(u8::from(replica.refusal.is_none()));
                ([it.name, addr.as_str(), replica.refusal.unwrap_or_default()], eligible)
            }),
        )?;
        let lags: Vec<_> = masters
            .iter()
            .flat_map(|it| lag::all(it.view).map(move |(addr, lag)| (it.name, addr.to_string(), lag)))
            .collect();
        page.gauge(REPLICA_LAG, lags.iter().map(|(name, addr, lag)| ([*name, addr.as_str()], large(*lag))))?;
        let switched = self.shared.counts.with(|tally| tally.switched_at.clone());
        let is_watched = |name: &str| view.masters.get(name).is_some();
        page.gauge(
            LAST_FAILOVER,
            switched
                .iter()
                .filter(|(name, _)| is_watched(name.as_str()))
                .map(|(name, ms)| ([name.as_str()], large(*ms) / 1_000.0)),
        )
    }

    fn problems(&self, page: &mut Page<'_>, masters: &[Row<'_>]) -> fmt::Result {
        let of_masters = masters.iter().flat_map(|it| it.view.problems.iter().map(|problem| (it.name, problem.code)));
        let mut counts = std::collections::BTreeMap::new();
        for key in self.view.problems.iter().map(|problem| ("", problem.code)).chain(of_masters) {
            *counts.entry(key).or_insert(0) += 1;
        }
        page.gauge(PROBLEM, counts.into_iter().map(|((name, code), count)| ([name, code.as_str()], number(count))))
    }

    fn counted(&self, page: &mut Page<'_>) -> fmt::Result {
        let meters = &self.shared.meters;
        self.shared.counts.with(|tally| {
            page.counter(
                FAILOVERS,
                tally
                    .failovers
                    .iter()
                    .map(|(it, count)| ([it.master.as_str(), it.trigger, it.result, it.reason], *count)),
            )?;
            page.counter(ELECTIONS, [(["won"], tally.elections_won), (["lost"], tally.elections_lost)])?;
            page.counter(VOTES, [([], tally.votes)])?;
            page.counter(EVENTS, tally.events.iter().map(|(event, count)| ([*event], *count)))?;
            page.counter(TILTS, [([], tally.tilts)])?;
            let nodes = meters.data_nodes.failures().map(|(cause, count)| (["data-node", cause], count));
            let sentinels = meters.sentinels.failures().map(|(cause, count)| (["sentinel", cause], count));
            page.counter(LINK_FAILURES, nodes.chain(sentinels))?;
            let scripts = &meters.scripts;
            page.counter(
                SCRIPTS,
                [
                    (["ok"], scripts.ok.get()),
                    (["failed"], scripts.failed.get()),
                    (["killed"], scripts.killed.get()),
                    (["not-started"], scripts.not_started.get()),
                ],
            )?;
            let posts = &meters.webhooks;
            page.counter(
                WEBHOOKS,
                [(["ok"], posts.ok.get()), (["failed"], posts.failed.get()), (["dropped"], posts.dropped.get())],
            )?;
            page.counter(COMMANDS, commands_of(&meters.commands))?;
            page.counter(SAVES, [(["ok"], meters.saves.get()), (["failed"], meters.failed_saves.get())])?;
            page.histogram(FAILOVER_PHASE, tally.phases.iter().map(|(phase, times)| ([*phase], times.distribution())))?;
            page.histogram(OUTAGE, [([], tally.outages.distribution())])?;
            let pings = [("data-node", &meters.data_nodes), ("sentinel", &meters.sentinels)];
            page.histogram(PING_TIME, pings.map(|(role, links)| ([role], links.ping_time.distribution())))?;
            page.histogram(SAVE_TIME, [([], meters.save_time.distribution())])?;
            page.histogram(LOOP_LAG, [([], meters.loop_lag.distribution())])
        })
    }
}

/// Lines of the commands that clients have sent so far, and one of what was refused.
fn commands_of(counts: &meters::Commands) -> Vec<([&'static str; 2], u64)> {
    let mut lines = vec![(["", "refused"], counts.refused.get())];
    for (place, name) in names_by_place() {
        let (ok, failed) = counts.get(place);
        if ok + failed > 0 {
            lines.extend([([name, "ok"], ok), ([name, "error"], failed)]);
        }
    }
    lines
}

/// How many connections there are, of masters, replicas and Sentinels.
#[derive(Default)]
struct Links {
    up: [usize; 3],
    down: [usize; 3],
    sdown: [usize; 3],
}

impl Links {
    fn add(&mut self, role: usize, node: &NodeView) {
        let states = if node.connected { &mut self.up } else { &mut self.down };
        states[role] += 1;
        self.sdown[role] += usize::from(node.sdown_since.is_some());
    }
}

#[expect(clippy::cast_precision_loss, reason = "the formats know nothing but floating point numbers")]
const fn number(count: usize) -> f64 {
    count as f64
}

#[expect(clippy::cast_precision_loss, reason = "the formats know nothing but floating point numbers")]
const fn large(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own_that_follows_the_conventions() {
        let names: BTreeSet<_> = TABLE.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            assert!(metric.name.starts_with("redis_sentinel_") || metric.name.starts_with("sentinel_"), "{metric:?}");
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{metric:?}");
            assert!(metric.kind != Kind::Histogram || metric.name.ends_with("_seconds"), "{metric:?}");
            assert!(
                !metric.help.is_empty() && !metric.help.contains('\n') && !metric.help.ends_with('.'),
                "{metric:?}"
            );
        }
    }
}
