//! PING, HELLO, AUTH, RESET, SHUTDOWN: what concerns the connection itself.

use sentinel_resp::{Protocol, Reply};
use tokio::time::Instant;

use super::{Answer, Request, clients, integer, is, syntax_error};
use crate::{
    commands,
    serve::{acl::Reason, client::State},
};

pub(super) fn ping(request: &Request<'_>) -> Answer {
    let message = match request.arguments() {
        [] => None,
        [message] => Some(message.clone()),
        _ => return Reply::err("wrong number of arguments for 'ping' command").into(),
    };
    let bound = request.client.read(State::is_bound);
    match message {
        message if bound => Reply::Array(vec![Reply::from("pong"), Reply::Bulk(message.unwrap_or_default())]),
        Some(message) => Reply::Bulk(message),
        None => Reply::status("PONG"),
    }
    .into()
}

/// `HELLO [protover [AUTH user pass] [SETNAME name]]`. Options are applied from left to right; the version changes
/// only after all of them were right.
pub(super) fn hello(request: &Request<'_>) -> Answer {
    let client = request.client;
    let protocol = match request.arguments().first().map(|word| integer(word)) {
        None => None,
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return Reply::error("NOPROTO unsupported protocol version").into(),
        Some(None) => return Reply::err("Protocol version is not an integer or out of range").into(),
    };
    let look = request.server.settings.compatible;
    let mut named = None;
    let mut options = request.options();
    while let [option, rest @ ..] = options {
        options = match rest {
            [name, password, rest @ ..] if is(option, "auth") => {
                if let Err(error) = log_in(request, name, password) {
                    return error.into();
                }
                rest
            }
            [name, rest @ ..] if is(option, "setname") => {
                if look.names_after_login() {
                    named = Some(name);
                } else if let Err(error) = clients::rename(client, name) {
                    return error.into();
                }
                rest
            }
            _ => {
                let option = commands::repeated(option, usize::MAX);
                return Reply::err(format!("Syntax error in HELLO option '{option}'")).into();
            }
        };
    }
    if client.read(|state| request.server.users.acting(state.user.as_ref()).is_none()) {
        return Reply::error(format!(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the {} option can be used to \
             authenticate the client and select the RESP protocol version at the same time",
            look.hello_with_login()
        ))
        .into();
    }
    if let Some(Err(error)) = named.map(|name| clients::rename(client, name)) {
        return error.into();
    }
    let version = client.update(|state| {
        state.protocol = protocol.unwrap_or(state.protocol);
        state.protocol.version()
    });
    Reply::map([
        ("server", Reply::from(look.server())),
        ("version", Reply::from(look.version())),
        ("proto", Reply::Integer(version)),
        ("id", Reply::Integer(i64::try_from(client.id).unwrap_or(i64::MAX))),
        ("mode", Reply::from("sentinel")),
        ("modules", Reply::Array(Vec::new())),
    ])
    .into()
}

pub(super) fn auth(request: &Request<'_>) -> Answer {
    let outcome = match request.arguments() {
        [_] if request.server.users.is_open() => Err(Reply::err(
            "AUTH <password> called without any password configured for the default user. Are you sure your \
             configuration is correct?",
        )),
        [password] => log_in(request, b"default", password),
        [name, password] => log_in(request, name, password),
        _ => return syntax_error(),
    };
    outcome.map_or_else(Answer::from, |()| Reply::ok().into())
}

/// Makes the connection that of a user. A failure leaves it what it is, and is remembered.
fn log_in(request: &Request<'_>, name: &[u8], password: &[u8]) -> Result<(), Reply> {
    let (client, users) = (request.client, &request.server.users);
    if let Some(user) = users.authenticate(name, password) {
        client.update(|state| state.user = Some(user));
        return Ok(());
    }
    let word = request.words.first().map_or(&b""[..], |word| word);
    users.log.borrow_mut().note(Instant::now(), Reason::Auth, word, name, client.line());
    Err(Reply::error("WRONGPASS invalid username-password pair or user is disabled."))
}

/// RESET: no subscriptions, no name, RESP2, and the user of a new connection.
pub(super) fn reset(request: &Request<'_>) -> Answer {
    request.server.hub.leave(request.client);
    request.client.reset(&request.server.users);
    Reply::status("RESET").into()
}

/// `SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]`. There is no data set, so that all ways to end are one.
pub(super) fn shutdown(request: &Request<'_>) -> Answer {
    let (mut save, mut no_save, mut abort, mut other) = (false, false, false, false);
    for option in request.arguments() {
        match option {
            word if is(word, "save") => save = true,
            word if is(word, "nosave") => no_save = true,
            word if is(word, "abort") => abort = true,
            word if is(word, "now") || is(word, "force") => other = true,
            _ => return syntax_error(),
        }
    }
    if (save && no_save) || (abort && (save || no_save || other)) {
        syntax_error()
    } else if abort {
        Reply::err("No shutdown in progress.").into()
    } else {
        Answer::Shutdown
    }
}
