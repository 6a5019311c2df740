//! From the state to what readers see and to what is written.

use std::sync::Arc;

use crate::{
    failover::{Failover, Phase},
    planted::{Bug, planted},
    snapshot::MasterSnapshot,
    state::{Identity, Master, Names, Node, Peer, PeerLink, PeerLinks},
    types::MasterName,
    view::{MasterView, NodeView, PeerView, ReplicaView},
};

impl Master {
    /// What is written of this master. While a promotion or a peer's configuration is being recorded, that one already.
    pub(crate) fn durable_form(&self, names: &Names) -> MasterSnapshot {
        let (current, config_epoch) = match &self.failover {
            Some(Failover { phase: Phase::Recording { replica }, epoch, .. }) if *epoch > self.config_epoch => {
                (*replica, *epoch)
            }
            Some(Failover { phase: Phase::RecordingFreed, epoch, .. }) => (self.current, self.config_epoch.max(*epoch)),
            _ => (self.current, self.config_epoch),
        };
        let addr = self.nodes.get(current).map_or_else(|| self.addr().clone(), |node| node.addr.clone());
        let (addr, config_epoch) = match &self.adopting {
            Some(adoption) if adoption.epoch >= config_epoch => (adoption.addr.clone(), adoption.epoch),
            _ => (addr, config_epoch),
        };
        let mut replicas: Vec<_> =
            self.nodes.values().filter(|node| !names.same(&node.addr, &addr)).map(|node| node.addr.clone()).collect();
        replicas.sort();
        let in_sync = self.nodes.values().filter_map(|node| Some((node.addr.clone(), node.in_sync.as_ref()?.keys?)));
        let mut in_sync: Vec<_> = in_sync.collect();
        in_sync.sort();
        MasterSnapshot {
            name: self.name.clone(),
            addr,
            settings: Arc::clone(&self.settings),
            config_epoch,
            leader_epoch: self.vote.epoch,
            replicas,
            in_sync,
            peers: self
                .peers
                .values()
                .filter(|_| !planted(Bug::ForgetPeers))
                .map(|peer| (peer.id.clone(), peer.addr.clone()))
                .collect(),
        }
    }

    /// What readers see of this master.
    pub(crate) fn view(&self, links: &PeerLinks) -> MasterView {
        let mut replicas: Vec<_> = self.replicas().map(|node| self.replica_view(node)).collect();
        replicas.sort_by(|a, b| a.node.addr.cmp(&b.node.addr));
        MasterView {
            name: self.name.clone(),
            serving: self.serving().clone(),
            node: self.node_view(self.node()),
            odown_since: self.odown_since,
            failover_state: self.failover.as_ref().map(Failover::word),
            promotion: self.promotion.clone(),
            failover_forced: self.failover.as_ref().is_some_and(Failover::is_forced),
            failover_coordinated: self.failover.as_ref().is_some_and(Failover::is_lossless_only),
            config_epoch: self.config_epoch,
            settings: Arc::clone(&self.settings),
            problems: self.problems.list(),
            replicas,
            peers: self
                .peers
                .values()
                .filter_map(|peer| links.get(&peer.id).map(|shared| peer_view(peer, shared, &self.name)))
                .collect(),
        }
    }

    fn replica_view(&self, node: &Node) -> ReplicaView {
        let info = &node.info;
        ReplicaView {
            node: self.node_view(node),
            master_link_down_ms: info.link_down_ms,
            master_link_up: info.link_up,
            master_addr: info.source.clone(),
            priority: info.priority,
            offset: info.offset,
            announced: info.announced,
            refusal: self.refused.get(&node.id).copied(),
            promoted: self.failover.as_ref().and_then(Failover::candidate) == Some(node.id),
            reconf: self.failover.as_ref().and_then(|_| node.reconf.flag()),
        }
    }

    fn node_view(&self, node: &Node) -> NodeView {
        NodeView {
            addr: node.addr.clone(),
            run_id: node.info.run_id.clone(),
            vitals: node.link.vitals.shared(),
            sdown_since: node.sdown_since,
            connected: node.link.is_up(),
            link_refcount: 1,
            info_at: node.info_at,
            info: node.info_text.clone(),
            role: node.role,
            role_since: node.role_since,
            script_kill_sent: node.script_kill_sent,
            denied: node.link.denials.summary(&node.link.target, &self.name),
            rebooted: node.rebooted_at.is_some(),
        }
    }
}

fn peer_view(peer: &Peer, shared: &PeerLink, master: &MasterName) -> PeerView {
    let link = &shared.link;
    PeerView {
        id: peer.id.clone(),
        node: NodeView {
            addr: peer.addr.clone(),
            run_id: None,
            vitals: link.vitals.shared(),
            sdown_since: peer.sdown_since,
            connected: link.is_up(),
            link_refcount: u32::try_from(shared.users.len()).unwrap_or(u32::MAX),
            info_at: None,
            info: None,
            role: crate::view::Role::Master,
            role_since: peer.hello_at,
            script_kill_sent: false,
            denied: link.denials.summary(&link.target, master),
            rebooted: false,
        },
        master_down: peer.says_down(),
        hello_at: peer.hello_at,
        vote: peer.vote.clone(),
        impostor: match &shared.identity {
            Identity::Disproved(impostor) => Some(impostor.to_string().into()),
            _ => None,
        },
        withheld: link.is_up() && shared.identity == Identity::Withheld,
        unproven: match &shared.identity {
            Identity::Unproven(why) if link.is_up() => Some(why.text()),
            _ => None,
        },
        authenticated: shared.speaks() && shared.authenticated,
    }
}
