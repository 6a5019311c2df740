//! What an operator does about candidates and about those who are gone. Nothing here happens by itself.

use sentinel_resp::Reply;

use crate::{
    command::errors,
    events::Event,
    failover::Cause,
    input::ClientId,
    notice::Topic,
    select::{Place, Refusal},
    state::{Node, NodeId},
    types::{HostPort, SentinelId},
    view::Role,
    watch::Watch,
};

/// What an operator asks of a failover.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order<'a> {
    /// The replica to promote.
    pub(crate) to: Option<&'a HostPort>,
    /// The master hands over, or stays (`COORDINATED`).
    pub(crate) lossless_only: bool,
    /// That replica is promoted whatever it holds (`FORCE`).
    pub(crate) force: bool,
    /// It is only said what would be done (`DRYRUN`).
    pub(crate) dry_run: bool,
    /// Why, in the operator's words (`REASON`).
    pub(crate) reason: Option<&'a str>,
}

impl Watch<'_> {
    /// `SENTINEL CANDIDATES`: a map for each replica, the one that would be promoted first.
    pub(crate) fn list_candidates(&self) -> Reply {
        Reply::Array(self.candidates().into_iter().map(|(node, place)| candidate(node, place)).collect())
    }

    /// `SENTINEL FAILOVER name [TO host port [FORCE]] [COORDINATED] [DRYRUN] [REASON text]`. None: answered when the
    /// nodes have.
    pub(crate) fn failover_to(&mut self, client: ClientId, order: &Order<'_>) -> Option<Reply> {
        let (chosen, wanted, risk) = match self.choose_for(order) {
            Ok(chosen) => chosen,
            Err(refusal) => return Some(refusal),
        };
        if order.dry_run {
            let addr = self.master.nodes.get(chosen).map(|node| node.addr.to_string()).unwrap_or_default();
            let risk = risk.map(|risk| format!(": {risk}")).unwrap_or_default();
            self.rehearse(client, chosen, order.lossless_only, format!("OK {addr} would be promoted{risk}"));
            return None;
        }
        let name = self.master.name.clone();
        let reason = order.reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let text = format!("Executing user requested FAILOVER of '{name}'{reason}");
        self.ctx.notice(Topic::Ordered, Some(&name), text);
        if let Some(risk) = &risk {
            self.ctx.notice(Topic::Ordered, Some(&name), format!("By order: {risk}"));
        }
        self.start_failover(Cause::Operator { wanted, lossless_only: order.lossless_only, any: order.force });
        Some(risk.map_or_else(Reply::ok, |risk| Reply::status(format!("OK {risk}"))))
    }

    /// Who would be promoted; whether that is whom the operator has named; and what may be lost with that one. Or why
    /// nobody is.
    fn choose_for(&self, order: &Order<'_>) -> Result<(NodeId, Option<NodeId>, Option<String>), Reply> {
        let Order { to, lossless_only, force, .. } = *order;
        if self.master.failover.is_some() {
            return Err(errors::failover_in_progress());
        }
        if force && self.master_is_well() {
            return Err(errors::master_is_well());
        }
        let (mut wanted, mut risk) = (None, None);
        if let Some(addr) = to {
            let id = self.master.node_at(addr, &self.ctx.names);
            let place =
                |id| self.candidates_for(true).into_iter().find(|(node, _)| node.id == id).map(|(_, place)| place);
            match id.and_then(|id| Some((id, place(id)?))) {
                None => return Err(errors::no_such_replica()),
                Some((id, Err(why))) if force && !why.is_absolute() => {
                    wanted = Some(id);
                    risk = Some(self.risk_of(id, &why));
                }
                Some((_, Err(why))) => return Err(errors::no_good_target(addr, &why)),
                Some((id, Ok(_))) => wanted = Some(id),
            }
        }
        let best =
            |it: &Self| it.candidates_for(true).first().filter(|(_, place)| place.is_ok()).map(|(node, _)| node.id);
        let Some(chosen) = wanted.or_else(|| best(self)) else { return Err(errors::no_good_replica()) };
        if let Some(why) = self.handover_obstacle().filter(|_| lossless_only) {
            return Err(errors::not_lossless(&why));
        }
        Ok((chosen, wanted, risk))
    }

    /// Whether there is a master to fail over from without any loss.
    fn master_is_well(&self) -> bool {
        let master = self.master.node();
        master.is_reachable() && master.role == Role::Master
    }

    /// What may be lost when a replica is promoted that would not be otherwise.
    fn risk_of(&self, id: NodeId, why: &Refusal) -> String {
        let Some(promotion) = self.promotion_of(id) else { return String::new() };
        let keys = |node: &Node| node.info.holdings.keys_told().map_or("?".to_owned(), |keys| keys.to_string());
        let held = self.master.nodes.get(id).map(keys).unwrap_or_default();
        let most = self.master.nodes.values().filter(|node| !node.stranger && node.id != id);
        let most = most.max_by_key(|node| node.info.holdings.keys());
        let others = most.map(|node| format!(", {} was last seen with {}", node.addr, keys(node))).unwrap_or_default();
        let offsets = promotion.to_string();
        format!(
            "{} although {why}. What it does not hold is lost, the other nodes copy what it holds: {held} keys{others}; {}",
            promotion.addr,
            offsets.trim_start_matches('#')
        )
    }

    /// `SENTINEL FORGET`: none if it is done, else why not. Fewer are a majority afterwards, so it must be gone.
    pub(crate) fn forget_peer(&mut self, id: &SentinelId) -> Option<Reply> {
        if self.master.failover.is_some() {
            return Some(errors::failover_in_progress());
        }
        let Some(addr) = self.master.peers.get(id).map(|peer| peer.addr.clone()) else {
            return Some(errors::no_such_sentinel());
        };
        if self.peers.get(id).is_some_and(|shared| shared.link.is_up()) {
            return Some(errors::still_reachable(id));
        }
        let subject = self.master.subject_of_peer(id, &addr);
        self.remove_peer(id);
        self.ctx.event(Event::PeerForgotten(subject));
        self.changed_urgently();
        self.persist();
        None
    }

    /// `SENTINEL FORGET name UNVERIFIED`: those that have never said who they are since this process started, and cannot be
    /// reached now. They count towards the majority, so that forged ids can leave none.
    pub(crate) fn forget_unverified(&mut self) -> Option<Reply> {
        if self.is_electing() {
            // With so many that never answer nobody is elected, and there is always an election.
            self.end_candidacy("those who cannot be verified are forgotten");
        }
        if self.master.failover.is_some() {
            return Some(errors::failover_in_progress());
        }
        let unverified = |id: &SentinelId| !self.peers.get(id).is_some_and(|shared| shared.verified || shared.speaks());
        let ids: Vec<SentinelId> = self.master.peers.keys().filter(|id| unverified(id)).cloned().collect();
        for id in &ids {
            let Some(addr) = self.master.peers.get(id).map(|peer| peer.addr.clone()) else { continue };
            let subject = self.master.subject_of_peer(id, &addr);
            self.remove_peer(id);
            self.ctx.event(Event::PeerForgotten(subject));
        }
        self.changed_urgently();
        self.persist();
        self.consider_failover();
        None
    }

    /// `SENTINEL FORGET-REPLICA`: none if it is done, else why not.
    pub(crate) fn forget_replica(&mut self, addr: &HostPort) -> Option<Reply> {
        if self.master.failover.is_some() {
            return Some(errors::failover_in_progress());
        }
        let Some(id) = self.master.node_at(addr, &self.ctx.names).filter(|id| *id != self.master.current) else {
            return Some(errors::no_such_replica());
        };
        if self.master.nodes.get(id).is_some_and(|node| node.link.is_up()) {
            return Some(errors::still_reachable(addr));
        }
        self.node_event(id, Event::ReplicaForgotten);
        self.remove_node(id);
        self.changed_urgently();
        self.persist();
        None
    }
}

fn candidate(node: &Node, place: Result<Place, Refusal>) -> Reply {
    let (field, value) = match &place {
        Ok(place) => ("rank", place.rank.to_string()),
        Err(why) => ("refused", why.to_string()),
    };
    let run_id = node.info.run_id.as_ref().map(ToString::to_string).unwrap_or_default();
    let fields = [
        ("name", node.addr.to_string()),
        ("ip", node.addr.host.to_string()),
        ("port", node.addr.port.to_string()),
        ("runid", run_id),
        (field, value),
        ("slave-priority", node.info.priority.to_string()),
        ("slave-repl-offset", node.info.offset.to_string()),
    ];
    let class = place.ok().map(|place| ("class", place.class.to_string()));
    Reply::Map(
        fields.into_iter().chain(class).map(|(name, value)| (Reply::from(name), Reply::display(value))).collect(),
    )
}
