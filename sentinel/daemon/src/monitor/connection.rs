//! One connection to an instance: commands out, values in, bounded.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use combine::stream::{Decoder, PointerOffset};
use redis::Value;
use sentinel_core::LinkFault;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf, ReadHalf, WriteHalf};

use crate::tls;

/// The longest value accepted from an instance, in bytes. INFO, the longest one expected, has some kilobytes.
///
/// More than this without a complete value closes the connection, so that no instance can make this process grow.
const LONGEST_VALUE: usize = 4 * 1024 * 1024;

/// A transport: TCP, or TLS over it.
pub(super) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// The state in which the redis crate's parser waits for more bytes.
type Parsing = Decoder<combine::parser::combinator::AnySendSyncPartialState, PointerOffset<[u8]>>;

/// One connection.
///
/// Both directions are cancel safe: what was read and written so far is kept here, not in the futures.
pub(super) struct Connection {
    input: Bounded<BufReader<ReadHalf<Box<dyn Transport>>>>,
    parsing: Parsing,
    output: WriteHalf<Box<dyn Transport>>,
    unwritten: bytes::BytesMut,
}

/// What happens next on a connection.
#[derive(Debug)]
pub(super) enum Step {
    /// A value came in.
    Received(Value),
    /// The connection is over.
    Broken(LinkFault),
}

impl Connection {
    /// Takes over an open transport.
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        let (input, output) = tokio::io::split(transport);
        Connection {
            input: Bounded { inner: BufReader::with_capacity(16 * 1024, input), left: LONGEST_VALUE, untrusted: None },
            parsing: Decoder::new(),
            output,
            unwritten: bytes::BytesMut::new(),
        }
    }

    /// Puts bytes behind those that wait to be written. They leave while [`Connection::step`] runs.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unwritten.extend_from_slice(bytes);
    }

    /// Writes what is queued and reads, until a value is complete or the connection breaks.
    ///
    /// Reading goes on while the other side does not take what is written, and the other way round: otherwise two
    /// full buffers would wait for each other.
    pub(super) async fn step(&mut self) -> Step {
        loop {
            tokio::select! {
                value = redis::parse_redis_value_async(&mut self.parsing, &mut self.input) => {
                    return match value {
                        Ok(value) => {
                            self.input.left = LONGEST_VALUE;
                            Step::Received(value)
                        }
                        Err(error) => Step::Broken(self.input.untrusted.take().unwrap_or_else(|| fault(&error))),
                    };
                }
                written = self.output.write_buf(&mut self.unwritten), if !self.unwritten.is_empty() => {
                    if let Err(error) = written {
                        return Step::Broken(broken(&error));
                    }
                }
            }
        }
    }

    /// The next value; a broken connection is an error. For the set-up, where every answer is waited for.
    pub(super) async fn value(&mut self) -> Result<Value, LinkFault> {
        match self.step().await {
            Step::Received(value) => Ok(value),
            Step::Broken(fault) => Err(fault),
        }
    }
}

/// Why reading ended.
fn fault(error: &redis::RedisError) -> LinkFault {
    if error.is_connection_dropped() {
        LinkFault::Closed
    } else if error.is_io_error() {
        LinkFault::Failed(error.to_string())
    } else {
        LinkFault::Failed(format!("the instance sent something that is not RESP: {error}"))
    }
}

/// Why writing ended.
fn broken(error: &io::Error) -> LinkFault {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, WriteZero};
    if let Some(why) = tls::Failure::of(error) {
        return LinkFault::Untrusted(why.to_string());
    }
    match error.kind() {
        ConnectionReset | ConnectionAborted | BrokenPipe | WriteZero => LinkFault::Closed,
        _ => LinkFault::Failed(error.to_string()),
    }
}

/// A reader that fails when it gave more than it may without being allowed more.
struct Bounded<R> {
    inner: R,
    left: usize,
    /// What TLS ended the connection for. With TLS 1.3 a certificate may be refused after the handshake.
    untrusted: Option<LinkFault>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Bounded<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let text = format!("the instance sent more than {LONGEST_VALUE} bytes in one value");
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, text)));
        }
        let before = buf.filled().len();
        if let Err(error) = ready!(Pin::new(&mut self.inner).poll_read(cx, buf)) {
            self.untrusted = tls::Failure::of(&error).map(|why| LinkFault::Untrusted(why.to_string()));
            return Poll::Ready(Err(error));
        }
        self.left = self.left.saturating_sub(buf.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

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
        assert!(matches!(connection.step().await, Step::Received(Value::SimpleString(text)) if text == "PONG"));
        let mut rest = vec![0; 4096];
        let (read, _) = tokio::join!(there.read_exact(&mut rest), async {
            tokio::time::timeout(std::time::Duration::from_secs(1), connection.step()).await
        });
        assert_eq!(read.unwrap(), 4096);
    }
}
