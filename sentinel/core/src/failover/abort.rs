//! Ending a failover before its end.

use crate::{
    events::{Event, Subject},
    failover::Failover,
    notice::Topic,
    state::Reconf,
    timer::Timer,
    types::Epoch,
    watch::Watch,
};

impl Watch<'_> {
    /// Ends the failover in progress with an event.
    pub(crate) fn end_failover(&mut self, event: impl FnOnce(Subject) -> Event) {
        self.master_event(event);
        self.clear_failover();
    }

    /// Forgets the failover in progress.
    pub(crate) fn clear_failover(&mut self) {
        self.call_off_handover();
        self.remember_who_was_told();
        self.master.failover = None;
        for node in self.master.nodes.values_mut() {
            node.reconf = Reconf::Waiting;
        }
        let key = self.master.key;
        self.ctx.timers.disarm(&Timer::Phase(key));
        self.ctx.timers.disarm(&Timer::Reconfigure(key));
        self.changed_urgently();
        self.consider_failover();
    }

    /// The master is available again. A departure: as long as nothing has been sent to any replica, the failover of a
    /// master that is not down any more is called off; the reference would go on and have two masters.
    pub(crate) fn stand_down(&mut self) {
        self.ctx.timers.disarm(&Timer::Nominate(self.master.key));
        self.stand_down_if_well();
    }

    /// The same when more is known of the master than that it answers: one that may have come back without its data is no
    /// reason to call anything off.
    pub(crate) fn stand_down_if_well(&mut self) {
        let Some(failover) = &self.master.failover else { return };
        if !failover.is_of_dead_master() || self.master.node().sdown_since.is_some() || self.is_perhaps_empty() {
            return;
        }
        if failover.has_sent_nothing() {
            let name = self.master.name.clone();
            let text = format!("The master {name} is available again: the failover is called off");
            self.ctx.notice(Topic::CalledOff, Some(&name), text);
            self.master.not_before = self.ctx.mono();
            self.end_failover(Event::AbortNotElected);
        }
    }

    /// A newer configuration has come: a failover of an older epoch can make none any more, and ends here. (One with another
    /// master ends every failover once it is in force, see [`Watch::adopt_switch`].) A departure: the reference goes on,
    /// promotes its replica beside the new configuration's master, and lets its own configuration epoch go back.
    pub(crate) fn end_outdated_failover(&mut self) {
        let newest = self.newest_configuration();
        let Some(failover) = &self.master.failover else { return };
        if failover.has_switched() || failover.epoch > newest {
            return;
        }
        if failover.is_electing() {
            return self.count_votes();
        }
        self.give_up_failover_for(newest);
    }

    /// One of this epoch has come, or is said to.
    pub(crate) fn give_up_failover_for(&mut self, newest: Epoch) {
        let Some(failover) = &self.master.failover else { return };
        let told = failover.has_told();
        let name = self.master.name.clone();
        let text = format!(
            "A configuration of epoch {newest} has come: the failover of {name} in epoch {} is given up",
            failover.epoch
        );
        self.ctx.notice(Topic::Overtaken, Some(&name), text);
        self.end_failover(if told.is_some() { Event::AbortReplicaTimeout } else { Event::AbortNotElected });
    }

    /// The chosen replica was told to be a master, and the failover ends all the same. It may have become one, or may yet:
    /// an order that was on its way can arrive much later. Then it must not stay one, also where what it copied meanwhile
    /// shows ids that nobody else has seen. Another process that has taken its place is left alone.
    fn remember_who_was_told(&mut self) {
        let Some(told) = self.master.failover.as_ref().and_then(Failover::has_told) else { return };
        if let Some(node) = self.master.nodes.get_mut(told).filter(|node| !node.stranger) {
            node.former_master = true;
        }
    }

    /// This process stood still. While it did, another Sentinel may have been elected and be at work: an attempt that
    /// has not sent anything to a replica is given up, and begun anew in a new epoch if it is still needed.
    pub(crate) fn give_up_after_stall(&mut self) {
        let Some(failover) = &self.master.failover else { return };
        if !failover.is_forced() && failover.has_sent_nothing() {
            let name = self.master.name.clone();
            let text = format!("This process stood still: the failover of {name} is given up for now");
            self.ctx.notice(Topic::GivenUp, Some(&name), text);
            self.master.not_before = self.ctx.mono() + self.ctx.timing.lost_election_delay;
            self.end_failover(Event::AbortNotElected);
        }
    }
}
