//! Where requests and replies begin and end in a stream of bytes, without keeping any of them.
//!
//! For who passes bytes on and has to know whether a word of its own may stand between them. The cost is a few
//! instructions a value; the contents of bulk strings are skipped.

/// So many values may be nested or announced at once; more is no protocol that a server speaks.
const MOST_VALUES: u64 = 1 << 40;

/// Follows one direction of a connection.
#[derive(Debug)]
pub struct Frames {
    side: Side,
    state: State,
    /// Values of the current frame that are still to come.
    values: u64,
    /// The current frame is one that nobody asked for.
    pushed: bool,
    /// Bytes that are no protocol came: from then on nothing is known.
    lost: bool,
    whole: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Requests,
    Replies,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value begins.
    Start,
    /// A line of text up to its end; only white space so far, or something.
    Line { empty: bool },
    /// The number of a header.
    Header { kind: u8, number: Option<u64>, negative: bool },
    /// So many bytes are skipped.
    Bytes(u64),
}

impl Frames {
    /// For what a client sends.
    #[must_use]
    pub const fn of_requests() -> Self {
        Self::new(Side::Requests)
    }

    /// For what a server sends, in RESP2 or RESP3.
    #[must_use]
    pub const fn of_replies() -> Self {
        Self::new(Side::Replies)
    }

    const fn new(side: Side) -> Self {
        Self { side, state: State::Start, values: 0, pushed: false, lost: false, whole: 0 }
    }

    /// How many have come whole: requests that are answered, or replies. What a server pushes (`>`) is not counted, nor
    /// is an empty request.
    #[must_use]
    pub const fn whole(&self) -> u64 {
        self.whole
    }

    /// Whether the bytes so far end with a whole one. Never again once bytes came that are no protocol.
    #[must_use]
    pub const fn at_boundary(&self) -> bool {
        !self.lost && self.values == 0 && matches!(self.state, State::Start)
    }

    /// Whether bytes came that are no protocol.
    #[must_use]
    pub const fn is_lost(&self) -> bool {
        self.lost
    }

    /// Takes the next bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let [first, rest @ ..] = bytes
            && !self.lost
        {
            match self.state {
                State::Start => {
                    self.begin(*first);
                    if let State::Header { kind, .. } = self.state
                        && let Some((number, after)) = whole_number(rest)
                    {
                        self.end_header(kind, number, false);
                        bytes = after;
                        continue;
                    }
                    // The first byte of an inline request is a part of it.
                    if !matches!(self.state, State::Line { .. }) || self.side == Side::Replies {
                        bytes = rest;
                    }
                }
                State::Line { empty } => {
                    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                        self.state = State::Line { empty: empty && is_blank(bytes) };
                        return;
                    };
                    let is_empty = empty && is_blank(&bytes[..end]);
                    bytes = &bytes[end + 1..];
                    self.end_line(is_empty);
                }
                State::Header { kind, number, negative } => {
                    bytes = rest;
                    self.header(kind, number, negative, *first);
                }
                State::Bytes(left) => {
                    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    let skipped = left.min(length);
                    bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
                    if skipped == left {
                        self.end_value();
                    } else {
                        self.state = State::Bytes(left - skipped);
                    }
                }
            }
        }
    }

    /// The first byte of a value.
    fn begin(&mut self, byte: u8) {
        let outermost = self.values == 0;
        if outermost {
            self.values = 1;
            self.pushed = self.side == Side::Replies && byte == b'>';
        }
        let header = State::Header { kind: byte, number: None, negative: false };
        self.state = match (self.side, byte) {
            (Side::Requests, b'*') if outermost => header,
            (Side::Requests, b'$') if !outermost => header,
            (Side::Requests, _) if outermost => State::Line { empty: true },
            (Side::Replies, b'+' | b'-' | b':' | b'_' | b',' | b'#' | b'(') => State::Line { empty: false },
            (Side::Replies, b'$' | b'=' | b'!' | b'*' | b'~' | b'%' | b'|' | b'>') => header,
            _ => {
                self.lost = true;
                State::Start
            }
        };
    }

    fn header(&mut self, kind: u8, number: Option<u64>, negative: bool, byte: u8) {
        match byte {
            b'0'..=b'9' => {
                let digit = u64::from(byte - b'0');
                let grown = number.unwrap_or(0).checked_mul(10).and_then(|number| number.checked_add(digit));
                match grown.filter(|number| *number <= MOST_VALUES) {
                    Some(number) => self.state = State::Header { kind, number: Some(number), negative },
                    None => self.lost = true,
                }
            }
            b'-' if number.is_none() && !negative => self.state = State::Header { kind, number, negative: true },
            b'\r' => {}
            b'\n' => match number {
                Some(number) => self.end_header(kind, if negative { 0 } else { number }, negative),
                None => self.lost = true,
            },
            _ => self.lost = true,
        }
    }

    fn end_header(&mut self, kind: u8, number: u64, negative: bool) {
        let more = match kind {
            // With the line end behind it. A null has neither.
            b'$' | b'=' | b'!' if !negative => {
                self.state = State::Bytes(number + 2);
                return;
            }
            b'$' | b'=' | b'!' => 0,
            b'%' => number * 2,
            // Attributes stand before the value they belong to.
            b'|' => number * 2 + 1,
            _ => number,
        };
        let empty_request = self.side == Side::Requests && kind == b'*' && number == 0;
        self.values = self.values.saturating_add(more);
        if self.values > MOST_VALUES {
            self.lost = true;
        }
        if empty_request {
            self.values = 0;
            self.state = State::Start;
        } else {
            self.end_value();
        }
    }

    fn end_line(&mut self, is_empty: bool) {
        if is_empty {
            self.values = 0;
            self.state = State::Start;
        } else {
            self.end_value();
        }
    }

    fn end_value(&mut self) {
        self.state = State::Start;
        self.values -= 1;
        if self.values == 0 && !self.pushed {
            self.whole += 1;
        }
    }
}

