//! One replica at a time, and a few beside each other.

use std::{num::NonZeroU64, time::Duration};

use super::*;
use crate::{
    input::LinkId,
    monitor::{InfoReport, PingPeriod, node_target},
    settings::{MasterSettings, Timing},
    state::LinkState,
    time::Instant,
    types::{Quorum, RunId, SentinelId},
};

const NOW: u64 = 100_000;

fn ms(at: u64) -> Instant {
    Instant::from_micros(at * 1_000)
}

fn facts(master_down_since: Option<u64>) -> Facts {
    Facts {
        now: ms(NOW),
        ping_period: Duration::from_secs(1),
        info_period: Duration::from_secs(10),
        down_after: Duration::from_secs(2),
        master_down_since: master_down_since.map(ms),
        best_effort: false,
        empty_history: None,
        max_lag: None,
        told: Vec::new(),
        master_follows: None,
    }
}

fn facts_of_a_dead_master() -> Facts {
    facts(Some(NOW - 2_000))
}

/// A replica without a fault: link up, PING and INFO answered just now.
fn replica(n: u64) -> Node {
    let id = SentinelId::new(&"a".repeat(40)).unwrap();
    let addr = format!("127.0.0.1:{}", 6380 + n).parse().unwrap();
    let settings = MasterSettings::new(Quorum::new(1).unwrap());
    let target = node_target(&id, &settings, addr);
    let period = PingPeriod::of(&settings, &Timing::default());
    let mut node = Node::new(NodeId(n), target, period, Role::Replica, ms(0));
    node.link.state = LinkState::Up { link: LinkId(n), since: ms(0), local: None };
    node.link.ok_reply_at = ms(NOW);
    node.info_at = Some(ms(NOW));
    node.info.link_up = true;
    node.info.offset = 1_000;
    node
}

fn refusal(facts: &Facts, change: impl FnOnce(&mut Node)) -> Option<Refusal> {
    let mut node = replica(1);
    change(&mut node);
    judge(&node, facts)
}

fn best(nodes: &[Node]) -> Option<u64> {
    judge_all(nodes.iter(), &facts(None)).best.map(|id| id.0)
}

#[test]
fn a_replica_without_a_fault_is_a_candidate() {
    assert_eq!(refusal(&facts(None), |_| {}), None);
    assert_eq!(refusal(&facts(Some(NOW - 2_000)), |_| {}), None);
}

#[test]
fn each_fault_has_its_own_refusal() {
    let calm = facts(None);
    assert_eq!(refusal(&calm, |n| n.sdown_since = Some(ms(1))), Some(Refusal::SubjectivelyDown));
    assert_eq!(refusal(&calm, |n| n.link.state = LinkState::Closed), Some(Refusal::Disconnected));
    assert_eq!(refusal(&calm, |n| n.link.state = LinkState::Connecting(LinkId(1))), Some(Refusal::Disconnected));
    assert_eq!(refusal(&calm, |n| n.info.priority = 0), Some(Refusal::PriorityZero));
    assert_eq!(refusal(&calm, |n| n.info_at = None), Some(Refusal::InfoTooOld(None)));
    assert_eq!(refusal(&calm, |n| n.stranger = true), Some(Refusal::WrongHistory));
    assert_eq!(
        refusal(&calm, |n| {
            n.info.link_up = false;
            n.info.link_down_ms = -1_000;
            n.info.offset = 0;
        }),
        Some(Refusal::NeverSynced)
    );
}

#[test]
fn a_master_that_came_back_with_nothing_is_no_candidate() {
    let came_back = |offset, facts: &str| {
        let text = format!("role:master\r\nmaster_repl_offset:{offset}\r\n{facts}");
        refusal(&facts_of_a_dead_master(), |node| {
            node.former_master = true;
            node.info = InfoReport::parse(&text);
        })
    };
    assert_eq!(came_back(0, "# Keyspace\r\n"), Some(Refusal::StartedEmpty));
    let written = "rdb_changes_since_last_save:2\r\nrdb_last_load_keys_loaded:0\r\naof_enabled:0\r\n";
    let keys = "# Keyspace\r\ndb0:keys=2,expires=0\r\n";
    assert_eq!(came_back(0, &format!("{written}{keys}")), Some(Refusal::StartedEmpty), "all of them are new");
    assert_eq!(came_back(0, keys), None, "they may have been there before");
    assert_eq!(came_back(0, "loading:1\r\n# Keyspace\r\n"), None, "they may be coming");
    assert_eq!(came_back(0, ""), None, "nothing is known about its keys");
    assert_eq!(came_back(5_000, "# Keyspace\r\n"), None, "somebody followed it, or it followed somebody");
}

