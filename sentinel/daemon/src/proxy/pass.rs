//! Bytes from one side to the other, both ways, and what is known of where replies end.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll, ready},
};

use sentinel_resp::Frames;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::counts::{Count, Counts};

/// So much is read at a time. The room is the thread's: a connection has memory of its own only while the other side
/// does not take what was read.
const ROOM: usize = 64 * 1024;

thread_local! {
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; ROOM].into_boxed_slice());
}

/// Why bytes are not passed on any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The client has left.
    Client,
    /// The node has closed the connection, or it broke.
    Node,
    /// The node is no longer the right one, or the proxy has to end.
    Over,
    /// The proxy comes to its end.
    Draining,
}

/// What is read from and written to.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Duplex for S {}

/// Both ways.
pub(super) struct Passing {
    requests: Way,
    replies: Way,
    /// Requests that have no reply yet. Who subscribes to several channels has several replies to one.
    owed: u64,
    counted: (u64, u64),
    /// More replies than requests have come since the last whole request: to a part of one, or to nothing.
    surplus: bool,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            requests: Way::new(Frames::of_requests(), true),
            replies: Way::new(Frames::of_replies(), false),
            owed: 0,
            counted: (0, 0),
            surplus: false,
        }
    }
}

impl Passing {
    /// Passes what there is. Completes when one side is closed.
    pub(super) fn poll(
        &mut self,
        context: &mut Context<'_>,
        client: &mut impl Duplex,
        node: &mut impl Duplex,
        counts: &Counts,
    ) -> Poll<Ended> {
        // Replies first: they make room at the node.
        if let Poll::Ready(ended) = self.poll_replies(context, client, node, counts) {
            return Poll::Ready(ended);
        }
        let polled = self.requests.poll(context, client, node, &counts.to_nodes);
        self.count();
        // A client that sends nothing more may wait for its replies.
        match polled {
            Poll::Pending | Poll::Ready(Ok(())) => Poll::Pending,
            Poll::Ready(Err(Failed::Reading)) => Poll::Ready(Ended::Client),
            // What the node said before it left is still to be read.
            Poll::Ready(Err(Failed::Writing)) => self.poll_replies(context, client, node, counts),
        }
    }

    /// The same until nothing is under way: every request has its reply.
    pub(super) fn poll_until_quiet(
        &mut self,
        context: &mut Context<'_>,
        client: &mut impl Duplex,
        node: &mut impl Duplex,
        counts: &Counts,
    ) -> Poll<Ended> {
        if self.is_quiet() {
            return Poll::Ready(Ended::Draining);
        }
        let polled = self.poll(context, client, node, counts);
        if polled.is_pending() && self.is_quiet() { Poll::Ready(Ended::Draining) } else { polled }
    }

    /// Passes replies alone on, until there is none to wait for.
    pub(super) fn poll_replies_until_quiet(
        &mut self,
        context: &mut Context<'_>,
        client: &mut impl Duplex,
        node: &mut impl Duplex,
        counts: &Counts,
    ) -> Poll<()> {
        if self.is_quiet() {
            return Poll::Ready(());
        }
        let polled = self.poll_replies(context, client, node, counts);
        if polled.is_ready() || self.is_quiet() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn poll_replies(
        &mut self,
        context: &mut Context<'_>,
        client: &mut impl Duplex,
        node: &mut impl Duplex,
        counts: &Counts,
    ) -> Poll<Ended> {
        let polled = self.replies.poll(context, node, client, &counts.to_clients);
        self.count();
        match ready!(polled) {
            Ok(()) | Err(Failed::Reading) => Poll::Ready(Ended::Node),
            Err(Failed::Writing) => Poll::Ready(Ended::Client),
        }
    }

    /// Takes what has come since the last time into the balance.
    fn count(&mut self) {
        let (requests, replies) = (self.requests.frames.whole(), self.replies.frames.whole());
        let (asked, answered) = (requests - self.counted.0, replies - self.counted.1);
        // A reply never comes before its request.
        let owed = self.owed + asked;
        self.surplus = answered > owed || self.surplus && asked == 0;
        self.owed = owed.saturating_sub(answered);
        self.counted = (requests, replies);
    }

    /// Nothing is under way.
    fn is_quiet(&self) -> bool {
        self.replies.is_at_boundary() && self.requests.is_at_boundary() && self.owed == 0
    }

    /// The client has not said anything yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.requests.frames.whole() == 0 && self.requests.is_at_boundary()
    }

    /// Whether the node has refused something since the last time as only a replica does.
    pub(super) fn take_refusal(&mut self) -> bool {
        std::mem::take(&mut self.replies.refused)
    }

