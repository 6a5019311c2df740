use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::{
    canonical::Remembered,
    input::{LinkFault, LinkId, RequestId},
    monitor::PingPeriod,
    output::Target,
    role_change::Omitted,
    state::{Denials, MasterKey},
    time::Instant,
    types::{Epoch, HostPort, Nonce, Signature},
    view::OwnVitals,
};

/// A connection to one instance, with what its PINGs have shown.
#[derive(Clone, Debug, Hash)]
#[expect(clippy::struct_excessive_bools, reason = "what is known of a connection are such independent facts")]
pub(crate) struct Link {
    pub(crate) target: Arc<Target>,
    pub(crate) state: LinkState,
    /// Since when no PING has been answered acceptably; at first since the instance is known. None: none is pending.
    pub(crate) silent_since: Option<Instant>,
    /// The last acceptable answer to a PING; at first when the instance became known.
    pub(crate) ok_reply_at: Instant,
    /// The last answer of any kind to anything.
    pub(crate) heard_at: Instant,
    /// When the last PING was sent.
    pub(crate) ping_sent_at: Option<Instant>,
    /// Attempts to connect since the link was last up.
    pub(crate) attempts: u32,
    /// Connections in a row that were up and ended soon.
    pub(crate) brief_lives: u32,
    /// This process had no room for the last attempt: until there is, nothing is known of the instance.
    pub(crate) starved: bool,
    /// It waits for its first connection, with many others.
    pub(crate) waits: bool,
    /// Refused connections in a row.
    pub(crate) refusals: u32,
    /// What it does not let us do.
    pub(crate) denials: Denials,
    /// When a login was last tried, if the last one was refused.
    pub(crate) login_tried_at: Option<Instant>,
    /// The last attempt to connect met somebody who serves nothing without other credentials.
    pub(crate) shut_out: bool,
    /// The refusal that was told since the link was last up.
    pub(crate) told: Option<LinkFault>,
    /// Why it is not up, as far as the last attempt showed.
    pub(crate) fault: Remembered<Option<LinkFault>>,
    /// The last answer to a PING, while it is none that counts.
    pub(crate) odd_answer: Remembered<Option<Box<str>>>,
    /// What was sent and not answered.
    pub(crate) in_flight: InFlight,
    /// The connection before ended while a hello had no answer: the node may keep back what is published, and all behind it.
    pub(crate) behind_hello: bool,
    /// A connection that waits behind a hello is replaced however young it is: another node is out of reach, to which this one may be
    /// handing over.
    pub(crate) hasty: bool,
    pub(crate) vitals: OwnVitals,
    /// Time between two PINGs.
    pub(crate) ping_period: PingPeriod,
    /// An open connection silent for longer than this may be replaced: half of down-after.
    pub(crate) silence_limit: Duration,
}

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinkState {
    /// Nothing under way; a timer dials again.
    Closed,
    /// Being dialled.
    Connecting(LinkId),
    /// Usable.
    Up { link: LinkId, since: Instant, local: Option<IpAddr> },
}

/// What a request was about, so that its answer is understood.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Asked {
    Ping,
    Info,
    Hello,
    /// Who it is, and whether it knows the key.
    Identity {
        challenge: Option<Nonce>,
    },
    /// An opinion on a master as of an address.
    Opinion {
        master: MasterKey,
        addr: HostPort,
        /// The signature of the question, if it has one.
        signed: Option<Signature>,
    },
    /// A vote in an epoch.
    Vote {
        master: MasterKey,
        epoch: Epoch,
        signed: Option<Signature>,
    },
    /// To hand over to a replica.
    HandOver,
    /// Not to hand over after all.
    CallOff,
    /// To tell its offset to its master.
    Acknowledge,
    /// The promotion.
    Promote {
        omitted: Omitted,
    },
    /// The order to follow a master.
    Replicate {
        of: HostPort,
        omitted: Omitted,
    },
    ScriptKill,
    /// What it would permit.
    MayI,
    /// To nominate nobody, or to do so again.
    Pause,
    /// To log in after all, over a link that is used without.
    SignIn,
}

/// Requests without an answer, in the order in which they were sent: so are the answers.
///
/// It keeps its memory while it is empty, which it is most of the time. No PING costs an allocation.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct InFlight(Vec<(RequestId, Asked)>);

impl InFlight {
    /// One more was sent.
    pub(crate) fn add(&mut self, request: RequestId, asked: Asked) {
        self.0.push((request, asked));
    }

    /// Takes the one that was answered.
    pub(crate) fn take(&mut self, request: RequestId) -> Option<Asked> {
        let at = self.0.iter().position(|(it, _)| *it == request)?;
        Some(self.0.remove(at).1)
    }

