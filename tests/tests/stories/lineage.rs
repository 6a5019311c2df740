//! What a candidate holds counts before its offset: offsets compare in one replication stream only, and a replica that tells none
//! is known by what it held.

use std::{fs, time::Duration};

use sentinel_tests::{DataNode, Dataset, Deployment, SentinelProcess, eventually, never};

use crate::given::{SOON, only_true_of_ours, record_all};

/// Writes so many keys, and waits until so many replicas have them.
fn write(node: &DataNode, prefix: &str, count: usize, replicas: usize) {
    let mut link = node.connect().expect("it answers");
    let mut pipe = redis::pipe();
    for number in 0..count {
        pipe.cmd("SET").arg(format!("{prefix}:{number}")).arg("x".repeat(100)).ignore();
    }
    pipe.query::<()>(&mut link).expect("it takes writes");
    // WAIT is about what its own connection has written.
    let reached: usize = redis::cmd("WAIT").arg(replicas).arg(5_000).query(&mut link).expect("it waits");
    assert!(reached >= replicas, "{reached} replicas have it");
}

fn keys(node: &DataNode, prefix: &str) -> usize {
    node.command::<Vec<String>>(&["KEYS", &format!("{prefix}:*")]).map_or(0, |keys| keys.len())
}

/// What a Sentinel has read last of a node.
fn is_seen(sentinel: &SentinelProcess, node: &DataNode, wanted: &[(&str, &str)]) -> Result<(), String> {
    let replicas = sentinel.replicas("mymaster").map_err(|error| error.to_string())?;
    let of_node = replicas.iter().find(|replica| replica.get("name") == Some(&node.address()));
    let fields = of_node.ok_or_else(|| format!("{} is not known", node.label()))?;
    match wanted.iter().find(|(field, value)| fields.get(*field).map(String::as_str) != Some(*value)) {
        None => Ok(()),
        Some((field, _)) => Err(format!("{field} is {:?}", fields.get(*field))),
    }
}

/// Waits until every Sentinel has read that both nodes hold so many keys.
fn wait_until_seen(deployment: &Deployment, keys: usize) {
    for sentinel in deployment.sentinels() {
        sentinel.command::<()>(&["SENTINEL", "DEBUG", "info-period", "500"]).expect("it can be set");
        eventually("its keys are seen", SOON, || {
            let cached: redis::Value =
                sentinel.command(&["SENTINEL", "INFO-CACHE", "mymaster"]).map_err(|error| error.to_string())?;
            let text = format!("{cached:?}");
            text.matches(&format!("db0:keys={keys},")).nth(1).map(|_| ()).ok_or_else(|| "not yet".to_owned())
        });
        sentinel.command::<()>(&["SENTINEL", "DEBUG", "info-period", "10000"]).expect("it can be set");
    }
}

fn failover(sentinel: &SentinelProcess, words: &[&str]) -> Result<String, String> {
    let command = [&["SENTINEL", "FAILOVER", "mymaster"], words].concat();
    sentinel.command(&command).map_err(|error| error.to_string())
}

#[test]
fn a_replica_restarted_as_a_master_from_an_old_file_does_not_win_by_the_offset_of_its_own_stream() {
    if only_true_of_ours("it promotes the one with the old file, and the good replica throws its data away") {
        return;
    }
    // Given two replicas, of which one has saved its data long ago
    let deployment = Deployment::of_ours(3).data_line("appendonly no").down_after(Duration::from_secs(1)).start();
    let group = deployment.only_group();
    let (master, [good, stray]) = (group.master(), group.replicas()) else { panic!("there are two replicas") };
    write(master, "old", 10, 2);
    stray.command::<()>(&["SAVE"]).expect("it saves");
    write(master, "new", 300, 2);

    // When it is restarted from that file as a master, and takes so many writes that its offset is the highest
    stray.kill();
    let text = fs::read_to_string(stray.config_file()).expect("it has a file");
    let text: Vec<&str> = text.lines().filter(|line| !line.starts_with("replicaof")).collect();
    fs::write(
        stray.config_file(),
        text.join(
            "
",
        ),
    )
    .expect("it can be written");
    stray.restart(Dataset::Kept);
    write(stray, "stray", 1_000, 0);
    for sentinel in deployment.sentinels() {
        eventually("its role is seen", SOON, || is_seen(sentinel, stray, &[("role-reported", "master")]));
    }
    // And the master dies before it is made a replica again
    master.kill();

    // Then the good one is promoted, with everything that it had, and the other one copies that
    let new = deployment.wait_for_switch("mymaster", master.port());
    assert_eq!(new.port(), good.port());
    eventually("the other one has copied it", SOON, || {
        let held = [keys(good, "new"), keys(stray, "new"), keys(stray, "stray")];
        (held == [300, 300, 0]).then_some(()).ok_or_else(|| format!("{held:?}"))
    });
}

