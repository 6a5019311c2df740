//! A Sentinel dies and comes back.

use std::time::Duration;

use sentinel_tests::{Deployment, eventually};

use crate::given::{SOON, only_true_of_ours};

const FIRST_CANDIDATE: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const SECOND_CANDIDATE: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

#[test]
fn a_killed_sentinel_keeps_its_id_its_epochs_and_what_it_knows() {
    // Given a deployment that has seen a failover
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let sentinel = &deployment.sentinels()[0];
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    let config_epoch = deployment.wait_for_one_config_epoch("mymaster");
    eventually("the switch is saved", SOON, || {
        let saved = sentinel.configured("sentinel config-epoch mymaster");
        (saved == Some(config_epoch.to_string())).then_some(()).ok_or_else(|| format!("{saved:?} is"))
    });
    let id = sentinel.id();
    let current_epoch = sentinel.current_epoch();
    assert!(current_epoch >= 1);

    // When a Sentinel is killed, and started again while nobody else is there to tell it anything
    sentinel.kill();
    for other in &deployment.sentinels()[1..] {
        other.kill();
    }
    for node in group.nodes() {
        if node.is_running() {
            node.kill();
        }
    }
    sentinel.restart();

    // Then it is who it was
    assert_eq!(sentinel.id(), id);
    assert_eq!(sentinel.config_epoch("mymaster"), config_epoch);
    assert_eq!(sentinel.current_epoch(), current_epoch);
    assert_eq!(sentinel.master_port("mymaster").expect("it answers"), Some(new.port()));

    // And it knows all replicas and all other Sentinels
    let mut replicas: Vec<String> =
        sentinel.replicas("mymaster").expect("it answers").iter().map(|replica| replica["name"].clone()).collect();
    replicas.sort();
    let mut expected: Vec<String> =
        group.nodes().iter().filter(|node| node.port() != new.port()).map(sentinel_tests::DataNode::address).collect();
    expected.sort();
    assert_eq!(replicas, expected);
    let mut peers: Vec<String> =
        sentinel.peers("mymaster").expect("it answers").iter().map(|peer| peer["port"].clone()).collect();
    peers.sort();
    let mut expected: Vec<String> = deployment.sentinels()[1..].iter().map(|other| other.port().to_string()).collect();
    expected.sort();
    assert_eq!(peers, expected);
}

#[test]
fn an_address_that_was_told_survives_a_crash() {
    // Given three Sentinels, of which the first two never lead
    let deployment = Deployment::of_ours(3).quorums(&[4, 4, 2]).start();
    let group = deployment.only_group();
    let old = group.master().port();
    let observer = &deployment.sentinels()[0];

    // When the master dies, and an observer the moment it has told the new address, and no other is left to tell it again
    group.master().kill();
    let told = eventually("the observer tells a new address", SOON, || match observer.master_port("mymaster") {
        Ok(Some(port)) if port != old => Ok(port),
        other => Err(format!("{other:?}")),
    });
    observer.kill();
    for other in &deployment.sentinels()[1..] {
        other.kill();
    }
    observer.restart();

    // Then it still tells that address
    assert_eq!(observer.master_port("mymaster").expect("it answers"), Some(told));
}

#[test]
fn a_vote_survives_a_crash_right_after_it_was_given() {
    // Given a Sentinel that has given its vote of an epoch
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).start();
    let sentinel = &deployment.sentinels()[0];
    let master = deployment.only_group().master().port();
    for epoch in [5, 6, 7] {
        let vote = sentinel.request_vote(master, epoch, FIRST_CANDIDATE);
        assert_eq!(vote, (FIRST_CANDIDATE.to_owned(), epoch));

        // When it is killed the moment the answer is out, and started again
        sentinel.kill();
        sentinel.restart();

        // Then another candidate does not get the vote of that epoch, nor of an older one
        for asked in [epoch, epoch - 1] {
            let (leader, leader_epoch) = sentinel.request_vote(master, asked, SECOND_CANDIDATE);
            assert_ne!(leader, SECOND_CANDIDATE);
            assert_eq!(leader_epoch, epoch);
        }
    }
    // And the vote of the next epoch is free
    let vote = sentinel.request_vote(master, 8, SECOND_CANDIDATE);
    assert_eq!(vote, (SECOND_CANDIDATE.to_owned(), 8));
}

#[test]
fn a_vote_is_given_once_an_epoch() {
    // Given a Sentinel that has voted for one candidate
    let deployment = Deployment::of_ours(1).quorum(1).replicas(0).start();
    let sentinel = &deployment.sentinels()[0];
    let master = deployment.only_group().master().port();
    assert_eq!(sentinel.request_vote(master, 3, FIRST_CANDIDATE), (FIRST_CANDIDATE.to_owned(), 3));

    // When another asks, in the same and in an older epoch, then the first vote is told
    for epoch in [3, 2] {
        assert_eq!(sentinel.request_vote(master, epoch, SECOND_CANDIDATE), (FIRST_CANDIDATE.to_owned(), 3));
    }
}

#[test]
fn a_restarted_sentinel_takes_part_in_the_next_failover() {
    // Given three Sentinels that must all agree
    let deployment = Deployment::of_ours(3).quorum(3).start();
    let old = deployment.only_group().master();

    // When one is killed and comes back, and then the master dies
    let sentinel = &deployment.sentinels()[2];
    sentinel.kill();
    sentinel.restart();
    eventually("the others see it again", SOON, || {
        deployment.sentinels()[..2].iter().try_for_each(|other| {
            let verdict: Result<String, _> = other.command(&["SENTINEL", "CKQUORUM", "mymaster"]);
            verdict.map(|_| ()).map_err(|error| error.to_string())
        })
    });
    old.kill();

    // Then all three agree on the next one
    deployment.wait_for_switch("mymaster", old.port());
    deployment.wait_for_one_config_epoch("mymaster");
}

#[test]
fn a_leader_that_is_stopped_finishes_the_promotion_that_it_has_ordered() {
    if only_true_of_ours("redis-sentinel leaves at once") {
        return;
    }
    // Given a healthy master, whose replica answers nobody for a moment
    let deployment = Deployment::of_ours(3).replicas(1).down_after(Duration::from_secs(20)).start();
    let group = deployment.only_group();
    let (old, replica, leader) = (group.master(), &group.replicas()[0], &deployment.sentinels()[0]);
    leader.command::<String>(&["SENTINEL", "SET", "mymaster", "lossless-failover", "no"]).expect("it is a setting");
    let events = leader.record();
    replica.command::<String>(&["CLIENT", "PAUSE", "1500", "ALL"]).expect("it pauses");

    // When it is told to be the master, and who told it is stopped before it can have heard of it
    leader.failover("mymaster");
    events.wait_for_any("+failover-state-wait-promotion", SOON);
    leader.terminate();

    // Then the two others know of the switch, in the epoch of that leader, and nobody had to begin anew
    let new = deployment.wait_for_switch("mymaster", old.port());
    assert_eq!(new.port(), replica.port());
    assert_eq!(deployment.wait_for_one_config_epoch("mymaster"), 1);
    for other in &deployment.sentinels()[1..] {
        assert_eq!(other.current_epoch(), 1, "{}", other.label());
    }
    assert_eq!(replica.role().as_deref(), Some("master"));
}
