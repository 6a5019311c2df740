//! COMMAND and ACL CAT: what the table says, for programs that ask.

use bytes::Bytes;
use sentinel_core::command::{glob, syntax};
use sentinel_resp::Reply;

use super::{Answer, Request, help, is, syntax_error};
use crate::{
    commands::{self, Catalogue, Command, Names},
    compatible::Compatible,
};

pub(super) fn execute(verb: Catalogue, request: &Request<'_>) -> Answer {
    let (names, known, look) = (request.options(), &request.server.names, request.server.settings.compatible);
    let describe = |command| describe(command, look);
    let document = |command| document(command, look);
    match verb {
        Catalogue::Count => Reply::Integer(i64::try_from(known.listed().count()).unwrap_or(i64::MAX)).into(),
        Catalogue::All => Reply::Array(known.listed().map(describe).collect()).into(),
        Catalogue::Info if names.is_empty() => Reply::Array(known.listed().map(describe).collect()).into(),
        Catalogue::Info => {
            let described = names.iter().map(|name| known.by_name(name).map_or(Reply::Null, describe));
            Reply::Array(described.collect()).into()
        }
        Catalogue::Docs if names.is_empty() => Reply::Map(known.listed().map(document).collect()).into(),
        Catalogue::Docs => {
            Reply::Map(names.iter().filter_map(|name| known.by_name(name)).map(document).collect()).into()
        }
        Catalogue::List => list(known, look, names),
        Catalogue::GetKeys => keys(known, names),
        Catalogue::Help => help("command"),
    }
}

/// `COMMAND LIST [FILTERBY (MODULE m | ACLCAT c | PATTERN g)]`: names of commands and subcommands.
fn list(known: &Names, look: Compatible, words: &[Bytes]) -> Answer {
    let all = known.listed().flat_map(|command| with_subcommands(command, look));
    let chosen: Vec<&Command> = match words {
        [] => all.collect(),
        [filter, by, value] if is(filter, "filterby") => {
            if is(by, "module") {
                Vec::new()
            } else if is(by, "aclcat") {
                all.filter(|command| has_category(command, value)).collect()
            } else if is(by, "pattern") {
                all.filter(|command| glob::matches_ignoring_case(value, command.name)).collect()
            } else {
                return syntax_error();
            }
        }
        _ => return syntax_error(),
    };
    names(chosen)
}

/// No command of a Sentinel takes a key.
fn keys(known: &Names, words: &[Bytes]) -> Answer {
    let error =
        if known.meant(words).is_ok() { "The command has no key arguments" } else { "Invalid command specified" };
    Reply::err(error).into()
}

/// `ACL CAT [category]`
pub(super) fn categories(request: &Request<'_>) -> Answer {
    match request.options() {
        [] => Reply::array(commands::CATEGORIES.iter().copied()).into(),
        [category] if commands::CATEGORIES.iter().any(|known| is(category, known)) => names(
            request
                .server
                .names
                .listed()
                .flat_map(|command| with_subcommands(command, request.server.settings.compatible))
                .filter(|command| has_category(command, category))
                .collect(),
        ),
        [category] => Reply::err(format!("Unknown category '{}'", commands::repeated(category, 128))).into(),
        _ => Reply::err("unknown subcommand or wrong number of arguments for 'CAT'. Try ACL HELP.").into(),
    }
}

/// A command and its subcommands, those that are listed.
fn with_subcommands(command: &'static Command, look: Compatible) -> impl Iterator<Item = &'static Command> {
    std::iter::once(command).chain(subcommands(command, look))
}

fn subcommands(command: &'static Command, look: Compatible) -> impl Iterator<Item = &'static Command> {
    command.subcommands.iter().filter(move |command| look.lists(command))
}

fn has_category(command: &Command, category: &[u8]) -> bool {
    command.categories.iter().any(|known| is(category, known))
}

fn names(commands: Vec<&'static Command>) -> Answer {
    Reply::Array(commands.into_iter().map(|command| Reply::from(command.name)).collect()).into()
}

/// Ten facts: name, arity, flags, three about keys, categories, tips, key specifications, subcommands.
fn describe(command: &'static Command, look: Compatible) -> Reply {
    let flags = command.flags.iter().chain(look.further_flags(command.name));
    let tips = command.tips.iter().chain(look.further_tips(command.name));
    Reply::Array(vec![
        Reply::from(command.name),
        Reply::Integer(look.arity(command.name, command.arity).into()),
        Reply::Set(flags.copied().map(Reply::status).collect()),
        Reply::Integer(0),
        Reply::Integer(0),
        Reply::Integer(0),
        Reply::Set(command.categories.iter().map(|category| Reply::status(format!("@{category}"))).collect()),
        Reply::Set(tips.copied().map(Reply::from).collect()),
        Reply::Set(Vec::new()),
        // An array where there are some, a set where there are none: so does the reference, until Valkey 9.1.
        match command.subcommands.as_slice() {
            [] if look < Compatible::Valkey91 => Reply::Set(Vec::new()),
            _ => Reply::Array(subcommands(command, look).map(|command| describe(command, look)).collect()),
        },
    ])
}

fn document(command: &'static Command, look: Compatible) -> (Reply, Reply) {
    let mut facts = vec![(Reply::from("summary"), Reply::from(command.summary))];
    let mut tell = |fact: &'static str, value: Option<&'static str>| {
        facts.extend(value.map(|value| (Reply::from(fact), Reply::from(value))));
    };
    tell("since", command.since);
    tell("group", Some(command.group));
    tell("complexity", command.complexity);
    if let Some((version, instead)) = command.replaced {
        facts.push((Reply::from("doc_flags"), Reply::Set(vec![Reply::status("deprecated")])));
        facts.push((Reply::from("deprecated_since"), Reply::from(version)));
        facts.push((Reply::from("replaced_by"), Reply::from(instead)));
    }
    if !command.arguments.is_empty() {
        facts.push((Reply::from("arguments"), syntax::describe(command.arguments)));
    }
    if !command.subcommands.is_empty() {
        facts.push((
            Reply::from("subcommands"),
            Reply::Map(subcommands(command, look).map(|command| document(command, look)).collect()),
        ));
    }
    (Reply::from(command.name), Reply::Map(facts))
}
