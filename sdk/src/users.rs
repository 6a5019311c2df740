//! Who uses a pool: commands under way and connections checked out. A shutdown waits for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::error::Error;

/// Handles are spread over so many counts, so that they seldom meet: one that all write to would go to and fro between the processors.
const PARTS: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Users {
    parts: [Part; PARTS],
    /// Connections that are checked out, and others that outlive a call.
    long: AtomicUsize,
    closing: AtomicBool,
    gone: Notify,
}

/// Alone in its cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Part {
    under_way: AtomicUsize,
    /// Commands so far.
    commands: AtomicU64,
}

impl Users {
    /// Counts a command of the handle with this number for as long as the guard lives.
    pub(crate) fn enter(&self, handle: usize) -> Result<User<'_>, Error> {
        let part = &self.parts[handle % PARTS];
        part.under_way.fetch_add(1, Ordering::SeqCst);
        self.admit(User { users: self, count: &part.under_way })
    }

    /// Counts a command among those so far.
    pub(crate) fn count_command(&self, handle: usize) {
        self.parts[handle % PARTS].commands.fetch_add(1, Ordering::Relaxed);
    }

    /// Commands so far.
    pub(crate) fn commands(&self) -> u64 {
        self.parts.iter().map(|part| part.commands.load(Ordering::Relaxed)).sum()
    }

    /// Counts a user that outlives its caller.
    pub(crate) fn enter_for_long(self: &Arc<Self>) -> Result<LongUser, Error> {
        self.long.fetch_add(1, Ordering::SeqCst);
        std::mem::forget(self.admit(User { users: self, count: &self.long })?);
        Ok(LongUser(Arc::clone(self)))
    }

    fn admit<'a>(&'a self, user: User<'a>) -> Result<User<'a>, Error> {
        // Looked at after the user is counted: a shutdown either sees it or is seen here.
        if self.closing.load(Ordering::SeqCst) { Err(Error::Shutdown) } else { Ok(user) }
    }

    /// Refuses new ones.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
    }

    pub(crate) fn count(&self) -> usize {
        self.commands_under_way() + self.long.load(Ordering::SeqCst)
    }

    /// Commands that are under way.
    pub(crate) fn commands_under_way(&self) -> usize {
        self.under_way().sum()
    }

    /// Whether so many commands are under way.
    pub(crate) fn are_many(&self, many: usize) -> bool {
        let mut sum = 0;
        self.under_way().any(|count| {
            sum += count;
            sum >= many
        })
    }

    fn under_way(&self) -> impl Iterator<Item = usize> {
        self.parts.iter().map(|part| part.under_way.load(Ordering::SeqCst))
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

    fn leave(&self, count: &AtomicUsize) {
        if count.fetch_sub(1, Ordering::SeqCst) == 1 && self.closing.load(Ordering::SeqCst) {
            self.gone.notify_waiters();
        }
    }
}

#[derive(Debug)]
pub(crate) struct User<'a> {
    users: &'a Users,
    count: &'a AtomicUsize,
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        self.users.leave(self.count);
    }
}

#[derive(Debug)]
pub(crate) struct LongUser(Arc<Users>);

impl Drop for LongUser {
    fn drop(&mut self) {
        self.0.leave(&self.0.long);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[test]
    fn each_user_counts_from_its_entry_to_its_end_whatever_its_handle() {
        let users = Arc::new(Users::default());
        let handles = [0, 1, PARTS - 1, PARTS, 7 * PARTS + 1];
        let under_way: Vec<_> = handles.map(|handle| users.enter(handle).unwrap()).into_iter().collect();
        let long = users.enter_for_long().unwrap();
        assert_eq!((users.commands_under_way(), users.count()), (5, 6));
        assert!(users.are_many(5) && !users.are_many(6), "connections that are checked out are no commands");
        drop(under_way);
        assert_eq!((users.commands_under_way(), users.count()), (0, 1));
        drop(long);
        assert_eq!(users.count(), 0);
        for handle in handles {
            users.count_command(handle);
        }
        assert_eq!(users.commands(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_close_nobody_enters_and_the_last_one_to_leave_is_waited_for() {
        let users = Arc::new(Users::default());
        let (short, long) = (users.enter(3).unwrap(), users.enter_for_long().unwrap());
        users.close();
        assert!(matches!(users.enter(3), Err(Error::Shutdown)));
        assert!(matches!(users.enter_for_long(), Err(Error::Shutdown)));
        assert_eq!(users.count(), 2, "who was not admitted does not count");
        let moment = Duration::from_millis(1);
        assert!(timeout(moment, users.all_gone()).await.is_err());
        drop(short);
        assert!(timeout(moment, users.all_gone()).await.is_err());
        let waiting = tokio::spawn({
            let users = users.clone();
            async move { users.all_gone().await }
        });
        tokio::task::yield_now().await;
        drop(long);
        timeout(moment, waiting).await.expect("it is woken by the last one").unwrap();
    }
}
