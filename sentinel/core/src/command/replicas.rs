//! SENTINEL REPLICAS: the replicas of a master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    instances,
    query::about,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

/// `SENTINEL REPLICAS name`
pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows the replicas of a master.",
    since: Some("5.0.0"),
    complexity: Some("O(N)"),
    arguments: &[string("master-name")],
    help: &["REPLICAS <master-name>", "    Show the replicas of a master."],
    ..Subcommand::admin("sentinel|replicas", 3, Does::Answer(answer))
};
/// `SENTINEL SLAVES name`
pub(super) const SLAVES: Subcommand = Subcommand {
    name: "sentinel|slaves",
    since: Some("2.8.0"),
    replaced: Some(("5.0.0", "`SENTINEL REPLICAS`")),
    help: &[],
    ..ROW
};

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    about(words, view, |one| instances::replicas(one, now.mono))
}
