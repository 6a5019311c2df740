//! Checks whose fault no single machine can have, on facts that are made up; and the table itself.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    facts::{Clock, Inside, Node, Sentinel, Told, Watched},
    *,
};

fn place(host: &str, port: u16) -> Place {
    (host.to_owned(), port)
}

fn fields(pairs: &[(&str, &str)]) -> facts::Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Three Sentinels of another program on three hosts, a master and two replicas, all well.
fn well() -> Facts {
    let hosts = ["10.0.0.1", "10.0.0.2", "10.0.0.3"];
    let entry = |host: &str, port: &str, more: &[(&str, &str)]| {
        let mut all = fields(&[("ip", host), ("port", port)]);
        all.extend(fields(more));
        all
    };
    let sentinel = |index: usize| {
        let id = |index: usize| index.to_string().repeat(40);
        let peers = (0..3).filter(|it| *it != index);
        let settings = [
            ("flags", "master"),
            ("quorum", "2"),
            ("config-epoch", "1"),
            ("down-after-milliseconds", "5000"),
            ("failover-timeout", "60000"),
            ("parallel-syncs", "1"),
        ];
        let watched = Watched {
            fields: entry(hosts[0], "6379", &settings),
            peers: peers.map(|it| entry(hosts[it], "26379", &[("runid", &id(it)), ("flags", "sentinel")])).collect(),
            replicas: hosts[1..].iter().map(|host| entry(host, "6379", &[("flags", "slave")])).collect(),
        };
        let told = Told {
            id: Some(id(index)),
            info: fields(&[("redis_version", "7.0.15"), ("run_id", &index.to_string()), ("sentinel_tilt", "0")]),
            masters: [("m".to_owned(), watched)].into(),
            clock: Some(Clock { ahead: 5, within: 1 }),
            ..Told::default()
        };
        Sentinel { place: place(hosts[index], 26379), told: Ok(told) }
    };
    let node = |index: usize| {
        let mut info = fields(&[("role", "master"), ("redis_version", "7.0.15"), ("master_replid", "a")]);
        if index > 0 {
            info.extend(fields(&[("role", "slave"), ("master_link_status", "up"), ("slave_priority", "100")]));
            info.extend(fields(&[("master_host", hosts[0]), ("master_port", "6379"), ("slave_read_only", "1")]));
        }
        let inside = Inside { info, clock: Some(Clock { ahead: -5, within: 1 }), ..Inside::default() };
        let place = place(hosts[index], 6379);
        (place.clone(), Node { place, inside: Ok(inside) })
    };
    Facts {
        sentinels: (0..3).map(sentinel).collect(),
        nodes: (0..3).map(node).collect(),
        names: BTreeSet::from(["m".to_owned()]),
    }
}

fn told(facts: &mut Facts, index: usize) -> &mut Told {
    facts.sentinels[index].told.as_mut().expect("it answers")
}

fn watched(facts: &mut Facts, index: usize) -> &mut Watched {
    told(facts, index).masters.get_mut("m").expect("it watches")
}

fn inside<'a>(facts: &'a mut Facts, host: &str) -> &'a mut Inside {
    facts.nodes.get_mut(&place(host, 6379)).expect("a node").inside.as_mut().expect("it answers")
}

/// What is found after something was changed: the codes, and all as text.
fn found(change: impl FnOnce(&mut Facts)) -> (Vec<String>, String) {
    let mut facts = well();
    change(&mut facts);
    facts.merge();
    let found = examine(&facts);
    let codes = found.iter().map(|it| it["code"].as_str().unwrap_or_default().to_owned()).collect();
    (codes, Json::from(found).to_string())
}

#[test]
fn what_is_well_yields_nothing() {
    assert_eq!(found(|_| {}), (Vec::new(), "[]".to_owned()));
}

#[test]
fn sentinels_that_name_different_masters_are_found() {
    let (codes, text) = found(|facts| {
        watched(facts, 2).fields.extend(fields(&[("ip", "10.0.0.2"), ("config-epoch", "0")]));
    });
    assert_eq!(codes, ["peers-disagree"], "{text}");
    assert!(text.contains("10.0.0.2:6379 of epoch 0 at 10.0.0.3:26379") && text.contains("-h 10.0.0.3"), "{text}");
}

#[test]
fn a_copied_id_is_found_and_one_process_reached_in_two_ways_is_none() {
    let id = "1".repeat(40);
    let (codes, text) = found(|facts| told(facts, 2).id = Some(id.clone()));
    assert_eq!(codes, ["duplicate-id"], "{text}");
    let twice = |facts: &mut Facts| {
        let mut again = well().sentinels.remove(2);
        again.place = place("sentinel-3", 26379);
        facts.sentinels.push(again);
    };
    assert_eq!(found(twice).0, [""; 0]);
}

