//! Which replica is read from, on real servers: by their latency, by the key, and by how far behind they are.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use redis::AsyncCommands;
use sentinel_sdk::{Address, Balance, Builder, ReadPreference, Replica, SentinelPool};
use support::deployment::{Deployment, Server};
use support::eventually;
use support::relay::Relay;

const SOON: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(20);

/// The port of the node that answers, asked in a script that names a key.
async fn port(replica: &mut Replica, key: &str) -> u16 {
    let mut command = redis::cmd("EVAL_RO");
    command.arg("return redis.call('INFO', 'server')").arg(1).arg(key);
    let info: String = command.query_async(replica).await.expect("a read");
    let line = info.lines().find_map(|line| line.strip_prefix("tcp_port:")).expect("a port");
    line.trim().parse().expect("a number")
}

/// Waits until all of many reads in a row go to these nodes, and to each of them.
async fn reads_go_to(pool: &SentinelPool, what: &str, nodes: &[u16]) {
    let mut replica = pool.replica();
    let wanted: BTreeSet<u16> = nodes.iter().copied().collect();
    let deadline = Instant::now() + SOON;
    loop {
        let mut seen = BTreeSet::new();
        for _ in 0..20 {
            seen.insert(port(&mut replica, "k").await);
        }
        if seen == wanted {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: reads go to {seen:?}, and not to {wanted:?}; {:#?}",
            pool.replicas()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_go_to_the_nearest_replicas_and_move_when_they_are_no_longer() {
    // Given two replicas, each at the end of a path of its own
    let mut deployment = Deployment::start();
    let [near, far] = [deployment.nodes[1].port, deployment.nodes[2].port];
    let (near_path, far_path) = (Relay::start(near).await, Relay::start(far).await);
    let paths = BTreeMap::from([(near, near_path.port), (far, far_path.port)]);
    far_path.delay(Duration::from_millis(60));
    let pool = Builder::from_url(&deployment.url(3))
        .unwrap()
        .address_map(move |told| {
            let port = paths.get(&told.port()).copied().unwrap_or(told.port());
            Address::new(told.host(), port).unwrap()
        })
        .balance(Balance::LowestLatency { tolerance: Duration::from_millis(20) })
        .sentinel_ping_interval(OFTEN)
        .connect()
        .await
        .unwrap();
    assert_eq!(pool.replicas(), [], "nobody reads yet");
    pool.replica();
    readable(&pool, &[near_path.port, far_path.port]).await;

    // Then the near one alone is read from, and what is measured can be looked at
    reads_go_to(&pool, "one is far", &[near]).await;
    let latency = |path: &Relay| {
        let states = pool.replicas().into_iter();
        states.filter(|state| state.readable).find(|state| state.address.port() == path.port).map(|state| state.latency)
    };
    assert!(latency(&far_path) > latency(&near_path), "{:#?}", pool.replicas());
    assert!(latency(&far_path) >= Some(Duration::from_millis(60)), "{:#?}", pool.replicas());
    assert_eq!(pool.statistics().replicas_readable, 2);

    // When the path to it becomes the longer one, the other is; when both are alike, both are
    near_path.delay(Duration::from_millis(180));
    reads_go_to(&pool, "the other is nearer now", &[far]).await;
    near_path.delay(Duration::ZERO);
    far_path.delay(Duration::ZERO);
    reads_go_to(&pool, "both are near", &[near, far]).await;

    // When the only near one dies, no read fails: the far one will do
    far_path.delay(Duration::from_millis(60));
    reads_go_to(&pool, "one is far again", &[near]).await;
    deployment.nodes[1].kill();
    for _ in 0..10 {
        assert_ne!(port(&mut pool.replica(), "k").await, near);
    }
    reads_go_to(&pool, "the near one died", &[far]).await;
    pool.shutdown(Duration::from_secs(1)).await;
}

/// Which node has each key: the same in three rounds.
async fn homes(pool: &SentinelPool) -> BTreeMap<String, u16> {
    homes_of(&pool.replica()).await
}

async fn homes_of(replica: &Replica) -> BTreeMap<String, u16> {
    let mut homes = BTreeMap::new();
    let mut replica = replica.clone();
    for round in 0..3 {
        for number in 0..41 {
            let key = format!("user:{number}");
            let home = port(&mut replica, &key).await;
            let before = homes.insert(key.clone(), home);
            assert!(round == 0 || before == Some(home), "{key} was read at {before:?}, and now at {home}");
        }
    }
    homes
}

async fn readable(pool: &SentinelPool, replicas: &[u16]) {
    let mut wanted: Vec<_> = replicas.to_vec();
    wanted.sort_unstable();
    let states = || pool.replicas().into_iter();
    let ports = || {
        let mut ports: Vec<_> = states().filter(|state| state.readable).map(|state| state.address.port()).collect();
        ports.sort_unstable();
        ports
    };
    let what = format!("{wanted:?} are read from");
    eventually(&what, SOON, || async { (ports() == wanted).then_some(()) }, || format!("{:#?}", pool.replicas())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_read_at_one_replica_for_as_long_as_that_is_there() {
    let mut deployment = Deployment::start();
    let [first, second] = [deployment.nodes[1].port, deployment.nodes[2].port];
    let connect = || Builder::from_url(&deployment.url(3)).unwrap().balance(Balance::ByKey).connect();
    let (pool, other) = (connect().await.unwrap(), connect().await.unwrap());
    for pool in [&pool, &other] {
        pool.replica();
        readable(pool, &[first, second]).await;
    }

    // Given each key at its replica, for every pool the same
    let before = homes(&pool).await;
    assert_eq!(before.values().collect::<BTreeSet<_>>().len(), 2, "{before:?}");
    assert_eq!(before, homes(&other).await);

    // When one dies, its keys alone move
    deployment.nodes[1].kill();
    readable(&pool, &[second]).await;
    assert!(homes(&pool).await.values().all(|home| *home == second));

    // When a new one comes, it takes keys over; no other moves
    deployment.nodes[1] = Server::redis(deployment.folder.path(), Some(deployment.nodes[0].port), "");
    let third = deployment.nodes[1].port;
    readable(&pool, &[second, third]).await;
    let after = homes(&pool).await;
    assert!(after.values().any(|home| *home == third), "{after:?}");
    for (key, home) in &before {
        assert!(after[key] == third || *home == first || after[key] == *home, "{key}: {home}, now {}", after[key]);
    }
    for pool in [pool, other] {
        pool.shutdown(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_falls_behind_is_left_out_until_it_has_caught_up() {
    // Given two replicas that are linked to their master over a path that can hold up what one of them receives
    let folder = tempfile::tempdir().unwrap();
    let master = Server::redis(folder.path(), None, "");
    let path = Relay::start(master.port).await;
    let [steady, slow] = [(); 2].map(|()| Server::redis(folder.path(), Some(path.port), ""));
    let sentinel = Server::sentinel(folder.path(), path.port, 1);
    let pool = SentinelPool::builder()
        .master(support::deployment::MASTER)
        .sentinel(&sentinel.address())
        .unwrap()
        .balance(Balance::RoundRobin)
        .sentinel_ping_interval(OFTEN)
        .max_lag(10_000)
        .connect()
        .await
        .unwrap();
    reads_go_to(&pool, "both follow", &[steady.port, slow.port]).await;

    // When one receives nothing any more, and more is written than it may lack
    path.hold(Some(slow.port));
    let () = pool.master().set("k", "x".repeat(20_000)).await.unwrap();

    // Then it is not read from, although it answers and its link to the master stands
    reads_go_to(&pool, "one is behind", &[steady.port]).await;
    let info: String = slow.ask(&["INFO", "replication"]);
    assert!(info.contains("master_link_status:up"), "{info}");
    let state = pool.replicas().into_iter().find(|state| state.address.port() == slow.port).expect("a line to it");
    assert!(!state.readable && state.lag > Some(10_000), "{state:?}");

    // And it is again when it has caught up
    path.hold(None);
    reads_go_to(&pool, "both follow again", &[steady.port, slow.port]).await;
    pool.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_master_is_one_more_node_to_read_from_where_any_will_do() {
    // Given a path to each of three nodes
    let mut deployment = Deployment::start();
    let ports: Vec<_> = deployment.nodes.iter().map(|node| node.port).collect();
    let mut paths = Vec::new();
    for port in &ports {
        paths.push(Relay::start(*port).await);
    }
    let map: BTreeMap<_, _> = ports.iter().copied().zip(paths.iter().map(|path| path.port)).collect();
    let pool = Builder::from_url(&deployment.url(3))
        .unwrap()
        .address_map(move |told| {
            Address::new(told.host(), map.get(&told.port()).copied().unwrap_or(told.port())).unwrap()
        })
        .read_preference(ReadPreference::Any)
        .balance(Balance::RoundRobin)
        .sentinel_ping_interval(OFTEN)
        .connect()
        .await
        .unwrap();
    pool.replica();
    readable(&pool, &[paths[1].port, paths[2].port]).await;

    // Then all are read from, and a handle may do otherwise
    reads_go_to(&pool, "in turn", &ports).await;
    for _ in 0..10 {
        let mut replicas = pool.replica().prefer(ReadPreference::ReplicaOnly);
        assert_ne!(port(&mut replicas, "k").await, ports[0]);
        let mut master = pool.replica().prefer(ReadPreference::MasterPreferred);
        assert_eq!(port(&mut master, "k").await, ports[0]);
    }
    let homes = homes_of(&pool.replica().balance(Balance::ByKey)).await;
    assert_eq!(homes.values().copied().collect::<BTreeSet<_>>(), ports.iter().copied().collect(), "{homes:?}");
    // What may write goes to none but replicas, which refuse it
    for _ in 0..6 {
        let error = pool.replica().set::<_, _, ()>("k", 1).await.unwrap_err();
        assert_eq!(error.code(), Some("READONLY"), "{error}");
    }

    // When the master alone is near, it alone is read from; and the replicas when it is far
    let near = |handle: Replica| handle.balance(Balance::LowestLatency { tolerance: Duration::from_millis(20) });
    let all_go_to = async |what: &str, wanted: &[u16]| {
        let wanted: BTreeSet<_> = wanted.iter().copied().collect();
        let look = || async {
            let mut seen = BTreeSet::new();
            for _ in 0..12 {
                seen.insert(port(&mut near(pool.replica()), "k").await);
            }
            (seen == wanted).then_some(())
        };
        eventually(what, SOON, look, || format!("{:#?}", pool.replicas())).await;
    };
    paths[1].delay(Duration::from_millis(60));
    paths[2].delay(Duration::from_millis(60));
    all_go_to("the master is near", &ports[..1]).await;
    paths[0].delay(Duration::from_millis(120));
    all_go_to("the master is further", &ports[1..]).await;
    for path in &paths {
        path.delay(Duration::ZERO);
    }

    // When many commands are under way at it, others are not sent there
    paths[0].delay(Duration::from_millis(300));
    let before = pool.statistics().commands;
    let busy: Vec<_> = (0..20)
        .map(|_| {
            let mut master = pool.master();
            tokio::spawn(async move { master.get::<_, Option<u64>>("k").await })
        })
        .collect();
    let all_sent = || async { (pool.statistics().commands >= before + 20).then_some(()) };
    eventually("all are under way", SOON, all_sent, || format!("{:?}", pool.statistics())).await;
    let some_done = || busy.iter().any(|task| task.is_finished());
    while !some_done() {
        let node = port(&mut pool.replica().balance(Balance::LeastInFlight), "k").await;
        assert!(node != ports[0] || some_done(), "20 commands are under way at {node}");
    }
    for task in busy {
        task.await.unwrap().unwrap();
    }
    paths[0].delay(Duration::ZERO);

    // When it dies, reads go on at the replicas, and at the next master
    deployment.nodes[0].kill();
    reads_go_to(&pool, "two are left", &ports[1..]).await;
    let master = deployment.nodes[1..].iter().map(|node| node.port).collect::<BTreeSet<_>>();
    let moved = support::topology(&pool, "the pool moved", |now| now.generation > 1 && now.verified).await;
    let moved = moved.master.clone().expect("a master");
    assert!(paths[1..].iter().any(|path| path.port == moved.port()), "{moved} of {master:?}");
    reads_go_to(&pool, "the new master and its replica", &ports[1..]).await;
    pool.shutdown(Duration::from_secs(1)).await;
}
