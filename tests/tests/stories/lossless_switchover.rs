//! An operator moves a master that is well, and an application writes as fast as it can: nothing that was acknowledged
//! is lost, and writes pause for a moment only.

use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Deployment, Group, SentinelProcess, Writer, eventually};

use crate::given::{SOON, only_true_of_ours, record_all};

/// How often the master is moved. `SWITCHOVERS` asks for another number.
const ROUNDS: u32 = 3;
/// A replica tells its master once a second by itself how far it has come; a pause that is much shorter shows that it
/// was asked to.
const LONGEST_PAUSE: Duration = Duration::from_millis(400);

fn rounds() -> u32 {
    std::env::var("SWITCHOVERS").ok().and_then(|value| value.parse().ok()).unwrap_or(ROUNDS)
}

fn move_master<'a>(deployment: &'a Deployment, sentinel: &SentinelProcess, old: &DataNode) -> &'a DataNode {
    eventually("a replica is fit to be promoted", SOON * 2, || {
        sentinel.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).map_err(|error| error.to_string())
    });
    deployment.wait_for_switch("mymaster", old.port())
}

fn refuse(group: &Group, rule: &str) {
    for node in group.nodes() {
        let _: String = node.command(&["ACL", "SETUSER", "default", rule]).expect("the rule is one");
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_an_operator_moves_the_master() {
    if only_true_of_ours("it promotes a replica while the old master goes on acknowledging writes") {
        return;
    }
    // Given a deployment and an application that writes without a pause
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let writer = Writer::start(&ports, "mymaster", Duration::ZERO);

    // When the master is moved again and again
    let mut master = group.master();
    for round in 0..rounds() {
        let sentinel = &deployment.sentinels()[round as usize % ports.len()];
        let told = Instant::now();
        master = move_master(&deployment, sentinel, master);
        writer.wait_for_write(master.port(), told, SOON);
        group.wait_until_linked(master);
    }
    let report = writer.finish();

    // Then each time the old master has handed over, every acknowledged write is there, and the pauses were short
    let handed_over: usize = events.iter().map(|recorder| recorder.count("+handed-over")).sum();
    let lossy: Vec<String> = events.iter().map(sentinel_tests::EventRecorder::list).collect();
    assert_eq!(handed_over, rounds() as usize, "{}", lossy.join("\n"));
    let missing = report.missing_from(master);
    let longest = report.longest_gap();
    eprintln!("{} writes, {} lost, longest pause {longest:?}", report.acknowledged.len(), missing.len());
    assert!(missing.is_empty(), "{} of {} lost: {:?}", missing.len(), report.acknowledged.len(), missing.first());
    assert!(longest < LONGEST_PAUSE, "no write for {longest:?}");
}

#[test]
fn a_master_that_may_not_hand_over_is_replaced_all_the_same() {
    if only_true_of_ours("it does not ask a master to hand over") {
        return;
    }
    // Given data nodes whose rules allow what redis-sentinel needs, but not FAILOVER
    let deployment = Deployment::of_ours(1).quorum(1).start_after(|groups| refuse(&groups[0], "-failover"));
    let events = record_all(&deployment);

    // When the master is moved
    let old = deployment.only_group().master();
    let new = move_master(&deployment, &deployment.sentinels()[0], old);

    // Then it is said why that was not without loss, and what to do about it
    events[0].wait_for("-failover-lossless", |payload| payload.contains("grant +failover"), SOON);
    assert_eq!(events[0].count("+handed-over"), 0, "{}", events[0].list());
    deployment.only_group().wait_until_linked(new);
}

#[test]
fn a_replica_that_may_not_be_hastened_takes_over_by_itself() {
    if only_true_of_ours("it does not ask a master to hand over") {
        return;
    }
    // Given data nodes whose rules do not allow REPLCONF
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .down_after(Duration::from_secs(10))
        .start_after(|groups| refuse(&groups[0], "-replconf"));
    let events = record_all(&deployment);

    // When the master is moved
    let old = deployment.only_group().master();
    let new = move_master(&deployment, &deployment.sentinels()[0], old);

    // Then it follows the new one, and the answers were told apart: nothing was taken for something else
    deployment.only_group().wait_until_linked(new);
    assert_eq!(events[0].count("+sdown"), 0, "{}", events[0].list());
}

/// Writes batches of commands to one node until it ends the connection (true) or refuses (false).
fn write_until_disconnected(node: &DataNode) -> bool {
    let mut connection = node.connect().expect("it listens");
    let mut batch = redis::pipe();
    for number in 0..200 {
        batch.cmd("SET").arg("batch").arg(number).ignore();
    }
    loop {
        match batch.exec(&mut connection) {
            Ok(()) => {}
            Err(error) => return error.is_io_error() || error.is_connection_dropped(),
        }
    }
}

#[test]
fn writers_wait_until_they_are_disconnected_and_are_not_refused() {
    if only_true_of_ours("it does not pause writers") {
        return;
    }
    // Given applications that write to the master without a pause
    let deployment = Deployment::of_ours(3).down_after(Duration::from_secs(5)).start();
    let events = record_all(&deployment);
    let old = deployment.only_group().master();

    // When it is moved
    let disconnected = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|_| scope.spawn(|| write_until_disconnected(old))).collect();
        move_master(&deployment, &deployment.sentinels()[0], old);
        writers.into_iter().map(|it| it.join().expect("it ends")).filter(|it| *it).count()
    });

    // Then it has handed over, and whoever was about to write was disconnected; one that had nothing under way in the pause may have been refused
    events[0].wait_for_any("+handed-over", SOON);
    eprintln!("{disconnected} of 8 disconnected");
    assert!(disconnected >= 6, "{disconnected} of 8 were disconnected, the others refused");
}

