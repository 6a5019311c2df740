//! All states of a Sentinel that were met, each once, and what becomes of them.
//!
//! A world is three numbers of such states and what is under way between them. Most of its steps were taken before, in
//! another world: they are looked up here.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use crate::{
    effect::Effect,
    local::{Local, Stimulus},
    place::Place,
    words::Words,
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

/// What becomes of a state.
#[derive(Debug)]
pub(crate) struct Step {
    /// The state after it.
    pub(crate) next: LocalId,
    /// What others see of it, in order.
    pub(crate) effects: Box<[Effect]>,
}

/// All of them.
#[derive(Debug)]
pub(crate) struct Table {
    /// What is said.
    pub(crate) words: Words,
    by_digest: Mutex<HashMap<u64, LocalId>>,
    locals: RwLock<Vec<(Arc<Local>, Traits)>>,
    steps: Vec<RwLock<HashMap<u64, Arc<Step>>>>,
}

impl Default for Table {
    fn default() -> Self {
        Table {
            words: Words::default(),
            by_digest: Mutex::default(),
            locals: RwLock::default(),
            steps: (0..SHARDS).map(|_| RwLock::default()).collect(),
        }
    }
}

impl Table {
    /// The number of a state.
    ///
    /// # Panics
    ///
    /// With more than four thousand million of them.
    pub(crate) fn number(&self, local: Local) -> LocalId {
        let digest = local.digest();
        let mut by_digest = self.by_digest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = by_digest.get(&digest) {
            return *id;
        }
        let asked = Place::sentinels().filter(|peer| local.is_asked_by(*peer)).map(|peer| 1 << peer.0).sum();
        let traits = Traits { due: local.is_due(), writing: local.is_writing(), asked };
        let mut locals = self.locals.write().unwrap_or_else(PoisonError::into_inner);
        let id = LocalId::try_from(locals.len()).expect("fewer states than numbers");
        locals.push((Arc::new(local), traits));
        by_digest.insert(digest, id);
        id
    }

    /// The state with a number.
    pub(crate) fn local(&self, id: LocalId) -> Arc<Local> {
        Arc::clone(&self.locals.read().unwrap_or_else(PoisonError::into_inner)[id as usize].0)
    }

    /// What a world must know of it.
    pub(crate) fn traits(&self, id: LocalId) -> Traits {
        self.locals.read().unwrap_or_else(PoisonError::into_inner)[id as usize].1
    }

    /// What becomes of it.
    pub(crate) fn step(&self, id: LocalId, stimulus: Stimulus) -> Arc<Step> {
        let key = u64::from(id) << 32 | u64::from(stimulus.pack());
        let shard = &self.steps[usize::try_from(key % 61).unwrap_or(0)];
        if let Some(step) = shard.read().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Arc::clone(step);
        }
        let (local, effects) = self.local(id).step(stimulus, &self.words);
        let step = Arc::new(Step { next: self.number(local), effects: effects.into() });
        Arc::clone(shard.write().unwrap_or_else(PoisonError::into_inner).entry(key).or_insert(step))
    }

    /// How many states of Sentinels were met, and how many steps were taken by an engine.
    pub(crate) fn size(&self) -> (usize, usize) {
        let steps = self.steps.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum();
        (self.locals.read().unwrap_or_else(PoisonError::into_inner).len(), steps)
    }
}
