//! The deadlines of all commands under way over shared connections: one timer for all of them.
//!
//! A timer of one's own costs a command more than all else that is done about it here, although almost every answer comes long before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How exact deadlines are.
const TICK: Duration = Duration::from_millis(TICK_IN_MS);
const TICK_IN_MS: u64 = 5;
/// Callers are spread over so many parts, so that they seldom meet.
const PARTS: usize = 16;

#[derive(Debug)]
pub(crate) struct Wheel {
    began: Instant,
    parts: [Mutex<Part>; PARTS],
    /// The tick until which the task sleeps. Who arms an entry for later need not wake it.
    asleep_until: AtomicU64,
    /// Something has to happen before.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Part {
    slots: Vec<Slot>,
    /// Slots that can be used again.
    free: Vec<usize>,
    /// No slot is due before this tick.
    next: Option<u64>,
}

/// When to wake whom; `None`: it is free, or was woken.
#[derive(Debug)]
struct Slot {
    at: u64,
    waker: Option<Waker>,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            parts: std::array::from_fn(|_| Mutex::default()),
            asleep_until: AtomicU64::new(u64::MAX),
            earlier: Notify::new(),
        }
    }

    /// A place for one command, in the part that its caller uses. It costs nothing before it is armed.
    pub(crate) fn entry(&self, part: usize) -> Entry<'_> {
        Entry { wheel: self, part: part % PARTS, slot: None }
    }

    /// Wakes whose time has come, for ever.
    pub(crate) async fn run(&self) {
        loop {
            let now = self.tick(Instant::now());
            let next = (0..PARTS).filter_map(|part| self.part(part).wake(now)).min();
            self.asleep_until.store(next.unwrap_or(u64::MAX), Ordering::SeqCst);
            // Who armed an entry before that was stored may not have said so, and is seen here; who does so later says so.
            let armed = (0..PARTS).filter_map(|part| self.part(part).next).min();
            if armed.is_some_and(|armed| next.is_none_or(|next| armed < next)) {
                continue;
            }
            let Some(next) = next else {
                self.earlier.notified().await;
                continue;
            };
            let due = self.began + Duration::from_millis(next.saturating_mul(TICK_IN_MS));
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// The first tick that is not before this instant.
    fn tick(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.began).as_micros().div_ceil(TICK.as_micros());
        u64::try_from(elapsed).unwrap_or(u64::MAX)
    }

    fn part(&self, part: usize) -> MutexGuard<'_, Part> {
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// Wakes whoever is due; returns when the next one may be.
    fn wake(&mut self, now: u64) -> Option<u64> {
        if self.next? > now {
            return self.next;
        }
        self.next = None;
        for slot in &mut self.slots {
            if slot.waker.is_none() {
                continue;
            }
            if slot.at <= now {
                if let Some(waker) = slot.waker.take() {
                    waker.wake();
                }
            } else {
                self.next = Some(self.next.map_or(slot.at, |next| next.min(slot.at)));
            }
        }
        self.next
    }
}

/// The place of one command in the wheel.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    wheel: &'a Wheel,
    part: usize,
    slot: Option<usize>,
}

impl Entry<'_> {
    /// Has the task woken at this instant, or up to a tick later.
    pub(crate) fn arm(&mut self, at: Instant, context: &Context<'_>) {
        let at = self.wheel.tick(at);
        let waker = Some(context.waker().clone());
        {
            let mut part = self.wheel.part(self.part);
            let slot = self.slot.or_else(|| part.free.pop());
            self.slot = Some(if let Some(slot) = slot {
                part.slots[slot] = Slot { at, waker };
                slot
            } else {
                part.slots.push(Slot { at, waker });
                part.slots.len() - 1
            });
            part.next = Some(part.next.map_or(at, |next| next.min(at)));
        }
        if at < self.wheel.asleep_until.load(Ordering::SeqCst) {
            self.wheel.earlier.notify_one();
        }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        let Some(slot) = self.slot else { return };
        let mut part = self.wheel.part(self.part);
        part.slots[slot].waker = None;
        part.free.push(slot);
        if part.free.len() == part.slots.len() {
            // Nobody is left: what a crowd took is given back.
            part.free.clear();
            part.slots.clear();
            part.free.shrink_to(64);
            part.slots.shrink_to(64);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;

    use super::*;

    async fn wait(wheel: &Wheel, part: usize, time: Duration) -> Duration {
        let began = Instant::now();
        let mut entry = wheel.entry(part);
        poll_fn(|context| {
            if began.elapsed() >= time {
                return Poll::Ready(());
            }
            entry.arm(began + time, context);
            Poll::Pending
        })
        .await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_is_woken_in_time_whoever_comes_first() {
        let wheel = Arc::new(Wheel::new());
        let running = tokio::spawn({
            let wheel = wheel.clone();
            async move { wheel.run().await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        let times = [3000, 20, 700, 20, 1, 5000].map(Duration::from_millis);
        let waits = times.iter().enumerate().map(|(part, time)| wait(&wheel, part * 7, *time));
        for (took, time) in futures::future::join_all(waits).await.into_iter().zip(times) {
            assert!(took >= time && took <= time + TICK * 2, "{took:?} for {time:?}");
        }
        assert!(wheel.parts.iter().all(|part| part.lock().unwrap().slots.is_empty()), "something is left");
        running.abort();
    }

    #[test]
    fn a_place_that_is_given_up_wakes_nobody_and_is_used_again() {
        let wheel = Wheel::new();
        let context = Context::from_waker(Waker::noop());
        let kept = {
            let mut kept = wheel.entry(0);
            kept.arm(wheel.began + Duration::from_secs(1), &context);
            for _ in 0..1000 {
                wheel.entry(16).arm(wheel.began + Duration::from_secs(1), &context);
            }
            kept
        };
        assert_eq!(wheel.part(0).slots.len(), 2);
        drop(kept);
        let mut part = wheel.part(0);
        assert_eq!((part.slots.len(), part.wake(u64::MAX)), (0, None));
    }
}