#[test]
fn a_replica_that_lags_catches_up_while_the_master_takes_writes() {
    if only_true_of_ours("it does not wait for a replica") {
        return;
    }
    // Given an application that writes without a pause, and a replica that stands still
    let deployment = Deployment::of_ours(3).replicas(1).down_after(Duration::from_secs(10)).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let writer = Writer::start(&ports, "mymaster", Duration::from_millis(1));
    let (old, replica) = (group.master(), &group.replicas()[0]);
    eventually("the replica is fit to be promoted", SOON * 2, || {
        let command = ["SENTINEL", "FAILOVER", "mymaster", "COORDINATED", "DRYRUN"];
        deployment.sentinels()[0].command::<String>(&command).map_err(|error| error.to_string())
    });
    replica.hang();

    // When the master is to be moved to it, then it goes on taking writes
    let told = Instant::now();
    assert_eq!(coordinated(&deployment.sentinels()[0]), Ok("OK".to_owned()));
    writer.wait_for_write(old.port(), told + Duration::from_millis(1_500), SOON);

    // And when the replica goes on, it takes over
    replica.resume();
    let new = deployment.wait_for_switch("mymaster", old.port());
    events[0].wait_for_any("+handed-over", SOON);
    writer.wait_for_write(new.port(), told, SOON);
    group.wait_until_linked(new);
    let missing = writer.finish().missing_from(new);
    assert!(missing.is_empty(), "{} lost: {:?}", missing.len(), missing.first());
}

fn coordinated(sentinel: &SentinelProcess) -> Result<String, String> {
    let command = ["SENTINEL", "FAILOVER", "mymaster", "COORDINATED"];
    sentinel.command(&command).map_err(|error| error.to_string())
}

#[test]
fn a_coordinated_move_hands_over_and_a_writer_loses_nothing() {
    if only_true_of_ours("it has no COORDINATED") {
        return;
    }
    // Given an application that writes without a pause
    let deployment = Deployment::of_ours(3).start();
    let events = record_all(&deployment);
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let writer = Writer::start(&ports, "mymaster", Duration::ZERO);
    let old = deployment.only_group().master();

    // When the master is moved, without loss or not at all
    let told = Instant::now();
    eventually("a replica is fit to be promoted", SOON * 2, || coordinated(&deployment.sentinels()[0]));
    let new = deployment.wait_for_switch("mymaster", old.port());
    writer.wait_for_write(new.port(), told, SOON);
    deployment.only_group().wait_until_linked(new);

    // Then it has handed over, and everything that was acknowledged is there
    events[0].wait_for_any("+handed-over", SOON);
    let missing = writer.finish().missing_from(new);
    assert!(missing.is_empty(), "{} lost: {:?}", missing.len(), missing.first());
}

