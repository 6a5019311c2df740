//! What an operator asks and decides: who would be promoted, who is to be, and who is gone for good.

use std::collections::BTreeMap;

use sentinel_tests::{DataNode, Deployment, SentinelProcess, eventually, never};

use crate::given::{SOON, only_true_of_ours, record_all};

type Candidates = Vec<BTreeMap<String, String>>;

fn candidates(sentinel: &SentinelProcess) -> Candidates {
    sentinel.command(&["SENTINEL", "CANDIDATES", "mymaster"]).expect("it answers")
}

/// What is said of one replica: its rank, or why it is refused.
fn said_of(list: &Candidates, node: &DataNode) -> String {
    let it = list.iter().find(|it| it["name"] == node.address()).expect("every replica is listed");
    it.get("rank").or(it.get("refused")).expect("one of both").clone()
}

fn failover(sentinel: &SentinelProcess, words: &[&str]) -> Result<String, String> {
    let command = [&["SENTINEL", "FAILOVER", "mymaster"], words].concat();
    sentinel.command(&command).map_err(|error| error.to_string())
}

#[test]
fn the_candidates_are_ranked_and_the_others_say_why_not() {
    if only_true_of_ours("it has no SENTINEL CANDIDATES") {
        return;
    }
    // Given three replicas, of which one must not be promoted and one is preferred
    let deployment = Deployment::of_ours(1).quorum(1).replicas(3).priorities(&[100, 0, 10]).start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let [usual, never_promoted, preferred] = group.replicas() else { panic!("there are three") };

    // When they are listed, then each has its rank or its reason, the best first
    let list = candidates(sentinel);
    assert_eq!(said_of(&list, preferred), "1", "{list:?}");
    assert_eq!(said_of(&list, usual), "2", "{list:?}");
    assert_eq!(said_of(&list, never_promoted), "its priority is 0", "{list:?}");
    assert_eq!(list[0]["name"], preferred.address());

    // And a dry run names the same one, and does nothing
    assert_eq!(failover(sentinel, &["DRYRUN"]), Ok(format!("OK {} would be promoted", preferred.address())));
    assert_eq!(sentinel.current_epoch(), 0);

    // When it hangs, then the list says so and the next one is first
    preferred.hang();
    eventually("the hanging one is refused", SOON, || {
        let list = candidates(sentinel);
        let (first, why) = (said_of(&list, usual), said_of(&list, preferred));
        (first == "1" && why == "it is subjectively down").then_some(()).ok_or(format!("{first}, {why}"))
    });
    preferred.resume();
}

#[test]
fn an_operator_names_the_replica_that_is_promoted() {
    if only_true_of_ours("its SENTINEL FAILOVER takes no further words") {
        return;
    }
    // Given three Sentinels, and a replica that would be chosen last
    let deployment = Deployment::of_ours(3).replicas(3).priorities(&[10, 100, 0]).start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let [_, last, unfit] = group.replicas() else { panic!("there are three") };
    let (host, port) = ("127.0.0.1", last.port().to_string());

    // When it is asked for, dry or in vain, then nothing happens
    let dry = eventually("it is fit", SOON, || failover(sentinel, &["TO", host, &port, "DRYRUN"]));
    assert_eq!(dry, format!("OK {} would be promoted", last.address()));
    let refused = failover(sentinel, &["TO", host, &unfit.port().to_string()]).expect_err("its priority is 0");
    assert!(refused.contains("its priority is 0"), "{refused}");
    let unknown = failover(sentinel, &["TO", host, "1"]).expect_err("nobody is there");
    assert!(unknown.contains("No such replica"), "{unknown}");
    assert_eq!(sentinel.current_epoch(), 0);

    // And when it is asked for in earnest, then it is the one
    assert_eq!(failover(sentinel, &["TO", host, &port]), Ok("OK".to_owned()));
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    assert_eq!(new.port(), last.port());
    group.wait_until_linked(new);
}

#[test]
fn who_is_gone_for_good_is_forgotten_when_asked_and_only_then() {
    if only_true_of_ours("only SENTINEL RESET forgets there, and it forgets everything") {
        return;
    }
    // Given three Sentinels and two replicas
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let [staying, _, leaving] = deployment.sentinels() else { panic!("there are three") };
    let (gone, kept) = (&group.replicas()[0], &group.replicas()[1]);
    let events = record_all(&deployment);
    let id = leaving.id();
    let forget_peer = || staying.command::<String>(&["SENTINEL", "FORGET", "mymaster", &id]);
    let port = gone.port().to_string();
    let forget_replica = || staying.command::<String>(&["SENTINEL", "FORGET-REPLICA", "mymaster", "127.0.0.1", &port]);

    // When they can be reached, then they are not forgotten
    for refused in [forget_peer(), forget_replica()] {
        let refused = refused.expect_err("it answers").to_string();
        assert!(refused.contains("can be reached"), "{refused}");
    }

    // When both are gone, then they are still known
    leaving.kill();
    gone.kill();
    events[0].wait_for("+sdown", |payload| payload.contains(&id), SOON);
    events[0].wait_for("+sdown", |payload| payload.starts_with("slave") && payload.contains(&port), SOON);
    assert_eq!(staying.peers("mymaster").expect("it answers").len(), 2);
    assert_eq!(staying.replicas("mymaster").expect("it answers").len(), 2);

    // And when they are to be forgotten, then they are, in the file too, and told
    assert_eq!(forget_peer().expect("it is gone"), "OK");
    assert_eq!(forget_replica().expect("it is gone"), "OK");
    events[0].wait_for("-sentinel", |payload| payload.contains(&id), SOON);
    events[0].wait_for("-slave", |payload| payload.contains(&port), SOON);
    assert_eq!(staying.peers("mymaster").expect("it answers").len(), 1);
    assert_eq!(staying.replicas("mymaster").expect("it answers").len(), 1);
    let file = staying.config();
    assert!(!file.contains(&id) && !file.contains(&format!("known-replica mymaster 127.0.0.1 {port}")), "{file}");

    // And the other Sentinel, which was not asked, does not bring them back
    never("a forgotten Sentinel is back", std::time::Duration::from_secs(5), || {
        let peers = staying.peers("mymaster")?.len();
        redis::RedisResult::Ok((peers != 1).then(|| format!("{peers} peers")))
    });
    assert!(staying.replicas("mymaster").expect("it answers").iter().any(|it| it["name"] == kept.address()));
}
