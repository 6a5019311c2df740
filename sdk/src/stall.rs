//! Time in which this program did not run is no silence of a server.
//!
//! A program that blocks its runtime, or finds no processor, reads no answer meanwhile, and its timers are late. Timer and answer are then
//! noticed in the same turn, and the answer has a task more to pass: who looked at the timer alone would take a healthy server for one that
//! does not answer, and give its connection up.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout, timeout_at};

/// No answer came within its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoAnswer;

/// A timer that is later than this shows that the program did not run.
const LATE: Duration = Duration::from_millis(25);
/// After that, whatever has arrived gets so long to be read and to pass from task to task.
pub(crate) const TURN: Duration = Duration::from_millis(15);

/// Whether a timer that was due then, and fires now, is so late that the program did not run meanwhile.
pub(crate) fn was_stalled(due: Instant, now: Instant) -> bool {
    now.saturating_duration_since(due) > LATE
}

/// The answer that was there, but not read, when a timer that was due then fired late.
pub(crate) async fn late_answer<T>(due: Instant, answer: impl Future<Output = T>) -> Option<T> {
    if was_stalled(due, Instant::now()) { timeout(TURN, answer).await.ok() } else { None }
}

/// As [`timeout`], but an answer that has arrived while the program did not run is still taken.
pub(crate) async fn within<T>(limit: Duration, answer: impl Future<Output = T>) -> Result<T, NoAnswer> {
    // Kept apart: futures that hold this one would be large.
    let mut answer = Box::pin(answer);
    let Some(due) = Instant::now().checked_add(limit) else { return Ok(answer.await) };
    match timeout_at(due, &mut answer).await {
        Ok(answer) => Ok(answer),
        Err(_) => late_answer(due, answer).await.ok_or(NoAnswer),
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::thread;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::oneshot;

    use super::*;

    /// A connection whose answer is read by a task of its own, as those of the pool are.
    async fn read_by_another_task() -> (TcpStream, oneshot::Receiver<u8>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (mut far, _) = listener.accept().await.unwrap();
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            let _ = sender.send(far.read_u8().await.unwrap());
        });
        tokio::task::yield_now().await;
        (near, receiver)
    }

    #[tokio::test]
    async fn an_answer_that_came_while_the_program_did_not_run_is_taken() {
        let (mut server, answer) = read_by_another_task().await;
        let blocked = async {
            // The answer is there in time, and nobody looks.
            tokio::task::yield_now().await;
            server.write_all(b"x").await.unwrap();
            thread::sleep(Duration::from_millis(200));
        };
        let (answer, ()) = tokio::join!(within(Duration::from_millis(50), answer), blocked);
        assert_eq!(answer.unwrap().unwrap(), b'x');
    }

    #[tokio::test(start_paused = true)]
    async fn who_runs_waits_no_longer_than_the_limit() {
        let began = Instant::now();
        assert!(within(Duration::from_secs(1), pending::<()>()).await.is_err());
        assert_eq!(began.elapsed(), Duration::from_secs(1));
        assert_eq!(within(Duration::MAX, async { 1 }).await, Ok(1));
    }

    #[tokio::test]
    async fn a_server_that_says_nothing_is_not_waited_for_long() {
        let (_server, answer) = read_by_another_task().await;
        let began = Instant::now();
        let blocked = async { thread::sleep(Duration::from_millis(200)) };
        let (answer, ()) = tokio::join!(within(Duration::from_millis(50), answer), blocked);
        assert!(answer.is_err(), "{:?}", began.elapsed());
    }
}
