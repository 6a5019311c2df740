//! The commands of `sentinel` beside a running deployment: what an operator and a script get.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Output, Stdio};

use sentinel_tests::{Deployment, Kind, eventually};
use serde_json::Value;

use crate::given::{SOON, only_true_of_ours};

const WHY: &str = "these are commands of ours";

fn discovered() -> Deployment {
    let deployment = Deployment::of_ours(3).start();
    deployment.wait_until_discovered();
    deployment
}

/// Runs a command at the first Sentinel.
fn run(deployment: &Deployment, words: &[&str]) -> Output {
    let port = deployment.sentinels()[0].port().to_string();
    let mut command = Command::new(Kind::Ours.program());
    command.args(words).args(["-p", &port]).env_remove("SENTINEL_ADDRS");
    command.output().expect("the program can be started")
}

/// What it prints as JSON, and its exit status.
fn json(deployment: &Deployment, words: &[&str]) -> (Value, i32) {
    let output = run(deployment, &[words, &["--json"]].concat());
    let text = String::from_utf8(output.stdout.clone()).expect("JSON is text");
    let value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"));
    (value, output.status.code().expect("it ends by itself"))
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), output.stderr.as_slice()].concat()).into_owned()
}

#[test]
fn a_failover_that_is_waited_for_ends_with_its_result() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = discovered();
    let group = deployment.only_group();
    let (name, old) = (group.name(), group.master().port());
    let elsewhere = format!("127.0.0.1:{}", group.replicas()[0].port());

    let (answer, status) = json(&deployment, &["switchover", name, "--wait", "--if-master", &elsewhere]);
    assert_eq!((status, &answer["started"]), (0, &false.into()), "{answer}");
    let (answer, status) = json(&deployment, &["failover", name, "--dry-run"]);
    assert!(status == 0 && answer["would"].as_str().is_some_and(|it| it.contains("would be promoted")), "{answer}");
    assert_eq!(deployment.sentinels()[0].master_port(name).unwrap(), Some(old));

    let master = format!("127.0.0.1:{old}");
    let (answer, status) = json(&deployment, &["switchover", name, "--wait", "--if-master", &master]);
    assert_eq!((status, &answer["switched"]), (0, &true.into()), "{answer}");
    let new = deployment.wait_for_switch(name, old).port();
    assert_eq!(answer["port"], new, "a number: {answer}");

    let id = eventually("it is on record", SOON, || {
        let (entries, _) = json(&deployment, &["history", name]);
        let took = entries[0]["outcome"].as_str().is_some_and(|it| it.contains(&format!(":{new} took")));
        if took { Ok(entries[0]["id"].as_u64().expect("a number").to_string()) } else { Err(entries.to_string()) }
    });
    let told = text(&run(&deployment, &["history", name, &id]));
    assert!(told.contains("+switch-master") && told.contains(" ms  "), "{told}");

    // Nobody is left who could take over.
    for node in group.nodes().iter().filter(|node| node.port() != new) {
        node.kill();
    }
    eventually("it is told that no replica can be promoted", SOON, || {
        let (problems, status) = json(&deployment, &["problems", name]);
        let codes: Vec<&str> = problems.as_array().into_iter().flatten().filter_map(|it| it["code"].as_str()).collect();
        if status == 1 && codes.contains(&"no-eligible-replica") { Ok(()) } else { Err(problems.to_string()) }
    });
    let output = run(&deployment, &["failover", name, "--wait"]);
    assert!(output.status.code() == Some(4) && text(&output).contains("NOGOODSLAVE"), "{output:?}");
    let explained = text(&run(&deployment, &["explain", name]));
    assert!(explained.contains(&format!(":{new}")), "{explained}");
}

