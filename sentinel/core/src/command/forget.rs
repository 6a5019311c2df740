//! SENTINEL FORGET: another Sentinel is gone for good.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument, errors,
    syntax::{one_of, string, word},
    table::{Does, Subcommand},
};
use crate::types::SentinelId;

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Forgets another Sentinel that is gone.",
    arguments: &[string("master-name"), one_of("sentinel", &[string("runid"), word("unverified", "UNVERIFIED")])],
    further_help: &[
        "FORGET <master-name> <runid>",
        "    Forget another Sentinel that cannot be reached any more.",
        "FORGET <master-name> UNVERIFIED",
        "    Forget all other Sentinels that have never said who they are and cannot be reached.",
    ],
    ..Subcommand::ours("sentinel|forget", 4, Does::Change(parse))
};

/// `name id`, `name UNVERIFIED`
fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name, id] = words else { return Ok(None) };
    let name = argument::known_name(name);
    if id.eq_ignore_ascii_case(b"unverified") {
        return Ok(Some(Change::ForgetUnverified { name }));
    }
    let id = SentinelId::new(&argument::text(id)).map_err(|_| errors::no_such_sentinel())?;
    Ok(Some(Change::Forget { name, id }))
}
