//! Data on several masters.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use redis::{AsyncCommands, Value};
use sentinel_sdk::sharding::{ShardedMaster, ShardedPool, SlotTable};
use sentinel_sdk::{Error, Outcome};
use support::deployment::Server;
use support::eventually;
use support::shards::Shards;

const SOON: Duration = Duration::from_secs(20);

/// A key at this shard.
fn key_at(pool: &ShardedPool, shard: &str, number: usize) -> String {
    let mut keys = (0..).map(|suffix| format!("key:{number}:{suffix}"));
    keys.find(|key| pool.table().shard_of(key.as_bytes()) == shard).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_go_to_the_shards_of_their_keys_and_answers_keep_their_order() {
    let shards = Shards::start(&["east", "west", "north"]);
    let pool = shards.connect().await;
    let mut master = pool.master();
    let keys: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
    let pairs: Vec<(&String, usize)> = keys.iter().zip(0..).collect();
    let () = master.mset(&pairs).await.unwrap();
    // Each shard has its own keys and no others.
    for (at, name) in shards.names.iter().enumerate() {
        let mut stored: Vec<String> = shards.nodes[at][0].ask(&["KEYS", "*"]);
        let mut expected: Vec<_> = keys.iter().filter(|key| pool.table().shard_of(key.as_bytes()) == name).collect();
        stored.sort();
        expected.sort();
        assert!(!expected.is_empty() && stored.iter().collect::<Vec<_>>() == expected, "{name}: {stored:?}");
    }
    let mut asked: Vec<String> = keys.iter().rev().cloned().collect();
    asked.insert(7, "missing".to_owned());
    let values: Vec<Option<usize>> = master.mget(&asked).await.unwrap();
    let mut expected: Vec<_> = (0..30).rev().map(Some).collect();
    expected.insert(7, None);
    assert_eq!(values, expected);
    assert_eq!(master.exists::<_, usize>(&asked).await.unwrap(), 30);
    // A pipeline over all shards, with a command in it that is taken apart itself.
    let mut pipeline = redis::pipe();
    for key in &keys {
        pipeline.incr(key, 100);
    }
    pipeline.mget(&keys[..5]).set("k0", "text").ignore().incr("k0", 1);
    let answers: redis::RedisResult<Vec<Value>> = pipeline.query_async(&mut master).await;
    let error = answers.unwrap_err();
    assert!(error.to_string().contains("not an integer"), "{error}");
    let values: Vec<String> = master.mget(&keys).await.unwrap();
    assert_eq!((values[0].as_str(), values[29].as_str()), ("text", "129"));
    let mut pipeline = redis::pipe();
    pipeline.get("k3").mget(&keys[1..4]).get("k4");
    let (third, some, fourth): (u64, Vec<u64>, u64) = pipeline.query_async(&mut master).await.unwrap();
    assert_eq!((third, some, fourth), (103, vec![101, 102, 103], 104));
    // What cannot be taken apart is not sent.
    let (east, west) = (key_at(&pool, "east", 1), key_at(&pool, "west", 1));
    let before: u64 = pool.shard("east").unwrap().statistics().commands;
    let error = master.rename::<_, _, ()>(&east, &west).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::CrossShard { .. })), "{error}");
    assert_eq!(Outcome::of(&error), Outcome::NotSent);
    let error = redis::cmd("PING").exec_async(&mut master).await.unwrap_err();
    assert!(matches!(Error::find(&error), Some(Error::NoShard { .. })), "{error}");
    assert_eq!(pool.shard("east").unwrap().statistics().commands, before);
    let pong: String = redis::cmd("PING").query_async(&mut master.on("anything")).await.unwrap();
    assert_eq!(pong, "PONG");
    let (visits, pages): (u64, u64) =
        redis::pipe().atomic().incr("{17}v", 1).sadd("{17}p", "/").query_async(&mut master).await.unwrap();
    assert_eq!((visits, pages), (1, 1));
    // One part fails: that others were done is not hidden.
    let () = shards.nodes[0][0].ask(&["CONFIG", "SET", "min-replicas-to-write", "9"]);
    let impatient = shards.impatient().connect().await.unwrap();
    let error = impatient.master().mset::<_, _, ()>(&[(&east, 1), (&west, 2)]).await.unwrap_err();
    match Error::find(&error) {
        Some(Error::Partial { command, failed, .. }) => {
            assert_eq!((command.as_str(), failed.len(), &*failed[0]), ("MSET", 1, "east"));
        }
        other => panic!("{other:?} {error}"),
    }
    assert_eq!(Outcome::of(&error), Outcome::Unknown);
    let () = shards.nodes[0][0].ask(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    assert_eq!(master.get::<_, u64>(&west).await.unwrap(), 2);
    assert_eq!(master.unlink::<_, usize>(&keys).await.unwrap(), 30);
    impatient.shutdown(SOON).await;
    pool.shutdown(SOON).await;
}

