//! The pool of programs without a runtime, on real servers.

mod support;

use std::time::{Duration, Instant};

use redis::Commands;
use sentinel_sdk::blocking::SentinelPool;
use sentinel_sdk::{Delivery, Error, Event, Gap, Master};
use support::deployment::{Deployment, MASTER};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_program_without_a_runtime_follows_a_switch() {
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).unwrap();
    let mut master = pool.master();
    let () = master.set("k", 1).unwrap();
    let (set, got): (String, u64) = redis::pipe().set("k", 7).get("k").query(&mut master).unwrap();
    assert_eq!((set.as_str(), got), ("OK", 7));
    let (sum,): (u64,) = redis::pipe().atomic().set("k", 8).ignore().incr("k", 1).query(&mut master).unwrap();
    assert_eq!(sum, 9);
    let text: String = redis::Script::new("return ARGV[1]").arg("said").invoke(&mut master).unwrap();
    assert_eq!(text, "said");
    assert!(redis::ConnectionLike::check_connection(&mut master));

    // WATCH needs a connection of its own.
    let mut own = pool.get().unwrap();
    let (seen,): (u64,) = redis::transaction(&mut own, &["k"], |connection, pipeline| {
        let seen: u64 = connection.get("k")?;
        pipeline.set("k", seen + 1).ignore().get("k").query(connection)
    })
    .unwrap();
    assert_eq!(seen, 10);
    assert_eq!(own.get_ref().address().port(), deployment.nodes[0].port);
    let error = master.blpop::<_, ()>("k", 1.0).unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NotShareable { .. })), "{error}");

    // Messages, and the switch in the stream of them.
    let mut news = pool.subscribe(["news"]).unwrap();
    let () = master.publish("news", "one").unwrap();
    assert!(matches!(news.next(), Some(Delivery::Message(message)) if message.get_payload_bytes() == b"one"));
    assert!(news.next_within(Duration::from_millis(50)).is_none());
    let before = pool.topology();
    let mut events = pool.events();
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    assert!(matches!(news.next_within(SOON), Some(Delivery::Gap(Gap::Reconnected { .. }))));
    let after = pool.topology();
    assert!(after.generation > before.generation);
    let switched = std::iter::from_fn(|| events.next_within(SOON))
        .find_map(|event| if let Event::Switched { to, .. } = event { Some(to) } else { None });
    assert_eq!(switched, after.master);
    let () = master.map(Master::idempotent).set("k", 11).unwrap();

    let mut replica = pool.replica();
    let began = Instant::now();
    while replica.get::<_, Option<u64>>("k").unwrap() != Some(11) {
        assert!(began.elapsed() < SOON, "no replica has the last write");
    }
    assert!(pool.statistics().to_prometheus(MASTER).contains("sentinel_sdk_switches_total{master=\"mymaster\"} 2"));

    drop(own);
    pool.shutdown(Duration::from_secs(1));
    assert!(news.next().is_none());
    assert!(events.count() < 100, "what had happened before the end");
    let error = master.set::<_, _, ()>("k", 1).unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::Shutdown)), "{error}");
}

#[test]
fn what_cannot_work_is_an_error_and_not_a_panic() {
    let error = SentinelPool::from_url("redis-sentinel://a").map(drop).unwrap_err().to_string();
    assert!(error.contains("master=name"), "{error}");
    let mut timeouts = sentinel_sdk::Timeouts::default();
    timeouts.start = Duration::from_millis(200);
    let builder = sentinel_sdk::SentinelPool::builder().master("m").sentinel("127.0.0.1:1").unwrap().timeouts(timeouts);
    let error = SentinelPool::connect(builder).map(drop).unwrap_err();
    assert!(matches!(error, Error::NoMaster { .. }), "{error}");
}
