//! TILT: after the process stood still, its own eyes cannot be trusted for a moment.
//!
//! A departure. The reference measures with the wall clock, and does nothing for 30 s. The monotonic clock cannot
//! jump, so only a stalled process matters: the time that nobody observed is taken out of every silence, and acting
//! resumes after one full round of PINGs, at most `tilt-period` later.

use std::time::Duration;

use crate::{engine::Engine, events::Event, notice::Topic, state::Link, timer::Timer};

impl Engine {
    /// Compares the time of a call with the time the engine wanted to be called.
    pub(crate) fn notice_stall(&mut self) {
        let now = self.ctx.mono();
        let Some(due) = self.ctx.timers.next() else { return };
        // What is overdue stays in the table until its turn comes; the stall counts once.
        let stall = now.since(due.max(self.ctx.stall_noticed_at));
        if stall > self.ctx.timing.tilt_trigger {
            self.ctx.stall_noticed_at = now;
            self.enter_tilt(stall);
        }
    }

    fn enter_tilt(&mut self, stall: Duration) {
        let now = self.ctx.mono();
        self.each_link(|link| link.forgive(stall));
        for node in self.masters.values_mut().flat_map(|master| master.nodes.values_mut()) {
            node.forgive(stall);
        }
        for master in self.masters.values() {
            self.ctx.timers.postpone(&Timer::Phase(master.key), stall);
            for id in master.peers.keys() {
                self.ctx.timers.postpone(&Timer::Opinion(master.key, id.clone()), stall);
            }
        }
        self.ctx.tilt_since = Some(now);
        self.ctx.view_urgent = true;
        self.ctx.process_unexamined.0 = true;
        self.ctx.event(Event::TiltEntered);
        let text = format!("This process stood still for {} ms: nothing observed meanwhile counts", stall.as_millis());
        self.ctx.notice(Topic::StoodStill, None, text);
        let mut round = Duration::ZERO;
        let connected = self.ctx.connected();
        self.each_link(|link| round = round.max(link.ping_period.among(connected)));
        // One round of PINGs, and as long again for the answers.
        let at = now + (2 * round).min(self.ctx.timing.tilt_period);
        self.ctx.arm(Timer::TiltEnd, at);
        for key in self.master_keys() {
            self.with_master(key, |watch| watch.give_up_after_stall());
        }
    }

    /// TILT ends: everything is looked at anew.
    pub(crate) fn leave_tilt(&mut self) {
        if self.ctx.tilt_since.take().is_none() {
            return;
        }
        self.ctx.view_urgent = true;
        self.ctx.process_unexamined.0 = true;
        self.ctx.event(Event::TiltExited);
        for key in self.master_keys() {
            self.with_master(key, |watch| {
                for id in watch.master.nodes.keys().copied().collect::<Vec<_>>() {
                    watch.evaluate_node(id);
                }
                for id in watch.master.peers.keys().cloned().collect::<Vec<_>>() {
                    watch.evaluate_peer(&id);
                }
                watch.ask_peers();
                watch.evaluate_odown();
                watch.resume_failover();
            });
        }
    }

    fn each_link(&mut self, mut act: impl FnMut(&mut Link)) {
        for master in self.masters.values_mut() {
            for node in master.nodes.values_mut() {
                act(&mut node.link);
            }
        }
        for shared in self.peers.values_mut() {
            act(&mut shared.link);
        }
    }
}
