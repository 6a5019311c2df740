//! Plays the scripts that the engine starts.

use std::time::Duration;

use sentinel_core::{Input, JobId, ScriptEnd, ScriptFault};

use super::{Parcel, Stage};

/// How the next scripts behave.
pub(super) struct Scripts {
    /// How they end; none: by a signal alone.
    end: Option<ScriptEnd>,
    fault: Option<ScriptFault>,
    lasts: Duration,
    pids: u32,
}

impl Default for Scripts {
    fn default() -> Self {
        Scripts { end: Some(ScriptEnd::Exited(0)), fault: None, lasts: Duration::ZERO, pids: 100 }
    }
}

impl Stage {
    /// `script exits N`, `is killed`, `hangs`, `is missing`, `gets no process`, `lasts TIME`
    pub(super) fn script(&mut self, words: &[&str], time: impl Fn(&str) -> Duration) {
        let scripts = &mut self.scripts;
        scripts.fault = None;
        match words {
            ["exits", status] => scripts.end = Some(ScriptEnd::Exited(status.parse().unwrap())),
            ["is", "killed"] => scripts.end = Some(ScriptEnd::Killed(15)),
            ["hangs"] => scripts.end = None,
            ["is", "missing"] => scripts.fault = Some(ScriptFault::NotExecutable("no such file".to_owned())),
            ["gets", "no", "process"] => scripts.fault = Some(ScriptFault::NoProcess("too many".to_owned())),
            ["lasts", text] => scripts.lasts = time(text),
            _ => panic!("a script does not {words:?}"),
        }
    }

    pub(super) fn script_starts(&mut self, job: JobId) {
        if let Some(fault) = self.scripts.fault.clone() {
            return self.feed(Input::ScriptFailedToStart { job, fault });
        }
        self.scripts.pids += 1;
        let (pid, end) = (self.scripts.pids, self.scripts.end);
        self.feed(Input::ScriptStarted { job, pid });
        match end {
            Some(end) if self.scripts.lasts.is_zero() => self.feed(Input::ScriptEnded { job, end }),
            Some(end) => {
                self.parcels += 1;
                let at = self.now + u64::try_from(self.scripts.lasts.as_micros()).unwrap();
                self.under_way.insert((at, self.parcels), Parcel::ScriptEnds { job, end });
            }
            None => {}
        }
    }
}
