//! Candidates that were dialled in vain sit out for a while.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::address::Address;
use crate::cause::{Cause, Role};
use crate::retry::shortened;
use crate::trouble::Trouble;

/// The first time on the bench; it doubles with each rejection.
const FIRST: Duration = Duration::from_millis(10);
/// More are not remembered: nonsense must not fill the memory with addresses.
const MOST: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Bench {
    seats: HashMap<Address, Seat>,
}

#[derive(Debug)]
struct Seat {
    until: Instant,
    pause: Duration,
    reason: Trouble,
    /// It is a master, and too few Sentinels say that it is ours.
    unproved: bool,
}

impl Bench {
    /// Whether this node is to be passed over now. One that only lacked a proof is not, once it needs none.
    pub(super) fn holds(&self, address: &Address, needs_proof: bool) -> bool {
        self.seats.get(address).is_some_and(|seat| seat.until > Instant::now() && (needs_proof || !seat.unproved))
    }

    /// Whether this node was rejected before.
    pub(super) fn knows(&self, address: &Address) -> bool {
        self.seats.contains_key(address)
    }

    /// When the next one may be tried again.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let now = Instant::now();
        let ends = self.seats.values().map(|seat| seat.until);
        ends.filter(|until| *until > now).min()
    }

    /// Seats a rejected node, for twice as long as the last time, up to `longest`.
    ///
    /// Returns whether the reason is a new one: repeated at every attempt it would drown all else.
    pub(super) fn put(&mut self, address: &Address, reason: &Trouble, unproved: bool, longest: Duration) -> bool {
        let now = Instant::now();
        let before = self.seats.remove(address);
        if self.seats.len() >= MOST {
            let oldest = self.seats.iter().min_by_key(|(_, seat)| seat.until);
            if let Some(oldest) = oldest.map(|(address, _)| address.clone()) {
                self.seats.remove(&oldest);
            }
        }
        let pause = before.as_ref().map_or(FIRST, |seat| (seat.pause * 2).min(longest));
        let seat = Seat { until: now + shortened(pause, 0.3), pause, reason: reason.clone(), unproved };
        self.seats.insert(address.clone(), seat);
        before.is_none_or(|seat| seat.reason != *reason)
    }

    pub(super) fn clear(&mut self) {
        self.seats.clear();
    }

    /// Whether every node that was named refuses for good.
    pub(super) fn is_hopeless(&self) -> bool {
        !self.seats.is_empty() && self.seats.values().all(|seat| seat.reason.lasting)
    }

    pub(super) fn troubles(&self) -> impl Iterator<Item = Cause> {
        self.seats.iter().map(|(address, seat)| Cause::new(Role::Master, address, &seat.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_rejected_node_sits_out_for_longer_each_time_up_to_a_limit() {
        let address: Address = "a:1".parse().unwrap();
        let longest = Duration::from_millis(30);
        let mut bench = Bench::default();
        assert!(bench.put(&address, &"down".to_owned().into(), false, longest), "the first reason is news");
        for upper in [20, 30, 30] {
            assert!(!bench.put(&address, &"down".to_owned().into(), false, longest));
            assert!(bench.holds(&address, false));
            let end = bench.next_end().unwrap();
            assert!(end <= Instant::now() + Duration::from_millis(upper));
            tokio::time::advance(Duration::from_millis(upper + 1)).await;
            assert!(!bench.holds(&address, false));
        }
        assert!(bench.put(&address, &"a replica".to_owned().into(), false, longest), "another reason is news");
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_lacked_a_proof_is_tried_as_soon_as_it_needs_none() {
        let address: Address = "a:1".parse().unwrap();
        let mut bench = Bench::default();
        bench.put(&address, &"foreign".to_owned().into(), true, Duration::from_secs(1));
        assert!(bench.holds(&address, true) && !bench.holds(&address, false) && bench.knows(&address));
    }

    #[tokio::test]
    async fn the_bench_does_not_grow_without_bound() {
        let mut bench = Bench::default();
        for port in 1..=1000 {
            bench.put(&Address::new("a", port).unwrap(), &"down".to_owned().into(), false, Duration::from_secs(1));
        }
        assert_eq!(bench.seats.len(), MOST);
    }
}
