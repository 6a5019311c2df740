//! The link in use: doubted, asked for its role, kept or given up.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use super::{Follower, Unproved};
use crate::event::Event;
use crate::role::{self, History};
use crate::shared::Standing;
use crate::stall::within;

/// Where the node may well be the right one, it and the Sentinels are asked no more often than this.
const SUSPICION_PAUSE: Duration = Duration::from_millis(250);

impl Follower {
    /// A command saw a sign that the node is not the master or cannot be reached: its role is asked on that very connection, and so
    /// are the Sentinels.
    pub(super) fn on_doubt(&mut self) {
        let Some(link) = &self.link else { return };
        if !link.doubted.load(Ordering::Acquire) {
            // Many may suspect at a time, and for long.
            let next = self.suspected_at.map(|at| at + SUSPICION_PAUSE).filter(|next| *next > Instant::now());
            match next {
                Some(next) => self.next_question = self.next_question.min(next),
                None => self.inquire(),
            }
            return;
        }
        if self.missing_since.is_none() {
            self.publish();
            self.miss("a command was refused or not answered");
        }
        if self.check.is_none() {
            self.check_role();
        }
        self.consider();
        self.publish();
    }

    /// Asks the Sentinels, and the link in use for its role.
    pub(super) fn inquire(&mut self) {
        self.suspected_at = Some(Instant::now());
        self.roster.ask_all();
        if self.check.is_none() {
            self.check_role();
        }
    }

    pub(super) fn check_role(&mut self) {
        let Some(link) = &self.link else { return };
        let mut connection = link.link.connection.clone();
        let pulse = link.link.pulse.clone();
        let timeouts = self.shared.config.timeouts;
        self.check = Some(Box::pin(async move {
            let mut answer = pin!(role::master_with_history(&mut connection, None));
            let began = Instant::now();
            loop {
                let reads = pulse.reads();
                match within(timeouts.handshake, &mut answer).await {
                    Ok(answer) => return answer.map_err(|reason| Unproved { reason, denied: !pulse.has_ended() }),
                    // Other answers come first.
                    Err(_) if pulse.reads() > reads && began.elapsed() < timeouts.command => {}
                    Err(_) => {
                        let reason = format!("no answer to ROLE within {:?}", began.elapsed());
                        return Err(Unproved { reason, denied: false });
                    }
                }
            }
        }));
    }

    pub(super) fn judge(&mut self, result: Result<History, Unproved>) {
        self.check = None;
        let Some(link) = &self.link else { return };
        match result {
            Ok(history) => {
                self.history.add(history);
                link.answered();
                if link.doubted.swap(false, Ordering::AcqRel) {
                    link.clear();
                    let address = link.generation.address.clone();
                    let gap = self.found();
                    self.publish();
                    self.shared.emit(Event::MasterBack { address, gap });
                    self.shared.changed.send_replace(());
                }
            }
            Err(Unproved { reason, denied }) => {
                if denied {
                    link.generation.denied.send_replace(());
                }
                self.lose(&reason);
            }
        }
    }

    /// Gives the link up; the generation stays until another master is verified.
    pub(super) fn lose(&mut self, reason: &str) {
        self.link = None;
        self.check = None;
        self.shared.standing.store(Arc::new(Standing { generation: self.generation.clone(), link: None }));
        // Who hears of the loss finds it in the topology.
        self.publish();
        if self.missing_since.is_none() {
            self.miss(reason);
        }
        self.consider();
        self.publish();
    }

    /// Ends the time without a master, and tells how long it was.
    pub(super) fn found(&mut self) -> Duration {
        let Some(since) = self.missing_since.take() else { return Duration::ZERO };
        let gap = since.elapsed();
        self.shared.metrics.without_master(gap);
        gap
    }

    fn miss(&mut self, reason: &str) {
        self.missing_since = Some(Instant::now());
        self.shared.counters.masters_lost.add_one();
        if let Some(generation) = &self.generation {
            let address = generation.address.clone();
            tracing::info!(%address, reason, "master lost");
            self.shared.emit(Event::MasterLost { address, reason: reason.to_owned() });
        }
        self.roster.ask_all();
        self.next_question = Instant::now() + self.pace();
    }
}
