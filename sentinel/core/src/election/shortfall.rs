//! Saying how many agree, of how many, who does not, and why not: the first question of whoever finds that no failover
//! takes place.

use std::{
    fmt::{self, Write as _},
    time::Duration,
};

use crate::{
    election::tally::Needed,
    failover::Phase,
    notice::Topic,
    state::{Identity, Peer, Said},
    types::{Epoch, SentinelId},
    watch::Watch,
};

/// Why a Sentinel is not among those who agree.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Absence {
    /// There is no connection, and nothing has come from it since.
    Unreachable(Duration),
    /// It is connected, but has not answered; the last answer to anything is so old.
    Unanswered(Duration),
    /// It voted for another one in this epoch.
    VotedFor(SentinelId),
    /// It does not hold the master for down.
    HoldsItForUp,
    /// It answered, and gave no vote in this epoch.
    Withholds,
    /// It does not prove that it knows the key.
    Unproven,
}

impl fmt::Display for Absence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Absence::Unreachable(time) => write!(f, "unreachable for {} ms", time.as_millis()),
            Absence::Unanswered(time) => write!(f, "has not answered, heard of {} ms ago", time.as_millis()),
            Absence::VotedFor(leader) => write!(f, "voted for {leader}"),
            Absence::HoldsItForUp => f.write_str("does not hold it for down"),
            Absence::Withholds => f.write_str("gave no vote"),
            Absence::Unproven => f.write_str("does not prove that it knows hello-auth-key"),
        }
    }
}

impl Watch<'_> {
    /// `1 of 3 votes, 2 needed; <id> at <address> unreachable for 5000 ms`
    pub(crate) fn shortfall(&self, epoch: Epoch, mine: usize, needed: Needed) -> String {
        let mut text = format!("{mine} of {} votes, {} needed", self.master.voters(), needed.votes());
        self.list_absent(&mut text, |peer| match &peer.vote {
            Some((leader, at)) if *at == epoch && *leader == self.ctx.id => None,
            Some((leader, at)) if *at == epoch => Some(Absence::VotedFor(leader.clone())),
            _ if self.is_asked_for_a_vote(&peer.id, epoch) => Some(self.unanswered(&peer.id)),
            _ => Some(Absence::Withholds),
        });
        text
    }

    /// The master has been down for us for as long as it takes to ask everybody twice, all who can answer have, and too few
    /// agree: said once, from the tally that decides.
    ///
    /// Who was asked in the moment of the death may not have noticed it yet. While a second answer is awaited nothing is said; who
    /// does not give it within another period is named.
    pub(crate) fn tell_disagreement(&mut self) {
        let now = self.ctx.mono();
        let Some(since) = self.master.node().sdown_since else { return };
        let down_for = now.since(since);
        let period = self.ctx.timing.ask_period;
        let asked = down_for >= period && !self.awaits_opinions() || down_for >= 2 * period;
        if self.master.odown_since.is_some()
            || self.ctx.in_tilt()
            || !asked
            || !self.master.said.insert(Said::Disagreement)
        {
            return;
        }
        let agreeing = 1 + self.agreeing();
        let (name, voters, need) = (self.master.name.clone(), self.master.voters(), self.master.settings.quorum);
        let mut text =
            format!("{name} is subjectively down, but {agreeing} of {voters} Sentinels say so, {need} needed");
        self.list_absent(&mut text, |peer| match peer.opinion {
            Some(opinion) if opinion.down => None,
            Some(_) => Some(Absence::HoldsItForUp),
            None => Some(self.unanswered(&peer.id)),
        });
        if !self.reaches_majority() {
            text.push_str(
                "; most Sentinels are out of reach: they may have replaced it, so the address that is told here may be old",
            );
        }
        self.ctx.notice(Topic::QuorumMissing, Some(&name), text);
    }

    /// Whether as many Sentinels as must agree to a switch can be asked here. If not, one can take place without being
    /// heard of.
    fn reaches_majority(&self) -> bool {
        let reached = |id| self.peers.get(id).is_some_and(|shared| shared.link.is_up());
        let reached = 1 + self.master.peers.iter().filter(|(id, peer)| peer.opinion.is_some() && reached(*id)).count();
        reached >= self.master.majority()
    }

    /// Whether an answer to the question what somebody thinks of the master is under way.
    fn awaits_opinions(&self) -> bool {
        let (key, addr) = (self.master.key, self.master.addr());
        let asked = |id| self.peers.get(id).is_some_and(|shared| shared.link.awaits_opinion(key, addr));
        self.ctx.questions_due.contains(&key) || self.master.peers.keys().any(asked)
    }

    fn unanswered(&self, id: &SentinelId) -> Absence {
        let heard_at = self.peers.get(id).map(|shared| shared.link.heard_at);
        Absence::Unanswered(heard_at.map(|at| self.ctx.mono().since(at)).unwrap_or_default())
    }

    fn is_asked_for_a_vote(&self, id: &SentinelId, epoch: Epoch) -> bool {
        let waits = |phase: &Phase| matches!(phase, Phase::Electing { unanswered } if unanswered.contains(id));
        self.master.failover.as_ref().is_some_and(|failover| waits(&failover.phase))
            || self.peers.get(id).is_some_and(|shared| shared.link.awaits_vote(self.master.key, epoch))
    }

    fn list_absent(&self, text: &mut String, why: impl Fn(&Peer) -> Option<Absence>) {
        let now = self.ctx.mono();
        for (id, peer) in &self.master.peers {
            let Some(shared) = self.peers.get(id) else { continue };
            let link = &shared.link;
            let Some(why) = why(peer) else { continue };
            let why = if matches!(shared.identity, Identity::Unproven(_)) { Absence::Unproven } else { why };
            let away = link.unavailable_since().filter(|_| !link.is_up()).map(|since| now.since(since));
            let why = away.map_or(why, Absence::Unreachable);
            let _ = write!(text, "; {id} at {} {why}", link.target.addr);
        }
    }
}
