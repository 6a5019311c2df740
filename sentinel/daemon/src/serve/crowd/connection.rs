//! A client's socket, read and written by its session without the runtime's help.

use std::{
    cell::{Cell, RefCell},
    io::{self, IoSlice},
    mem::MaybeUninit,
    os::fd::{AsRawFd as _, OwnedFd},
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use mio::{Interest, Registry, Token, event::Event, unix::SourceFd};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most that one call reads, in bytes.
const ROOM: usize = 16 * 1024;

/// One client's socket. Its session is polled whenever it becomes ready, so no waker is kept.
pub(in crate::serve) struct Connection {
    socket: OwnedFd,
    readiness: Rc<Readiness>,
    common: Rc<Common>,
}

/// What all connections share.
pub(super) struct Common {
    registry: Registry,
    /// Where all of them read to.
    room: RefCell<Box<[u8]>>,
}

/// What a socket is ready for, as far as is known: the system tells of changes only.
#[derive(Debug, Default)]
pub(super) struct Readiness {
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// Whether the client has closed its side. Then a read that is not filled is not the last one.
    closed: Cell<bool>,
}

impl Common {
    pub(super) fn new(registry: Registry) -> Self {
        Self { registry, room: RefCell::new(vec![0; ROOM].into()) }
    }
}

impl Readiness {
    /// Learns from what happened.
    pub(super) fn note(&self, event: &Event) {
        if event.is_read_closed() || event.is_error() {
            self.closed.set(true);
            self.readable.set(true);
        }
        if event.is_readable() {
            self.readable.set(true);
        }
        if event.is_writable() || event.is_write_closed() || event.is_error() {
            self.writable.set(true);
        }
    }
}

impl Connection {
    /// Has a socket watched under this token.
    pub(super) fn new(socket: OwnedFd, token: Token, common: &Rc<Common>) -> io::Result<Self> {
        let interests = Interest::READABLE | Interest::WRITABLE;
        common.registry.register(&mut SourceFd(&socket.as_raw_fd()), token, interests)?;
        Ok(Self { socket, readiness: Rc::default(), common: Rc::clone(common) })
    }

    pub(super) fn readiness(&self) -> Rc<Readiness> {
        Rc::clone(&self.readiness)
    }

    fn poll_sent(&self, call: impl FnMut() -> rustix::io::Result<usize>) -> Poll<io::Result<usize>> {
        attempt(&self.readiness.writable, call)
    }
}

/// Makes a system call as often as it is interrupted, if the socket is ready for it.
fn attempt<T>(ready: &Cell<bool>, mut call: impl FnMut() -> rustix::io::Result<T>) -> Poll<io::Result<T>> {
    while ready.get() {
        match call() {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => ready.set(false),
            outcome => return Poll::Ready(outcome.map_err(Into::into)),
        }
    }
    Poll::Pending
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Readiness { readable, closed, .. } = &*self.readiness;
        let mut room = self.common.room.borrow_mut();
        let most = buffer.remaining().min(room.len());
        attempt(readable, || {
            let (_, length) = recv(&self.socket, &mut room[..most], RecvFlags::empty())?;
            if length < most && !closed.get() {
                // That was all. If more comes, that is a change.
                readable.set(false);
            }
            buffer.put_slice(&room[..length]);
            Ok(())
        })
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_sent(|| send(&self.socket, bytes, SendFlags::NOSIGNAL))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_sent(|| {
            let mut nothing: [MaybeUninit<u8>; 0] = [];
            sendmsg(&self.socket, pieces, &mut SendAncillaryBuffer::new(&mut nothing), SendFlags::NOSIGNAL)
        })
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(shutdown(&self.socket, Shutdown::Write).map_err(Into::into))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // If that fails, it ends with the socket, which is closed next.
        let _ = self.common.registry.deregister(&mut SourceFd(&self.socket.as_raw_fd()));
    }
}