#[test]
fn a_quorum_that_is_never_reached_and_too_few_sentinels_are_found() {
    let (codes, text) = found(|facts| {
        (0..3).for_each(|index| drop(watched(facts, index).fields.insert("quorum".into(), "4".into())));
    });
    assert!(codes == ["quorum-too-high"] && text.contains("quorum 2, at each"), "{text}");
    let (codes, text) = found(|facts| {
        for index in 1..3 {
            facts.sentinels[index].told = Err("refused".into());
            let flags = |peer: &mut facts::Fields| drop(peer.insert("flags".into(), "s_down,sentinel".into()));
            watched(facts, 0).peers.iter_mut().for_each(flags);
        }
    });
    assert_eq!(codes, ["quorum-lost", "peer-unreachable", "peer-unreachable"], "{text}");
    assert!(text.contains("1 of 3 Sentinels can agree, quorum 2 and majority 2"), "{text}");
}

#[test]
fn a_sentinel_that_another_one_does_not_reach_is_found() {
    let (codes, text) =
        found(|facts| drop(watched(facts, 0).peers[0].insert("flags".into(), "s_down,sentinel".into())));
    assert!(codes == ["cut-off"] && text.contains("10.0.0.2:26379 from 10.0.0.1:26379"), "{text}");
}

#[test]
fn sentinels_on_one_host_and_a_loopback_master_are_found_unless_all_is_a_trial() {
    let (codes, text) = found(|facts| {
        facts.sentinels[2].place = place("10.0.0.2", 26380);
        for index in 0..2 {
            let peer = watched(facts, index).peers.last_mut().expect("a peer");
            peer.extend(fields(&[("ip", "10.0.0.2"), ("port", "26380")]));
        }
    });
    assert_eq!(codes, ["one-host"], "{text}");
    let (codes, text) = found(|facts| {
        for index in 0..3 {
            watched(facts, index).fields.insert("ip".into(), "127.0.0.1".into());
        }
        let mut node = facts.nodes.remove(&place("10.0.0.1", 6379)).expect("a node");
        node.place = place("127.0.0.1", 6379);
        facts.nodes.insert(node.place.clone(), node);
        inside(facts, "10.0.0.2").info.insert("master_host".into(), "127.0.0.1".into());
        inside(facts, "10.0.0.3").info.insert("master_host".into(), "127.0.0.1".into());
    });
    assert_eq!(codes, ["loopback-master"], "{text}");
}

#[test]
fn versions_that_are_old_or_differ_are_found() {
    let (codes, text) =
        found(|facts| drop(inside(facts, "10.0.0.3").info.insert("redis_version".into(), "5.0.14".into())));
    assert_eq!(codes, ["version-old", "versions-differ"], "{text}");
}

#[test]
fn a_clock_tilt_and_a_certificate_are_found() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let (codes, text) = found(|facts| {
        inside(facts, "10.0.0.2").clock = Some(Clock { ahead: 60_000, within: 3 });
        told(facts, 1).info.insert("sentinel_tilt".into(), "1".into());
        told(facts, 0).certificate_ends = Some(now + 3 * 24 * 3600 + 60);
        told(facts, 1).certificate_ends = Some(now + 60 * 24 * 3600);
    });
    assert_eq!(codes, ["clock-skew", "tilt", "certificate-expires"], "{text}");
    assert!(text.contains("10.0.0.2:6379 is 59995 ms ahead") && text.contains("ends in 3 days"), "{text}");
    let slow = |facts: &mut Facts| inside(facts, "10.0.0.2").clock = Some(Clock { ahead: 2_900, within: 2_500 });
    assert_eq!(found(slow).0, [""; 0], "an answer that took long tells no more of the clock");
}

#[test]
fn an_even_number_bears_no_more_and_all_of_two_are_needed() {
    let (codes, text) = found(|facts| {
        facts.sentinels.pop();
        (0..2).for_each(|index| watched(facts, index).peers.retain(|peer| peer["ip"] != "10.0.0.3"));
    });
    assert_eq!(codes, ["one-loss-from-quorum", "even-number"], "{text}");
}

#[test]
fn what_a_sentinel_lists_is_told_once_and_in_its_words() {
    let (codes, text) = found(|facts| {
        let problem = json!({
            "severity": "warning", "code": "access-denied", "scope": "node", "master": "m",
            "address": "10.0.0.2:6379", "problem": "in its words", "remedy": "so",
        });
        for index in 0..2 {
            told(facts, index).problems = Some(vec![problem.clone()]);
            watched(facts, index).replicas[0].insert("flags".into(), "s_down,slave".into());
        }
    });
    assert_eq!(codes, ["access-denied"], "{text}");
    assert!(text.contains("in its words") && text.contains("10.0.0.1:26379 10.0.0.2:26379"), "{text}");
}

#[test]
fn every_check_stands_once_and_in_the_documentation() {
    let document = include_str!("../../../../../docs/doctor.md");
    let codes: BTreeSet<&str> = CHECKS.iter().map(|check| check.code).collect();
    assert_eq!(codes.len(), CHECKS.len());
    let rows: Vec<String> = CHECKS
        .iter()
        .map(|check| format!("| `{}` | {} | {} |\n", check.code, check.severity.as_str(), check.when))
        .collect();
    assert!(document.contains(&rows.concat()), "docs/doctor.md should have this table:\n{}", rows.concat());
}
