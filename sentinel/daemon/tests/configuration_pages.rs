//! References that are made out of tables: the configuration, as two manual pages and a document, and the metrics.

use std::{fmt::Write as _, path::Path};

use roff::{Roff, bold, italic, roman};
use sentineld::{
    config::keys::{KEYS, Key, Kind},
    http,
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// The tables, in the order in which a reader meets them.
const SECTIONS: &[(&str, &str)] = &[
    ("master", "Each master: [[master]]"),
    ("sentinel", "The Sentinel itself: [sentinel]"),
    ("server", "Process and port: [server]"),
    ("tls", "TLS: [tls]"),
    ("acl", "Access control: [acl]"),
    ("http", "HTTP endpoint: [http]"),
    ("webhook", "Webhook: [webhook]"),
    ("", "Above all tables"),
];

fn keys(section: &str) -> impl Iterator<Item = &'static Key> + '_ {
    KEYS.iter().filter(move |key| key.section == section)
}

fn default(key: &Key) -> &str {
    if key.default.is_empty() { "none" } else { &key.default }
}

/// The same as a classic line says it: without quotes, and times as numbers.
fn classic_default(key: &Key) -> String {
    let text = default(key).trim_matches('"');
    match (key.kind, humantime::parse_duration(text)) {
        (Kind::Milliseconds, Ok(time)) => time.as_millis().to_string(),
        (Kind::Seconds, Ok(time)) => time.as_secs().to_string(),
        (Kind::Switch, _) => if text == "true" { "yes" } else { "no" }.to_owned(),
        _ if text.is_empty() => "none".to_owned(),
        _ => text.to_owned(),
    }
}

fn document() -> String {
    let mut text = String::from(
        "# Configuration\n\nEvery setting, in both forms. This file is made out of the table that the program reads with\n\
         (`UPDATE_DOCS=1 cargo test -p sentineld --test configuration_pages`). Settings marked with * are not known to\n\
         redis-sentinel: what it would refuse stands behind `#@` where the program writes it itself. A classic file may\n\
         hold every directive that a Sentinel from 7.0 to Valkey 9.1 accepts; those that concern data nodes have no\n\
         effect ([files.md](files.md)).\n",
    );
    for (section, title) in SECTIONS {
        let _ = write!(text, "\n## {title}\n\n| key | classic | value | default | |\n|---|---|---|---|---|\n");
        for key in keys(section) {
            let mark = if key.is_ours() { " *" } else { "" };
            let classic = key.classic().replace('|', "\\|");
            let doc = key.doc.replace('|', "\\|");
            let _ = writeln!(
                text,
                "| `{}`{mark} | `{classic}` | {} | {} | {doc} |",
                key.name,
                key.kind.toml(),
                code(default(key))
            );
        }
    }
    text
}

fn code(text: &str) -> String {
    if text == "none" { text.to_owned() } else { format!("`{text}`") }
}

/// A manual page; `entry` adds what one key is in this form.
fn page(
    name: &str,
    what: &str,
    about: &str,
    counts: impl Fn(&Key) -> String,
    entry: impl Fn(&mut Roff, &Key),
) -> String {
    let mut page = Roff::new();
    page.control("TH", [name, "5", "", "sentinel"]);
    page.control("SH", ["NAME"]).text([roman(format!("{name} - {what}"))]);
    page.control("SH", ["DESCRIPTION"]).text([roman(about)]);
    for (section, title) in SECTIONS {
        page.control("SH", [title.split(':').next().unwrap_or(title).to_uppercase().as_str()]);
        for key in keys(section) {
            page.control("TP", []);
            entry(&mut page, key);
            let ours = if key.is_ours() { " Not known to redis-sentinel." } else { "" };
            page.text([roman(format!("{} Default: {}.{ours}", key.doc, counts(key)))]);
        }
    }
    page.control("SH", ["SEE ALSO"]).text([bold("sentinel"), roman("(1)")]);
    page.render()
}

fn classic() -> String {
    page(
        "sentinel.conf",
        "the configuration of sentinel, in the form of redis-sentinel",
        "One directive a line. Values with blanks need quotes, and times are whole numbers. NAME is the name of a master, which its line \
         `sentinel monitor` gives. Every directive that a Sentinel from Redis 7.0 to Valkey 9.1 accepts may stand there.",
        classic_default,
        |page, key| {
            page.text([bold(key.classic())]);
        },
    )
}

fn toml() -> String {
    page(
        "sentinel.toml",
        "the configuration of sentinel, in TOML",
        "Keys stand in tables, and each master is a table [[master]] of its own. Times have units, such as \"5s\" or \"250ms\".",
        |key| default(key).to_owned(),
        |page, key| {
            page.text([bold(key.name), roman(" = "), italic(key.kind.toml())]);
        },
    )
}

fn metrics() -> String {
    let mut text = String::from(
        "# Metrics\n\nWhat `/metrics` of the HTTP endpoint ([http.md](http.md)) tells. This file is made out of the table that\n\
         the program writes them with (`UPDATE_DOCS=1 cargo test -p sentineld --test configuration_pages`). Those that begin\n\
         with `redis_sentinel_` have the names, labels and values of redis_exporter.\n\n\
         ## Rules and a board\n\n\
         [configs/prometheus](../configs/prometheus) has rules for Prometheus with their tests.\n\
         [configs/grafana/sentinel.json](../configs/grafana/sentinel.json) is a board for Grafana 10 or later: import the file\n\
         (Dashboards, New, Import), and choose at the top the Prometheus that scrapes the Sentinels, its job, masters and\n\
         Sentinels. It has an overview, a part for one master, and one for the processes; each panel says what it shows.\n\
         Every Sentinel tells what it sees itself, so the panels of masters show the worst of what they see.\n\n\
         `make test-extended` tries all of it on real servers: Debian's Prometheus scrapes three Sentinels, a failover is seen,\n\
         every query of the board is asked, the alert of a master that stays down fires and is resolved; promtool checks\n\
         and tests the rules and lints `/metrics`; redis_exporter, pointed at the Redis port, tells the same value for\n\
         every series that it has. The lint finds one thing, which stays: `…_down_after_milliseconds` is not in seconds, as the\n\
         name is redis_exporter's.\n\n\
         ## All of them\n\n\
         | metric | kind | labels | |\n|---|---|---|---|\n",
    );
    for metric in http::TABLE {
        let labels: Vec<_> = metric.labels.iter().map(|label| format!("`{label}`")).collect();
        let kind = metric.kind.as_str();
        let _ = writeln!(text, "| `{}` | {kind} | {} | {}. |", metric.name, labels.join(", "), metric.help);
    }
    text
}

#[test]
fn the_reference_is_what_the_table_of_keys_says() {
    for (path, made) in [
        ("docs/configuration.md", document()),
        ("docs/metrics.md", metrics()),
        ("man/sentinel.conf.5", classic()),
        ("man/sentinel.toml.5", toml()),
    ] {
        let file = Path::new(ROOT).join(path);
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(&file, &made).expect("it can be written");
        }
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            kept == made,
            "{path} has drifted: run UPDATE_DOCS=1 cargo test -p sentineld --test configuration_pages"
        );
    }
}

#[test]
fn every_key_stands_in_it_once() {
    assert_eq!(SECTIONS.iter().flat_map(|(section, _)| keys(section)).count(), KEYS.len());
}
