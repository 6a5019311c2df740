//! Users and passwords: what a Sentinel may do on data nodes and at others, and what it says when it may not.

use std::time::Duration;

use sentinel_tests::{DataNode, Dataset, Deployment, EventRecorder, Kind, SentinelProcess, eventually, never};

use crate::given::{SOON, leaders, only_true_of_ours, record_all, wait_until_all_tell_the_switch};

/// The least that redis-sentinel needs on a data node.
const ON_DATA_NODES: &str = "user watcher on >secret resetchannels &__sentinel__:hello -@all +multi +slaveof +ping +exec \
                             +subscribe +config|rewrite +publish +info +client|setname +client|kill +script|kill";
/// The least that Sentinels need at each other.
const AT_SENTINELS: &str = "user peer on >among resetchannels &__sentinel__:hello -@all +ping +publish +client|setname \
     +info +sentinel|myid +sentinel|is-master-down-by-addr";

fn denied(fields: &sentinel_tests::Fields) -> String {
    fields.get("denied").cloned().unwrap_or_default()
}

fn wait_for_denial(sentinel: &SentinelProcess, what: &str) -> String {
    eventually(&format!("the master is shown as denying {what:?}"), SOON, || {
        let found = denied(&sentinel.master("mymaster").map_err(|error| error.to_string())?);
        if found.contains(what) { Ok(found) } else { Err(format!("denied: {found:?}")) }
    })
}

fn wait_until_allowed(sentinel: &SentinelProcess) {
    eventually("nothing is denied", SOON, || {
        let found = denied(&sentinel.master("mymaster").map_err(|error| error.to_string())?);
        if found.is_empty() { Ok(()) } else { Err(found) }
    });
}

fn change_user(node: &DataNode, rules: &[&str]) {
    let words: Vec<&str> = ["ACL", "SETUSER", "watcher"].iter().chain(rules).copied().collect();
    let _: String = node.command(&words).unwrap();
}

