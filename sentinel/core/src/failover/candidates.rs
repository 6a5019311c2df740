//! Which replicas could be promoted now, and whether it is worth waiting for a better one.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    failover::Failover,
    notice::Topic,
    select::{self, Class, Facts, Followers, Place, Refusal, Stream, TakenOver},
    state::{Node, NodeId, Said},
    time::Instant,
    timer::Timer,
    types::HostPort,
    view::Role,
    watch::Watch,
};

impl Watch<'_> {
    /// The place of a replica among the candidates, or why it is none. None: it is no replica.
    pub(crate) fn place_of(&self, id: NodeId) -> Option<Result<Place, Refusal>> {
        self.candidates().into_iter().find(|(node, _)| node.id == id).map(|(_, place)| place)
    }

    /// Every replica with its place among the candidates, or why it is none.
    pub(crate) fn candidates(&self) -> Vec<(&Node, Result<Place, Refusal>)> {
        self.candidates_for(self.master.failover.as_ref().is_some_and(Failover::is_forced))
    }

    /// The same for an operator's order, which does not wait for anything.
    pub(crate) fn candidates_for(&self, by_order: bool) -> Vec<(&Node, Result<Place, Refusal>)> {
        select::rank_all(self.master.replicas(), &self.selection_facts(by_order))
    }

    fn selection_facts(&self, by_order: bool) -> Facts {
        let stream = self.stream();
        let grace = self.master.settings.reload_grace;
        let reloaded_from = match self.master.odown_since {
            _ if by_order => Instant::ZERO,
            Some(since) => since + grace,
            None => self.ctx.mono() + grace,
        };
        Facts {
            now: self.ctx.mono(),
            ping_period: self.ctx.timing.ping_period,
            info_period: self.ctx.timing.info_period,
            down_after: self.master.settings.down_after,
            master_down_since: self.master.node().sdown_since,
            best_effort: self.promotes_best_effort(),
            empty_history: self.empty_history().cloned(),
            max_lag: self.master.settings.max_lag,
            told: self.offsets_told(&stream),
            stream,
            master_follows: self.followed_by_master(),
            taken_over: self.taken_over(),
            followers: self.followers(),
            followed: self.followed(),
            reloaded_from,
            expected: if by_order { Vec::new() } else { self.expected_candidates() },
            empty_will_do: self.master.settings.promote_empty || !self.master.holds_data && !self.may_data_be_left(),
        }
    }

    /// Whether a node of ours held something when it was last heard, also one that is away now: a master that came back with nothing
    /// does not show that nobody else has anything. Nor does what the state file says of a master that others have announced
    /// since, and that was never heard: it is from before.
    fn may_data_be_left(&self) -> bool {
        if self.master.switched_at.is_some() && self.master.node().info_at.is_none() {
            return true;
        }
        let holds = |node: &Node| {
            let before = node.in_sync.as_ref().and_then(|it| it.keys);
            node.info.holdings.keys_told().or(before).is_some_and(|keys| keys > 0)
        };
        self.master.nodes.values().any(|node| !node.stranger && holds(node))
    }

    /// The replication stream of this deployment, as its nodes tell it.
    pub(crate) fn stream(&self) -> Stream {
        let (nodes, lineage) = (self.master.nodes.values(), &self.master.lineage);
        let followers = Followers { present: self.followers(), former: self.followers_of_before() };
        Stream::of(nodes, self.master.current, &followers, lineage, self.empty_history())
    }

    /// Whom the configured master follows, over a link that is up, if it is a replica itself.
    fn followed_by_master(&self) -> Option<NodeId> {
        let info = &self.master.node().info;
        // What it said before it became the master says nothing any more.
        let said = |at| self.master.switched_at.is_none_or(|switched| at >= switched);
        let linked = info.role == Some(Role::Replica) && info.link_up && self.master.node().info_at.is_some_and(said);
        let source = self.master.replicas().filter(|_| linked).find(|node| info.follows(&node.addr, &self.ctx.names));
        // Nor does what it said before that node was started anew, from whatever file.
        source.filter(|node| node.restart_seen_at <= self.master.node().info_at).map(|node| node.id)
    }

    /// The node of another history that the configured master follows, if it shows that history itself.
    fn taken_over(&self) -> Option<TakenOver> {
        let from = self.followed_by_master()?;
        let source = self.master.nodes.get(from).filter(|node| node.stranger)?;
        let history = &source.info.history;
        if history.id.is_none() || history.id != self.master.node().info.history.id {
            return None;
        }
        let may_hold_more = |node: &&Node| {
            // One that has told nothing since we know it may hold anything.
            let has_data = node.info_at.is_none() || node.info.offset > 1 || node.info.holdings.keys_told() != Some(0);
            node.id != from && !node.stranger && node.info.history.id != history.id && has_data
        };
        let kept_by = self.master.replicas().find(may_hold_more).map(|node| node.addr.clone());
        Some(TakenOver { from, kept_by })
    }

    /// The replicas that say that they follow the configured master.
    fn followers(&self) -> BTreeSet<NodeId> {
        let (addr, names) = (self.master.addr(), &self.ctx.names);
        let followers = self.master.replicas().filter(|node| node.info.follows(addr, names));
        followers.map(|node| node.id).collect()
    }

    /// The replicas that say that they follow a master of before.
    fn followers_of_before(&self) -> BTreeSet<NodeId> {
        let names = &self.ctx.names;
        let before: Vec<&HostPort> =
            self.master.replicas().filter(|node| node.former_master).map(|node| &node.addr).collect();
        let follows = |node: &&Node| before.iter().any(|addr| node.info.follows(addr, names));
        self.master.replicas().filter(follows).map(|node| node.id).collect()
    }

    /// The nodes that one of ours follows, over a link that is up.
    fn followed(&self) -> BTreeSet<NodeId> {
        let linked =
            self.master.nodes.values().filter(|node| node.is_reachable() && node.info.link_up && !node.stranger);
        linked.filter_map(|node| self.master.node_at(&node.info.source_addr()?, &self.ctx.names)).collect()
    }

    /// Replicas that were in sync and whose data may be known in a moment: they are being connected to, or are loading.
    fn expected_candidates(&self) -> Vec<(NodeId, HostPort)> {
        let expected = self.master.replicas().filter(|node| {
            let unread = match node.link.state {
                crate::state::LinkState::Up { since, .. } => node.info_at.is_none_or(|at| at < since),
                _ => true,
            };
            let may_be_better = node.in_sync.is_some() && node.info.priority != 0 && !node.stranger;
            may_be_better && node.sdown_since.is_none() && (unread || node.info.holdings.is_loading())
        });
        expected.map(|node| (node.id, node.addr.clone())).collect()
    }

    fn offsets_told(&self, stream: &Stream) -> Vec<select::Told> {
        let ours = self.master.nodes.values().filter(|node| !node.stranger);
        let told = |node: &Node| {
            let info = &node.info;
            let goes_on = match info.role {
                Some(Role::Replica) => true,
                // Another leader may have promoted it a moment ago: whoever follows it lacks what it has taken since.
                Some(Role::Master) => node.id != self.master.current && node.was_replica_before(),
                None => false,
            };
            let own = info.history.id.clone().filter(|_| goes_on && !node.former_master).map(|id| (id, info.offset));
            Some(select::Told { at: node.info_at?, position: stream.position(info)?, own })
        };
        ours.filter_map(told).collect()
    }

    /// When there may be a candidate, if there is none now. None: there is one, or it does not help to wait.
    pub(crate) fn candidate_awaited_until(&self) -> Option<Instant> {
        let candidates = self.candidates();
        if candidates.iter().any(|(_, place)| place.is_ok()) {
            return None;
        }
        let look_again = self.ctx.timing.urgent_info_period;
        let refusals = candidates.iter().filter_map(|(_, place)| place.as_ref().err());
        refusals.filter_map(|why| why.may_end_at(self.ctx.mono(), look_again)).min()
    }

    /// No failover is started before this time: said once for each outage.
    pub(crate) fn tell_awaited_candidate(&mut self) {
        if !self.master.said.insert(Said::NoCandidateYet) {
            return;
        }
        let look_again = self.ctx.timing.urgent_info_period;
        let name = self.master.name.clone();
        let waits = self.candidates().into_iter().filter_map(|(node, place)| {
            let why = place.err().filter(|why| why.may_end_at(self.ctx.mono(), look_again).is_some())?;
            Some(format!("{} is no candidate for the promotion yet: {why}", node.addr))
        });
        for text in waits.collect::<Vec<_>>() {
            self.ctx.notice(Topic::NoCandidateYet, Some(&name), text);
        }
    }

    /// Something is known of a replica: should a failover have waited for that, or have found nobody, look again. A departure: the
    /// reference tries again after twice the failover timeout.
    pub(crate) fn reconsider_awaited_candidate(&mut self) {
        if !self.master.awaits_candidate {
            return;
        }
        if self.master.odown_since.is_none() || self.master.failover.is_some() {
            self.master.awaits_candidate = false;
            return;
        }
        // A former master lacks what the present one, which may come back, has acknowledged: that is no reason to hurry.
        let is_good = |place: &Result<Place, Refusal>| place.as_ref().is_ok_and(|place| place.class <= Class::Reloaded);
        let is_fit = self.candidates().iter().any(|(_, place)| is_good(place));
        if !is_fit && self.candidate_awaited_until().is_none() {
            return;
        }
        self.master.awaits_candidate = false;
        // Where everybody was away, the first one to return need not be the best.
        let missing = |node: &Node| !node.is_reachable() && node.info.priority != 0 && !node.stranger;
        let pause =
            if self.master.replicas().any(missing) { self.master.settings.reload_grace } else { Duration::ZERO };
        let again = (self.master.vote.at + self.ctx.timing.urgent_info_period).max(self.ctx.mono() + pause);
        self.master.not_before = self.master.not_before.min(again);
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        self.consider_failover();
    }
}
