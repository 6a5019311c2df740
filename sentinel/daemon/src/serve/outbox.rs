//! What was answered to a client and not yet sent.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use sentinel_core::types::{Host, HostPort};
use sentinel_resp::{Protocol, Reply, encode, encode_strings};
use tokio::{io::AsyncWrite, time::Instant};

use super::literal::Literal;
use crate::config::OutputLimit;

/// How many pieces one system call sends at most.
const SLICES: usize = 64;

/// The most room for answers that is kept for the next client, in bytes.
const ROOM: usize = 64 * 1024;

/// Bytes on their way to one client: its own answers, and payloads that it shares with other subscribers.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    pieces: VecDeque<Bytes>,
    /// Answers behind the last piece.
    tail: BytesMut,
    length: usize,
    over_soft_since: Option<Instant>,
}

impl Outbox {
    /// Bytes not yet sent.
    pub(crate) const fn len(&self) -> usize {
        self.length
    }

    /// Pieces not yet sent.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Takes room for answers, unless there is some.
    pub(crate) fn lend(&mut self, room: &mut BytesMut) {
        if self.tail.capacity() == 0 {
            std::mem::swap(&mut self.tail, room);
        }
    }

    /// Gives its room back once everything is sent, so that a silent client holds none. What a burst has made large
    /// is left to the system.
    pub(crate) fn give_back(&mut self, room: &mut BytesMut) {
        if self.length > 0 {
            return;
        }
        self.tail.clear();
        if (1..=ROOM).contains(&self.tail.capacity()) {
            // In turn it gets what is left of the other, which is nothing.
            std::mem::swap(&mut self.tail, room);
        }
        if self.tail.capacity() > 0 {
            self.tail = BytesMut::new();
        }
    }

    /// Appends an answer.
    pub(crate) fn push(&mut self, reply: &Reply, protocol: Protocol) {
        let before = self.tail.len();
        encode(reply, protocol, &mut self.tail);
        self.length += self.tail.len() - before;
    }

    /// Appends an address: an array of the host and the port.
    pub(crate) fn push_address(&mut self, address: &HostPort) {
        let before = self.tail.len();
        let port = Literal::of_port(address.port);
        match &address.host {
            Host::Ip(ip) => encode_strings(&[Literal::of_ip(*ip).as_bytes(), port.as_bytes()], &mut self.tail),
            Host::Name(name) => encode_strings(&[name.as_bytes(), port.as_bytes()], &mut self.tail),
        }
        self.length += self.tail.len() - before;
    }

    /// Appends bytes that others hold too.
    pub(crate) fn push_shared(&mut self, bytes: Bytes) {
        if !self.tail.is_empty() {
            self.pieces.push_back(self.tail.split().freeze());
        }
        self.length += bytes.len();
        self.pieces.push_back(bytes);
    }

    /// Whether the client is so far behind that it must be cut. Called after each append.
    ///
    /// Each piece counts its handle beside its bytes, or small messages would cost more than they count.
    pub(crate) fn exceeds(&mut self, limit: OutputLimit, now: impl FnOnce() -> Instant) -> bool {
        let held = (self.length + self.pieces.len() * size_of::<Bytes>()) as u64;
        if limit.hard > 0 && held > limit.hard {
            return true;
        }
        if limit.soft == 0 || held <= limit.soft {
            self.over_soft_since = None;
            return false;
        }
        let now = now();
        now.duration_since(*self.over_soft_since.get_or_insert(now)) > limit.soft_for
    }

    /// When [`exceeds`](Self::exceeds) should be asked again although nothing was appended.
    pub(crate) fn soft_deadline(&self, limit: OutputLimit) -> Option<Instant> {
        self.over_soft_since?.checked_add(limit.soft_for)
    }

