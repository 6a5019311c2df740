//! The board for Grafana and the rules for Prometheus ask for nothing but what `/metrics` tells.

mod promql;

use std::{collections::BTreeSet, fs};

use sentineld::http::{Kind, TABLE};
use serde_json::Value;

use promql::{Labels, labels_of};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn read(path: &str) -> String {
    fs::read_to_string(format!("{ROOT}/{path}")).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The labels with which a series comes out of Prometheus: those of the table, and those of the target.
fn served(name: &str) -> Option<Labels> {
    let (labels, of_part): (&[&str], _) = match TABLE.iter().find(|metric| metric.name == name) {
        Some(metric) if metric.kind == Kind::Histogram => return None,
        Some(metric) => (metric.labels, None),
        None if name == "up" => (&[], None),
        None => {
            let (base, part) = name.rsplit_once('_')?;
            let metric = TABLE.iter().find(|metric| metric.name == base && metric.kind == Kind::Histogram)?;
            let le = match part {
                "bucket" => Some("le"),
                "sum" | "count" => None,
                _ => return None,
            };
            (metric.labels, le)
        }
    };
    Some(labels.iter().copied().chain(of_part).chain(["job", "instance"]).map(str::to_owned).collect())
}

/// What stands between `{{` and `}}`, or behind `$labels.` there.
fn shown(text: &str) -> impl Iterator<Item = &str> {
    text.split("{{").skip(1).filter_map(|rest| rest.split_once("}}")).map(|(name, _)| name.trim())
}

fn board() -> Value {
    serde_json::from_str(&read("configs/grafana/sentinel.json")).expect("the board is JSON")
}

fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value[name].as_array().unwrap_or_else(|| panic!("no list {name} in {value}"))
}

fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no text {name} in {value}"))
}

/// A query, the labels with which it is shown, and where it stands.
struct Query {
    place: String,
    expr: String,
    shown: Vec<String>,
}

fn queries_of_the_board(board: &Value) -> Vec<Query> {
    let mut queries = Vec::new();
    let mut add = |place: &str, expr: &str, legend: &str| {
        let shown = shown(legend).map(str::to_owned).collect();
        queries.push(Query { place: place.to_owned(), expr: expr.to_owned(), shown });
    };
    for panel in list(board, "panels").iter().filter(|panel| panel["type"] != "row") {
        for target in list(panel, "targets") {
            add(text(panel, "title"), text(target, "expr"), text(target, "legendFormat"));
        }
    }
    for annotation in list(&board["annotations"], "list") {
        let legend = [text(annotation, "titleFormat"), text(annotation, "textFormat")].concat();
        add(text(annotation, "name"), text(annotation, "expr"), &legend);
    }
    for variable in list(&board["templating"], "list").iter().filter(|variable| variable["type"] == "query") {
        let (name, asked) = (text(variable, "name"), text(&variable["query"], "query"));
        let both = asked.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')')?.rsplit_once(", "));
        let (expr, label) = both.unwrap_or_else(|| panic!("variable {name}: {asked:?}"));
        add(name, expr, &format!("{{{{{label}}}}}"));
    }
    queries
}

fn queries_of_the_rules(rules: &str) -> Vec<Query> {
    rules
        .split("- alert: ")
        .skip(1)
        .map(|rule| {
            let (name, rest) = rule.split_once('\n').expect("a rule has lines");
            let (_, rest) = rest.split_once("expr: ").unwrap_or_else(|| panic!("{name} has no query"));
            // In one line, or folded until the next key.
            let first = rest.split('\n').next().unwrap_or_default();
            let expr = match first {
                ">-" => {
                    let lines = rest.lines().skip(1).map(str::trim);
                    lines
                        .take_while(|line| !line.starts_with("for:") && !line.starts_with("labels:"))
                        .collect::<Vec<_>>()
                        .join(" ")
                }
                line => line.to_owned(),
            };
            let labels = shown(rest).filter_map(|it| it.strip_prefix("$labels.")).map(str::to_owned).collect();
            Query { place: name.to_owned(), expr, shown: labels }
        })
        .collect()
}

fn all_queries() -> Vec<Query> {
    let mut all = queries_of_the_board(&board());
    all.extend(queries_of_the_rules(&read("configs/prometheus/alerts.yml")));
    all
}

/// What is wrong with these queries, each with its place.
fn faults(queries: &[Query]) -> Vec<String> {
    let fault = |query: &Query| match labels_of(&query.expr, &served) {
        Err(error) => Some(error),
        Ok(labels) => {
            let strange = query.shown.iter().find(|name| !labels.contains(*name))?;
            Some(format!("the result has no label {strange:?}, but {labels:?}"))
        }
    };
    queries.iter().filter_map(|query| Some(format!("{}: {}: {}", query.place, fault(query)?, query.expr))).collect()
}

