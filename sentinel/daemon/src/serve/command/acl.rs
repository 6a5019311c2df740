//! ACL: who may do what, and who was refused it.

use std::rc::Rc;

use bytes::Bytes;
use sentinel_resp::Reply;
use tokio::time::Instant;

use super::{Answer, Request, catalogue, help, integer, is};
use crate::{
    commands::{self, Acl},
    compatible::Compatible,
    random,
    serve::{
        Server,
        acl::{self, Account, Denied, Entry, Fault, Refused, Selector},
        client::{Client, Cut},
    },
};

/// How many entries ACL LOG shows without being told.
const LOGGED: usize = 10;
/// How many bytes of a rule or name an error repeats.
const REPEATED: usize = 1_024;

pub(super) fn execute(verb: Acl, request: &Request<'_>) -> Answer {
    let users = &request.server.users;
    match (verb, request.options()) {
        (Acl::Cat, _) => catalogue::categories(request),
        (Acl::DelUser, names) => remove(request, names),
        (Acl::DryRun, [name, words @ ..]) => dry_run(request, name, words),
        (Acl::GenPass, words) => make_password(words),
        (Acl::GetUser, [name]) => {
            users.find(name).map_or(Reply::Null, |user| describe(&user, request.server.settings.compatible)).into()
        }
        (Acl::Help, _) => help("acl"),
        (Acl::List, _) => Reply::Array(users.all().iter().map(|user| Reply::Bulk(user.line())).collect()).into(),
        (Acl::Load, _) => load(request),
        (Acl::Log, words) => log(request, words),
        (Acl::Save, _) => save(request),
        (Acl::SetUser, [name, rules @ ..]) => change(request, name, rules),
        (Acl::Users, _) => {
            Reply::Array(users.all().iter().map(|user| Reply::Bulk(user.name().clone())).collect()).into()
        }
        (Acl::WhoAmI, _) => {
            let name = |user: &Rc<Account>| Reply::Bulk(user.name().clone());
            request.client.read(|state| users.acting(state.user.as_ref()).map_or(Reply::Null, name)).into()
        }
        // The table asks for the words that these need.
        (Acl::DryRun | Acl::GetUser | Acl::SetUser, _) => super::syntax_error(),
    }
}

fn describe(user: &Account, look: Compatible) -> Reply {
    let rules = user.rules();
    let permissions = |selector: &Selector| {
        let mut told = vec![
            ("commands", Reply::bulk(selector.described_commands())),
            ("keys", Reply::Bulk(selector.described_keys())),
            ("channels", Reply::Bulk(selector.described_channels())),
        ];
        if look.tells("databases") {
            told.push(("databases", Reply::bulk(selector.told_databases())));
        }
        told
    };
    let (root, selectors) = rules.selectors();
    let flags = Reply::Set(rules.flags().into_iter().map(Reply::from).collect());
    let passwords = Reply::Array(rules.passwords().map(Reply::display).collect());
    let selectors = Reply::Array(selectors.iter().map(|selector| Reply::map(permissions(selector))).collect());
    let mut told = vec![("flags", flags), ("passwords", passwords)];
    told.extend(permissions(root));
    told.push(("selectors", selectors));
    Reply::map(told)
}

/// `ACL SETUSER name [rule ...]`
fn change(request: &Request<'_>, name: &Bytes, rules: &[Bytes]) -> Answer {
    let server = request.server;
    match server.users.change(name, rules) {
        Ok(user) => {
            tracing::info!(client = %request.client.peer, "ACL: user '{}' was changed", user.display_name());
            server.users.note_change();
            end_subscriptions(server, request.client, &user);
            Reply::ok().into()
        }
        Err(refused) => Reply::err(explain(&refused)).into(),
    }
}

fn explain(refused: &Refused) -> String {
    match refused {
        Refused::Name => "Usernames can't contain spaces or null characters".to_owned(),
        Refused::TooMany => "There are too many users already: remove some with ACL DELUSER".to_owned(),
        Refused::Rules(Fault::Unmatched { word }) => {
            let word = commands::repeated(word, REPEATED);
            format!("Unmatched parenthesis in acl selector starting at '{word}'.")
        }
        Refused::Rules(Fault::Rule { rule, error }) => {
            format!("Error in ACL SETUSER modifier '{}': {error}", commands::repeated(rule, REPEATED))
        }
    }
}

