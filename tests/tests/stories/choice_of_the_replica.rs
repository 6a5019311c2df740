//! Which replica is promoted.

use std::cmp::Reverse;
use std::time::Duration;

use sentinel_tests::{DataNode, Deployment, Group, eventually, never};

use crate::given::SOON;

/// The two replicas, the one with the smaller run id first: all else being equal, that one is chosen.
fn by_run_id(group: &Group) -> (&DataNode, &DataNode) {
    let [one, other] = group.replicas() else {
        panic!("there are two replicas");
    };
    if one.run_id() < other.run_id() { (one, other) } else { (other, one) }
}

fn offset(node: &DataNode) -> u64 {
    node.info("slave_repl_offset")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("{} tells no offset", node.label()))
}

fn set_priority(node: &DataNode, priority: &str) {
    node.command::<()>(&["CONFIG", "SET", "replica-priority", priority]).expect("it can be set");
}

#[test]
fn the_replica_with_the_lowest_priority_number_is_chosen() {
    // Given two replicas, of which the one with the greater run id has the better priority
    let deployment = Deployment::of_ours(3).start_after(|groups| {
        let (_, greater) = by_run_id(&groups[0]);
        set_priority(greater, "10");
    });
    let group = deployment.only_group();
    let (_, preferred) = by_run_id(group);

    // When the master dies, then that one is chosen
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), preferred.port());
}

#[test]
fn a_replica_with_priority_zero_is_not_chosen_however_good_it_is() {
    // Given two replicas, of which the one with the smaller run id must not be promoted
    let deployment = Deployment::of_ours(3).start_after(|groups| {
        let (smaller, _) = by_run_id(&groups[0]);
        set_priority(smaller, "0");
    });
    let group = deployment.only_group();
    let (_, allowed) = by_run_id(group);

    // When the master dies, then the other one is chosen
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), allowed.port());
}

#[test]
fn a_replica_with_priority_zero_is_not_chosen_even_when_it_is_the_last() {
    // Given a master whose only replica must not be promoted
    let deployment = Deployment::of_ours(3).replicas(1).priorities(&[0]).start();
    let group = deployment.only_group();
    let replica = &group.replicas()[0];
    let recorders: Vec<_> = deployment.sentinels().iter().map(sentinel_tests::SentinelProcess::record).collect();

    // When the master dies, then a leader finds no good replica and says so
    group.master().kill();
    eventually("the failover is aborted", SOON, || {
        recorders
            .iter()
            .find_map(|recorder| recorder.find("-failover-abort-no-good-slave", |_| true))
            .ok_or_else(|| "not yet".to_owned())
    });

    // And the replica stays one
    never("the replica is promoted", Duration::from_secs(2), || {
        let role = replica.role();
        Ok::<_, String>((role.as_deref() != Some("slave")).then(|| format!("{role:?}")))
    });
}

#[test]
fn the_replica_with_the_most_data_is_chosen() {
    // Given two replicas, of which the one with the smaller run id is far behind: it hangs while more is written than
    // its sockets can hold
    let deployment = Deployment::of_ours(3).down_after(Duration::from_secs(2)).start();
    let group = deployment.only_group();
    let master = group.master();
    let (stale, fresh) = by_run_id(group);
    let mut writer = master.connect().expect("the master accepts connections");
    let value = vec![b'x'; 1 << 20];
    stale.hang();
    for number in 0..48 {
        redis::cmd("SET")
            .arg(format!("large:{}", number % 4))
            .arg(&value)
            .query::<()>(&mut writer)
            .expect("the master takes writes");
    }
    let reached: i64 = redis::cmd("WAIT").arg(1).arg(1500).query(&mut writer).expect("the master waits");
    assert_eq!(reached, 1, "the fresh replica has it all");

    // When the master dies, and the one that is behind goes on
    master.kill();
    stale.resume();
    eventually("the stale replica has noticed", SOON, || {
        let link = stale.info("master_link_status");
        (link.as_deref() == Some("down")).then_some(()).ok_or_else(|| format!("{link:?}"))
    });
    assert!(offset(stale) < offset(fresh), "it is behind");

    // Then the one with the data is chosen
    let new = deployment.wait_for_switch("mymaster", master.port());
    assert_eq!(new.port(), fresh.port());
}

#[test]
fn the_smaller_run_id_is_chosen_between_equals() {
    // Given two replicas that differ in nothing else
    let deployment = Deployment::of_ours(3).data_line("repl-ping-replica-period 3600").start();
    let group = deployment.only_group();

    // When the master dies. (It feeds both replicas in one go; should the kill have cut between the two, the offset
    // decides before the run id.)
    group.master().kill();
    let chosen = group
        .replicas()
        .iter()
        .min_by_key(|replica| (Reverse(offset(replica)), replica.run_id()))
        .expect("there are two");

    // Then the one with the smaller run id is chosen
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), chosen.port());
}