#[test]
fn every_name_and_label_in_a_query_of_the_board_and_the_rules_is_served() {
    let all = all_queries();
    assert!(all.len() > 60, "{} were found", all.len());
    let faults = faults(&all);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_name_and_a_wrong_label_are_found_wherever_they_stand() {
    let error = |expr: &str| labels_of(expr, &served).expect_err(expr);
    for (expr, wrong) in [
        ("sentinel_client", "no metric \"sentinel_client\""),
        ("sum(rate(sentinel_vote_total[5m]))", "no metric \"sentinel_vote_total\""),
        ("sentinel_clients + sentinel_subscriber", "no metric \"sentinel_subscriber\""),
        ("sentinel_ping_seconds", "no metric \"sentinel_ping_seconds\""),
        ("sentinel_clients_count", "no metric \"sentinel_clients_count\""),
        ("sentinel_ping_seconds_total", "no metric \"sentinel_ping_seconds_total\""),
        ("sentinel_problem{master_name=\"m\"}", "no label \"master_name\""),
        ("max by (master) (redis_sentinel_master_slaves)", "no label \"master\""),
        ("max(redis_sentinel_master_slaves) by (master)", "no label \"master\""),
        ("sum by (le) (sentinel_ping_seconds_sum)", "no label \"le\""),
        ("histogram_quantile(0.9, sum by (role) (rate(sentinel_ping_seconds_bucket[5m])))", "has no le"),
        ("sum by (code) (sum by (master) (sentinel_problem))", "no label \"code\""),
        ("sentinel_paused and on (master_name) sentinel_problem", "no label \"master_name\""),
        ("{__name__=~\"sentinel_.*\"}", "not understood"),
        ("label_replace(sentinel_paused, \"a\", \"b\", \"c\", \"d\")", "no metric \"label_replace\""),
        ("sentinel_paused sentinel_paused", "too much"),
    ] {
        assert!(error(expr).contains(wrong), "{expr}: {}", error(expr));
    }
    // Each query of the files fails when any name in it is another one
    for query in all_queries() {
        for metric in TABLE.iter().filter(|metric| query.expr.contains(metric.name)) {
            let changed = query.expr.replace(metric.name, "sentinel_nothing");
            assert!(labels_of(&changed, &served).is_err(), "{}: {changed}", query.place);
        }
    }
    // And what is shown of it must have been kept
    let legend = |expr: &str, shown: &str| {
        faults(&[Query { place: String::new(), expr: expr.to_owned(), shown: vec![shown.to_owned()] }]).len()
    };
    let kept = "sum by (code) (sentinel_problem)";
    assert_eq!((legend(kept, "code"), legend(kept, "master")), (0, 1));
}

#[test]
fn codes_of_problems_in_the_queries_exist() {
    let known: BTreeSet<_> =
        read("docs/problems.md").lines().filter_map(|line| line.strip_prefix("### ")).map(str::to_owned).collect();
    let mut found = 0;
    for query in all_queries() {
        for codes in query.expr.split("code=").skip(1).filter_map(|rest| rest.trim_start_matches('~').split('"').nth(1))
        {
            for code in codes.split('|') {
                assert!(known.contains(code), "{}: {code}", query.place);
                found += 1;
            }
        }
    }
    assert!(found > 5, "{found} were found");
}

#[test]
fn the_board_can_be_imported_and_says_what_each_panel_shows() {
    let board = board();
    assert!(board["schemaVersion"].as_u64().is_some_and(|version| version >= 39) && board["id"].is_null());
    let variables: Vec<_> =
        list(&board["templating"], "list").iter().map(|it| (text(it, "name"), text(it, "type"))).collect();
    assert_eq!(variables, [("datasource", "datasource"), ("job", "query"), ("master", "query"), ("instance", "query")]);
    let (mut ids, mut places) = (BTreeSet::new(), BTreeSet::new());
    for panel in list(&board, "panels") {
        let title = text(panel, "title");
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is another one's");
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap_or_else(|| panic!("{title} has no place"));
        for x in at("x")..at("x") + at("w") {
            assert!(
                x < 24 && (at("y")..at("y") + at("h")).all(|y| places.insert((x, y))),
                "{title} lies on another one"
            );
        }
        if panel["type"] == "row" {
            continue;
        }
        let description = text(panel, "description");
        assert!(description.len() > 30 && description.ends_with('.'), "{title}: {description:?}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        for target in list(panel, "targets") {
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{title}");
            assert!(text(target, "expr").contains("{job=~\"$job\""), "{title}: not of this job");
        }
    }
}
