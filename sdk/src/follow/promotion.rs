//! A replica that is about to become the master.
//!
//! redis-sentinel publishes `+switch-master` up to a second after the promotion; until then the old master goes on to take writes, which are
//! lost. Which replica it is, it publishes before: that one is asked for its role until it is a master.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Follower;
use super::attempts::{Dial, Dialled};
use super::choose::Candidate;
use crate::address::Address;
use crate::dial::Trouble;
use crate::generation::{Generation, MasterLink};
use crate::sentinel::Push;

/// A replica that has been told to be a master is one within a moment, if it can be reached at all.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Promotion {
    address: Address,
    dial: Dial,
}

impl Follower {
    /// A Sentinel has told of a step of a failover.
    pub(super) fn on_step(&mut self, sentinel: &Address, step: Push) {
        let Some(known) = &self.known else { return };
        if !self.roster.names(sentinel, &known.address) {
            return;
        }
        match step {
            Push::Promotion(replica) if replica != known.address => self.await_promotion(replica),
            Push::Abort => self.end_promotion(),
            _ => {}
        }
    }

    fn await_promotion(&mut self, replica: Address) {
        if self.promotion.as_ref().is_some_and(|promotion| promotion.address == replica) {
            return;
        }
        let Some(generation) = &self.generation else { return };
        tracing::debug!(address = %replica, "a replica is being promoted");
        let shared = self.shared.clone();
        self.serial += 1;
        let serial = self.serial;
        let next = Generation::new(generation.number + 1, replica.clone(), &shared.config, &shared.dialer);
        let next = Arc::new(next);
        let dial = Box::pin(async move {
            let (link, history) =
                next.exclusive.manager().open_promoted(shared.config.in_flight_grace, Instant::now() + WITHIN).await?;
            Ok(Dialled { link: MasterLink::new(serial, next, link, history), known: None })
        });
        self.promotion = Some(Promotion { address: replica, dial });
        let hold = self.shared.config.hold_writes;
        if !hold.is_zero() {
            self.held_until = Some(Instant::now() + hold);
            self.shared.hold(true);
        }
    }

    /// The replica is a master now, or will not be one.
    pub(super) fn conclude_promotion(&mut self, result: Result<Dialled, Trouble>) {
        let Some(Promotion { address, .. }) = self.promotion.take() else { return };
        let epoch = self.known.as_ref().map_or(0, |known| known.epoch) + 1;
        match result {
            Ok(Dialled { link, .. }) if link.history.is_known() && link.history.shares(&self.history) => {
                self.promoted_at = Some(Instant::now());
                self.install(&Candidate { address, epoch, needs_proof: true }, link);
            }
            Ok(_) => tracing::debug!(%address, "the promoted replica does not tell whose data it has"),
            Err(trouble) => tracing::debug!(%address, %trouble, "the replica was not promoted"),
        }
        self.end_promotion();
    }

    pub(super) fn end_promotion(&mut self) {
        self.promotion = None;
        self.release();
    }

    /// Lets the writes go on that were held.
    pub(super) fn release(&mut self) {
        self.held_until = None;
        self.shared.hold(false);
    }
}

pub(super) async fn promoted(promotion: &mut Option<Promotion>) -> Result<Dialled, Trouble> {
    match promotion {
        Some(promotion) => promotion.dial.as_mut().await,
        None => std::future::pending().await,
    }
}
