//! Writes numbered values 500 times a second, or as the environment says, each after the answer to the one before, and prints one line for
//! each: what became of it, its number, and the time in microseconds since 1970.

use std::error::Error;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, sleep_until};

const PACE: Duration = Duration::from_millis(2);
/// Seconds between two writes.
const PACE_VARIABLE: &str = "PACE";
/// Applications that write to one master at once have prefixes of their own.
const PREFIX_VARIABLE: &str = "KEY_PREFIX";

/// What an application does with its client.
pub(crate) trait Client {
    /// Sets one key; the error as text.
    async fn set(&mut self, key: String, value: u64) -> Result<(), String>;
}

/// Goes on until the process is ended, or its output is closed.
pub(crate) async fn write(mut client: impl Client) -> Result<(), Box<dyn Error>> {
    let pace = match std::env::var(PACE_VARIABLE) {
        Ok(seconds) => Duration::from_secs_f64(seconds.parse()?),
        Err(_) => PACE,
    };
    let prefix = std::env::var(PREFIX_VARIABLE).unwrap_or_else(|_| "written".to_owned());
    let mut output = std::io::stdout();
    // A number whose outcome is unknown is never used again.
    for number in 0.. {
        let began = Instant::now();
        let outcome = client.set(format!("{prefix}:{number}"), number).await;
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_micros();
        match outcome {
            Ok(()) => writeln!(output, "ok {number} {at}")?,
            Err(reason) => writeln!(output, "failed {number} {at} {}", reason.replace('\n', " "))?,
        }
        sleep_until(began + pace).await;
    }
    Ok(())
}
