//! What is wrong is known before it matters: the list of problems, and its events.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt as _, time::Duration};

use sentinel_tests::{Deployment, SentinelProcess, eventually};
use tempfile::TempDir;

use crate::given::{SOON, only_true_of_ours};

type Problems = Vec<BTreeMap<String, String>>;

fn problems(sentinel: &SentinelProcess, words: &[&str]) -> Problems {
    sentinel.command(&[&["SENTINEL", "PROBLEMS"], words].concat()).expect("it answers")
}

fn codes(problems: &Problems) -> Vec<&str> {
    problems.iter().map(|it| it["code"].as_str()).collect()
}

fn wait_for(sentinel: &SentinelProcess, code: &str) -> BTreeMap<String, String> {
    eventually(&format!("{code} is listed"), SOON, || {
        let all = problems(sentinel, &["mymaster"]);
        all.iter().find(|it| it["code"] == code).cloned().ok_or_else(|| format!("{all:?}"))
    })
}

fn wait_until_nothing_is_wrong(sentinel: &SentinelProcess) {
    eventually("nothing is wrong", 3 * SOON, || {
        let all = problems(sentinel, &[]);
        if all.is_empty() { Ok(()) } else { Err(format!("{all:?}")) }
    });
}

#[test]
fn a_quorum_that_is_lost_is_told_at_once_and_not_at_the_next_failure() {
    if only_true_of_ours("it has no list of problems") {
        return;
    }
    // Given three Sentinels, all well, which would need half a minute to hold each other for down
    let deployment = Deployment::of_ours(3).down_after(Duration::from_secs(30)).start();
    let [staying, one, other] = deployment.sentinels() else { panic!("there are three") };
    wait_until_nothing_is_wrong(staying);
    let events = staying.record();

    // When one of them dies, then one more must not
    one.kill();
    let warned = wait_for(staying, "one-loss-from-quorum");
    assert_eq!((warned["severity"].as_str(), warned["master"].as_str()), ("warning", "mymaster"));
    assert!(warned["problem"].contains("connection refused"), "{warned:?}");

    // When another one does, then that is told, with what mends it
    other.kill();
    let told = events.wait_for("+problem", |payload| payload.contains("#quorum-lost: "), Duration::from_secs(3));
    assert!(told.payload.starts_with("master mymaster 127.0.0.1 "), "{}", told.payload);
    let lost = wait_for(staying, "quorum-lost");
    assert_eq!((lost["severity"].as_str(), lost["scope"].as_str()), ("critical", "master"));
    assert!(lost["remedy"].contains("SENTINEL FORGET mymaster"), "{lost:?}");
    let all = problems(staying, &[]);
    assert_eq!(codes(&all).iter().filter(|code| **code == "peer-unreachable").count(), 2, "{all:?}");

    // When both are back, then it is over
    one.restart();
    other.restart();
    events.wait_for("-problem", |payload| payload.contains("#quorum-lost: "), SOON);
    wait_until_nothing_is_wrong(staying);
    assert!(problems(one, &["mymaster"]).is_empty());
}

#[test]
fn what_keeps_a_failover_from_being_possible_is_listed_with_each_replicas_reason() {
    if only_true_of_ours("it has no list of problems") {
        return;
    }
    // Given two replicas, of which one must not be promoted
    let deployment = Deployment::of_ours(1).quorum(1).replicas(2).priorities(&[0, 100]).start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let [never_promoted, usual] = group.replicas() else { panic!("there are two") };
    wait_until_nothing_is_wrong(sentinel);

    // When the other one cannot log in to its master any more, then its link is said to be down
    let _: String = usual.command(&["CONFIG", "SET", "masterauth", "wrong"]).expect("it obeys");
    let _: i64 = usual.command(&["CLIENT", "KILL", "TYPE", "master"]).expect("it obeys");
    let link = wait_for(sentinel, "replica-link-down");
    assert_eq!(link["address"], usual.address());
    assert!(link["remedy"].contains("masterauth"), "{link:?}");

    // When it dies, then nobody could take the master's place, and the reason of each is told
    usual.kill();
    let nobody = wait_for(sentinel, "no-eligible-replica");
    assert!(nobody["problem"].contains(&format!("{}: its priority is 0", never_promoted.address())), "{nobody:?}");
    assert!(nobody["problem"].contains(&format!("{}: it is subjectively down", usual.address())), "{nobody:?}");
    let down = wait_for(sentinel, "replica-down");
    assert!(down["problem"].contains("connection refused"), "{down:?}");
    let unknown =
        sentinel.command::<Problems>(&["SENTINEL", "PROBLEMS", "nobody"]).expect_err("there is no such master");
    assert!(unknown.to_string().contains("No such master"), "{unknown}");
}

