//! FAILOVER: the master pauses writes, waits until a replica has everything, and follows it.

use sentinel_core::types::HostPort;
use sentinel_resp::Reply;

use crate::{
    node::{Node, Sync},
    packet::Packet,
    physics::{ConnId, Event, Physics},
    say,
    time::{MS, Time},
};

/// How often the server looks at a handover.
const TICK: Time = 100 * MS;

/// A handover under way.
#[derive(Debug)]
pub(crate) struct Handover {
    to: HostPort,
    until: Time,
    /// Whether it follows the replica when the time is over, come what may.
    force: bool,
    /// The replica had everything: this node follows it, and wants it to become the master.
    handing: bool,
}

impl Node {
    /// `FAILOVER TO host port [FORCE] TIMEOUT ms`
    pub(super) fn hand_over(&mut self, physics: &mut Physics, to: HostPort, timeout: Time, force: bool) -> Reply {
        if self.is_loading() {
            return Reply::error("LOADING Redis is loading the dataset in memory");
        }
        if self.handover.is_some() {
            return Reply::err("FAILOVER already in progress.");
        }
        if self.upstream.is_some() {
            return Reply::err("FAILOVER is not valid when server is a replica.");
        }
        match self.downstreams.values().find(|down| down.addr == to) {
            None => return Reply::err("FAILOVER target HOST and PORT is not a replica."),
            Some(down) if down.waiting.is_some() => return Reply::err("FAILOVER target replica is not online"),
            Some(_) => {}
        }
        say!(physics, "node {} pauses writes and hands over to {to}", self.host);
        self.handover = Some(Handover { to, until: physics.now() + timeout, force, handing: false });
        physics.after(TICK, Event::HandoverTick { host: self.host, life: self.life });
        self.look_at_handover(physics);
        Reply::ok()
    }

    /// `FAILOVER ABORT`
    pub(super) fn call_off(&mut self, physics: &mut Physics) -> Reply {
        if self.handover.is_none() {
            return Reply::err("No failover in progress.");
        }
        self.abort_handover(physics);
        Reply::ok()
    }

    /// Somebody types `FAILOVER TO ... FORCE`.
    pub fn type_failover(&mut self, physics: &mut Physics, to: HostPort, timeout: Time) {
        if !self.config.old && !self.foreign {
            let _ = self.hand_over(physics, to, timeout, true);
        }
    }

    /// `master_failover_state` in INFO.
    pub(super) fn handover_state(&self) -> &'static str {
        match &self.handover {
            None => "no-failover",
            Some(handover) if handover.handing => "failover-in-progress",
            Some(_) => "waiting-for-sync",
        }
    }

    /// Whether SLAVEOF is refused.
    pub(super) const fn is_handing_over(&self) -> bool {
        self.handover.is_some()
    }

    /// Whether the next PSYNC asks the other side to become the master.
    pub(super) fn wants_to_hand_over(&self) -> bool {
        self.handover.as_ref().is_some_and(|it| it.handing)
    }

    /// `CLIENT PAUSE ms WRITE`
    pub(super) fn pause_clients(&mut self, physics: &mut Physics, time: Time) {
        self.paused_until = self.paused_until.max(physics.now() + time);
        physics.after(time, Event::HandoverTick { host: self.host, life: self.life });
    }

    /// `CLIENT UNPAUSE`
    pub(super) fn unpause_clients(&mut self, physics: &mut Physics) {
        self.paused_until = 0;
        self.resume_clients(physics);
    }

    fn holds_clients(&self, physics: &Physics) -> bool {
        self.handover.is_some() || self.paused_until > physics.now()
    }

    /// A tenth of a second has passed.
    pub fn handover_tick(&mut self, physics: &mut Physics) {
        if !self.postponed.is_empty() {
            self.resume_clients(physics);
        }
        let Some(handover) = &self.handover else { return };
        physics.after(TICK, Event::HandoverTick { host: self.host, life: self.life });
        if !handover.handing && handover.until <= physics.now() {
            if handover.force {
                self.begin_handing(physics);
            } else {
                self.abort_handover(physics);
            }
        } else {
            self.look_at_handover(physics);
        }
    }

    /// The replica has come further, or is gone.
    pub(super) fn look_at_handover(&mut self, physics: &mut Physics) {
        let Some(handover) = &self.handover else { return };
        let ready = |down: &crate::node::Downstream| down.waiting.is_none() && down.acked == self.offset;
        if !handover.handing && self.downstreams.values().any(|down| down.addr == handover.to && ready(down)) {
            self.begin_handing(physics);
        }
    }

    fn begin_handing(&mut self, physics: &mut Physics) {
        let Some(handover) = &mut self.handover else { return };
        handover.handing = true;
        let to = handover.to.clone();
        say!(physics, "node {} follows {to}, and wants it to take over", self.host);
        self.become_replica(physics, to);
    }

    /// The other side has become the master.
    pub(super) fn handed_over(&mut self, physics: &mut Physics) {
        if self.handover.take().is_some() {
            say!(physics, "node {} has handed over", self.host);
            self.resume_clients(physics);
        }
    }

    /// The handover comes to nothing: this node is the master again.
    pub(super) fn abort_handover(&mut self, physics: &mut Physics) {
        let Some(handover) = self.handover.take() else { return };
        say!(physics, "node {} goes on as master", self.host);
        if handover.handing {
            self.become_master(physics);
        }
        self.resume_clients(physics);
    }

    /// Another node, our master, wants us to take over. Whether we do.
    pub(super) fn takes_over(&mut self, physics: &mut Physics, replid: Option<u64>) -> bool {
        let takes = matches!(
            self.upstream.as_ref().map(|up| &up.sync),
            Some(Sync::Streaming(_) | Sync::Idle | Sync::Asking(_))
        ) && replid == Some(self.replid);
        if takes {
            say!(physics, "node {} takes over", self.host);
            self.become_master(physics);
        }
        takes
    }

    /// Keeps what must wait while writes are paused: writes, messages to publish, and what comes behind them.
    pub(super) fn postpones(&mut self, physics: &Physics, conn: ConnId, packet: &Packet) -> bool {
        if !self.holds_clients(physics) {
            return false;
        }
        let may_replicate = match packet {
            // A replica refuses them at once.
            Packet::Write { .. } => self.is_master(),
            Packet::Request { message, .. } => matches!(message, sentinel_core::Message::Hello { .. }),
            _ => false,
        };
        let waits = may_replicate || self.postponed.iter().any(|(waiting, _)| *waiting == conn);
        if waits {
            self.postponed.push((conn, packet.clone()));
        }
        waits
    }

    fn resume_clients(&mut self, physics: &mut Physics) {
        if self.holds_clients(physics) {
            return;
        }
        for (conn, packet) in std::mem::take(&mut self.postponed) {
            if physics.is_open(conn, crate::physics::LISTENER) {
                self.received(physics, conn, packet);
            }
        }
    }
}
