//! What a promotion brought: how far the new master had come, and the furthest that anybody is known to have been.

use std::fmt;

use crate::{state::NodeId, types::HostPort, watch::Watch};

/// How far a promoted replica had come, beside the furthest known. In bytes of one replication stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Promotion {
    /// Which replica.
    pub addr: HostPort,
    /// The offset at which it became a master. None: it was restarted from a file that tells none.
    pub offset: Option<u64>,
    /// The highest offset that a node of the same stream has told, the promoted one included, and which that is.
    pub highest: Option<(u64, HostPort)>,
}

impl Promotion {
    /// Bytes of the stream that somebody is known to have had, and that the new master does not have. None: it cannot be told.
    pub fn loss(&self) -> Option<u64> {
        let (highest, _) = self.highest.as_ref()?;
        Some(highest.saturating_sub(self.offset?))
    }
}

impl fmt::Display for Promotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.offset {
            Some(offset) => write!(f, "#offset {offset}")?,
            None => f.write_str("#offset unknown")?,
        }
        match &self.highest {
            Some((highest, addr)) => write!(f, ", highest known {highest} ({addr})")?,
            None => f.write_str(", highest known none")?,
        }
        match self.loss() {
            Some(0) => Ok(()),
            Some(bytes) => write!(f, ", {bytes} bytes may be lost"),
            None => f.write_str(", what may be lost is unknown"),
        }
    }
}

impl Watch<'_> {
    /// What the promotion of this node brings. Asked before it is installed as the master.
    pub(crate) fn promotion_of(&self, id: NodeId) -> Option<Promotion> {
        let stream = self.stream();
        let addr = self.master.nodes.get(id)?.addr.clone();
        let told = self.master.nodes.values().filter(|node| !node.stranger && node.info_at.is_some());
        let told = told.filter_map(|node| Some((stream.position(&node.info)?, node)));
        // Of equals the promoted one is named.
        let highest = told.max_by_key(|(offset, node)| (*offset, node.id == id, std::cmp::Reverse(node.id)));
        let offset = self.master.nodes.get(id).and_then(|node| stream.position(&node.info));
        Some(Promotion { addr, offset, highest: highest.map(|(offset, node)| (offset, node.addr.clone())) })
    }
}
