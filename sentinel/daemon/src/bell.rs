//! Which of many has something to do: thousands of connections wake one loop, and that knows which of them did.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::Wake,
};

use tokio::sync::Notify;

/// Those that something has happened to since they were last looked at, in that order. Each is in it once.
#[derive(Debug)]
pub(crate) struct Ready<K> {
    rung: Mutex<Vec<K>>,
    more: Notify,
}

impl<K> Default for Ready<K> {
    fn default() -> Self {
        Self { rung: Mutex::default(), more: Notify::default() }
    }
}

impl<K> Ready<K> {
    /// Waits until there is one.
    pub(crate) async fn any(&self) {
        while self.is_empty() {
            self.more.notified().await;
        }
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.rung.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Exchanges the list for an empty one.
    pub(crate) fn take(&self, empty: Vec<K>) -> Vec<K> {
        std::mem::replace(&mut *self.rung.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    fn push(&self, one: K) {
        let mut rung = self.rung.lock().unwrap_or_else(PoisonError::into_inner);
        rung.push(one);
        if rung.len() == 1 {
            self.more.notify_one();
        }
    }
}

/// What wakes the loop for one of them.
#[derive(Debug)]
pub(crate) struct Bell<K> {
    whose: K,
    rung: AtomicBool,
    ready: Arc<Ready<K>>,
}

impl<K> Bell<K> {
    /// A bell that puts `whose` into the list when it rings.
    pub(crate) fn new(whose: K, ready: Arc<Ready<K>>) -> Arc<Self> {
        Arc::new(Bell { whose, rung: AtomicBool::new(false), ready })
    }

    /// It is being looked at: what happens from now on rings again.
    pub(crate) fn answer(&self) {
        self.rung.swap(false, AcqRel);
    }
}

impl<K: Copy + Send + Sync + 'static> Wake for Bell<K> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, AcqRel) {
            self.ready.push(self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use sentinel_core::LinkId;

    use super::*;

    #[tokio::test]
    async fn each_is_listed_once_until_it_is_looked_at() {
        let ready = Arc::new(Ready::default());
        let (one, other) = (Bell::new(LinkId(1), Arc::clone(&ready)), Bell::new(LinkId(2), Arc::clone(&ready)));
        for bell in [&other, &one, &other] {
            bell.wake_by_ref();
        }
        ready.any().await;
        assert_eq!(ready.take(Vec::new()), [LinkId(2), LinkId(1)]);
        one.wake_by_ref();
        assert_eq!(ready.take(Vec::new()), []);
        one.answer();
        let waiting = ready.any();
        one.wake_by_ref();
        waiting.await;
        assert_eq!(ready.take(Vec::new()), [LinkId(1)]);
    }
}
