//! The last events, for readers who come back after a while.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use sentinel_core::{events::Event, types::SentinelId};
use tokio::sync::watch;

use super::model;
use crate::monitor::Happened;

/// So many events are kept. One is a kilobyte or two.
const KEPT: usize = 2_048;
/// So many are given at once.
const AT_ONCE: usize = 64;

/// Names the events of one run of the process, numbered from 1.
pub(crate) struct Numbered {
    run: String,
    last: u64,
}

impl Numbered {
    /// None yet.
    pub(crate) fn new(run_id: &str) -> Self {
        Numbered { run: run_of(run_id), last: 0 }
    }

    /// The name of the next event.
    pub(crate) fn next(&mut self) -> String {
        self.last += 1;
        name(&self.run, self.last)
    }
}

fn run_of(run_id: &str) -> String {
    run_id.get(..8).unwrap_or(run_id).to_owned()
}

fn name(run: &str, number: u64) -> String {
    format!("{run}-{number}")
}

/// An event as it is posted: as `/v1/events` sends it, and who tells it.
pub(crate) fn event_as_json(id: &str, happened: &Happened, sentinel: &SentinelId) -> String {
    let told = model::Told { event: shown(id.to_owned(), happened), sentinel: sentinel.to_string() };
    serde_json::to_string(&told).unwrap_or_default()
}

/// The events, numbered from 1.
pub(super) struct Journal {
    /// Which run of the process numbers them.
    run: String,
    kept: Mutex<VecDeque<Arc<Entry>>>,
    /// The number of the newest.
    newest: watch::Sender<u64>,
}

/// One event, as it is sent.
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) channel: &'static str,
    pub(super) master: Option<String>,
    /// One line.
    pub(super) json: String,
}

/// Where a reader goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Behind this number.
    After(u64),
    /// With all that is kept; what was between is not known, since another run numbered it.
    Anew,
}

/// What comes next.
#[derive(Default)]
pub(super) struct Batch {
    /// So many are not kept any more.
    pub(super) missed: u64,
    pub(super) entries: Vec<Arc<Entry>>,
}

impl Journal {
    /// Without events.
    pub(super) fn new(run_id: &str) -> Self {
        Journal { run: run_of(run_id), kept: Mutex::default(), newest: watch::Sender::new(0) }
    }

    /// Keeps an event, and wakes who waits for it.
    pub(super) fn add(&self, happened: &Happened) {
        let number = *self.newest.borrow() + 1;
        let shown = shown(self.id(number), happened);
        let entry = Entry {
            number,
            channel: happened.event.channel(),
            json: serde_json::to_string(&shown).unwrap_or_default(),
            master: shown.master,
        };
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            if kept.len() >= KEPT {
                kept.pop_front();
            }
            kept.push_back(Arc::new(entry));
        }
        self.newest.send_replace(number);
    }

    /// The name of an event for those who resume.
    pub(super) fn id(&self, number: u64) -> String {
        name(&self.run, number)
    }

    /// Where to go on behind the event of this name; with the next event if there is none.
    pub(super) fn start(&self, last: Option<&str>) -> Start {
        let newest = *self.newest.borrow();
        let Some(last) = last else { return Start::After(newest) };
        let number = last.rsplit_once('-').filter(|(run, _)| *run == self.run);
        match number.and_then(|(_, number)| number.parse().ok()) {
            Some(number) if number <= newest => Start::After(number),
            _ => Start::Anew,
        }
    }

    /// What comes behind a number, some of it.
    pub(super) fn after(&self, number: u64) -> Batch {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(oldest) = kept.front().map(|entry| entry.number) else { return Batch::default() };
        let skip = usize::try_from((number + 1).saturating_sub(oldest)).unwrap_or(usize::MAX);
        let entries = kept.iter().skip(skip).take(AT_ONCE).cloned().collect();
        Batch { missed: oldest.saturating_sub(number + 1), entries }
    }

    /// The number behind which all that is kept comes.
    pub(super) fn before_all(&self) -> u64 {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.front().map_or_else(|| *self.newest.borrow(), |oldest| oldest.number - 1)
    }

    /// Tells the number of the newest, whenever it is another.
    pub(super) fn newest(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }
}

fn shown(id: String, Happened { at, event }: &Happened) -> model::Event {
    let cause = match event {
        Event::SubjectivelyDown { cause, .. } => {
            Some(model::Cause { code: cause.code().to_owned(), text: cause.to_string() })
        }
        _ => None,
    };
    let problem = match event {
        Event::Problem { problem, .. } => Some(model::Problem::of(problem, at.mono)),
        _ => None,
    };
    model::Event {
        id,
        time: at.wall.0,
        event: event.channel().to_owned(),
        level: event.level().as_str().to_owned(),
        master: event.master().map(ToString::to_string),
        payload: event.payload(),
        cause,
        problem,
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::time::Now;

    use super::*;

    fn journal(events: usize) -> Journal {
        let journal = Journal::new(&"ab".repeat(20));
        for _ in 0..events {
            journal.add(&Happened { at: Now::default(), event: Event::TiltEntered });
        }
        journal
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.entries.iter().map(|entry| entry.number).collect()
    }

    #[test]
    fn a_reader_goes_on_behind_the_last_event_that_it_knows() {
        let journal = journal(5);
        assert_eq!(journal.start(None), Start::After(5), "only what comes");
        assert_eq!(journal.start(Some("abababab-3")), Start::After(3));
        assert_eq!(numbers(&journal.after(3)), [4, 5]);
        assert!(numbers(&journal.after(5)).is_empty() && journal.after(5).missed == 0);
        for unknown in ["cdcdcdcd-3", "abababab-6", "abababab-x", "3", ""] {
            assert_eq!(journal.start(Some(unknown)), Start::Anew, "{unknown}");
        }
    }

    #[test]
    fn who_is_too_far_behind_is_told_how_many_it_has_missed() {
        let journal = journal(KEPT + 10);
        let batch = journal.after(3);
        assert_eq!((batch.missed, batch.entries.len(), batch.entries[0].number), (7, AT_ONCE, 11));
        assert_eq!(journal.kept.lock().unwrap().len(), KEPT);
    }
}
