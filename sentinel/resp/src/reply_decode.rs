//! Bytes to replies: what a client of another server reads.

use std::borrow::Cow;

use bytes::{Buf as _, Bytes, BytesMut};

use crate::Reply;

/// How deep values may lie in each other.
const MAX_DEPTH: usize = 16;

/// What keeping one value costs beside its bytes.
const VALUE_OVERHEAD: usize = 64;

/// The longest line that begins a value or is one, in bytes.
const MAX_LINE: usize = 64 * 1024;

/// Room that is kept while nothing arrives, in bytes: enough for the answer to a PING.
const QUIET_CAPACITY: usize = 256;

/// The server broke the protocol. The connection cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplyError {
    /// A value of more bytes than allowed, counting what keeping its parts costs.
    #[error("more than {0} bytes in one value")]
    TooBig(usize),
    /// Values in values in values.
    #[error("values nested more than {MAX_DEPTH} deep")]
    TooDeep,
    /// A byte that begins no value.
    #[error("a value that begins with byte {0}")]
    UnknownKind(u8),
    /// A length or a number that is none, or a string without its end.
    #[error("a malformed value of the kind '{}'", char::from(*.0))]
    Malformed(u8),
}

/// Cuts what a server sends into replies, in RESP2 or RESP3.
///
/// - The same bytes give the same replies, however they are split on arrival, and each is looked at once or twice.
/// - A length that was announced costs nothing until the bytes themselves arrive.
/// - Bulk strings share the memory they were read into. An idle decoder keeps next to nothing.
#[derive(Debug)]
pub struct ReplyDecoder {
    buffer: BytesMut,
    /// How many bytes at the front of `buffer` are known to hold no line end.
    scanned: usize,
    /// A string whose length is known and which has not arrived whole.
    string: Option<(u8, usize)>,
    /// `buffer` is the rest of memory that a string shares: as long as it is kept, all of that is.
    shared: bool,
    /// The aggregates that are not complete, outermost first.
    open: Vec<Open>,
    /// What the current value costs so far.
    charged: usize,
    max_value_bytes: usize,
}

/// An aggregate that waits for more values.
#[derive(Debug)]
struct Open {
    kind: u8,
    missing: usize,
    values: Vec<Reply>,
}

