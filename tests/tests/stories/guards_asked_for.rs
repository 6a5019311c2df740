//! Guards that an operator asks for: what a candidate may lack, a pause between failovers, what is done about a master that
//! has lost its data, and about a deployment without a master.

use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Dataset, Deployment, DeploymentBuilder, eventually, never};

use crate::given::{SOON, only_true_of_ours, record_all};

/// A deployment whose nodes keep nothing on disk, and copy their data as slowly as Redis 7 does unless told otherwise.
fn without_persistence() -> DeploymentBuilder {
    Deployment::of_ours(3).data_line("appendonly no").data_line("repl-diskless-sync-delay 5")
}

fn fill(deployment: &Deployment) {
    let group = deployment.only_group();
    let mut link = group.master().connect().expect("it answers");
    for key in 0..10 {
        redis::cmd("SET").arg(format!("written:{key}")).arg(key).query::<()>(&mut link).expect("it takes writes");
    }
    let reached: usize = redis::cmd("WAIT").arg(group.replicas().len()).arg(2_000).query(&mut link).expect("it waits");
    assert_eq!(reached, group.replicas().len());
}

fn written(node: &DataNode) -> usize {
    let keys: Vec<String> = node.command(&["KEYS", "written:*"]).expect("it answers");
    keys.len()
}

#[test]
fn a_master_that_comes_back_empty_is_replaced_before_the_replicas_throw_their_data_away() {
    if only_true_of_ours("it goes on with the empty master") {
        return;
    }
    // Given a deployment that keeps nothing on disk, and Sentinels that were told what to do
    let deployment = without_persistence().sentinel_line("sentinel empty-master-failover mymaster yes").start();
    let events = record_all(&deployment);
    fill(&deployment);
    let old = deployment.only_group().master();

    // When the master is started anew, much sooner than down-after
    old.kill();
    old.launch_again(Dataset::Lost);

    // Then a replica with the data becomes the master, and the old one its replica
    let new = deployment.wait_for_switch("mymaster", old.port());
    assert_eq!(written(new), 10);
    deployment.only_group().wait_until_linked(new);
    assert_eq!(written(old), 10);
    let told: usize = events.iter().map(|recorder| recorder.count("-empty-master")).sum();
    assert!(told >= 2, "a majority has seen it");
}

#[test]
fn that_a_master_came_back_empty_is_told_although_nothing_is_done() {
    if only_true_of_ours("it does not look at the data") {
        return;
    }
    // Given the same without the directive
    let deployment = without_persistence().start();
    let events = record_all(&deployment);
    fill(&deployment);
    let old = deployment.only_group().master();

    // When the master comes back empty, then it is told, with what could be saved and where
    old.kill();
    old.launch_again(Dataset::Lost);
    events[0].wait_for("-empty-master", |payload| payload.contains("holds 10"), SOON);

    // And it stays the master, as with redis-sentinel
    never("it is replaced", Duration::from_secs(3), || {
        let port = deployment.sentinels()[0].master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(old.port())).then(|| format!("the master is at {port:?}")))
    });
}

#[test]
fn a_master_that_comes_back_with_its_data_is_not_replaced() {
    if only_true_of_ours("it has no empty-master-failover") {
        return;
    }
    // Given nodes that keep their data, and Sentinels that would replace an empty master
    let deployment = Deployment::of_ours(3).sentinel_line("sentinel empty-master-failover mymaster yes").start();
    let events = record_all(&deployment);
    fill(&deployment);
    let master = deployment.only_group().master();

    // When the master is started anew
    master.kill();
    master.restart(Dataset::Kept);
    events[0].wait_for("+reboot", |payload| payload.starts_with("master"), SOON);

    // Then nothing happens
    never("it is replaced", Duration::from_secs(3), || {
        deployment.sentinels()[0].master_port("mymaster")?;
        redis::RedisResult::Ok(events[0].find("-empty-master", |_| true).map(|it| it.to_string()))
    });
    assert_eq!(deployment.sentinels()[0].current_epoch(), 0);
}

