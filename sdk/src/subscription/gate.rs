//! Where messages go in: in order, and none behind the end of its connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::Msg;
use redis::aio::SendError;
use tokio::sync::mpsc::{self, error::TrySendError};

use super::{Delivery, Gap, MESSAGES_KEPT};

/// Where deliveries go in. Never waits.
#[derive(Debug, Clone)]
pub(super) struct Inlet {
    pub(super) sender: mpsc::Sender<Delivery>,
    pub(super) overrun: Arc<AtomicU64>,
}

impl Inlet {
    pub(super) fn put(&self, delivery: Delivery) -> Result<(), SendError> {
        let dropped = self.overrun.swap(0, Ordering::AcqRel);
        let told = dropped == 0 || self.sender.try_send(Delivery::Gap(Gap::Overrun(dropped))).is_ok();
        if !told {
            self.overrun.fetch_add(dropped, Ordering::AcqRel);
        }
        match if told { self.sender.try_send(delivery) } else { Err(TrySendError::Full(delivery)) } {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_)) => {
                self.overrun.fetch_add(1, Ordering::AcqRel);
                Ok(())
            }
            Err(TrySendError::Closed(_)) => Err(SendError),
        }
    }
}

/// Where the messages of one connection go in: between the gap that tells of it and the next one.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    inlet: Inlet,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
enum State {
    /// The subscription does not stand as a whole yet, and the gap before it has not been told: messages wait.
    Waits(Vec<Msg>),
    Open,
    /// Another connection has taken its place. What still comes was missed, or comes twice.
    Closed,
}

impl Gate {
    pub(super) fn new(inlet: Inlet) -> Self {
        Self { inlet, state: Arc::new(Mutex::new(State::Waits(Vec::new()))) }
    }

    pub(super) fn put(&self, message: Msg) -> Result<(), SendError> {
        match &mut *self.state() {
            State::Waits(waiting) if waiting.len() < MESSAGES_KEPT => waiting.push(message),
            State::Waits(_) => _ = self.inlet.overrun.fetch_add(1, Ordering::AcqRel),
            State::Open => return self.inlet.put(Delivery::Message(message)),
            State::Closed => return Err(SendError),
        }
        Ok(())
    }

    /// Lets the messages through, the gap first.
    pub(super) fn open(&self, gap: Option<Gap>) -> Result<(), SendError> {
        let mut state = self.state();
        if let Some(gap) = gap {
            self.inlet.put(Delivery::Gap(gap))?;
        }
        if let State::Waits(waiting) = std::mem::replace(&mut *state, State::Open) {
            for message in waiting {
                self.inlet.put(Delivery::Message(message))?;
            }
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        *self.state() = State::Closed;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;

    use super::*;

    #[tokio::test]
    async fn what_a_slow_reader_misses_is_counted_where_it_is_missing() {
        let (sender, mut deliveries) = mpsc::channel(2);
        let inlet = Inlet { sender, overrun: Arc::default() };
        let gap = |number| Delivery::Gap(Gap::Overrun(number));
        let mut seen = Vec::new();
        for number in 1..=4 {
            inlet.put(gap(number * 100)).unwrap();
        }
        seen.extend([deliveries.recv().await, deliveries.recv().await]);
        inlet.put(gap(500)).unwrap();
        seen.extend([deliveries.recv().await, deliveries.recv().await]);
        let seen: Vec<_> = seen
            .into_iter()
            .map(|delivery| match delivery {
                Some(Delivery::Gap(Gap::Overrun(number))) => number,
                other => panic!("{other:?}"),
            })
            .collect();
        // The third and the fourth were dropped.
        assert_eq!(seen, [100, 200, 2, 500]);
        drop(deliveries);
        assert!(inlet.put(gap(1)).is_err());
    }

    #[tokio::test]
    async fn a_connection_that_was_replaced_brings_nothing_any_more() {
        let (sender, mut deliveries) = mpsc::channel(16);
        let inlet = Inlet { sender, overrun: Arc::default() };
        let message = |text: &str| {
            let words = ["message", "news", text].map(|word| redis::Value::BulkString(word.as_bytes().to_vec()));
            Msg::from_owned_value(redis::Value::Array(words.to_vec())).unwrap()
        };
        let (old, new) = (Gate::new(inlet.clone()), Gate::new(inlet));
        old.open(None).unwrap();
        old.put(message("1")).unwrap();
        // The old one hangs, and is given up. The new one has messages before its subscription stands as a whole.
        old.close();
        new.put(message("3")).unwrap();
        assert!(old.put(message("2")).is_err());
        new.open(Some(Gap::Overrun(7))).unwrap();
        new.put(message("4")).unwrap();
        assert!(old.put(message("2")).is_err());
        let mut seen = Vec::new();
        while let Ok(delivery) = deliveries.try_recv() {
            seen.push(match delivery {
                Delivery::Message(message) => message.get_payload().unwrap(),
                Delivery::Gap(_) => "gap".to_owned(),
            });
        }
        assert_eq!(seen, ["1", "gap", "3", "4"]);
    }

    #[tokio::test]
    async fn what_was_missed_last_is_told_without_a_further_message() {
        let (sender, deliveries) = mpsc::channel(1);
        let overrun = Arc::<AtomicU64>::default();
        let inlet = Inlet { sender, overrun: Arc::clone(&overrun) };
        let mut stream = futures::stream::unfold((deliveries, overrun), |(mut deliveries, overrun)| async move {
            let next = futures::future::poll_fn(|context| super::super::poll(&mut deliveries, &overrun, context)).await;
            next.map(|next| (next, (deliveries, overrun)))
        })
        .boxed();
        for _ in 0..3 {
            inlet.put(Delivery::Gap(Gap::Overrun(7))).unwrap();
        }
        assert!(matches!(stream.next().await, Some(Delivery::Gap(Gap::Overrun(7)))));
        assert!(matches!(stream.next().await, Some(Delivery::Gap(Gap::Overrun(2)))));
        drop(inlet);
        assert!(stream.next().await.is_none());
    }
}
