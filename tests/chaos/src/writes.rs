//! What the applications were promised.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;
use std::time::Duration;

/// A probe that could write does so several times in this time.
const PROBED_WITHIN: Duration = Duration::from_secs(1);

/// The writes of one application, read from what it prints.
#[derive(Debug)]
pub(crate) struct Writes {
    /// Its name in the report.
    pub(crate) application: String,
    /// Its keys are `<prefix>:<number>`.
    prefix: String,
    log: PathBuf,
    read: u64,
    half_line: Vec<u8>,
    acknowledged: BTreeSet<u64>,
    kept: BTreeSet<u64>,
    lost: BTreeSet<u64>,
    failed: u64,
    last: Option<Duration>,
    longest_gap: Duration,
    /// Since when the probe on the same host could write, and when it last could.
    possible: Option<(Duration, Duration)>,
    longest_idle: Duration,
}

/// Acknowledged writes that were found missing now, and never before.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// Acknowledged by the master alone.
    pub(crate) unguarded: Vec<String>,
    /// Every replica had said that it has them.
    pub(crate) guarded: Vec<String>,
}

impl Writes {
    /// Of an application that has printed nothing yet.
    pub(crate) fn of(application: &str, prefix: &str, log: PathBuf) -> Self {
        Self {
            application: application.to_owned(),
            prefix: prefix.to_owned(),
            log,
            read: 0,
            half_line: Vec::new(),
            acknowledged: BTreeSet::new(),
            kept: BTreeSet::new(),
            lost: BTreeSet::new(),
            failed: 0,
            last: None,
            longest_gap: Duration::ZERO,
            possible: None,
            longest_idle: Duration::ZERO,
        }
    }

    /// Reads on from where it was left.
    pub(crate) fn read_on(&mut self) -> std::io::Result<()> {
        let mut file = File::open(&self.log)?;
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        self.read += file.read_to_end(&mut bytes)? as u64;
        self.take(&bytes);
        Ok(())
    }

    /// Looks for everything that was acknowledged among the keys of the master.
    pub(crate) fn missing_from(&mut self, keys: &BTreeSet<String>) -> Missing {
        let mut missing = Missing::default();
        for number in &self.acknowledged {
            let key = format!("{}:{number}", self.prefix);
            if !keys.contains(&key) && self.lost.insert(*number) {
                let list = if self.kept.contains(number) { &mut missing.guarded } else { &mut missing.unguarded };
                list.push(key);
            }
        }
        missing
    }

    /// When the last write was acknowledged, since 1970.
    pub(crate) fn last(&self) -> Option<Duration> {
        self.last
    }

    /// Writes acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// Of these, those that every replica said to have.
    pub(crate) fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Acknowledged writes that are lost, and how many of those every replica had.
    pub(crate) fn lost(&self) -> (usize, usize) {
        (self.lost.len(), self.lost.intersection(&self.kept).count())
    }

    /// Writes of which the application was told an error.
    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// The longest time between two acknowledgements.
    pub(crate) fn longest_gap(&self) -> Duration {
        self.longest_gap
    }

    /// The longest time in which the probe on its host could write all the time, and the application wrote nothing; `None` without a probe.
    pub(crate) fn longest_idle(&self) -> Option<Duration> {
        self.possible.map(|_| self.longest_idle)
    }

    fn take(&mut self, bytes: &[u8]) {
        self.half_line.extend_from_slice(bytes);
        let Some(end) = self.half_line.iter().rposition(|byte| *byte == b'\n') else { return };
        let rest = self.half_line.split_off(end + 1);
        let lines = std::mem::replace(&mut self.half_line, rest);
        for line in String::from_utf8_lossy(&lines).lines() {
            self.take_line(line);
        }
    }

    fn take_line(&mut self, line: &str) {
        let mut words = line.splitn(4, ' ');
        let (outcome, number, at) = (words.next(), words.next(), words.next());
        let number: Option<u64> = number.and_then(|word| word.parse().ok());
        let at = at.and_then(|word| word.parse().ok()).map(Duration::from_micros);
        // Other lines are errors of connections.
        let (Some(outcome), Some(number), Some(at)) = (outcome, number, at) else { return };
        match outcome {
            "failed" => self.failed += 1,
            "could" => {
                let since = match self.possible {
                    Some((since, until)) if at.saturating_sub(until) <= PROBED_WITHIN => since,
                    _ => at,
                };
                self.possible = Some((since, at));
                let idle_since = self.last.map_or(since, |last| last.max(since));
                self.longest_idle = self.longest_idle.max(at.saturating_sub(idle_since));
            }
            "ok" | "kept" => {
                self.acknowledged.insert(number);
                if outcome == "kept" {
                    self.kept.insert(number);
                }
                if let Some(last) = self.last {
                    self.longest_gap = self.longest_gap.max(at.saturating_sub(last));
                }
                self.last = Some(at);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn writes(text: &str) -> Writes {
        let mut writes = Writes::of("test", "k", PathBuf::new());
        // In pieces that cut lines in two.
        for piece in text.as_bytes().chunks(7) {
            writes.take(piece);
        }
        writes
    }

    #[test]
    fn a_write_that_is_missing_is_told_once_and_by_what_it_was_promised() {
        let mut writes = writes("ok 1 100\nnot a line\nkept 2 200\nfailed 3 300 no\nok 4 5000\nok 5 51");
        assert_eq!((writes.acknowledged(), writes.kept(), writes.failed()), (3, 1, 1));
        assert_eq!(writes.longest_gap(), Duration::from_micros(4800));
        let keys = BTreeSet::from(["k:4".to_owned()]);
        let missing = writes.missing_from(&keys);
        assert_eq!((missing.unguarded, missing.guarded), (vec!["k:1".to_owned()], vec!["k:2".to_owned()]));
        let again = writes.missing_from(&keys);
        assert!(again.unguarded.is_empty() && again.guarded.is_empty());
        assert_eq!(writes.lost(), (2, 1));
    }

    #[test]
    fn an_application_is_idle_only_while_the_probe_could_write() {
        assert_eq!(writes("ok 1 100\nok 2 9000000\n").longest_idle(), None);
        // A second of silence is known to be the application's; what was before the probe's own silence is not.
        let text = "ok 1 0\ncould 0 200000\ncould 0 3000000\ncould 0 3500000\ncould 0 4000000\nok 2 4100000\n\
                    could 0 4200000\n";
        let writes = writes(text);
        assert_eq!(writes.longest_idle(), Some(Duration::from_secs(1)));
        assert_eq!((writes.acknowledged(), writes.failed()), (2, 0));
    }
}
