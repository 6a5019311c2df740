//! SENTINEL, ROLE and PUBLISH: what the core answers, at once from its view or later from its engine.

use std::rc::Rc;

use sentinel_core::{
    ClientId,
    command::{self, Change, Command, Subcommand},
};
use sentinel_resp::Reply;

use super::{Answer, Request};
use crate::{
    compatible::Compatible,
    serve::{order, without_interface},
};

/// The one channel that a Sentinel takes messages on.
const HELLO: &[u8] = b"__sentinel__:hello";

pub(super) fn execute(subcommand: &'static Subcommand, request: &Request<'_>) -> Answer {
    let words = without_interface(subcommand, request.options());
    match subcommand.parse(&words) {
        Ok(Command::Query(query)) => {
            let server = request.server;
            let reply = query.answer(&server.view.load(), (server.clock)());
            if subcommand.word() == "help" {
                in_words_of(server.settings.compatible, reply).into()
            } else {
                reply.into()
            }
        }
        Ok(Command::Change(change)) => ask(request, change),
        Ok(Command::Reload) => Answer::Later((request.server.reload)()),
        Err(error) => refused(subcommand, request, error).into(),
    }
}

/// What is wrong with a request, as this version words it.
fn refused(subcommand: &Subcommand, request: &Request<'_>, error: Reply) -> Reply {
    let look = request.server.settings.compatible;
    match (subcommand.word(), request.options()) {
        ("config", _) => look.refused_parameters(request.words.len(), error),
        ("failover", [name, _]) => {
            let known = command::serving(&request.server.view.load(), name).is_some();
            look.refused_failover(known, error)
        }
        _ => error,
    }
}

/// The lines of HELP in the terms of a version.
fn in_words_of(look: Compatible, reply: Reply) -> Reply {
    let Reply::Array(lines) = reply else { return reply };
    let line = |line: Reply| match line.as_text() {
        Some(text) => Reply::status(look.usage(text)),
        None => line,
    };
    Reply::Array(lines.into_iter().map(line).collect())
}

/// `SENTINEL GET-MASTER-ADDR-BY-NAME name`, which goes by the shortest way.
pub(super) fn address(request: &Request<'_>) -> Answer {
    let name = request.options().first().map_or(&b""[..], |name| name);
    match command::serving(&request.server.view.load(), name) {
        Some(serving) => Answer::Address(serving.clone()),
        None => Reply::NullArray.into(),
    }
}

pub(super) fn role(request: &Request<'_>) -> Answer {
    command::role(&request.server.view.load()).into()
}

/// Hellos of other Sentinels are answered when the engine has taken them in; subscribers never see them.
pub(super) fn publish(request: &Request<'_>) -> Answer {
    match request.arguments() {
        [channel, payload] if channel == HELLO => ask(request, Change::Hello(payload.clone())),
        _ => Reply::err("Only HELLO messages are accepted by Sentinel instances.").into(),
    }
}

/// Gives the engine a command and answers what it answers.
fn ask(request: &Request<'_>, change: Change) -> Answer {
    let server = request.server;
    let denied = server.view.load().globals.deny_scripts_reconfig;
    let answer = order(server.changes.clone(), denied, ClientId(request.client.id), change);
    let waiting = Rc::clone(&server.waiting);
    Answer::Later(Box::pin(async move {
        let reply = answer.await;
        drop(waiting);
        reply
    }))
}
