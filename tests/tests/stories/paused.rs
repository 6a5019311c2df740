//! Maintenance: an operator pauses failovers, and resumes them.

use std::time::Duration;

use sentinel_tests::{Deployment, Kind, SentinelProcess, eventually, never};

use crate::given::{SOON, only_true_of_ours};

fn is_paused(sentinel: &SentinelProcess) -> bool {
    let problems: Vec<std::collections::BTreeMap<String, String>> =
        sentinel.command(&["SENTINEL", "PROBLEMS", "mymaster"]).expect("it answers");
    problems.iter().any(|it| it["code"] == "paused" && it["problem"].contains("a new kernel"))
}

#[test]
fn while_failovers_are_paused_nobody_is_promoted_and_a_restart_changes_nothing() {
    if only_true_of_ours("it has no SENTINEL PAUSE") {
        return;
    }
    // Given three Sentinels, told of a pause at one of them
    let deployment = Deployment::of_ours(3).start();
    let [one, other, third] = deployment.sentinels() else { panic!("there are three") };
    let master = deployment.only_group().master();
    let answer: String = one.command(&["SENTINEL", "PAUSE", "mymaster", "1h", "a new kernel"]).expect("it answers");
    assert_eq!(answer, "OK paused 1 master; 2 of 2 other Sentinels heed it");
    assert!(deployment.sentinels().iter().all(is_paused));

    // When one is restarted, then it is paused still
    third.kill();
    third.restart();
    eventually("the pause is kept", SOON, || {
        is_paused(third).then_some(()).ok_or_else(|| "it is not paused".to_owned())
    });

    // When the master dies, then it is held for down, and nobody is promoted
    let events = other.record();
    master.kill();
    let told = events.wait_for_any("-failover-withheld", SOON);
    assert!(told.payload.contains("an operator has paused failovers (a new kernel)"), "{}", told.payload);
    never("a failover is tried", Duration::from_secs(4), || {
        let tried = events.count("+try-failover") + events.count("+new-epoch");
        Ok::<_, String>((tried > 0).then(|| events.list()))
    });

    // When it is resumed at another one, then it is replaced
    let answer: String = other.command(&["SENTINEL", "RESUME", "*"]).expect("it answers");
    assert_eq!(answer, "OK resumed 1 master; 2 of 2 other Sentinels heed it");
    deployment.wait_for_switch("mymaster", master.port());
    assert!(!deployment.sentinels().iter().any(is_paused));
}

#[test]
fn the_answer_names_who_does_not_heed_a_pause() {
    if only_true_of_ours("it has no SENTINEL PAUSE") {
        return;
    }
    // Given a quorum of ours and of redis-sentinel
    let deployment = Deployment::of(&[Kind::Ours, Kind::Ours, Kind::Reference]).start();
    let [one, _, reference] = deployment.sentinels() else { panic!("there are three") };

    // When failovers are paused, then the answer says who goes on
    let answer: String = one.command(&["SENTINEL", "PAUSE", "*", "30"]).expect("it answers");
    let unheeding = format!("{} does not: it knows no pause (redis-sentinel)", reference.id());
    assert_eq!(answer, format!("OK paused 1 master; 1 of 2 other Sentinels heed it; {unheeding}"));
}
