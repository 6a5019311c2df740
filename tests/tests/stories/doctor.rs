//! `sentinel doctor` beside running deployments: each fault is found, with what mends it, and a healthy one yields nothing.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

use sentinel_tests::{Deployment, Kind, eventually};
use serde_json::Value;

use crate::given::{SOON, only_true_of_ours};

/// Runs it for the only master of a deployment, from the first Sentinel on.
fn doctor(deployment: &Deployment, words: &[&str]) -> Output {
    let port = deployment.sentinels()[0].port().to_string();
    let mut command = Command::new(Kind::Ours.program());
    command.arg("doctor").args(words).args(["-p", &port]);
    for name in ["SENTINEL_ADDRS", "SENTINEL_NODE_USER", "SENTINEL_NODE_PASSWORD"] {
        command.env_remove(name);
    }
    command.output().expect("the program can be started")
}

/// What it finds: the code, the address, the sentence and the remedy of each.
fn findings(deployment: &Deployment, words: &[&str]) -> Vec<[String; 4]> {
    let output = doctor(deployment, &[words, &["--json"]].concat());
    let told: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{words:?}: {error}: {output:?}"));
    let found = told["found"].as_array().expect("a list");
    assert_eq!(output.status.code(), Some(i32::from(!found.is_empty())), "{told}");
    let field = |it: &Value, name: &str| it[name].as_str().unwrap_or_default().to_owned();
    found.iter().map(|it| ["code", "address", "problem", "remedy"].map(|name| field(it, name))).collect()
}

/// Waits until all of these are found: the code, the address or nothing, and a part of the remedy.
#[track_caller]
fn wait_for(deployment: &Deployment, words: &[&str], expected: &[(&str, String, &str)]) {
    eventually("everything is found", SOON, || {
        let found = findings(deployment, words);
        let is_found = |(code, address, remedy): &&(&str, String, &str)| {
            found.iter().any(|it| it[0] == *code && it[1] == *address && it[3].contains(remedy))
        };
        let missing: Vec<_> = expected.iter().filter(|it| !is_found(it)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("missing {missing:#?} in {found:#?}")) }
    });
}

#[test]
fn a_healthy_deployment_yields_nothing_and_faults_are_found_with_what_mends_them() {
    if only_true_of_ours("it takes the problems that ours list") {
        return;
    }
    let deployment = Deployment::of_ours(3).data_line("min-replicas-to-write 1").start();
    deployment.wait_until_discovered();
    let group = deployment.only_group();
    let name = group.name();
    let (master, replicas, sentinels) = (group.master(), group.replicas(), deployment.sentinels());
    eventually("nothing is found", SOON, || {
        let output = doctor(&deployment, &[name]);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let well = output.status.success() && text.contains("3 of 3 Sentinels and 3 of 3 data nodes answered");
        if well { Ok(()) } else { Err(format!("{output:?}")) }
    });
    assert!(findings(&deployment, &["--all"]).is_empty());
    assert_eq!(doctor(&deployment, &["other"]).status.code(), Some(3));

    let set = |port: usize, option: &str, value: &str| {
        let done: String = sentinels[port].command(&["SENTINEL", "SET", name, option, value]).expect("it is set");
        assert_eq!(done, "OK");
    };
    let configure = |node: &sentinel_tests::DataNode, setting: &str, value: &str| {
        let done: String = node.command(&["CONFIG", "SET", setting, value]).expect("it is set");
        assert_eq!(done, "OK");
    };
    set(1, "quorum", "3");
    set(2, "down-after-milliseconds", "60000");
    configure(&replicas[0], "replica-read-only", "no");
    for replica in replicas {
        configure(replica, "replica-priority", "0");
    }
    configure(master, "min-replicas-to-write", "2");
    configure(master, "appendonly", "no");
    configure(master, "protected-mode", "no");
    configure(master, "bind", "127.0.0.1 -10.255.255.1");
    configure(master, "repl-backlog-size", "16384");
    let at = |port: u16| format!("127.0.0.1:{port}");
    let writer = deployment.write_to(name);
    wait_for(
        &deployment,
        &[name],
        &[
            ("quorum-differs", at(sentinels[1].port()), "SENTINEL SET mymaster quorum 2"),
            ("settings-differ", at(sentinels[2].port()), "SENTINEL SET mymaster down-after-milliseconds 1000"),
            ("replica-writable", replicas[0].address(), "replica-read-only yes"),
            ("min-replicas-unsatisfiable", master.address(), "min-replicas-to-write 1"),
            ("no-persistence", master.address(), "appendonly yes"),
            ("open-port", master.address(), "requirepass"),
            ("backlog-too-small", master.address(), "repl-backlog-size"),
        ],
    );
    drop(writer);
    let found = findings(&deployment, &[name]);
    let codes: Vec<&str> = found.iter().map(|it| it[0].as_str()).collect();
    for code in ["no-eligible-replica", "one-loss-from-quorum"] {
        assert_eq!(codes.iter().filter(|it| **it == code).count(), 1, "{code} is told once: {found:#?}");
    }

    // What Sentinels would mend at once, they may not.
    for replica in replicas {
        let done: String = replica.command(&["ACL", "SETUSER", "default", "-slaveof"]).expect("it is set");
        assert_eq!(done, "OK");
    }
    let follow = |node: &sentinel_tests::DataNode, host: &str, port: &str| {
        let done: String = node.command(&["REPLICAOF", host, port]).expect("it is done");
        assert_eq!(done, "OK");
    };
    follow(&replicas[1], "127.0.0.1", &replicas[0].port().to_string());
    let slaveof = format!("REPLICAOF 127.0.0.1 {}", master.port());
    wait_for(
        &deployment,
        &[name],
        &[
            ("chained-replica", replicas[1].address(), &slaveof),
            ("missing-permission", replicas[0].address(), "ACL SETUSER default +slaveof"),
        ],
    );
    follow(&replicas[0], "NO", "ONE");
    wait_for(&deployment, &[name], &[("two-masters", replicas[0].address(), "REPLICAOF")]);
    follow(&replicas[0], "127.0.0.1", "1");
    wait_for(
        &deployment,
        &[name],
        &[
            ("follows-another", replicas[0].address(), &slaveof),
            ("replica-link-down", replicas[0].address(), "masterauth"),
            ("foreign-history", replicas[0].address(), ""),
        ],
    );
}

