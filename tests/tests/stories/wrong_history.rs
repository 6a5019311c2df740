//! A node of another deployment stands where a replica stood: its data are not ours to replace.

use std::time::Duration;

use sentinel_tests::{DataNode, Dataset, Deployment, eventually};

use crate::given::{SOON, only_true_of_ours, record_all};

fn set_here(node: &DataNode) {
    let _: String = node.command(&["SET", "theirs", "1"]).expect("a master takes writes");
}

#[test]
fn a_stranger_on_a_reused_address_is_neither_promoted_nor_overwritten() {
    if only_true_of_ours("it points whatever stands at a known address at its master") {
        return;
    }
    // Given a deployment of which one replica becomes part of another one: a master with a replica of its own
    let deployment = Deployment::of_ours(1).quorum(1).replicas(3).start();
    let events = record_all(&deployment);
    let group = deployment.only_group();
    let (stranger, theirs) = (&group.replicas()[0], &group.replicas()[1]);
    let port = stranger.port().to_string();
    let _: String = stranger.command(&["REPLICAOF", "NO", "ONE"]).expect("it becomes a master");
    let _: String = stranger.command(&["DEBUG", "CHANGE-REPL-ID"]).expect("it begins a history of its own");
    let _: String = theirs.command(&["REPLICAOF", "127.0.0.1", &port]).expect("it follows");
    eventually("the other deployment replicates", SOON, || theirs.follows(stranger));
    set_here(stranger);

    // When longer has passed than redis-sentinel needs to make it a replica (8 s), then it was told once
    let seen = events[0].wait_for("-replid-mismatch", |payload| payload.contains(&port), SOON);
    std::thread::sleep((seen.at + Duration::from_secs(11)).saturating_duration_since(std::time::Instant::now()));
    assert_eq!(stranger.role().as_deref(), Some("master"), "{}", events[0].list());
    assert_eq!(events[0].count("+convert-to-slave"), 0, "{}", events[0].list());

    // And when our master dies it is not the one that is promoted
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), group.replicas()[2].port());
    events[0].wait_for_any("+failover-end", SOON);
    assert_eq!(stranger.command::<String>(&["GET", "theirs"]).ok().as_deref(), Some("1"));
}

#[test]
fn an_old_master_that_comes_back_empty_is_no_stranger() {
    // Given a master that died and was replaced
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).start();
    let old = deployment.only_group().master();
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());

    // When it comes back without its data, and so with a replication id that nobody knows, then it follows the new one
    old.launch_again(Dataset::Lost);
    eventually("the old master follows the new one", SOON * 2, || old.follows(new));
}