#[test]
fn silence_and_age_are_too_long_only_when_strictly_longer() {
    let age = Duration::from_millis;
    let silent = |since| refusal(&facts(None), |n| n.link.ok_reply_at = ms(NOW - since));
    assert_eq!(silent(5_000), None);
    assert_eq!(silent(5_001), Some(Refusal::SilentFor(age(5_001))));

    let info = |down, since| refusal(&facts(down), |n| n.info_at = Some(ms(NOW - since)));
    assert_eq!(info(Some(NOW - 1), 5_000), None);
    assert_eq!(info(Some(NOW - 1), 5_001), Some(Refusal::InfoTooOld(Some(age(5_001)))));
    assert_eq!(info(None, 30_000), None);
    assert_eq!(info(None, 30_001), Some(Refusal::InfoTooOld(Some(age(30_001)))));
}

#[test]
fn a_link_lost_long_before_the_master_went_down_is_a_refusal() {
    let down_for = |master_down_since, link_down_ms| {
        refusal(&facts(master_down_since), |n| {
            n.info.link_up = false;
            n.info.link_down_ms = link_down_ms;
        })
    };
    assert_eq!(down_for(None, 20_000), None);
    assert!(matches!(down_for(None, 21_000), Some(Refusal::LinkDownTooLong { .. })));
    assert_eq!(down_for(Some(NOW - 5_000), 25_000), None);
    assert!(matches!(down_for(Some(NOW - 5_000), 26_000), Some(Refusal::LinkDownTooLong { .. })));
    // Restarted with its data while the master is away: "never linked", but not empty.
    assert_eq!(down_for(Some(NOW - 5_000), -1_000), None);
}

#[test]
fn what_a_candidate_lacks_is_bounded_if_asked_for_and_counted_within_one_history() {
    let id = |letter: &str| RunId::new(&letter.repeat(40)).ok();
    let told = |letter: &str, at, offset| Told { history: id(letter), at: ms(at), offset };
    let of = |told: Vec<Told>| {
        let facts = Facts { max_lag: NonZeroU64::new(100), told, ..facts(None) };
        refusal(&facts, |node| node.info.history.id = id("a"))
    };
    let too_far = Refusal::LagsBehind { lag: 101, most: NonZeroU64::new(100).unwrap() };
    assert_eq!(of(Vec::new()), None);
    assert_eq!(of(vec![told("a", NOW, 900), told("a", NOW, 1_100)]), None);
    assert_eq!(of(vec![told("a", NOW, 1_101), told("a", NOW, 900)]), Some(too_far));
    assert_eq!(of(vec![told("b", NOW, 9_999)]), None, "another stream");
    assert_eq!(of(vec![told("a", NOW + 1_001, 9_999)]), None, "told long after the replica told its own");
    assert_eq!(refusal(&Facts { told: vec![told("a", NOW, 9_999)], ..facts(None) }, |_| {}), None, "not asked for");
}

#[test]
fn priority_counts_before_offset_and_offset_before_run_id() {
    let with = |n, priority, offset, run_id: Option<&str>| {
        let mut node = replica(n);
        node.info.priority = priority;
        node.info.offset = offset;
        node.info.run_id = run_id.map(|letter| RunId::new(&letter.repeat(40)).unwrap());
        node
    };
    assert_eq!(best(&[with(1, 100, 9, None), with(2, 10, 1, None)]), Some(2));
    assert_eq!(best(&[with(1, 10, 1, Some("a")), with(2, 10, 9, Some("z"))]), Some(2));
    assert_eq!(best(&[with(1, 10, 9, Some("b")), with(2, 10, 9, Some("A"))]), Some(2));
    assert_eq!(best(&[with(1, 10, 9, None), with(2, 10, 9, Some("z"))]), Some(2));
    let mut former = with(1, 1, 99, None);
    former.former_master = true;
    assert_eq!(best(&[former, with(2, 100, 1, None)]), Some(2));
    // Nothing tells them apart: the one known longer, so that the same facts give the same choice.
    assert_eq!(best(&[with(2, 10, 9, None), with(1, 10, 9, None)]), Some(1));
    assert_eq!(best(&[]), None);
}

#[test]
fn the_refused_are_named_and_do_not_win() {
    let mut first = replica(1);
    first.info.priority = 0;
    let judged = judge_all([first, replica(2)].iter(), &facts(None));
    assert_eq!(judged.best, Some(NodeId(2)));
    assert_eq!(judged.refused, vec![("127.0.0.1:6381".parse().unwrap(), Refusal::PriorityZero)]);
}