#[test]
fn faults_among_sentinels_of_the_reference_are_found_and_nobody_is_waited_for_long() {
    let deployment = Deployment::of(&[Kind::Reference; 3]).start();
    deployment.wait_until_discovered();
    let group = deployment.only_group();
    let name = group.name();
    let (master, replicas, sentinels) = (group.master(), group.replicas(), deployment.sentinels());
    let login = ["--node-password", "s3cret"];

    let set = |node: &sentinel_tests::DataNode, setting: &str, value: &str| {
        let done: String = node.command(&["CONFIG", "SET", setting, value]).expect("it is set");
        assert_eq!(done, "OK");
    };
    // Far behind, and silent.
    set(master, "repl-backlog-size", "16384");
    replicas[1].hang();
    let written: String = master.command(&["SET", "much", &"x".repeat(1 << 20)]).expect("it is written");
    assert_eq!(written, "OK");
    // Who is connected stays logged in, until the connection ends.
    set(&replicas[0], "requirepass", "s3cret");
    let mut connection = replicas[0].connect().expect("it answers");
    let _: String = redis::cmd("AUTH").arg("s3cret").query(&mut connection).expect("the password is right");
    for kind in ["normal", "pubsub"] {
        let _: u64 =
            redis::cmd("CLIENT").arg(&["KILL", "TYPE", kind]).query(&mut connection).expect("they are disconnected");
    }
    set(master, "requirepass", "s3cret");
    let removed: String = sentinels[1].command(&["SENTINEL", "REMOVE", name]).expect("it is removed");
    assert_eq!(removed, "OK");
    let ghost = sentinels[2].port();
    sentinels[2].kill();

    let at = |port: u16| format!("127.0.0.1:{port}");
    wait_for(
        &deployment,
        &[&[name], &login[..]].concat(),
        &[
            ("lag", replicas[1].address(), "repl-backlog-size"),
            ("replica-down", replicas[1].address(), "start it"),
            ("node-locked", replicas[0].address(), "SENTINEL SET mymaster auth-pass"),
            ("replica-auth", replicas[0].address(), "CONFIG SET masterauth"),
            ("not-monitored", at(sentinels[1].port()), "SENTINEL MONITOR mymaster 127.0.0.1"),
            ("peer-unreachable", at(ghost), "SENTINEL RESET mymaster"),
            ("one-loss-from-quorum", String::new(), "three or more"),
        ],
    );
    let started = Instant::now();
    wait_for(&deployment, &[name], &[("node-refuses", master.address(), "--node-password")]);
    assert!(started.elapsed() < Duration::from_secs(12), "{:?}", started.elapsed());
    replicas[1].resume();
}
