//! SENTINEL REMOVE: a master is monitored no more.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::string,
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Ends monitoring of a master.",
    since: Some("2.8.4"),
    arguments: &[string("master-name")],
    help: &["REMOVE <master-name>", "    Forget a master, its replicas and its Sentinels."],
    ..Subcommand::admin("sentinel|remove", 3, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name] = words else { return Ok(None) };
    Ok(Some(Change::Remove { name: argument::known_name(name) }))
}
