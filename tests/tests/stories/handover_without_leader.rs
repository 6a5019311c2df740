//! A handover (`FAILOVER`) that nobody leads to its end: its leader has died, or there never was one. The nodes show how far it has
//! come, and the Sentinels go on from there.

use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Deployment, Writer, eventually};

use crate::given::{SOON, only_true_of_ours, record_all};

const DOWN_AFTER: Duration = Duration::from_secs(2);
/// One second is the aim; the rest is for a busy machine.
const TOLD_WITHIN: Duration = Duration::from_secs(3);
/// How long a master that is stuck may be without writes.
const FREED_WITHIN: Duration = DOWN_AFTER.saturating_add(Duration::from_secs(3));

/// What a node says of a handover of its own.
fn state(node: &DataNode) -> String {
    node.info("master_failover_state").unwrap_or_default()
}

fn ports(deployment: &Deployment) -> Vec<u16> {
    deployment.running_sentinels().map(sentinel_tests::SentinelProcess::port).collect()
}

#[test]
fn the_leader_dies_when_the_nodes_have_handed_over_and_the_others_name_the_new_master_at_once() {
    if only_true_of_ours("it does not ask a master to hand over") {
        return;
    }
    // Given a Sentinel that dies in the instant in which it would tell what has come of its failover
    let deployment = Deployment::of_ours(3).down_after(DOWN_AFTER).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let leader = &deployment.sentinels()[0];
    let writer = Writer::start(&ports(&deployment), "mymaster", Duration::ZERO);
    let _: String = leader.command(&["SENTINEL", "SIMULATE-FAILURE", "crash-after-promotion"]).expect("it can");

    // When it moves the master
    let old = group.master();
    eventually("a replica is fit to be promoted", SOON * 2, || {
        leader.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).map_err(|error| error.to_string())
    });
    eventually("the leader is dead", SOON, || if leader.is_running() { Err("it runs".to_owned()) } else { Ok(()) });
    let died = Instant::now();

    // Then the others see that the nodes have handed over, and name the new master
    let new = deployment.wait_for_switch_within("mymaster", old.port(), SOON * 3);
    let took = died.elapsed();
    eprintln!("named {took:?} after the death of the leader");
    assert!(took < TOLD_WITHIN, "named {took:?} after the death of the leader\n{}", events[1].list());
    writer.wait_for_write(new.port(), died, SOON);
    group.wait_until_linked(new);

    // And so does the old leader when it is back: the configuration is of a newer epoch than its own
    leader.restart();
    assert!(deployment.wait_for_one_config_epoch("mymaster") > 1);
    assert_eq!(deployment.named_ports("mymaster"), vec![Some(new.port()); 3]);
    let missing = writer.finish().missing_from(new);
    assert!(missing.is_empty(), "{} lost: {:?}", missing.len(), missing.first());
}

#[test]
fn a_second_name_of_the_same_master_moves_with_the_first() {
    if only_true_of_ours("it waits until the master has long said that it is a replica") {
        return;
    }
    // Given a master that is watched under two names
    let deployment = Deployment::of_ours(3).down_after(DOWN_AFTER).start();
    let old = deployment.only_group().master();
    let port = old.port().to_string();
    for sentinel in deployment.sentinels() {
        let _: String =
            sentinel.command(&["SENTINEL", "MONITOR", "second", "127.0.0.1", &port, "2"]).expect("it is new");
    }
    for sentinel in deployment.sentinels() {
        eventually("the second name is known with all that belongs to it", SOON * 2, || {
            let known = [sentinel.peers("second"), sentinel.replicas("second")].map(|it| it.map_or(0, |it| it.len()));
            if known == [2, 2] { Ok(()) } else { Err(format!("{known:?}")) }
        });
    }

    // When it is moved under the first
    eventually("a replica is fit to be promoted", SOON * 2, || {
        let command = ["SENTINEL", "FAILOVER", "mymaster"];
        deployment.sentinels()[0].command::<String>(&command).map_err(|error| error.to_string())
    });
    let new = deployment.wait_for_switch("mymaster", old.port());
    let moved = Instant::now();

    // Then it has moved under the second, too
    eventually("all name it under the second name", SOON * 3, || {
        let named = deployment.named_ports("second");
        if named == [Some(new.port()); 3] { Ok(()) } else { Err(format!("{named:?}")) }
    });
    let took = moved.elapsed();
    eprintln!("named under the second name after {took:?}");
    assert!(took < TOLD_WITHIN, "after {took:?}");
}

