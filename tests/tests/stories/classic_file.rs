//! The configuration file goes from one program to the other and back.

use sentinel_tests::{Deployment, Kind, SentinelProcess, eventually};

use crate::given::SOON;

/// What must survive when another program takes the file over.
#[derive(Debug, PartialEq, Eq)]
struct Memory {
    id: String,
    master: Option<u16>,
    config_epoch: u64,
    current_epoch: u64,
    leader_epoch: Option<String>,
    replicas: Vec<String>,
    peers: Vec<(String, String)>,
    down_after: String,
    failover_timeout: String,
    quorum: String,
    parallel_syncs: String,
}

fn memory(sentinel: &SentinelProcess) -> Memory {
    let master = sentinel.master("mymaster").expect("it answers");
    let mut replicas: Vec<String> =
        sentinel.replicas("mymaster").expect("it answers").iter().map(|replica| replica["name"].clone()).collect();
    replicas.sort();
    let mut peers: Vec<(String, String)> = sentinel
        .peers("mymaster")
        .expect("it answers")
        .iter()
        .map(|peer| (peer["port"].clone(), peer["runid"].clone()))
        .collect();
    peers.sort();
    Memory {
        id: sentinel.id(),
        master: sentinel.master_port("mymaster").expect("it answers"),
        config_epoch: sentinel.config_epoch("mymaster"),
        current_epoch: sentinel.current_epoch(),
        leader_epoch: sentinel.configured("sentinel leader-epoch mymaster"),
        replicas,
        peers,
        down_after: master["down-after-milliseconds"].clone(),
        failover_timeout: master["failover-timeout"].clone(),
        quorum: master["quorum"].clone(),
        parallel_syncs: master["parallel-syncs"].clone(),
    }
}

/// A Sentinel of one kind has learnt and rewritten its file; one of the other kind starts from it, knows the same, works,
/// and what it writes is understood by the first again.
fn the_file_goes_over_and_back(first: Kind) {
    // Given a Sentinel that has seen a failover, and a comment in its file
    let deployment = Deployment::of(&[first; 3])
        .sentinel_line("# kept for the next reader")
        .sentinel_line("sentinel auth-pass mymaster unasked")
        .start();
    let group = deployment.only_group();
    let sentinel = &deployment.sentinels()[0];
    // Moved, not killed: after a leap of the wall clock redis-sentinel takes no replica of a dead master.
    let old = group.master();
    sentinel.command::<String>(&["SENTINEL", "FAILOVER", "mymaster"]).expect("it is accepted");
    let new = deployment.wait_for_switch("mymaster", old.port());
    deployment.wait_for_one_config_epoch("mymaster");
    group.wait_until_linked(new);
    eventually("the failover has ended", SOON, || {
        let master = sentinel.master("mymaster").map_err(|error| error.to_string())?;
        (master["flags"] == "master" && master["port"] == new.port().to_string())
            .then_some(())
            .ok_or_else(|| format!("{master:?}"))
    });
    let before = memory(sentinel);

    for kind in [first.other(), first] {
        // When it ends, and the other program starts from its file
        sentinel.terminate();
        sentinel.restart_as(kind);

        // Then that one knows all the first one knew
        assert_eq!(memory(sentinel), before, "as {}", kind.name());
        assert!(sentinel.config().lines().any(|line| line == "# kept for the next reader"), "{}", sentinel.config());
    }
}

#[test]
fn what_ours_has_rewritten_starts_redis_sentinel_and_back() {
    the_file_goes_over_and_back(Kind::Ours);
}

#[test]
fn what_redis_sentinel_has_rewritten_starts_ours_and_back() {
    the_file_goes_over_and_back(Kind::Reference);
}

#[test]
fn a_fleet_moves_over_one_process_at_a_time_without_losing_the_master() {
    // Given three redis-sentinels
    let deployment = Deployment::of(&[Kind::Reference; 3]).start();
    let group = deployment.only_group();

    // When they are replaced one by one
    for sentinel in deployment.sentinels() {
        sentinel.terminate();
        sentinel.restart_as(Kind::Ours);
        eventually("all see each other again", SOON, || {
            deployment.sentinels().iter().try_for_each(|sentinel| {
                sentinel
                    .command::<String>(&["SENTINEL", "CKQUORUM", "mymaster"])
                    .map_err(|error| error.to_string())
                    .and_then(|verdict| verdict.starts_with("OK 3 usable Sentinels").then_some(()).ok_or(verdict))
            })
        });
        assert_eq!(deployment.named_ports("mymaster"), [Some(group.master().port()); 3]);
    }

    // Then ours take the deployment through the death of its master
    assert!(deployment.sentinels().iter().all(|sentinel| sentinel.kind() == Kind::Ours));
    deployment.wait_until_discovered();
    group.master().kill();
    let new = deployment.wait_for_switch("mymaster", group.master().port());
    group.wait_until_linked(new);
}
