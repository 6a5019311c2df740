//! The old master comes back and believes that it still is the master.

use std::time::{Duration, Instant};

use sentinel_tests::{DataNode, Dataset, Deployment, Kind, eventually};

use crate::given::SOON;

/// Demoted within this time of answering again. The reference takes about 10 s.
fn fenced_within() -> Duration {
    match Kind::under_test() {
        Kind::Ours => Duration::from_secs(1),
        Kind::Reference => Duration::from_secs(25),
    }
}

/// Writes to the master and waits until both replicas have it.
fn write_to_all(master: &DataNode, key: &str, value: &str) {
    // WAIT counts for what was written on its own connection.
    let mut connection = master.connect().expect("the master accepts connections");
    let (reached,): (i64,) = redis::pipe()
        .cmd("SET")
        .arg(key)
        .arg(value)
        .ignore()
        .cmd("WAIT")
        .arg(2)
        .arg(1500)
        .query(&mut connection)
        .expect("the master takes writes");
    assert_eq!(reached, 2, "both replicas have the write");
}

/// Waits until the node answers, then until it no longer claims to be a master: how long that took.
fn time_until_fenced(old: &DataNode) -> Duration {
    old.wait_until_it_answers();
    let answered = Instant::now();
    eventually("the old master is demoted", fenced_within() * 3, || match old.role().as_deref() {
        Some("slave") => Ok(()),
        other => Err(format!("it says {other:?}")),
    });
    answered.elapsed()
}

#[test]
fn a_returning_old_master_is_fenced_within_a_second() {
    // Given a deployment that has replaced its dead master
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());

    // When the old master is started again, with its data, and says that it is a master
    old.launch_again(Dataset::Kept);

    // Then it is turned into a replica of the new one at once
    let fenced = time_until_fenced(old);
    assert!(fenced < fenced_within(), "it took {fenced:?}");
    group.wait_until_linked(new);

    // And the master stays where it is
    let epoch = deployment.wait_for_one_config_epoch("mymaster");
    assert!((1..=3).contains(&epoch), "{epoch}");
    assert_eq!(deployment.named_ports("mymaster"), [Some(new.port()); 3]);
}

#[test]
fn a_returning_old_master_keeps_no_diverging_writes() {
    // Given a dead master that holds a write nobody else has
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    write_to_all(old, "shared", "before");
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());
    old.change_while_away(|connection| {
        redis::cmd("SET").arg("diverging").arg("lost").query::<()>(connection).expect("it believes to be a master");
    });

    // When it returns
    old.restart(Dataset::Kept);

    // Then it follows the new master, and has that one's data and nothing else
    group.wait_until_linked(new);
    new.command::<()>(&["SET", "shared", "after"]).expect("the new master takes writes");
    eventually("the old master has the new data", SOON, || {
        let value: Option<String> = old.command(&["GET", "shared"]).map_err(|error| error.to_string())?;
        (value.as_deref() == Some("after")).then_some(()).ok_or_else(|| format!("shared is {value:?}"))
    });
    for node in group.nodes() {
        let diverging: Option<String> = node.command(&["GET", "diverging"]).expect("it answers");
        assert_eq!(diverging, None, "on {}", node.label());
    }
}

#[test]
fn a_master_that_hung_loses_what_it_acknowledged_too_late() {
    // Given a master that hangs with a write in its socket, and is replaced
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    let mut late = old.connect().expect("the master accepts connections");
    old.hang();
    late.send_packed_command(&redis::cmd("SET").arg("late").arg(1).get_packed_command())
        .expect("its kernel takes the bytes");
    let new = deployment.wait_for_switch("mymaster", old.port());

    // When it goes on, as if no time had passed
    old.resume();

    // Then it acknowledges the write, for it does not know better, but is fenced at once
    let fenced = time_until_fenced(old);
    assert!(fenced < fenced_within(), "it took {fenced:?}");
    group.wait_until_linked(new);

    // And the write is nowhere
    for node in group.nodes() {
        let value: Option<String> = node.command(&["GET", "late"]).expect("it answers");
        assert_eq!(value, None, "on {}", node.label());
    }
}

#[test]
fn an_old_master_that_returns_empty_does_not_empty_the_others() {
    // Given a deployment with data that has replaced its dead master
    let deployment = Deployment::of_ours(3).start();
    let group = deployment.only_group();
    let old = group.master();
    write_to_all(old, "kept", "value");
    old.kill();
    let new = deployment.wait_for_switch("mymaster", old.port());

    // When the old master returns with nothing
    old.restart(Dataset::Lost);

    // Then it is filled from the new one
    group.wait_until_linked(new);
    for node in group.nodes() {
        let value: Option<String> = node.command(&["GET", "kept"]).expect("it answers");
        assert_eq!(value.as_deref(), Some("value"), "on {}", node.label());
    }
}