/// A master takes no order to hand over to a replica that has not acknowledged anything yet.
fn wait_until_online(master: &DataNode, replica: &DataNode) {
    let line = format!("port={},state=online", replica.port());
    eventually("the replica is online", SOON, || {
        let info: String = master.command(&["INFO", "replication"]).map_err(|error| error.to_string())?;
        if info.contains(&line) { Ok(()) } else { Err(info) }
    });
}

#[test]
fn a_master_that_hands_over_to_a_node_that_hangs_is_freed() {
    if only_true_of_ours("it never sends FAILOVER ABORT") {
        return;
    }
    // Given an application that writes to a master with one replica, and the replica hangs
    let deployment = Deployment::of_ours(3).replicas(1).down_after(DOWN_AFTER).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let (master, replica) = (group.master(), &group.replicas()[0]);
    let writer = Writer::start(&ports(&deployment), "mymaster", Duration::from_millis(1));
    wait_until_online(master, replica);
    replica.hang();

    // When an operator orders the master to hand over, come what may
    let port = replica.port().to_string();
    let order = ["FAILOVER", "TO", "127.0.0.1", &port, "FORCE", "TIMEOUT", "10"];
    let _: String = master.command(&order).expect("it is well");
    let ordered = Instant::now();
    eventually("it waits for the replica", SOON, || match state(master).as_str() {
        "failover-in-progress" => Ok(()),
        other => Err(other.to_owned()),
    });

    // Then the Sentinels free it
    writer.wait_for_write(master.port(), ordered + Duration::from_millis(200), SOON * 4);
    let took = ordered.elapsed();
    eprintln!("writable again after {took:?}");
    assert!(took < FREED_WITHIN, "writable again after {took:?}\n{}", events[0].list());
    assert_eq!((master.role().as_deref(), state(master).as_str()), (Some("master"), "no-failover"));

    // And it stays the master when the replica goes on, under a newer epoch
    replica.resume();
    eventually("the replica follows", SOON, || replica.follows(master));
    assert_eq!(deployment.named_ports("mymaster"), vec![Some(master.port()); 3]);
    assert!(deployment.wait_for_one_config_epoch("mymaster") > 0);
    assert_eq!(events.iter().map(|it| it.count("+switch-master")).sum::<usize>(), 0);
    assert_eq!(events.iter().map(|it| it.count("+master-freed")).sum::<usize>(), 1);
}

#[test]
fn a_master_that_hands_over_to_a_node_that_hangs_is_freed_although_another_could_take_over() {
    if only_true_of_ours("it never sends FAILOVER ABORT") {
        return;
    }
    // Given a master with two replicas, one of which hangs
    let deployment = Deployment::of_ours(3).replicas(2).down_after(DOWN_AFTER).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let (master, replica) = (group.master(), &group.replicas()[0]);
    let writer = Writer::start(&ports(&deployment), "mymaster", Duration::from_millis(1));
    wait_until_online(master, replica);
    replica.hang();

    // When it is ordered to hand over to that one, in the same moment
    let port = replica.port().to_string();
    let order = ["FAILOVER", "TO", "127.0.0.1", &port, "FORCE", "TIMEOUT", "10"];
    let _: String = master.command(&order).expect("it is well");
    let ordered = Instant::now();

    // Then some node takes writes in time: it, or the replica that is well
    let gap = eventually("a write is accepted again", SOON * 2, || {
        let named = deployment.named_ports("mymaster")[0].ok_or("none is named")?;
        let write: Result<String, _> = group.node(named).command(&["SET", "again", "1"]);
        write.map(|_| ordered.elapsed()).map_err(|error| error.to_string())
    });
    eprintln!("writable again after {gap:?}");
    assert!(gap < FREED_WITHIN, "writable again after {gap:?}\n{}", events[0].list());

    // And the one that hung takes over from nobody when it goes on
    replica.resume();
    let resumed = Instant::now();
    let mut two_masters = Duration::ZERO;
    let mut looked_at = resumed;
    eventually("all follow one master", SOON * 2, || {
        let masters = group.nodes().iter().filter(|node| node.role().as_deref() == Some("master")).count();
        let since = looked_at.elapsed();
        looked_at = Instant::now();
        two_masters += if masters > 1 { since } else { Duration::ZERO };
        let named = deployment.named_ports("mymaster");
        let Some(master) = named[0].filter(|port| named == [Some(*port); 3]) else { return Err(format!("{named:?}")) };
        let master = group.node(master);
        group.nodes().iter().filter(|node| node.port() != master.port()).try_for_each(|node| node.follows(master))
    });
    eprintln!("two masters for {two_masters:?}");
    assert!(two_masters < Duration::from_secs(2), "two masters for {two_masters:?}\n{}", events[0].list());
    drop(writer);
}
