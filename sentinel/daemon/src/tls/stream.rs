//! An encrypted connection as the rest of the daemon uses it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;

use super::{
    explain::{self, Failure, Side},
    subject,
};
use crate::config::UserField;

/// A connection over TLS that behaves as one over TCP does.
///
/// - The end of the connection is the end, whether or not it was announced: a process that is killed announces nothing.
///   Both protocols that are spoken here have lengths, so nothing that is cut off passes for complete.
/// - What was written leaves although nobody flushes, as long as the connection is read.
/// - A failure says what it means.
#[derive(Debug)]
pub(crate) struct Stream<S> {
    inner: TlsStream<S>,
    side: Side,
    /// Whether encrypted bytes may still wait inside.
    unsent: bool,
    /// What writing failed with, until it is known why.
    broken: Option<io::Error>,
}

impl<S> Stream<S> {
    pub(super) fn new(inner: impl Into<TlsStream<S>>, side: Side) -> Self {
        Stream { inner: inner.into(), side, unsent: false, broken: None }
    }
}

impl<S> Stream<S> {
    /// The connection below.
    pub(crate) fn get_ref(&self) -> &S {
        self.inner.get_ref().0
    }

    /// What the other side's certificate says of its user, in its order; empty without a certificate.
    pub(crate) fn names(&self, field: UserField) -> Vec<Vec<u8>> {
        let (_, session) = self.inner.get_ref();
        session.peer_certificates().and_then(<[_]>::first).map_or_else(Vec::new, |leaf| subject::names(leaf, field))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    fn poll_unsent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unsent {
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            self.unsent = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Why writing failed. Who closes a connection after it refused a certificate has said so, and that may still be on
    /// its way into reading.
    fn poll_reason(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let mut rest = [0; 1024];
        loop {
            let mut rest = ReadBuf::new(&mut rest);
            match ready!(Pin::new(&mut self.inner).poll_read(cx, &mut rest)) {
                // What was sent before the end is lost with the connection.
                Ok(()) if !rest.filled().is_empty() => {}
                Err(said) if explain::tls_error(&said).is_some() => return Poll::Ready(self.told(said)),
                Ok(()) | Err(_) => {
                    return Poll::Ready(self.broken.take().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()));
                }
            }
        }
    }

    fn told(&self, error: io::Error) -> io::Error {
        match explain::tls_error(&error) {
            Some(why) => io::Error::new(error.kind(), Failure::Refused(explain::explain(why, self.side))),
            None => error,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A failure shows up in the reading below, or in the next writing.
        let _ = self.poll_unsent(cx);
        match ready!(Pin::new(&mut self.inner).poll_read(cx, buf)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(self.told(error))),
            Ok(()) => Poll::Ready(Ok(())),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken.is_some() {
            return self.poll_reason(cx).map(Err);
        }
        let outcome = match ready!(self.poll_unsent(cx)) {
            Ok(()) => ready!(Pin::new(&mut self.inner).poll_write(cx, bytes)),
            Err(error) => Err(error),
        };
        let written = match outcome {
            Ok(written) => written,
            Err(error) if explain::tls_error(&error).is_some() => return Poll::Ready(Err(self.told(error))),
            Err(error) => {
                self.broken = Some(error);
                return self.poll_reason(cx).map(Err);
            }
        };
        self.unsent = true;
        // Mostly all of it leaves at once; the rest does with the next reading or writing.
        let _ = self.poll_unsent(cx);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_unsent(cx))?;
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
