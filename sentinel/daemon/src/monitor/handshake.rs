//! Authentication, name and protocol of a fresh connection.

use std::time::Duration;

use sentinel_core::{LinkFault, Target, TargetKind, login_refusal};
use sentinel_resp::Reply;

use super::{
    connection::Connection,
    wire::{self, Command},
};

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

/// A connection that is set up.
#[derive(Debug)]
pub(super) struct Greeted {
    pub(super) protocol: Protocol,
    /// With what error the login was refused. The connection is used without it.
    pub(super) refused_login: Option<String>,
}

/// Sets up the connection that carries commands.
///
/// Data nodes are asked for RESP3 in the same command that authenticates; servers that do not know it are served in
/// RESP2. Peers get the reference's set-up, since they may be the reference.
///
/// A refused login is no fault while the instance serves this connection all the same, as one whose default user is
/// open does: the reference goes on, too. Where nothing is served without a login the link is [`LinkFault::Denied`].
pub(super) async fn commands(connection: &mut Connection, target: &Target) -> Result<Greeted, LinkFault> {
    let name = format!("{}-cmd", target.client_name);
    if target.kind == TargetKind::DataNode
        && let Some(greeted) = hello(connection, target, &name).await?
    {
        return Ok(greeted);
    }
    let refused_login = resp2(connection, target, &name).await?;
    Ok(Greeted { protocol: Protocol::Resp2, refused_login })
}

/// Sets up a second RESP2 connection, for a subscription. What comes of it shows whether the login was needed.
pub(super) async fn pubsub(connection: &mut Connection, target: &Target) -> Result<(), LinkFault> {
    resp2(connection, target, &format!("{}-pubsub", target.client_name)).await.map(drop)
}

/// Asks for RESP3. None: the server does not have it, and the connection is as before.
async fn hello(connection: &mut Connection, target: &Target, name: &str) -> Result<Option<Greeted>, LinkFault> {
    let command = || Command::new(&target.rename_commands, "HELLO").arg("3");
    let resp3 = |refused_login| Ok(Some(Greeted { protocol: Protocol::Resp3, refused_login }));
    let mut refused = None;
    if let Some(pass) = &target.pass {
        let user = target.user.as_deref().unwrap_or("default");
        let with_login = command().arg("AUTH").arg(user).arg(pass.expose());
        connection.queue(&with_login.arg("SETNAME").arg(name).packed());
        match answer(connection).await? {
            Reply::Error(line) if is_shut(&line) => return Err(LinkFault::Denied(line)),
            Reply::Error(line) if is_temporary(&line) => return Err(LinkFault::Failed(line)),
            Reply::Error(line) if is_about_login(&line) => refused = Some(line),
            // Unknown command, unknown protocol version, a proxy that has its own words: RESP2 is understood by all.
            Reply::Error(_) => return Ok(None),
            _ => return resp3(None),
        }
    }
    connection.queue(&command().arg("SETNAME").arg(name).packed());
    match answer(connection).await? {
        Reply::Error(line) if is_shut(&line) || line.starts_with("NOAUTH") => {
            Err(LinkFault::Denied(refused.unwrap_or(line)))
        }
        Reply::Error(line) if is_temporary(&line) => Err(LinkFault::Failed(line)),
        Reply::Error(_) => Ok(None),
        _ => resp3(refused),
    }
}

/// With what error the login was refused, if the connection can be used without it.
async fn resp2(connection: &mut Connection, target: &Target, name: &str) -> Result<Option<String>, LinkFault> {
    if let Some(pass) = &target.pass {
        connection.queue(&wire::sign_in(target.user.as_deref(), pass, &target.rename_commands));
    }
    let set_name = Command::new(&target.rename_commands, "CLIENT").arg("SETNAME").arg(name);
    connection.queue(&set_name.packed());
    let mut refused = None;
    if target.pass.is_some() {
        match answer(connection).await? {
            Reply::Error(line) if is_shut(&line) => return Err(LinkFault::Denied(line)),
            Reply::Error(line) if is_temporary(&line) || is_busy(&line) => return Err(LinkFault::Failed(line)),
            Reply::Error(line) if login_refusal(&line).is_some() => refused = Some(line),
            _ => {}
        }
    }
    match answer(connection).await? {
        Reply::Error(line) if is_temporary(&line) => Err(LinkFault::Failed(line)),
        Reply::Error(line) if is_shut(&line) || line.starts_with("NOAUTH") => {
            Err(LinkFault::Denied(refused.unwrap_or(line)))
        }
        // A name is a courtesy to whoever reads CLIENT LIST; a user may lack the permission to give it.
        _ => Ok(refused),
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

/// This host is not let in, whatever it says: the connection is closed behind this line.
fn is_shut(line: &str) -> bool {
    line.starts_with("DENIED")
}

/// The answer to a command that is more than a login.
fn is_about_login(line: &str) -> bool {
    ["WRONGPASS", "NOAUTH"].iter().any(|code| line.starts_with(code))
}

/// The server is there but cannot serve this connection now.
fn is_temporary(line: &str) -> bool {
    line.starts_with("ERR max number of clients")
}

/// Before 7.0 a server that runs a script or loads its data does not even authenticate.
fn is_busy(line: &str) -> bool {
    line.starts_with("BUSY") || line.starts_with("LOADING")
}
