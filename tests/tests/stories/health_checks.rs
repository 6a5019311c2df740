//! What load balancers and probes hear about one node.

use sentinel_tests::{
    DataNode, Dataset, Deployment, eventually,
    http::{Answer, Http},
};
use serde_json::json;

use crate::given::{SOON, only_true_of_ours};

const WHY: &str = "it has no HTTP endpoint";

/// Asks about a node of `mymaster`.
fn asked(http: &Http, path: &str, addr: &str) -> Answer {
    http.get(&format!("/v1/masters/mymaster/{path}?addr={addr}"))
}

#[track_caller]
fn wait_for(http: &Http, path: &str, addr: &str, status: u16) -> Answer {
    eventually(&format!("{path} of {addr} is answered with {status}"), SOON, || {
        let answer = asked(http, path, addr);
        if answer.status == status { Ok(answer) } else { Err(answer.body) }
    })
}

#[test]
fn the_primary_is_the_master_and_no_other_node_before_and_after_a_failover() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a deployment that is well
    let deployment = Deployment::of_ours(3).with_http().start();
    let group = deployment.only_group();
    let old = group.master();
    for sentinel in deployment.sentinels() {
        let http = sentinel.http();
        wait_for(&http, "primary", &old.address(), 200);
        assert_eq!(asked(&http, "replica", &old.address()).status, 503);
        for replica in group.replicas() {
            let answer = asked(&http, "primary", &replica.address());
            assert_eq!((answer.status, &answer.json()["role"]), (503, &json!("replica")), "{answer:?}");
            assert!(answer.json()["reason"].as_str().is_some_and(|why| why.contains(&old.address())), "{answer:?}");
            wait_for(&http, "replica", &replica.address(), 200);
        }
        let stranger = asked(&http, "primary", "127.0.0.1:1");
        assert_eq!((stranger.status, &stranger.json()["healthy"]), (503, &json!(false)));
    }

    // When the master dies, then no Sentinel that has noticed says that it is the primary
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());
    for sentinel in deployment.sentinels() {
        let http = sentinel.http();
        let answer = asked(&http, "primary", &old.address());
        assert_eq!(answer.status, 503, "the newer configuration has replaced it: {answer:?}");
        wait_for(&http, "primary", &new.address(), 200);
        assert_eq!(asked(&http, "replica", &new.address()).status, 503);
        // And the other replica is one as soon as it follows the new master
        let other = group.replicas().iter().find(|node| node.port() != new.port()).expect("there are two");
        wait_for(&http, "replica", &other.address(), 200);
    }

    // And when it is forced back, the one that leads says at no time that both are primaries
    old.launch_again(Dataset::Kept);
    let http = deployment.sentinels()[0].http();
    wait_for(&http, "replica", &old.address(), 200);
    wait_for(&http, "primary", &new.address(), 200);
    deployment.sentinels()[0].failover("mymaster");
    let after = eventually("another one is the primary", SOON, || {
        // The one that serves is asked last: when it is still named then, none may have been named before.
        let others = group.nodes().iter().filter(|node| node.port() != new.port());
        let is_primary = |node: &&DataNode| asked(&http, "primary", &node.address()).status == 200;
        let primaries: Vec<_> = others.chain([new]).filter(is_primary).map(DataNode::address).collect();
        assert!(primaries.len() < 2, "two at once: {primaries:?}");
        match primaries.as_slice() {
            [one] if *one != new.address() => Ok(one.clone()),
            other => Err(format!("{other:?}")),
        }
    });
    assert_eq!(asked(&http, "primary", &new.address()).status, 503, "{after} has replaced it");
}

#[test]
fn a_master_that_is_down_or_says_that_it_is_a_replica_is_no_primary() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a Sentinel that cannot fail over: nobody may be promoted
    let deployment = Deployment::of_ours(1).quorum(2).replicas(1).with_http().start();
    let (http, group) = (deployment.sentinels()[0].http(), deployment.only_group());
    let (master, replica) = (group.master(), &group.replicas()[0]);
    wait_for(&http, "primary", &master.address(), 200);

    // When it hangs, it is down, and its replica has no link
    master.hang();
    let answer = wait_for(&http, "primary", &master.address(), 503);
    assert_eq!(answer.json()["reason"], "it is subjectively down");
    master.resume();
    wait_for(&http, "primary", &master.address(), 200);

    // When it is told to follow its replica, then it is no primary, whatever is configured
    let port = replica.port().to_string();
    let _: String = replica.command(&["REPLICAOF", "NO", "ONE"]).expect("it obeys");
    let _: String = master.command(&["REPLICAOF", "127.0.0.1", &port]).expect("it obeys");
    let answer = wait_for(&http, "primary", &master.address(), 503);
    let why = answer.json()["reason"].to_string();
    assert!(why.contains("it says that it is a replica") || why.contains("down"), "{why}");
    // Nor is a replica that says that it is a master one to read from
    wait_for(&http, "replica", &replica.address(), 503);
}

