//! Masters and replicas with host names, in quorums of ours and redis-sentinel. The name is `localhost`, which every host
//! resolves.

use sentinel_tests::{Deployment, Kind, eventually};

use crate::given::{SOON, leaders, only_true_of_ours, record_all};

/// More Sentinels than there are: one with this quorum votes but never runs itself.
const OUT_OF_REACH: u32 = 4;
const NAME: &str = "localhost";

/// Starts a quorum that watches by name, kills the master, and checks under which host everybody is told of the new one.
fn the_master_dies(kinds: [Kind; 3], leading: Kind, announce: bool) {
    let leader = kinds.iter().position(|kind| *kind == leading).expect("both kinds are there");
    let mut quorums = [OUT_OF_REACH; 3];
    quorums[leader] = 2;
    let mut builder = Deployment::of(&kinds)
        .quorums(&quorums)
        .monitor_host(NAME)
        .sentinel_line("sentinel resolve-hostnames yes")
        .data_line(&format!("replica-announce-ip {NAME}"));
    if announce {
        builder = builder.sentinel_line("sentinel announce-hostnames yes");
    }
    let told = if announce { NAME } else { "127.0.0.1" };
    let deployment = builder.start();
    let group = deployment.only_group();
    let old = group.master();
    let events = record_all(&deployment);
    for sentinel in deployment.sentinels() {
        let (host, port): (String, u16) =
            sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]).unwrap();
        assert_eq!((host.as_str(), port), (told, old.port()));
        for replica in sentinel.replicas("mymaster").unwrap() {
            assert_eq!(replica["ip"], told, "{}", sentinel.label());
            assert_eq!(replica["name"], format!("{told}:{}", replica["port"]), "{}", sentinel.label());
        }
    }

    // When the master is killed
    old.kill();

    // Then all agree on the new one, and tell it under the same host
    let new = deployment.wait_for_switch("mymaster", old.port());
    let switch = format!("mymaster {told} {} {told} {}", old.port(), new.port());
    for recorder in &events {
        recorder.wait_for("+switch-master", |payload| payload == switch, SOON);
    }
    deployment.wait_for_one_config_epoch("mymaster");
    assert_eq!(leaders(&events), [leader]);
    group.wait_until_linked(new);
    let follower = group.replicas().iter().find(|node| node.port() != new.port()).expect("there are two replicas");
    assert_eq!(follower.info("master_host").as_deref(), Some(told));

    // And so it stands in every file
    for (sentinel, quorum) in deployment.sentinels().iter().zip(quorums) {
        let line = format!("mymaster {told} {} {quorum}", new.port());
        eventually("the file names the new master", SOON, || match sentinel.configured("sentinel monitor") {
            Some(found) if found == line => Ok(()),
            found => Err(format!("{}: {found:?}, not {line:?}", sentinel.label())),
        });
        let known: Vec<_> = sentinel.replicas("mymaster").unwrap().into_iter().map(|it| it["name"].clone()).collect();
        assert_eq!(known.len(), 2, "nobody is known twice: {known:?}");
    }
}

#[test]
fn one_of_ours_leads_with_names_announced() {
    the_master_dies([Kind::Reference, Kind::Reference, Kind::Ours], Kind::Ours, true);
}

#[test]
fn the_reference_leads_with_names_announced() {
    the_master_dies([Kind::Ours, Kind::Ours, Kind::Reference], Kind::Reference, true);
}

#[test]
fn names_are_resolved_and_addresses_announced() {
    the_master_dies([Kind::Reference, Kind::Ours, Kind::Ours], Kind::Ours, false);
}

#[test]
fn a_name_that_does_not_resolve_is_a_master_that_cannot_be_reached() {
    if only_true_of_ours("it writes an empty host into its file, which it cannot read again") {
        return;
    }
    // Given a Sentinel that watches two masters, and the name of one is unknown
    let deployment = Deployment::of_ours(1)
        .replicas(1)
        .quorum(1)
        .sentinel_line("sentinel resolve-hostnames yes")
        .sentinel_line("sentinel monitor other no-such-host.invalid 6379 1")
        .sentinel_line("sentinel down-after-milliseconds other 500")
        .start();
    let sentinel = &deployment.sentinels()[0];

    // Then it is down, under its name, and the other one is watched as ever
    eventually("the unknown one is down", SOON, || {
        let fields = sentinel.master("other").map_err(|error| error.to_string())?;
        if fields["flags"].contains("s_down") { Ok(()) } else { Err(format!("{fields:?}")) }
    });
    assert_eq!(sentinel.master("other").unwrap()["ip"], "no-such-host.invalid");
    assert_eq!(sentinel.master("mymaster").unwrap()["flags"], "master");

    // And what it writes it can read
    let _: String = sentinel.command(&["SENTINEL", "FLUSHCONFIG"]).unwrap();
    sentinel.terminate();
    sentinel.restart();
    assert_eq!(sentinel.master("other").unwrap()["ip"], "no-such-host.invalid");
}
