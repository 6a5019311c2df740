//! A socket that tells at once when it is of no more use, and whether anything comes.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Wake, Waker, ready};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::CancellationToken;

/// What can be told of a connection from its socket.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<Signs>);

#[derive(Debug, Default)]
struct Signs {
    /// For who only looks.
    over: AtomicBool,
    /// Cancelled as soon as the connection is over, for whatever reason.
    ended: CancellationToken,
    reads: AtomicU64,
    /// The error that came first of all.
    first_error: OnceLock<String>,
    /// Nothing more is written.
    sealed: AtomicBool,
    /// Something has come since the driver looked last.
    arrived: AtomicBool,
    /// The task that reads.
    reader: AtomicWaker,
}

/// Wakes the task that reads, and tells why.
impl Wake for Signs {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.arrived.store(true, Ordering::Release);
        self.reader.wake();
    }
}

impl Pulse {
    /// The connection is over.
    pub(crate) fn end(&self) {
        self.0.over.store(true, Ordering::Release);
        self.0.ended.cancel();
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.over.load(Ordering::Acquire)
    }

    /// From now on nothing is written to the socket. What comes is still read.
    pub(crate) fn seal(&self) {
        self.0.sealed.store(true, Ordering::SeqCst);
    }

    /// Waits until the connection is over.
    pub(crate) async fn ended(&self) {
        self.0.ended.cancelled().await;
    }

    /// Whether the socket has woken the task that reads since this was asked last.
    pub(crate) fn has_arrived(&self) -> bool {
        self.0.arrived.load(Ordering::Acquire) && self.0.arrived.swap(false, Ordering::AcqRel)
    }

    /// How often something has come. As long as it grows, the peer is there, however late an answer is.
    pub(crate) fn reads(&self) -> u64 {
        self.0.reads.load(Ordering::Relaxed)
    }

    /// The server's own words, if the first thing that came over the connection was an error: it may have no more to say before it closes
    /// the connection (`-ERR max number of clients reached`).
    pub(crate) fn first_error(&self) -> Option<&str> {
        self.0.first_error.get().map(String::as_str)
    }

    fn note_first(&self, bytes: &[u8]) {
        if let Some(rest) = bytes.strip_prefix(b"-") {
            let line = rest.split(|byte| *byte == b'\r').next().unwrap_or_default();
            let line = String::from_utf8_lossy(&line[..line.len().min(MOST_OF_AN_ERROR)]);
            let _ = self.0.first_error.set(line.chars().filter(|c| !c.is_control()).collect());
        }
    }
}

/// So much of an error is kept, in bytes.
const MOST_OF_AN_ERROR: usize = 200;

/// Passes everything through, and raises a flag at the first end of stream or error.
///
/// The flag is up before anybody who waits for an answer is told of the failure: a command that begins after another one failed
/// never picks the same dead connection.
#[derive(Debug)]
pub(crate) struct Watched<S> {
    stream: S,
    pulse: Pulse,
    /// Of the task that reads, by way of the pulse.
    reader: Waker,
}

impl<S> Watched<S> {
    pub(crate) fn new(stream: S, pulse: Pulse) -> Self {
        let reader = Waker::from(pulse.0.clone());
        Self { stream, pulse, reader }
    }

    /// Who writes waits for the end of the connection then.
    fn is_sealed(&self) -> bool {
        self.pulse.0.sealed.load(Ordering::SeqCst)
    }

    fn note<T>(&self, result: io::Result<T>) -> Poll<io::Result<T>> {
        if result.is_err() {
            self.pulse.end();
        }
        Poll::Ready(result)
    }
}

impl<S: AsyncRead + Unpin> Watched<S> {
    /// What cannot be written to may still hold the reason.
    fn listen_once<T>(&mut self, written: &io::Result<T>, context: &mut Context<'_>) {
        if written.is_err() && self.pulse.reads() == 0 {
            let mut room = [0; MOST_OF_AN_ERROR];
            let mut buffer = ReadBuf::new(&mut room);
            if let Poll::Ready(Ok(())) = Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                self.pulse.note_first(buffer.filled());
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let room = buffer.remaining() > 0;
        this.pulse.0.reader.register(context.waker());
        let mut context = Context::from_waker(&this.reader);
        let result = ready!(Pin::new(&mut this.stream).poll_read(&mut context, buffer));
        if buffer.filled().len() > before {
            if this.pulse.reads() == 0 {
                this.pulse.note_first(&buffer.filled()[before..]);
            }
            this.pulse.0.reads.fetch_add(1, Ordering::Relaxed);
        } else if room {
            this.pulse.end();
        }
        this.note(result)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.is_sealed() {
            return Poll::Pending;
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.listen_once(&result, context);
        self.note(result)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let result = ready!(Pin::new(&mut self.stream).poll_flush(context));
        self.note(result)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_sealed() {
            return Poll::Pending;
        }
        let result = ready!(Pin::new(&mut self.stream).poll_write_vectored(context, bytes));
        self.listen_once(&result, context);
        self.note(result)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn the_flag_is_up_when_the_peer_closes_and_not_before() {
        let pulse = Pulse::default();
        let (near, mut far) = duplex(64);
        let mut watched = Watched::new(near, pulse.clone());
        far.write_all(b"hello").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(pulse.reads(), 0);
        assert_eq!(watched.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(pulse.reads(), 1);
        watched.write_all(b"hello").await.unwrap();
        assert!(!pulse.has_ended());
        drop(far);
        assert_eq!(watched.read(&mut buffer).await.unwrap(), 0);
        assert!(pulse.has_ended());
        assert_eq!(pulse.reads(), 1);
    }

    #[tokio::test]
    async fn a_failed_write_raises_it_too() {
        let pulse = Pulse::default();
        let (near, far) = duplex(64);
        let mut watched = Watched::new(near, pulse.clone());
        drop(far);
        assert!(watched.write_all(b"hello").await.is_err());
        assert!(pulse.has_ended());
    }

    #[tokio::test]
    async fn over_a_sealed_connection_nothing_goes_out_and_answers_still_come() {
        let pulse = Pulse::default();
        let (near, mut far) = duplex(64);
        let mut watched = Watched::new(near, pulse.clone());
        watched.write_all(b"before").await.unwrap();
        pulse.seal();
        let written = futures::poll!(std::pin::pin!(watched.write(b"after")));
        assert!(written.is_pending(), "{written:?}");
        far.write_all(b"answer").await.unwrap();
        let mut buffer = [0; 16];
        assert_eq!(watched.read(&mut buffer).await.unwrap(), 6);
        drop(watched);
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"before");
    }
}
