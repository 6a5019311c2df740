//! SENTINEL RESET: what was learnt is forgotten.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::pattern,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Forgets what was learnt about the masters that match.",
    since: Some("2.8.4"),
    complexity: Some("O(N)"),
    arguments: &[pattern("pattern")],
    help: &["RESET <pattern>", "    Forget replicas and Sentinels of all masters that match, and find them anew."],
    ..Subcommand::admin("sentinel|reset", 3, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [pattern] = words else { return Ok(None) };
    Ok(Some(Change::Reset { pattern: argument::text(pattern).into_owned() }))
}
