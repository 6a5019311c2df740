//! SENTINEL SENTINELS: the other Sentinels of a master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    instances,
    query::about,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows the other Sentinels of a master.",
    since: Some("2.8.4"),
    complexity: Some("O(N)"),
    arguments: &[string("master-name")],
    help: &["SENTINELS <master-name>", "    Show the other Sentinels that monitor this master."],
    ..Subcommand::admin("sentinel|sentinels", 3, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    about(words, view, |one| instances::peers(one, now.mono))
}
