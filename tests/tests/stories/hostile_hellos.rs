//! Anybody can say hello: what is believed, and of whom.

use std::time::Duration;

use sentinel_tests::{Deployment, Kind, SentinelProcess, eventually, never};

use crate::given::{SOON, only_true_of_ours, record_all};

const KEY_LINE: &str = "sentinel hello-auth-key correct-horse";

fn say_hello(to: &SentinelProcess, payload: &str) {
    let _: i64 = to.command(&["PUBLISH", "__sentinel__:hello", payload]).expect("it takes hellos");
}

fn stranger(letter: char) -> String {
    letter.to_string().repeat(40)
}

#[test]
fn one_message_does_not_burn_the_epochs() {
    if only_true_of_ours("it takes the epoch 2^64-1, and no vote is possible ever after") {
        return;
    }
    // Given three Sentinels, one of which is told of the last epochs there are, in a hello and in a request for a vote
    let deployment = Deployment::of_ours(3).start();
    let (group, victim) = (deployment.only_group(), &deployment.sentinels()[0]);
    let port = group.master().port();
    for epoch in ["18446744073709551615", "9223372036854775807", "4611686018427387904"] {
        let id = victim.peers("mymaster").expect("it answers")[0].clone();
        let (peer_port, id) = (&id["port"], &id["runid"]);
        say_hello(victim, &format!("127.0.0.1,{peer_port},{id},{epoch},mymaster,127.0.0.1,{port},0"));
        let ask = ["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", &port.to_string(), epoch, &stranger('d')];
        let _ = victim.command::<redis::Value>(&ask);
    }

    // Then it believes none of it, and a failover goes on as ever
    assert_eq!(victim.current_epoch(), 0);
    group.master().kill();
    deployment.wait_for_switch("mymaster", port);
    assert!(deployment.wait_for_one_config_epoch("mymaster") < 100);
}

#[test]
fn a_stranger_alone_moves_no_master() {
    if only_true_of_ours("any hello with a higher epoch moves the master") {
        return;
    }
    // Given three Sentinels, and a process that listens where a stranger says it is
    let deployment = Deployment::of_ours(3).start();
    let (group, victim) = (deployment.only_group(), &deployment.sentinels()[0]);
    let listener = group.replicas()[1].port();
    let elsewhere = group.replicas()[0].port();

    // When it says that the master is another one
    for _ in 0..3 {
        say_hello(victim, &format!("127.0.0.1,{listener},{},9,mymaster,127.0.0.1,{elsewhere},9", stranger('e')));
        std::thread::sleep(Duration::from_millis(300));
    }

    // Then nothing moves
    never("the master moves", Duration::from_secs(2), || {
        let port = victim.master_port("mymaster").ok()??;
        (port != group.master().port()).then(|| format!("it is at {port}"))
    });
}

#[test]
fn with_a_key_only_signed_hellos_count() {
    if only_true_of_ours("it has no key") {
        return;
    }
    // Given three Sentinels with the same key
    let deployment = Deployment::of_ours(3).sentinel_line(KEY_LINE).start();
    let (group, victim) = (deployment.only_group(), &deployment.sentinels()[0]);
    let old = group.master();

    // When somebody who knows everything but the key speaks in the name of one of them
    let peer = victim.peers("mymaster").expect("it answers")[0].clone();
    let elsewhere = group.replicas()[0].port();
    let hello = format!("127.0.0.1,{},{},9,mymaster,127.0.0.1,{elsewhere},9", peer["port"], peer["runid"]);
    say_hello(victim, &hello);
    say_hello(victim, &format!("{hello};{}", "0".repeat(64)));

    // Then it is not believed
    never("the master moves", Duration::from_secs(2), || {
        let port = victim.master_port("mymaster").ok()??;
        (port != old.port()).then(|| format!("it is at {port}"))
    });
    assert_eq!(victim.current_epoch(), 0);

    // And they find each other, and fail over, as ever
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());
    group.wait_until_linked(new);
    deployment.wait_for_one_config_epoch("mymaster");
}

#[test]
fn redis_sentinel_reads_signed_hellos() {
    if only_true_of_ours("it has no key") {
        return;
    }
    // Given a Sentinel of ours that signs, and one of redis that does not know of it
    let deployment = Deployment::of(&[Kind::Reference]).quorum(2).start();
    let group = deployment.only_group();
    let reference = &deployment.sentinels()[0];
    let folder = tempfile::tempdir().expect("a temporary folder");
    let monitor = format!("sentinel monitor mymaster 127.0.0.1 {} 2", group.master().port());
    let ours = SentinelProcess::start(folder.path(), "ours", Kind::Ours, &[monitor, KEY_LINE.to_owned()]);
    let events = record_all(&deployment);

    // Then that one finds it
    eventually("redis-sentinel knows ours", SOON, || {
        let peers = reference.peers("mymaster").map_err(|error| error.to_string())?;
        peers.iter().any(|it| it["runid"] == ours.id()).then_some(()).ok_or_else(|| format!("{peers:?}"))
    });

    // And follows it in a failover
    eventually("ours moves the master", SOON, || {
        ours.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).map_err(|error| error.to_string())
    });
    events[0].wait_for_any("+config-update-from", SOON);
    assert_eq!(reference.config_epoch("mymaster"), ours.config_epoch("mymaster"));
}