impl ReplyDecoder {
    /// A decoder for a new connection. No value may cost more than `max_value_bytes`.
    pub fn new(max_value_bytes: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            string: None,
            shared: false,
            open: Vec::new(),
            charged: 0,
            max_value_bytes,
        }
    }

    /// Appends bytes as they arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete reply; `None` until more bytes arrive.
    ///
    /// RESP3 attributes are skipped, since nobody here asks for them. Big numbers come as bulk strings.
    ///
    /// # Errors
    ///
    /// When the server breaks the protocol. The connection is to be closed then.
    pub fn next_reply(&mut self) -> Result<Option<Reply>, ReplyError> {
        while let Some(value) = self.next_value()? {
            if let Some(whole) = self.place(value) {
                self.charged = 0;
                if self.buffer.is_empty() && (self.shared || self.buffer.capacity() > QUIET_CAPACITY) {
                    self.buffer = BytesMut::new();
                    self.shared = false;
                }
                return Ok(Some(whole));
            }
        }
        // A string was counted when its length came.
        if self.string.is_none() && self.charged + self.buffer.len() > self.max_value_bytes {
            return Err(ReplyError::TooBig(self.max_value_bytes));
        }
        Ok(None)
    }

    /// The next value that has no parts of its own left to come.
    fn next_value(&mut self) -> Result<Option<Reply>, ReplyError> {
        loop {
            if let Some((kind, length)) = self.string {
                return self.rest_of_string(kind, length);
            }
            let Some(end) = self.line_end()? else { return Ok(None) };
            let kind = self.buffer[0];
            let line = &self.buffer[1..end];
            let simple = match kind {
                b'+' => Some(status(line)),
                b'-' => Some(Reply::Error(String::from_utf8_lossy(line).into_owned())),
                b':' => Some(Reply::Integer(number(kind, line)?)),
                b'_' if line.is_empty() => Some(Reply::Null),
                b'#' => Some(Reply::Boolean(match line {
                    b"t" => true,
                    b"f" => false,
                    _ => return Err(ReplyError::Malformed(kind)),
                })),
                b',' => Some(Reply::Double(parse(kind, line)?)),
                b'(' => Some(Reply::Bulk(Bytes::copy_from_slice(line))),
                b'$' | b'*' if line == b"-1" => Some(if kind == b'$' { Reply::Null } else { Reply::NullArray }),
                b'$' | b'=' | b'!' => {
                    let length = parse(kind, line)?;
                    self.charge(length)?;
                    self.string = Some((kind, length));
                    None
                }
                b'*' | b'~' | b'>' | b'%' | b'|' => {
                    let count: usize = parse(kind, line)?;
                    let missing = if matches!(kind, b'%' | b'|') { count.checked_mul(2) } else { Some(count) };
                    let missing = missing.ok_or(ReplyError::Malformed(kind))?;
                    if self.open.len() == MAX_DEPTH {
                        return Err(ReplyError::TooDeep);
                    }
                    self.open.push(Open { kind, missing, values: Vec::with_capacity(missing.min(16)) });
                    None
                }
                _ => return Err(ReplyError::UnknownKind(kind)),
            };
            self.charge(VALUE_OVERHEAD + if simple.is_some() { end } else { 0 })?;
            self.consume_line(end);
            if simple.is_some() {
                return Ok(simple);
            }
            let empty = self.string.is_none() && self.open.last().is_some_and(|open| open.missing == 0);
            if empty && let Some(whole) = self.close() {
                return Ok(Some(whole));
            }
        }
    }

    /// Puts a value where it belongs. Gives it back if it belongs nowhere: then it is a reply.
    fn place(&mut self, mut value: Reply) -> Option<Reply> {
        loop {
            let Some(open) = self.open.last_mut() else { return Some(value) };
            open.values.push(value);
            open.missing -= 1;
            if open.missing > 0 {
                return None;
            }
            value = self.close()?;
        }
    }

    /// The innermost aggregate, complete. None if it only said something about the value that follows.
    fn close(&mut self) -> Option<Reply> {
        let Open { kind, values, .. } = self.open.pop()?;
        Some(match kind {
            b'*' => Reply::Array(values),
            b'~' => Reply::Set(values),
            b'>' => Reply::Push(values),
            b'%' => {
                let mut values = values.into_iter();
                Reply::Map(std::iter::from_fn(|| values.next().zip(values.next())).collect())
            }
            _ => return None,
        })
    }

    fn rest_of_string(&mut self, kind: u8, length: usize) -> Result<Option<Reply>, ReplyError> {
        if self.buffer.len() < length + 2 {
            return Ok(None);
        }
        if &self.buffer[length..length + 2] != b"\r\n" {
            return Err(ReplyError::Malformed(kind));
        }
        self.string = None;
        let bytes = self.buffer.split_to(length).freeze();
        self.buffer.advance(2);
        self.shared = true;
        match kind {
            b'$' => Ok(Some(Reply::Bulk(bytes))),
            b'!' => Ok(Some(Reply::Error(String::from_utf8_lossy(&bytes).into_owned()))),
            kind => match (bytes.first_chunk::<4>(), bytes.get(4..)) {
                (Some([a, b, c, b':']), Some(text)) => {
                    let text = String::from_utf8_lossy(text).into_owned();
                    Ok(Some(Reply::Verbatim { format: [*a, *b, *c], text }))
                }
                _ => Err(ReplyError::Malformed(kind)),
            },
        }
    }

    /// Where the line at the front ends, without its CR LF.
    fn line_end(&mut self) -> Result<Option<usize>, ReplyError> {
        let Some(found) = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n') else {
            self.scanned = self.buffer.len();
            let too_long = self.scanned > MAX_LINE;
            return if too_long { Err(ReplyError::Malformed(self.buffer[0])) } else { Ok(None) };
        };
        let end = self.scanned + found;
        match end.checked_sub(1).filter(|cr| self.buffer[*cr] == b'\r') {
            // A line holds at least the byte that says its kind.
            Some(cr) if cr > 0 => Ok(Some(cr)),
            _ => Err(ReplyError::Malformed(self.buffer[0])),
        }
    }

    fn consume_line(&mut self, end: usize) {
        self.buffer.advance(end + 2);
        self.scanned = 0;
    }

    fn charge(&mut self, bytes: usize) -> Result<(), ReplyError> {
        self.charged = self.charged.saturating_add(bytes);
        if self.charged > self.max_value_bytes { Err(ReplyError::TooBig(self.max_value_bytes)) } else { Ok(()) }
    }
}

/// The words that servers say all the time cost no memory.
fn status(line: &[u8]) -> Reply {
    Reply::Status(match line {
        b"PONG" => Cow::Borrowed("PONG"),
        b"OK" => Cow::Borrowed("OK"),
        b"QUEUED" => Cow::Borrowed("QUEUED"),
        line => Cow::Owned(String::from_utf8_lossy(line).into_owned()),
    })
}

fn number(kind: u8, line: &[u8]) -> Result<i64, ReplyError> {
    parse(kind, line)
}

fn parse<T: std::str::FromStr>(kind: u8, line: &[u8]) -> Result<T, ReplyError> {
    std::str::from_utf8(line).ok().and_then(|text| text.parse().ok()).ok_or(ReplyError::Malformed(kind))
}
