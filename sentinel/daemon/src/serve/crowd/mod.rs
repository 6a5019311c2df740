//! The clients without encryption, watched and served by one task.
//!
//! A task of the runtime for each of them costs 6 % of an answer to one of 1,000: for every request it is woken, queued and
//! taken from the queue, and what its socket is ready for is kept and locked elsewhere. Here the sockets have a selector
//! of their own, which the runtime watches as if it were a socket. When that is ready, all that happened is fetched with
//! one system call, and each session concerned is polled on the spot.
//!
//! Whatever else a session waits for (an answer of the monitor, an event to be delivered, a deadline) wakes it
//! through its waker, as everywhere.

mod connection;
#[cfg(test)]
mod tests;

use std::{
    cell::RefCell,
    future::Future,
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use futures::future::LocalBoxFuture;
use mio::{Events, Token};
use slab::Slab;
use tokio::{
    io::{Interest, unix::AsyncFd},
    time::Instant,
};

use self::connection::{Common, Readiness};
use super::stats::Turns;
use crate::bell::{Bell, Ready};

pub(super) use self::connection::Connection;

/// As many sessions are polled before other tasks get their turn: no more than the runtime itself would poll.
const BATCH: usize = 1024;

/// All sessions that are served here.
pub(super) struct Crowd {
    common: Rc<Common>,
    members: RefCell<Slab<Member>>,
    ready: Arc<Ready<usize>>,
    turns: Rc<Turns>,
}

/// What happens to their sockets.
pub(super) struct Happenings {
    selector: AsyncFd<mio::Poll>,
    events: Events,
}

struct Member {
    readiness: Rc<Readiness>,
    /// Absent while it is polled.
    session: Option<Running>,
}

struct Running {
    session: LocalBoxFuture<'static, ()>,
    bell: Arc<Bell<usize>>,
    /// Rings it.
    waker: Waker,
}

impl Crowd {
    /// Nobody yet. Must be called within the runtime that is to serve.
    ///
    /// # Errors
    ///
    /// When there are no descriptors for it.
    pub(super) fn new() -> io::Result<(Self, Happenings)> {
        Self::in_batches(BATCH)
    }

    fn in_batches(batch: usize) -> io::Result<(Self, Happenings)> {
        let selector = mio::Poll::new()?;
        let common = Rc::new(Common::new(selector.registry().try_clone()?));
        #[allow(
            deprecated,
            reason = "the successor can only be called as unsafe; the selector is not replaced in here"
        )]
        let selector = AsyncFd::with_interest(selector, Interest::READABLE)?;
        let turns = Rc::new(Turns::start());
        let crowd = Self { common, members: RefCell::default(), ready: Arc::default(), turns };
        Ok((crowd, Happenings { selector, events: Events::with_capacity(batch) }))
    }

    /// What INFO tells of the loop.
    pub(super) fn turns(&self) -> Rc<Turns> {
        Rc::clone(&self.turns)
    }

    /// Takes a socket in, which must not block, and runs the session that `begin` makes for it.
    ///
    /// # Errors
    ///
    /// When the system cannot watch it.
    pub(super) fn welcome<S>(&self, socket: OwnedFd, begin: impl FnOnce(Connection) -> S) -> io::Result<()>
    where
        S: Future<Output = ()> + 'static,
    {
        let mut members = self.members.borrow_mut();
        let place = members.vacant_entry();
        let connection = Connection::new(socket, Token(place.key()), &self.common)?;
        // A fresh socket can be written to. That is told as a change, and begins the session.
        let readiness = connection.readiness();
        let bell = Bell::new(place.key(), Arc::clone(&self.ready));
        let waker = Arc::clone(&bell).into();
        place
            .insert(Member { readiness, session: Some(Running { session: Box::pin(begin(connection)), bell, waker }) });
        Ok(())
    }

    /// Serves all of them, without end.
    ///
    /// # Errors
    ///
    /// When the system does not tell any more what happens.
    pub(super) async fn serve(&self, mut happenings: Happenings) -> io::Result<()> {
        let mut rung = Vec::new();
        loop {
            let more = tokio::select! {
                biased;
                fetched = happenings.fetch() => fetched?,
                () = self.ready.any() => false,
            };
            let began = Instant::now();
            rung = self.ready.take(rung);
            for member in rung.drain(..) {
                self.poll_session(member);
            }
            for event in &happenings.events {
                let Token(member) = event.token();
                if let Some(member) = self.members.borrow().get(member) {
                    member.readiness.note(event);
                }
                self.poll_session(member);
            }
            happenings.events.clear();
            self.turns.add(began);
            if more || !self.ready.is_empty() {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Polls a session, if it is still there: events and bells may outlive it, and may then find another in its place,
    /// which does not mind.
    fn poll_session(&self, member: usize) {
        let running = self.members.borrow_mut().get_mut(member).and_then(|member| member.session.take());
        let Some(mut running) = running else { return };
        running.bell.answer();
        let mut cx = Context::from_waker(&running.waker);
        // One that panics ends alone. What there is to say of it the panic hook has said.
        let polled = catch_unwind(AssertUnwindSafe(|| running.session.as_mut().poll(&mut cx)));
        let mut members = self.members.borrow_mut();
        match (polled, members.get_mut(member)) {
            (Ok(Poll::Pending), Some(member)) => member.session = Some(running),
            _ => drop(members.try_remove(member)),
        }
    }
}

impl Happenings {
    /// Waits until there are some, and fetches them. Returns whether there may be more than those.
    async fn fetch(&mut self) -> io::Result<bool> {
        let mut ready = self.selector.readable_mut().await?;
        match ready.get_inner_mut().poll(&mut self.events, Some(Duration::ZERO)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(true),
            outcome => outcome?,
        }
        let more = self.events.iter().count() == self.events.capacity();
        if !more {
            ready.clear_ready();
        }
        Ok(more)
    }
}
