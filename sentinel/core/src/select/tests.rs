//! One replica at a time, and a few beside each other.

use std::{collections::BTreeSet, num::NonZeroU64, time::Duration};

use super::*;
use crate::{
    guard::{History, Lineage},
    input::LinkId,
    monitor::{InfoReport, PingPeriod, node_target},
    settings::{MasterSettings, Timing},
    state::{InSync, LinkState, NodeId},
    time::Instant,
    types::{Quorum, SentinelId},
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
        stream: Stream::default(),
        told: Vec::new(),
        master_follows: None,
        taken_over: None,
        followers: (0..20).map(NodeId).collect(),
        followed: BTreeSet::new(),
        reloaded_from: Instant::ZERO,
        expected: Vec::new(),
        empty_will_do: false,
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
    node.info.role = Some(Role::Replica);
    node.info.link_up = true;
    node.info.offset = 1_000;
    node
}

fn refusal(facts: &Facts, change: impl FnOnce(&mut Node)) -> Option<Refusal> {
    let mut node = replica(1);
    change(&mut node);
    judge(&node, facts).err()
}

fn class(facts: &Facts, change: impl FnOnce(&mut Node)) -> Result<Class, Refusal> {
    let mut node = replica(1);
    change(&mut node);
    judge(&node, facts)
}

