//! Proves the prover: each bug that is planted into the engine breaks a rule within a stated number of seeds.
//!
//! `make sim-proof` runs this; it needs the feature `planted-bugs`.

#![cfg(feature = "planted-bugs")]

use sentinel_core::planted::{Bug, plant};
use sentinel_sim::{
    faults::{Fault, Kind},
    guards::Guards,
    node::Persistence,
    run::run,
    scenario::Scenario,
    shrink::shrink,
    time::SEC,
    trace::Detail,
};

/// Runs seeds, from 1 on, until a rule is broken that has one of these words in it, or in how it is broken.
fn is_caught(bug: Bug, within: u64, rules: &[&str]) {
    is_caught_in(Scenario::of, bug, within, rules);
}

/// The same in histories that are made for it.
fn is_caught_in(scenario: impl Fn(u64) -> Scenario, bug: Bug, within: u64, rules: &[&str]) {
    plant(Some(bug));
    let mut others = Vec::new();
    for seed in 1..=within {
        if let Some(violation) = run(&scenario(seed), Detail::None).violation {
            if rules.iter().any(|rule| violation.rule.contains(rule) || violation.what.contains(rule)) {
                println!("{bug:?}: seed {seed}: {}: {}", violation.rule, violation.what);
                return;
            }
            others.push((seed, violation.rule));
        }
    }
    panic!("{bug:?} was not caught within {within} seeds; other broken rules: {others:?}");
}

macro_rules! bugs {
    ($($test:ident: $bug:ident within $within:literal by $($rule:literal),+;)*) => {
        $(
            #[test]
            fn $test() {
                is_caught(Bug::$bug, $within, &[$($rule),+]);
            }
        )*
    };
}

bugs! {
    voting_twice: VoteTwice within 20 by "one vote", "one leader";
    a_vote_that_is_not_written: ForgetToPersistVote within 20 by "durable", "one vote";
    an_answer_before_the_vote_is_on_disk: AnswerBeforeDurable within 20 by "durable";
    votes_of_former_epochs: CountStaleVotes within 100 by "majority", "one leader";
    one_vote_short: OneVoteShort within 20 by "majority", "one leader";
    peers_that_are_not_written: ForgetPeers within 100 by "majority", "one leader";
    addresses_that_are_trusted: TrustAddresses within 300 by "quorum", "one leader", "within bounded time";
    an_epoch_that_goes_back: EpochBack within 20 by "epochs";
    an_old_configuration: OldConfiguration within 20 by "epochs", "configuration epoch", "within bounded time";
    a_hello_before_the_disk: HelloBeforeDurable within 20 by "durable";
    a_failed_write_that_counts: TrustFailedWrites within 50 by "durable", "epochs", "one vote";
    a_quorum_that_is_not_asked: IgnoreQuorum within 20 by "quorum";
    priority_zero: PromotePriorityZero within 20 by "priority 0";
    a_dead_candidate: PromoteTheDead within 50 by "is down";
    a_candidate_without_data: PromoteUnsynced within 150 by "without data";
    a_reloaded_replica_that_is_refused: RefuseTheReloaded within 150 by "in time", "within bounded time";
    a_choice_on_old_offsets: PromoteOnOldInfo within 100 by "staler";
    another_history: AcceptStrangers within 100 by "another history";
    an_old_master_that_is_left_alone: NeverFence within 20 by "within bounded time";
    a_replica_of_the_wrong_master: NeverFix within 100 by "within bounded time";
    peers_that_are_not_believed: IgnoreSwitches within 20 by "in time", "within bounded time";
    an_epoch_for_two_masters: ReuseConfigEpoch within 20 by "epochs", "configuration epoch";
    a_lag_that_does_not_matter: IgnoreMaxLag within 20 by "max-lag";
    no_pause: IgnorePause within 20 by "failover-pause";
    a_handover_that_is_left_alone: LeaveHandovers within 100 by "comes to its end";
    an_empty_master_that_is_followed: FollowTheEmpty within 20 by "acted on at once";
    nobody_is_the_master: LeaveNoMaster within 50 by "acted on at once";
    a_candidate_that_lost_its_master: PromoteTheLost within 250 by "is down";
    a_clock_that_is_believed: BelieveTheClock within 300 by "in time", "within bounded time";
    a_refused_login_that_is_death: DenialIsSilence within 20 by "refuses the login";
    an_unsigned_hello: BelieveTheUnsigned within 20 by "forged";
    an_unsigned_request_for_a_vote: VoteForTheUnsigned within 20 by "forged";
}

