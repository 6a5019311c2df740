//! SENTINEL CONSENSUS: what the Sentinels believe of a master.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::string,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Shows what each Sentinel believes of a master.",
    arguments: &[string("master-name")],
    further_help: &["CONSENSUS <master-name>", "    Show what this Sentinel and each other one believes of a master."],
    ..Subcommand::ours("sentinel|consensus", 3, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name] = words else { return Ok(None) };
    Ok(Some(Change::Consensus { name: argument::known_name(name) }))
}