#[test]
fn a_replica_that_reloaded_an_append_only_file_is_promoted_after_a_while() {
    // Given a replica that keeps an append-only file, and is in sync
    let ours = !only_true_of_ours("it does not wait, and tells no offset");
    let mut builder = Deployment::of_ours(3).replicas(1).down_after(Duration::from_secs(1));
    if ours {
        builder = builder.sentinel_line("sentinel reload-grace mymaster 3000");
    }
    let deployment = builder.start();
    let group = deployment.only_group();
    let (master, replica) = (group.master(), &group.replicas()[0]);
    write(master, "written", 100, 1);
    wait_until_seen(&deployment, 100);
    let events = record_all(&deployment);

    // When both die, and the replica alone comes back: it tells no offset
    replica.kill();
    master.kill();
    replica.restart(Dataset::Kept);
    assert_eq!(replica.info("slave_repl_offset").as_deref(), Some("1"));

    // Then it is promoted, not before it might have been another one, and what is not known is told
    let new = deployment.wait_for_switch("mymaster", master.port());
    assert_eq!((new.port(), keys(new, "written")), (replica.port(), 100));
    if ours {
        let told = events.iter().find_map(|recorder| recorder.find("+promoted-offset", |_| true));
        let told = told.expect("the leader tells it");
        assert!(told.payload.contains("#offset unknown, highest known "), "{}", told.payload);
    }
}

#[test]
fn an_empty_replica_is_promoted_by_order_only_where_others_held_data() {
    if only_true_of_ours("it promotes the empty replica at once") {
        return;
    }
    // Given a deployment with data in it
    let deployment = Deployment::of_ours(3).replicas(1).down_after(Duration::from_secs(1)).start();
    let group = deployment.only_group();
    let (master, replica) = (group.master(), &group.replicas()[0]);
    write(master, "written", 100, 1);
    wait_until_seen(&deployment, 100);

    // When the replica comes back with nothing while the master is dead, then it is not promoted, also not by a Sentinel that was
    // restarted meanwhile
    replica.kill();
    master.kill();
    deployment.sentinels()[2].kill();
    deployment.sentinels()[2].restart();
    replica.restart(Dataset::Lost);
    let sentinel = &deployment.sentinels()[0];
    eventually("the reason is told", SOON, || {
        // Before the replica has told that it was restarted the order is taken, and the failover finds out.
        match failover(sentinel, &["TO", "127.0.0.1", &replica.port().to_string()]) {
            Err(error) if error.contains("it is empty") => Ok(()),
            Err(other) | Ok(other) => Err(other),
        }
    });
    never("it is promoted", Duration::from_secs(4), || {
        let port = sentinel.master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(master.port())).then(|| format!("the master is at {port:?}")))
    });

    // And an operator's order says what may be lost, and is carried out
    let done =
        failover(sentinel, &["TO", "127.0.0.1", &replica.port().to_string(), "FORCE"]).expect("it can be forced");
    assert!(done.contains("although it is empty") && done.contains("was last seen with 100"), "{done}");
    let new = deployment.wait_for_switch("mymaster", master.port());
    assert_eq!(new.port(), replica.port());
}
