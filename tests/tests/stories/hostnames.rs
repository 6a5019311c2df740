//! Masters and replicas with host names, in quorums of ours and redis-sentinel. The name is `localhost`, which every host
//! resolves, or one that moves, in a file of names that only the Sentinel sees.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use sentinel_tests::{DataNode, Dataset, Deployment, Kind, ServerProcess, eventually, free_port, skipped};
use tempfile::TempDir;

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

/// Puts a file in the place of `/etc/hosts`, for the program that it becomes and nobody else.
const WITH_HOSTS: &str = r#"mount --bind "$0" /etc/hosts && exec "$@""#;

/// Whether this user may give a process mounts of its own.
fn may_unshare() -> bool {
    let tried = Command::new("unshare").args(["--mount", "--propagation", "private", "true"]).output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn a_master_whose_name_moves_is_found_at_its_new_address() {
    if !may_unshare() {
        return skipped("this user may not give a process its own /etc/hosts (unshare --mount)");
    }
    // Given a Sentinel for which the master's name leads to 127.0.0.2
    let folder = TempDir::with_prefix("sentinel-test-").expect("a temporary folder");
    let at = |name: &str| folder.path().join(name);
    let hosts = at("hosts");
    // Written in place: the mount is of this file, not of its name.
    let lead_to = |address: &str| {
        fs::write(&hosts, format!("127.0.0.1 localhost\n{address} master.test\n")).expect("a file of names");
    };
    lead_to("127.0.0.2");
    let node = DataNode::start(folder.path(), "master", None, &["bind 127.0.0.1 127.0.0.2".to_owned()]);
    fs::create_dir(at("sentinel")).expect("a folder");
    let (config, port) = (at("sentinel").join("sentinel.conf"), free_port());
    let lines = [
        format!("port {port}"),
        "bind 127.0.0.1".to_owned(),
        "sentinel resolve-hostnames yes".to_owned(),
        "sentinel announce-hostnames yes".to_owned(),
        format!("sentinel monitor mymaster master.test {} 1", node.port()),
        "sentinel down-after-milliseconds mymaster 2000".to_owned(),
    ];
    fs::write(&config, lines.join("\n") + "\n").expect("a configuration");
    let (program, arguments) = Kind::under_test().command(&config);
    let wrapped = ["--mount", "--propagation", "private", "sh", "-c", WITH_HOSTS].map(Into::into);
    let wrapped = [&wrapped[..], &[hosts.clone().into(), program.into()], &arguments].concat();
    let sentinel = ServerProcess::start("sentinel", Path::new("unshare"), &wrapped, &at("sentinel"));
    let state = || -> Result<(String, bool), String> {
        let ask = || -> redis::RedisResult<BTreeMap<String, String>> {
            let mut connection = redis::Client::open(("127.0.0.1", port))?.get_connection()?;
            redis::cmd("SENTINEL").arg("MASTER").arg("mymaster").query(&mut connection)
        };
        let fields = ask().map_err(|error| format!("{error}\n{}", sentinel.last_output(10)))?;
        let well = fields["flags"] == "master" && !fields["runid"].is_empty();
        Ok((fields["ip"].clone(), well))
    };
    let is_well = || match state() {
        Ok((_, true)) => Ok(()),
        other => Err(format!("{other:?}\n{}", sentinel.last_output(10))),
    };
    eventually("the master is watched by its name", SOON, is_well);
    let listens_at = |address: &str| {
        let nodes = redis::Client::open((address, node.port())).and_then(|client| client.get_connection());
        nodes.is_ok()
    };
    assert!(listens_at("127.0.0.2"));

    // When it comes back at 127.0.0.1, and the name leads there
    let clients = |node: &DataNode| -> String { node.command(&["CLIENT", "LIST"]).expect("a list of clients") };
    assert!(clients(&node).contains("laddr=127.0.0.2:"), "{}", clients(&node));
    node.kill();
    let file = node.config_file();
    let text = fs::read_to_string(&file).expect("the node's configuration");
    fs::write(&file, text.replace("bind 127.0.0.1 127.0.0.2", "bind 127.0.0.1")).expect("the node's configuration");
    lead_to("127.0.0.1");
    node.restart(Dataset::Kept);

    // Then it is watched there, and still told under its name
    eventually("the master is watched at its new address", SOON, || {
        let clients = clients(&node);
        if clients.contains("sentinel-") { is_well() } else { Err(clients) }
    });
    assert!(!listens_at("127.0.0.2"));
    assert_eq!(state().map(|(ip, _)| ip).as_deref(), Ok("master.test"));
    let kept = fs::read_to_string(&config).expect("the Sentinel's configuration");
    assert!(kept.contains("sentinel monitor mymaster master.test "), "{kept}");
}
