//! The deadlines of all commands under way over shared connections: one timer for all of them.
//!
//! A timer of one's own costs a command more than all else that is done about it here, although almost every answer comes long before.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Context;
use std::time::Duration;

use futures::task::AtomicWaker;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How exact deadlines are.
const TICK_IN_MS: u64 = 5;
/// Handles are spread over so many parts, so that they seldom meet when they come and go.
const PARTS: usize = 16;
/// The alarm is not set.
const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(crate) struct Wheel {
    began: Instant,
    parts: [Mutex<Part>; PARTS],
    /// The tick until which the task sleeps. Who sets an alarm for later need not wake it.
    asleep_until: AtomicU64,
    /// Something has to happen before.
    earlier: Notify,
}

#[derive(Debug, Default)]
struct Part {
    bells: Vec<Option<Arc<Bell>>>,
    /// Places that can be used again.
    free: Vec<usize>,
}

/// When to wake whom.
#[derive(Debug)]
struct Bell {
    at: AtomicU64,
    waker: AtomicWaker,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            began: Instant::now(),
            parts: std::array::from_fn(|_| Mutex::default()),
            asleep_until: AtomicU64::new(NEVER),
            earlier: Notify::new(),
        }
    }

    /// Wakes whose time has come, for ever.
    pub(crate) async fn run(&self) {
        loop {
            let next = self.wake(self.ticks(Instant::now()));
            self.asleep_until.store(next, Ordering::SeqCst);
            // Who set an alarm before that was stored may not have said so, and is seen here; who does so later says so.
            if self.earliest() < next {
                continue;
            }
            if next == NEVER {
                self.earlier.notified().await;
                continue;
            }
            let due = self.began + Duration::from_millis(next.saturating_mul(TICK_IN_MS));
            tokio::select! {
                () = sleep_until(due) => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    /// Wakes whoever is due; returns when the next one is.
    fn wake(&self, now: u64) -> u64 {
        let mut next = NEVER;
        for part in 0..PARTS {
            for bell in self.part(part).bells.iter().flatten() {
                let at = bell.at.load(Ordering::SeqCst);
                if at > now {
                    next = next.min(at);
                } else if bell.at.compare_exchange(at, NEVER, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
                    bell.waker.wake();
                }
            }
        }
        next
    }

    fn earliest(&self) -> u64 {
        let earliest = |part| self.part(part).bells.iter().flatten().map(|bell| bell.at.load(Ordering::SeqCst)).min();
        (0..PARTS).filter_map(earliest).min().unwrap_or(NEVER)
    }

    /// How many ticks have passed by then.
    fn ticks(&self, instant: Instant) -> u64 {
        let elapsed = instant.saturating_duration_since(self.began);
        elapsed.as_secs() * (1000 / TICK_IN_MS) + u64::from(elapsed.subsec_micros()) / (TICK_IN_MS * 1000)
    }

    fn part(&self, part: usize) -> MutexGuard<'_, Part> {
        self.parts[part].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    fn add(&mut self, bell: Arc<Bell>) -> usize {
        let Some(place) = self.free.pop() else {
            self.bells.push(Some(bell));
            return self.bells.len() - 1;
        };
        self.bells[place] = Some(bell);
        place
    }

    fn remove(&mut self, place: usize) {
        self.bells[place] = None;
        self.free.push(place);
        if self.free.len() == self.bells.len() {
            // Nobody is left: what a crowd took is given back.
            *self = Self::default();
        }
    }
}

/// The alarm of one handle, which has one command under way at a time. It costs nothing before it is set.
#[derive(Debug)]
pub(crate) struct Alarm {
    /// The number of the handle.
    handle: usize,
    /// With its place in the wheel.
    bell: Option<(Arc<Bell>, usize)>,
}

impl Alarm {
    pub(crate) fn new(handle: usize) -> Self {
        Self { handle, bell: None }
    }

    /// Has the task woken at this instant, or up to a tick later, unless the alarm is set anew or switched off before.
    pub(crate) fn set(&mut self, wheel: &Wheel, at: Instant, context: &Context<'_>) {
        // Not before that instant.
        let at = wheel.ticks(at) + 1;
        let (bell, _) = self.bell.get_or_insert_with(|| {
            let bell = Arc::new(Bell { at: AtomicU64::new(NEVER), waker: AtomicWaker::new() });
            let place = wheel.part(self.handle % PARTS).add(bell.clone());
            (bell, place)
        });
        bell.waker.register(context.waker());
        bell.at.store(at, Ordering::SeqCst);
        if at < wheel.asleep_until.load(Ordering::SeqCst) {
            wheel.earlier.notify_one();
        }
    }

    pub(crate) fn switch_off(&self) {
        if let Some((bell, _)) = &self.bell {
            bell.at.store(NEVER, Ordering::Release);
        }
    }

    /// Has to be called before it is dropped.
    pub(crate) fn remove(&mut self, wheel: &Wheel) {
        if let Some((_, place)) = self.bell.take() {
            wheel.part(self.handle % PARTS).remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::{Poll, Waker};

    use super::*;

    async fn wait(wheel: &Wheel, handle: usize, time: Duration) -> Duration {
        let began = Instant::now();
        let mut alarm = Alarm::new(handle);
        poll_fn(|context| {
            if began.elapsed() >= time {
                return Poll::Ready(());
            }
            alarm.set(wheel, began + time, context);
            Poll::Pending
        })
        .await;
        alarm.remove(wheel);
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
        let waits = times.iter().enumerate().map(|(handle, time)| wait(&wheel, handle * 7, *time));
        for (took, time) in futures::future::join_all(waits).await.into_iter().zip(times) {
            assert!(took >= time && took <= time + Duration::from_millis(2 * TICK_IN_MS), "{took:?} for {time:?}");
        }
        assert!(wheel.parts.iter().all(|part| part.lock().unwrap().bells.is_empty()), "something is left");
        running.abort();
    }

    #[test]
    fn an_alarm_that_is_switched_off_wakes_nobody_and_its_place_is_used_again() {
        let wheel = Wheel::new();
        let context = Context::from_waker(Waker::noop());
        let in_a_second = wheel.began + Duration::from_secs(1);
        let mut kept = Alarm::new(0);
        kept.set(&wheel, in_a_second, &context);
        for _ in 0..1000 {
            let mut other = Alarm::new(PARTS);
            other.set(&wheel, in_a_second, &context);
            other.remove(&wheel);
        }
        assert_eq!(wheel.part(0).bells.len(), 2);
        assert_eq!(wheel.earliest(), wheel.ticks(in_a_second) + 1);
        kept.switch_off();
        assert_eq!((wheel.earliest(), wheel.wake(NEVER - 1)), (NEVER, NEVER));
        kept.remove(&wheel);
        assert_eq!(wheel.part(0).bells.len(), 0);
    }
}
