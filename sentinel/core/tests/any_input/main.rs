//! Whatever comes in, in whatever order: the engine never panics, never spins, keeps its promises, and the same
//! inputs give the same outputs.

mod steps;

use proptest::prelude::*;
use sentinel_core::command::Command;
use sentinel_rig::Rig;
use steps::{Step, step};

fn take(rig: &mut Rig, step: Step) {
    match step {
        Step::Wait(ms) => rig.wait(ms),
        Step::Stall(ms) => rig.stall(ms),
        Step::Up(which) => rig.link_up(which),
        Step::Down(which, fault) => rig.link_down(which, fault),
        Step::Live(rounds, silent) => {
            rig.silence(silent);
            rig.live(rounds);
        }
        Step::Answer(which, reply) => rig.answer(which, reply),
        Step::Stray(link, request, reply) => rig.stray(link, request, reply),
        Step::Hello(which, payload) => rig.hello_over(which, payload),
        Step::Command(words) => {
            if let Ok(command) = Command::parse(&words) {
                rig.command(command);
            }
        }
        Step::Publish(payload) => rig.publish(payload),
        Step::Resolved(ip) => rig.resolved(ip.ok_or_else(|| "no such host".to_owned())),
        Step::Persisted => rig.persisted(0),
        Step::PersistedUpTo(back) => rig.persisted(back),
        Step::PersistFailed => rig.persist_failed(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_in_promises_are_kept(steps in prop::collection::vec(step(), 1..60)) {
        let mut rig = Rig::new();
        for step in steps {
            take(&mut rig, step);
        }
        // Once everything is on disk, nobody waits for an answer any more.
        rig.persisted(0);
        rig.persisted(0);
        prop_assert_eq!(rig.unanswered(), 0);
    }

    #[test]
    fn the_same_inputs_give_the_same_outputs(steps in prop::collection::vec(step(), 1..40)) {
        let play = |steps: Vec<Step>| {
            let mut rig = Rig::new().logged();
            for step in steps {
                take(&mut rig, step);
            }
            rig.into_log()
        };
        prop_assert_eq!(play(steps.clone()), play(steps));
    }
}

/// Operators who wait for the answers of others are as many as that, and get one when their time is over.
#[test]
fn who_waits_for_others_waits_among_few_and_not_for_long() {
    for line in ["sentinel failover m dryrun", "sentinel pause m 60"] {
        let words: Vec<_> = line.split(' ').map(|word| bytes::Bytes::copy_from_slice(word.as_bytes())).collect();
        let mut rig = Rig::settled();
        for _ in 0..1_000 {
            rig.command(Command::parse(&words).expect("a command"));
            rig.persisted(0);
        }
        assert_eq!(rig.unanswered(), 64, "{line}");
        rig.wait(2_000);
        assert_eq!(rig.unanswered(), 0, "{line}");
    }
}
