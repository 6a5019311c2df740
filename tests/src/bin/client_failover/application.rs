//! An application on one of the clients, and what it has printed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use sentinel_tests::ServerProcess;

use crate::clients::Client;

/// A process that writes to the master and prints a line about each write.
pub(crate) struct Application {
    process: ServerProcess,
    log: PathBuf,
}

/// What became of the writes.
#[derive(Debug, Default)]
pub(crate) struct Writes {
    /// Number and time of each acknowledgement, in their order. Times are since 1970.
    pub(crate) acknowledged: Vec<(u64, Duration)>,
    /// How many writes were reported to the application as failed.
    pub(crate) failed: usize,
    /// What it said of the last of them.
    pub(crate) last_failure: Option<String>,
}

impl Application {
    /// Starts it in `parent`. The environment gets these variables, too: `PACE`, `KEY_PREFIX`.
    pub(crate) fn start(
        client: Client,
        clients: &Path,
        parent: &Path,
        name: &str,
        sentinels: &[u16],
        variables: &[String],
    ) -> Self {
        let mut arguments: Vec<OsString> = variables.iter().map(OsString::from).collect();
        arguments.extend(client.command(clients, name, sentinels));
        let process = ServerProcess::start(client.name(), Path::new("env"), &arguments, parent);
        Self { process, log: parent.join("output.log") }
    }

    /// What it has printed until now.
    pub(crate) fn writes(&self) -> Writes {
        Writes::read(&std::fs::read(&self.log).unwrap_or_default())
    }

    /// The last lines it has printed, for messages.
    pub(crate) fn last_output(&self) -> String {
        self.process.last_output(10)
    }

    /// Ends it.
    pub(crate) fn finish(self) -> Writes {
        let Self { process, log } = self;
        process.kill();
        Writes::read(&std::fs::read(log).unwrap_or_default())
    }
}

impl Writes {
    /// Lines that are not about a write, such as an error of a connection, are passed over; so is a last half one.
    fn read(output: &[u8]) -> Self {
        let mut writes = Self::default();
        let text = String::from_utf8_lossy(output);
        for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
            let mut words = line.splitn(4, ' ');
            let (outcome, number, at) = (words.next(), words.next(), words.next());
            let number = number.and_then(|word| word.parse().ok());
            let at = at.and_then(|word| word.parse().ok()).map(Duration::from_micros);
            match (outcome, number, at) {
                (Some("ok"), Some(number), Some(at)) => writes.acknowledged.push((number, at)),
                (Some("failed"), Some(_), Some(_)) => {
                    writes.failed += 1;
                    writes.last_failure = words.next().map(str::to_owned);
                }
                _ => {}
            }
        }
        writes
    }

    /// How many were acknowledged after that time.
    pub(crate) fn acknowledged_since(&self, since: Duration) -> usize {
        self.acknowledged.iter().filter(|(_, at)| *at > since).count()
    }

    /// The same, of those of which the second one came after that time: what came before it is not the failover's.
    pub(crate) fn longest_gap_since(&self, since: Duration) -> Duration {
        let pairs = self.acknowledged.windows(2).filter(|pair| pair[1].1 > since);
        pairs.map(|pair| pair[1].1.saturating_sub(pair[0].1)).max().unwrap_or_default()
    }

    /// The longest time between two acknowledgements.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.acknowledged.windows(2).map(|pair| pair[1].1.saturating_sub(pair[0].1)).max().unwrap_or_default()
    }
}

/// The present time as the applications print it: all of them run on this machine.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("the clock is set to a time after 1970")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_writes_are_told_from_others() {
        let output = b"ok 1 1000\nconnection lost\nfailed 2 2500 ConnectionError: refused\nok 3 9000\nok 4 9";
        let writes = Writes::read(output);
        assert_eq!(writes.acknowledged.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(writes.failed, 1);
        assert_eq!(writes.last_failure.as_deref(), Some("ConnectionError: refused"));
        assert_eq!(writes.longest_gap(), Duration::from_millis(8));
        assert_eq!(writes.acknowledged_since(Duration::from_millis(1)), 1);
        assert_eq!(writes.longest_gap_since(Duration::from_millis(5)), Duration::from_millis(8));
        assert_eq!(writes.longest_gap_since(Duration::from_millis(9)), Duration::ZERO);
    }
}
