//! Keeping the state on disk: at most one snapshot is under way, and the newest comes next.

use std::{
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use sentinel_core::{Engine, Input, Looked, Seq};

use super::inbox::{Fact, Outbox};
use crate::persist::{Disk, Outcome, Persister, Store};

/// How many states the engine is told to be on disk in one turn of the loop.
///
/// One write may hold what a thousand masters wait for: each then stands, is elected, or switches, with a dozen events and
/// commands. All at once that is a tenth of a second in which no PING goes out.
const TOLD_AT_ONCE: u64 = 32;

/// How long a write may take before it is told, and how much later again.
const SLOW: Duration = Duration::from_secs(1);
const SLOW_TOLD_EVERY: Duration = Duration::from_secs(60);

/// How long the last write may take when the process is told to stop.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// Hands states to the thread that writes them, and tells the engine what is on disk, some of it in each turn.
///
/// That thread takes any number of them; here only one is given at a time, so that a disk that hangs costs the memory
/// of one state.
pub(super) struct Writer {
    persister: Persister,
    path: PathBuf,
    under_way: bool,
    /// When the write under way began, and when it is told next that it has not ended.
    slow: Option<(Instant, Instant)>,
    wanted: bool,
    /// What is on disk, until the engine knows all of it.
    saved: Option<Seq>,
    /// What the engine knows.
    told: Seq,
}

impl Writer {
    /// Starts the thread. What becomes of each state is told to the loop.
    pub(super) fn start<D: Disk + 'static>(store: Store<D>, outbox: Outbox) -> io::Result<Self> {
        let path = store.path().to_owned();
        let report = move |outcome| {
            outbox.tell(Fact::Written(outcome));
        };
        let persister = Persister::spawn(store, report)?;
        Ok(Writer { persister, path, under_way: false, slow: None, wanted: false, saved: None, told: Seq::default() })
    }

    /// Remembers that there is something to write.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// Takes the end of a try to write. What is on disk is told by [`Writer::tell`], a failure at once, behind it.
    pub(super) fn written(&mut self, outcome: Outcome, tell: &mut impl FnMut(Input)) {
        if let Outcome::Overwritten(text) = outcome {
            return tell(Input::Configuration(Looked::Overwritten(text)));
        }
        // A failed one is tried again by the thread itself, until it gets a newer one.
        self.under_way = false;
        if let Some((began, _)) = self.slow.take().filter(|(began, told)| *told > *began + SLOW) {
            tracing::warn!("Saving {} has ended after {} ms", self.path.display(), began.elapsed().as_millis());
        }
        match outcome {
            Outcome::Overwritten(_) => {}
            Outcome::Saved(seq) => {
                tracing::info!("Sentinel new configuration saved on disk");
                self.saved = Some(seq);
            }
            Outcome::Failed { seq, error } => {
                while let Some(input) = self.tell() {
                    tell(input);
                }
                tell(Input::PersistFailed { seq, error: error.to_string() });
            }
        }
    }

    /// What the engine is to be told next of what is on disk, as much as is one turn's.
    pub(super) fn tell(&mut self) -> Option<Input> {
        let saved = self.saved?;
        self.told = saved.min(Seq(self.told.0 + TOLD_AT_ONCE));
        if self.told == saved {
            self.saved = None;
        }
        Some(Input::Persisted(self.told))
    }

    /// Whether there is more to tell.
    pub(super) const fn has_more(&self) -> bool {
        self.saved.is_some()
    }

    /// Begins to write the newest state, if that is wanted and none is under way.
    pub(super) fn write(&mut self, engine: &mut Engine) {
        if self.wanted && !self.under_way {
            let (seq, snapshot) = engine.snapshot();
            self.under_way = self.persister.save(seq, Arc::unwrap_or_clone(snapshot));
            self.wanted = false;
            let now = Instant::now();
            self.slow = self.under_way.then_some((now, now + SLOW));
        }
        self.tell_if_slow();
    }

    /// When the write under way began.
    pub(super) fn began(&self) -> Option<Instant> {
        self.slow.map(|(began, _)| began)
    }

    /// When to call [`Writer::write`] although nothing happened.
    pub(super) fn next_look(&self) -> Option<Instant> {
        self.slow.map(|(_, due)| due)
    }

    /// Says that a write does not end: nothing else would, since nobody waits for the thread that hangs.
    fn tell_if_slow(&mut self) {
        let Some((began, due)) = &mut self.slow else { return };
        let now = Instant::now();
        if now >= *due {
            *due = now + SLOW_TOLD_EVERY;
            tracing::warn!(
                "WARNING: saving {} has not ended for {} ms: the disk, or what the path leads to, hangs. Votes and promotions \
                 wait for it",
                self.path.display(),
                now.duration_since(*began).as_millis()
            );
        }
    }

    /// Writes what is still wanted, and waits for it.
    pub(super) fn finish(mut self, engine: &mut Engine) {
        self.under_way = false;
        self.write(engine);
        if !self.persister.close(LAST_WRITE) {
            tracing::warn!(
                "{} could not be saved within {} ms, and is left as it is",
                self.path.display(),
                LAST_WRITE.as_millis()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{self, Source},
        monitor::inbox::inbox,
        persist::{RealDisk, SaveError, Step},
    };

    fn given(folder: &std::path::Path) -> Writer {
        let path = folder.join("s.conf");
        std::fs::write(&path, "port 1\n").unwrap();
        let keep = config::load(&Source::file(&path)).unwrap().keep;
        let (outbox, _inbox) = inbox();
        Writer::start(Store::on(RealDisk, keep), outbox).unwrap()
    }

    /// What is told in one turn: up to where it is on disk.
    fn turn(writer: &mut Writer) -> Option<u64> {
        writer.tell().map(|input| match input {
            Input::Persisted(Seq(seq)) => seq,
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_one_write_holds_is_told_in_several_turns() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = given(folder.path());
        assert!(!writer.has_more());
        writer.written(Outcome::Saved(Seq(3)), &mut |input| panic!("{input:?}"));
        assert_eq!(turn(&mut writer), Some(3));
        assert!(!writer.has_more());
        writer.written(Outcome::Saved(Seq(70)), &mut |input| panic!("{input:?}"));
        assert_eq!(turn(&mut writer), Some(3 + TOLD_AT_ONCE));
        // The next write has ended meanwhile.
        writer.written(Outcome::Saved(Seq(71)), &mut |input| panic!("{input:?}"));
        assert_eq!(turn(&mut writer), Some(3 + 2 * TOLD_AT_ONCE));
        assert!(writer.has_more());
        assert_eq!(turn(&mut writer), Some(71));
        assert_eq!(turn(&mut writer), None);
        assert!(!writer.has_more());
        // The same state again, since the try before it failed: that it succeeded is told.
        writer.written(Outcome::Saved(Seq(71)), &mut |input| panic!("{input:?}"));
        assert_eq!(turn(&mut writer), Some(71));
    }

    #[test]
    fn a_failure_is_told_behind_what_is_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = given(folder.path());
        writer.written(Outcome::Saved(Seq(70)), &mut |input| panic!("{input:?}"));
        let error = SaveError { path: "s.conf".into(), step: Step::Write, error: io::ErrorKind::StorageFull.into() };
        let mut told = Vec::new();
        writer.written(Outcome::Failed { seq: Seq(71), error }, &mut |input| told.push(input));
        let [Input::Persisted(a), Input::Persisted(b), Input::Persisted(c), Input::PersistFailed { seq, .. }] =
            &told[..]
        else {
            panic!("{told:?}")
        };
        assert_eq!((a.0, b.0, c.0, seq.0), (TOLD_AT_ONCE, 2 * TOLD_AT_ONCE, 70, 71));
        assert!(!writer.has_more());
    }
}
