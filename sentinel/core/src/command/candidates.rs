//! SENTINEL CANDIDATES: which replica a failover would promote, and why not the others.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::string,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Ranks the replicas, or says why they would not be promoted.",
    arguments: &[string("master-name")],
    further_help: &[
        "CANDIDATES <master-name>",
        "    Rank the replicas as a failover would now, or say why one is refused.",
    ],
    ..Subcommand::ours("sentinel|candidates", 3, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name] = words else { return Ok(None) };
    Ok(Some(Change::Candidates { name: argument::known_name(name) }))
}
