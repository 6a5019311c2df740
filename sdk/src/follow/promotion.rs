//! A replica that is about to become the master.
//!
//! redis-sentinel publishes `+switch-master` up to a second after the promotion; until then the old master goes on to take writes, which are
//! lost. Which replica it is, it publishes before: that one is asked for its role until it is a master.
//!
//! Writes are held from the very first step on, if at all. What is written before has the whole time until the promotion (redis-sentinel takes one step
//! with each turn of its timer, every 50 to 100 ms) to reach the replica.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Follower;
use super::attempts::{Dial, Dialled};
use super::choose::Candidate;
use crate::address::Address;
use crate::generation::{Generation, MasterLink};
use crate::sentinel::Push;
use crate::trouble::Trouble;

/// A replica that has been told to be a master is one within a moment, if it can be reached at all.
const WITHIN: Duration = Duration::from_secs(5);

pub(super) struct Promotion {
    address: Address,
    dial: Dial,
}

/// Writes are held.
pub(super) struct Hold {
    /// The Sentinel whose failover it is: another one that gives up its own ends nothing.
    sentinel: Address,
    pub(super) until: Instant,
}

impl Follower {
    /// A Sentinel has told of a step of a failover.
    pub(super) fn on_step(&mut self, sentinel: &Address, step: Push) {
        let Some(known) = &self.known else { return };
        if !self.roster.names(sentinel, &known.address) {
            return;
        }
        match step {
            Push::Failover => self.hold(sentinel),
            Push::Promotion(replica) if replica != known.address => {
                self.hold(sentinel);
                self.await_promotion(replica);
            }
            Push::Abort if self.hold.as_ref().is_none_or(|hold| hold.sentinel == *sentinel) => {
                self.promotion = None;
                self.release();
            }
            _ => {}
        }
    }

    /// Keeps writes back, from the first step of a failover on for as long as they may be held at most.
    fn hold(&mut self, sentinel: &Address) {
        let longest = self.shared.config.hold_writes;
        if longest.is_zero() {
            return;
        }
        let until = self.hold.take().map_or_else(|| Instant::now() + longest, |hold| hold.until);
        self.hold = Some(Hold { sentinel: sentinel.clone(), until });
        self.shared.hold(true);
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
    }

    /// The replica is a master now, or will not be one. If not, writes stay held until the Sentinels have decided, or for as long as they may be.
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
    }

    /// Lets the writes go on that were held.
    pub(super) fn release(&mut self) {
        self.hold = None;
        self.shared.hold(false);
    }
}

pub(super) async fn promoted(promotion: &mut Option<Promotion>) -> Result<Dialled, Trouble> {
    match promotion {
        Some(promotion) => promotion.dial.as_mut().await,
        None => std::future::pending().await,
    }
}
