//! When the task that drives a connection writes what its callers send.
//!
//! The scheduler runs it right behind the first caller that has sent something: each of many callers would have its command written by a
//! system call of its own. Where many commands are under way, the task therefore lets the other callers send theirs first. What arrives is
//! read at once.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;

use tokio::task::yield_now;

use crate::users::Users;
use crate::watched::Pulse;

/// From so many commands under way on, the task waits for company; with fewer that costs more than it saves.
const MANY: usize = 4;

pub(crate) async fn drive(mut driver: Pin<&mut impl Future<Output = ()>>, pulse: &Pulse, users: &Users) {
    let mut turn = pin!(None);
    let mut has_waited = false;
    poll_fn(|context| {
        if !pulse.has_arrived() && !has_waited && users.are_many(MANY) {
            has_waited = true;
            // Wakes this task when the others that are ready have run.
            turn.set(Some(yield_now()));
            if turn.as_mut().as_pin_mut().is_some_and(|turn| turn.poll(context).is_pending()) {
                return Poll::Pending;
            }
        }
        has_waited = false;
        driver.as_mut().poll(context)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::task::{Context, Waker};

    use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, duplex};
    use tokio::sync::{Barrier, mpsc};

    use super::*;
    use crate::watched::Watched;

    /// How many of eight commands, sent at the same moment, the driver of a connection finds each time that it looks.
    async fn batches(under_way: usize) -> Vec<usize> {
        const CALLERS: usize = 8;
        let users: Arc<Users> = Arc::default();
        let (sender, mut receiver) = mpsc::channel(CALLERS);
        let batches: Arc<Mutex<Vec<usize>>> = Arc::default();
        let driving = tokio::spawn({
            let (users, batches) = (users.clone(), batches.clone());
            async move {
                let driver = pin!(poll_fn(move |context| {
                    let mut batch = 0;
                    let end = loop {
                        match receiver.poll_recv(context) {
                            Poll::Ready(Some(())) => batch += 1,
                            Poll::Ready(None) => break Poll::Ready(()),
                            Poll::Pending => break Poll::Pending,
                        }
                    };
                    batches.lock().unwrap().extend((batch > 0).then_some(batch));
                    end
                }));
                drive(driver, &Pulse::default(), &users).await;
            }
        });
        let barrier = Arc::new(Barrier::new(CALLERS));
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (users, barrier, sender) = (users.clone(), barrier.clone(), sender.clone());
                tokio::spawn(async move {
                    let _user = (caller < under_way).then(|| users.enter(caller).unwrap());
                    barrier.wait().await;
                    sender.send(()).await.unwrap();
                    barrier.wait().await;
                })
            })
            .collect();
        drop(sender);
        for caller in callers {
            caller.await.unwrap();
        }
        driving.await.unwrap();
        let batches = batches.lock().unwrap().clone();
        assert_eq!(batches.iter().sum::<usize>(), CALLERS);
        batches
    }

    /// One worker: whoever is woken by the task that runs comes next.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn what_many_callers_send_goes_out_together() {
        assert!(batches(0).await.len() > 1, "the scheduler does that by itself now");
        assert_eq!(batches(MANY).await, [8]);
    }

    #[tokio::test]
    async fn what_arrives_is_not_held_up() {
        let users = Users::default();
        let _users: Vec<_> = (0..MANY).map(|handle| users.enter(handle).unwrap()).collect();
        let pulse = Pulse::default();
        let (near, mut far) = duplex(64);
        let mut near = Watched::new(near, pulse.clone());
        let polls = std::cell::Cell::new(0);
        let driver = pin!(poll_fn(|context| {
            polls.set(polls.get() + 1);
            let mut buffer = [0; 16];
            let _ = Pin::new(&mut near).poll_read(context, &mut ReadBuf::new(&mut buffer));
            Poll::Pending
        }));
        let mut task = pin!(drive(driver, &pulse, &users));
        let mut poll = |expected: usize, what: &str| {
            assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(polls.get(), expected, "{what}");
        };
        poll(0, "a command was sent: others may follow");
        poll(1, "it had its turn");
        poll(1, "another command");
        poll(2, "it had its turn");
        far.write_all(b"+OK\r\n").await.unwrap();
        poll(3, "an answer is read at once");
    }
}
