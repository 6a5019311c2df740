//! SENTINEL MASTERS: all masters.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    instances,
    table::{Does, Subcommand},
};
use crate::{time::Now, view::View};

/// `SENTINEL MASTERS`
pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows the state of every monitored master.",
    since: Some("2.8.4"),
    complexity: Some("O(N)"),
    help: &["MASTERS", "    Show all monitored masters."],
    ..Subcommand::admin("sentinel|masters", 2, Does::Answer(answer))
};
/// `SENTINEL PRIMARIES`
pub(super) const PRIMARIES: Subcommand = ROW.of_valkey("sentinel|primaries");

fn answer(_: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    Some(Reply::Array(view.masters.values().map(|one| instances::master(one, now.mono)).collect()))
}