/// Writes to a key until the time is over; returns the longest time between two writes, and how many there were.
async fn write(mut master: ShardedMaster, key: String, time: Duration) -> (Duration, u64) {
    let began = Instant::now();
    let (mut last, mut longest, mut count) = (began, Duration::ZERO, 0);
    while began.elapsed() < time {
        if master.incr::<_, _, u64>(&key, 1).await.is_ok() {
            longest = longest.max(last.elapsed());
            (last, count) = (Instant::now(), count + 1);
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    (longest, count)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_shard_fails_over_by_itself() {
    let mut shards = Shards::start(&["east", "west"]);
    let pool = shards.connect().await;
    let (east, west) = (key_at(&pool, "east", 1), key_at(&pool, "west", 1));
    let time = Duration::from_secs(6);
    let writers = [east, west.clone()].map(|key| tokio::spawn(write(pool.master(), key, time)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    shards.nodes[0][0].kill();
    let [in_east, in_west] = writers;
    let ((gap_east, _), (gap_west, count)) = (in_east.await.unwrap(), in_west.await.unwrap());
    println!("longest gap: {gap_east:?} at the shard that failed over, {gap_west:?} at the other");
    assert!(gap_east > Duration::from_millis(400) && gap_west < gap_east / 2, "{gap_east:?}, {gap_west:?}");
    assert_eq!(shards.nodes[0][1].role(), "master");
    assert_eq!(pool.master().get::<_, u64>(&west).await.unwrap(), count);
    pool.shutdown(SOON).await;
}

#[tokio::test]
async fn a_table_that_does_not_fit_the_shards_is_refused_before_anything_is_dialled() {
    let builder = sentinel_sdk::Builder::from_url("redis-sentinel://127.0.0.1:1?master=m").unwrap();
    let table = SlotTable::even(["a", "b"]).unwrap();
    let error = ShardedPool::builder().shard("a", builder).table(table).connect().await.unwrap_err();
    assert!(matches!(error, Error::Config(_)) && error.to_string().contains("`b`"), "{error}");
}

/// All commands of a server, and where it says that their keys are.
#[tokio::test]
async fn keys_stand_where_the_server_finds_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::redis(folder.path(), None, "");
    let sentinel = support::scripted::ScriptedSentinel::start(&server.address(), 1).await;
    let url = format!("redis-sentinel://{}?master=mymaster", sentinel.address());
    let pool = ShardedPool::from_url(&url).await.unwrap();
    let mut master = pool.master();
    let commands: Vec<Vec<Value>> = server.ask(&["COMMAND"]);
    let mut unknown = BTreeMap::new();
    for command in commands {
        let name: String = redis::from_redis_value(command[0].clone()).unwrap();
        let flags = format!("{:?}", command[2]);
        let first: i64 = redis::from_redis_value(command[3].clone()).unwrap();
        let mut request = redis::cmd(&name);
        for number in 0..6 {
            request.arg(number);
        }
        let error = request.exec_async(&mut master).await.err();
        let refused = match error.as_ref().and_then(Error::find) {
            Some(Error::NoShard { reason, .. }) => Some(*reason),
            _ => None,
        };
        // Found by another table: that of the server.
        if first > 0 && refused.is_some() {
            unknown.insert(name.clone(), refused);
        }
        let has_subcommands = ["memory", "object", "xgroup", "xinfo"].contains(&name.as_str());
        if first == 0 && !has_subcommands && !flags.contains("movablekeys") {
            assert!(refused.is_some() || is_session(error.as_ref()), "{name} was sent: {error:?}");
        }
    }
    let unknown: Vec<_> = unknown.into_keys().collect();
    assert_eq!(unknown, ["migrate", "move", "pfdebug", "restore-asking", "ssubscribe", "sunsubscribe"]);
    pool.shutdown(SOON).await;
}

fn is_session(error: Option<&redis::RedisError>) -> bool {
    error.is_some_and(|error| matches!(Error::find(error), Some(Error::NotShareable { .. })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_of_all_shards_are_read_from() {
    let shards = Shards::start(&["east", "west"]);
    let pool = shards.connect().await;
    let (east, west) = (key_at(&pool, "east", 1), key_at(&pool, "west", 1));
    let () = pool.master().mset(&[(&east, 1), (&west, 2)]).await.unwrap();
    let mut replica = pool.replica();
    let read = || {
        let mut replica = replica.clone();
        let keys = [east.clone(), west.clone()];
        async move { replica.mget::<_, Vec<Option<u64>>>(&keys).await.ok().filter(|all| *all == [Some(1), Some(2)]) }
    };
    eventually("replicas have it", SOON, read, String::new).await;
    let reads = || shards.nodes.iter().map(|pair| calls(&pair[1], "mget")).sum::<u64>();
    let count = || async {
        let _: redis::RedisResult<Value> = replica.clone().mget(&[&east, &west]).await;
        (reads() > 1).then_some(())
    };
    eventually("both replicas are read from", SOON, count, || reads().to_string()).await;
    let error = replica.set::<_, _, ()>(&east, 1).await.unwrap_err();
    assert!(error.to_string().to_lowercase().contains("read only"), "{error}");
    pool.shutdown(SOON).await;
}

fn calls(server: &Server, command: &str) -> u64 {
    let stats: String = server.ask(&["INFO", "commandstats"]);
    let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.and_then(|rest| rest.split(',').next()?.parse().ok()).unwrap_or(0)
}
