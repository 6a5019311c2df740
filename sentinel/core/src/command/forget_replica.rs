//! SENTINEL FORGET-REPLICA: a replica is gone for good.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::{integer, string},
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Forgets a replica that is gone.",
    arguments: &[string("master-name"), string("ip"), integer("port")],
    further_help: &[
        "FORGET-REPLICA <master-name> <host> <port>",
        "    Forget a replica that cannot be reached any more.",
    ],
    ..Subcommand::ours("sentinel|forget-replica", 5, Does::Change(parse))
};

fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name, host, port] = words else { return Ok(None) };
    Ok(Some(Change::ForgetReplica { name: argument::known_name(name), addr: argument::address(host, port)? }))
}
