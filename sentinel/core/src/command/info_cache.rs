//! SENTINEL INFO-CACHE: what masters and replicas said last.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    query::find,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{
    time::{Instant, Now},
    view::{NodeView, View},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows the last INFO of masters and their replicas.",
    since: Some("3.2.0"),
    complexity: Some("O(N)"),
    arguments: &[string("nodename").multiple()],
    help: &["INFO-CACHE <master-name>", "    Show the last INFO, and its age, of each named master and its replicas."],
    ..Subcommand::admin("sentinel|info-cache", -3, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    Some(cache(view, words, now.mono))
}

/// For each master found its name and an array of `[age in ms, INFO]`, its own first, then its replicas'.
///
/// Unknown names are left out, repeated ones answered once, masters in the order in which they were first named. The
/// reference prints an age of 0 for replicas as long as it never read their master; here each age is its own.
fn cache(view: &View, names: &[Bytes], now: Instant) -> Reply {
    let mut shown = BTreeSet::new();
    let mut items = Vec::new();
    for master in names.iter().filter_map(|name| find(view, name)) {
        if !shown.insert(&master.name) {
            continue;
        }
        let replicas = master.replicas.iter().map(|replica| &replica.node);
        let nodes = std::iter::once(&master.node).chain(replicas);
        items.push(Reply::display(&master.name));
        items.push(Reply::Array(nodes.map(|node| cached(node, now)).collect()));
    }
    Reply::Array(items)
}

fn cached(node: &NodeView, now: Instant) -> Reply {
    let age = node.info_at.map_or(Duration::ZERO, |at| now.since(at));
    let info = node.info.as_ref().map_or(Reply::Null, Reply::display);
    Reply::Array(vec![Reply::Integer(i64::try_from(age.as_millis()).unwrap_or(i64::MAX)), info])
}
