//! What is counted for monitoring.

use sentinel_tests::{Deployment, SentinelProcess, eventually, http::metric};

use crate::given::{SOON, only_true_of_ours};

const WHY: &str = "it has no HTTP endpoint";

/// All that monitoring reads.
pub(crate) fn page(sentinel: &SentinelProcess) -> String {
    let answer = sentinel.http().get("/metrics");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// The sum of all lines of one metric whose labels hold all of these.
pub(crate) fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    let values = page.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let of_labels = series.strip_prefix(name)?.strip_prefix('{')?;
        labels.iter().all(|label| of_labels.contains(label)).then(|| value.parse::<f64>().ok())?
    });
    values.sum()
}

#[test]
fn what_links_clients_and_scripts_do_is_counted() {
    if only_true_of_ours(WHY) {
        return;
    }
    // Given a Sentinel with a script, beside another one
    let script = "sentinel notification-script mymaster /bin/true";
    let deployment = Deployment::of_ours(2).quorum(2).replicas(1).with_http().sentinel_line(script).start();
    deployment.wait_until_discovered();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let counted = |series: &str| metric(&page(sentinel), series).unwrap_or_default();
    // When clients ask something, something that is refused, and something that is no command
    let role = "sentinel_commands_total{command=\"role\",result=";
    let master = "sentinel_commands_total{command=\"sentinel|master\",result=";
    let refused = "sentinel_commands_total{command=\"\",result=\"refused\"}";
    let addresses = "sentinel_commands_total{command=\"sentinel|get-master-addr-by-name\",result=\"ok\"}";
    let pause = "sentinel_commands_total{command=\"sentinel|pause\",result=\"error\"}";
    let master = format!("{master}\"error\"}}");
    let watched = [refused, addresses, &master, pause].map(|series| (series, counted(series)));
    let answer = |words: &[&str]| sentinel.command::<redis::Value>(words);
    answer(&["ROLE"]).expect("it answers");
    answer(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "mymaster"]).expect("it answers");
    answer(&["SENTINEL", "MASTER", "nobody"]).expect_err("there is none");
    // The monitor answers this one
    answer(&["SENTINEL", "PAUSE", "nobody"]).expect_err("there is none");
    answer(&["NO-COMMAND"]).expect_err("there is none");
    // Then each is counted as what it was
    assert_eq!((counted(&format!("{role}\"ok\"}}")), counted(&format!("{role}\"error\"}}"))), (1.0, 0.0));
    for (series, before) in watched {
        assert_eq!(Some(counted(series)), Some(before + 1.0), "{series}: {}", page(sentinel));
    }
    // And answers to PINGs of both kinds of instances
    for role in ["data-node", "sentinel"] {
        let count = format!("sentinel_ping_seconds_count{{role=\"{role}\"}}");
        eventually("PINGs are counted", SOON, || match counted(&count) {
            some if some >= 3.0 => Ok(()),
            few => Err(format!("{few} {role}")),
        });
        let slow = counted(&format!("sentinel_ping_seconds_sum{{role=\"{role}\"}}")) / counted(&count);
        assert!((0.0..5.0).contains(&slow) && slow > 0.0, "{slow} s a PING");
    }
    // When a replica dies, then its links that fail are counted with the cause, and so is the script that was called
    let failed = "sentinel_link_failures_total{role=\"data-node\",cause=\"refused\"}";
    assert_eq!(metric(&page(sentinel), failed), Some(0.0));
    group.replicas()[0].kill();
    for series in [failed, "sentinel_scripts_total{result=\"ok\"}"] {
        eventually("it is counted", SOON, || if counted(series) >= 1.0 { Ok(()) } else { Err(page(sentinel)) });
    }
    let of_others = "sentinel_link_failures_total{role=\"sentinel\",cause=\"refused\"}";
    assert_eq!(metric(&page(sentinel), of_others), Some(0.0));
}

#[test]
fn whether_a_replica_could_be_promoted_is_told_with_the_reason() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(2).with_http().start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let series = |at: usize, reason: &str| {
        let replica = group.replicas()[at].address();
        format!("sentinel_replica_eligible{{master=\"mymaster\",replica=\"{replica}\",reason=\"{reason}\"}}")
    };
    let wait_for = |series: &str, wanted: f64| {
        eventually("it is told whether it could be promoted", SOON, || match metric(&page(sentinel), series) {
            Some(value) if value.total_cmp(&wanted).is_eq() => Ok(()),
            other => Err(format!("{series}: {other:?}")),
        });
    };
    wait_for(&series(0, ""), 1.0);
    wait_for(&series(1, ""), 1.0);
    // When one gets the priority 0, then it is told with the next INFO
    let _: String = group.replicas()[0].command(&["CONFIG", "SET", "replica-priority", "0"]).expect("it obeys");
    wait_for(&series(0, "priority-zero"), 0.0);
    // When the other one dies, then that is told, and the first one is as it was
    group.replicas()[1].kill();
    wait_for(&series(1, "subjectively-down"), 0.0);
    wait_for(&series(0, "priority-zero"), 0.0);
}

#[test]
fn the_lag_of_a_replica_is_told_in_bytes() {
    if only_true_of_ours(WHY) {
        return;
    }
    let deployment = Deployment::of_ours(1).quorum(1).replicas(1).with_http().start();
    let (sentinel, group) = (&deployment.sentinels()[0], deployment.only_group());
    let replica = &group.replicas()[0];
    let series = format!("sentinel_replica_lag_bytes{{master=\"mymaster\",replica=\"{}\"}}", replica.address());
    eventually("the replica has caught up", SOON, || match metric(&page(sentinel), &series) {
        Some(lag) if lag < 1_000.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    // It hangs, and the master goes on
    replica.hang();
    let value = "x".repeat(100_000);
    let _: String = group.master().command(&["SET", "k", &value]).expect("it obeys");
    eventually("what it lacks is told with the next INFO", SOON, || match metric(&page(sentinel), &series) {
        Some(lag) if lag >= 100_000.0 => Ok(()),
        other => Err(format!("{other:?}")),
    });
    replica.resume();
}
