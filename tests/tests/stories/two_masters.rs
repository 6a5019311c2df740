//! One set of Sentinels watches two masters.

use sentinel_tests::Deployment;

use crate::given::{SOON, is_switch, record_all};

#[test]
fn the_death_of_one_master_does_not_touch_the_other() {
    // Given two masters watched by the same Sentinels
    let deployment = Deployment::of_ours(3).names(&["alpha", "beta"]).replicas(1).start();
    let (alpha, beta) = (deployment.group("alpha"), deployment.group("beta"));
    let events = record_all(&deployment);

    // When one dies
    alpha.master().kill();

    // Then that one is replaced, by its own replica
    let new = deployment.wait_for_switch("alpha", alpha.master().port());
    assert_eq!(new.port(), alpha.replicas()[0].port());
    for recorder in &events {
        recorder.wait_for(
            "+switch-master",
            |payload| is_switch(payload, "alpha", alpha.master().port(), new.port()),
            SOON,
        );
    }

    // And the other one stays, with its configuration epoch
    assert_eq!(deployment.named_ports("beta"), [Some(beta.master().port()); 3]);
    assert_eq!(deployment.wait_for_one_config_epoch("beta"), 0);
    assert_eq!(beta.master().role().as_deref(), Some("master"));
    for recorder in &events {
        assert!(recorder.find("+sdown", |payload| payload.contains(" beta ")).is_none(), "{}", recorder.list());
    }
}

#[test]
fn both_masters_die_at_once_and_both_are_replaced() {
    // Given two masters watched by the same Sentinels
    let deployment = Deployment::of_ours(3).names(&["alpha", "beta"]).replicas(1).start();

    // When both die at once
    for name in ["alpha", "beta"] {
        deployment.group(name).master().kill();
    }

    // Then each is replaced by its own replica, in an epoch of its own
    let epochs = ["alpha", "beta"].map(|name| {
        let group = deployment.group(name);
        let new = deployment.wait_for_switch(name, group.master().port());
        assert_eq!(new.port(), group.replicas()[0].port());
        deployment.wait_for_one_config_epoch(name)
    });
    assert_ne!(epochs[0], epochs[1]);
}
