//! The search: all worlds that one action leads to, then all that two lead to, and so on.

use std::{
    collections::HashSet,
    hash::{BuildHasherDefault, DefaultHasher, Hasher},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::{
    action::Action,
    scenario::Scenario,
    symmetry::{Images, Renaming},
    table::Table,
    world::{Outcome, World},
};

const SHARDS: usize = 256;
/// Worlds that a thread takes at a time.
const PORTION: usize = 256;

/// Where a search ends, if it finds nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Time.
    pub time: Duration,
    /// Actions one after the other.
    pub depth: usize,
    /// Memory of this process, in bytes.
    pub memory: usize,
    /// Threads.
    pub threads: usize,
    /// Worlds that are the same but for the names of the Sentinels are one.
    pub symmetry: bool,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Different worlds.
    pub worlds: usize,
    /// Actions taken.
    pub actions: usize,
    /// All histories of so many actions were looked at.
    pub depth: usize,
    /// No world is left that was not looked at.
    pub exhausted: bool,
    /// How often a Sentinel did not do the same, but for the names, under another name: then it is not one and the same world.
    pub differences: usize,
    /// Worlds behind which was not looked, as an epoch or a queue was too long there.
    pub beyond: usize,
    /// Different states of Sentinels, and steps of engines.
    pub sentinels: (usize, usize),
    /// How long it took.
    pub took: Duration,
    /// The shortest history that breaks a rule, and how.
    pub violation: Option<(Vec<Action>, String)>,
}

/// Takes a hash for what it is.
#[derive(Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

type Seen = Mutex<HashSet<u64, BuildHasherDefault<Already>>>;

/// Worlds of one depth, one after the other.
#[derive(Debug, Default)]
struct Part {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    parents: Vec<u32>,
    actions: Vec<u16>,
}

impl Part {
    fn push(&mut self, world: &[u8], parent: u32, action: Action) {
        self.bytes.extend(world);
        self.ends.push(self.bytes.len());
        self.parents.push(parent);
        self.actions.push(action.pack());
    }

    fn world(&self, number: usize) -> &[u8] {
        let begin = if number == 0 { 0 } else { self.ends[number - 1] };
        &self.bytes[begin..self.ends[number]]
    }
}

/// What all threads work on.
struct Shared<'a> {
    table: &'a Table,
    seen: Vec<Seen>,
    limits: Limits,
    begun: Instant,
    next: AtomicUsize,
    taken: AtomicUsize,
    beyond: AtomicUsize,
    over: AtomicBool,
    violation: Mutex<Option<(u32, Action, String)>>,
    /// Where the forms of all worlds are kept, if somebody wants them.
    forms: Option<&'a Mutex<HashSet<u64>>>,
}

/// Searches until a rule is broken, nothing is left, or a limit is reached. `prepare` runs first in each thread.
///
/// # Panics
///
/// If a thread does.
pub fn search(scenario: &Scenario, limits: Limits, prepare: &(dyn Fn() + Sync)) -> Report {
    prepare();
    search_with(&Table::default(), scenario, limits, prepare, None)
}

/// The forms of all worlds that so many actions lead to, first with every world looked at, then with one of those that are the same but
/// for the names of the Sentinels; and how many there were each time.
pub fn forms(scenario: &Scenario, limits: Limits) -> [(HashSet<u64>, usize); 2] {
    let table = Table::default();
    [false, true].map(|symmetry| {
        let forms = Mutex::default();
        let report = search_with(&table, scenario, Limits { symmetry, ..limits }, &|| {}, Some(&forms));
        (forms.into_inner().unwrap_or_else(PoisonError::into_inner), report.worlds)
    })
}

fn search_with(
    table: &Table,
    scenario: &Scenario,
    limits: Limits,
    prepare: &(dyn Fn() + Sync),
    forms: Option<&Mutex<HashSet<u64>>>,
) -> Report {
    let begin = scenario.world(table);
    let mut form = Form::default();
    let shared = Shared {
        table,
        forms,
        seen: (0..SHARDS).map(|_| Seen::default()).collect(),
        limits,
        begun: Instant::now(),
        next: AtomicUsize::new(0),
        taken: AtomicUsize::new(0),
        beyond: AtomicUsize::new(0),
        over: AtomicBool::new(false),
        violation: Mutex::new(None),
    };
    shared.is_new(&begin, &mut form);
    let bytes = form.bytes;
    let mut parents = vec![0_u32];
    let mut actions = vec![0_u16];
    let mut level = vec![Part { bytes: bytes.clone(), ends: vec![bytes.len()], parents: vec![0], actions: vec![0] }];
    let mut first = 0;
    let mut depth = 0;
    let mut exhausted = false;
    while depth < limits.depth {
        let starts: Vec<usize> = level
            .iter()
            .scan(0, |sum, part| {
                let start = *sum;
                *sum += part.ends.len();
                Some(start)
            })
            .collect();
        shared.next.store(0, Relaxed);
        let new: Vec<Part> = std::thread::scope(|scope| {
            let work = || {
                prepare();
                shared.work(&level, &starts, first)
            };
            let threads: Vec<_> = (0..limits.threads.max(1)).map(|_| scope.spawn(work)).collect();
            threads.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        });
        first = parents.len();
        for part in &new {
            parents.extend(&part.parents);
            actions.extend(&part.actions);
        }
        let found = shared.violation.lock().unwrap_or_else(PoisonError::into_inner).is_some();
        if found || shared.over.load(Relaxed) {
            break;
        }
        depth += 1;
        level = new;
        for part in &mut level {
            (part.parents, part.actions) = (Vec::new(), Vec::new());
        }
        if level.iter().all(|part| part.ends.is_empty()) {
            exhausted = true;
            break;
        }
    }
    let violation = shared.violation.lock().unwrap_or_else(PoisonError::into_inner).take();
    let violation = violation.map(|(mut at, last, what)| {
        let mut path = vec![last];
        while at != 0 {
            path.push(Action::unpack(actions[at as usize]));
            at = parents[at as usize];
        }
        path.reverse();
        (path, what)
    });
    Report {
        worlds: parents.len(),
        actions: shared.taken.load(Relaxed),
        depth,
        exhausted,
        differences: table.differences(),
        beyond: shared.beyond.load(Relaxed),
        sentinels: table.size(),
        took: shared.begun.elapsed(),
        violation,
    }
}

