//! Waiting for an answer, and noticing on the way that nothing comes at all.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::stall::{NoAnswer, late_answer};
use crate::watched::Pulse;

/// Longer than anybody waits: an instant later than this may be none.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Waits for an answer for up to `limit`; `None` waits for ever.
///
/// Whenever nothing has come over the connection for `silence`, be it this answer or another one, `on_silence` is called. Data
/// that were lost on a broken path are repeated by the kernel after pauses that double: seconds after the path is whole again, the
/// connection is still silent, and a new one would not be.
pub(crate) async fn attend<T>(
    pulse: &Pulse,
    silence: Duration,
    limit: Option<Duration>,
    on_silence: impl Fn(),
    answer: impl Future<Output = T>,
) -> Result<T, NoAnswer> {
    let mut answer = pin!(answer);
    let began = Instant::now();
    let left = || limit.map_or(Duration::MAX, |limit| limit.saturating_sub(began.elapsed()));
    let mut reads = pulse.reads();
    // One timer for both: most commands have their answer before it is even looked at.
    let mut due = began + silence.min(left()).min(FAR);
    let mut timer = pin!(sleep_until(due));
    loop {
        tokio::select! {
            biased;
            answer = &mut answer => return Ok(answer),
            () = &mut timer => {}
        }
        if let Some(answer) = late_answer(due, &mut answer).await {
            return Ok(answer);
        }
        let left = left();
        if left.is_zero() {
            return Err(NoAnswer);
        }
        if pulse.reads() == reads {
            on_silence();
        }
        reads = pulse.reads();
        due = Instant::now() + silence.min(left).min(FAR);
        timer.set(sleep_until(due));
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;
    use crate::watched::Watched;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn silence_is_told_each_time_and_ends_nothing_before_the_limit() {
        let told = Cell::new(0);
        let tell = || told.set(told.get() + 1);
        let began = Instant::now();
        let outcome = attend(&Pulse::default(), SECOND, Some(SECOND * 7 / 2), tell, pending::<()>()).await;
        assert_eq!((outcome, told.get()), (Err(NoAnswer), 3));
        assert_eq!(began.elapsed(), SECOND * 7 / 2);
        let answer = attend(&Pulse::default(), SECOND, None, tell, sleep(SECOND * 5 / 2)).await;
        assert_eq!((answer, told.get()), (Ok(()), 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_over_which_something_comes_is_not_silent() {
        let told = Cell::new(0);
        let pulse = Pulse::default();
        let (near, mut far) = duplex(64);
        let mut near = Watched::new(near, pulse.clone());
        let others = async {
            for _ in 0..10 {
                sleep(SECOND * 3 / 4).await;
                far.write_all(b"x").await.unwrap();
                near.read_u8().await.unwrap();
            }
        };
        let answer = attend(&pulse, SECOND, None, || told.set(told.get() + 1), others).await;
        assert_eq!((answer, told.get()), (Ok(()), 0));
    }
}
