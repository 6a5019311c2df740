//! Sentinels that lie, lag, hang or babble.

mod support;

use std::time::{Duration, Instant};

use futures::StreamExt;
use redis::AsyncCommands;
use sentinel_sdk::{Address, Builder, Error, Event, SentinelPool};
use support::deployment::Server;
use support::scripted::{Scripted, ScriptedSentinel, Step, say};
use support::{eventually, topology};
use tempfile::TempDir;

/// So long that no test is saved by the periodic question.
const NEVER: Duration = Duration::from_secs(3600);
const PATIENCE: Duration = Duration::from_secs(10);

struct Nodes {
    a: Server,
    b: Server,
    folder: TempDir,
}

fn two_masters() -> Nodes {
    let folder = tempfile::tempdir().unwrap();
    Nodes { a: Server::redis(folder.path(), None, ""), b: Server::redis(folder.path(), None, ""), folder }
}

fn builder(sentinels: &[&ScriptedSentinel]) -> Builder {
    let addresses = sentinels.iter().map(|sentinel| sentinel.address().parse::<Address>().unwrap());
    SentinelPool::builder().master("mymaster").sentinels(addresses).refresh_interval(NEVER)
}

fn port(pool: &SentinelPool) -> u16 {
    pool.topology().borrow().master.as_ref().unwrap().port()
}

