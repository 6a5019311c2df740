//! SENTINEL REQUEST-VOTE: what IS-MASTER-DOWN-BY-ADDR asks for, signed.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument, errors, is_master_down,
    syntax::{integer, string},
    table::{Does, Subcommand},
};
use crate::types::{MasterName, Nonce, Signature, Signed};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Asks for an opinion on a master, or for a vote, with a signature.",
    arguments: &[
        string("master-name"),
        string("ip"),
        integer("port"),
        integer("current-epoch"),
        string("runid"),
        string("nonce"),
        string("signature"),
    ],
    further_help: &[
        "REQUEST-VOTE <master-name> <ip> <port> <current-epoch> <runid> <nonce> <signature>",
        "    Sent by other Sentinels: IS-MASTER-DOWN-BY-ADDR, signed with the",
        "    hello-auth-key.",
    ],
    ..Subcommand::ours("sentinel|request-vote", 9, Does::Change(parse))
};

/// The longest name of a master that is looked at in a signed request: what is signed is hashed as a whole.
const LONGEST_NAME: usize = 4096;

/// `SENTINEL REQUEST-VOTE master ip port epoch runid nonce signature`
fn parse(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [master, host, port, epoch, candidate, nonce, signature] = words else { return Ok(None) };
    let signed = || -> Result<Signed, Reply> {
        let master = (master.len() <= LONGEST_NAME).then(|| argument::text(master));
        let master = master.and_then(|name| MasterName::new(&name).ok());
        Ok(Signed {
            master: master.ok_or_else(errors::no_such_master)?,
            nonce: Nonce::parse(nonce).map_err(errors::not_hex)?,
            signature: Signature::parse(signature).map_err(errors::not_hex)?,
        })
    };
    let signed = signed()?;
    Ok(Some(match is_master_down::parse(host, port, epoch, candidate)? {
        Change::IsMasterDown { addr, epoch, candidate, .. } => {
            Change::IsMasterDown { addr, epoch, candidate, signed: Some(signed) }
        }
        other => other,
    }))
}
