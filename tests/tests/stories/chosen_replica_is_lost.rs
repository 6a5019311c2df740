//! The replica that was chosen is lost before it is a master.

use sentinel_tests::Deployment;

use crate::given::{SOON, only_true_of_ours, record_all};

#[test]
fn another_one_takes_its_place_at_once() {
    if only_true_of_ours("it waits for failover-timeout, and then as long again, doubled") {
        return;
    }
    // Given a preferred replica that does not obey
    let deployment = Deployment::of_ours(3)
        .replicas(2)
        .priorities(&[10, 100])
        .failover_timeout(std::time::Duration::from_secs(60))
        .start_after(|groups| {
            let rules = ["ACL", "SETUSER", "default", "-replicaof", "-slaveof"];
            let _: String = groups[0].replicas()[0].command(&rules).expect("the rules are some");
        });
    let events = record_all(&deployment);
    let group = deployment.only_group();
    let (preferred, other) = (&group.replicas()[0], &group.replicas()[1]);

    // When it is chosen, and then dies
    group.master().kill();
    let port = preferred.port().to_string();
    sentinel_tests::eventually("it is told to be the master", SOON, || {
        let told = events.iter().find_map(|it| it.find("+failover-state-wait-promotion", |text| text.contains(&port)));
        told.ok_or_else(|| "not yet".to_owned())
    });
    preferred.kill();

    // Then the other one is promoted, and it is said why
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), other.port());
    let given_up = events.iter().find_map(|recorder| recorder.find("-selected-slave", |_| true)).expect("it is told");
    assert!(given_up.payload.contains("refuses connections") || given_up.payload.contains("down"), "{given_up}");
}
