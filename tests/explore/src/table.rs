//! All states of a Sentinel that were met, each once, and what becomes of them.
//!
//! A world is three numbers of such states and what is under way between them. Most of its steps were taken before, in
//! another world: they are looked up here.
//!
//! With each state those are kept that it is under other names of the Sentinels ([`symmetry`](crate::symmetry)).

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use crate::{
    effect::Effect,
    local::{Local, Stimulus},
    place::Place,
    symmetry::{ALL, Images, Renaming},
    words::{PacketId, Words},
};

/// The number of a state of a Sentinel.
pub(crate) type LocalId = u32;

const SHARDS: usize = 64;

/// What a world must know of a Sentinel's state.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// A timer is due within reach.
    pub(crate) due: bool,
    /// A write is under way.
    pub(crate) writing: bool,
    /// The peers whose requests it is busy with, as bits.
    pub(crate) asked: u8,
}

/// A state, or how to come to it again.
#[derive(Debug)]
struct Met {
    /// The newest are kept as they are: one takes some twenty kilobytes.
    local: Option<Arc<Local>>,
    /// The state before it, and what was put into that. None: it is a start.
    origin: Option<(LocalId, Stimulus)>,
    traits: Traits,
}

const KEPT: usize = 16_384;

/// What becomes of a state.
#[derive(Debug)]
pub(crate) struct Step {
    /// The state after it.
    pub(crate) next: LocalId,
    /// What others see of it, in order.
    pub(crate) effects: Box<[Effect]>,
}

type Steps = RwLock<HashMap<u64, Arc<Step>>>;

/// All of them.
#[derive(Debug)]
pub(crate) struct Table {
    /// What is said.
    pub(crate) words: Words,
    by_digest: Mutex<HashMap<u64, LocalId>>,
    locals: RwLock<Vec<Met>>,
    steps: Vec<Steps>,
    /// For each state what it is under each renaming. Whoever adds to it has all to himself.
    images: Mutex<Vec<Option<[LocalId; ALL]>>>,
    differences: AtomicUsize,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            words: Words::default(),
            by_digest: Mutex::default(),
            locals: RwLock::default(),
            steps: (0..SHARDS).map(|_| RwLock::default()).collect(),
            images: Mutex::default(),
            differences: AtomicUsize::new(0),
        }
    }
}

impl Table {
    /// The number of a state.
    ///
    /// # Panics
    ///
    /// With more than four thousand million of them.
    fn number(&self, local: Local, origin: Option<(LocalId, Stimulus)>) -> LocalId {
        let digest = local.digest();
        let mut by_digest = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = by_digest.get(&digest) {
            return *id;
        }
        let asked = Place::sentinels().filter(|peer| local.is_asked_by(*peer)).map(|peer| 1 << peer.0).sum();
        let traits = Traits { due: local.is_due(), writing: local.is_writing(), asked };
        let mut locals = self.locals.write().unwrap_or_else(PoisonError::into_inner);
        let id = LocalId::try_from(locals.len()).expect("fewer states than numbers");
        locals.push(Met { local: Some(Arc::new(local)), origin, traits });
        if let Some(oldest) = locals.len().checked_sub(KEPT)
            && locals[oldest].origin.is_some()
        {
            locals[oldest].local = None;
        }
        by_digest.insert(digest, id);
        id
    }

    /// The state with a number.
    pub(crate) fn local(&self, id: LocalId) -> Arc<Local> {
        let locals = self.locals.read().unwrap_or_else(PoisonError::into_inner);
        let (mut at, mut way) = (id, Vec::new());
        let mut local = loop {
            let met = &locals[at as usize];
            if let Some(local) = &met.local {
                break Arc::clone(local);
            }
            let (before, stimulus) = met.origin.expect("a start is kept");
            way.push(stimulus);
            at = before;
        };
        drop(locals);
        for stimulus in way.into_iter().rev() {
            local = Arc::new(local.step(stimulus, &self.words).0);
        }
        local
    }

    /// What a world must know of it.
    pub(crate) fn traits(&self, id: LocalId) -> Traits {
        self.locals.read().unwrap_or_else(PoisonError::into_inner)[id as usize].traits
    }

    /// What becomes of it.
    pub(crate) fn step(&self, id: LocalId, stimulus: Stimulus) -> Arc<Step> {
        if let Some(step) = self.known_step(id, stimulus) {
            return step;
        }
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        // What others can see already has its images.
        let new = |id: LocalId| images.get(id as usize).is_none_or(|known| known.is_none());
        let step = self.take_step(id, stimulus);
        if new(step.next) {
            let of = images.get(id as usize).copied().flatten().expect("every state has its images");
            let orbit: Vec<LocalId> =
                Renaming::all().map(|to| self.image_of_step(&step, of[to.index()], stimulus, to)).collect();
            self.know(&mut images, &orbit);
        }
        self.keep_step(id, stimulus, step)
    }

