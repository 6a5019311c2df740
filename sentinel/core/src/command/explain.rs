//! SENTINEL EXPLAIN: why there was or was not a failover.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::string,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Says why there was or was not a failover, and what would happen now.",
    arguments: &[string("master-name")],
    further_help: &[
        "EXPLAIN <master-name>",
        "    Say why the master is what it is, what keeps a failover from taking place,",
        "    and what would happen if it died now.",
    ],
    ..Subcommand::ours("sentinel|explain", 3, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name] = words else { return Ok(None) };
    Ok(Some(Change::Explain { name: argument::known_name(name) }))
}
