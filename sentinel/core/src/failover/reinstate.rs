//! Nobody is the master, and no replica can be: the configured master follows one of its own replicas, which is gone, or
//! a replica itself; or the two follow each other.
//!
//! That is what is left when a master hands over (`FAILOVER`) and the new one dies before a Sentinel has heard of it. The
//! former master has everything, but it is no candidate, since it is the one that is to be replaced; the other may have
//! come back with nothing. A departure: the reference, which does not hand over, aborts one failover after the other.

use crate::notice::Topic;
use crate::{state::Node, view::Role, watch::Watch};

impl Watch<'_> {
    /// Elected, and no replica fits: if the configured master waits for one of its replicas, it is told to be the master
    /// again. Its configuration is in force already, so nothing else changes.
    pub(crate) fn reinstate_master(&mut self) {
        let master = self.master.node();
        if !master.link.is_up() || master.role != Role::Replica {
            return;
        }
        let names = &self.ctx.names;
        let Some(other) = self.master.replicas().find(|node| master.info.follows(&node.addr, names)) else {
            return;
        };
        if is_master(other) || master.info.link_up && !self.is_followed_round(other) {
            return;
        }
        let text = format!(
            "Nobody is the master of {}: {} follows {}, which is none. It is told to be the master again",
            self.master.name, master.addr, other.addr
        );
        let name = self.master.name.clone();
        self.ctx.notice(Topic::Reinstated, Some(&name), text);
        self.order_promotion(self.master.current, self.usual_order(self.master.current));
    }

    /// Whether the configured master follows itself, through this replica and those that it follows: their links may all be up.
    fn is_followed_round(&self, first: &Node) -> bool {
        let mut at = first;
        for _ in 0..self.master.nodes.len() {
            let source = at.info.source_addr().filter(|_| at.is_reachable() && at.role == Role::Replica);
            let Some(id) = source.and_then(|addr| self.master.node_at(&addr, &self.ctx.names)) else { return false };
            if id == self.master.current {
                return true;
            }
            let Some(next) = self.master.nodes.get(id) else { return false };
            at = next;
        }
        false
    }
}

/// Whether it says so, and could be asked.
fn is_master(node: &Node) -> bool {
    node.is_reachable() && node.role == Role::Master
}
