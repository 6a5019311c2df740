//! SENTINEL MASTER: one master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    instances,
    query::about,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

/// `SENTINEL MASTER name`
pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows the state of one master.",
    since: Some("2.8.4"),
    arguments: &[string("master-name")],
    help: &["MASTER <master-name>", "    Show one master."],
    ..Subcommand::admin("sentinel|master", 3, Does::Answer(answer))
};
/// `SENTINEL PRIMARY name`
pub(super) const PRIMARY: Subcommand = ROW.of_valkey("sentinel|primary");

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    about(words, view, |one| instances::master(one, now.mono))
}
