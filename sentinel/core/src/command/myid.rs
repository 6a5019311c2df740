//! SENTINEL MYID: who this Sentinel is.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::table::{Does, Subcommand};
use crate::{time::Now, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Tells the id of this Sentinel.",
    since: Some("6.2.0"),
    help: &["MYID", "    Tell the id by which other Sentinels know this one."],
    ..Subcommand::admin("sentinel|myid", 2, Does::Answer(answer))
};

fn answer(_: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    Some(Reply::display(&view.id))
}