#[test]
fn a_master_that_refuses_every_write_or_keeps_too_little_is_listed() {
    if only_true_of_ours("it has no list of problems") {
        return;
    }
    // Given a master that wants a replica for its writes, and has one
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .replicas(1)
        .data_line("min-replicas-to-write 1")
        .data_line("min-replicas-max-lag 2")
        .data_line("repl-backlog-size 16384")
        .start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let (master, replica) = (group.master(), &group.replicas()[0]);
    wait_until_nothing_is_wrong(sentinel);

    // When more is written in down-after than its backlog holds, again and again, then that is said with both numbers
    let large = "x".repeat(64 * 1024);
    let told = eventually("a backlog that is too small is listed", 6 * SOON, || {
        let _: String = master.command(&["SET", "key", &large]).map_err(|error| error.to_string())?;
        let all = problems(sentinel, &["mymaster"]);
        all.iter().find(|it| it["code"] == "backlog-too-small").cloned().ok_or_else(|| format!("{all:?}"))
    });
    assert!(told["problem"].contains("its backlog of 16384 bytes"), "{told:?}");
    assert_eq!((told["scope"].as_str(), told["address"].as_str()), ("node", master.address().as_str()));

    // When the replica hangs, then the master refuses every write, and that is critical
    replica.hang();
    let told = eventually("a master that refuses writes is listed", 3 * SOON, || {
        let all = problems(sentinel, &["mymaster"]);
        all.iter().find(|it| it["code"] == "min-replicas-unsatisfiable").cloned().ok_or_else(|| format!("{all:?}"))
    });
    assert_eq!((told["severity"].as_str(), told["address"].as_str()), ("critical", master.address().as_str()));
    let refused: Result<String, _> = master.command(&["SET", "key", "value"]);
    assert!(refused.is_err_and(|error| error.to_string().contains("NOREPLICAS")));

    // When it goes on, then nothing is wrong
    replica.resume();
    wait_until_nothing_is_wrong(sentinel);
}

#[test]
fn a_script_that_fails_is_listed_until_it_does_not() {
    if only_true_of_ours("it has no list of problems") {
        return;
    }
    // Given a notification script that ends with status 3
    let folder = TempDir::with_prefix("sentinel-failing-").expect("a temporary folder");
    let path = folder.path().join("notify.sh");
    let write = |line: &str| {
        let new = folder.path().join("new.sh");
        fs::write(&new, format!("#!/bin/sh\n{line}\n")).expect("a script can be written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("a file can be made executable");
        fs::rename(&new, &path).expect("it takes the place of the other one");
    };
    write("exit 3");
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .replicas(1)
        .sentinel_line(&format!("sentinel notification-script mymaster {}", path.display()))
        .start();
    let sentinel = &deployment.sentinels()[0];

    // When it is called, for the start already, then that is said with its path and its end
    let told = wait_for(sentinel, "script-failing");
    assert!(told["problem"].contains("notify.sh: it ended with status 3"), "{told:?}");
    assert_eq!((told["scope"].as_str(), told["master"].as_str()), ("master", "mymaster"));

    // When it is mended, and called once more, then it is over
    write("exit 0");
    let _: String = sentinel.command(&["SENTINEL", "SET", "mymaster", "parallel-syncs", "2"]).expect("it obeys");
    deployment.only_group().replicas()[0].kill();
    eventually("the script is not listed any more", SOON, || {
        let all = problems(sentinel, &["mymaster"]);
        if codes(&all).contains(&"script-failing") { Err(format!("{all:?}")) } else { Ok(()) }
    });
}
