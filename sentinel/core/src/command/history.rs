//! SENTINEL HISTORY: what happened to a master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    argument, errors,
    query::find,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{history::Incident, time::Now, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Tells what happened to a master: outages and failovers.",
    arguments: &[string("master-name"), string("id").optional()],
    further_help: &[
        "HISTORY <master-name> [<id>]",
        "    List outages and failovers, the newest first; with an id all that was said in",
        "    one, with milliseconds.",
    ],
    ..Subcommand::ours("sentinel|history", -3, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    match words {
        [name] => Some(list(view, name, None)),
        [name, id] => Some(list(view, name, Some(id))),
        _ => None,
    }
}

/// A map for each incident, the newest first; with an id all that is known of one.
fn list(view: &View, name: &Bytes, id: Option<&Bytes>) -> Reply {
    let name_text = argument::text(name);
    let of_master = || view.history.iter().rev().filter(|it| it.master == *name_text);
    // Of a master that is not watched any more the past is still known.
    if find(view, name).is_none() && of_master().next().is_none() {
        return errors::no_such_master();
    }
    let Some(id) = id else { return Reply::Array(of_master().map(|it| Reply::Map(head(it))).collect()) };
    let id = argument::text(id);
    match of_master().find(|it| it.id.to_string() == *id) {
        Some(incident) => whole(incident),
        None => Reply::err("No such incident of that master"),
    }
}

fn head(incident: &Incident) -> Vec<(Reply, Reply)> {
    let field = |name: &'static str, value: &dyn std::fmt::Display| (Reply::from(name), Reply::display(value));
    vec![
        field("id", &incident.id),
        field("lasted-ms", &incident.lasted),
        field("trigger", &incident.trigger),
        field("outcome", &incident.outcome),
    ]
}

fn whole(incident: &Incident) -> Reply {
    let mut fields = head(incident);
    let lines = incident.lines.iter().map(|line| Reply::display(format_args!("{} {}", line.at, line.text)));
    fields.push((Reply::from("lines"), Reply::Array(lines.collect())));
    fields.push((Reply::from("omitted"), Reply::display(incident.omitted)));
    Reply::Map(fields)
}
