//! What happened to a master is known afterwards, also after a restart.

use std::collections::BTreeMap;

use sentinel_tests::{Deployment, SentinelProcess, eventually};

use crate::given::{SOON, only_true_of_ours};

fn history(sentinel: &SentinelProcess) -> Vec<BTreeMap<String, String>> {
    sentinel.command(&["SENTINEL", "HISTORY", "mymaster"]).expect("it answers")
}

#[test]
fn a_failover_is_told_afterwards_with_its_votes_phases_and_offsets() {
    if only_true_of_ours("it has no SENTINEL HISTORY") {
        return;
    }
    // Given a master that died, and was replaced
    let deployment = Deployment::of_ours(3).start();
    let old = deployment.only_group().master();
    assert!(history(&deployment.sentinels()[0]).is_empty());
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());

    // Then each Sentinel knows what happened
    for sentinel in deployment.sentinels() {
        let known = eventually("the incident is over", SOON, || {
            let known = history(sentinel);
            if known.len() == 1 { Ok(known) } else { Err(format!("{known:?}")) }
        });
        assert_eq!(known[0]["outcome"], format!("{} took the place of {}", new.address(), old.address()));
        // A Sentinel that was told of the switch before its own silence had passed begins with what it was told.
        let trigger = &known[0]["trigger"];
        let saw_it_down = trigger.starts_with("+sdown master mymaster ") && trigger.ends_with("(connection refused)");
        assert!(saw_it_down || trigger.starts_with("+config-update-from sentinel "), "{known:?}");
    }

    // And all that was said is there, with milliseconds, also after a restart
    let leads = |sentinel: &&SentinelProcess| whole(sentinel).contains("+elected-leader");
    let leader = deployment.sentinels().iter().find(leads).expect("one of them led");
    let trigger = history(leader)[0]["trigger"].clone();
    assert!(trigger.starts_with("+sdown master mymaster "), "{trigger}");
    let before = whole(leader);
    for step in ["+odown", "+vote-for-leader", "voted for", "+selected-slave", "+promoted-offset", "+switch-master"] {
        assert!(before.contains(step), "no {step} in {before}");
    }
    leader.terminate();
    leader.restart();
    assert_eq!(whole(leader), before);
}

/// Everything that is known of the only incident.
fn whole(sentinel: &SentinelProcess) -> String {
    let known = history(sentinel);
    let id = known.first().map(|it| it["id"].clone()).unwrap_or_default();
    let all: redis::Value = sentinel.command(&["SENTINEL", "HISTORY", "mymaster", &id]).expect("it answers");
    format!("{all:?}")
}