#[test]
fn a_coordinated_move_that_is_not_possible_leaves_everything_as_it_was() {
    if only_true_of_ours("it has no COORDINATED") {
        return;
    }
    // Given an application that writes, and a replica that hangs: it can never catch up
    let deployment = Deployment::of_ours(3).replicas(1).down_after(Duration::from_secs(10)).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let ports: Vec<u16> = deployment.sentinels().iter().map(SentinelProcess::port).collect();
    let writer = Writer::start(&ports, "mymaster", Duration::ZERO);
    let (old, replica) = (group.master(), &group.replicas()[0]);
    eventually("the replica is fit to be promoted", SOON * 2, || {
        let command = ["SENTINEL", "FAILOVER", "mymaster", "COORDINATED", "DRYRUN"];
        deployment.sentinels()[0].command::<String>(&command).map_err(|error| error.to_string())
    });
    replica.hang();

    // When the master is to be moved all the same, then it is said why it was not
    assert_eq!(coordinated(&deployment.sentinels()[0]), Ok("OK".to_owned()));
    let why = events[0].wait_for_any("-failover-lossless", SOON);
    assert!(why.payload.contains("has not caught up within"), "{why}");
    events[0].wait_for_any("-failover-abort-slave-timeout", SOON);
    let aborted = Instant::now();
    replica.resume();

    // And the master is still the master, for everybody, and takes writes
    writer.wait_for_write(old.port(), aborted, SOON);
    assert_eq!(old.role().as_deref(), Some("master"));
    eventually("the replica follows it", SOON, || replica.follows(old));
    assert_eq!(deployment.named_ports("mymaster"), vec![Some(old.port()); 3]);
    assert_eq!(events.iter().map(|it| it.count("+switch-master")).sum::<usize>(), 0);
    let missing = writer.finish().missing_from(old);
    assert!(missing.is_empty(), "{} lost: {:?}", missing.len(), missing.first());
}

#[test]
fn a_coordinated_move_ends_under_the_name_of_valkey_where_the_master_is_lost_before_it_is_ordered() {
    if only_true_of_ours("it has no COORDINATED") {
        return;
    }
    // Given a replica that hangs, so that it never catches up, and a move that waits for it
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).down_after(Duration::from_secs(10)).start();
    let group = deployment.only_group();
    let events = record_all(&deployment);
    let (old, replica) = (group.master(), &group.replicas()[0]);
    eventually("the replica is fit to be promoted", SOON * 2, || {
        let command = ["SENTINEL", "FAILOVER", "mymaster", "COORDINATED", "DRYRUN"];
        deployment.sentinels()[0].command::<String>(&command).map_err(|error| error.to_string())
    });
    replica.hang();
    assert_eq!(old.command::<String>(&["SET", "key", "value"]).as_deref(), Ok("OK"));
    assert_eq!(coordinated(&deployment.sentinels()[0]), Ok("OK".to_owned()));
    events[0].wait_for_any("+selected-slave", SOON);

    // When the master dies
    old.kill();

    // Then it is given up, as Valkey 9.1 calls it
    let why = events[0].wait_for_any("-failover-lossless", SOON);
    assert!(why.payload.contains("the connection to the master broke"), "{why}");
    events[0].wait_for_any("-failover-abort-master-timeout", SOON);
    replica.resume();
}

#[test]
fn a_coordinated_move_of_a_master_that_may_not_hand_over_is_refused() {
    if only_true_of_ours("it has no COORDINATED") {
        return;
    }
    // Given data nodes whose rules do not allow FAILOVER
    let deployment = Deployment::of_ours(1).quorum(1).start_after(|groups| refuse(&groups[0], "-failover"));
    let events = record_all(&deployment);

    // When the master is to be moved, then it is said what is missing, and it stays
    eventually("a replica is fit to be promoted", SOON * 2, || coordinated(&deployment.sentinels()[0]));
    events[0].wait_for("-failover-lossless", |payload| payload.contains("grant +failover"), SOON);
    events[0].wait_for_any("-failover-abort-slave-timeout", SOON);
    assert_eq!(deployment.only_group().master().role().as_deref(), Some("master"));
    assert_eq!(events[0].count("+switch-master"), 0, "{}", events[0].list());
}
