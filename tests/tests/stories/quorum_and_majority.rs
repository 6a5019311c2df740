//! Too few agree: nothing is done. Enough agree again: it is done.

use std::time::Duration;

use sentinel_tests::{Deployment, Group, eventually, never};

use crate::given::SOON;

/// Many times what a failover takes once it may start.
const LONG: Duration = Duration::from_secs(3);

fn assert_that_no_replica_is_promoted(group: &Group) {
    never("a replica is promoted", LONG, || {
        let promoted = group.replicas().iter().find(|replica| replica.role().as_deref() != Some("slave"));
        Ok::<_, String>(promoted.map(|replica| format!("{} is {:?}", replica.label(), replica.role())))
    });
}

#[test]
fn without_quorum_nobody_is_promoted() {
    // Given three Sentinels of which three must agree, and one is gone
    let deployment = Deployment::of_ours(3).quorum(3).start();
    let group = deployment.only_group();
    let old = group.master();
    let missing = &deployment.sentinels()[2];
    missing.kill();

    // When the master dies
    let events = deployment.sentinels()[0].record();
    old.kill();
    events.wait_for("+sdown", |payload| payload.starts_with("master mymaster "), SOON);

    // Then it is not objectively down, no failover is tried and no replica is promoted
    assert_that_no_replica_is_promoted(group);
    for channel in ["+odown", "+try-failover"] {
        assert_eq!(events.count(channel), 0, "{}", events.list());
    }
    assert_eq!(deployment.named_ports("mymaster"), [Some(old.port()); 2], "the address stays");

    // When the third returns, then they are enough
    missing.restart();
    deployment.wait_for_switch("mymaster", old.port());
}

#[test]
fn without_a_majority_nobody_is_promoted() {
    // Given three Sentinels, each of which may call the master down alone, and two are gone
    let deployment = Deployment::of_ours(3).quorum(1).failover_timeout(Duration::from_secs(2)).start();
    let group = deployment.only_group();
    let old = group.master();
    let (last, missing) = deployment.sentinels().split_first().expect("there are three");
    for sentinel in missing {
        sentinel.kill();
    }

    // When the master dies
    let events = last.record();
    old.kill();
    events.wait_for_any("+try-failover", SOON);

    // Then the last Sentinel tries, but is not elected and promotes nobody
    assert_that_no_replica_is_promoted(group);
    events.wait_for_any("-failover-abort-not-elected", SOON);
    assert_eq!(events.count("+elected-leader"), 0, "{}", events.list());
    assert_eq!(last.master_port("mymaster").expect("it answers"), Some(old.port()));

    // When one of the two returns, then two of three are enough
    missing[0].restart();
    deployment.wait_for_switch("mymaster", old.port());
    assert!(deployment.wait_for_one_config_epoch("mymaster") > 0);
}

#[test]
fn a_sentinel_that_alone_cannot_reach_the_master_does_nothing() {
    // Given three Sentinels of which two must agree
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();

    // When one of them has been stopped for longer than down-after, and goes on
    let stalled = &deployment.sentinels()[0];
    let events = deployment.sentinels()[1].record();
    stalled.hang();
    events.wait_for("+sdown", |payload| payload.starts_with("sentinel "), SOON);
    stalled.resume();

    // Then the others see it again, and the master stays
    events.wait_for("-sdown", |payload| payload.starts_with("sentinel "), SOON);
    never("the master is replaced", LONG, || {
        Ok::<_, String>((old.role().as_deref() != Some("master")).then(|| format!("{:?}", old.role())))
    });
    eventually("all name the same master still", SOON, || {
        let ports = deployment.named_ports("mymaster");
        (ports == [Some(old.port()); 3]).then_some(()).ok_or_else(|| format!("{ports:?}"))
    });
}
