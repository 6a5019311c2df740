//! Users and passwords: what a Sentinel may do on data nodes and at others, and what it says when it may not.

use sentinel_tests::{DataNode, Deployment, Kind, SentinelProcess, eventually};

use crate::given::{SOON, leaders, only_true_of_ours, record_all, wait_until_all_tell_the_switch};

/// The least that redis-sentinel needs on a data node.
const ON_DATA_NODES: &str = "user watcher on >secret resetchannels &__sentinel__:hello -@all +multi +slaveof +ping +exec \
                             +subscribe +config|rewrite +publish +info +client|setname +client|kill +script|kill";
/// The least that Sentinels need at each other.
const AT_SENTINELS: &str = "user peer on >among resetchannels &__sentinel__:hello -@all +ping +publish +client|setname \
     +sentinel|is-master-down-by-addr";

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
