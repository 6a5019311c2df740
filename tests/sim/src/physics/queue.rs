//! What is to happen, in its order.

use crate::time::Time;

/// One bucket for each bit of a time, and one for the present.
const BUCKETS: usize = 64;

/// Things that are due at some time: the earliest first, and of those due at the same time the one that was added first.
///
/// Time never goes back, so a radix heap does: a thing lies in the bucket of the highest bit in which its time differs from
/// the present. When the lowest bucket's turn comes, its things are spread over those below. No thing is ever compared with
/// another, and those of one time always share a bucket, in their order.
#[derive(Debug)]
pub(super) struct Queue<T> {
    now: Time,
    buckets: [Vec<(Time, T)>; BUCKETS],
    /// A bit for each bucket with something in it, but for the first.
    filled: u64,
    /// How many things of the first bucket have been taken.
    taken: usize,
}

impl<T: Copy> Queue<T> {
    pub(super) fn new() -> Self {
        Queue { now: 0, buckets: std::array::from_fn(|_| Vec::new()), filled: 0, taken: 0 }
    }

    fn bucket_of(&self, at: Time) -> usize {
        let differs = at ^ self.now;
        assert!(differs >> (BUCKETS - 1) == 0, "nothing happens in a hundred thousand years");
        (u64::BITS - differs.leading_zeros()) as usize
    }

    /// Adds a thing that is due at a time, now at the earliest.
    pub(super) fn add(&mut self, at: Time, thing: T) {
        let at = at.max(self.now);
        let bucket = self.bucket_of(at);
        self.filled |= (1 << bucket) & !1;
        self.buckets[bucket].push((at, thing));
    }

    /// Takes what is due next. Its time becomes the present.
    pub(super) fn take(&mut self) -> Option<(Time, T)> {
        if let Some(next) = self.buckets[0].get(self.taken) {
            self.taken += 1;
            return Some(*next);
        }
        self.buckets[0].clear();
        self.taken = 0;
        if self.filled == 0 {
            return None;
        }
        let lowest = self.filled.trailing_zeros() as usize;
        self.filled &= !(1 << lowest);
        let mut things = std::mem::take(&mut self.buckets[lowest]);
        self.now = things.iter().map(|(at, _)| *at).min()?;
        let mut next = None;
        for (at, thing) in things.drain(..) {
            if at == self.now && next.is_none() {
                next = Some((at, thing));
            } else {
                self.add(at, thing);
            }
        }
        // It keeps its memory.
        self.buckets[lowest] = things;
        next
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::rng::Rng;

    #[test]
    fn things_come_in_the_order_of_their_times_and_then_of_their_coming() {
        let mut rng = Rng::new(1, "queue");
        let mut queue = Queue::new();
        let mut expected = BTreeSet::new();
        let (mut now, mut number) = (0, 0);
        for _ in 0..20_000 {
            if rng.permille(550) {
                let furthest = rng.pick(&[1, 3, 100, 1_000_000, 600_000_000]);
                let at = now + rng.below(furthest);
                queue.add(at, number);
                expected.insert((at, number));
                number += 1;
            } else {
                let taken = queue.take();
                assert_eq!(taken, expected.pop_first());
                now = taken.map_or(now, |(at, _)| at);
            }
        }
        while let Some(next) = expected.pop_first() {
            assert_eq!(queue.take(), Some(next));
        }
        assert_eq!(queue.take(), None);
    }
}
