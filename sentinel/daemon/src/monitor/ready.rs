//! Which links have something to do: thousands of connections wake one loop, and that knows which of them did.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::AcqRel},
    },
    task::Wake,
};

use sentinel_core::LinkId;
use tokio::sync::Notify;

/// The links that something has happened to since they were last looked at, in that order. Each is in it once.
#[derive(Debug, Default)]
pub(super) struct Ready {
    links: Mutex<Vec<LinkId>>,
    more: Notify,
}

impl Ready {
    /// Waits until there is one.
    pub(super) async fn any(&self) {
        while self.links.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            self.more.notified().await;
        }
    }

    /// Exchanges the list for an empty one.
    pub(super) fn take(&self, empty: Vec<LinkId>) -> Vec<LinkId> {
        std::mem::replace(&mut *self.links.lock().unwrap_or_else(PoisonError::into_inner), empty)
    }

    fn push(&self, link: LinkId) {
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        links.push(link);
        if links.len() == 1 {
            self.more.notify_one();
        }
    }
}

/// What the socket of one link rings.
#[derive(Debug)]
pub(super) struct Bell {
    link: LinkId,
    rung: AtomicBool,
    ready: Arc<Ready>,
}

impl Bell {
    pub(super) fn new(link: LinkId, ready: Arc<Ready>) -> Arc<Self> {
        Arc::new(Bell { link, rung: AtomicBool::new(false), ready })
    }

    /// The link is being looked at: what happens from now on rings again.
    pub(super) fn answer(&self) {
        self.rung.swap(false, AcqRel);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.rung.swap(true, AcqRel) {
            self.ready.push(self.link);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_link_is_listed_once_until_it_is_looked_at() {
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
