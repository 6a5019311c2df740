//! One connection to an instance: commands out, replies in, bounded.
//!
//! A lean one, since there are thousands: nothing is kept for an idle direction, and all connections read through one
//! buffer of their thread.

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use sentinel_core::LinkFault;
use sentinel_resp::{Reply, ReplyDecoder, ReplyError};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls;

/// The longest value accepted from an instance, in bytes. INFO, the longest one expected, has some kilobytes.
///
/// More than this without a complete value closes the connection, so that no instance can make this process grow.
const LONGEST_VALUE: usize = 4 * 1024 * 1024;

/// How much is read at once, in bytes.
const READ_SIZE: usize = 32 * 1024;

/// Room for writing that a quiet connection keeps, in bytes.
const QUIET_CAPACITY: usize = 512;

thread_local! {
    /// Where the connections of this thread read, one after the other.
    static READ: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_SIZE]);
}

/// A transport: TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// One connection.
///
/// Both directions are cancel safe: what was read and written so far is kept here, not in the futures.
pub(super) struct Connection {
    transport: Box<dyn Transport>,
    replies: ReplyDecoder,
    unwritten: BytesMut,
    /// Something was given to the transport that it may not have passed on.
    unflushed: bool,
    /// Anything came from the other side.
    received: bool,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

/// What happens next on a connection.
#[derive(Debug)]
pub(super) enum Step {
    /// A reply came in, or something unasked in its form.
    Received(Reply),
    /// The connection is over.
    Broken(LinkFault),
}

impl Connection {
    /// Takes over an open transport.
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Connection {
            transport,
            replies: ReplyDecoder::new(LONGEST_VALUE),
            unwritten: BytesMut::new(),
            unflushed: false,
            received: false,
        }
    }

    /// Whether the other side has said anything.
    pub(super) fn has_received(&self) -> bool {
        self.received
    }

    /// Puts bytes behind those that wait to be written. They leave while [`Connection::step`] runs.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unwritten.extend_from_slice(bytes);
    }

    /// Writes what is queued and reads, until a reply is complete or the connection breaks.
    ///
    /// Reading goes on while the other side does not take what is written, and the other way round: otherwise two
    /// full buffers would wait for each other.
    pub(super) async fn step(&mut self) -> Step {
        poll_fn(|cx| self.poll_step(cx)).await
    }

    /// The next reply; a broken connection is an error. For the set-up, where every answer is waited for.
    pub(super) async fn value(&mut self) -> Result<Reply, LinkFault> {
        match self.step().await {
            Step::Received(reply) => Ok(reply),
            Step::Broken(fault) => Err(fault),
        }
    }

    /// Writes what is queued, as much as the other side takes.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), LinkFault> {
        self.write(cx).map_err(|error| broken(&error))
    }

    /// One look for [`Connection::step`].
    pub(super) fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        if let Err(error) = self.write(cx) {
            return Poll::Ready(Step::Broken(broken(&error)));
        }
        loop {
            match self.replies.next_reply() {
                Ok(Some(reply)) => return Poll::Ready(Step::Received(reply)),
                Ok(None) => {}
                Err(error) => {
                    let why = match error {
                        ReplyError::TooBig(_) => format!("the instance sent {error}"),
                        error => format!("the instance sent something that is not RESP: {error}"),
                    };
                    return Poll::Ready(Step::Broken(LinkFault::Failed(why)));
                }
            }
            match self.read(cx) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Step::Broken(LinkFault::Closed)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Step::Broken(broken(&error))),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Writes as much as the transport takes.
    fn write(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while !self.unwritten.is_empty() {
            match Pin::new(&mut self.transport).poll_write(cx, &self.unwritten) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => {
                    self.unflushed = true;
                    self.unwritten.advance(written);
                }
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => return Ok(()),
            }
        }
        if self.unwritten.capacity() > QUIET_CAPACITY {
            self.unwritten = BytesMut::new();
        }
        if self.unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.transport).poll_flush(cx)
        {
            self.unflushed = false;
            return flushed;
        }
        Ok(())
    }

    /// Reads once. 0: the other side has closed the connection.
    fn read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        READ.with_borrow_mut(|buffer| {
            let mut read = ReadBuf::new(buffer);
            let polled = Pin::new(&mut self.transport).poll_read(cx, &mut read);
            self.replies.feed(read.filled());
            let length = read.filled().len();
            self.received |= length > 0;
            polled.map_ok(|()| length)
        })
    }
}

/// Why the transport failed.
fn broken(error: &io::Error) -> LinkFault {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof, WriteZero};
    if let Some(why) = tls::Failure::of(error) {
        return LinkFault::Untrusted(why.to_string());
    }
    match error.kind() {
        ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | WriteZero => LinkFault::Closed,
        _ => LinkFault::Failed(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn pair(buffer: usize) -> (Connection, tokio::io::DuplexStream) {
        let (here, there) = tokio::io::duplex(buffer);
        (Connection::new(Box::new(here)), there)
    }

    #[tokio::test]
    async fn a_value_that_never_ends_closes_the_connection() {
        let (mut connection, mut there) = pair(64 * 1024);
        let flood = tokio::spawn(async move {
            there.write_all(b"$999999999999\r\n").await.unwrap();
            let chunk = vec![b'x'; 64 * 1024];
            let mut sent = 0_usize;
            while there.write_all(&chunk).await.is_ok() {
                sent += chunk.len();
            }
            sent
        });
        let Step::Broken(LinkFault::Failed(why)) = connection.step().await else { panic!("the flood was accepted") };
        assert!(why.contains("more than 4194304 bytes"), "{why}");
        drop(connection);
        assert!(flood.await.unwrap() < LONGEST_VALUE + 256 * 1024);
    }

    #[tokio::test]
    async fn deep_nesting_and_garbage_close_the_connection_and_nothing_else() {
        let garbage: [&[u8]; 5] = [&b"*1\r\n".repeat(5000), b"hello\r\n", b":x\r\n", b"+\xff\xff\r\n", b"%-1\r\n?"];
        for bytes in garbage {
            let (mut connection, mut there) = pair(1024 * 1024);
            there.write_all(bytes).await.unwrap();
            drop(there);
            loop {
                match connection.step().await {
                    Step::Received(_) => {}
                    Step::Broken(LinkFault::Failed(_) | LinkFault::Closed) => break,
                    Step::Broken(other) => panic!("{other:?}"),
                }
            }
        }
    }

    #[tokio::test]
    async fn reading_goes_on_while_the_other_side_does_not_read() {
        let (mut connection, mut there) = pair(16);
        connection.queue(&[b'x'; 4096]);
        there.write_all(b"+PONG\r\n").await.unwrap();
        assert!(matches!(connection.step().await, Step::Received(reply) if reply == Reply::status("PONG")));
        let mut rest = vec![0; 4096];
        let (read, _) = tokio::join!(there.read_exact(&mut rest), async {
            tokio::time::timeout(std::time::Duration::from_secs(1), connection.step()).await
        });
        assert_eq!(read.unwrap(), 4096);
    }
}