    /// Whether there is one such.
    pub(crate) fn any(&self, is_meant: impl Fn(&Asked) -> bool) -> bool {
        self.0.iter().any(|(_, asked)| is_meant(asked))
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// None of them will be answered.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Link {
    /// Commands that may wait on one link; beyond, nothing periodic is sent. The reference's bound.
    pub(crate) const MAX_IN_FLIGHT: usize = 100;

    pub(crate) fn new(target: Target, ping_period: PingPeriod, now: Instant) -> Self {
        Link {
            target: Arc::new(target),
            state: LinkState::Closed,
            silent_since: Some(now),
            ok_reply_at: now,
            heard_at: now,
            ping_sent_at: None,
            attempts: 0,
            brief_lives: 0,
            refusals: 0,
            denials: Denials::default(),
            login_tried_at: None,
            shut_out: false,
            told: None,
            starved: false,
            waits: false,
            fault: Remembered(None),
            odd_answer: Remembered(None),
            in_flight: InFlight::default(),
            behind_hello: false,
            hasty: false,
            vitals: OwnVitals::new(now),
            ping_period,
            silence_limit: Duration::from_secs(15),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        matches!(self.state, LinkState::Up { .. })
    }

    /// Whether its silence says anything: it has been asked, or nobody but itself keeps it from being asked.
    pub(crate) const fn is_watched(&self) -> bool {
        !self.starved && !self.waits
    }

    /// Since when it is up, if it is.
    pub(crate) const fn up_since(&self) -> Option<Instant> {
        match self.state {
            LinkState::Up { since, .. } => Some(since),
            _ => None,
        }
    }

    /// The connection in use or being dialled.
    pub(crate) const fn id(&self) -> Option<LinkId> {
        match self.state {
            LinkState::Closed => None,
            LinkState::Connecting(link) | LinkState::Up { link, .. } => Some(link),
        }
    }

    /// The own address as seen through this link.
    pub(crate) const fn local(&self) -> Option<IpAddr> {
        match self.state {
            LinkState::Up { local, .. } => local,
            _ => None,
        }
    }

    /// Since when the instance has not been available, if it is not: the first PING without an acceptable answer, or,
    /// while disconnected, the last acceptable one.
    pub(crate) fn unavailable_since(&self) -> Option<Instant> {
        match self.silent_since {
            Some(at) => Some(at),
            None if !self.is_up() => Some(self.ok_reply_at),
            None => None,
        }
    }

    /// None of what was sent will be answered.
    pub(crate) fn forget_requests(&mut self) {
        self.behind_hello |= self.awaits(&Asked::Hello);
        self.in_flight.clear();
        self.vitals.set_pending(0);
    }

    /// Whether a request of this kind waits for its answer.
    pub(crate) fn awaits(&self, asked: &Asked) -> bool {
        self.in_flight.any(|it| it == asked)
    }

    /// Whether it was asked for an opinion on this master as of this address, and has not answered.
    pub(crate) fn awaits_opinion(&self, of: MasterKey, at: &HostPort) -> bool {
        self.in_flight.any(|it| matches!(it, Asked::Opinion { master, addr, .. } if *master == of && addr == at))
    }

    /// Whether it was asked for its vote in this epoch, and has not answered.
    pub(crate) fn awaits_vote(&self, of: MasterKey, at: Epoch) -> bool {
        self.in_flight.any(|it| matches!(it, Asked::Vote { master, epoch, .. } if *master == of && *epoch == at))
    }

    /// Counts silence anew from `now`, as for an instance that has just become known.
    pub(crate) fn restart_silence(&mut self, now: Instant) {
        // When it was last well is not forgotten: a silent link to a former master is none to a candidate.
        self.silent_since = Some(now);
        self.vitals.set_ping_sent(Some(now));
        self.vitals.set_ok_reply(now);
    }

    /// Takes time that nobody observed out of every silence.
    pub(crate) fn forgive(&mut self, stall: Duration) {
        if let Some(at) = &mut self.silent_since {
            *at = *at + stall;
        }
        self.ok_reply_at = self.ok_reply_at + stall;
        self.heard_at = self.heard_at + stall;
        self.vitals.set_ping_sent(self.silent_since);
        self.vitals.set_ok_reply(self.ok_reply_at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        output::TargetKind,
        settings::{MasterSettings, Timing},
        types::Quorum,
    };

    fn link() -> Link {
        let target = Target {
            addr: "127.0.0.1:6379".parse().unwrap(),
            kind: TargetKind::DataNode,
            user: None,
            pass: None,
            client_name: String::new(),
            rename_commands: Arc::default(),
        };
        let settings = MasterSettings::new(Quorum::new(1).unwrap());
        Link::new(target, PingPeriod::of(&settings, &Timing::default()), Instant::from_micros(5))
    }

    fn up() -> LinkState {
        LinkState::Up { link: LinkId(1), since: Instant::ZERO, local: None }
    }

    #[test]
    fn a_new_instance_is_unavailable_since_it_is_known() {
        assert_eq!(link().unavailable_since(), Some(Instant::from_micros(5)));
    }

    #[test]
    fn silence_counts_from_the_first_unanswered_ping_else_from_the_last_answer_while_disconnected() {
        let mut link = link();
        link.state = up();
        link.silent_since = None;
        link.ok_reply_at = Instant::from_micros(70);
        assert_eq!(link.unavailable_since(), None);
        link.state = LinkState::Connecting(LinkId(2));
        assert_eq!(link.unavailable_since(), Some(Instant::from_micros(70)));
        link.silent_since = Some(Instant::from_micros(60));
        assert_eq!(link.unavailable_since(), Some(Instant::from_micros(60)));
    }

    #[test]
    fn time_that_nobody_observed_is_no_silence() {
        let mut link = link();
        link.forgive(Duration::from_micros(100));
        assert_eq!(link.unavailable_since(), Some(Instant::from_micros(105)));
        link.silent_since = None;
        link.forgive(Duration::from_micros(100));
        assert_eq!((link.silent_since, link.ok_reply_at), (None, Instant::from_micros(205)));
    }
}