/// The number of a header that has come whole, and what is behind its line. What is not as usual is left to be read
/// byte by byte.
#[inline]
fn whole_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    /// Fewer than overflow.
    const DIGITS: usize = 9;
    let mut number = 0;
    for (index, byte) in bytes.iter().enumerate().take(DIGITS + 1) {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let after = bytes.get(index..)?.strip_prefix(b"\r\n")?;
            return (index > 0).then_some((number, after));
        }
        number = number * 10 + u64::from(digit);
    }
    None
}

fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(mut frames: Frames, bytes: &[u8]) -> (u64, bool) {
        frames.feed(bytes);
        (frames.whole(), frames.at_boundary())
    }

    #[test]
    fn replies_of_both_protocols_are_counted() {
        for (bytes, count) in [
            (&b"+OK\r\n"[..], 1),
            (b"-ERR no\r\n:12\r\n", 2),
            (b"$5\r\na\r\nbc\r\n$-1\r\n*-1\r\n", 3),
            (b"$0\r\n\r\n", 1),
            (b"*3\r\n:1\r\n*2\r\n$1\r\na\r\n+b\r\n*0\r\n", 1),
            (b"%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n+c\r\n_\r\n", 1),
            (b"~2\r\n#t\r\n,1.5\r\n(123456789012345678901234567890\r\n", 2),
            (b"=7\r\ntxt:abc\r\n!3\r\nERR\r\n", 2),
            (b"|1\r\n+ttl\r\n:5\r\n+OK\r\n", 1),
            (b">2\r\n+message\r\n+x\r\n+OK\r\n", 1),
            (b"", 0),
        ] {
            assert_eq!(whole(Frames::of_replies(), bytes), (count, true), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn requests_are_counted_with_inline_ones_and_without_empty_ones() {
        for (bytes, count) in [
            (&b"*1\r\n$4\r\nPING\r\n"[..], 1),
            (b"PING\r\nSET a b\n", 2),
            (b"\r\n  \r\n*0\r\n*-1\r\n", 0),
            (b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n", 1),
        ] {
            assert_eq!(whole(Frames::of_requests(), bytes), (count, true), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn it_does_not_matter_where_a_stream_is_cut() {
        let replies = b"+OK\r\n$12\r\nabcdefghij\r\n\r\n*2\r\n$-1\r\n:-5\r\n%1\r\n$1\r\na\r\n=5\r\ntxt:a\r\n>1\r\n+x\r\n$0\r\n\r\n";
        let requests = b"*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\nPING\r\n\r\n*0\r\n*1\r\n$4\r\nPING\r\n";
        for (frames, bytes) in [(Frames::of_replies as fn() -> Frames, &replies[..]), (Frames::of_requests, requests)] {
            let at_once = whole(frames(), bytes);
            assert!(at_once.0 > 2 && at_once.1);
            for first in 0..bytes.len() {
                for second in first..bytes.len() {
                    let mut cut = frames();
                    for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                        cut.feed(part);
                    }
                    assert_eq!((cut.whole(), cut.at_boundary()), at_once, "cut at {first} and {second}");
                }
            }
        }
    }

    #[test]
    fn a_part_is_no_boundary_and_nonsense_never_becomes_one() {
        for bytes in [&b"+OK\r"[..], b"$5\r\nabc", b"*2\r\n:1\r\n", b"*1", b"$", b"%1\r\n+a\r\n"] {
            assert!(!whole(Frames::of_replies(), bytes).1, "{}", String::from_utf8_lossy(bytes));
        }
        let mut frames = Frames::of_replies();
        for bytes in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"+OK\r\n"] {
            frames.feed(bytes);
            assert!(!frames.at_boundary());
        }
        for bytes in [&b"*x\r\n"[..], b"$99999999999999999999\r\n", b"*1099511627776\r\n*1099511627776\r\n", b"$?\r\n"]
        {
            let (count, boundary) = whole(Frames::of_replies(), bytes);
            assert!(count == 0 && !boundary, "{}", String::from_utf8_lossy(bytes));
        }
    }
}
