//! Several masters with a replica each, and Sentinels that watch them all.

use std::collections::HashMap;
use std::time::Duration;

use redis::Value;
use sentinel_sdk::sharding::{ShardedBuilder, ShardedPool};
use sentinel_sdk::{Builder, RetryPolicy, Timeouts};
use tempfile::TempDir;

use super::deployment::{Server, wait};

#[derive(Debug)]
pub(crate) struct Shards {
    pub(crate) names: Vec<String>,
    /// The first node of each pair is the master at first.
    pub(crate) nodes: Vec<[Server; 2]>,
    pub(crate) sentinels: Vec<Server>,
    _folder: TempDir,
}

impl Shards {
    pub(crate) fn start(names: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pair = |_: &&str| {
            let master = Server::redis(folder.path(), None, "");
            let replica = Server::redis(folder.path(), Some(master.port), "");
            [master, replica]
        };
        let nodes: Vec<_> = names.iter().map(pair).collect();
        wait("the replicas are linked", || {
            let linked = |pair: &[Server; 2]| {
                let info = pair[1].try_ask::<String>(&["INFO", "replication"]);
                info.is_some_and(|info| info.contains("master_link_status:up"))
            };
            nodes.iter().all(linked)
        });
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let masters: Vec<_> = names.iter().cloned().zip(nodes.iter().map(|pair| pair[0].port)).collect();
        let sentinels: Vec<_> = (0..3).map(|_| Server::sentinel_of(folder.path(), &masters, 2)).collect();
        wait("a failover of each is possible", || {
            sentinels.iter().all(|sentinel| {
                names.iter().all(|name| {
                    let others = sentinel.try_ask::<Vec<Value>>(&["SENTINEL", "SENTINELS", name]);
                    let replicas: Option<Vec<HashMap<String, String>>> =
                        sentinel.try_ask(&["SENTINEL", "REPLICAS", name]);
                    others.is_some_and(|others| others.len() == 2)
                        && replicas.is_some_and(|list| list.len() == 1 && list[0]["master-link-status"] == "ok")
                })
            })
        });
        Self { names, nodes, sentinels, _folder: folder }
    }

    fn hosts(&self) -> String {
        self.sentinels.iter().map(Server::address).collect::<Vec<_>>().join(",")
    }

    pub(crate) async fn connect(&self) -> ShardedPool {
        let url = format!("redis-sentinel://{}?master={}", self.hosts(), self.names.join(","));
        ShardedPool::from_url(&url).await.unwrap()
    }

    /// A builder with all shards whose commands take at most three seconds.
    pub(crate) fn impatient(&self) -> ShardedBuilder {
        self.names.iter().fold(ShardedPool::builder(), |builder, name| {
            let mut timeouts = Timeouts::default();
            timeouts.command = Duration::from_secs(1);
            let shard = Builder::from_url(&format!("redis-sentinel://{}?master={name}", self.hosts())).unwrap();
            builder.shard(name, shard.timeouts(timeouts).retry(RetryPolicy::within(Duration::from_secs(6))))
        })
    }

    /// The node of this shard that is its master now.
    pub(crate) fn master(&self, shard: usize) -> &Server {
        let pair = &self.nodes[shard];
        if pair[1].role() == "master" { &pair[1] } else { &pair[0] }
    }
}
