//! What is the node at the other end of this very connection?

use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisError, ServerErrorKind, Value};

use crate::fields::{brief, field, number, text};

/// Names the connection and asks for the role, in one round trip.
///
/// `Err` says what the node is instead, or why it did not answer. The caller sets the deadline.
pub(crate) async fn is_master(connection: &mut MultiplexedConnection, client_name: Option<&str>) -> Result<(), String> {
    match role(connection, client_name).await? {
        Value::Array(parts) => judge(parts.first().and_then(text)),
        Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoPerm) => {
            judge(Some(&by_greeting(connection).await?))
        }
        other => Err(brief(&other)),
    }
}

/// What a replica that is linked to its master tells.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Synced {
    /// How far it has come, where it may be asked.
    pub(crate) offset: Option<u64>,
    /// How long it took to answer one question.
    pub(crate) round_trip: Duration,
}

/// The same for a replica that is linked to its master.
pub(crate) async fn synced_replica(
    connection: &mut MultiplexedConnection,
    client_name: Option<&str>,
) -> Result<Synced, String> {
    let began = Instant::now();
    let answer = role(connection, client_name).await?;
    let round_trip = began.elapsed();
    let offset = match answer {
        Value::Array(parts) => judge_replica(&parts)?,
        // Whether it is linked, the Sentinels know.
        Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoPerm) => {
            match by_greeting(connection).await?.as_str() {
                "slave" | "replica" => None,
                role => return Err(format!("it is a {role}")),
            }
        }
        other => return Err(brief(&other)),
    };
    Ok(Synced { offset, round_trip })
}

/// How far a master has come, as its answer to ROLE tells.
pub(crate) fn offset_of_master(answer: &Value) -> Option<u64> {
    let Value::Array(parts) = answer else { return None };
    judge(parts.first().and_then(text)).ok()?;
    parts.get(1).and_then(number)
}

async fn role(connection: &mut MultiplexedConnection, client_name: Option<&str>) -> Result<Value, String> {
    let mut questions = redis::pipe();
    if let Some(name) = client_name {
        questions.cmd("CLIENT").arg("SETNAME").arg(name);
    }
    questions.cmd("ROLE");
    let mut answers = connection
        .req_packed_commands(&questions, 0, questions.len())
        .await
        .map_err(|error| format!("no answer to ROLE: {error}"))?;
    // A refused name is not worth a master: only the last answer counts.
    answers.pop().ok_or_else(|| "no answer to ROLE".to_owned())
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

fn judge_replica(parts: &[Value]) -> Result<Option<u64>, String> {
    match (parts.first().and_then(text), parts.get(3).and_then(text)) {
        (Some("slave" | "replica"), Some("connected")) => Ok(parts.get(4).and_then(number)),
        (Some("slave" | "replica"), Some(state)) => Err(format!("its link to the master is in state `{state}`")),
        (Some(role @ ("master" | "primary" | "sentinel")), _) => Err(format!("it is a {role}")),
        _ => Err("ROLE brought nonsense".to_owned()),
    }
}
