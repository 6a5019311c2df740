//! Our metrics beside programs of others: Prometheus, its rules and its lint, and `redis_exporter`.
//!
//! They are Debian's and nobody else's tests need them: `make test-extended` installs them and runs this; CI does not.

mod prometheus;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use sentinel_tests::http::Http;
use sentinel_tests::{Deployment, SentinelProcess, ServerProcess, eventually, free_port, programs};
use serde_json::Value;
use tempfile::TempDir;

use prometheus::Prometheus;

/// How long anything may take on a machine that is busy with something else.
const SOON: Duration = Duration::from_secs(60);
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The program, which must be there: these tests run only where they are asked for.
fn program(name: &str) -> PathBuf {
    programs::on_path(name).unwrap_or_else(|| panic!("{name} is not installed: make test-extended installs it"))
}

fn folder() -> TempDir {
    TempDir::with_prefix("sentinel-test-").expect("a temporary folder")
}

fn endpoint(sentinel: &SentinelProcess) -> String {
    sentinel.configured("http-listen").expect("it has an endpoint")
}

#[test]
#[ignore = "needs Prometheus: make test-extended"]
fn prometheus_scrapes_every_sentinel_answers_with_what_they_see_and_tells_when_a_master_stays_down() {
    // Given three Sentinels, and a Prometheus that scrapes them every second with the rules as they are shipped
    let deployment = Deployment::of_ours(3).with_http().start();
    deployment.wait_until_discovered();
    let (group, sentinels) = (deployment.only_group(), deployment.sentinels());
    let targets: Vec<_> = sentinels.iter().map(endpoint).collect();
    let prometheus = Prometheus::start(&program("prometheus"), &targets);

    // Then each is scraped, and what it sees can be asked for
    prometheus.wait_for("count(up{job=\"sentinel\"} == 1)", 3.0);
    prometheus.wait_for("count(redis_sentinel_masters == 1)", 3.0);
    let address = group.master().address();
    let well = format!(
        "count(redis_sentinel_master_status{{master_name=\"mymaster\",master_address=\"{address}\",master_status=\"ok\"}} == 1)"
    );
    prometheus.wait_for(&well, 3.0);
    prometheus.wait_for("min(sentinel_quorum_reachable{master=\"mymaster\"})", 1.0);
    prometheus.wait_for("min(redis_sentinel_master_ok_slaves)", 2.0);
    prometheus.wait_for("min(redis_sentinel_master_ok_sentinels)", 3.0);
    prometheus.wait_for("count(sentinel_replica_link_up == 1)", 6.0);
    prometheus.wait_for("count(sentinel_replica_eligible{reason=\"\"} == 1)", 6.0);
    prometheus.wait_for("count(sentinel_replica_lag_bytes < 1e6)", 6.0);
    prometheus.wait_for("count(sentinel_ping_seconds_count{role=\"data-node\"} > 3)", 3.0);
    assert_eq!(prometheus.alerts("SentinelMasterDown"), Vec::<String>::new());

    // When the master dies, then another one is promoted, which is seen
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    let moved = well.replace(&address, &new.address());
    prometheus.wait_for(&moved, 3.0);
    prometheus.wait_for("sum(sentinel_failovers_total{result=\"switched\",trigger=\"down\"})", 1.0);
    prometheus.wait_for("sum(sentinel_failovers_total{result=\"switched\",trigger=\"other-sentinel\"})", 2.0);
    prometheus.wait_for_alert("SentinelFailoverHappened", "firing");

    // When all nodes die, so that nobody can take the place, then that is told after its fifteen seconds
    for node in group.nodes().iter().filter(|node| node.is_running()) {
        node.kill();
    }
    prometheus.wait_for_alert("SentinelMasterDown", "pending");
    prometheus.wait_for_alert("SentinelMasterDown", "firing");
    println!("SentinelMasterDown fires");
    // And every query of the board can be asked; nearly all of them have an answer now
    let (answered, empty) = ask_the_board(&prometheus);
    println!("{answered} queries of the board have an answer; these have none in this deployment:");
    for query in &empty {
        println!("  {query}");
    }
    assert!(answered >= 44 && empty.len() <= 4, "{empty:?}");
    // And when it is back, it is resolved
    new.restart(sentinel_tests::Dataset::Kept);
    prometheus.wait_for(&moved, 3.0);
    eventually("the alert is resolved", SOON, || match prometheus.alerts("SentinelMasterDown") {
        alerts if alerts.is_empty() => Ok(()),
        alerts => Err(format!("{alerts:?}")),
    });
    println!("SentinelMasterDown is resolved");
}

/// Asks every query of the board. How many have an answer, and which have none.
fn ask_the_board(prometheus: &Prometheus) -> (usize, Vec<String>) {
    let path = Path::new(ROOT).join("configs/grafana/sentinel.json");
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let board: Value = serde_json::from_str(&text).expect("the board is JSON");
    let (mut answered, mut empty) = (0, Vec::new());
    let panels = board["panels"].as_array().expect("panels");
    for target in panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten() {
        let query = target["expr"].as_str().expect("a query");
        let asked = [("$job", "sentinel"), ("$master", "mymaster"), ("$instance", ".*"), ("$__rate_interval", "1m")]
            .iter()
            .fold(query.to_owned(), |query, (name, value)| query.replace(name, value));
        if prometheus.query(&asked).is_empty() {
            empty.push(asked);
        } else {
            answered += 1;
        }
    }
    (answered, empty)
}

