//! CLIENT: who is connected, and what may be done to them.

use std::rc::Rc;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{Answer, Request, help, integer, is, syntax_error};
use crate::{
    commands::{self, Client},
    serve::{
        acl::Account,
        client::{Answers, Client as Connection, Cut, Kind},
    },
};

const UNUSABLE_NAME: &str = "Client names cannot contain spaces, newlines or special characters.";

pub(super) fn execute(verb: Client, request: &Request<'_>) -> Answer {
    let client = request.client;
    match (verb, request.options()) {
        (Client::Id, _) => Reply::Integer(signed(client.id)).into(),
        (Client::GetName, _) => client.read(|state| text_or_null(&state.name)).into(),
        (Client::SetName, [name]) => rename(client, name).map_or_else(Answer::from, |()| Reply::ok().into()),
        (Client::SetInfo, [attribute, value]) => set_info(client, attribute, value),
        (Client::Info, _) => Reply::text(client.line() + "\n").into(),
        (Client::List, filter) => list(request, filter),
        (Client::Kill, [address]) => kill_address(request, address),
        (Client::Kill, filters) => kill(request, filters),
        (Client::Reply, [mode]) => reply_mode(client, mode),
        (Client::NoEvict, [switch]) if is(switch, "on") || is(switch, "off") => Reply::ok().into(),
        (Client::Pause, words) => pause(words),
        (Client::Unpause, _) => Reply::ok().into(),
        (Client::Unblock, words) => unblock(words),
        (Client::Tracking, words) => tracking(words),
        (Client::Caching, _) => Reply::err(
            "CLIENT CACHING can be called only when the client is in tracking mode with OPTIN or OPTOUT mode enabled",
        )
        .into(),
        (Client::GetRedir, _) => Reply::Integer(-1).into(),
        (Client::TrackingInfo, _) => Reply::map([
            ("flags", Reply::Set(vec![Reply::from("off")])),
            ("redirect", Reply::Integer(-1)),
            ("prefixes", Reply::Array(Vec::new())),
        ])
        .into(),
        (Client::Help, _) => help("client"),
        (Client::SetName | Client::SetInfo | Client::Reply | Client::NoEvict, _) => syntax_error(),
    }
}

/// Gives a connection a name; the empty one takes it away.
pub(super) fn rename(client: &Connection, name: &Bytes) -> Result<(), Reply> {
    if !name.iter().all(u8::is_ascii_graphic) {
        return Err(Reply::err(UNUSABLE_NAME));
    }
    // A copy, since the argument holds on to all that was read together with it.
    client.update(|state| state.name = Bytes::copy_from_slice(name));
    Ok(())
}

fn set_info(client: &Connection, attribute: &[u8], value: &Bytes) -> Answer {
    let (is_name, is_version) = (is(attribute, "lib-name"), is(attribute, "lib-ver"));
    if !is_name && !is_version {
        return Reply::err(format!("Unrecognized option '{}'", commands::repeated(attribute, 128))).into();
    }
    if !value.iter().all(u8::is_ascii_graphic) {
        let attribute = if is_name { "LIB-NAME" } else { "LIB-VER" };
        return Reply::err(format!("{attribute} cannot contain spaces, newlines or special characters.")).into();
    }
    let value = Bytes::copy_from_slice(value);
    client.update(|state| if is_name { state.library = value } else { state.library_version = value });
    Reply::ok().into()
}

fn list(request: &Request<'_>, filter: &[Bytes]) -> Answer {
    let all = request.server.clients.all();
    let chosen: Vec<&Rc<Connection>> = match filter {
        [] => all.iter().collect(),
        [option, kind] if is(option, "type") => {
            let Some(kind) = Kind::named(kind) else { return unknown_type(kind).into() };
            all.iter().filter(|client| client.kind() == kind).collect()
        }
        [option, ids @ ..] if is(option, "id") && !ids.is_empty() => {
            let look = request.server.settings.compatible;
            if let Some(refusal) = ids.iter().find_map(|id| look.refused_id(integer(id))) {
                return refusal.into();
            }
            let Some(ids) = ids.iter().map(|id| integer(id)).collect::<Option<Vec<i64>>>() else {
                return Reply::err("Invalid client ID").into();
            };
            // In the order asked for.
            ids.iter().filter_map(|&id| all.iter().find(|client| signed(client.id) == id)).collect()
        }
        _ => return syntax_error(),
    };
    Reply::text(chosen.iter().map(|client| client.line() + "\n").collect::<String>()).into()
}

fn unknown_type(kind: &[u8]) -> Reply {
    Reply::err(format!("Unknown client type '{}'", commands::repeated(kind, 128)))
}

/// `CLIENT KILL ip:port`, which kills the caller too if it is meant.
fn kill_address(request: &Request<'_>, address: &[u8]) -> Answer {
    let all = request.server.clients.all();
    let Some(target) = all.iter().find(|client| client.peer.to_string().as_bytes() == address) else {
        return Reply::err("No such client").into();
    };
    if target.id == request.client.id {
        return Answer::Last(Reply::ok());
    }
    target.cut(Cut::Killed);
    Reply::ok().into()
}

/// Which connections CLIENT KILL means: those that fit everything it says.
#[derive(Default)]
struct Filter {
    id: Option<i64>,
    kind: Option<Kind>,
    peer: Option<Bytes>,
    local: Option<Bytes>,
    user: Option<Rc<Account>>,
    spare_caller: bool,
}

