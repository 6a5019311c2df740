//! An operator moves the master.

use std::time::{Duration, Instant};

use sentinel_tests::{Deployment, Kind, eventually};

use crate::given::{SOON, only_true_of_ours, record_all, wait_until_all_tell_the_switch};

#[test]
fn an_operator_moves_the_master_and_the_old_one_is_demoted_at_once() {
    // Given a healthy deployment and an application that writes
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    let writer = deployment.write_to("mymaster");

    // When a Sentinel is told to fail over
    let told = Instant::now();
    deployment.sentinels()[1].failover("mymaster");

    // Then a replica becomes master, all Sentinels name it, and the application writes to it
    let new = deployment.wait_for_switch("mymaster", old.port());
    writer.wait_for_write(new.port(), told, SOON);
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    for recorder in &events {
        assert!(recorder.find("+odown", |_| true).is_none(), "{}", recorder.list());
    }
    let promoted = events[1].wait_for_any("+promoted-slave", SOON);

    // And the old master, which is alive, soon accepts no more writes: the reference leaves that for about 10 s
    let limit = match Kind::under_test() {
        Kind::Ours => Duration::from_secs(1),
        Kind::Reference => Duration::from_secs(20),
    };
    eventually("the old master follows the new one", SOON * 2, || old.follows(new));
    let report = writer.finish();
    let last_write_to_old =
        report.acknowledged.iter().rfind(|write| write.port == old.port()).expect("it was the master");
    let writable = last_write_to_old.at.saturating_duration_since(promoted.at);
    assert!(writable < limit, "writable for {writable:?} after the promotion");
    group.wait_until_linked(new);
}

#[test]
fn a_failover_is_refused_without_a_good_replica() {
    // Given a master whose only replica may never be promoted
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).priorities(&[0]).start();
    let old = deployment.only_group().master();
    let sentinel = &deployment.sentinels()[0];

    // When a failover is asked for, then it is refused and nothing changes
    let refused = sentinel.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).expect_err("there is no candidate");
    assert_eq!(refused.code(), Some("NOGOODSLAVE"), "{refused}");
    assert_eq!(old.role().as_deref(), Some("master"));

    // And a name that is not watched is an error of its own
    let unknown = sentinel.command::<String>(&["SENTINEL", "FAILOVER", "nobody"]).expect_err("nobody watches it");
    assert!(unknown.to_string().contains("No such master with that name"), "{unknown}");
}

#[test]
fn the_master_can_be_moved_again_and_again() {
    if only_true_of_ours("it may choose a node that another Sentinel is demoting in the same moment") {
        return;
    }
    // Given a deployment
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();

    // When each Sentinel in turn moves the master
    let mut old = group.master();
    for (round, sentinel) in deployment.sentinels().iter().enumerate() {
        eventually("a replica is fit to be promoted", SOON * 2, || {
            sentinel.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).map_err(|error| error.to_string())
        });

        // Then all agree each time, with a configuration epoch that grows
        let new = deployment.wait_for_switch("mymaster", old.port());
        let epoch = deployment.wait_for_one_config_epoch("mymaster");
        assert!(epoch > u64::try_from(round).expect("a small number"), "epoch {epoch} in round {round}");
        eventually("all nodes follow", SOON * 2, || {
            group.nodes().iter().filter(|node| node.port() != new.port()).try_for_each(|node| node.follows(new))
        });
        old = new;
    }
}
