//! CKQUORUM: could the Sentinels that are usable now agree that a master is down, and authorise a failover?

use sentinel_resp::Reply;

use crate::view::MasterView;

/// Usable are this Sentinel and every known other one that is not subjectively down; the majority is counted over
/// all that are known, dead or alive.
pub(super) fn check(master: &MasterView) -> Reply {
    let known = master.peers.len() + 1;
    let down = master.peers.iter().filter(|peer| peer.node.sdown_since.is_some()).count();
    let usable = known - down;
    let quorum = usize::try_from(master.settings.quorum.get()).unwrap_or(usize::MAX);

    let mut missing = String::new();
    if usable < quorum {
        missing.push_str(". Not enough available Sentinels to reach the specified quorum for this master");
    }
    if usable < known / 2 + 1 {
        missing.push_str(". Not enough available Sentinels to reach the majority and authorize a failover");
    }
    if missing.is_empty() {
        Reply::status(format!("OK {usable} usable Sentinels. Quorum and failover authorization can be reached"))
    } else {
        Reply::error(format!("NOQUORUM {usable} usable Sentinels{missing}"))
    }
}
