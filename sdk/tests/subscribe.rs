//! Subscriptions at the master, on real servers.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Delivery, Error, Gap, SentinelPool, Subscription};
use support::deployment::{Deployment, MASTER};
use support::scripted::{Scripted, ScriptedSentinel, Step, array, bulk, greeting, say};
use support::topology;

const SOON: Duration = Duration::from_secs(20);

async fn next(subscription: &mut Subscription) -> Delivery {
    tokio::time::timeout(SOON, subscription.next()).await.expect("nothing was delivered").expect("the stream ended")
}

async fn next_text(subscription: &mut Subscription) -> (String, String) {
    match next(subscription).await {
        Delivery::Message(message) => (message.get_channel_name().to_owned(), message.get_payload().unwrap()),
        other => panic!("{other:?} instead of a message"),
    }
}

fn said(channel: &str, payload: &str) -> (String, String) {
    (channel.to_owned(), payload.to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscription_moves_with_the_master_and_tells_of_the_gap() {
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut master = pool.master();
    let mut news = pool.subscribe(["news", "weather"]).await.unwrap();
    let mut all = pool.psubscribe(["n*"]).await.unwrap();
    let () = master.publish("news", "one").await.unwrap();
    let () = master.publish("weather", "rain").await.unwrap();
    assert_eq!(next_text(&mut news).await, said("news", "one"));
    assert_eq!(next_text(&mut news).await, said("weather", "rain"));
    assert_eq!(next_text(&mut all).await, said("news", "one"));

    let before = pool.topology().borrow().clone();
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    let after = topology(&pool, "the pool moved", |topology| topology.generation > before.generation).await;

    for subscription in [&mut news, &mut all] {
        match next(subscription).await {
            Delivery::Gap(Gap::Reconnected { from, to, .. }) => {
                assert_eq!((Some(from), Some(to)), (before.master.clone(), after.master.clone()));
            }
            other => panic!("{other:?} instead of a gap"),
        }
    }
    let () = master.publish("news", "two").await.unwrap();
    assert_eq!(next_text(&mut news).await, said("news", "two"));
    assert_eq!(next_text(&mut all).await, said("news", "two"));

    // A connection that is lost without a switch is replaced, too.
    let node = deployment.node(after.master.as_ref().unwrap());
    let killed: u64 = node.ask(&["CLIENT", "KILL", "TYPE", "pubsub"]);
    assert!(killed >= 2, "{killed}");
    assert!(matches!(next(&mut news).await, Delivery::Gap(Gap::Reconnected { .. })));
    assert!(matches!(next(&mut all).await, Delivery::Gap(Gap::Reconnected { .. })));
    let () = master.publish("news", "three").await.unwrap();
    assert_eq!(next_text(&mut news).await, said("news", "three"));

    // One that is dropped leaves; the other ends with the pool.
    drop(all);
    support::eventually(
        "the connection of the dropped subscription is closed",
        SOON,
        || async { (node.ask::<u64>(&["PUBSUB", "NUMPAT"]) == 0).then_some(()) },
        || node.ask::<String>(&["CLIENT", "LIST"]),
    )
    .await;
    pool.shutdown(Duration::from_secs(1)).await;
    assert!(tokio::time::timeout(SOON, news.next()).await.expect("it goes on").is_none());
    assert!(matches!(pool.subscribe(["news"]).await, Err(Error::Shutdown)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_does_not_read_holds_up_nobody_and_learns_how_much_it_missed() {
    const SENT: u64 = 5000;
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut news = pool.subscribe(["news"]).await.unwrap();
    let mut master = pool.master();
    for _ in 0..SENT / 100 {
        let mut pipeline = redis::pipe();
        for _ in 0..100 {
            pipeline.publish("news", "x").ignore();
        }
        let () = pipeline.query_async(&mut master).await.unwrap();
    }
    let () = master.publish("news", "last").await.unwrap();

    let (mut read, mut dropped) = (0, 0);
    while read + dropped <= SENT {
        match next(&mut news).await {
            Delivery::Message(_) => read += 1,
            Delivery::Gap(Gap::Overrun(number)) => dropped += number,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read + dropped, SENT + 1);
    println!("{read} read, {dropped} dropped");
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_channel_that_is_not_permitted_is_an_error_at_once() {
    let deployment = Deployment::start();
    let _: redis::Value =
        deployment.nodes[0].ask(&["ACL", "SETUSER", "reader", "on", ">secret", "~*", "&open", "+@all"]);
    let url = deployment.url(3).replace("://", "://reader:secret@");
    let pool = SentinelPool::from_url(&url).await.unwrap();

    let error = pool.subscribe(["closed"]).await.map(drop).unwrap_err().to_string();
    assert!(error.contains("NOPERM") || error.contains("permission"), "{error}");

    // Nothing at first: topics may follow.
    let mut open = pool.subscribe(Vec::<&str>::new()).await.unwrap();
    open.subscribe(["open"]).await.unwrap();
    let () = pool.master().publish("open", "hello").await.unwrap();
    assert_eq!(next_text(&mut open).await, said("open", "hello"));
    pool.shutdown(Duration::from_secs(1)).await;
}

/// A master at which every connection that subscribes is sent `number` messages at once, together with the confirmation; a PING is answered
/// unless it hangs.
async fn talkative(hangs: Arc<AtomicBool>, number: usize) -> Scripted {
    let round = AtomicUsize::new(0);
    Scripted::start(move |words| match words[0].as_str() {
        "ROLE" => say(array(&[bulk("master"), ":0\r\n".to_owned(), "*0\r\n".to_owned()])),
        "PING" if hangs.load(Ordering::SeqCst) => Step::Hang,
        "PING" => say("+PONG\r\n"),
        "SUBSCRIBE" => {
            let round = round.fetch_add(1, Ordering::SeqCst);
            let message = |at| format!(">3\r\n{}{}{}", bulk("message"), bulk("news"), bulk(&format!("{round}.{at}")));
            let messages: String = (0..number).map(message).collect();
            say(format!(">3\r\n{}{}:1\r\n{messages}", bulk("subscribe"), bulk("news")))
        }
        _ => greeting(words).unwrap_or_else(|| say("-ERR unknown command\r\n")),
    })
    .await
}

async fn next_message(subscription: &mut Subscription) -> String {
    next_text(subscription).await.1
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_gap_stands_before_the_first_message_of_the_new_connection() {
    let node = talkative(Arc::default(), 20).await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let pool = SentinelPool::builder().master(MASTER).sentinel(&sentinel.address()).unwrap().connect().await.unwrap();
    let mut news = pool.subscribe(["news"]).await.unwrap();
    for round in 0..5 {
        for at in 0..20 {
            assert_eq!(next_message(&mut news).await, format!("{round}.{at}"));
        }
        node.cut();
        assert!(matches!(next(&mut news).await, Delivery::Gap(Gap::Reconnected { .. })), "round {round}");
    }
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_noticed_by_its_ping() {
    let hangs = Arc::new(AtomicBool::new(false));
    let node = talkative(Arc::clone(&hangs), 1).await;
    let sentinel = ScriptedSentinel::start(&node.address(), 1).await;
    let mut timeouts = sentinel_sdk::Timeouts::default();
    timeouts.handshake = Duration::from_millis(200);
    let builder = SentinelPool::builder().master(MASTER).sentinel(&sentinel.address()).unwrap().timeouts(timeouts);
    let pool = builder.sentinel_ping_interval(Duration::from_millis(20)).connect().await.unwrap();
    let mut news = pool.subscribe(["news"]).await.unwrap();
    assert_eq!(next_message(&mut news).await, "0.0");
    // Nothing but the ping can notice it.
    hangs.store(true, Ordering::SeqCst);
    match next(&mut news).await {
        Delivery::Gap(Gap::Reconnected { reason, .. }) => assert!(reason.contains("PING"), "{reason}"),
        other => panic!("{other:?} instead of a gap"),
    }
    hangs.store(false, Ordering::SeqCst);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_subscription_changes_and_keeps_its_changes_through_a_switch() {
    let deployment = Deployment::start();
    let pool = SentinelPool::from_url(&deployment.url(3)).await.unwrap();
    let mut master = pool.master();
    let mut all = pool.ssubscribe(["jobs"]).await.unwrap();
    all.subscribe(["news", "weather"]).await.unwrap();
    all.psubscribe(["s*"]).await.unwrap();
    let handle = pool.master();
    let spublish = |channel: &'static str, payload: &'static str| {
        let mut master = handle.clone();
        async move {
            let mut command = redis::cmd("SPUBLISH");
            command.arg(channel).arg(payload);
            assert_eq!(command.query_async::<u64>(&mut master).await.unwrap(), 1, "{channel} {payload}");
        }
    };
    spublish("jobs", "one").await;
    assert_eq!(next_text(&mut all).await, said("jobs", "one"));
    let () = master.publish("news", "two").await.unwrap();
    assert_eq!(next_text(&mut all).await, said("news", "two"));
    let () = master.publish("sports", "three").await.unwrap();
    assert_eq!(next_text(&mut all).await, said("sports", "three"));
    all.unsubscribe(["news"]).await.unwrap();
    all.punsubscribe(["s*"]).await.unwrap();
    all.ssubscribe(["more"]).await.unwrap();
    all.sunsubscribe(["jobs"]).await.unwrap();
    let count: u64 = redis::cmd("PUBLISH").arg("news").arg("unheard").query_async(&mut master).await.unwrap();
    assert_eq!(count, 0);

    let generation = pool.topology().borrow().generation;
    let _: redis::Value = deployment.sentinels[0].ask(&["SENTINEL", "FAILOVER", MASTER]);
    let after = topology(&pool, "the pool moved", |topology| topology.generation > generation).await;
    // Asked for while nothing may stand: it does before this returns.
    all.subscribe(["later"]).await.unwrap();
    assert!(matches!(next(&mut all).await, Delivery::Gap(Gap::Reconnected { .. })));
    for (channel, heard) in [("news", 0), ("sports", 0), ("weather", 1), ("later", 1)] {
        let count: u64 = redis::cmd("PUBLISH").arg(channel).arg("x").query_async(&mut master).await.unwrap();
        assert_eq!(count, heard, "{channel}");
    }
    spublish("more", "x").await;
    for channel in ["weather", "later", "more"] {
        assert_eq!(next_text(&mut all).await, said(channel, "x"));
    }

    // What is refused does not stand, and costs nothing of what stood.
    let node = deployment.node(after.master.as_ref().unwrap());
    let () = node.ask(&["ACL", "SETUSER", "default", "resetchannels", "&weather", "&later", "&more"]);
    for refused in [all.subscribe(["secret"]).await, all.ssubscribe(["secret"]).await] {
        assert!(
            matches!(&refused, Err(Error::Node { reason, .. }) if reason.contains("no permissions")),
            "{refused:?}"
        );
    }
    let publishes = tokio::spawn(async move {
        loop {
            let () = master.publish("weather", "again").await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    loop {
        match next(&mut all).await {
            Delivery::Message(message) => break assert_eq!(message.get_channel_name(), "weather"),
            gap => assert!(matches!(gap, Delivery::Gap(_)), "{gap:?}"),
        }
    }
    publishes.abort();
    pool.shutdown(SOON).await;
    assert!(matches!(all.subscribe(["late"]).await, Err(Error::Shutdown)));
}