#[test]
fn a_replica_that_lacks_too_much_is_not_promoted() {
    if only_true_of_ours("it promotes whoever is left") {
        return;
    }
    // Given a replica that hangs while more is written than may be missing, and no other one
    let deployment = Deployment::of_ours(1)
        .quorum(1)
        .replicas(1)
        .down_after(Duration::from_secs(2))
        .sentinel_line("sentinel max-lag mymaster 1mb")
        .start();
    let (group, sentinel) = (deployment.only_group(), &deployment.sentinels()[0]);
    let events = record_all(&deployment);
    let (master, replica) = (group.master(), &group.replicas()[0]);
    let mut link = master.connect().expect("it answers");
    replica.hang();
    for _ in 0..48 {
        redis::cmd("SET").arg("large").arg(vec![b'x'; 1 << 20]).query::<()>(&mut link).expect("it takes writes");
    }
    // It goes on growing by a PING now and then: its first digits stay.
    let offset = format!("master_repl_offset:{}", &master.info("master_repl_offset").expect("it tells")[..4]);
    eventually("the Sentinel knows how far the master is", SOON, || {
        let cached: Vec<redis::Value> =
            sentinel.command(&["SENTINEL", "INFO-CACHE", "mymaster"]).map_err(|error| error.to_string())?;
        format!("{cached:?}").contains(&offset).then_some(()).ok_or_else(|| format!("not {offset}"))
    });

    // When the master dies, then nobody is promoted
    master.kill();
    replica.resume();
    events[0].wait_for_any("-failover-abort-no-good-slave", SOON);
    let list: Vec<std::collections::BTreeMap<String, String>> =
        sentinel.command(&["SENTINEL", "CANDIDATES", "mymaster"]).expect("it answers");
    assert!(list[0]["refused"].contains("max-lag allows 1048576"), "{list:?}");
    assert_eq!(replica.role().as_deref(), Some("slave"));
}

#[test]
fn a_second_failover_waits_for_the_pause_that_was_asked_for_and_the_operator_does_not() {
    if only_true_of_ours("it fails over again at once") {
        return;
    }
    // Given a pause of an hour, and a master that was just replaced
    let deployment = Deployment::of_ours(3).sentinel_line("sentinel failover-pause mymaster 3600000").start();
    let events = record_all(&deployment);
    let group = deployment.only_group();
    group.master().kill();
    let second = deployment.wait_for_switch("mymaster", group.master().port());
    group.wait_until_linked(second);

    // When the new one dies, too, then it is said that nothing is done, and why
    second.kill();
    let withheld = events[0].wait_for_any("-failover-withheld", SOON);
    assert!(withheld.payload.contains("failover-pause is 3600000 ms"), "{withheld}");
    never("it is replaced", Duration::from_secs(3), || {
        let port = deployment.sentinels()[0].master_port("mymaster")?;
        redis::RedisResult::Ok((port != Some(second.port())).then(|| format!("the master is at {port:?}")))
    });

    // And when an operator asks, it is done
    let asked = Instant::now();
    deployment.sentinels()[0].failover("mymaster");
    let third = deployment.wait_for_switch("mymaster", second.port());
    assert!(third.port() != second.port() && asked.elapsed() < SOON);
}

#[test]
fn where_nobody_is_the_master_it_is_told_and_the_best_is_promoted_if_asked_for() {
    if only_true_of_ours("it waits for down-after and 20 s more, and promotes nobody whose link was down for long") {
        return;
    }
    // Given Sentinels that promote the best there is
    let deployment = Deployment::of_ours(3).sentinel_line("sentinel promote-best-effort mymaster yes").start();
    let events = record_all(&deployment);
    let group = deployment.only_group();
    let old = group.master();

    // When somebody makes the master a replica of one of its replicas
    let first = group.replicas()[0].port().to_string();
    let _: String = old.command(&["REPLICAOF", "127.0.0.1", &first]).expect("it obeys");

    // Then it is told, within an INFO period and a second, and one of the replicas is promoted by election
    let told = events[0].wait_for_any("-no-master", SOON);
    assert!(told.payload.contains("no node is a master"), "{told}");
    let new = deployment.wait_for_switch("mymaster", old.port());
    group.wait_until_linked(new);
    deployment.wait_for_one_config_epoch("mymaster");
}
