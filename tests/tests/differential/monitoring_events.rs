//! What is told of nodes and other Sentinels while nothing is failed over.

use std::time::Duration;

use sentinel_tests::{Dataset, Kind, SentinelProcess, free_port};

use crate::rules::{NOBODY_IS_MASTER, NODES_ARE_WITNESSES};
use crate::stream::compare;
use crate::world::{NAME, Setting, by_both, told_by_both};

const C: &str = "cccccccccccccccccccccccccccccccccccccccc";
const D: &str = "dddddddddddddddddddddddddddddddddddddddd";

#[test]
fn starts_are_logged_alike() {
    // Given one that has learnt of two replicas, when it starts again, then it tells of what it is to monitor and no more
    let logged = by_both(&Setting::default(), |world| {
        world.sentinel().terminate();
        world.sentinel().restart();
        world.wait_until_known();
        world.logged()
    });
    compare(logged, &[], &[&["# +monitor", "* +slave", "* +slave", "# +monitor"]]);
}

#[test]
fn a_master_that_is_monitored_set_reset_and_removed_is_told_alike() {
    let setting = Setting { watched: false, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        let port = world.master().port().to_string();
        world.tell(&["SENTINEL", "MONITOR", NAME, "127.0.0.1", &port, "1"]);
        world.wait_for("+slave", &["<replica-1>"]);
        world.wait_for("+slave", &["<replica-2>"]);
        for option in [
            &["down-after-milliseconds", "60000"][..],
            &["Failover-Timeout", "9000"],
            &["parallel-syncs", "2"],
            &["quorum", "3", "parallel-syncs", "4"],
            &["master-reboot-down-after-period", "7"],
            &["auth-user", "u"],
            &["auth-user", ""],
            &["auth-pass", "secret"],
            &["auth-pass", ""],
            &["rename-command", "GET", "guess"],
            &["RENAME-COMMAND", "get", "GET"],
        ] {
            world.tell(&[&["SENTINEL", "SET", NAME], option].concat());
        }
        let partly =
            world.sentinel().command::<String>(&["SENTINEL", "SET", NAME, "quorum", "4", "parallel-syncs", "x"]);
        assert!(partly.is_err());
        world.tell(&["SENTINEL", "MONITOR", "other", "127.0.0.1", "0", "7"]);
        let reset: i64 = world.sentinel().command(&["SENTINEL", "RESET", "my*"]).expect("it is reset");
        assert_eq!(reset, 1);
        world.wait_until_known();
        world.tell(&["SENTINEL", "REMOVE", "other"]);
        world.tell(&["SENTINEL", "REMOVE", NAME]);
        world.wait_for("-monitor", &[NAME]);
    });
    let order = [
        "+monitor master mymaster",
        "+slave",
        "+set",
        "+monitor master other",
        "+reset-master",
        "-monitor master other",
        "-monitor master mymaster",
    ];
    compare(told, &[], &[&order]);
}

#[test]
fn hellos_of_other_sentinels_are_told_alike() {
    let told = told_by_both(&Setting::default(), |world| {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let peer = SentinelProcess::start(folder.path(), "peer", Kind::Reference, &[format!("sentinel myid {C}")]);
        let (real, other) = (peer.port(), free_port());
        world.call(&real, "peer-port");
        world.call(&other, "another-port");
        let (master, replica) = (world.master().port(), world.replica(0).port());
        let second = master.to_string();
        world.tell(&["SENTINEL", "MONITOR", "second", "127.0.0.1", &second, "1"]);
        world.wait_for("+slave", &["@ second", "<replica-1>"]);
        world.wait_for("+slave", &["@ second", "<replica-2>"]);
        // A peer is met under both names.
        world.hello(&format!("127.0.0.1,{other},{C},0,mymaster,127.0.0.1,{master},0"));
        world.hello(&format!("127.0.0.1,{other},{C},0,second,127.0.0.1,{master},0"));
        world.wait_for("+sentinel", &[C, "@ second"]);
        // Nobody watches that name; these are no hellos.
        world.hello(&format!("127.0.0.1,{other},{D},99,nobody,127.0.0.1,{master},0"));
        world.hello("nonsense");
        world.hello(&format!("127.0.0.1,{other},{D},99,mymaster,127.0.0.1,{master}"));
        world.hello(&format!("127.0.0.1,{other},{D},99,mymaster,127.0.0.1,{master},0,0"));
        // It moves.
        world.hello(&format!("127.0.0.1,{real},{C},0,mymaster,127.0.0.1,{master},0"));
        world.wait_for("+sentinel-address-switch", &[]);
        // Another takes its place. Ours asks who is there.
        peer.terminate();
        std::fs::write(peer.config_file(), peer.config().replace(C, D)).expect("its configuration can be written");
        peer.restart();
        world.hello(&format!("127.0.0.1,{real},{D},0,mymaster,127.0.0.1,{master},0"));
        world.wait_for("+sentinel", &[D]);
        // It is of a newer epoch, and has a newer configuration with the same address, and then with another.
        world.hello(&format!("127.0.0.1,{real},{D},5,mymaster,127.0.0.1,{master},0"));
        world.wait_for("+new-epoch", &["5"]);
        world.tell(&["SENTINEL", "REMOVE", "second"]);
        world.hello(&format!("127.0.0.1,{real},{D},5,mymaster,127.0.0.1,{master},3"));
        world.hello(&format!("127.0.0.1,{real},{D},5,mymaster,127.0.0.1,{replica},3"));
        world.hello(&format!("127.0.0.1,{real},{D},6,mymaster,127.0.0.1,{replica},6"));
        world.wait_for("+switch-master", &[]);
        // The nodes have not changed: both now say what they are not.
        world.wait_for("-role-change", &["slave 127.0.0.1:<master>", "is master"]);
        world.wait_for("-role-change", &["master mymaster", "is slave"]);
    });
    let switched = [
        "+new-epoch 6",
        "+config-update-from",
        "+switch-master",
        "+slave slave 127.0.0.1:<replica-2>",
        "+slave slave 127.0.0.1:<master>",
    ];
    let met =
        ["+sentinel sentinel cccc", "+sentinel-address-switch", "+sentinel-address-update", "+sentinel-invalid-addr"];
    // In the reference the old one goes at once, here when the new one has said who it is.
    let replaced = ["+sentinel sentinel cccc", "+sentinel sentinel dddd", "+new-epoch 5"];
    compare(told, &[&NODES_ARE_WITNESSES], &[&met, &replaced, &switched]);
}

