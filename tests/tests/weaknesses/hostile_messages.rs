//! Messages from anybody who reaches a port.

use redis::{RedisResult, Value};
use sentinel_tests::{Deployment, Kind, SentinelProcess, eventually, free_port, never};

use crate::{A_WHILE, NAME, SOON, id, lone};

const HELLO: &str = "__sentinel__:hello";

#[test]
fn weakness_12_one_vote_request_uses_up_all_epochs() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = lone(kind);
        let (sentinel, port) = (&deployment.sentinels()[0], deployment.only_group().master().port());

        // When somebody asks for a vote in the last of all epochs, which is how the reference reads -1
        for epoch in ["4611686018427387905", "-1"] {
            // Ours may refuse it; the reference answers.
            let answer = ask_for_vote(sentinel, port, epoch, &id('e'));
            assert!(kind == Kind::Ours || answer.is_ok(), "{answer:?}");
        }

        match kind {
            // Then the reference takes it, and no vote is possible ever after
            Kind::Reference => {
                eventually("the epoch is saved", SOON, || match sentinel.current_epoch() {
                    u64::MAX => Ok(()),
                    other => Err(format!("{other} is saved")),
                });
                let answer = ask_for_vote(sentinel, port, "5", &id('f'));
                assert!(!format!("{answer:?}").contains(&id('f')), "{answer:?}");
            }
            // And ours goes on a bounded step at most: the next one is voted in
            Kind::Ours => {
                let next = sentinel.current_epoch() + 1;
                assert!(next < 1 << 40, "{next}");
                let (leader, epoch) = sentinel.request_vote(port, next, &id('f'));
                assert_eq!((leader, epoch), (id('f'), next));
                assert_eq!(sentinel.current_epoch(), next);
            }
        }
    }
}

#[test]
fn weakness_13_anybody_moves_a_master_with_one_hello() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = lone(kind);
        let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
        let (master, replica) = (group.master().port(), group.replicas()[0].port());

        // When somebody who is no Sentinel says that the replica is the master
        let hello = format!("127.0.0.1,{},{},1,{NAME},127.0.0.1,{replica},9", free_port(), id('e'));
        publish(sentinel, &hello);

        match kind {
            // Then the reference tells its clients so
            Kind::Reference => eventually("clients are sent elsewhere", SOON, || match sentinel.master_port(NAME) {
                Ok(Some(port)) if port == replica => Ok(()),
                other => Err(format!("{other:?}")),
            }),
            // And ours does not
            Kind::Ours => never("clients are sent elsewhere", A_WHILE, || {
                let port = sentinel.master_port(NAME)?;
                redis::RedisResult::Ok((port != Some(master)).then(|| format!("{port:?}")))
            }),
        }
    }
}

#[test]
fn weakness_18_a_hello_that_contains_the_own_id_anywhere_is_dropped() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = lone(kind);
        let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
        let (master, own) = (group.master(), sentinel.id());
        let say = |port: u16, id: &str| {
            let hello = format!("127.0.0.1,{port},{id},0,{NAME},127.0.0.1,{},0", master.port());
            master.command::<i64>(&["PUBLISH", HELLO, &hello]).expect("the master takes a hello");
        };
        let known = || sentinel.master(NAME).expect("it answers")["num-other-sentinels"].clone();

        // Given that a hello of another Sentinel is heard
        let (other, alike) = (free_port(), free_port());
        eventually("another Sentinel is known", SOON, || {
            say(other, &id('e'));
            (known() == "1").then_some(()).ok_or_else(known)
        });

        // When the id of a third one begins with ours
        let alike_id = format!("{own}0");
        match kind {
            // Then the reference takes it for its own
            Kind::Reference => never("it is known", A_WHILE, || {
                say(alike, &alike_id);
                Ok::<_, String>((known() != "1").then(known))
            }),
            // And ours knows it
            Kind::Ours => eventually("it is known", SOON, || {
                say(alike, &alike_id);
                (known() == "2").then_some(()).ok_or_else(known)
            }),
        }
    }
}

#[test]
fn weakness_20_an_empty_announce_ip_makes_a_sentinel_disappear() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = Deployment::of(&[kind; 2]).replicas(0).start();
        let [hidden, other] = deployment.sentinels() else { panic!("two Sentinels were started") };
        let answer: String = hidden.command(&["SENTINEL", "CONFIG", "SET", "announce-ip", ""]).expect("it is accepted");
        assert_eq!(answer, "OK");
        let known = || other.peers(NAME).expect("it answers").len();

        // When the other one looks around anew
        let forgotten: i64 = other.command(&["SENTINEL", "RESET", NAME]).expect("it is accepted");
        assert_eq!(forgotten, 1);

        match kind {
            // Then it does not find the reference, which says hello every 2 s
            Kind::Reference => {
                never("it is found", 5 * A_WHILE, || Ok::<_, String>((known() > 0).then(|| "it is".to_owned())));
            }
            // And it finds ours, at the address of its connection
            Kind::Ours => {
                eventually("it is found", SOON, || (known() == 1).then_some(()).ok_or("it is not".to_owned()));
            }
        }
    }
}

#[test]
fn weakness_28_a_hello_whose_master_does_not_resolve_uses_up_its_epoch() {
    for kind in [Kind::Reference, Kind::Ours] {
        let deployment = lone(kind);
        let (sentinel, port) = (&deployment.sentinels()[0], deployment.only_group().master().port());

        // When the master is said to be at a name that does not exist
        publish(sentinel, &format!("127.0.0.1,{},{},1,{NAME},nohost.invalid,6379,1", free_port(), id('e')));

        match kind {
            // Then the reference stays where it is, and holds the configuration of that epoch for known
            Kind::Reference => eventually("the epoch is used up", SOON, || match sentinel.config_epoch(NAME) {
                1 => Ok(()),
                other => Err(format!("{other} is the configuration epoch")),
            }),
            // And ours still waits for the right one
            Kind::Ours => never("the epoch is used up", A_WHILE, || {
                let epoch = sentinel.config_epoch(NAME);
                Ok::<_, String>((epoch != 0).then(|| epoch.to_string()))
            }),
        }
        assert_eq!(sentinel.master_port(NAME).expect("it answers"), Some(port));
    }
}

/// To the Sentinel's own port, as Sentinels do.
fn publish(sentinel: &SentinelProcess, hello: &str) {
    sentinel.command::<i64>(&["PUBLISH", HELLO, hello]).expect("a hello is taken");
}

/// The answer as it is: the reference's has a negative epoch where it has used them up.
fn ask_for_vote(sentinel: &SentinelProcess, master: u16, epoch: &str, candidate: &str) -> RedisResult<Value> {
    let port = master.to_string();
    sentinel.command(&["SENTINEL", "IS-MASTER-DOWN-BY-ADDR", "127.0.0.1", &port, epoch, candidate])
}
