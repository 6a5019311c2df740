//! The master dies, or hangs, and another takes over.

use std::time::{Duration, Instant};

use sentinel_tests::{Deployment, Kind, eventually};

use crate::given::{SOON, leaders, record_all, wait_until_all_tell_the_switch};

#[test]
fn a_killed_master_is_replaced_and_the_application_goes_on() {
    // Given a master, two replicas, three Sentinels and an application that writes
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    let writer = deployment.write_to("mymaster");

    // When the master is killed
    let killed = Instant::now();
    old.kill();

    // Then all Sentinels name one new master, and tell the switch in the words clients know
    let new = deployment.wait_for_switch("mymaster", old.port());
    wait_until_all_tell_the_switch(&events, "mymaster", old.port(), new.port());
    for recorder in &events {
        assert_eq!(recorder.count("+switch-master"), 1, "{}", recorder.list());
    }
    // The first epoch, unless all three stood at once and had to stand again.
    let epoch = deployment.wait_for_one_config_epoch("mymaster");
    assert!((1..=3).contains(&epoch), "{epoch}");

    // And the application writes to it, and the other replica follows it
    writer.wait_for_write(new.port(), killed, SOON);
    group.wait_until_linked(new);
    // The reference may lose an election and then waits for twice the failover timeout.
    let limit = match Kind::under_test() {
        Kind::Ours => Duration::from_secs(4),
        Kind::Reference => SOON,
    };
    let report = writer.finish();
    assert!(report.longest_gap() < limit, "no write for {:?}", report.longest_gap());

    // And the dead master is remembered as a replica that is down
    for sentinel in deployment.sentinels() {
        eventually("the old master is a replica that is down", SOON, || {
            let replicas = sentinel.replicas("mymaster").map_err(|error| error.to_string())?;
            let known = replicas.iter().find(|replica| replica["name"] == old.address());
            match known {
                Some(replica) if replica["flags"].contains("s_down") => Ok(()),
                _ => Err(format!("{known:?}")),
            }
        });
    }
}

#[test]
fn a_hanging_master_is_replaced() {
    // Given a deployment
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();

    // When the master stops answering, although its kernel still accepts connections and bytes
    old.hang();

    // Then another is made master, and the other replica follows it
    let new = deployment.wait_for_switch("mymaster", old.port());
    eventually("the other replica follows", SOON, || {
        group
            .replicas()
            .iter()
            .filter(|replica| replica.port() != new.port())
            .try_for_each(|replica| replica.follows(new))
    });
    old.resume();
}

#[test]
fn one_leader_tells_the_failover_step_by_step() {
    // Given a deployment whose events are recorded, in which one Sentinel alone can lead: two that see the death in the same
    // moment may both stand
    let deployment = Deployment::of_ours(3).quorums(&[2, 4, 4]).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);

    // When the master is killed
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());

    // Then one Sentinel leads and tells each step, in order
    for recorder in &events {
        recorder.wait_for_any("+switch-master", SOON);
    }
    let leading = leaders(&events);
    assert_eq!(leading.len(), 1, "the elected ones are {leading:?}");
    let leader = &events[leading[0]];
    leader.wait_for_any("+failover-end", SOON);
    leader.assert_order(&[
        "+sdown",
        "+odown",
        "+new-epoch",
        "+try-failover",
        "+vote-for-leader",
        "+elected-leader",
        "+failover-state-select-slave",
        "+selected-slave",
        "+failover-state-send-slaveof-noone",
        "+failover-state-wait-promotion",
        "+promoted-slave",
        "+failover-state-reconf-slaves",
        "+slave-reconf-sent",
        "+slave-reconf-inprog",
        "+slave-reconf-done",
        "+failover-end",
    ]);
    leader.assert_order(&["+promoted-slave", "+switch-master"]);

    // And with the reference's payloads
    let master = format!("master mymaster 127.0.0.1 {}", old.port());
    let promoted =
        format!("slave 127.0.0.1:{new} 127.0.0.1 {new} @ mymaster 127.0.0.1 {old}", new = new.port(), old = old.port());
    // Ours switches at the promotion, the reference at the end, and events name the address of their moment.
    let end = match Kind::under_test() {
        Kind::Ours => format!("master mymaster 127.0.0.1 {}", new.port()),
        Kind::Reference => master.clone(),
    };
    let leader_id = deployment.sentinels()[leading[0]].id();
    for (channel, payload) in [
        ("+sdown", master.clone()),
        ("+new-epoch", "1".to_owned()),
        ("+try-failover", master.clone()),
        ("+vote-for-leader", format!("{leader_id} 1")),
        ("+elected-leader", master.clone()),
        ("+failover-state-select-slave", master.clone()),
        ("+selected-slave", promoted.clone()),
        ("+failover-state-send-slaveof-noone", promoted.clone()),
        ("+failover-state-wait-promotion", promoted.clone()),
        ("+promoted-slave", promoted),
        ("+failover-state-reconf-slaves", master.clone()),
        ("+failover-end", end),
    ] {
        leader.wait_for(channel, |told| told == payload, Duration::ZERO);
    }
    leader.wait_for(
        "+odown",
        |told| told.strip_prefix(&format!("{master} #quorum ")).is_some_and(|votes| votes == "2/2" || votes == "3/2"),
        Duration::ZERO,
    );

    // And the others gave it their votes and took the configuration from it, or from the one that had it first
    for (index, observer) in events.iter().enumerate() {
        if index == leading[0] {
            continue;
        }
        observer.wait_for("+vote-for-leader", |told| told == format!("{leader_id} 1"), SOON);
        observer.wait_for("+config-update-from", |told| told.starts_with("sentinel "), SOON);
        observer.assert_order(&["+new-epoch", "+vote-for-leader", "+config-update-from", "+switch-master"]);
    }
}

#[test]
fn when_the_leader_dies_too_the_others_end_with_one_master() {
    // Given a deployment that retries soon
    let deployment = Deployment::of_ours(3).failover_timeout(Duration::from_secs(2)).start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);

    // When the master dies, and the elected leader right after its election, wherever that finds it
    old.kill();
    let leader = eventually("a leader is elected", SOON, || {
        leaders(&events).first().copied().ok_or_else(|| "none is".to_owned())
    });
    deployment.sentinels()[leader].kill();

    // Then the other two agree on one master, which the other replica follows
    let new = deployment.wait_for_switch("mymaster", old.port());
    deployment.wait_for_one_config_epoch("mymaster");
    group.wait_until_linked(new);

    // And the leader, when it returns, believes them
    let returned = &deployment.sentinels()[leader];
    returned.restart();
    eventually("the leader names the master of the others", SOON, || {
        let ports = deployment.named_ports("mymaster");
        (ports == [Some(new.port()); 3]).then_some(()).ok_or_else(|| format!("{ports:?}"))
    });
}
