//! Which problems are listed, which were told, and when the next is to be told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Code, List, Problem, Scope, Severity, Turn};
use crate::time::Instant;

/// A problem that comes back sooner than this after it was told is listed at once, and told later.
const LEAST_PAUSE: Duration = Duration::from_secs(10);
/// So many are told at one look; the rest at the next ones.
const TOLD_AT_ONCE: usize = 16;
/// So many are listed of one master, or of this process.
pub(super) const MOST: usize = 256;
/// When a problem that lasts is told again for the first time; each pause is twice as long as the one before.
const FIRST_REPETITION: Duration = Duration::from_secs(60);
/// The longest pause.
const LAST_REPETITION: Duration = Duration::from_secs(3_600);

type Key = (Code, Scope);

/// What a look has found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(super) code: Code,
    pub(super) scope: Scope,
    pub(super) severity: Severity,
    /// Since when, if that is known better than by looking.
    pub(super) since: Option<Instant>,
    pub(super) sentence: String,
    /// It is listed at once.
    pub(super) urgent: bool,
}

impl Found {
    pub(super) fn new(code: Code, scope: Scope, sentence: String) -> Self {
        Found { code, scope, severity: code.severity(), since: None, sentence, urgent: false }
    }

    pub(super) const fn since(mut self, at: Option<Instant>) -> Self {
        self.since = at;
        self
    }

    pub(super) const fn with_severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) const fn urgent(mut self, urgent: bool) -> Self {
        self.urgent = urgent;
        self
    }
}

/// The problems of one master, or of this process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    entries: BTreeMap<Key, Entry>,
    /// When those were told that are over.
    told_before: BTreeMap<Key, Instant>,
    list: List,
}

#[derive(Clone, Debug)]
struct Entry {
    first_found: Instant,
    listed: Option<Arc<Problem>>,
    /// When it was last told, and how often it was repeated.
    told: Option<(Instant, u32)>,
}

/// What follows from a look.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    pub(crate) told: Vec<(Turn, Arc<Problem>)>,
    /// Whether the list is another one.
    pub(crate) changed: bool,
}

impl Book {
    /// What is wrong at present, the worst first.
    pub(crate) fn list(&self) -> List {
        Arc::clone(&self.list)
    }

    /// Whether nothing is listed or waits to be.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Takes what a look has found.
    pub(crate) fn settle(&mut self, now: Instant, mut found: Vec<Found>) -> Settled {
        found.sort_by(|one, other| other.severity.cmp(&one.severity).then_with(|| one.scope.cmp(&other.scope)));
        found.truncate(MOST);
        let mut settled = Settled::default();
        let mut gone = std::mem::take(&mut self.entries);
        for it in found {
            let key = (it.code, it.scope.clone());
            let entry = gone.remove(&key).unwrap_or(Entry { first_found: now, listed: None, told: None });
            let entry = self.renewed(now, &key, entry, it, &mut settled);
            self.entries.insert(key, entry);
        }
        for (key, entry) in gone {
            let Some(problem) = entry.listed else { continue };
            settled.changed = true;
            if let Some((at, _)) = entry.told {
                self.told_before.insert(key, at);
                settled.told.push((Turn::Cleared, problem));
            }
        }
        self.told_before.retain(|_, at| now.since(*at) < LEAST_PAUSE);
        if settled.changed {
            let mut list: Vec<_> = self.entries.values().filter_map(|entry| entry.listed.clone()).collect();
            list.sort_by_key(|problem| (std::cmp::Reverse(problem.severity), problem.since));
            self.list = list.into();
        }
        settled
    }