    /// The states of all Sentinels at their starts, which are images of each other.
    pub(crate) fn number_starts(&self, starts: Vec<Local>) -> Vec<LocalId> {
        let ids: Vec<LocalId> = starts.into_iter().map(|start| self.number(start, None)).collect();
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        let orbit: Vec<LocalId> = Renaming::all().map(|to| ids[to.place(Place(0)).index()]).collect();
        self.know(&mut images, &orbit);
        ids
    }

    /// How often a Sentinel has not done the same, but for the names, under other names.
    pub(crate) fn differences(&self) -> usize {
        self.differences.load(Relaxed)
    }

    /// What a state is under each renaming.
    pub(crate) fn images(&self, known: &mut Images, id: LocalId) -> [LocalId; ALL] {
        if id as usize >= known.locals.len() {
            let all = self.images.lock().unwrap_or_else(PoisonError::into_inner);
            let more = all[known.locals.len()..].iter();
            known.locals.extend(more.map(|images| images.expect("every state has its images")));
        }
        known.locals[id as usize]
    }

    /// What a packet is under each renaming.
    pub(crate) fn packet_images(&self, known: &mut Images, id: PacketId) -> [PacketId; ALL] {
        while usize::from(id) >= known.packets.len() {
            let next = PacketId::try_from(known.packets.len()).expect("a small world has few words");
            let mut images = [next; ALL];
            for to in Renaming::all() {
                images[to.index()] = self.words.renamed(next, to);
            }
            known.packets.push(images);
        }
        known.packets[usize::from(id)]
    }

    /// The same step under other names: the state behind it. It does the same, in whatever order, but for the names.
    fn image_of_step(&self, step: &Step, id: LocalId, stimulus: Stimulus, to: Renaming) -> LocalId {
        let other = |packet| self.words.renamed(packet, to);
        let stimulus = to.stimulus(stimulus, other);
        let image = self.known_step(id, stimulus).unwrap_or_else(|| Arc::new(self.take_step(id, stimulus)));
        let sorted = |effects: Vec<Effect>| {
            let mut texts: Vec<String> = effects.iter().map(|effect| format!("{effect:?}")).collect();
            texts.sort();
            texts
        };
        let expected = step.effects.iter().map(|effect| to.effect(effect, other)).collect();
        if sorted(expected) != sorted(image.effects.to_vec()) {
            self.differences.fetch_add(1, Relaxed);
        }
        image.next
    }

    /// Keeps what states are to each other: for each renaming the state that it makes of the first one.
    fn know(&self, images: &mut Vec<Option<[LocalId; ALL]>>, orbit: &[LocalId]) {
        for from in Renaming::all() {
            let mut of = [0; ALL];
            for to in Renaming::all() {
                of[to.index()] = orbit[to.after(from).index()];
            }
            let id = orbit[from.index()] as usize;
            if images.len() <= id {
                images.resize(id + 1, None);
            }
            if images[id].is_some_and(|known| known != of) {
                self.differences.fetch_add(1, Relaxed);
            }
            images[id].get_or_insert(of);
        }
    }

    fn known_step(&self, id: LocalId, stimulus: Stimulus) -> Option<Arc<Step>> {
        let (shard, key) = self.place_of_step(id, stimulus);
        shard.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned()
    }

    fn take_step(&self, id: LocalId, stimulus: Stimulus) -> Step {
        let (local, effects) = self.local(id).step(stimulus, &self.words);
        Step { next: self.number(local, Some((id, stimulus))), effects: effects.into() }
    }

    fn keep_step(&self, id: LocalId, stimulus: Stimulus, step: Step) -> Arc<Step> {
        let (shard, key) = self.place_of_step(id, stimulus);
        let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(shard.entry(key).or_insert_with(|| Arc::new(step)))
    }

    fn place_of_step(&self, id: LocalId, stimulus: Stimulus) -> (&Steps, u64) {
        let key = u64::from(id) << 32 | u64::from(stimulus.pack());
        (&self.steps[usize::try_from(key % 61).unwrap_or(0)], key)
    }

    /// How many states of Sentinels were met, and how many steps were taken by an engine.
    pub(crate) fn size(&self) -> (usize, usize) {
        let steps = self.steps.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum();
        (self.locals.read().unwrap_or_else(PoisonError::into_inner).len(), steps)
    }
}
