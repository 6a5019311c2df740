//! The worlds are what they are said to be, and keep every promise as far as a moment reaches.

use std::time::Duration;

use sentinel_explore::{
    Outcome,
    action::Action,
    scenario::{SCENARIOS, named},
    search::{Limits, forms, search},
    trace,
};

const MOMENT: Limits = Limits { time: Duration::from_secs(20), depth: 5, memory: 1 << 30, threads: 2, symmetry: true };

fn told(world: &str, history: &str) -> (String, Outcome) {
    let history: Result<Vec<Action>, _> = history.split(' ').map(str::parse).collect();
    trace::tell(named(world).expect("a world"), &history.expect("actions")).expect("it can happen")
}

#[test]
fn a_few_actions_lead_from_the_agreement_to_the_switch() {
    let (text, outcome) = told("election", "tA wA sAB wB aAB sAR aAR wA");
    assert_eq!(outcome, Outcome::Fine, "{text}");
    for event in ["+try-failover", "+elected-leader", "+promoted-slave", "+switch-master m 10.0.0.4 6379 10.0.0.5 6379"]
    {
        assert!(text.contains(event), "no {event}:\n{text}");
    }
}

#[test]
fn from_the_masters_death_on_two_opinions_make_it_objectively_down() {
    let (text, outcome) = told("failover", "tA tB sAB aAB");
    assert_eq!(outcome, Outcome::Fine, "{text}");
    assert!(text.contains("A +sdown") && text.contains("A +odown"), "{text}");
}

#[test]
fn from_the_masters_death_on_twelve_actions_lead_to_the_switch() {
    let (text, outcome) = told("failover", "tA tB sAB aAB tA wA sAB wB aAB sAR aAR wA");
    assert_eq!(outcome, Outcome::Fine, "{text}");
    assert!(text.contains("A +elected-leader"), "{text}");
    assert!(text.contains("A +switch-master m 10.0.0.4 6379 10.0.0.5 6379"), "{text}");
}

#[test]
fn every_world_keeps_its_promises_and_goes_on() {
    for scenario in SCENARIOS {
        let report = search(scenario, MOMENT, &|| {});
        assert_eq!(report.violation, None, "{}", scenario.name);
        assert!(report.worlds > 50 && !report.exhausted, "{} ends early: {report:?}", scenario.name);
    }
}

#[test]
fn what_cannot_happen_is_said() {
    let cannot = trace::tell(named("election").expect("a world"), &["wA".parse().expect("an action")]);
    assert!(cannot.is_err_and(|why| why.contains("tA")), "it names what can");
}

#[test]
fn one_thread_and_two_find_the_same_worlds() {
    let scenario = named("crash").expect("a world");
    let counts = [1, 2].map(|threads| {
        let report = search(scenario, Limits { threads, time: Duration::from_secs(60), ..MOMENT }, &|| {});
        (report.worlds, report.actions, report.depth)
    });
    assert_eq!(counts[0], counts[1]);
}

/// Every world of the full search is one of the reduced search under some names, and the other way round.
#[test]
fn worlds_that_are_left_out_for_their_names_are_the_same_as_others() {
    for scenario in SCENARIOS {
        let limits = Limits { time: Duration::from_secs(120), ..MOMENT };
        let [(full, all), (reduced, fewer)] = forms(scenario, limits);
        let name = scenario.name;
        println!("{name}: {all} worlds, {fewer} without those that differ in names");
        assert_eq!(full.difference(&reduced).count(), 0, "{name}: worlds that the reduced search has not met");
        assert_eq!(reduced.difference(&full).count(), 0, "{name}: worlds that only the reduced search has met");
        assert_eq!(fewer, reduced.len(), "{name}: each form once");
        // The two whose disks work differ from the beginning in when they ask next: who is asked asks, too.
        let differ = scenario.name == "full-disk";
        assert!(differ || fewer * 3 < all * 2, "{name}: {fewer} of {all} is hardly fewer");
    }
}

/// Deep enough for links that are cut and dialled again, in whatever order, and for restarts.
#[test]
fn a_sentinel_does_the_same_under_other_names() {
    for (name, depth) in [("failover", 7), ("crash", 7), ("two-names", 7)] {
        let scenario = named(name).expect("a world");
        let report = search(scenario, Limits { depth, time: Duration::from_secs(300), ..MOMENT }, &|| {});
        assert_eq!((report.depth, report.differences), (depth, 0), "{name}: {report:?}");
    }
}