    fn renewed(&self, now: Instant, key: &Key, mut entry: Entry, it: Found, settled: &mut Settled) -> Entry {
        let due = it.urgent || now.since(entry.first_found) >= it.code.hold();
        if entry.listed.is_none() && !due {
            return entry;
        }
        let before = entry.listed.as_ref();
        if before.is_none_or(|before| before.sentence != it.sentence || before.severity != it.severity) {
            settled.changed = true;
            let since = before.map_or_else(|| it.since.unwrap_or(entry.first_found), |before| before.since);
            let remedy = it.code.remedy(&it.scope);
            let Found { code, scope, severity, sentence, .. } = it;
            entry.listed = Some(Arc::new(Problem { code, severity, scope, since, sentence, remedy }));
        }
        let Some(problem) = &entry.listed else { return entry };
        if settled.told.len() >= TOLD_AT_ONCE {
            return entry;
        }
        match entry.told {
            None if self.told_before.contains_key(key) => {}
            None => {
                settled.told.push((Turn::Raised, Arc::clone(problem)));
                entry.told = Some((now, 0));
            }
            Some((at, times)) if now.since(at) >= pause_after(times) => {
                settled.told.push((Turn::Lasts, Arc::clone(problem)));
                entry.told = Some((now, times.saturating_add(1)));
            }
            Some(_) => {}
        }
        entry
    }
}

fn pause_after(times: u32) -> Duration {
    FIRST_REPETITION.saturating_mul(1 << times.min(8)).min(LAST_REPETITION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_micros(seconds * 1_000_000)
    }

    fn found(code: Code) -> Vec<Found> {
        vec![Found::new(code, Scope::Process, "so it is".to_owned())]
    }

    fn turns(settled: &Settled) -> Vec<Turn> {
        settled.told.iter().map(|(turn, _)| *turn).collect()
    }

    #[test]
    fn a_problem_is_told_once_again_while_it_lasts_and_when_it_ends() {
        let mut book = Book::default();
        assert_eq!(turns(&book.settle(at(0), found(Code::Tilt))), [Turn::Raised]);
        assert_eq!(book.list().len(), 1);
        assert_eq!(turns(&book.settle(at(30), found(Code::Tilt))), []);
        assert_eq!(turns(&book.settle(at(60), found(Code::Tilt))), [Turn::Lasts]);
        assert_eq!(turns(&book.settle(at(130), found(Code::Tilt))), [], "the next pause is twice as long");
        assert_eq!(turns(&book.settle(at(180), found(Code::Tilt))), [Turn::Lasts]);
        assert_eq!(turns(&book.settle(at(181), Vec::new())), [Turn::Cleared]);
        assert!(book.list().is_empty() && book.is_empty());
    }

    #[test]
    fn what_passes_at_once_is_not_listed_where_it_must_last() {
        let mut book = Book::default();
        assert!(turns(&book.settle(at(0), found(Code::TwoMasters))).is_empty());
        assert!(book.list().is_empty());
        book.settle(at(2), Vec::new());
        assert!(turns(&book.settle(at(4), found(Code::TwoMasters))).is_empty(), "it began anew");
        assert_eq!(turns(&book.settle(at(9), found(Code::TwoMasters))), [Turn::Raised]);
        assert_eq!(book.list()[0].since, at(4));
    }

    #[test]
    fn what_comes_and_goes_is_listed_each_time_and_told_with_a_pause() {
        let mut book = Book::default();
        assert_eq!(turns(&book.settle(at(0), found(Code::Tilt))), [Turn::Raised]);
        for second in 1..9 {
            let there = second % 2 == 0;
            let told = turns(&book.settle(at(second), if there { found(Code::Tilt) } else { Vec::new() }));
            assert_eq!(told, if second == 1 { vec![Turn::Cleared] } else { Vec::new() }, "at {second} s");
            assert_eq!(book.list().len(), usize::from(there));
        }
        book.settle(at(11), Vec::new());
        assert_eq!(turns(&book.settle(at(12), found(Code::Tilt))), [Turn::Raised]);
    }

    #[test]
    fn a_flood_is_bounded_and_told_little_by_little() {
        let mut book = Book::default();
        let many = || {
            let scope = |port: u16| Scope::Node {
                master: crate::types::MasterName::new("m").unwrap(),
                addr: format!("10.0.0.1:{}", port + 1).parse().unwrap(),
            };
            (0..1_000).map(|n| Found::new(Code::ReplicaDown, scope(n), "down".to_owned())).collect::<Vec<_>>()
        };
        assert_eq!(book.settle(at(0), many()).told.len(), TOLD_AT_ONCE);
        assert_eq!(book.list().len(), MOST);
        let rounds = (1..60).map(|second| book.settle(at(second), many()).told.len()).sum::<usize>();
        assert_eq!(rounds + TOLD_AT_ONCE, MOST);
    }
}
