//! A switchover without loss: the master itself stops taking writes, waits until the replica has everything, and hands
//! over. Redis can do so since 6.2 (`FAILOVER`).
//!
//! A departure: the reference promotes the replica while the old master goes on acknowledging writes, which are lost
//! when it is demoted some 10 s later. Tried when an operator moves a master that is well; whatever stands in the way
//! is told, and it falls back to the reference's procedure. The replica catches up first, while the master goes on taking writes; only then are
//! writes paused, and writers kept waiting until they are disconnected, so that none of them is refused by a replica. The server undoes a handover that does not come to an end by
//! itself (`TIMEOUT`), so that a Sentinel that dies in the middle leaves no paused master behind.
//!
//! With `COORDINATED` there is no other way: the master hands over, or stays the master. Then everything is undone: the
//! master is told to go on, and a replica that took over in that very moment is put back, before anybody heard of it.

use std::{fmt, time::Duration};

use sentinel_resp::Reply;

use crate::{
    events::Event,
    failover::{CandidateLost, Failover, Phase},
    monitor::InfoReport,
    notice::Topic,
    output::Message,
    state::{Asked, NodeId},
    timer::Timer,
    types::HostPort,
    view::Role,
    watch::Watch,
};

/// How long the master waits for the replica, and pauses writes, at most. Half of down-after if that is less: a paused
/// master holds back hellos, too, and the PINGs behind them.
const HANDOVER_TIMEOUT: Duration = Duration::from_secs(1);
/// How often the replica is asked whether it is the master, and to tell the old one how far it has come. By itself a
/// replica tells that once a second, for which the master would pause writes.
const HANDOVER_POLL: Duration = Duration::from_millis(2);
/// How often it is asked how far it has caught up.
const CATCH_UP_POLL: Duration = Duration::from_millis(10);
/// The version whose servers know FAILOVER.
const FIRST_WITH_FAILOVER: (u16, u16) = (6, 2);

/// Why a switchover is not without loss.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NotLossless {
    /// The server does not know FAILOVER: Redis before 6.2, or renamed.
    UnknownCommand,
    /// The ACL rules of our user do not allow FAILOVER.
    NoPermission,
    /// The server says why not.
    Refused(String),
    /// The replica had not taken over in time; the master was told to go on.
    NotInTime(Duration),
    /// The connection to the master broke.
    MasterLost,
    /// The master is down, disconnected, or says that it is a replica.
    MasterNotWell,
    /// This process stood still a moment ago, or too much waits on the link to the master.
    NotNow,
}

impl NotLossless {
    /// What an error in answer to FAILOVER means.
    fn of(error: &str) -> Self {
        if error.starts_with("NOPERM") {
            NotLossless::NoPermission
        } else if error.starts_with("ERR unknown command") {
            NotLossless::UnknownCommand
        } else {
            NotLossless::Refused(error.to_owned())
        }
    }
}

impl fmt::Display for NotLossless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotLossless::UnknownCommand => f.write_str("the master does not know FAILOVER (Redis before 6.2?)"),
            NotLossless::NoPermission => f.write_str("no permission for FAILOVER, grant +failover and +replconf"),
            NotLossless::Refused(error) => write!(f, "the master refused: {error}"),
            NotLossless::NotInTime(limit) => {
                write!(f, "the replica has not caught up within {} ms", limit.as_millis())
            }
            NotLossless::MasterLost => f.write_str("the connection to the master broke"),
            NotLossless::MasterNotWell => f.write_str("the master is not well: it cannot hand over"),
            NotLossless::NotNow => f.write_str("this Sentinel is busy or stood still, try again"),
        }
    }
}