/// Waits until this Sentinel was asked more often than `before`.
async fn asked_again(sentinel: &ScriptedSentinel, before: usize) {
    eventually(
        "the sentinel is asked",
        PATIENCE,
        || async { (sentinel.asked() > before).then_some(()) },
        || format!("asked {} times", sentinel.asked()),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_that_hang_babble_or_refuse_do_not_keep_the_pool_from_starting() {
    let nodes = two_masters();
    let good = ScriptedSentinel::start(&nodes.a.address(), 3).await;
    let silent = ScriptedSentinel::start(&nodes.b.address(), 9).await;
    silent.instead("HELLO", Step::Hang);
    let babbling = ScriptedSentinel::start(&nodes.b.address(), 9).await;
    babbling.instead("SENTINEL MASTER", say("!!! what?\r\n\r\n*-7\r\n"));
    let refusing = ScriptedSentinel::start(&nodes.b.address(), 9).await;
    refusing.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("-NOPERM this user has no permissions\r\n"));
    let ignorant = ScriptedSentinel::start(&nodes.b.address(), 9).await;
    ignorant.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("*-1\r\n"));
    let closing = ScriptedSentinel::start(&nodes.b.address(), 9).await;
    closing.instead("SUBSCRIBE", Step::Close);

    let began = Instant::now();
    let pool = builder(&[&silent, &babbling, &refusing, &ignorant, &closing, &good]).connect().await.unwrap();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(1), "one answer is enough, yet it took {took:?}");
    assert_eq!(port(&pool), nodes.a.port);
    assert_eq!(pool.topology().borrow().config_epoch, 3);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_any_usable_sentinel_the_error_names_the_trouble_with_each() {
    let nodes = two_masters();
    let refusing = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    refusing.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("-NOPERM this user has no permissions\r\n"));
    let ignorant = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    ignorant.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("$-1\r\n"));
    let mut timeouts = sentinel_sdk::Timeouts::default();
    timeouts.start = Duration::from_millis(300);
    let error = builder(&[&refusing, &ignorant]).timeouts(timeouts).connect().await.unwrap_err();
    assert!(matches!(error, Error::NoMaster { .. }), "{error}");
    let text = error.to_string();
    for part in ["NOPERM", "does not know this master", &refusing.address(), &ignorant.address()] {
        assert!(text.contains(part), "`{part}` is missing in: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_the_start_a_stale_sentinel_that_answers_first_does_not_decide() {
    let nodes = two_masters();
    let stale = ScriptedSentinel::start(&nodes.b.address(), 1).await;
    let good = ScriptedSentinel::start(&nodes.a.address(), 2).await;
    // Far less than the pool waits for slower Sentinels, far more than it needs to move.
    good.instead("HELLO", Step::Late(Duration::from_millis(25), "%1\r\n+server\r\n+redis\r\n".to_owned()));
    let pool = builder(&[&stale, &good]).connect().await.unwrap();
    assert_eq!(port(&pool), nodes.a.port);
    assert_eq!(pool.topology().borrow().generation, 1);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_sentinel_does_not_move_the_pool_however_loud_it_is() {
    let nodes = two_masters();
    let good = ScriptedSentinel::start(&nodes.a.address(), 5).await;
    let stale = ScriptedSentinel::start(&nodes.b.address(), 4).await;
    let pool = builder(&[&good, &stale]).connect().await.unwrap();
    let mut events = pool.events();
    for _ in 0..5 {
        let asked = stale.asked();
        stale.push_switch();
        asked_again(&stale, asked).await;
    }
    // The good one cannot be reached, and the master breaks its connections: the stale one alone is still not heard.
    good.instead("HELLO", Step::Close);
    good.server.cut();
    let good_address: Address = good.address().parse().unwrap();
    topology(&pool, "the good sentinel is lost", |topology| {
        topology.sentinels.iter().any(|sentinel| sentinel.address == good_address && !sentinel.connected)
    })
    .await;
    let killed: u64 = nodes.a.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    assert!(killed >= 1, "the pool has a connection");
    topology(&pool, "the loss is noticed", |topology| !topology.verified).await;
    let asked = stale.asked();
    asked_again(&stale, asked + 5).await;
    assert_eq!(port(&pool), nodes.a.port);
    // The good one ends it: the pool returns to the master it had.
    good.belief.lock().unwrap().instead.clear();
    topology(&pool, "the master is back", |topology| topology.verified).await;
    assert_eq!(port(&pool), nodes.a.port);
    assert_eq!(pool.topology().borrow().generation, 1);
    while let Ok(Some(event)) = tokio::time::timeout(Duration::ZERO, events.next()).await {
        assert!(!matches!(event, Event::Switched { .. }), "{event:?}");
    }
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_moves_the_pool_without_any_other_sign() {
    let nodes = two_masters();
    let sentinel = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let pool = builder(&[&sentinel]).connect().await.unwrap();
    sentinel.believe(&nodes.b.address(), 2);
    let began = Instant::now();
    sentinel.push_switch();
    let after = topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    println!("moved {:?} after the push", began.elapsed());
    assert_eq!(after.master.as_ref().unwrap().port(), nodes.b.port);
    assert_eq!(after.config_epoch, 2);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resubscription_brings_the_switch_that_was_missed() {
    let nodes = two_masters();
    let sentinel = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let pool = builder(&[&sentinel]).connect().await.unwrap();
    sentinel.believe(&nodes.b.address(), 2);
    sentinel.server.cut();
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    assert_eq!(port(&pool), nodes.b.port);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_periodic_question_brings_the_switch_that_was_missed() {
    let nodes = two_masters();
    let sentinel = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let pool = builder(&[&sentinel]).refresh_interval(Duration::from_millis(50)).connect().await.unwrap();
    sentinel.believe(&nodes.b.address(), 2);
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    assert_eq!(port(&pool), nodes.b.port);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_went_silent_is_noticed_and_dialled_again() {
    let nodes = two_masters();
    let sentinel = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let pool = builder(&[&sentinel]).sentinel_ping_interval(Duration::from_millis(30)).connect().await.unwrap();
    let mut events = pool.events();
    sentinel.instead("PING", Step::Hang);
    let lost = async {
        while let Some(event) = events.next().await {
            if let Event::SentinelLost { reason, .. } = event {
                return reason;
            }
        }
        panic!("the events ended");
    };
    let reason = tokio::time::timeout(PATIENCE, lost).await.expect("nobody noticed");
    assert!(reason.contains("PING"), "{reason}");
    // The master is not affected.
    let () = pool.master().set("k", 1).await.unwrap();
    sentinel.belief.lock().unwrap().instead.clear();
    topology(&pool, "the sentinel is back", |topology| topology.sentinels[0].connected).await;
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_answer_as_a_master_is_rejected_and_the_pool_stays() {
    let nodes = two_masters();
    let replica = Server::redis(nodes.folder.path(), Some(nodes.a.port), "");
    let good = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let liar = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let pool = builder(&[&good, &liar]).connect().await.unwrap();
    let mut events = pool.events();
    liar.believe(&replica.address(), 1_000_000);
    liar.push_switch();
    let rejected = async {
        loop {
            match events.next().await {
                Some(Event::CandidateRejected { address, reason }) => return (address, reason),
                Some(_) => {}
                None => panic!("the events ended"),
            }
        }
    };
    let (address, reason) = tokio::time::timeout(PATIENCE, rejected).await.expect("not rejected");
    assert_eq!(address.port(), replica.port);
    assert!(reason.contains("slave"), "{reason}");
    let () = pool.master().set("k", 1).await.unwrap();
    assert_eq!(pool.topology().borrow().config_epoch, 1);
    // The truth with a far lower epoch than the lie is still heard.
    nodes.b.inherit(&nodes.a);
    good.believe(&nodes.b.address(), 2);
    good.push_switch();
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    assert_eq!(port(&pool), nodes.b.port);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sentinels_are_learnt_and_seeds_survive_their_silence() {
    let nodes = two_masters();
    let seed = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    let other = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    seed.belief.lock().unwrap().peers = vec![other.address()];
    let pool = builder(&[&seed]).connect().await.unwrap();
    let learnt = topology(&pool, "the other sentinel is followed", |topology| {
        topology.sentinels.len() == 2 && topology.sentinels.iter().all(|sentinel| sentinel.connected)
    })
    .await;
    assert_eq!(learnt.sentinels.iter().filter(|sentinel| sentinel.seed).count(), 1);
    // A push of the learnt one moves the pool.
    nodes.b.inherit(&nodes.a);
    seed.instead("HELLO", Step::Close);
    seed.server.cut();
    other.believe(&nodes.b.address(), 2);
    other.push_switch();
    let after = topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    assert!(after.sentinels.iter().any(|sentinel| sentinel.seed), "{after:?}");
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_without_resp3_is_asked_instead_of_subscribed_to() {
    let nodes = two_masters();
    let old = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    old.instead("HELLO", say("-ERR unknown command `HELLO`, with args beginning with: `3`\r\n"));
    old.instead("SUBSCRIBE", Step::Close);
    let pool = builder(&[&old]).sentinel_ping_interval(Duration::from_millis(30)).connect().await.unwrap();
    old.believe(&nodes.b.address(), 2);
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    assert_eq!(port(&pool), nodes.b.port);
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sentinel_that_hides_the_epoch_still_serves() {
    let nodes = two_masters();
    let shy = ScriptedSentinel::start(&nodes.a.address(), 1).await;
    shy.instead("SENTINEL MASTER", say("-NOPERM no\r\n"));
    let pool = builder(&[&shy]).connect().await.unwrap();
    assert_eq!(port(&pool), nodes.a.port);
    shy.believe(&nodes.b.address(), 2);
    shy.push_switch();
    topology(&pool, "the pool moved", |topology| topology.generation == 2).await;
    pool.shutdown(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scripted_server_ends_its_connections() {
    let server = Scripted::start(|_| Step::Hang).await;
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    eventually("it accepts", PATIENCE, || async { (server.open() == 1).then_some(()) }, String::new).await;
    server.cut();
    eventually("it closes", PATIENCE, || async { (server.open() == 0).then_some(()) }, String::new).await;
    drop(stream);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waiting_does_not_cure_fails_at_once_with_the_words_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let node = Server::redis(folder.path(), None, "");
    let _: String = node.ask(&["CONFIG", "SET", "requirepass", "right"]);
    let began = Instant::now();
    let failure = async |url: String| SentinelPool::from_url(&url).await.unwrap_err().to_string();

    // A name that no Sentinel knows
    let (one, two) =
        (ScriptedSentinel::start(&node.address(), 1).await, ScriptedSentinel::start(&node.address(), 1).await);
    for sentinel in [&one, &two] {
        sentinel.instead("SENTINEL GET-MASTER-ADDR-BY-NAME", say("*-1\r\n"));
    }
    let error = failure(format!("redis-sentinel://{},{}?master=mymaster", one.address(), two.address())).await;
    assert!(error.contains("does not know this master"), "{error}");

    // A wrong password at the Sentinels
    for sentinel in [&one, &two] {
        sentinel.instead("HELLO", say("-WRONGPASS invalid username-password pair or user is disabled.\r\n"));
    }
    let error = failure(format!(
        "redis-sentinel://{},{}?master=mymaster&sentinel_password=wrong",
        one.address(),
        two.address()
    ))
    .await;
    assert!(error.contains("WRONGPASS invalid username-password pair"), "{error}");

    // A wrong password at the master, with both protocols
    let good = ScriptedSentinel::start(&node.address(), 1).await;
    for protocol in ["resp2", "resp3"] {
        let url = format!("redis-sentinel://:wrong@{}?master=mymaster&protocol={protocol}", good.address());
        let error = failure(url).await;
        assert!(error.contains("WRONGPASS invalid username-password pair"), "{error}");
    }

    // A database that the master does not have
    let url = format!("redis-sentinel://:right@{}/999?master=mymaster", good.address());
    let error = failure(url).await;
    assert!(error.contains("DB index is out of range"), "{error}");

    // A data node in the place of a Sentinel
    let other = Server::redis(folder.path(), None, "");
    let error = failure(format!("redis-sentinel://{}?master=mymaster", other.address())).await;
    assert!(error.contains("no sentinel, perhaps a data node"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(8), "it took {:?}", began.elapsed());
}