#[test]
fn a_failover_that_does_not_take_place_is_no_success() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = discovered();
    let group = deployment.only_group();
    let (name, old) = (group.name(), group.master().port());
    // A replica that hangs cannot take over without loss: the master stays.
    let replica = &group.replicas()[0];
    let to = format!("127.0.0.1:{}", replica.port());
    replica.hang();
    let output = run(&deployment, &["switchover", name, "--to", &to, "--wait", "--wait-for", "30"]);
    replica.resume();
    let told = text(&output);
    assert!([Some(4), Some(6)].contains(&output.status.code()), "{output:?}");
    assert!(told.contains(&format!("stays at 127.0.0.1:{old}")) || told.contains(&to), "{told}");
    assert_eq!(deployment.sentinels()[0].master_port(name).unwrap(), Some(old));
}

#[test]
fn what_is_paused_is_seen_and_ended() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = discovered();
    let name = deployment.only_group().name();
    let well = run(&deployment, &["status"]);
    assert!(well.status.success() && text(&well).starts_with("1 of 1 master well"), "{well:?}");
    let (answer, status) = json(&deployment, &["pause", name, "30m", "--reason", "moving racks"]);
    assert!(status == 0 && answer["answer"][0].as_str().is_some_and(|it| it.contains("paused 1 master")), "{answer}");
    let seen = |words: &'static [&'static str]| {
        let output = run(&deployment, words);
        text(&output).contains("moving racks").then_some(()).ok_or_else(|| text(&output))
    };
    eventually("the pause is a problem", SOON, || seen(&["problems"]));
    eventually("the pause is in the status", SOON, || seen(&["status"]));
    assert!(run(&deployment, &["resume", "--all"]).status.success());
    let output = run(&deployment, &["pause", "--all", "5m"]);
    assert!(output.status.success() && text(&output).contains("paused 1 master"), "{output:?}");
    assert!(run(&deployment, &["resume", name]).status.success());
    eventually("nothing is wrong", SOON, || {
        let output = run(&deployment, &["problems"]);
        output.status.success().then_some(()).ok_or_else(|| text(&output))
    });
}

#[test]
fn settings_and_lists_are_asked_for_in_every_format() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = discovered();
    let group = deployment.only_group();
    let name = group.name();
    assert!(run(&deployment, &["set", name, "parallel-syncs", "3"]).status.success());
    let (masters, _) = json(&deployment, &["masters"]);
    assert_eq!((&masters[0]["parallel-syncs"], &masters[0]["name"]), (&3.into(), &name.into()));
    for list in ["replicas", "sentinels", "candidates", "consensus"] {
        let (value, status) = json(&deployment, &[list, name]);
        let count = value.as_array().map_or(0, Vec::len);
        assert!(status == 0 && count >= 2, "{list}: {value}");
        let rows = text(&run(&deployment, &[list, name, "--format", "tsv"]));
        assert_eq!(rows.lines().count(), count + 1, "{list}: {rows}");
        assert!(rows.lines().all(|row| row.contains('\t')), "{list}: {rows}");
    }
    let unknown = run(&deployment, &["replicas", "other", "--json"]);
    let error: Value = serde_json::from_slice(&unknown.stderr).expect("errors are JSON, too");
    assert_eq!((unknown.status.code(), &error["status"]), (Some(3), &3.into()), "{error}");
}

#[test]
fn events_are_printed_as_they_happen() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = discovered();
    let group = deployment.only_group();
    let port = deployment.sentinels()[0].port().to_string();
    let mut watch = Command::new(Kind::Ours.program())
        .args(["watch", "+switch-master", "--json", "-p", &port])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can be started");
    let mut lines = BufReader::new(watch.stdout.take().expect("it is a pipe")).lines();
    eventually("it has subscribed", SOON, || {
        let clients: String = deployment.sentinels()[0].command(&["CLIENT", "LIST"]).expect("it answers");
        if clients.contains("psub=1") { Ok(()) } else { Err(clients) }
    });
    assert!(run(&deployment, &["failover", group.name(), "--wait"]).status.success());
    let line = lines.next().expect("an event").expect("text");
    let event: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(event["event"], "+switch-master");
    assert!(event["payload"].as_str().is_some_and(|it| it.starts_with(group.name())), "{event}");
    watch.kill().expect("it is there");
    watch.wait().expect("it ends");
}