#[test]
#[ignore = "needs redis_exporter: make test-extended"]
fn every_name_of_redis_exporter_has_the_value_that_it_tells_of_us() {
    // Given three Sentinels, and redis_exporter that asks the Redis port of one
    let deployment = Deployment::of_ours(3).with_http().start();
    deployment.wait_until_discovered();
    let (group, sentinels) = (deployment.only_group(), deployment.sentinels());
    let (port, folder) = (free_port(), folder());
    let arguments: Vec<OsString> = vec![
        "-redis.addr".into(),
        format!("redis://127.0.0.1:{}", sentinels[0].port()).into(),
        "-web.listen-address".into(),
        format!("127.0.0.1:{port}").into(),
    ];
    let exporter =
        ServerProcess::start("redis_exporter", &program("prometheus-redis-exporter"), &arguments, folder.path());
    eventually("redis_exporter listens", SOON, || {
        std::net::TcpStream::connect(("127.0.0.1", port))
            .map_err(|error| format!("{error}: {}", exporter.last_output(5)))
    });
    let theirs = Http::at(port);

    // Then both tell the same of a deployment that is well,
    compare("all is well", &theirs, &sentinels[0], &["redis_sentinel_master_status", "\"ok\""]);
    // of one without a replica,
    for replica in group.replicas() {
        replica.kill();
    }
    compare("replicas are down", &theirs, &sentinels[0], &["redis_sentinel_master_ok_slaves", " 0"]);
    // of one whose master is down,
    group.master().kill();
    compare("the master is down", &theirs, &sentinels[0], &["redis_sentinel_master_status", "\"odown\""]);
    // and of one without a majority
    sentinels[1].kill();
    sentinels[2].kill();
    compare("no quorum", &theirs, &sentinels[0], &["redis_sentinel_master_ckquorum_status", " 0"]);
}

/// Waits until `redis_exporter` tells a line with all these parts, and everything that it tells of us with the same
/// value as we do. The two look at different moments, so they may differ for a while.
fn compare(what: &str, theirs: &Http, sentinel: &SentinelProcess, wanted: &[&str]) {
    let shared = eventually(what, SOON, || {
        let (theirs, ours) = (series(theirs), series(&sentinel.http()));
        let seen = theirs.iter().any(|(name, value)| {
            let line = format!("{name} {value}");
            wanted.iter().all(|part| line.contains(part))
        });
        let differing: Vec<_> = theirs
            .iter()
            .filter(|&(name, value)| ours.get(name) != Some(value))
            .map(|(name, value)| format!("{name}: {value}, not {:?}", ours.get(name)))
            .collect();
        if seen && differing.is_empty() { Ok(theirs.len()) } else { Err(format!("{wanted:?}: {seen}; {differing:#?}")) }
    });
    println!("{what}: {shared} series of redis_exporter have the same value here");
    assert!(shared >= 11, "only {shared} series were compared");
}

/// It tells another value whenever it is asked. Debian's `redis_exporter` does not have it yet.
const AGE: &str = "redis_sentinel_master_last_ok_ping_reply_seconds";

/// The lines that begin with `redis_sentinel_`, with their labels in order.
fn series(http: &Http) -> BTreeMap<String, String> {
    let answer = http.get("/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    let lines = answer.body.lines().filter(|line| line.starts_with("redis_sentinel_") && !line.starts_with(AGE));
    let read = |line: &str| {
        let (series, value) = line.rsplit_once(' ')?;
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        // No text here has a quote and a comma in it.
        let labels = labels.trim_end_matches('}').split("\",").filter(|it| !it.is_empty());
        let mut labels: Vec<_> = labels.map(|it| format!("{}\"", it.trim_end_matches('"'))).collect();
        labels.sort_unstable();
        let value = value.parse::<f64>().ok()?;
        Some((format!("{name}{{{}}}", labels.join(",")), value.to_string()))
    };
    lines.filter_map(read).collect()
}

/// Runs promtool in the folder of the rules. Whether it was content, and what it said.
fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new(program("promtool"))
        .args(arguments)
        .current_dir(Path::new(ROOT).join("configs/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

#[test]
#[ignore = "needs promtool: make test-extended"]
fn promtool_is_content_with_the_rules_and_their_tests() {
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let (content, text) = promtool(&arguments, "");
        println!("promtool {}: {text}", arguments.join(" "));
        assert!(content, "promtool {}: {text}", arguments.join(" "));
    }
}

/// What the lint finds and is left as it is.
const NOT_FOLLOWED: &[(&str, &str)] = &[(
    "redis_sentinel_master_setting_down_after_milliseconds use base unit \"seconds\" instead of \"milliseconds\"",
    "the name is redis_exporter's, so that its dashboards go on working",
)];

#[test]
#[ignore = "needs promtool: make test-extended"]
fn the_lint_of_prometheus_finds_nothing_but_what_is_so_on_purpose() {
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).with_http().start();
    let page = deployment.sentinels()[0].http().get("/metrics?include=peers").body;
    let (_, text) = promtool(&["check", "metrics"], &page);
    let found: Vec<_> = text.lines().filter(|line| !line.is_empty()).collect();
    for (finding, why) in NOT_FOLLOWED {
        assert!(found.contains(finding), "it is not found any more: {finding}; {text}");
        println!("not followed: {finding}: {why}");
    }
    let new: Vec<_> = found.iter().filter(|line| NOT_FOLLOWED.iter().all(|(known, _)| known != *line)).collect();
    assert!(new.is_empty(), "{new:#?}");
}
