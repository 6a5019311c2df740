//! Keeping the state on disk: at most one snapshot is under way, and the newest comes next.

use std::{io, sync::Arc};

use sentinel_core::{Engine, Input};

use super::inbox::{Fact, Outbox};
use crate::persist::{Disk, Outcome, Persister, Store};

/// Hands states to the thread that writes them.
///
/// That thread takes any number of them; here only one is given at a time, so that a disk that hangs costs the memory
/// of one state.
pub(super) struct Writer {
    persister: Persister,
    under_way: bool,
    wanted: bool,
}

impl Writer {
    /// Starts the thread. What becomes of each state is told to the loop.
    pub(super) fn start<D: Disk + 'static>(store: Store<D>, outbox: Outbox) -> io::Result<Self> {
        let report = move |outcome| {
            outbox.tell(Fact::Written(outcome));
        };
        Ok(Writer { persister: Persister::spawn(store, report)?, under_way: false, wanted: false })
    }

    /// Remembers that there is something to write.
    pub(super) const fn want(&mut self) {
        self.wanted = true;
    }

    /// What the end of a try to write means to the engine.
    pub(super) fn written(&mut self, outcome: Outcome) -> Input {
        // A failed one is tried again by the thread itself, until it gets a newer one.
        self.under_way = false;
        match outcome {
            Outcome::Saved(seq) => {
                tracing::info!("Sentinel new configuration saved on disk");
                Input::Persisted(seq)
            }
            Outcome::Failed { seq, error } => Input::PersistFailed { seq, error: error.to_string() },
        }
    }

    /// Begins to write the newest state, if that is wanted and none is under way.
    pub(super) fn write(&mut self, engine: &mut Engine) {
        if self.wanted && !self.under_way {
            let (seq, snapshot) = engine.snapshot();
            self.under_way = self.persister.save(seq, Arc::unwrap_or_clone(snapshot));
            self.wanted = false;
        }
    }

    /// Writes what is still wanted, and waits for it.
    pub(super) fn finish(mut self, engine: &mut Engine) {
        self.under_way = false;
        self.write(engine);
        self.persister.close();
    }
}
