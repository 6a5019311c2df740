//! A Sentinel is its id, not its address: addresses change hands.

use std::{fs, time::Duration};

use sentinel_tests::{DataNode, Deployment, Kind, SentinelProcess, eventually, never};

use crate::given::{SOON, only_true_of_ours};

/// Stops two Sentinels, gives each the other's port, and starts them again: which process runs at which port is exchanged,
/// each keeps its id and what it knows.
fn exchange_ports(one: &SentinelProcess, other: &SentinelProcess) {
    one.kill();
    other.kill();
    let (first, second) = (one.config(), other.config());
    for (text, from, to) in [(&first, one, other), (&second, other, one)] {
        let (old, new) = (from.config_file(), to.config_file());
        let folder = |file: &std::path::Path| file.parent().expect("it lies in a folder").display().to_string();
        let text: Vec<String> = text
            .lines()
            .map(|line| match line.split_once(' ') {
                Some(("port", _)) => format!("port {}", to.port()),
                _ => line.replace(&folder(&old), &folder(&new)),
            })
            .collect();
        fs::write(new, text.join("\n") + "\n").expect("its configuration can be written");
    }
    one.restart();
    other.restart();
}

/// What each running Sentinel says of the others: their ids and ports, and whether they are well.
fn wait_until_known_where_they_are(sentinels: &[SentinelProcess]) {
    let truth: Vec<(String, String)> = sentinels.iter().map(|it| (it.id(), it.port().to_string())).collect();
    eventually("every Sentinel knows the others where they are", SOON, || {
        for (sentinel, (own, _)) in sentinels.iter().zip(&truth) {
            let mut expected: Vec<_> = truth.iter().filter(|(id, _)| id != own).cloned().collect();
            expected.sort();
            let peers = sentinel.peers("mymaster").map_err(|error| error.to_string())?;
            let mut known: Vec<_> = peers.iter().map(|it| (it["runid"].clone(), it["port"].clone())).collect();
            known.sort();
            let well = peers.iter().all(|it| it["flags"] == "sentinel");
            if known != expected || !well {
                return Err(format!("{}: {known:?} instead of {expected:?}; {peers:?}", sentinel.label()));
            }
        }
        Ok(())
    });
}

#[test]
fn two_that_exchange_their_addresses_are_counted_once_each() {
    if only_true_of_ours("it finds the others within 3 s, and keeps one more that is itself") {
        return;
    }
    // Given three Sentinels, two of which exchange their ports
    let deployment = Deployment::of_ours(3).start();
    let [one, other, third] = deployment.sentinels() else { panic!("three were started") };
    let group = deployment.only_group();
    exchange_ports(one, other);

    // Then all know each other where they are
    wait_until_known_where_they_are(deployment.sentinels());

    // And when one of the two is left alone, it knows that it is, and elects nobody
    let events = one.record();
    other.kill();
    third.kill();
    eventually("the one that is left says that it is alone", SOON, || {
        match one.command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"]) {
            Err(error) if error.to_string().contains("1 usable") => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    });
    let old = group.master().port();
    group.master().kill();
    events.wait_for_any("+sdown", SOON);
    never("the one that is left moves the master", Duration::from_secs(4), || {
        let moved = one.master_port("mymaster")? != Some(old);
        let odown = events.count("+odown");
        redis::RedisResult::Ok((moved || odown > 0).then(|| format!("moved: {moved}, +odown: {odown}")))
    });
}

/// Lines of a Sentinel that watches a master at `port` alone, with further ones.
fn lines(port: u16, quorum: u32, more: &[String]) -> Vec<String> {
    let mut lines = vec![
        format!("sentinel monitor mymaster 127.0.0.1 {port} {quorum}"),
        "sentinel down-after-milliseconds mymaster 1000".to_owned(),
    ];
    lines.extend_from_slice(more);
    lines
}

/// Waits until `SENTINEL CKQUORUM` answers with this text in it.
fn wait_for_verdict(sentinel: &SentinelProcess, text: &str) {
    eventually(&format!("{} says {text:?}", sentinel.label()), SOON, || {
        match sentinel.command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"]) {
            Ok(answer) if answer.contains(text) => Ok(()),
            Err(error) if error.to_string().contains(text) => Ok(()),
            answer => Err(format!("{answer:?}")),
        }
    });
}

