//! Questions to data nodes and Sentinels, with deadlines.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

const PATIENCE: Duration = Duration::from_secs(2);

/// The master's name in all deployments here.
pub(crate) const NAME: &str = "mymaster";

/// What a Sentinel says of the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Opinion {
    /// Its address, as clients are told.
    pub(crate) address: String,
    /// The epoch of that configuration.
    pub(crate) epoch: String,
    /// `master` when all is well.
    pub(crate) flags: String,
    /// Replicas it knows.
    pub(crate) replicas: String,
}

/// What a data node says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replication {
    /// `master` or `slave`.
    pub(crate) role: String,
    /// The address it replicates from, and whether that link is up.
    pub(crate) source: Option<(String, bool)>,
}

/// Asks a Sentinel for its opinion.
pub(crate) fn opinion(address: &str) -> RedisResult<Opinion> {
    let mut connection = connect(address)?;
    let (host, port): (String, u16) = question(&mut connection, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME])?;
    let mut fields: BTreeMap<String, String> = question(&mut connection, &["SENTINEL", "MASTER", NAME])?;
    let mut field = |name: &str| fields.remove(name).unwrap_or_default();
    Ok(Opinion {
        address: format!("{host}:{port}"),
        epoch: field("config-epoch"),
        flags: field("flags"),
        replicas: field("num-slaves"),
    })
}

/// Where a Sentinel knows the others.
pub(crate) fn other_sentinels(address: &str) -> RedisResult<BTreeSet<String>> {
    let known: Vec<BTreeMap<String, String>> = question(&mut connect(address)?, &["SENTINEL", "SENTINELS", NAME])?;
    Ok(known.iter().map(|fields| format!("{}:{}", fields["ip"], fields["port"])).collect())
}

/// Asks a data node for its role.
pub(crate) fn replication(address: &str) -> RedisResult<Replication> {
    let text: String = question(&mut connect(address)?, &["INFO", "replication"])?;
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.trim_end().split_once(':')?;
            (key == name).then(|| value.to_owned())
        })
    };
    let source = match (field("master_host"), field("master_port")) {
        (Some(host), Some(port)) => {
            Some((format!("{host}:{port}"), field("master_link_status").as_deref() == Some("up")))
        }
        _ => None,
    };
    Ok(Replication { role: field("role").unwrap_or_default(), source })
}

/// Has a Sentinel move the master by hand; it may refuse.
pub(crate) fn failover(address: &str) -> RedisResult<()> {
    question(&mut connect(address)?, &["SENTINEL", "FAILOVER", NAME])
}

/// All keys of a data node.
pub(crate) fn keys(address: &str) -> RedisResult<BTreeSet<String>> {
    let mut connection = connect(address)?;
    connection.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut keys = BTreeSet::new();
    let mut cursor: u64 = 0;
    loop {
        let (next, batch): (u64, Vec<String>) =
            redis::cmd("SCAN").arg(cursor).arg("COUNT").arg(20_000).query(&mut connection)?;
        keys.extend(batch);
        if next == 0 {
            return Ok(keys);
        }
        cursor = next;
    }
}

fn connect(address: &str) -> RedisResult<Connection> {
    let connection = redis::Client::open(format!("redis://{address}"))?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

fn question<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> RedisResult<T> {
    let (name, rest) = words.split_first().expect("a command has a name");
    redis::cmd(name).arg(rest).query(connection)
}