fn best(nodes: &[Node]) -> Option<u64> {
    let best = rank_all(nodes.iter(), &facts(None)).into_iter().find(|(_, place)| place.is_ok());
    best.map(|(node, _)| node.id.0)
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
    assert_eq!(came_back(0, "loading:1\r\n# Keyspace\r\n"), Some(Refusal::Loading), "they may be coming");
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

fn id(letter: &str) -> Option<RunId> {
    RunId::new(&letter.repeat(40)).ok()
}

fn history(now: &str, former: Option<(&str, u64)>) -> History {
    History {
        id: id(now),
        former_id: former.and_then(|(letter, _)| id(letter)),
        former_end: former.map(|(_, end)| end),
        has_backlog: true,
    }
}

/// A node whose INFO tells a history.
fn of(n: u64, role: Role, offset: u64, it: History) -> Node {
    let mut node = replica(n);
    (node.role, node.info.role) = (role, Some(role));
    node.info.link_up = false;
    (node.info.offset, node.info.history) = (offset, it);
    node
}

/// Facts about these nodes, of which the first is the master that died.
fn facts_about(nodes: &[Node]) -> Facts {
    let followers: BTreeSet<NodeId> = nodes[1..].iter().filter(|it| it.role == Role::Replica).map(|it| it.id).collect();
    let followers = Followers { present: followers, former: BTreeSet::new() };
    let stream = Stream::of(nodes.iter(), nodes[0].id, &followers, &Lineage::default(), None);
    let followers = followers.present;
    let told =
        nodes.iter().filter_map(|it| Some(Told { at: it.info_at?, position: stream.position(&it.info)?, own: None }));
    Facts { told: told.collect(), stream, followers, ..facts_of_a_dead_master() }
}

#[test]
fn what_a_candidate_lacks_is_bounded_if_asked_for_and_counted_within_one_history() {
    let lag = |nodes: &[Node]| judge(&nodes[1], &Facts { max_lag: NonZeroU64::new(100), ..facts_about(nodes) });
    let master = |offset| of(0, Role::Master, offset, history("a", None));
    let behind = || of(1, Role::Replica, 1_000, history("a", None));
    let too_far = Refusal::LagsBehind { lag: 101, most: NonZeroU64::new(100).unwrap() };
    assert_eq!(lag(&[master(1_100), behind()]), Ok(Class::Linked));
    assert_eq!(lag(&[master(1_101), behind()]), Err(too_far));
    let elsewhere = of(2, Role::Master, 9_999, history("b", Some(("a", 900))));
    assert_eq!(lag(&[master(1_000), behind(), elsewhere]), Ok(Class::Linked), "another stream");
    let mut later = master(9_999);
    later.info_at = Some(ms(NOW + 1_001));
    assert_eq!(lag(&[later, behind()]), Ok(Class::Linked), "told long after the replica told its own");
    assert_eq!(judge(&behind(), &facts_about(&[master(9_999), behind()])), Ok(Class::Linked), "not asked for");
    let reloaded = || {
        let mut node = of(1, Role::Replica, 1, history("f", None));
        node.info.link_down_ms = -1_000;
        node.in_sync = Some(InSync { keys: Some(7) });
        node.info.holdings.read_heading("# Keyspace");
        node.info.holdings.read("db0", "keys=7,expires=0");
        node
    };
    assert_eq!(judge(&reloaded(), &facts_about(&[master(1_000), reloaded()])), Ok(Class::Reloaded));
    assert_eq!(lag(&[master(1_000), reloaded()]), Err(Refusal::LagUnknown));
}

#[test]
fn offsets_compare_in_one_stream_only() {
    let master = of(0, Role::Master, 5_000, history("a", None));
    let good = of(1, Role::Replica, 5_000, history("a", None));
    // Restarted as a master from an old file, and written to.
    let stray = of(2, Role::Master, 120_000, history("s", Some(("a", 3_000))));
    // The same, told to follow the master again while that was away already.
    let returned = of(3, Role::Replica, 120_000, history("s", Some(("a", 3_000))));
    // Made a master by a leader that is gone.
    let mut promoted = of(4, Role::Master, 5_100, history("p", Some(("a", 4_990))));
    promoted.was_replica = id("4");
    promoted.info.run_id = id("4");
    let mut all = [master, good, stray, returned, promoted];
    all[3].info.link_down_ms = -1_000;
    let facts = facts_about(&all);
    let positions: Vec<_> = all.iter().map(|node| facts.stream.position(&node.info)).collect();
    assert_eq!(positions, [Some(5_000), Some(5_000), Some(3_000), Some(3_000), Some(4_990)]);
    let ranked: Vec<_> =
        rank_all(all[1..].iter(), &facts).into_iter().map(|(node, place)| (node.id.0, place)).collect();
    let place = |rank, class| Ok(Place { rank, class });
    assert_eq!(
        ranked,
        [
            (1, place(1, Class::Linked)),
            (4, place(2, Class::SameLineage)),
            (3, place(3, Class::SameLineage)),
            (2, Err(Refusal::WrongRole)),
        ]
    );
}

#[test]
fn the_stream_goes_back_over_switches_as_far_as_nodes_tell() {
    // The observer has last heard of the new master while it was a replica; one replica follows it, one does not yet.
    let new = of(0, Role::Replica, 5_000, history("a", None));
    let follows = || of(1, Role::Replica, 7_000, history("b", Some(("a", 5_200))));
    let behind = || of(2, Role::Replica, 5_100, history("a", None));
    let facts = facts_about(&[new, follows(), behind()]);
    assert_eq!(facts.stream.position(&follows().info), Some(7_000));
    assert_eq!(facts.stream.position(&behind().info), Some(5_100));
    let further = of(3, Role::Replica, 6_000, history("a", None));
    assert_eq!(facts.stream.position(&further.info), Some(5_200), "what it has besides went another way");
    assert_eq!(facts.stream.position(&of(3, Role::Replica, 6_000, history("c", None)).info), None);
}

#[test]
fn the_stream_goes_on_where_those_are_who_were_left_behind_before_it_goes_on_where_nobody_was_linked() {
    // The new master died before it was heard of as one.
    let new = of(0, Role::Replica, 5_000, history("a", None));
    // Nobody has told this one of the switch. A leader told that one to follow, which had come back as a master from an old file.
    let left = of(1, Role::Replica, 5_000, history("a", None));
    let mut astray = of(2, Role::Replica, 120_000, history("s", Some(("a", 400))));
    astray.info.link_down_ms = -1_000;
    let nodes = [new, left, astray];
    let followers = |former: &[u64]| Followers {
        present: BTreeSet::from([NodeId(2)]),
        former: former.iter().copied().map(NodeId).collect(),
    };
    let positions = |former: &[u64]| {
        let stream = Stream::of(nodes.iter(), NodeId(0), &followers(former), &Lineage::default(), None);
        nodes.each_ref().map(|node| stream.position(&node.info))
    };
    assert_eq!(positions(&[1]), [Some(5_000), Some(5_000), Some(400)]);
    // Where nobody was left behind, there is no other one to go by.
    assert_eq!(positions(&[]), [Some(400), Some(400), Some(120_000)]);
    // One that was left behind and started anew has never been linked either: but its id is one that the master had.
    let mut all = nodes;
    all[1].info.link_down_ms = -1_000;
    let lineage = Lineage::of_master(&all[1].info.history);
    let stream = Stream::of(all.iter(), NodeId(0), &followers(&[1]), &lineage, None);
    assert_eq!(all.each_ref().map(|node| stream.position(&node.info)), [Some(5_000), Some(5_000), Some(400)]);
}

#[test]
fn a_link_lost_before_comes_behind_and_one_that_was_dead_in_truth_does_too() {
    let linked = |n, offset, priority, down_ms| {
        let mut node = of(n, Role::Replica, offset, history("a", None));
        (node.info.priority, node.info.link_down_ms) = (priority, down_ms);
        node
    };
    let best = |nodes: &[Node]| {
        let facts = facts_about(nodes);
        let first = rank_all(nodes[1..].iter(), &facts).into_iter().next();
        first.map(|(node, place)| (node.id.0, place.unwrap().class))
    };
    let master = || of(0, Role::Master, 900, history("a", None));
    let (until, before) = (4_000, 15_000);
    assert_eq!(best(&[master(), linked(1, 900, 100, until), linked(2, 800, 1, before)]), Some((1, Class::Linked)));
    assert_eq!(best(&[master(), linked(1, 700, 100, until), linked(2, 800, 1, before)]), Some((2, Class::SameLineage)));
    assert_eq!(best(&[master(), linked(1, 700, 1, until), linked(2, 800, 100, before)]), Some((1, Class::SameLineage)));
}

#[test]
fn one_that_reloaded_its_data_is_promoted_after_a_while_if_it_holds_what_it_did() {
    let reloaded = |keys: &str, change: &dyn Fn(&mut Node), facts: &Facts| {
        class(facts, |node| {
            node.info = InfoReport::parse(&format!(
                "role:slave\r\nmaster_link_status:down\r\nmaster_link_down_since_seconds:-1\r\nslave_repl_offset:1\r\n{keys}"
            ));
            node.in_sync = Some(InSync { keys: Some(100) });
            change(node);
        })
    };
    let keys = |count: u64| format!("# Keyspace\r\ndb0:keys={count},expires=0\r\n");
    let dead = facts_of_a_dead_master();
    assert_eq!(reloaded(&keys(100), &|_| {}, &dead), Ok(Class::Reloaded));
    assert_eq!(reloaded(&keys(90), &|_| {}, &dead), Ok(Class::Reloaded));
    assert_eq!(reloaded(&keys(89), &|_| {}, &dead), Err(Refusal::FewerKeys { keys: 89, before: 100 }));
    assert_eq!(reloaded(&keys(100), &|node| node.in_sync = None, &dead), Err(Refusal::NeverSynced));
    assert_eq!(reloaded(&format!("loading:1\r\n{}", keys(100)), &|_| {}, &dead), Err(Refusal::Loading));
    let elsewhere = Facts { followers: BTreeSet::new(), ..dead.clone() };
    assert_eq!(reloaded(&keys(100), &|_| {}, &elsewhere), Err(Refusal::NeverSynced), "it follows somebody else");
    let soon = Facts { reloaded_from: ms(NOW + 700), ..dead.clone() };
    let wait = Duration::from_millis(700);
    assert_eq!(reloaded(&keys(100), &|_| {}, &soon), Err(Refusal::Reloaded { wait, from: ms(NOW + 700) }));
    let addr: crate::types::HostPort = "127.0.0.1:6382".parse().unwrap();
    let expected = Facts { expected: vec![(NodeId(1), addr.clone()), (NodeId(2), addr.clone())], ..dead.clone() };
    assert_eq!(reloaded(&keys(100), &|_| {}, &expected), Err(Refusal::BetterExpected(addr)));
    // Interrupted while it received everything: the same process, with what it had.
    let interrupted = |node: &mut Node| node.info.link_down_ms = 3_000;
    assert_eq!(reloaded(&keys(100), &interrupted, &soon), Ok(Class::SameLineage));
    assert_eq!(reloaded(&keys(20), &interrupted, &dead), Err(Refusal::FewerKeys { keys: 20, before: 100 }));
    // Empty ones.
    assert_eq!(reloaded(&keys(0), &|_| {}, &dead), Err(Refusal::Empty));
    let cache = Facts { empty_will_do: true, ..dead };
    assert_eq!(reloaded(&keys(0), &|node| node.in_sync = None, &cache), Ok(Class::Empty));
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
    former.info.role = Some(Role::Master);
    assert_eq!(best(&[former, with(2, 100, 1, None)]), Some(2));
    // Nothing tells them apart: the one known longer, so that the same facts give the same choice.
    assert_eq!(best(&[with(2, 10, 9, None), with(1, 10, 9, None)]), Some(1));
    assert_eq!(best(&[]), None);
}

#[test]
fn the_refused_are_named_and_do_not_win() {
    let mut first = replica(1);
    first.info.priority = 0;
    let nodes = [first, replica(2)];
    let ranked: Vec<_> =
        rank_all(nodes.iter(), &facts(None)).into_iter().map(|(node, place)| (node.id.0, place)).collect();
    assert_eq!(ranked, [(2, Ok(Place { rank: 1, class: Class::Linked })), (1, Err(Refusal::PriorityZero))]);
}
