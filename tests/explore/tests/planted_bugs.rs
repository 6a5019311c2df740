//! Proves the search: each planted bug that breaks a promise is found by it, without a seed, and what it prints can be
//! replayed.
//!
//! `make explore-proof` runs this; it needs the feature `planted-bugs`.

#![cfg(feature = "planted-bugs")]

use std::time::Duration;

use sentinel_core::planted::{Bug, plant};
use sentinel_explore::{
    Outcome,
    scenario::named,
    search::{Limits, search},
    trace,
};

const LIMITS: Limits =
    Limits { time: Duration::from_secs(240), depth: 40, memory: 3 << 30, threads: 2, symmetry: true };

/// Searches a world until a rule is broken, and replays how.
fn is_found(bug: Bug, world: &str, rule: &str) {
    let scenario = named(world).expect("a world");
    let report = search(scenario, LIMITS, &|| plant(Some(bug)));
    let (history, what) = report.violation.unwrap_or_else(|| {
        panic!("{bug:?} is not found: depth {}, {} worlds, all: {}", report.depth, report.worlds, report.exhausted)
    });
    println!(
        "| `{bug:?}` | {world} | {} | {} | {:.1} | {what} |",
        history.len(),
        report.worlds,
        report.took.as_secs_f64()
    );
    println!("{}", trace::command(scenario, &history));
    assert!(what.contains(rule), "{what}");
    plant(Some(bug));
    let (text, outcome) = trace::tell(scenario, &history).expect("it can happen again");
    assert_eq!(outcome, Outcome::Broken(what), "{text}");
    plant(None);
    if let Ok((text, outcome)) = trace::tell(scenario, &history) {
        assert_eq!(outcome, Outcome::Fine, "without the bug: {text}");
    }
}

macro_rules! bugs {
    ($($test:ident: $bug:ident in $world:literal by $rule:literal;)*) => {
        $(
            #[test]
            fn $test() {
                is_found(Bug::$bug, $world, $rule);
            }
        )*
    };
}

bugs! {
    voting_twice: VoteTwice in "election" by "votes for";
    a_vote_that_is_not_written: ForgetToPersistVote in "election" by "on its disk is";
    an_answer_before_the_vote_is_on_disk: AnswerBeforeDurable in "election" by "on its disk is";
    votes_of_former_epochs: CountStaleVotes in "votes" by "both lead";
    one_vote_short: OneVoteShort in "election" by "both lead";
    a_configuration_under_an_old_epoch: ReuseConfigEpoch in "election" by "the master of config epoch";
    a_hello_before_the_disk: HelloBeforeDurable in "election" by "on its disk is";
    writes_that_failed: TrustFailedWrites in "disks" by "on its disk is";
    an_epoch_that_goes_back: EpochBack in "election" by "epoch";
    peers_that_are_not_written: ForgetPeers in "crash" by "both lead";
}
