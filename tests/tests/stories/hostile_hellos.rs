//! Anybody can say hello: what is believed, and of whom.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    time::Duration,
};

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
        let port = victim.master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(group.master().port())).then(|| format!("it is at {port:?}")))
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
        let port = victim.master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(old.port())).then(|| format!("it is at {port:?}")))
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

/// Listens, and answers +PONG to everything, until the test ends.
fn parrot() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut stream = stream;
                let mut buffer = [0; 4096];
                while let Ok(1..) = stream.read(&mut buffer) {
                    // One answer for each command that was read; each begins with an asterisk.
                    let commands = buffer.split(|byte| *byte == b'*').count() - 1;
                    buffer.fill(0);
                    if stream.write_all(&b"+PONG\r\n".repeat(commands)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

#[test]
fn a_listener_that_says_pong_moves_no_master_however_it_begins() {
    if only_true_of_ours("any hello with a higher epoch moves the master") {
        return;
    }
    // Given three Sentinels, and a process that answers +PONG
    let deployment = Deployment::of_ours(3).start();
    let (group, victim) = (deployment.only_group(), &deployment.sentinels()[0]);
    let (old, listener) = (group.master().port(), parrot());
    let elsewhere = group.replicas()[0].port();
    let id = stranger('e');
    let hello = |of: u16, epoch: u64| format!("127.0.0.1,{listener},{id},{epoch},mymaster,127.0.0.1,{of},{epoch}");

    // When it announces what is in force, and then its own
    for _ in 0..3 {
        say_hello(victim, &hello(old, 0));
        std::thread::sleep(Duration::from_millis(300));
    }
    say_hello(victim, &hello(elsewhere, 9));

    // Then nothing moves, and it does not count as one that can be used
    never("the master moves", Duration::from_secs(2), || {
        let port = victim.master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(old)).then(|| format!("it is at {port:?}")))
    });
    let answer = victim.command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"]);
    let text = answer.expect_err("one is not where it says").to_string();
    assert!(text.contains("3 usable") && text.contains("something that is no Sentinel"), "{text}");
}

#[test]
fn a_forged_configuration_epoch_does_not_end_elections() {
    if only_true_of_ours("its configuration epoch is higher than every later one") {
        return;
    }
    // Given three Sentinels, all of which are told in the name of a known one that the present master is of a far epoch
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master().port();
    for victim in deployment.sentinels() {
        let peer = victim.peers("mymaster").expect("it answers")[0].clone();
        let of = format!("mymaster,127.0.0.1,{old},4000000000");
        say_hello(victim, &format!("127.0.0.1,{},{},0,{of}", peer["port"], peer["runid"]));
    }
    assert_eq!(deployment.wait_for_one_config_epoch("mymaster"), 4_000_000_000);

    // When the master dies, then it is replaced as ever
    group.master().kill();
    deployment.wait_for_switch_within("mymaster", old, Duration::from_secs(10));
    let epoch = deployment.wait_for_one_config_epoch("mymaster");
    for sentinel in deployment.sentinels() {
        eventually("the epochs are in order on disk", SOON, || {
            let (current, config) = (sentinel.current_epoch(), sentinel.config_epoch("mymaster"));
            if current >= config && config == epoch { Ok(()) } else { Err(format!("{current} and {config}")) }
        });
    }
}

#[test]
fn ids_that_nobody_can_verify_are_forgotten_in_one_command() {
    if only_true_of_ours("it has no such command, and no bound") {
        return;
    }
    // Given three Sentinels, one of which hears of more others than it remembers
    let deployment = Deployment::of_ours(3).start();
    let (group, victim) = (deployment.only_group(), &deployment.sentinels()[0]);
    let port = group.master().port();
    for number in 0..400 {
        say_hello(victim, &format!("127.0.0.1,1,{number:040},0,mymaster,127.0.0.1,{port},0"));
    }

    // Then it remembers some, says so once, and knows that it has no majority
    let refused = || victim.last_output(5_000).matches("Refused Sentinel").count();
    eventually("the log says so", SOON, || if refused() > 0 { Ok(()) } else { Err(victim.last_output(50)) });
    assert_eq!(refused(), 1, "{}", victim.last_output(50));
    let check = || victim.command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"]);
    eventually("it has no majority", SOON, || check().map_or(Ok(()), Err));

    // And one command later it is as before
    victim.command::<String>(&["SENTINEL", "FORGET", "mymaster", "UNVERIFIED"]).expect("it forgets them");
    eventually("it has a majority again", SOON, || check().map_err(|error| error.to_string()));
    assert_eq!(victim.peers("mymaster").expect("it answers").len(), 2);
}

#[test]
fn those_that_tell_port_0_count_towards_the_majority() {
    if only_true_of_ours("it keeps them, and is silent about it") {
        return;
    }
    // Given a Sentinel with a quorum of one that has heard of two others, which nobody can connect to
    let deployment = Deployment::of_ours(1).quorum(1).start();
    let (group, sentinel) = (deployment.only_group(), &deployment.sentinels()[0]);
    let old = group.master().port();
    for letter in ['b', 'c'] {
        say_hello(sentinel, &format!("127.0.0.1,0,{},0,mymaster,127.0.0.1,{old},0", stranger(letter)));
    }
    let text = "says that it listens on port 0";
    eventually("the log says so", SOON, || {
        let log = sentinel.last_output(100);
        if log.contains(text) { Ok(()) } else { Err(log) }
    });

    // When the master dies, also after a restart, then it does not lead alone: they may be three leaders
    sentinel.terminate();
    sentinel.restart();
    assert_eq!(sentinel.peers("mymaster").expect("it answers").len(), 2);
    let events = sentinel.record();
    group.master().kill();
    events.wait_for_any("+odown", SOON);
    never("it leads", Duration::from_secs(3), || {
        Ok::<_, String>((events.count("+elected-leader") > 0).then(|| "it does".to_owned()))
    });
}
