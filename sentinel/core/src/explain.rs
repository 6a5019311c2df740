//! `SENTINEL EXPLAIN` and `SENTINEL CONSENSUS`: why things are as they are, and who believes what. Nothing here changes anything.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    failover::{Cause, Failover},
    problems::is_usable,
    state::{Identity, Peer, PeerLink},
    watch::Watch,
};

/// So many Sentinels are listed, and as many candidates are explained.
const LISTED: usize = 64;

impl Watch<'_> {
    /// `SENTINEL EXPLAIN`: sentences, the most important first.
    pub(crate) fn explain(&self) -> Reply {
        let mut lines = vec![self.present(), self.origin()];
        lines.extend(self.master.failover.as_ref().map(|failover| self.progress(failover)));
        lines.push(self.outlook());
        lines.push(self.agreement());
        lines.extend(self.prospects());
        Reply::Array(lines.into_iter().map(Reply::from).collect())
    }

    /// How it is with the master.
    fn present(&self) -> String {
        let node = self.master.node();
        let (name, addr, epoch) = (&self.master.name, self.master.addr(), self.master.config_epoch);
        let state = match (self.master.odown_since, node.sdown_since) {
            (Some(since), _) => format!("objectively down for {}: {}", self.ago(since), self.cause_of(node.id)),
            (None, Some(since)) => format!("subjectively down for {}: {}", self.ago(since), self.cause_of(node.id)),
            (None, None) if node.link.is_up() => "well".to_owned(),
            (None, None) => format!("not connected: {}", self.cause_of(node.id)),
        };
        format!("The master of {name} is {addr}, of configuration epoch {epoch}; it is {state}")
    }

    /// Why it is the master.
    fn origin(&self) -> String {
        let epoch = self.master.config_epoch;
        match self.master.switched_at {
            Some(at) if self.master.led_switch => {
                let offsets =
                    self.master.promotion.as_ref().map(|it| format!(", {}", it.to_string().trim_start_matches('#')));
                let offsets = offsets.unwrap_or_default();
                format!(
                    "It is the master since this Sentinel led the failover of epoch {epoch}, {} ago{offsets}",
                    self.ago(at)
                )
            }
            Some(at) => {
                format!(
                    "It is the master since another Sentinel announced the configuration of epoch {epoch}, {} ago",
                    self.ago(at)
                )
            }
            None => {
                let known = self.ctx.mono().since(self.master.watched_since.0);
                format!("It has been the master since this Sentinel began to watch it, {} ago", shown(known))
            }
        }
    }

    /// What a failover is doing.
    fn progress(&self, failover: &Failover) -> String {
        let why = match failover.cause {
            Cause::Down => "since the master is down",
            Cause::Nodes { .. } => "since the nodes show a handover that nobody finishes",
            Cause::Operator { .. } => "since an operator asked for it",
        };
        let candidate = failover.candidate().and_then(|id| self.master.nodes.get(id));
        let candidate = candidate.map(|node| format!(", with {} as the new master", node.addr)).unwrap_or_default();
        let (epoch, word, time) = (failover.epoch, failover.word(), self.ago(failover.started_at));
        format!("This Sentinel is in the failover of epoch {epoch} for {time}, {why}: {word}{candidate}")
    }

    /// What keeps a failover from taking place, the first reason that counts first.
    pub(crate) fn obstacles(&self) -> Vec<String> {
        let mut all = Vec::new();
        let now = self.ctx.mono();
        let reach = self.reach();
        if !reach.is_enough() {
            let (usable, known, needed) = (reach.usable, reach.known, reach.needed());
            all.push(format!("{usable} of {known} Sentinels can agree, {needed} are needed{}", self.list_unusable()));
        }
        if !self.candidates().iter().any(|(_, place)| place.is_ok()) {
            all.push("no replica could be promoted".to_owned());
        }
        if self.ctx.in_tilt() {
            all.push("this process stood still and asks all anew first (TILT)".to_owned());
        }
        if let Some(error) = &self.ctx.durability.error {
            all.push(format!("this Sentinel cannot write its state, and so leads nothing: {error}"));
        }
        if let Some(until) = self.paused_until() {
            let end = if until == crate::time::Instant::NEVER {
                "until SENTINEL RESUME".to_owned()
            } else {
                format!("for another {}", shown(until.since(now)))
            };
            let reason = self.master.settings.pause_reason.as_deref().map(|it| format!(" ({it})")).unwrap_or_default();
            all.push(format!("an operator has paused failovers{reason} {end}"));
        } else if let Some(until) = self.withheld_until().filter(|at| *at > now) {
            all.push(format!("failover-pause lasts for another {}", shown(until.since(now))));
        }
        if self.master.not_before > now && self.master.failover.is_none() {
            let wait = shown(self.master.not_before.since(now));
            all.push(format!("this Sentinel starts none for another {wait}: {}", self.reason_of_delay()));
        }
        all
    }

    /// What would happen if the master died now, or why nothing happens although it is down.
    fn outlook(&self) -> String {
        let down = self.master.node().sdown_since.is_some();
        let obstacles = self.obstacles();
        if down && self.master.odown_since.is_none() {
            let (agreeing, quorum) = (1 + self.agreeing(), self.master.settings.quorum);
            return format!(
                "There is no failover while too few hold it for down: {agreeing} do, quorum {quorum} is needed"
            );
        }
        if !obstacles.is_empty() {
            let when = if down {
                "There is no failover"
            } else {
                "If the master died now, there would be no failover at first"
            };
            return format!("{when}: {}", obstacles.join("; "));
        }
        let candidates = self.candidates();
        let best = candidates.first().map(|(node, _)| node.addr.to_string()).unwrap_or_default();
        if down {
            return format!("A failover is due: {best} would be promoted");
        }
        let (after, votes) = (shown(self.master.settings.down_after), self.reach().needed());
        format!(
            "If the master died now, {best} would be promoted, {after} after its last answer, by a Sentinel with {votes} votes"
        )
    }

    fn agreement(&self) -> String {
        let reach = self.reach();
        let (usable, known, quorum, majority) = (reach.usable, reach.known, reach.quorum, reach.majority);
        format!(
            "{usable} of {known} Sentinels are usable; quorum {quorum} and majority {majority} are needed{}",
            self.list_unusable()
        )
    }

    /// Each replica with its place, or why it has none.
    fn prospects(&self) -> Vec<String> {
        let candidates = self.candidates();
        let shown = candidates.iter().take(LISTED).map(|(node, place)| match place {
            Ok(place) => {
                let (addr, rank, class) = (&node.addr, place.rank, place.class);
                format!(
                    "{addr} is candidate {rank}: {class}, priority {}, offset {}",
                    node.info.priority, node.info.offset
                )
            }
            Err(why) => format!("{} is no candidate: {why}", node.addr),
        });
        let mut lines: Vec<String> = shown.collect();
        if lines.is_empty() {
            lines.push("No replica is known".to_owned());
        }
        lines
    }

    /// `SENTINEL CONSENSUS`: a map for each Sentinel, this one first.
    pub(crate) fn consensus(&self) -> Reply {
        let own_vote = self.master.vote.leader.as_ref().map(|id| (id.to_string(), self.master.vote.epoch.to_string()));
        let (leader, leader_epoch) = own_vote.unwrap_or_default();
        let down = if self.master.node().sdown_since.is_some() { "yes" } else { "no" };
        let own = [
            ("runid", self.ctx.id.to_string()),
            ("address", "this Sentinel".to_owned()),
            ("usable", "yes".to_owned()),
            ("master", self.master.addr().to_string()),
            ("config-epoch", self.master.config_epoch.to_string()),
            ("current-epoch", self.ctx.current_epoch.to_string()),
            ("master-down", down.to_owned()),
            ("voted-leader", leader),
            ("voted-leader-epoch", leader_epoch),
        ];
        let others = self.master.peers.values().filter_map(|peer| Some((peer, self.peers.get(&peer.id)?)));
        let others = others.take(LISTED).map(|(peer, shared)| map(self.belief(peer, shared)));
        Reply::Array(std::iter::once(map(own)).chain(others).collect())
    }

    fn belief(&self, peer: &Peer, shared: &PeerLink) -> [(&'static str, String); 10] {
        let now = self.ctx.mono();
        let usable = match (is_usable(peer, shared), &shared.identity) {
            (false, _) => format!("no: {}", crate::problems::why_unusable(shared, now)),
            (true, Identity::Proven) => "yes".to_owned(),
            (true, Identity::Withheld) => "yes, but it does not say who it is".to_owned(),
            (true, _) => "yes, but it has not said who it is on this connection yet".to_owned(),
        };
        let down = match peer.opinion {
            None => "not asked",
            Some(opinion) if opinion.down => "yes",
            Some(_) => "no",
        };
        let claim = peer.claim.as_ref();
        let vote = peer.vote.as_ref();
        [
            ("runid", peer.id.to_string()),
            ("address", peer.addr.to_string()),
            ("usable", usable),
            ("master", claim.map(|it| it.addr.to_string()).unwrap_or_default()),
            ("config-epoch", claim.map(|it| it.config_epoch.to_string()).unwrap_or_default()),
            ("current-epoch", peer.epoch.to_string()),
            ("master-down", down.to_owned()),
            ("voted-leader", vote.map(|(id, _)| id.to_string()).unwrap_or_default()),
            ("voted-leader-epoch", vote.map(|(_, epoch)| epoch.to_string()).unwrap_or_default()),
            ("last-hello-ms", now.since(peer.hello_at).as_millis().to_string()),
        ]
    }

    fn ago(&self, at: crate::time::Instant) -> String {
        shown(self.ctx.mono().since(at))
    }
}

fn map<const N: usize>(fields: [(&'static str, String); N]) -> Reply {
    Reply::Map(fields.into_iter().map(|(name, value)| (Reply::from(name), Reply::display(value))).collect())
}

/// As an operator reads it.
fn shown(time: Duration) -> String {
    match time.as_millis() {
        ms if ms < 10_000 => format!("{ms} ms"),
        ms if ms < 600_000 => format!("{} s", ms / 1_000),
        ms => format!("{} min", ms / 60_000),
    }
}
