//! Is the node at the other end of this very connection a master?

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{RedisError, ServerErrorKind, Value};

use crate::fields::{brief, field, text};

/// Names the connection and asks for the role, in one round trip.
///
/// `Err` says what the node is instead, or why it did not answer. The caller sets the deadline.
pub(crate) async fn is_master(connection: &mut MultiplexedConnection, client_name: Option<&str>) -> Result<(), String> {
    let mut questions = redis::pipe();
    if let Some(name) = client_name {
        questions.cmd("CLIENT").arg("SETNAME").arg(name);
    }
    questions.cmd("ROLE");
    let answers = connection
        .req_packed_commands(&questions, 0, questions.len())
        .await
        .map_err(|error| format!("no answer to ROLE: {error}"))?;
    // A refused name is not worth a master: only the last answer counts.
    let role = answers.last().ok_or("no answer to ROLE")?;
    match role {
        Value::Array(parts) => judge(parts.first().and_then(text)),
        Value::ServerError(error) if error.kind() == Some(ServerErrorKind::NoPerm) => by_greeting(connection).await,
        other => Err(brief(other)),
    }
}

/// ROLE is in the category @dangerous, which many applications may not use. HELLO without arguments changes nothing,
/// is allowed to everybody, and names the role too (Redis 6 and later).
async fn by_greeting(connection: &mut MultiplexedConnection) -> Result<(), String> {
    let greeting = connection
        .req_packed_command(&redis::cmd("HELLO"))
        .await
        .map_err(|error: RedisError| format!("no answer to HELLO: {error}"))?;
    match field(&greeting, "role") {
        Some(role) => judge(text(role)),
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