/// Who subscribed to what its user may no longer have is cut off: it would go on to hear of it.
fn end_subscriptions(server: &Server, caller: &Client, user: &Rc<Account>) {
    let rules = user.rules();
    for client in server.clients.all() {
        let forbidden = client.acts_as(user)
            && client.read(|state| {
                state.channels.iter().any(|channel| !rules.allows_channel(channel, false))
                    || state.patterns.iter().any(|pattern| !rules.allows_channel(pattern, true))
            });
        if forbidden {
            end(caller, &client);
        }
    }
}

/// `ACL DELUSER name [name ...]`: all of them, or none if one cannot be removed.
fn remove(request: &Request<'_>, names: &[Bytes]) -> Answer {
    let server = request.server;
    if names.iter().any(|name| acl::is_default(name)) {
        return Reply::err("The 'default' user cannot be removed").into();
    }
    let removed: Vec<Rc<Account>> = names.iter().filter_map(|name| server.users.remove(name)).collect();
    if !removed.is_empty() {
        server.users.note_change();
        forget(server, request.client, &removed);
    }
    Reply::Integer(i64::try_from(removed.len()).unwrap_or(i64::MAX)).into()
}

/// Ends the connections of users who are gone.
fn forget(server: &Server, caller: &Client, users: &[Rc<Account>]) {
    for user in users {
        tracing::info!(client = %caller.peer, "ACL: user '{}' is gone or another now", user.display_name());
    }
    for client in server.clients.all() {
        if users.iter().any(|user| client.acts_as(user)) {
            end(caller, &client);
        }
    }
}

/// Ends a connection: at once, or with the answer to its request if it is the one that asks for it.
fn end(caller: &Client, client: &Client) {
    if client.id == caller.id {
        client.dismiss();
    } else {
        client.cut(Cut::Killed);
    }
}

/// `ACL DRYRUN user command [argument ...]`
fn dry_run(request: &Request<'_>, name: &[u8], words: &[Bytes]) -> Answer {
    let Some(user) = request.server.users.find(name) else {
        return Reply::err(format!("User '{}' not found", commands::repeated(name, REPEATED))).into();
    };
    let Ok(command) = request.server.names.meant(words) else {
        let name = words.first().map_or_else(String::new, |word| commands::repeated(word, REPEATED));
        return Reply::err(format!("Command '{name}' not found")).into();
    };
    if !command.accepts(words.len()) {
        return Reply::err(format!("wrong number of arguments for '{}' command", command.name)).into();
    }
    let look = request.server.settings.compatible;
    match user.rules().check(command, words) {
        Ok(()) => Reply::ok(),
        Err(Denied::Channel(position)) => {
            let channel = words.get(position).map_or_else(String::new, |word| commands::repeated(word, REPEATED));
            Reply::bulk(look.would_be_denied_channel(&user, &channel))
        }
        Err(Denied::Command | Denied::Login) => Reply::bulk(look.would_be_denied(&user, command.name)),
    }
    .into()
}

/// `ACL GENPASS [bits]`: as many hex digits as the bits need, from the system's random numbers.
fn make_password(words: &[Bytes]) -> Answer {
    let bits = match words {
        [] => Some(256),
        [bits] => integer(bits),
        _ => return wrong_words("GENPASS"),
    };
    let Some(bits) = bits else { return not_an_integer() };
    let Some(digits) = usize::try_from(bits).ok().filter(|bits| (1..=4096).contains(bits)).map(|bits| bits.div_ceil(4))
    else {
        return Reply::err(
            "ACL GENPASS argument must be the number of bits for the output password, a positive number up to 4096",
        )
        .into();
    };
    match random::hex(digits) {
        Ok(password) => Reply::bulk(password).into(),
        Err(error) => {
            tracing::warn!(%error, "no random numbers for ACL GENPASS");
            Reply::err("no random numbers: see the log").into()
        }
    }
}