    /// Sends as much as the connection takes at once.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub(crate) fn poll_send<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<usize>> {
        let sent = if self.pieces.is_empty() {
            ready!(Pin::new(writer).poll_write(cx, &self.tail))?
        } else {
            ready!(self.poll_send_pieces(cx, writer))?
        };
        if sent == 0 && self.length > 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.advance(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_send_pieces<W: AsyncWrite + Unpin>(&self, cx: &mut Context<'_>, writer: &mut W) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let mut used = 0;
        for piece in self.pieces.iter().map(|piece| &piece[..]).chain([&self.tail[..]]).take(SLICES) {
            slices[used] = IoSlice::new(piece);
            used += 1;
        }
        Pin::new(writer).poll_write_vectored(cx, &slices[..used])
    }

    fn advance(&mut self, mut sent: usize) {
        self.length -= sent;
        while let Some(first) = self.pieces.front_mut() {
            if sent < first.len() {
                first.advance(sent);
                return;
            }
            sent -= first.len();
            self.pieces.pop_front();
        }
        if self.length > 0 {
            self.tail.advance(sent);
        } else {
            // All of its room is free again.
            self.tail.clear();
            if self.pieces.capacity() > 0 {
                self.pieces = VecDeque::new();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const LIMIT: OutputLimit = OutputLimit { hard: 10_000, soft: 1_000, soft_for: Duration::from_secs(60) };

    async fn sent(outbox: &mut Outbox) -> Vec<u8> {
        let mut writer = Vec::new();
        while outbox.len() > 0 {
            std::future::poll_fn(|cx| outbox.poll_send(cx, &mut writer)).await.unwrap();
        }
        writer
    }

    #[tokio::test]
    async fn answers_and_shared_payloads_keep_their_order() {
        let mut outbox = Outbox::default();
        for round in 0..100 {
            outbox.push(&Reply::Integer(round), Protocol::Resp2);
            outbox.push_shared(Bytes::from_static(b"+shared\r\n"));
        }
        outbox.push(&Reply::ok(), Protocol::Resp2);
        let expected = (0..100).map(|round| format!(":{round}\r\n+shared\r\n")).collect::<Vec<_>>().concat();
        assert_eq!(outbox.len(), expected.len() + 5);
        assert_eq!(sent(&mut outbox).await, (expected + "+OK\r\n").as_bytes());
        assert_eq!(outbox.len(), 0);
    }

    #[tokio::test]
    async fn an_address_is_sent_as_two_strings() {
        for (host, port) in [
            ("127.0.0.1", 6379),
            ("255.255.255.255", 65535),
            ("1111:2222:3333:4444:5555:6666:7777:8888", 0),
            ("::ffff:255.255.255.255", 1),
            ("db.example", 1),
        ] {
            let (mut outbox, mut expected) = (Outbox::default(), Outbox::default());
            outbox.push_address(&HostPort::from_words(host, &port.to_string()).unwrap());
            expected.push(&Reply::array([host.to_owned(), port.to_string()]), Protocol::Resp2);
            assert_eq!(sent(&mut outbox).await, sent(&mut expected).await);
        }
    }

    #[test]
    fn the_hard_bound_cuts_at_once() {
        let mut outbox = Outbox::default();
        outbox.push_shared(vec![0; 9_000].into());
        let now = Instant::now();
        assert!(!outbox.exceeds(LIMIT, || now));
        outbox.push_shared(vec![0; 1_000].into());
        assert!(outbox.exceeds(LIMIT, || now));
        assert!(!outbox.exceeds(OutputLimit::default(), || now));
    }

    #[test]
    fn the_soft_bound_cuts_after_its_time_without_a_break() {
        let mut outbox = Outbox::default();
        let begun = Instant::now();
        outbox.push_shared(vec![0; 1_500].into());
        assert!(!outbox.exceeds(LIMIT, || begun));
        assert!(!outbox.exceeds(LIMIT, || begun + Duration::from_secs(60)));
        assert_eq!(outbox.soft_deadline(LIMIT), Some(begun + Duration::from_secs(60)));
        assert!(outbox.exceeds(LIMIT, || begun + Duration::from_secs(61)));
        outbox.advance(1_000);
        assert!(!outbox.exceeds(LIMIT, || begun + Duration::from_secs(62)));
        assert_eq!(outbox.soft_deadline(LIMIT), None);
    }
}