#[test]
fn replicas_that_are_not_as_configured_are_told_alike() {
    let setting = Setting { failover_timeout: 1000, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        // One follows another replica.
        let other = world.replica(0).port().to_string();
        world.replica(1).command::<()>(&["REPLICAOF", "127.0.0.1", &other]).expect("it obeys");
        world.wait_for("+fix-slave-config", &["<replica-2>"]);
        world.group().wait_until_linked(world.master());
        // One becomes a master.
        world.replica(1).command::<()>(&["REPLICAOF", "NO", "ONE"]).expect("it obeys");
        world.wait_for("-role-change", &["<replica-2>"]);
        world.wait_for("+convert-to-slave", &["<replica-2>"]);
        world.wait_for("+role-change", &["<replica-2>"]);
        world.group().wait_until_linked(world.master());
        // One starts again before it is missed.
        world.replica(0).kill();
        world.replica(0).restart(Dataset::Kept);
        world.wait_for("+reboot", &["<replica-1>"]);
    });
    let order = ["+fix-slave-config", "-role-change", "+convert-to-slave", "+role-change", "+reboot"];
    compare(told, &[], &[&order]);
}

#[test]
fn a_node_that_hangs_and_comes_back_is_told_alike() {
    let setting = Setting { priorities: vec![10], down_after: 1000, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        world.replica(0).hang();
        world.wait_for("+sdown", &["<replica-1>"]);
        world.replica(0).resume();
        world.wait_for("-sdown", &["<replica-1>"]);
    });
    compare(told, &[], &[&["+sdown", "-sdown"]]);
}

#[test]
fn a_sentinel_that_stood_still_is_told_alike() {
    let setting = Setting { priorities: vec![10], ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        world.tell(&["SENTINEL", "DEBUG", "tilt-period", "1000"]);
        world.sentinel().hang();
        // The story itself: longer than the trigger of 2 s by more than a tick of the reference.
        std::thread::sleep(Duration::from_millis(3500));
        world.sentinel().resume();
        world.wait_for("+tilt", &[]);
        world.wait_for("-tilt", &[]);
    });
    compare(told, &[], &[&["+tilt", "-tilt"]]);
}

#[test]
fn a_master_that_says_it_is_a_replica_is_told_alike() {
    // Given a quorum that is out of reach, so that nothing follows from it
    let setting = Setting { priorities: vec![10], down_after: 1000, quorum: 2, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        let replica = world.replica(0).port().to_string();
        world.master().command::<()>(&["REPLICAOF", "127.0.0.1", &replica]).expect("it obeys");
        world.wait_for("-role-change", &["master mymaster", "is slave"]);
        world.wait_for("+sdown", &["master mymaster"]);
        world.master().command::<()>(&["REPLICAOF", "NO", "ONE"]).expect("it obeys");
        world.wait_for("+role-change", &["master mymaster", "is master"]);
        world.wait_for("-sdown", &["master mymaster"]);
    });
    compare(told, &[&NOBODY_IS_MASTER], &[&["-role-change", "+sdown", "+role-change", "-sdown"]]);
}

#[test]
fn a_node_that_is_busy_is_told_alike() {
    let setting = Setting { priorities: vec![10], down_after: 1000, ..Setting::default() };
    let told = told_by_both(&setting, |world| {
        let replica = world.replica(0);
        replica.command::<()>(&["CONFIG", "SET", "busy-reply-threshold", "50"]).expect("it obeys");
        // When a script does not end, it is killed: a Sentinel sends SCRIPT KILL, and the caller is told an error.
        let error = replica.command::<()>(&["EVAL", "while true do end", "0"]).expect_err("it never ends by itself");
        world.wait_for("+sdown", &["<replica-1>"]);
        world.wait_for("-sdown", &["<replica-1>"]);
        drop(error);
    });
    compare(told, &[], &[&["+sdown", "-sdown"]]);
}
