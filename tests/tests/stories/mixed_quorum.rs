//! Ours and redis-sentinel in one quorum: either may lead, and all end up with the same master.

use std::sync::Arc;

use sentinel_tests::{Authority, Deployment, DeploymentBuilder, Kind};

use crate::given::{SOON, leaders, record_all, wait_until_all_tell_the_switch};

const ONE_OF_OURS: [Kind; 3] = [Kind::Reference, Kind::Reference, Kind::Ours];
const TWO_OF_OURS: [Kind; 3] = [Kind::Ours, Kind::Ours, Kind::Reference];
/// More Sentinels than there are: one with this quorum votes but never runs itself.
const OUT_OF_REACH: u32 = 4;

/// Starts a deployment in which only one Sentinel, of that kind, can lead, kills the master, and checks who led and what the
/// others made of it.
fn the_master_dies(kinds: [Kind; 3], leading: Kind) {
    the_master_of_these_dies(Deployment::of(&kinds), kinds, leading);
}

/// The same with TLS between all of them.
fn the_encrypted_master_dies(kinds: [Kind; 3], leading: Kind) {
    let authority = Arc::new(Authority::new("all"));
    the_master_of_these_dies(Deployment::of(&kinds).encrypted_by(&authority), kinds, leading);
}

/// The same with users that may do no more than they need, at the data nodes and among the Sentinels.
fn the_master_behind_users_dies(kinds: [Kind; 3], leading: Kind) {
    const AT_NODES: &str = "user sentinel on >at-nodes allchannels -@all +multi +slaveof +ping +exec +subscribe +config|rewrite \
                            +role +publish +info +client|setname +client|kill +script|kill";
    const AMONG_SENTINELS: &str = "user peer on >among-us -@all +ping +hello +auth +sentinel|is-master-down-by-addr +sentinel|myid +info \
                                   +client|setname +publish";
    let deployment = Deployment::of(&kinds)
        .data_line(AT_NODES)
        .sentinel_line("sentinel auth-user mymaster sentinel")
        .sentinel_line("sentinel auth-pass mymaster at-nodes")
        .sentinel_line(AMONG_SENTINELS)
        .sentinel_line("sentinel sentinel-user peer")
        .sentinel_line("sentinel sentinel-pass among-us");
    the_master_of_these_dies(deployment, kinds, leading);
}

fn the_master_of_these_dies(deployment: DeploymentBuilder, kinds: [Kind; 3], leading: Kind) {
    let leader = position(kinds, leading);
    let mut quorums = [OUT_OF_REACH; 3];
    quorums[leader] = 2;
    let deployment = deployment.quorums(&quorums).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    let leader_id = deployment.sentinels()[leader].id();

    // When the master is killed
    old.kill();

    // Then all agree on the new one, in one configuration epoch, and tell it in the same words
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    deployment.wait_for_one_config_epoch("mymaster");
    group.wait_until_linked(new);

    // And the one meant to lead has led, with votes of the other kind
    assert_eq!(leaders(&events), [leader]);
    let elected = events[leader].wait_for_any("+new-epoch", SOON);
    let vote = format!("{leader_id} {}", elected.payload);
    let voters =
        events.iter().filter(|recorder| recorder.find("+vote-for-leader", |told| told == vote).is_some()).count();
    assert!(voters >= 2, "{voters} votes for {vote}");
    // And the others have the configuration from it, or from the one that had it first
    for (index, recorder) in events.iter().enumerate() {
        if index != leader {
            recorder.wait_for("+config-update-from", |payload| payload.starts_with("sentinel "), SOON);
        }
    }
}

/// Starts a deployment, has a Sentinel of that kind move the master, and checks that all follow.
fn an_operator_moves_the_master(kinds: [Kind; 3], leading: Kind) {
    let leader = position(kinds, leading);
    let deployment = Deployment::of(&kinds).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);

    // When it is told to fail over
    deployment.sentinels()[leader].failover("mymaster");

    // Then all agree on the new master, in one configuration epoch
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    deployment.wait_for_one_config_epoch("mymaster");
    assert_eq!(leaders(&events), [leader]);

    // And one master remains: the old one follows, like the other replica
    sentinel_tests::eventually("all nodes follow the new master", SOON * 2, || {
        group.nodes().iter().filter(|node| node.port() != new.port()).try_for_each(|node| node.follows(new))
    });
}

fn position(kinds: [Kind; 3], wanted: Kind) -> usize {
    kinds.iter().position(|kind| *kind == wanted).expect("both kinds are there")
}

#[test]
fn one_of_ours_leads_two_of_the_reference() {
    the_master_dies(ONE_OF_OURS, Kind::Ours);
}

#[test]
fn the_reference_leads_another_and_one_of_ours() {
    the_master_dies(ONE_OF_OURS, Kind::Reference);
}

#[test]
fn one_of_ours_leads_another_and_one_of_the_reference() {
    the_master_dies(TWO_OF_OURS, Kind::Ours);
}

#[test]
fn the_reference_leads_two_of_ours() {
    the_master_dies(TWO_OF_OURS, Kind::Reference);
}

#[test]
fn one_of_ours_leads_two_of_the_reference_over_tls() {
    the_encrypted_master_dies(ONE_OF_OURS, Kind::Ours);
}

#[test]
fn the_reference_leads_two_of_ours_over_tls() {
    the_encrypted_master_dies(TWO_OF_OURS, Kind::Reference);
}

#[test]
fn one_of_ours_leads_two_of_the_reference_behind_users() {
    the_master_behind_users_dies(ONE_OF_OURS, Kind::Ours);
}

#[test]
fn the_reference_leads_two_of_ours_behind_users() {
    the_master_behind_users_dies(TWO_OF_OURS, Kind::Reference);
}

#[test]
fn one_of_ours_moves_the_master_and_two_of_the_reference_follow() {
    an_operator_moves_the_master(ONE_OF_OURS, Kind::Ours);
}

#[test]
fn the_reference_moves_the_master_and_two_of_ours_follow() {
    an_operator_moves_the_master(TWO_OF_OURS, Kind::Reference);
}

#[test]
fn whoever_leads_a_mixed_quorum_agrees_with_the_others() {
    // Given a mixed quorum in which each may lead
    for kinds in [ONE_OF_OURS, TWO_OF_OURS] {
        let deployment = Deployment::of(&kinds).start();
        let group = deployment.only_group();
        let writer = deployment.write_to("mymaster");

        // When the master dies
        let killed = std::time::Instant::now();
        group.master().kill();

        // Then all agree and the application goes on
        let new = deployment.wait_for_switch("mymaster", group.master().port());
        deployment.wait_for_one_config_epoch("mymaster");
        writer.wait_for_write(new.port(), killed, SOON);
        group.wait_until_linked(new);
    }
}