#[test]
fn a_replica_is_one_while_it_is_linked_and_lacks_no_more_than_it_may() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).with_http().start();
    let (http, group) = (deployment.sentinels()[0].http(), deployment.only_group());
    let (master, replica) = (group.master(), &group.replicas()[0]);
    let lacking = |lag: u64| format!("{}&lag={lag}", replica.address());
    wait_for(&http, "replica", &lacking(50_000), 200);

    // When it lacks more than that, being up for now
    let _: String = master.command(&["CONFIG", "SET", "repl-timeout", "600"]).expect("it obeys");
    let down_after = |time: &str| -> String {
        deployment.sentinels()[0]
            .command(&["SENTINEL", "SET", "mymaster", "down-after-milliseconds", time])
            .expect("it obeys")
    };
    down_after("600000");
    replica.hang();
    let value = "x".repeat(100_000);
    let _: String = master.command(&["SET", "k", &value]).expect("it obeys");
    // Then it is too far behind for those who ask, and well enough for others
    let answer = wait_for(&http, "replica", &lacking(50_000), 503);
    assert!(answer.json()["lag_bytes"].as_u64().is_some_and(|lag| lag >= 100_000), "{answer:?}");
    assert_eq!(asked(&http, "replica", &lacking(10_000_000)).status, 200);
    assert_eq!(asked(&http, "replica", &replica.address()).status, 200);
    replica.resume();
    down_after("1000");
    wait_for(&http, "replica", &lacking(50_000), 200);

    // When its link is down, it is none
    master.kill();
    let answer = wait_for(&http, "replica", &replica.address(), 503);
    assert!(answer.json()["reason"].is_string(), "{answer:?}");
}

#[test]
fn methods_bodies_names_and_mistakes() {
    if only_true_of_ours(WHY) {
        return;
    }
    let token = "b7c1";
    let deployment =
        Deployment::of_ours(1).quorum(1).replicas(1).with_http().sentinel_line(&format!("http-token {token}")).start();
    let open = deployment.sentinels()[0].http();
    let http = open.with_token(token);
    let group = deployment.only_group();
    let primary = |addr: &str| format!("/v1/masters/mymaster/primary?addr={addr}");
    let (master, replica) = (group.master().address(), group.replicas()[0].address());
    wait_for(&http, "primary", &master, 200);

    // HEAD and OPTIONS have the status alone
    for (addr, status) in [(&master, 200), (&replica, 503)] {
        assert!(http.get(&primary(addr)).json()["healthy"].is_boolean());
        for method in ["HEAD", "OPTIONS"] {
            let answer = http.send(method, &primary(addr), &[]);
            assert_eq!((answer.status, answer.body.as_str()), (status, ""), "{method} {addr}");
        }
    }
    // A name is what it resolves to
    let named = format!("LocalHost:{}", group.master().port());
    assert_eq!(http.get(&primary(&named)).status, 200);
    assert_eq!(http.get(&primary(&format!("localhost:{}", group.replicas()[0].port()))).status, 503);
    assert_eq!(http.get(&primary(&format!("no-such-host.invalid:{}", group.master().port()))).status, 503);

    // Mistakes are told
    for query in
        ["", "?addr", "?addr=6379", "?addr=a b:1", "?addr=a:0", "?adr=a:1", "?addr=a:1&lag=1", "?addr=a:1&addr=b:1"]
    {
        let answer = http.get(&format!("/v1/masters/mymaster/primary{}", query.replace(' ', "%20")));
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.json()["error"].as_str().is_some_and(|text| text.contains(' ')), "{answer:?}");
    }
    let answer = http.get(&format!("/v1/masters/mymaster/replica?addr={replica}&lag=-1"));
    assert_eq!(answer.status, 400, "{answer:?}");
    assert_eq!(http.get(&format!("/v1/masters/nobody/primary?addr={master}")).status, 404);
    // And a token that is set is needed here, too
    for method in ["GET", "HEAD", "OPTIONS"] {
        assert_eq!(open.send(method, &primary(&master), &[]).status, 401, "{method}");
    }
}