/// The master comes back with nothing, and the Sentinels cannot talk to each other until some of its replicas have copied
/// that, while others still read it. Seeds as they come hardly ever meet that moment.
fn a_master_that_empties_its_replicas(seed: u64) -> Scenario {
    let died = 60 * SEC;
    let fault = |seconds, kind| Fault { at: died, until: died + seconds * SEC, kind };
    let apart = |one, other| fault(6, Kind::Pair { one, other });
    Scenario {
        calm: false,
        switchovers: false,
        crowd: false,
        sentinels: 3,
        groups: vec![4],
        quorum: 2,
        down_after: 10 * SEC,
        persistence: Persistence::None,
        wipes: false,
        names: false,
        strangers: false,
        guards: Guards { empty_master_failover: true, ..Guards::default() },
        sync_time: 3 * SEC,
        apps: vec![(0, 0, SEC / 5)],
        faults: vec![
            fault(1, Kind::KillNode { node: 3, power: false, wipe: false }),
            apart(0, 1),
            apart(0, 2),
            apart(1, 2),
        ],
        healed_at: died + 6 * SEC,
        deadline: died + 200 * SEC,
        ..Scenario::of(seed)
    }
}

#[test]
fn an_emptied_candidate() {
    let within = 10;
    for seed in 1..=within {
        let violation = run(&a_master_that_empties_its_replicas(seed), Detail::None).violation;
        assert_eq!(violation, None, "seed {seed}, and nothing is planted");
    }
    is_caught_in(a_master_that_empties_its_replicas, Bug::PromoteTheEmptied, within, &["has emptied"]);
}

/// A replica comes back from an old file as a master, and takes so many writes that the offset of its own stream is the greatest of all.
/// Before it is made a replica again the master dies, while another replica holds everything.
fn a_master_from_an_old_file(seed: u64) -> Scenario {
    let stopped = 100 * SEC;
    let back = stopped + SEC;
    let died = back + 2 * SEC;
    let fault = |at, until, kind| Fault { at, until, kind };
    Scenario {
        calm: false,
        switchovers: false,
        crowd: false,
        sentinels: 3,
        groups: vec![3],
        quorum: 2,
        down_after: 2 * SEC,
        persistence: Persistence::AofAlways,
        wipes: false,
        old_files: true,
        names: false,
        strangers: false,
        guards: Guards::default(),
        sync_time: SEC / 10,
        apps: vec![(0, 0, SEC)],
        faults: vec![
            fault(stopped, back, Kind::OldFile { node: 4, age: 0, stray: true }),
            fault(died, died + 30 * SEC, Kind::KillNode { node: 3, power: false, wipe: false }),
        ],
        healed_at: died + 30 * SEC,
        deadline: died + 230 * SEC,
        ..Scenario::of(seed)
    }
}

#[test]
fn a_master_astray() {
    let within = 10;
    for seed in 1..=within {
        let violation = run(&a_master_from_an_old_file(seed), Detail::None).violation;
        assert_eq!(violation, None, "seed {seed}, and nothing is planted");
    }
    is_caught_in(a_master_from_an_old_file, Bug::PromoteAnyMaster, within, &["went a way of their own"]);
}

#[test]
fn fewer_faults_break_the_same_rule() {
    plant(Some(Bug::NeverFence));
    let broken = |scenario: &Scenario| run(scenario, Detail::None).violation.map(|it| it.rule);
    let seed = (1..100)
        .find(|seed| Scenario::of(*seed).faults.len() > 8 && broken(&Scenario::of(*seed)).is_some())
        .expect("the bug is found, see above");
    let mut scenario = Scenario::of(seed);
    let (all, rule) = (scenario.faults.len(), broken(&scenario));
    let needed = shrink(seed);
    assert!(needed.len() < all, "{} of {all}", needed.len());
    scenario.keep(&needed);
    assert_eq!(broken(&scenario), rule);
}