    /// Whether a request, or the beginning of one, has no reply yet, and the next byte to the client would begin one.
    pub(super) fn owes_an_answer(&self) -> bool {
        // After a request that is no protocol the node has said so, and closed the connection.
        let begun = self.requests.has_begun() && !self.surplus;
        self.replies.is_at_boundary() && (self.owed > 0 || begun)
    }
}

/// Which side does not take part any more.
enum Failed {
    Reading,
    Writing,
}

struct Way {
    frames: Frames,
    /// Read, and not written yet.
    rest: Vec<u8>,
    /// So much of it is written.
    written: usize,
    /// Written, and perhaps held back by an encrypted stream.
    unflushed: bool,
    /// A reply was READONLY.
    refused: bool,
    /// How far the side that is read has come.
    source: Source,
    /// When it has ended, the other side is told. Not a client: it may have to be told something else first.
    passes_end_on: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Open,
    Ended,
    /// And the other side knows.
    Closed,
}

impl Way {
    const fn new(frames: Frames, passes_end_on: bool) -> Self {
        Self {
            frames,
            rest: Vec::new(),
            written: 0,
            unflushed: false,
            refused: false,
            source: Source::Open,
            passes_end_on,
        }
    }

    /// Everything that was read is written, and ends where a request or reply ends.
    fn is_at_boundary(&self) -> bool {
        self.rest.is_empty() && self.frames.at_boundary()
    }

    /// A part of a request has been passed on.
    fn has_begun(&self) -> bool {
        !self.frames.at_boundary() && !self.frames.is_lost()
    }

    /// Completes when the side that is read has ended, and everything is written.
    fn poll<R, W>(
        &mut self,
        context: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        count: &Count,
    ) -> Poll<Result<(), Failed>>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        loop {
            ready!(self.poll_rest(context, to))?;
            match self.source {
                Source::Open => {}
                Source::Ended => {
                    if self.passes_end_on {
                        // It may be gone already.
                        let _ = ready!(Pin::new(&mut *to).poll_shutdown(context));
                    }
                    self.source = Source::Closed;
                    return Poll::Ready(Ok(()));
                }
                Source::Closed => return Poll::Ready(Ok(())),
            }
            let read = SCRATCH.with_borrow_mut(|room| {
                let mut buffer = ReadBuf::new(room);
                match Pin::new(&mut *from).poll_read(context, &mut buffer) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(Err(Failed::Reading)),
                    Poll::Ready(Ok(())) => {
                        let bytes = buffer.filled();
                        self.refused |= self.frames.at_boundary() && bytes.starts_with(b"-READONLY");
                        self.frames.feed(bytes);
                        count.add(bytes.len() as u64);
                        self.write(context, to, bytes).map(|()| bytes.len()).into()
                    }
                }
            });
            match read {
                Poll::Ready(read) => {
                    if read? == 0 {
                        self.source = Source::Ended;
                    }
                }
                Poll::Pending => {
                    // What was written last leaves now that nothing more comes.
                    let _ = self.poll_flush(context, to)?;
                    return Poll::Pending;
                }
            }
        }
    }

    /// Writes as much as is taken at once, and keeps the rest.
    fn write<W: AsyncWrite + Unpin>(
        &mut self,
        context: &mut Context<'_>,
        to: &mut W,
        mut bytes: &[u8],
    ) -> Result<(), Failed> {
        while !bytes.is_empty() {
            match Pin::new(&mut *to).poll_write(context, bytes) {
                Poll::Ready(Ok(0) | Err(_)) => return Err(Failed::Writing),
                Poll::Ready(Ok(written)) => {
                    self.unflushed = true;
                    bytes = &bytes[written..];
                }
                Poll::Pending => {
                    self.rest.extend_from_slice(bytes);
                    break;
                }
            }
        }
        Ok(())
    }

    fn poll_rest<W: AsyncWrite + Unpin>(&mut self, context: &mut Context<'_>, to: &mut W) -> Poll<Result<(), Failed>> {
        while self.written < self.rest.len() {
            match ready!(Pin::new(&mut *to).poll_write(context, &self.rest[self.written..])) {
                Ok(0) | Err(_) => return Poll::Ready(Err(Failed::Writing)),
                Ok(written) => {
                    self.unflushed = true;
                    self.written += written;
                }
            }
        }
        if !self.rest.is_empty() {
            // The memory is given back.
            self.rest = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_flush<W: AsyncWrite + Unpin>(&mut self, context: &mut Context<'_>, to: &mut W) -> Result<Poll<()>, Failed> {
        if self.unflushed {
            match Pin::new(&mut *to).poll_flush(context) {
                Poll::Pending => return Ok(Poll::Pending),
                Poll::Ready(Err(_)) => return Err(Failed::Writing),
                Poll::Ready(Ok(())) => self.unflushed = false,
            }
        }
        Ok(Poll::Ready(()))
    }
}
