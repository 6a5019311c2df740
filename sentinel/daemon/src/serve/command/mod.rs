//! What each command does. Checks come first, in the reference's order: the command exists, has the right number of
//! words, the client is authenticated, its user may run it, and it is not a RESP2 subscriber that asks for something else.

mod acl;
mod catalogue;
mod clients;
mod connection;
mod info;
mod sentinel;
mod subscription;

use std::rc::Rc;

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use sentinel_core::types::HostPort;
use sentinel_resp::Reply;
use tokio::time::Instant;

use super::{
    Server,
    acl::{Denied, Reason},
    client::{Client, State},
};
use crate::commands::{self, Command, Verb};

pub(crate) use sentinel_core::command::serving;

/// `SENTINEL GET-MASTER-ADDR-BY-NAME name` without the name, as libraries send it.
pub(crate) const ADDRESS: &[u8] = b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nGET-MASTER-ADDR-BY-NAME\r\n";

/// What comes of a request.
pub(crate) enum Answer {
    /// One reply, now.
    Now(Reply),
    /// The address of a master, now.
    Address(HostPort),
    /// Several replies, now: one a channel.
    Each(Vec<Reply>),
    /// One reply that the monitor gives later. What the client asked meanwhile waits.
    Later(LocalBoxFuture<'static, Reply>),
    /// One reply, and the end of the connection.
    Last(Reply),
    /// The end of the process.
    Shutdown,
}

impl Answer {
    /// Whether it is an error. None: that is not known yet.
    pub(super) fn has_failed(&self) -> Option<bool> {
        match self {
            Self::Now(reply) | Self::Last(reply) => Some(reply.is_error()),
            Self::Each(replies) => Some(replies.iter().any(Reply::is_error)),
            Self::Address(_) | Self::Shutdown => Some(false),
            Self::Later(_) => None,
        }
    }
}

impl From<Reply> for Answer {
    fn from(reply: Reply) -> Self {
        Self::Now(reply)
    }
}

/// One request, checked, with everything that answering it needs.
pub(crate) struct Request<'a> {
    /// The process.
    pub(crate) server: &'a Rc<Server>,
    /// Who asks.
    pub(crate) client: &'a Rc<Client>,
    /// All words, the name first.
    pub(crate) words: &'a [Bytes],
}

impl Request<'_> {
    /// The words behind a command's name.
    fn arguments(&self) -> &[Bytes] {
        self.words.get(1..).unwrap_or_default()
    }

    /// The words behind a subcommand's name.
    fn options(&self) -> &[Bytes] {
        self.words.get(2..).unwrap_or_default()
    }
}

/// Checks that the client may have this command executed now.
pub(crate) fn check(server: &Server, client: &Client, words: &[Bytes]) -> Result<&'static Command, Reply> {
    let look = server.settings.compatible;
    let command = server.names.look_up(words).map_err(|unknown| {
        let stranger = || client.read(|state| server.users.acting(state.user.as_ref()).is_none());
        let open = words.first().is_some_and(|name| is(name, "auth") || is(name, "hello"));
        if look.asks_for_login_first() && !open && stranger() {
            login_required()
        } else if matches!(words, [name, keys, _] if is(name, "command") && is_keys(keys)) {
            look.refused_keys(unknown)
        } else {
            unknown
        }
    })?;
    let permitted = client.read(|state| match server.users.acting(state.user.as_ref()) {
        Some(user) => user.check(command, words),
        None if command.is_open() => Ok(()),
        None => Err(Denied::Login),
    });
    if let Err(denied) = permitted {
        return Err(refuse(server, client, command, words, denied));
    }
    let bound = client.read(State::is_bound);
    if bound && !command.fits_subscribers() {
        return Err(Reply::err(format!(
            "Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context",
            command.name
        )));
    }
    Ok(command)
}

fn is_keys(subcommand: &[u8]) -> bool {
    is(subcommand, "getkeys") || is(subcommand, "getkeysandflags")
}

fn login_required() -> Reply {
    Reply::error("NOAUTH Authentication required.")
}

/// Says what a client lacks permission for, and remembers it for ACL LOG.
fn refuse(server: &Server, client: &Client, command: &'static Command, words: &[Bytes], denied: Denied) -> Reply {
    let look = server.settings.compatible;
    let (reason, object, reply) = match denied {
        Denied::Login => return login_required(),
        Denied::Command => (
            Reason::Command,
            command.name.as_bytes(),
            Reply::error(match client.read(|state| server.users.acting(state.user.as_ref()).cloned()) {
                Some(user) => format!("NOPERM {}", look.denied_command(&user, command.name)),
                None => return login_required(),
            }),
        ),
        Denied::Channel(position) => {
            (Reason::Channel, words.get(position).map_or(&b""[..], |word| word), Reply::error(look.denied_channel()))
        }
    };
    client.update(|state| state.last_command = Some(command));
    client.read(|state| {
        if let Some(user) = server.users.acting(state.user.as_ref()) {
            server.users.log.borrow_mut().note(Instant::now(), reason, object, user.name(), client.line());
        }
    });
    reply
}

/// Executes a command that passed [`check`].
pub(crate) fn execute(command: &Command, request: &Request<'_>) -> Answer {
    match command.does {
        // The table gives every container at least one subcommand, so the look-up never ends at one.
        Verb::Container => Reply::err(format!("wrong number of arguments for '{}' command", command.name)).into(),
        Verb::Acl(verb) => acl::execute(verb, request),
        Verb::Auth => connection::auth(request),
        Verb::Catalogue(verb) => catalogue::execute(verb, request),
        Verb::Client(verb) => clients::execute(verb, request),
        Verb::Hello => connection::hello(request),
        Verb::Info => Reply::from(info::text(request.server, request.arguments())).into(),
        Verb::Ping => connection::ping(request),
        Verb::Publish => sentinel::publish(request),
        Verb::Quit => Answer::Last(Reply::ok()),
        Verb::Reset => connection::reset(request),
        Verb::Role => sentinel::role(request),
        Verb::Sentinel(subcommand) => sentinel::execute(subcommand, request),
        Verb::Address => sentinel::address(request),
        Verb::Shutdown => connection::shutdown(request),
        Verb::Subscribe | Verb::SubscribePattern | Verb::Unsubscribe | Verb::UnsubscribePattern => {
            subscription::execute(command.does, request)
        }
    }
}

fn syntax_error() -> Answer {
    Reply::err("syntax error").into()
}

/// Whether a word is this option, in any case.
fn is(word: &[u8], option: &str) -> bool {
    word.eq_ignore_ascii_case(option.as_bytes())
}

/// The number that a word spells in the one way that the reference accepts.
fn integer(word: &[u8]) -> Option<i64> {
    let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
    (number.to_string().as_bytes() == word).then_some(number)
}

/// A help text: lines of simple strings, with a headline and the line that every help ends with.
fn help(container: &str) -> Answer {
    let lines = commands::help_of(container);
    let headline =
        format!("{} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:", container.to_ascii_uppercase());
    let mut replies = vec![Reply::status(headline)];
    replies.extend(lines.chain(["HELP", "    Prints this help."]).map(Reply::status));
    Reply::Array(replies).into()
}