impl Filter {
    fn parse(request: &Request<'_>, words: &[Bytes]) -> Result<Self, Reply> {
        let mut filter = Self { spare_caller: true, ..Self::default() };
        for pair in words.chunks(2) {
            let [option, value] = pair else { return Err(Reply::err("syntax error")) };
            if is(option, "id") {
                let id = integer(value);
                if let Some(refusal) = request.server.settings.compatible.refused_id(id) {
                    return Err(refusal);
                }
                let id = id.filter(|&id| id > 0);
                filter.id = Some(id.ok_or_else(|| Reply::err("client-id should be greater than 0"))?);
            } else if is(option, "type") {
                filter.kind = Some(Kind::named(value).ok_or_else(|| unknown_type(value))?);
            } else if is(option, "addr") {
                filter.peer = Some(value.clone());
            } else if is(option, "laddr") {
                filter.local = Some(value.clone());
            } else if is(option, "user") {
                let unknown = || Reply::err(format!("No such user '{}'", commands::repeated(value, 128)));
                filter.user = Some(request.server.users.find(value).ok_or_else(unknown)?);
            } else if is(option, "skipme") && (is(value, "yes") || is(value, "no")) {
                filter.spare_caller = is(value, "yes");
            } else {
                return Err(Reply::err("syntax error"));
            }
        }
        Ok(filter)
    }

    fn fits(&self, client: &Connection) -> bool {
        self.id.is_none_or(|id| signed(client.id) == id)
            && self.kind.is_none_or(|kind| client.kind() == kind)
            && self.peer.as_ref().is_none_or(|peer| client.peer.to_string().as_bytes() == peer)
            && self.local.as_ref().is_none_or(|local| client.local.to_string().as_bytes() == local)
            && self.user.as_ref().is_none_or(|user| client.acts_as(user))
    }
}

fn kill(request: &Request<'_>, words: &[Bytes]) -> Answer {
    let filter = match Filter::parse(request, words) {
        Ok(filter) => filter,
        Err(error) => return error.into(),
    };
    let (mut killed, mut caller) = (0, false);
    for client in request.server.clients.all() {
        if !filter.fits(&client) {
            continue;
        }
        if client.id != request.client.id {
            client.cut(Cut::Killed);
            killed += 1;
        } else if !filter.spare_caller {
            caller = true;
            killed += 1;
        }
    }
    let reply = Reply::Integer(killed);
    if caller { Answer::Last(reply) } else { reply.into() }
}

fn reply_mode(client: &Connection, mode: &[u8]) -> Answer {
    let (answers, reply) = if is(mode, "on") {
        (Answers::On, Reply::ok())
    } else if is(mode, "off") {
        (Answers::Off, Reply::NoReply)
    } else if is(mode, "skip") {
        (Answers::SkipNext, Reply::NoReply)
    } else {
        return syntax_error();
    };
    client.update(|state| {
        // Off stays off whatever is to be skipped.
        if !(answers == Answers::SkipNext && state.answers == Answers::Off) {
            state.answers = answers;
        }
    });
    reply.into()
}

/// Checked as the reference checks it, and then not done: clients of a Sentinel write nothing, and other Sentinels
/// that wait for an answer would hold this one for dead.
fn pause(words: &[Bytes]) -> Answer {
    let (timeout, mode) = match words {
        [timeout] => (timeout, None),
        [timeout, mode] => (timeout, Some(mode)),
        _ => {
            return Reply::err("unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.").into();
        }
    };
    if mode.is_some_and(|mode| !is(mode, "write") && !is(mode, "all")) {
        return Reply::err("CLIENT PAUSE mode must be WRITE or ALL").into();
    }
    match integer(timeout) {
        None => Reply::err("timeout is not an integer or out of range").into(),
        Some(..0) => Reply::err("timeout is negative").into(),
        Some(_) => Reply::ok().into(),
    }
}

fn unblock(words: &[Bytes]) -> Answer {
    match words {
        [_, reason] if !is(reason, "timeout") && !is(reason, "error") => {
            Reply::err("CLIENT UNBLOCK reason should be TIMEOUT or ERROR").into()
        }
        [id] | [id, _] => match integer(id) {
            Some(_) => Reply::Integer(0).into(),
            None => Reply::err("value is not an integer or out of range").into(),
        },
        _ => Reply::err("unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.").into(),
    }
}

/// Accepted as far as it is well formed; there are no keys whose changes could be told.
fn tracking(words: &[Bytes]) -> Answer {
    let known = |word: &Bytes| ["bcast", "optin", "optout", "noloop"].iter().any(|option| is(word, option));
    let Some((switch, mut rest)) = words.split_first() else { return syntax_error() };
    while let [option, after @ ..] = rest {
        rest = match after {
            [_, after @ ..] if is(option, "redirect") || is(option, "prefix") => after,
            _ if known(option) => after,
            _ => return syntax_error(),
        };
    }
    if is(switch, "on") || is(switch, "off") { Reply::ok().into() } else { syntax_error() }
}

fn text_or_null(text: &Bytes) -> Reply {
    if text.is_empty() { Reply::Null } else { Reply::Bulk(text.clone()) }
}

fn signed(id: u64) -> i64 {
    i64::try_from(id).unwrap_or(i64::MAX)
}