#[test]
fn whoever_answers_in_the_place_of_another_one_does_not_count_for_it() {
    if only_true_of_ours("it counts whoever answers") {
        return;
    }
    // Given a Sentinel whose file names three others: one at its own address, one where a Sentinel of another deployment is by
    // now, and one where a data node is
    let folder = tempfile::tempdir().expect("a temporary folder");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let elsewhere = DataNode::start(folder.path(), "elsewhere", None, &[]);
    let foreign = SentinelProcess::start(folder.path(), "foreign", Kind::Reference, &lines(elsewhere.port(), 1, &[]));
    let sentinel = SentinelProcess::start(folder.path(), "ours", Kind::Ours, &lines(master.port(), 2, &[]));
    sentinel.terminate();
    let known =
        |port: u16, letter: &str| format!("sentinel known-sentinel mymaster 127.0.0.1 {port} {}\n", letter.repeat(40));
    let text =
        sentinel.config() + &known(sentinel.port(), "b") + &known(foreign.port(), "c") + &known(elsewhere.port(), "d");
    fs::write(sentinel.config_file(), text).expect("its configuration can be written");
    sentinel.restart();

    // Then none of them can be used, and it says why
    wait_for_verdict(&sentinel, "1 usable Sentinels");
    wait_for_verdict(&sentinel, "this Sentinel itself answers there");
    wait_for_verdict(&sentinel, &format!("Sentinel {} answers there", foreign.id()));
    wait_for_verdict(&sentinel, "something that is no Sentinel answers there");
    assert_eq!(sentinel.master("mymaster").expect("it answers")["num-other-sentinels"], "3", "they stay voters");

    // And nobody agrees with it when the master dies
    let events = sentinel.record();
    master.kill();
    events.wait_for_any("+sdown", SOON);
    never("it is objectively down", Duration::from_secs(2), || {
        Ok::<_, String>((events.count("+odown") > 0).then(|| "it is".to_owned()))
    });
}

#[test]
fn two_with_the_same_id_say_so() {
    if only_true_of_ours("it passes the other one's hellos over") {
        return;
    }
    // Given a Sentinel, and another one that was started from a copy of its file
    let folder = tempfile::tempdir().expect("a temporary folder");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let first = SentinelProcess::start(folder.path(), "first", Kind::Ours, &lines(master.port(), 1, &[]));
    wait_for_verdict(&first, "OK 1 usable");
    let myid = format!("sentinel myid {}", first.id());
    let second = SentinelProcess::start(folder.path(), "second", Kind::Ours, &lines(master.port(), 1, &[myid]));

    // Then both say so
    for (one, other) in [(&first, &second), (&second, &first)] {
        wait_for_verdict(one, &format!("Another process uses the id of this Sentinel, at 127.0.0.1:{}", other.port()));
        eventually("its log says so, too", SOON, || {
            let log = one.last_output(100);
            if log.contains("another process says hello with our own id") { Ok(()) } else { Err(log) }
        });
    }
}

#[test]
fn one_that_may_not_be_asked_counts_and_the_rule_is_told() {
    if only_true_of_ours("it never asks") {
        return;
    }
    // Given a Sentinel of ours, and a redis-sentinel whose user may do what the reference asks for, and nothing else
    let folder = tempfile::tempdir().expect("a temporary folder");
    let master = DataNode::start(folder.path(), "master", None, &[]);
    let user = "user default on nopass resetchannels &__sentinel__:hello -@all +ping +publish +client|setname +auth \
                +sentinel|is-master-down-by-addr +sentinel|sentinels +sentinel|master +info";
    let ours = SentinelProcess::start(folder.path(), "ours", Kind::Ours, &lines(master.port(), 2, &[]));
    let reference = folder.path();
    let theirs =
        SentinelProcess::start(reference, "theirs", Kind::Reference, &lines(master.port(), 2, &[user.to_owned()]));

    // Then it counts, and ours says which rule is missing
    wait_for_verdict(&ours, "OK 2 usable Sentinels");
    let rule = "ACL SETUSER default +sentinel|myid";
    eventually("the rule is told", SOON, || {
        let peers = ours.peers("mymaster").map_err(|error| error.to_string())?;
        let denied = peers.first().and_then(|peer| peer.get("denied")).cloned().unwrap_or_default();
        if denied.contains(rule) { Ok(()) } else { Err(format!("{peers:?}")) }
    });
    let events = ours.record();
    master.kill();
    events.wait_for("+odown", |payload| payload.contains("#quorum 2/2"), SOON);
    drop(theirs);
}

#[test]
fn in_a_mixed_quorum_addresses_may_be_exchanged_as_well() {
    if only_true_of_ours("the story is about both") {
        return;
    }
    // Given two Sentinels of ours and a redis-sentinel, which exchanges its address with one of ours
    let deployment = Deployment::of(&[Kind::Ours, Kind::Reference, Kind::Ours]).start();
    let [one, other, _] = deployment.sentinels() else { panic!("three were started") };
    exchange_ports(one, other);

    // Then all know each other where they are, and a master that dies is replaced
    wait_until_known_where_they_are(deployment.sentinels());
    let old = deployment.only_group().master();
    old.kill();
    deployment.wait_for_switch("mymaster", old.port());
}