impl Shared<'_> {
    /// Takes portions of a level until none is left. `first` is the number of its first world.
    fn work(&self, level: &[Part], starts: &[usize], first: usize) -> Part {
        let total = level.iter().map(|part| part.ends.len()).sum();
        let (mut new, mut actions, mut form) = (Part::default(), Vec::new(), Form::default());
        loop {
            let begin = self.next.fetch_add(PORTION, Relaxed);
            if begin >= total || self.is_over() {
                return new;
            }
            for number in begin..total.min(begin + PORTION) {
                let part = starts.partition_point(|start| *start <= number) - 1;
                let world = World::read(level[part].world(number - starts[part]));
                let id = u32::try_from(first + number).expect("fewer worlds than numbers");
                actions.clear();
                world.actions(self.table, &mut actions);
                self.taken.fetch_add(actions.len(), Relaxed);
                for action in &actions {
                    let mut after = world;
                    match after.apply(*action, self.table, &mut |_, _, _| {}) {
                        Outcome::Fine => {}
                        Outcome::Beyond => {
                            self.beyond.fetch_add(1, Relaxed);
                            continue;
                        }
                        Outcome::Broken(what) => return self.found(id, *action, what, new),
                    }
                    if self.is_new(&after, &mut form) {
                        new.push(&form.bytes, id, *action);
                    }
                }
            }
        }
    }

    fn found(&self, id: u32, action: Action, what: String, new: Part) -> Part {
        self.over.store(true, Relaxed);
        let mut violation = self.violation.lock().unwrap_or_else(PoisonError::into_inner);
        violation.get_or_insert((id, action, what));
        new
    }

    /// Whether no such world was met before. Its bytes are left in `form`.
    fn is_new(&self, world: &World, form: &mut Form) -> bool {
        let plain = form.plain(world);
        if form.met_lately(plain) {
            return false;
        }
        let hash = if self.limits.symmetry { form.least(plain, world, self.table) } else { plain };
        let shard = usize::try_from(hash >> 56).unwrap_or(0) % SHARDS;
        let new = self.seen[shard].lock().unwrap_or_else(PoisonError::into_inner).insert(hash);
        if let Some(forms) = self.forms.filter(|_| new) {
            let least = form.least(plain, world, self.table);
            forms.lock().unwrap_or_else(PoisonError::into_inner).insert(least);
        }
        new
    }

    fn is_over(&self) -> bool {
        if self.begun.elapsed() > self.limits.time || memory() > self.limits.memory {
            self.over.store(true, Relaxed);
        }
        self.over.load(Relaxed)
    }
}

/// What a thread needs to see whether it has met a world before.
#[derive(Default)]
struct Form {
    bytes: Vec<u8>,
    other: Vec<u8>,
    images: Images,
    /// Worlds that this thread has met, as they were, each at the place that its hash gives it: most worlds are met several times.
    lately: Vec<u64>,
}

const LATELY: usize = 1 << 20;

impl Form {
    /// The hash of a world as it is.
    fn plain(&mut self, world: &World) -> u64 {
        self.bytes.clear();
        world.write(&mut self.bytes);
        hash(&self.bytes)
    }

    /// Whether this thread is certain to have met it; from now on it has.
    fn met_lately(&mut self, plain: u64) -> bool {
        self.lately.resize(LATELY, 0);
        let place = usize::try_from(plain % LATELY as u64).unwrap_or(0);
        std::mem::replace(&mut self.lately[place], plain) == plain
    }

    /// The least hash of a world under all names of the Sentinels, the present ones included: the same for all worlds that differ in nothing
    /// else.
    fn least(&mut self, plain: u64, world: &World, table: &Table) -> u64 {
        let others = Renaming::all().skip(1).map(|to| {
            self.other.clear();
            world.renamed(to, table, &mut self.images).write(&mut self.other);
            hash(&self.other)
        });
        others.fold(plain, u64::min)
    }
}

fn hash(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(bytes);
    hasher.finish()
}

/// How much memory this process has, in bytes; zero where nobody says.
fn memory() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").ok();
    pages.and_then(|text| text.split(' ').nth(1)?.parse::<usize>().ok()).unwrap_or(0) * 4_096
}