#[test]
fn a_wrong_password_and_a_missing_permission_are_said_with_their_remedy() {
    if only_true_of_ours("it says that the instance is down") {
        return;
    }
    // Given a Sentinel with a user of its own
    let deployment = Deployment::of_ours(1)
        .replicas(1)
        .quorum(1)
        .data_line(ON_DATA_NODES)
        .sentinel_line("sentinel auth-user mymaster watcher")
        .sentinel_line("sentinel auth-pass mymaster secret")
        .sentinel_line("loglevel debug")
        .start();
    let sentinel = &deployment.sentinels()[0];
    let master = deployment.only_group().master();
    let events = sentinel.record();
    assert_eq!(denied(&sentinel.master("mymaster").unwrap()), "", "the documented rules are enough");

    // When it may not read INFO any more, then that is said once, with the rule that is missing
    change_user(master, &["-info"]);
    let shown = wait_for_denial(sentinel, "INFO");
    assert!(shown.ends_with("(remedy: ACL SETUSER watcher +info)"), "{shown}");
    let told = events.wait_for_any("+access-denied", SOON);
    assert_eq!(told.payload, format!("master mymaster 127.0.0.1 {} #{shown}", master.port()));
    change_user(master, &["+info"]);
    wait_until_allowed(sentinel);
    events.wait_for_any("-access-denied", SOON);

    // When the password is changed there, and connections are closed
    change_user(master, &["resetpass", ">another"]);
    let kill = |kind: &str| master.command::<i64>(&["CLIENT", "KILL", "TYPE", kind, "SKIPME", "yes"]).unwrap();
    kill("normal");
    kill("pubsub");
    let shown = wait_for_denial(sentinel, "AUTH: WRONGPASS");
    assert!(shown.contains("remedy: SENTINEL SET mymaster auth-pass <password>"), "{shown}");
    assert!(!shown.contains("secret"), "{shown}");

    // Then the new one set at run time opens the way
    let _: String = sentinel.command(&["SENTINEL", "SET", "mymaster", "auth-pass", "another"]).unwrap();
    wait_until_allowed(sentinel);
    eventually("the master is watched again", SOON, || {
        let flags = sentinel.master("mymaster").map_err(|error| error.to_string())?["flags"].clone();
        if flags == "master" { Ok(()) } else { Err(flags) }
    });

    // And the replica, which still has the former one, is said to deny it. Each was told once, and once its end.
    eventually("the replica denies the new password", SOON, || {
        let replicas = sentinel.replicas("mymaster").map_err(|error| error.to_string())?;
        match replicas.as_slice() {
            [replica] if denied(replica).contains("WRONGPASS") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    eventually("every denial was told once", SOON, || {
        match (events.count("+access-denied"), events.count("-access-denied")) {
            (3, 2) => Ok(()),
            counts => Err(format!("{counts:?}")),
        }
    });
}

#[test]
fn a_dry_run_asks_the_nodes_what_they_permit() {
    if only_true_of_ours("it has no dry run") {
        return;
    }
    // Given a Sentinel whose user may ask what it may do
    let deployment = Deployment::of_ours(1)
        .replicas(2)
        .quorum(1)
        .data_line(ON_DATA_NODES)
        .sentinel_line("sentinel auth-user mymaster watcher")
        .sentinel_line("sentinel auth-pass mymaster secret")
        .start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let [one, other] = group.replicas() else { panic!("there are two") };
    let nodes = || [group.master(), one, other].into_iter();
    let dry_run = |words: &[&str]| -> Result<String, String> {
        let words = [&["SENTINEL", "FAILOVER", "mymaster", "DRYRUN"], words].concat();
        sentinel.command(&words).map_err(|error| error.to_string())
    };
    let to = |node: &DataNode| ["TO".to_owned(), "127.0.0.1".to_owned(), node.port().to_string()];

    // When it may not ask, then that is said of each node, and is no refusal
    let [word, host, port] = to(one);
    let words = [word.as_str(), &host, &port];
    let told = dry_run(&words).expect("nothing is known against it");
    assert!(told.starts_with(&format!("OK {} would be promoted; ", one.address())), "{told}");
    assert_eq!(told.matches("could not be asked for its permissions: NOPERM").count(), 3, "{told}");

    // When it may, then what is missing is named: the documented rules are enough for all but a handover
    nodes().for_each(|node| change_user(node, &["+acl|dryrun"]));
    let told = dry_run(&words).expect("it would be done");
    let master = group.master().address();
    let missing = ["FAILOVER (+failover)", "CLIENT PAUSE (+client|pause)"];
    let missing = missing.map(|what| format!("; {master} does not permit {what}")).concat();
    assert_eq!(told, format!("OK {} would be promoted{missing}", one.address()));
    nodes().for_each(|node| change_user(node, &["+failover", "+client|pause"]));
    assert_eq!(dry_run(&words), Ok(format!("OK {} would be promoted", one.address())));

    // When the chosen one does not permit what promotes it, then the master can hand over still; if that is not
    // permitted, either, then it would fail. Another one would not
    change_user(one, &["-slaveof"]);
    let missing = format!("{} does not permit SLAVEOF (+slaveof)", one.address());
    assert_eq!(dry_run(&words), Ok(format!("OK {} would be promoted; {missing}", one.address())));
    change_user(group.master(), &["-failover"]);
    let told = dry_run(&words).expect_err("it would end at its timeout");
    assert!(told.contains("WOULDFAIL") && told.contains(&missing), "{told}");
    change_user(group.master(), &["+failover"]);
    let [word, host, port] = to(other);
    let told = dry_run(&[&word, &host, &port]).expect("this one permits it");
    assert!(told.ends_with(&format!("; {} does not permit SLAVEOF (+slaveof)", one.address())), "{told}");

    // And nothing was done
    assert_eq!(sentinel.current_epoch(), 0);
    assert_eq!((one.follows(group.master()), other.follows(group.master())), (Ok(()), Ok(())));
}

#[test]
fn a_peer_that_wants_another_password_is_said() {
    if only_true_of_ours("it says that the peer is down") {
        return;
    }
    // Given two Sentinels that sign in with each other
    let deployment = Deployment::of_ours(2)
        .replicas(1)
        .quorum(2)
        .sentinel_line(AT_SENTINELS)
        .sentinel_line("sentinel sentinel-user peer")
        .sentinel_line("sentinel sentinel-pass among")
        .start();
    let [one, other] = deployment.sentinels() else { panic!("two Sentinels") };
    let shown = |sentinel: &SentinelProcess| -> Result<String, String> {
        let peers = sentinel.peers("mymaster").map_err(|error| error.to_string())?;
        Ok(peers.first().map(denied).unwrap_or_default())
    };
    assert_eq!(shown(one).unwrap(), "", "the rules are enough");

    // When one has a wrong password
    let _: String = one.command(&["SENTINEL", "CONFIG", "SET", "sentinel-pass", "wrong"]).unwrap();
    eventually("the denial is shown", SOON, || match shown(one)? {
        text if text.contains("WRONGPASS") && text.contains("SENTINEL CONFIG SET sentinel-pass") => Ok(()),
        text => Err(text),
    });
    assert_eq!(shown(other).unwrap(), "", "the other way is open");

    // Then the right one mends it
    let _: String = one.command(&["SENTINEL", "CONFIG", "SET", "sentinel-pass", "among"]).unwrap();
    eventually("nothing is denied", SOON, || match shown(one)? {
        text if text.is_empty() => Ok(()),
        text => Err(text),
    });
    // And a missing permission is told apart
    let _: String = other.command(&["ACL", "SETUSER", "peer", "-publish"]).unwrap();
    eventually("the missing permission is shown", SOON, || match shown(one)? {
        text if text.ends_with("(remedy: ACL SETUSER peer +publish)") => Ok(()),
        text => Err(text),
    });
}

/// Nothing of these kinds is told for three times down-after.
fn nothing_is_told(events: &[EventRecorder], kinds: &[&str]) {
    nothing_is_told_for(3 * DOWN_AFTER, events, kinds);
}

fn nothing_is_told_for(time: Duration, events: &[EventRecorder], kinds: &[&str]) {
    never(&format!("none of {kinds:?} is told"), time, || {
        let told = events.iter().flat_map(|it| kinds.iter().filter(|kind| it.count(kind) > 0));
        Ok::<_, String>(told.map(ToString::to_string).next())
    });
}

/// As the deployments here have it.
const DOWN_AFTER: Duration = Duration::from_secs(1);

const WATCHER: [&str; 8] = ["ACL", "SETUSER", "watcher", "on", ">secret", "allkeys", "allchannels", "+@all"];

#[test]
fn a_healthy_master_that_does_not_know_the_user_is_not_failed_over() {
    // Given a user that only the replica has, and Sentinels that are told to be that user
    let deployment = Deployment::of_ours(3).replicas(1).quorum(2).start();
    let group = deployment.only_group();
    let (old, replica) = (group.master(), &group.replicas()[0]);
    let events = record_all(&deployment);
    let _: String = replica.command(&WATCHER).unwrap();
    for sentinel in deployment.sentinels() {
        let set = ["SENTINEL", "SET", "mymaster", "auth-user", "watcher", "auth-pass", "secret"];
        let _: String = sentinel.command(&set).unwrap();
    }
    if !only_true_of_ours("it does not say that the login is refused") {
        for sentinel in deployment.sentinels() {
            wait_for_denial(sentinel, "AUTH: WRONGPASS");
        }
    }

    // Then the master, which is open to all, is watched on, also after the login was tried again, 10 s later: Redis 8.0
    // does not answer a refused AUTH that comes behind another command
    nothing_is_told_for(Duration::from_secs(13), &events, &["+sdown", "+try-failover"]);

    // When it does die, then it is replaced; and when it returns it follows, logged in or not
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());
    assert_eq!(new.port(), replica.port());
    old.restart(Dataset::Kept);
    group.wait_until_linked(new);
}

#[test]
fn a_master_whose_password_was_changed_is_alive() {
    if only_true_of_ours("it fails the master over, and cannot demote it") {
        return;
    }
    // Given a master that serves nothing without a password that no Sentinel knows
    let deployment = Deployment::of_ours(3).replicas(1).quorum(2).start();
    let master = deployment.only_group().master();
    let events = record_all(&deployment);
    let mut client = master.connect().unwrap();
    let mut tell = |words: &[&str]| redis::cmd(words[0]).arg(&words[1..]).query::<redis::Value>(&mut client).unwrap();
    tell(&["CONFIG", "SET", "requirepass", "another"]);
    tell(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    tell(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    for sentinel in deployment.sentinels() {
        assert!(wait_for_denial(sentinel, "NOAUTH").contains("remedy: SENTINEL SET mymaster auth-pass <password>"));
    }
    // Then it is shown as disconnected, and not down
    let flags = || deployment.sentinels()[0].master("mymaster").unwrap()["flags"].clone();
    assert_eq!(flags(), "master,disconnected");
    nothing_is_told(&events, &["+sdown", "+try-failover"]);
    // And the password set at run time opens the way
    for sentinel in deployment.sentinels() {
        let _: String = sentinel.command(&["SENTINEL", "SET", "mymaster", "auth-pass", "another"]).unwrap();
        wait_until_allowed(sentinel);
    }
    assert_eq!(flags(), "master");
}

#[test]
fn a_login_that_peers_do_not_know_yet_costs_no_quorum() {
    // Given Sentinels of which each is told to log in at the others, where nobody has made that user
    let deployment = Deployment::of_ours(3).replicas(1).quorum(2).start();
    let events = record_all(&deployment);
    for sentinel in deployment.sentinels() {
        let _: String = sentinel.command(&["SENTINEL", "CONFIG", "SET", "sentinel-user", "peer"]).unwrap();
        let _: String = sentinel.command(&["SENTINEL", "CONFIG", "SET", "sentinel-pass", "among"]).unwrap();
    }
    // Then they go on as before
    nothing_is_told(&events, &["+sdown"]);
    for sentinel in deployment.sentinels() {
        let answer: String = sentinel.command(&["SENTINEL", "CKQUORUM", "mymaster"]).unwrap();
        assert!(answer.starts_with("OK 3 usable Sentinels"), "{answer}");
    }
    let old = deployment.only_group().master();
    old.kill();
    deployment.wait_for_switch("mymaster", old.port());
}

/// A quorum of both kinds in which everybody signs in with a user that may do no more than it must.
fn the_master_dies(kinds: [Kind; 3], leading: Kind) {
    let leader = kinds.iter().position(|kind| *kind == leading).expect("both kinds are there");
    let mut quorums = [4; 3];
    quorums[leader] = 2;
    let deployment = Deployment::of(&kinds)
        .quorums(&quorums)
        .data_line(ON_DATA_NODES)
        .sentinel_line("sentinel auth-user mymaster watcher")
        .sentinel_line("sentinel auth-pass mymaster secret")
        .sentinel_line(AT_SENTINELS)
        .sentinel_line("sentinel sentinel-user peer")
        .sentinel_line("sentinel sentinel-pass among")
        .start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    // Given that the users are really used
    let clients: String = old.command(&["CLIENT", "LIST"]).unwrap();
    assert!(clients.lines().filter(|line| line.contains(" user=watcher ")).count() >= 3, "{clients}");
    for sentinel in deployment.sentinels() {
        let clients: String = sentinel.command(&["CLIENT", "LIST"]).unwrap();
        assert_eq!(clients.lines().filter(|line| line.contains(" user=peer ")).count(), 2, "{clients}");
    }

    // When the master dies
    old.kill();

    // Then the one meant to lead leads, with the votes of the others, and all agree
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    deployment.wait_for_one_config_epoch("mymaster");
    assert_eq!(leaders(&events), [leader]);
    group.wait_until_linked(new);
    let refused: Vec<String> = group
        .nodes()
        .iter()
        .filter(|node| node.is_running())
        .flat_map(|node| node.command::<Vec<redis::Value>>(&["ACL", "LOG"]).unwrap())
        .map(|entry| format!("{entry:?}"))
        .collect();
    assert!(refused.is_empty(), "nothing was tried that is not allowed: {refused:?}");
}

#[test]
fn one_of_ours_leads_with_users_everywhere() {
    the_master_dies([Kind::Reference, Kind::Reference, Kind::Ours], Kind::Ours);
}

#[test]
fn the_reference_leads_with_users_everywhere() {
    the_master_dies([Kind::Ours, Kind::Ours, Kind::Reference], Kind::Reference);
}
