//! What is measured of commands and connections, on real servers.

mod support;

use std::time::Duration;

use redis::AsyncCommands;
use sentinel_sdk::metrics::{Failure, Metrics, Operation};
use sentinel_sdk::{Builder, SentinelPool, Timeouts};
use support::deployment::{Deployment, MASTER};

const SOON: Duration = Duration::from_secs(5);

fn operation<'a>(metrics: &'a Metrics, name: &str, failure: Option<Failure>) -> Option<&'a Operation> {
    metrics.operations.iter().find(|operation| operation.name == name && operation.failure == failure)
}

fn count(metrics: &Metrics, name: &str, failure: Option<Failure>) -> u64 {
    operation(metrics, name, failure).map_or(0, |operation| operation.durations.count())
}

/// Every line is a comment, or a name with labels and a number, and each series stands there once.
fn check_format(text: &str) {
    let mut series = std::collections::HashSet::new();
    for line in text.lines() {
        if line.starts_with("# HELP ") || line.starts_with("# TYPE ") {
            continue;
        }
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        assert!(name.contains('{') && name.ends_with('}'), "{line}");
        assert!(series.insert(name), "twice: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_operation_is_measured_by_its_name_and_its_end() {
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut master = pool.master();
    for number in 0..10 {
        let () = master.set("k", number).await.unwrap();
    }
    let _: i32 = master.get("k").await.unwrap();
    let error = master.lpush::<_, _, u64>("k", 1).await.unwrap_err();
    assert_eq!(error.code(), Some("WRONGTYPE"));
    let _: (i32, i32) = redis::pipe().get("k").get("k").query_async(&mut master).await.unwrap();
    let _: (i32,) = redis::pipe().atomic().incr("k", 1).query_async(&mut master).await.unwrap();
    let _ = redis::cmd("NO.SUCH").arg("secret-argument").exec_async(&mut master).await.unwrap_err();
    // It is not sent at all.
    let _ = redis::cmd("MONITOR").exec_async(&mut master).await.unwrap_err();
    // What its caller gives up is seen, too.
    let mut connection = pool.get().await.unwrap();
    let blocked = connection.blpop::<_, Option<(String, String)>>("nothing", 30.0);
    assert!(tokio::time::timeout(Duration::from_millis(60), blocked).await.is_err());
    drop(connection);
    let metrics = pool.metrics();
    let of = |name, failure| count(&metrics, name, failure);
    assert_eq!(of("SET", None), 10);
    assert_eq!((of("GET", None), of("LPUSH", None), of("LPUSH", Some(Failure::Server))), (1, 0, 1));
    assert_eq!((of("PIPELINE", None), of("MULTI", None)), (1, 1));
    assert_eq!((of("_OTHER", Some(Failure::Server)), of("_OTHER", Some(Failure::NotSent))), (1, 1));
    let given_up = operation(&metrics, "BLPOP", Some(Failure::Cancelled)).expect("it was given up");
    assert_eq!(given_up.durations.count(), 1);
    assert!(given_up.durations.sum() >= Duration::from_millis(60), "{given_up:?}");
    let sets = &operation(&metrics, "SET", None).unwrap().durations;
    let median = sets.quantile(0.5).unwrap();
    assert!(Duration::ZERO < median && median <= sets.quantile(0.99).unwrap(), "{sets:?}");
    assert_eq!(metrics.statistics, pool.statistics());

    let text = metrics.to_prometheus();
    check_format(&format!("{text}{}", pool.statistics().to_prometheus(MASTER)));
    for line in [
        "# TYPE db_client_operation_duration_seconds histogram",
        "db_client_operation_duration_seconds_count{db_system_name=\"redis\",db_namespace=\"0\",db_operation_name=\"SET\",\
         sentinel_master=\"mymaster\"} 10",
        "db_client_operation_duration_seconds_bucket{db_system_name=\"redis\",db_namespace=\"0\",\
         db_operation_name=\"LPUSH\",error_type=\"server_error\",sentinel_master=\"mymaster\",le=\"+Inf\"} 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n is missing in\n{text}");
    }
    assert!(!text.contains("secret"), "{text}");
    pool.shutdown(SOON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exclusive_connections_and_outages_are_measured() {
    let deployment = Deployment::start();
    let mut timeouts = Timeouts::default();
    timeouts.wait = Duration::from_millis(300);
    let builder = Builder::from_url(&deployment.url(3)).unwrap().max_connections(1).timeouts(timeouts);
    let pool = builder.connect().await.unwrap();
    let connection = pool.get().await.unwrap();
    let _ = pool.get().await.unwrap_err();
    let text = pool.metrics().to_prometheus();
    let labels = "db_system_name=\"redis\",db_client_connection_pool_name=\"mymaster\"";
    for line in [
        format!("db_client_connection_count{{{labels},db_client_connection_state=\"used\"}} 1"),
        format!("db_client_connection_count{{{labels},db_client_connection_state=\"idle\"}} 0"),
        format!("db_client_connection_max{{{labels}}} 1"),
        format!("db_client_connection_timeouts_total{{{labels}}} 1"),
        format!("db_client_connection_create_time_seconds_count{{{labels}}} 1"),
        format!("db_client_connection_wait_time_seconds_count{{{labels}}} 2"),
        format!("db_client_connection_use_time_seconds_count{{{labels}}} 0"),
        "sentinel_sdk_without_master_seconds_count{master=\"mymaster\"} 1".to_owned(),
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n is missing in\n{text}");
    }
    check_format(&text);
    let held = std::time::Instant::now();
    tokio::time::sleep(Duration::from_millis(50)).await;
    drop(connection);
    let metrics = pool.metrics();
    assert_eq!(metrics.connection_use.count(), 1);
    assert!(metrics.connection_use.sum() >= Duration::from_millis(50) && held.elapsed() >= Duration::from_millis(50));
    assert!(metrics.connection_wait.sum() >= Duration::from_millis(300), "{:?}", metrics.connection_wait);

    // The time of a failover is that of its event.
    let generation = pool.topology().borrow().generation;
    let mut deployment = deployment;
    let master = pool.topology().borrow().master.clone().unwrap();
    let dies = deployment.nodes.iter_mut().find(|node| node.port == master.port()).unwrap();
    dies.kill();
    support::topology(&pool, "the pool moved", |now| now.generation > generation && now.verified).await;
    let outages = pool.metrics().without_master;
    assert!(outages.count() >= 2, "{outages:?}");
    // As long as a Sentinel waits before it calls a node down.
    assert!(outages.sum() >= Duration::from_millis(300), "{outages:?}");
    pool.shutdown(SOON).await;
}
