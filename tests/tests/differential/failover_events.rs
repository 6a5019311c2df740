//! What is told of failovers.

use sentinel_tests::{Dataset, Kind, eventually};

use crate::rules::{
    DENIAL_IS_TOLD, FENCED_AT_ONCE, HANDED_OVER, KNOWN_BEFORE, MISSED_FOR_A_MOMENT, OFFSET_IS_TOLD,
    SEEN_BEFORE_THE_HELLO, SWITCH_AT_PROMOTION, TOLD_BEFORE_IT_IS_MISSED, WHOEVER_TELLS_FIRST,
};
use crate::stream::compare;
use crate::world::{NAME, SOON, Setting, World, told_by_both, told_by_observers};

/// What a leader tells before it has sent anything.
const ELECTED: &[&str] = &[
    "+new-epoch 1",
    "+try-failover",
    "+vote-for-leader <own-id> 1",
    "+elected-leader",
    "+failover-state-select-slave",
];

/// What follows, up to the promotion.
const PROMOTED: &[&str] = &[
    "+failover-state-select-slave",
    "+selected-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "-role-change slave 127.0.0.1:<replica-1>",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
];

/// The end, once the switch stands where the reference has it.
const ENDED: &[&str] = &[
    "+failover-state-reconf-slaves",
    "+slave-reconf-sent",
    "+failover-end",
    "+switch-master",
    "+slave slave",
    "+slave slave 127.0.0.1:<master>",
];

/// The old master of a forced failover is alive, and soon a replica.
fn wait_until_demoted(world: &World) {
    if world.kind() == Kind::Reference {
        world.wait_for("+convert-to-slave", &["slave 127.0.0.1:<master>"]);
        world.wait_for("+role-change", &["slave 127.0.0.1:<master>", "is slave"]);
    }
    eventually("the old master follows the new one", SOON, || world.master().follows(world.replica(0)));
}

#[test]
fn an_automatic_failover_and_the_return_of_the_old_master_are_told_alike() {
    let setting = Setting { down_after: 2000, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        world.master().kill();
        world.wait_for("+failover-end", &[]);
        world.wait_for("+sdown", &["slave 127.0.0.1:<master>", "@ mymaster 127.0.0.1 <replica-1>"]);
        world.master().restart(Dataset::Kept);
        world.wait_for("-sdown", &["slave 127.0.0.1:<master>"]);
        world.wait_for("+role-change", &["slave 127.0.0.1:<master>", "is slave"]);
    });
    let returned = ["+sdown slave 127.0.0.1:<master>", "-sdown slave", "+convert-to-slave", "+role-change"];
    let followed = ["+slave-reconf-sent", "+slave-reconf-inprog", "+slave-reconf-done", "+failover-end"];
    let down = ["+sdown master", "+odown", "+new-epoch 1"];
    compare(
        told,
        &[&OFFSET_IS_TOLD, &SWITCH_AT_PROMOTION, &KNOWN_BEFORE, &MISSED_FOR_A_MOMENT],
        &[&down, ELECTED, PROMOTED, ENDED, &followed, &returned],
    );
}

#[test]
fn a_forced_failover_is_told_alike() {
    let told = told_by_both(&Setting::default(), |world| {
        world.sentinel().failover(NAME);
        world.wait_for("+failover-end", &[]);
        wait_until_demoted(world);
    });
    compare(told, &[&OFFSET_IS_TOLD, &HANDED_OVER, &SWITCH_AT_PROMOTION, &FENCED_AT_ONCE], &[ELECTED, PROMOTED, ENDED]);
}

#[test]
fn a_failover_without_a_good_replica_is_told_alike() {
    let setting = Setting { priorities: vec![0], down_after: 1000, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        world.master().kill();
        world.wait_for("-failover-abort-no-good-slave", &[]);
    });
    compare(
        told,
        &[],
        &[&["+sdown master", "+odown"], ELECTED, &["+failover-state-select-slave", "-failover-abort-no-good-slave"]],
    );
}

#[test]
fn a_lost_election_is_told_alike() {
    let setting = Setting {
        priorities: vec![10],
        down_after: 1000,
        failover_timeout: 1000,
        lines: vec![
            "sentinel known-sentinel mymaster 127.0.0.1 {peer} cccccccccccccccccccccccccccccccccccccccc",
            "sentinel known-sentinel mymaster 127.0.0.1 {peer} dddddddddddddddddddddddddddddddddddddddd",
        ],
        ..Setting::default()
    };
    let told = told_by_both(&setting, |world| {
        world.wait_for("+sdown", &["sentinel cccc"]);
        world.wait_for("+sdown", &["sentinel dddd"]);
        world.master().kill();
        world.wait_for("-failover-abort-not-elected", &[]);
    });
    compare(
        told,
        &[],
        &[&["+odown", "+new-epoch 1", "+try-failover", "+vote-for-leader <own-id> 1", "-failover-abort-not-elected"]],
    );
}

#[test]
fn a_replica_that_is_not_promoted_is_told_alike() {
    let setting = Setting {
        priorities: vec![10],
        down_after: 1000,
        failover_timeout: 1500,
        lines: vec!["sentinel rename-command mymaster SLAVEOF NOSUCHCOMMAND"],
        ..Setting::default()
    };
    let told = told_by_both(&setting, |world| {
        world.master().kill();
        world.wait_for("-failover-abort-slave-timeout", &[]);
    });
    compare(told, &[&DENIAL_IS_TOLD], &[ELECTED, &["+failover-state-wait-promotion", "-failover-abort-slave-timeout"]]);
}

#[test]
fn replicas_that_do_not_follow_in_time_are_told_alike() {
    let setting = Setting { priorities: vec![10, 100, 100], failover_timeout: 2500, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        // Which of them is first is chance: the reference goes through a hash table.
        for index in [1, 2] {
            let port = world.replica(index).port();
            world.call(&port, "late");
        }
        world.replica(1).hang();
        world.replica(2).hang();
        world.sentinel().failover(NAME);
        world.wait_for("+slave-reconf-sent-be", &[]);
        wait_until_demoted(world);
    });
    let late =
        ["+slave-reconf-sent", "+failover-end-for-timeout", "+failover-end", "+slave-reconf-sent-be", "+switch-master"];
    compare(
        told,
        &[&OFFSET_IS_TOLD, &HANDED_OVER, &SWITCH_AT_PROMOTION, &FENCED_AT_ONCE],
        &[ELECTED, PROMOTED, ENDED, &late],
    );
}

/// Who observes tells the same whoever leads, over the same nodes and in the same failover.
fn observers_tell_alike(leader: Kind) {
    compare(
        told_by_observers(leader),
        &[&SEEN_BEFORE_THE_HELLO, &TOLD_BEFORE_IT_IS_MISSED, &WHOEVER_TELLS_FIRST, &MISSED_FOR_A_MOMENT],
        &[
            &[
                "+new-epoch 1",
                "+vote-for-leader <leader> 1",
                "+config-update-from",
                "+switch-master",
                "+slave slave 127.0.0.1:<replica-2>",
            ],
            &[
                "+slave slave 127.0.0.1:<replica-2>",
                "+slave slave 127.0.0.1:<master>",
                "+sdown slave 127.0.0.1:<master>",
            ],
        ],
    );
}

#[test]
fn observers_of_our_failover_tell_alike() {
    observers_tell_alike(Kind::Ours);
}

#[test]
fn observers_of_the_references_failover_tell_alike() {
    observers_tell_alike(Kind::Reference);
}
