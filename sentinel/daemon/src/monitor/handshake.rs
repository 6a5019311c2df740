//! Authentication, name and protocol of a fresh connection.

use std::time::Duration;

use sentinel_core::{LinkFault, Target, TargetKind};
use sentinel_resp::Reply;

use super::{connection::Connection, wire::Command};

/// How long an instance may take to answer the set-up. One that hangs costs one connection in this time.
///
/// Longer than connecting may take: a busy server that answers late is used as soon as it does.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(6);

/// What a command connection speaks after its set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    /// Messages may arrive between answers.
    Resp3,
    /// A subscription needs a connection of its own.
    Resp2,
}

/// Sets up the connection that carries commands.
///
/// Data nodes are asked for RESP3 in the same command that authenticates; servers that do not know it are served in
/// RESP2. Peers get the reference's set-up, since they may be the reference.
pub(super) async fn commands(connection: &mut Connection, target: &Target) -> Result<Protocol, LinkFault> {
    let name = format!("{}-cmd", target.client_name);
    if target.kind == TargetKind::DataNode && hello(connection, target, &name).await? {
        return Ok(Protocol::Resp3);
    }
    resp2(connection, target, &name).await?;
    Ok(Protocol::Resp2)
}

/// Sets up a second RESP2 connection, for a subscription.
pub(super) async fn pubsub(connection: &mut Connection, target: &Target) -> Result<(), LinkFault> {
    resp2(connection, target, &format!("{}-pubsub", target.client_name)).await
}

/// Asks for RESP3. False: the server does not have it, and the connection is as before.
async fn hello(connection: &mut Connection, target: &Target, name: &str) -> Result<bool, LinkFault> {
    let mut command = Command::new(&target.rename_commands, "HELLO").arg("3");
    if let Some(pass) = &target.pass {
        command = command.arg("AUTH").arg(target.user.as_deref().unwrap_or("default")).arg(pass.expose());
    }
    connection.queue(&command.arg("SETNAME").arg(name).packed());
    match answer(connection).await? {
        Reply::Error(line) if is_denial(&line) => Err(LinkFault::Denied(line)),
        Reply::Error(line) if is_temporary(&line) => Err(LinkFault::Failed(line)),
        // Unknown command, unknown protocol version, a proxy that has its own words: RESP2 is understood by all.
        Reply::Error(_) => Ok(false),
        _ => Ok(true),
    }
}

async fn resp2(connection: &mut Connection, target: &Target, name: &str) -> Result<(), LinkFault> {
    let command = |name: &str| Command::new(&target.rename_commands, name);
    if let Some(pass) = &target.pass {
        let auth = target.user.iter().fold(command("AUTH"), |auth, user| auth.arg(user));
        connection.queue(&auth.arg(pass.expose()).packed());
    }
    connection.queue(&command("CLIENT").arg("SETNAME").arg(name).packed());
    if target.pass.is_some() {
        match answer(connection).await? {
            // A password that nobody asked for does no harm, as with the reference, which ignores the answer.
            Reply::Error(line) if wants_no_password(&line) => {}
            Reply::Error(line) if is_temporary(&line) || is_busy(&line) => return Err(LinkFault::Failed(line)),
            Reply::Error(line) => return Err(LinkFault::Denied(line)),
            _ => {}
        }
    }
    match answer(connection).await? {
        Reply::Error(line) if is_temporary(&line) => Err(LinkFault::Failed(line)),
        Reply::Error(line) if is_denial(&line) && !line.starts_with("NOPERM") => Err(LinkFault::Denied(line)),
        // A name is a courtesy to whoever reads CLIENT LIST; a user may lack the permission to give it.
        _ => Ok(()),
    }
}

/// The next value as an answer. Nothing is subscribed yet, so nothing else arrives.
async fn answer(connection: &mut Connection) -> Result<Reply, LinkFault> {
    loop {
        match connection.value().await {
            Ok(Reply::Push(_)) => {}
            Ok(reply) => return Ok(reply),
            Err(LinkFault::Closed) => {
                return Err(LinkFault::Failed("closed by the other side while it was set up".to_owned()));
            }
            Err(fault) => return Err(fault),
        }
    }
}

/// Other credentials are wanted, or this host is not let in.
fn is_denial(line: &str) -> bool {
    ["WRONGPASS", "NOAUTH", "NOPERM", "DENIED"].iter().any(|code| line.starts_with(code))
}

/// The server is there but cannot serve this connection now.
fn is_temporary(line: &str) -> bool {
    line.starts_with("ERR max number of clients")
}

/// Before 7.0 a server that runs a script or loads its data does not even authenticate.
fn is_busy(line: &str) -> bool {
    line.starts_with("BUSY") || line.starts_with("LOADING")
}

/// The texts of 6.0 and later, and of before.
fn wants_no_password(line: &str) -> bool {
    line.contains("without any password configured") || line.contains("no password is set")
}