/// `ACL LOG [count | RESET]`
fn log(request: &Request<'_>, words: &[Bytes]) -> Answer {
    let log = &request.server.users.log;
    let count = match words {
        [] => Some(LOGGED),
        [word] if is(word, "reset") => {
            log.borrow_mut().clear();
            return Reply::ok().into();
        }
        // A negative number asks for nothing.
        [word] => integer(word).map(|count| usize::try_from(count).unwrap_or(0)),
        _ => return wrong_words("LOG"),
    };
    let Some(count) = count else { return not_an_integer() };
    let now = Instant::now();
    let wall = request.server.settings.compatible.numbers_refusals().then(|| (request.server.clock)().wall.0);
    Reply::Array(log.borrow().newest().take(count).map(|entry| logged(entry, now, wall)).collect()).into()
}

/// With the wall clock, in milliseconds, where numbers and moments are told.
fn logged(entry: &Entry, now: Instant, wall: Option<u64>) -> Reply {
    // Milliseconds, as the reference has them.
    let age = now.duration_since(entry.at).as_millis();
    let age = f64::from(u32::try_from(age).unwrap_or(u32::MAX)) / 1_000.0;
    let mut told = vec![
        ("count", Reply::Integer(entry.count)),
        ("reason", Reply::from(entry.reason.name())),
        ("context", Reply::from("toplevel")),
        ("object", Reply::Bulk(entry.object.clone())),
        ("username", Reply::Bulk(entry.user.clone())),
        ("age-seconds", Reply::Double(age)),
        ("client-info", Reply::bulk(entry.client.clone())),
    ];
    if let Some(wall) = wall {
        let signed = |number: u64| Reply::Integer(i64::try_from(number).unwrap_or(i64::MAX));
        let moment = |at: Instant| {
            let ago = u64::try_from(now.duration_since(at).as_millis()).unwrap_or(u64::MAX);
            signed(wall.saturating_sub(ago))
        };
        told.push(("entry-id", signed(entry.id)));
        told.push(("timestamp-created", moment(entry.since)));
        told.push(("timestamp-last-updated", moment(entry.at)));
    }
    Reply::map(told)
}

/// `ACL SAVE`: on a thread of its own, since a disk may be slow.
fn save(request: &Request<'_>) -> Answer {
    let users = &request.server.users;
    let Some(path) = users.file().map(ToOwned::to_owned) else { return no_file(request) };
    let lines = users.all().iter().map(|user| user.line()).collect::<Vec<_>>();
    let all_channels = users.all_channels();
    Answer::Later(Box::pin(async move {
        let saved = tokio::task::spawn_blocking(move || acl::save(&path, &lines, all_channels)).await;
        match saved.unwrap_or_else(|gone| Err(std::io::Error::other(gone))) {
            Ok(()) => Reply::ok(),
            Err(error) => {
                tracing::warn!(%error, "ACL: the users could not be saved");
                Reply::err(
                    "There was an error trying to save the ACLs. Please check the server logs for more information",
                )
            }
        }
    }))
}

/// `ACL LOAD`: all users of the file or, if anything is wrong with it, none.
///
/// The connections of users who are gone or have other rules now are closed. The reference closes those of all users but
/// `default`, although nothing changed for them.
fn load(request: &Request<'_>) -> Answer {
    let (server, client) = (Rc::clone(request.server), Rc::clone(request.client));
    let Some(path) = server.users.file().map(ToOwned::to_owned) else { return no_file(request) };
    let all_channels = server.users.all_channels();
    Answer::Later(Box::pin(async move {
        let loaded = tokio::task::spawn_blocking(move || acl::load(&path, all_channels)).await;
        match loaded {
            Ok(Ok(loaded)) => {
                let gone = server.users.replace_all(loaded);
                forget(&server, &client, &gone);
                if let Some(default) = server.users.find(b"default") {
                    end_subscriptions(&server, &client, &default);
                }
                Reply::ok()
            }
            Ok(Err(error)) => Reply::err(error.to_string()),
            Err(error) => Reply::err(format!("the ACL file could not be read: {error}")),
        }
    }))
}

fn no_file(request: &Request<'_>) -> Answer {
    Reply::err(request.server.settings.compatible.without_acl_file()).into()
}

fn wrong_words(name: &str) -> Answer {
    Reply::err(format!("unknown subcommand or wrong number of arguments for '{name}'. Try ACL HELP.")).into()
}

fn not_an_integer() -> Answer {
    Reply::err("value is not an integer or out of range").into()
}
