//! What is the node at the other end of this very connection?

use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisError, ServerError, ServerErrorKind, Value};

use crate::fields::{brief, field, number, text};

/// Ids of one history that are remembered: those of the last few promotions.
const MOST_IDS: usize = 8;

/// The replication ids of a master: that of its data now, and that of the data they go on from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History(Vec<String>);

impl History {
    /// Whether it was told: INFO is in the category @dangerous, which many applications may not use.
    pub(crate) fn is_known(&self) -> bool {
        !self.0.is_empty()
    }

    pub(crate) fn shares(&self, other: &Self) -> bool {
        self.0.iter().any(|id| other.0.contains(id))
    }

    /// Adds what was learnt later of the same data; the oldest are forgotten.
    pub(crate) fn add(&mut self, later: Self) {
        self.0.retain(|id| !later.0.contains(id));
        self.0.extend(later.0);
        let surplus = self.0.len().saturating_sub(MOST_IDS);
        self.0.drain(..surplus);
    }

    fn read(answer: Option<&Value>) -> Self {
        let ids = answer.and_then(text).unwrap_or_default().lines().filter_map(|line| {
            let (name, id) = line.split_once(':')?;
            let id = id.trim();
            let is_id = id.len() == 40 && id.bytes().any(|digit| digit != b'0');
            (is_id && matches!(name, "master_replid" | "master_replid2")).then(|| id.to_owned())
        });
        Self(ids.take(2).collect())
    }
}

/// Names the connection and asks for the role, in one round trip.
///
/// `Err` says what the node is instead, or why it did not answer. The caller sets the deadline.
pub(crate) async fn is_master(connection: &mut MultiplexedConnection, client_name: Option<&str>) -> Result<(), String> {
    let answer = ask(connection, client_name, false).await?.pop().unwrap_or(Value::Nil);
    judge_master(connection, answer).await
}

/// The same, and with whose data it goes on.
pub(crate) async fn master_with_history(
    connection: &mut MultiplexedConnection,
    client_name: Option<&str>,
) -> Result<History, String> {
    let mut answers = ask(connection, client_name, true).await?;
    let history = History::read(answers.pop().as_ref());
    judge_master(connection, answers.pop().unwrap_or(Value::Nil)).await?;
    Ok(history)
}

async fn judge_master(connection: &mut MultiplexedConnection, answer: Value) -> Result<(), String> {
    match answer {
        Value::Array(parts) => judge(parts.first().and_then(text)),
        Value::ServerError(error) if hides_the_role(&error) => judge(Some(&by_greeting(connection).await?)),
        other => Err(brief(&other)),
    }
}

/// ROLE may not be asked, or not now: a script that runs for long keeps a master from nothing but answering.
fn hides_the_role(error: &ServerError) -> bool {
    matches!(error.kind(), Some(ServerErrorKind::NoPerm)) || error.code() == "BUSY"
}

/// What a replica tells.
#[derive(Debug, Clone)]
pub(crate) struct Replicating {
    /// The state of its link to the master, if that does not stand.
    pub(crate) broken: Option<String>,
    /// How far it has come, where it may be asked.
    pub(crate) offset: Option<u64>,
    /// How long it took to answer one question.
    pub(crate) round_trip: Duration,
}

/// The same for a replica.
pub(crate) async fn replica(
    connection: &mut MultiplexedConnection,
    client_name: Option<&str>,
) -> Result<Replicating, String> {
    let began = Instant::now();
    let answer = ask(connection, client_name, false).await?.pop().unwrap_or(Value::Nil);
    let round_trip = began.elapsed();
    let (broken, offset) = match answer {
        Value::Array(parts) => judge_replica(&parts)?,
        // Whether it is linked, the Sentinels know.
        Value::ServerError(error) if hides_the_role(&error) => match by_greeting(connection).await?.as_str() {
            "slave" | "replica" => (None, None),
            role => return Err(format!("it is a {role}")),
        },
        other => return Err(brief(&other)),
    };
    Ok(Replicating { broken, offset, round_trip })
}

/// How far a master has come, as its answer to ROLE tells.
pub(crate) fn offset_of_master(answer: &Value) -> Option<u64> {
    let Value::Array(parts) = answer else { return None };
    judge(parts.first().and_then(text)).ok()?;
    parts.get(1).and_then(number)
}

/// The answers to ROLE and, if it is wanted, to INFO, which come last.
async fn ask(
    connection: &mut MultiplexedConnection,
    client_name: Option<&str>,
    history: bool,
) -> Result<Vec<Value>, String> {
    let mut questions = redis::pipe();
    if let Some(name) = client_name {
        questions.cmd("CLIENT").arg("SETNAME").arg(name);
    }
    questions.cmd("ROLE");
    if history {
        questions.cmd("INFO").arg("replication");
    }
    let answers = connection
        .req_packed_commands(&questions, 0, questions.len())
        .await
        .map_err(|error| format!("no answer to ROLE: {error}"))?;
    // A refused name is not worth a master: only the last answers count.
    Ok(answers)
}

/// ROLE is in the category @dangerous, which many applications may not use. HELLO without arguments changes nothing,
/// is allowed to everybody, and names the role too (Redis 6 and later).
async fn by_greeting(connection: &mut MultiplexedConnection) -> Result<String, String> {
    let greeting = connection
        .req_packed_command(&redis::cmd("HELLO"))
        .await
        .map_err(|error: RedisError| format!("no answer to HELLO: {error}"))?;
    match field(&greeting, "role").and_then(text) {
        Some(role) => Ok(role.to_owned()),
        None => Err(format!("ROLE is not permitted, and HELLO brings {}", brief(&greeting))),
    }
}

fn judge(role: Option<&str>) -> Result<(), String> {
    match role {
        Some("master" | "primary") => Ok(()),
        Some(role @ ("slave" | "replica" | "sentinel")) => Err(format!("it is a {role}")),
        _ => Err("ROLE brought nonsense".to_owned()),
    }
}

/// The state of a broken link, and how far it has come.
fn judge_replica(parts: &[Value]) -> Result<(Option<String>, Option<u64>), String> {
    match (parts.first().and_then(text), parts.get(3).and_then(text)) {
        (Some("slave" | "replica"), Some(state)) => {
            let broken = (state != "connected").then(|| state.to_owned());
            Ok((broken, parts.get(4).and_then(number)))
        }
        (Some(role @ ("master" | "primary" | "sentinel")), _) => Err(format!("it is a {role}")),
        _ => Err("ROLE brought nonsense".to_owned()),
    }
}
