//! A Sentinel that may not open as many connections as it has instances to watch.

use std::{
    fs,
    io::Read as _,
    net::{Ipv4Addr, TcpStream},
    path::Path,
    time::Duration,
};

use sentinel_fleet::Fleet;
use sentinel_tests::{Kind, ServerProcess, eventually, free_port};

const MASTERS: usize = 60;
const REPLICAS: usize = 2;

/// Less than a descriptor for each of the 180 instances.
const LIMIT: usize = 150;

/// Longer than a busy machine lets a process wait.
const DOWN_AFTER_MS: u64 = 5_000;

const PATIENCE: Duration = Duration::from_secs(60);

fn descriptors(process: &ServerProcess) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.pid())).map_or(0, Iterator::count)
}

#[test]
fn a_sentinel_without_descriptors_says_so_and_declares_nothing_healthy_down() {
    let program = Path::new(env!("CARGO_BIN_EXE_bench"));
    let mut fleet = Fleet::start(program, MASTERS, REPLICAS, 2).expect("the nodes start");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = free_port();
    let mut config = format!("port {port}\nbind 127.0.0.1\ndir {}\n", folder.path().display());
    for group in 0..MASTERS {
        let addr = fleet.addr(fleet.node(group, 0));
        let (ip, port) = (addr.ip(), addr.port());
        config.extend([
            // Two are needed to fail over: a master that dies here stays one.
            format!("sentinel monitor m{group} {ip} {port} 2\n"),
            format!("sentinel down-after-milliseconds m{group} {DOWN_AFTER_MS}\n"),
        ]);
    }
    let file = folder.path().join("sentinel.conf");
    fs::write(&file, config).expect("the configuration can be written");
    let (sentinel, arguments) = Kind::Ours.command(&file);
    let limited = format!("ulimit -n {LIMIT}; exec \"$0\" \"$@\"");
    let mut words = vec!["-c".into(), limited.into(), sentinel.into()];
    words.extend(arguments);
    let process = ServerProcess::start("sentinel", Path::new("sh"), &words, folder.path());
    // It discovers the replicas, has no room for all of them, and says so.
    eventually("the log tells that there is no room", PATIENCE, || {
        let log = process.last_output(2_000);
        if log.contains("has no room for connections") { Ok(()) } else { Err(process.last_output(5)) }
    });
    // Twice down-after later nothing is held for down, and what is watched is still pinged.
    fleet.look_anew().expect("the nodes count anew");
    let sight = eventually("watched for twice down-after", PATIENCE, || {
        let sight = fleet.look().expect("the nodes tell what they saw");
        if sight.elapsed > 2 * 1_000 * DOWN_AFTER_MS { Ok(sight) } else { Err(format!("{sight:?}")) }
    });
    let log = process.last_output(10_000);
    assert!(!log.contains("+sdown") && !log.contains("+tilt"), "{log}");
    assert!(sight.pinged >= MASTERS && sight.pinged < MASTERS * (REPLICAS + 1), "{sight:?}");
    assert!(sight.worst_gap < 1_000 * DOWN_AFTER_MS, "{sight:?}");
    assert!(descriptors(&process) <= LIMIT);

    // New clients are turned away with words.
    let refused = eventually("a client is turned away", PATIENCE, || {
        let mut client = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|error| error.to_string())?;
        client.set_read_timeout(Some(Duration::from_millis(200))).map_err(|error| error.to_string())?;
        let mut said = String::new();
        // Who is served is told nothing unasked.
        client.read_to_string(&mut said).map(|_| said).map_err(|error| error.to_string())
    });
    assert!(refused.contains("max number of clients"), "{refused}");

    // A master that is watched dies, which is noticed, and one of the instances that had no room takes its place.
    let watched = fleet.node(0, 0);
    fleet.kill(&[watched]).expect("a node can be killed");
    eventually("the death of a watched master is noticed", PATIENCE, || {
        let log = process.last_output(10_000);
        if log.contains("+sdown master m0 ") { Ok(()) } else { Err(process.last_output(5)) }
    });
    eventually("its place is taken", PATIENCE, || {
        let now = fleet.look().expect("the nodes tell what they saw");
        if now.connections >= sight.connections { Ok(()) } else { Err(format!("{sight:?}, then {now:?}")) }
    });
    // It comes back: there is room for it all the same, since it was watched before.
    fleet.resume(&[watched]).expect("a node can be started again");
    eventually("the master that came back is watched again", PATIENCE, || {
        let log = process.last_output(10_000);
        if log.contains("-sdown master m0 ") { Ok(()) } else { Err(process.last_output(5)) }
    });
    let log = process.last_output(10_000);
    let others: Vec<&str> =
        log.lines().filter(|line| line.contains("+sdown") && !line.contains("master m0 ")).collect();
    assert!(others.is_empty(), "{others:?}");
    assert!(descriptors(&process) <= LIMIT);
}