impl Watch<'_> {
    /// Asks the master to hand over to this replica. True: it was asked. False: go the reference's way. An error: there is
    /// no other way, and this one is closed.
    pub(crate) fn request_handover(&mut self, replica: NodeId) -> Result<bool, NotLossless> {
        let Some(failover) = &self.master.failover else { return Ok(false) };
        let only = failover.is_lossless_only();
        let wished = failover.is_forced() && self.master.settings.lossless_failover;
        if !only && !wished {
            return Ok(false);
        }
        match self.send_handover(replica) {
            Ok(()) => Ok(true),
            Err(why) if only => Err(why),
            Err(why) => {
                // That the master is down needs no explanation.
                if why == NotLossless::UnknownCommand {
                    self.node_event(replica, |subject| Event::NotLossless { subject, why });
                }
                Ok(false)
            }
        }
    }

    fn send_handover(&mut self, replica: NodeId) -> Result<(), NotLossless> {
        if let Some(why) = self.handover_obstacle() {
            return Err(why);
        }
        self.enter(Phase::CatchingUp { replica, goal: None });
        let deadline = self.ctx.mono() + self.master.settings.catch_up;
        self.arm_phase(deadline);
        self.ask_info(self.master.current);
        Ok(())
    }

    /// The master, or the replica that is to take its place, told how far it has come. Once what the master had is with the replica within half of the
    /// time for which writes may be paused, they are.
    pub(crate) fn catch_up_told(&mut self, id: NodeId) {
        let Some(Failover { phase: Phase::CatchingUp { replica, goal }, .. }) = self.master.failover else { return };
        if self.ctx.in_tilt() {
            return;
        }
        if self.master.nodes.get(replica).is_none_or(|node| node.stranger) {
            return self.candidate_lost(replica, CandidateLost::Replaced);
        }
        let now = self.ctx.mono();
        match goal {
            None if id == self.master.current => {
                let offset = self.master.node().info.offset;
                self.enter(Phase::CatchingUp { replica, goal: Some((offset, now)) });
                self.follow_handover();
            }
            Some((offset, since)) if id == replica => {
                let has_it = |node: &crate::state::Node| node.info.link_up && node.info.offset >= offset;
                if !self.master.nodes.get(replica).is_some_and(has_it) {
                    return;
                }
                if now.since(since) > self.handover_timeout() / 2 {
                    // There is more by now.
                    self.enter(Phase::CatchingUp { replica, goal: None });
                    self.ask_info(self.master.current);
                } else if let Err(why) = self.order_handover(replica) {
                    self.go_on_with_loss(replica, why);
                }
            }
            _ => {}
        }
    }

    /// Something is wrong with a data node. Without the master there is nothing to catch up with.
    pub(crate) fn catch_up_lost(&mut self, id: NodeId) {
        if let Some(Failover { phase: Phase::CatchingUp { replica, .. }, .. }) = self.master.failover
            && id == self.master.current
        {
            self.go_on_with_loss(replica, NotLossless::MasterLost);
        }
    }

    /// The replica has not caught up in time.
    pub(crate) fn catch_up_timed_out(&mut self) {
        if let Some(Failover { phase: Phase::CatchingUp { replica, .. }, .. }) = self.master.failover {
            self.go_on_with_loss(replica, NotLossless::NotInTime(self.master.settings.catch_up));
        }
    }

    /// Asks the master to hand over.
    fn order_handover(&mut self, replica: NodeId) -> Result<(), NotLossless> {
        if let Some(why) = self.handover_obstacle() {
            return Err(why);
        }
        let to = self.address_for_master(replica).ok_or(NotLossless::NotNow)?;
        let timeout = self.handover_timeout();
        let message = Message::HandOver { to, timeout };
        if !self.send_to(self.master.current, Asked::HandOver, message) {
            return Err(NotLossless::NotNow);
        }
        self.node_event(replica, Event::StateHandOver);
        self.enter(Phase::Requesting { replica });
        let deadline = self.ctx.mono() + timeout;
        self.arm_phase(deadline);
        Ok(())
    }

    /// Why the master cannot even be asked to hand over, as far as can be told beforehand.
    pub(crate) fn handover_obstacle(&self) -> Option<NotLossless> {
        let master = self.master.node();
        if !master.is_reachable() || master.role != Role::Master || self.master.odown_since.is_some() {
            Some(NotLossless::MasterNotWell)
        } else if master.info.version.is_some_and(|version| version < FIRST_WITH_FAILOVER) {
            Some(NotLossless::UnknownCommand)
        } else if self.ctx.in_tilt() {
            Some(NotLossless::NotNow)
        } else {
            None
        }
    }

    /// The address of a replica in the master's own words: it compares texts, and may list a name.
    fn address_for_master(&self, replica: NodeId) -> Option<HostPort> {
        let addr = &self.master.nodes.get(replica)?.addr;
        let listed = self.master.node().info_text.as_ref().map(|text| InfoReport::parse(text).replicas);
        let same = |it: &HostPort| self.ctx.names.same(it, addr);
        Some(listed.unwrap_or_default().into_iter().find(same).unwrap_or_else(|| addr.clone()))
    }

    /// The master answered to the request.
    pub(crate) fn handover_answered(&mut self, reply: &Reply) {
        let current = self.master.current;
        let Some(Failover { phase: Phase::Requesting { replica }, paused, .. }) = &mut self.master.failover else {
            return;
        };
        let replica = *replica;
        let (pause, reply) = match reply {
            Reply::Array(parts) => (parts.first(), parts.last().unwrap_or(reply)),
            _ => (None, reply),
        };
        *paused = pause.filter(|it| !matches!(it, Reply::Error(_))).map(|_| current);
        if let Some(Reply::Error(refusal)) = pause {
            let name = self.master.name.clone();
            let text = format!(
                "Clients of {name} may be refused by a replica for a moment, grant +client|pause and +client|unpause to have them wait: {refusal}"
            );
            self.ctx.notice(Topic::PauseRefused, Some(&name), text);
        }
        if let Reply::Error(error) = reply {
            if self.is_paused(current) {
                self.call_off_handover();
            }
            self.go_on_with_loss(replica, NotLossless::of(error));
        } else {
            self.enter(Phase::HandingOver { replica, hastens: true });
            self.follow_handover();
        }
    }

    /// Asks the replica how far it is, and again in a moment.
    pub(crate) fn follow_handover(&mut self) {
        let (replica, hastens, poll) = match self.master.failover.as_ref().map(|failover| &failover.phase) {
            Some(Phase::HandingOver { replica, hastens }) => (*replica, *hastens, HANDOVER_POLL),
            Some(Phase::CatchingUp { replica, goal: Some(_) }) => (*replica, true, CATCH_UP_POLL),
            Some(Phase::CatchingUp { goal: None, .. }) => return self.ask_info(self.master.current),
            _ => return,
        };
        if self.ctx.in_tilt() {
            return;
        }
        if !hastens {
            self.ask_info(replica);
        } else if self.master.nodes.get(replica).is_some_and(|node| !node.link.awaits(&Asked::Acknowledge)) {
            self.send_to(replica, Asked::Acknowledge, Message::Acknowledge);
        }
        let again = self.ctx.mono() + poll;
        self.ctx.arm(Timer::Handover(self.master.key), again);
    }

    /// The answer to [`Message::Acknowledge`]: INFO, after a refusal if there was one.
    pub(crate) fn acknowledgement_answered(&mut self, id: NodeId, reply: &Reply) {
        let Reply::Array(parts) = reply else { return self.info_received(id, reply) };
        let [Reply::Error(refusal), info] = parts.as_slice() else { return };
        if let Some(Failover { phase: Phase::HandingOver { replica, hastens: hastens @ true }, .. }) =
            &mut self.master.failover
            && *replica == id
        {
            *hastens = false;
            let name = self.master.name.clone();
            let text =
                format!("Writes to {name} are paused for up to a second, grant +replconf to shorten it: {refusal}");
            self.ctx.notice(Topic::HasteRefused, Some(&name), text);
        }
        self.info_received(id, info);
    }

    /// Whether the master is handing over to this node.
    pub(crate) fn is_handed_to(&self, id: NodeId) -> bool {
        matches!(
            self.master.failover,
            Some(Failover { phase: Phase::Requesting { replica } | Phase::HandingOver { replica, .. }, .. })
                if replica == id
        )
    }

    /// The replica says that it is the master. The promotion that follows changes nothing about that; it writes the
    /// node's configuration file, and disconnects clients so that they ask for the master.
    pub(crate) fn handed_over(&mut self, replica: NodeId) {
        self.ctx.timers.disarm(&Timer::Handover(self.master.key));
        if let Some(failover) = &mut self.master.failover {
            failover.handed_over = true;
        }
        self.node_event(replica, Event::HandedOver);
        self.promote(replica);
    }

    /// The connection to a data node broke: without the master there is nothing to wait for.
    pub(crate) fn handover_lost(&mut self, id: NodeId) {
        self.catch_up_lost(id);
        if id == self.master.current
            && let Some(replica) = self.handover_target()
        {
            self.go_on_with_loss(replica, NotLossless::MasterLost);
        }
    }

    /// The replica has not become the master in time.
    pub(crate) fn handover_timed_out(&mut self) {
        if let Some(replica) = self.handover_target() {
            self.call_off_handover();
            let timeout = self.handover_timeout();
            self.go_on_with_loss(replica, NotLossless::NotInTime(timeout));
        }
    }

    /// Tells the master to take writes again, if it was asked to hand over. Without this it would do so by itself when
    /// the time is over.
    pub(crate) fn call_off_handover(&mut self) {
        if self.handover_target().is_some() {
            let unpause = self.is_paused(self.master.current);
            self.send_to(self.master.current, Asked::CallOff, Message::CallOff { unpause });
            if let Some(failover) = &mut self.master.failover {
                failover.paused = None;
            }
        }
        self.ctx.timers.disarm(&Timer::Handover(self.master.key));
    }

    /// Whether writers of a node wait for our sake.
    pub(crate) fn is_paused(&self, id: NodeId) -> bool {
        self.master.failover.as_ref().is_some_and(|failover| failover.paused == Some(id))
    }

    fn handover_timeout(&self) -> Duration {
        HANDOVER_TIMEOUT.min(self.master.settings.down_after / 2).max(Duration::from_millis(1))
    }

    fn handover_target(&self) -> Option<NodeId> {
        match self.master.failover.as_ref()?.phase {
            Phase::Requesting { replica } | Phase::HandingOver { replica, .. } => Some(replica),
            _ => None,
        }
    }

    /// The reference's way, unless nothing may be lost.
    fn go_on_with_loss(&mut self, replica: NodeId, why: NotLossless) {
        self.ctx.timers.disarm(&Timer::Handover(self.master.key));
        let begun = !matches!(self.master.failover, Some(Failover { phase: Phase::CatchingUp { .. }, .. }));
        if !self.master.failover.as_ref().is_some_and(Failover::is_lossless_only) {
            self.node_event(replica, |subject| Event::NotLossless { subject, why });
            self.promote(replica);
        } else if begun && matches!(why, NotLossless::NotInTime(_) | NotLossless::MasterLost) {
            self.undo_handover(replica, why);
        } else {
            self.stay_with_master(replica, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_told_apart_by_what_can_be_done_about_it() {
        let noperm = "NOPERM this user has no permissions to run the 'failover' command";
        assert_eq!(NotLossless::of(noperm), NotLossless::NoPermission);
        let unknown = "ERR unknown command 'FAILOVER', with args beginning with: 'TO' ";
        assert_eq!(NotLossless::of(unknown), NotLossless::UnknownCommand);
        let other = "ERR FAILOVER target HOST and PORT is not a replica.";
        assert_eq!(NotLossless::of(other), NotLossless::Refused(other.to_owned()));
    }
}
