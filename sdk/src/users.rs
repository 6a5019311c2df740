//! Who uses a pool: commands under way and connections checked out. A shutdown waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::error::Error;

#[derive(Debug, Default)]
pub(crate) struct Users {
    count: AtomicUsize,
    closing: AtomicBool,
    gone: Notify,
}

impl Users {
    /// Counts a user for as long as the guard lives.
    pub(crate) fn enter(&self) -> Result<User<'_>, Error> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let user = User(self);
        // Looked at after the user is counted: a shutdown either sees it or is seen here.
        if self.closing.load(Ordering::SeqCst) { Err(Error::Shutdown) } else { Ok(user) }
    }

    /// The same for a user that outlives its caller.
    pub(crate) fn enter_for_long(self: &Arc<Self>) -> Result<LongUser, Error> {
        // Counted anew before the short one leaves.
        let user = self.enter()?;
        self.count.fetch_add(1, Ordering::SeqCst);
        drop(user);
        Ok(LongUser(Arc::clone(self)))
    }

    /// Refuses new ones.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    /// Waits until none is left.
    pub(crate) async fn all_gone(&self) {
        loop {
            let gone = self.gone.notified();
            if self.count() == 0 {
                return;
            }
            gone.await;
        }
    }

    fn leave(&self) {
        if self.count.fetch_sub(1, Ordering::SeqCst) == 1 && self.closing.load(Ordering::SeqCst) {
            self.gone.notify_waiters();
        }
    }
}

#[derive(Debug)]
pub(crate) struct User<'a>(&'a Users);

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

#[derive(Debug)]
pub(crate) struct LongUser(Arc<Users>);

impl Drop for LongUser {
    fn drop(&mut self) {
        self.0.leave();
    }
}
