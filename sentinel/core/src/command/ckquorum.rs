//! CKQUORUM: could the Sentinels that are usable now agree that a master is down, and authorise a failover?

use std::fmt::Write as _;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    query::about,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::{
    monitor::TOLD_FOR,
    time::{Instant, Now},
    view::{MasterView, View},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Tells whether enough Sentinels are usable for quorum and majority.",
    since: Some("2.8.4"),
    complexity: None,
    arguments: &[string("master-name")],
    help: &[
        "CKQUORUM <master-name>",
        "    Tell whether the Sentinels usable now reach the quorum that declares the",
        "    master down, and the majority that authorises a failover; if not, which",
        "    of the two is out of reach.",
    ],
    ..Subcommand::admin("sentinel|ckquorum", 3, Does::Answer(answer))
};

fn answer(words: &[Bytes], view: &View, now: Now) -> Option<Reply> {
    about(words, view, |one| check(one, view, now.mono))
}

/// Usable are this Sentinel and every known other one that is not subjectively down, and where it is known to be; the majority is
/// counted over all that are known, dead or alive.
fn check(master: &MasterView, view: &View, now: Instant) -> Reply {
    let known = master.peers.len() + 1;
    let down = master
        .peers
        .iter()
        .filter(|peer| peer.node.sdown_since.is_some() || peer.impostor.is_some() || peer.unproven.is_some())
        .count();
    let usable = known - down;
    let quorum = usize::try_from(master.settings.quorum.get()).unwrap_or(usize::MAX);

    let mut missing = String::new();
    if usable < quorum {
        missing.push_str(". Not enough available Sentinels to reach the specified quorum for this master");
    }
    if usable < known / 2 + 1 {
        missing.push_str(". Not enough available Sentinels to reach the majority and authorize a failover");
    }
    for peer in &master.peers {
        if let Some(who) = &peer.impostor {
            let _ = write!(missing, ". {} is not at {}: {who}", peer.id, peer.node.addr);
        } else if let Some(why) = peer.unproven {
            let _ = write!(missing, ". What {} at {} says does not count: {why}", peer.id, peer.node.addr);
        }
    }
    if let Some((addr, _)) = view.own_id_elsewhere.as_ref().filter(|(_, at)| now.since(*at) < TOLD_FOR) {
        let _ = write!(missing, ". Another process uses the id of this Sentinel, at {addr}");
    }
    if missing.is_empty() {
        Reply::status(format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))
    } else {
        Reply::error(format!("NOQUORUM {usable} usable Sentinels{missing}"))
    }
}
