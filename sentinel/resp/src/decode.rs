//! Bytes to requests.

use bytes::{Buf as _, Bytes, BytesMut};

use crate::{Limits, ProtocolError, inline, limits};

/// How much room is kept for reading when a connection has gone quiet, in bytes.
const QUIET_CAPACITY: usize = 16 * 1024;
/// No request is too big that has few words of two digits of bytes; for smaller limits the long way is taken.
const SHORT: u64 = 64 * 1024;
/// How many arguments there is room for before they arrive.
const FEW: usize = 6;
/// How much is kept of each end of what broke the protocol, in bytes: as much as the reference logs.
const SAMPLE: usize = 64;

/// Cuts what one client sends into requests, each a list of arguments with the command name first.
///
/// Bytes go in by [`feed`](Self::feed), or without being copied by [`lend`](Self::lend); complete requests
/// come out of [`next_request`](Self::next_request), one at a time, since whether the client is
/// authenticated may change with each and decides what the next may be.
///
/// - The same bytes give the same requests and the same error, however they are split on arrival.
/// - A byte is looked at once for line ends. A length that was announced costs nothing until
///   the bytes themselves arrive.
/// - Arguments share the memory they were read into. One that is kept for long (a channel name, a client
///   name) should be copied, or it keeps what was read with it alive.
#[derive(Debug)]
pub struct RequestDecoder {
    limits: Limits,
    authenticated: bool,
    buffer: BytesMut,
    /// Whether `buffer` was lent, and is to be given back.
    borrowed: bool,
    /// How many bytes at the front of `buffer` are known to hold no line end.
    scanned: usize,
    state: State,
    arguments: Vec<Bytes>,
    /// How many of them do not share the memory of a buffer that was lent.
    owned: usize,
    /// What the current request costs so far, see [`Limits::max_request_bytes`].
    charged: u64,
    failed: Option<ProtocolError>,
    refused: Refused,
}

/// What a client had sent that was not executed when it broke the protocol: its beginning and its end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// All of it, or as much as is kept of its beginning.
    pub beginning: Vec<u8>,
    /// How many bytes are left out behind the beginning.
    pub left_out: usize,
    /// What stood behind these.
    pub end: Vec<u8>,
}

impl Refused {
    fn of(bytes: &[u8]) -> Self {
        if bytes.len() <= 2 * SAMPLE {
            return Self { beginning: bytes.to_vec(), ..Self::default() };
        }
        let end = bytes.len() - SAMPLE;
        Self { beginning: bytes[..SAMPLE].to_vec(), left_out: end - SAMPLE, end: bytes[end..].to_vec() }
    }
}

/// Where in a request the decoder stands.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Before the first byte of a request.
    Start,
    /// This many elements are missing, and the next begins with its length.
    Length { missing: i64 },
    /// This many elements are missing, and the next has so many bytes and a line end.
    Data { missing: i64, length: usize },
}

impl RequestDecoder {
    /// A decoder for a new connection, which counts as authenticated until
    /// [`set_authenticated`](Self::set_authenticated) says otherwise.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            authenticated: true,
            buffer: BytesMut::new(),
            borrowed: false,
            scanned: 0,
            state: State::Start,
            arguments: Vec::new(),
            owned: 0,
            charged: 0,
            failed: None,
            refused: Refused::default(),
        }
    }

    /// What was not executed when the client broke the protocol.
    pub const fn refused(&self) -> &Refused {
        &self.refused
    }

    /// Whether the tighter bounds for strangers hold for what is decoded from now on.
    pub fn set_authenticated(&mut self, authenticated: bool) {
        self.authenticated = authenticated;
    }

    /// Appends bytes as they arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Takes what was read into `room`, and leaves it empty. So that many connections can share one room,
    /// [`give_back`](Self::give_back) must be called once [`next_request`](Self::next_request) has no more.
    pub fn lend(&mut self, room: &mut BytesMut) {
        if self.buffer.is_empty() {
            std::mem::swap(&mut self.buffer, room);
            self.borrowed = true;
        } else {
            self.buffer.extend_from_slice(room);
        }
        room.clear();
    }

    /// Gives back what was [lent](Self::lend). Of a request that is not complete yet its own copy is kept, so that a
    /// silent connection holds no more than it has sent. No byte is copied twice.
    pub fn give_back(&mut self, room: &mut BytesMut) {
        if let Some(arguments) = self.arguments.get_mut(self.owned..).filter(|arguments| !arguments.is_empty()) {
            let copy = Bytes::from(arguments.concat());
            let mut from = 0;
            for argument in arguments {
                let to = from + argument.len();
                *argument = copy.slice(from..to);
                from = to;
            }
            self.owned = self.arguments.len();
        }
        if self.borrowed {
            self.borrowed = false;
            std::mem::swap(&mut self.buffer, room);
            if !room.is_empty() || self.buffer.capacity() > 0 {
                self.buffer = BytesMut::from(&room[..]);
            }
            room.clear();
        } else if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    /// How much room for bytes it holds by itself.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// How many bytes have arrived that no request has used yet, including those of a half-read one.
    pub fn pending(&self) -> usize {
        let held: usize = self.arguments.iter().map(Bytes::len).sum();
        self.buffer.len() + held
    }

    /// Whether everything that has arrived was used.
    pub fn is_empty(&self) -> bool {
        self.buffer.is_empty() && self.arguments.is_empty()
    }

    /// The next complete request, never empty; `None` until more bytes arrive.
    ///
    /// Empty lines and arrays without elements are skipped, as the reference does.
    ///
    /// # Errors
    ///
    /// When the client breaks the protocol. The same error comes back on every later call.
    pub fn next_request(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let result = self.advance();
        match &result {
            Err(error) => {
                self.failed = Some(*error);
                self.refused = Refused::of(&self.buffer);
                self.buffer = BytesMut::new();
                self.borrowed = false;
                self.arguments = Vec::new();
                self.owned = 0;
            }
            // What a large request left behind is not kept for the small ones that follow.
            Ok(_) if !self.borrowed && self.buffer.is_empty() && self.buffer.capacity() > QUIET_CAPACITY => {
                self.buffer = BytesMut::new();
            }
            Ok(_) => {}
        }
        result
    }

    /// Takes the next request if it is `beginning` and one word more, and gives what `answer` makes of that word. `None`
    /// leaves everything to [`next_request`](Self::next_request), which reads the same of the same bytes: this is the
    /// short way for the question that is asked most, in the one spelling that libraries use.
    ///
    /// `beginning` is compared without regard to case, as command names are. It must be whole words of an array
    /// whose last word is missing, such as `*2\r\n$4\r\nPING\r\n`.
    pub fn with_last_word<T>(&mut self, beginning: &[u8], answer: impl FnOnce(&[u8]) -> T) -> Option<T> {
        let bounded = self.limits.max_bulk_bytes < SHORT || self.limits.max_request_bytes < SHORT;
        if bounded || self.failed.is_some() || !matches!(self.state, State::Start) {
            return None;
        }
        let (start, rest) = self.buffer.split_at_checked(beginning.len())?;
        if !start.eq_ignore_ascii_case(beginning) {
            return None;
        }
        let (length, rest) = match rest {
            [b'$', one @ b'1'..=b'9', b'\r', b'\n', rest @ ..] => (usize::from(one - b'0'), rest),
            [b'$', ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', b'\n', rest @ ..] => {
                (usize::from(ten - b'0') * 10 + usize::from(one - b'0'), rest)
            }
            _ => return None,
        };
        // The two bytes behind the word are skipped unread, as in `bulk_data`.
        let (word, behind) = rest.split_at_checked(length).filter(|(_, behind)| behind.len() >= 2)?;
        let left = behind.len() - 2;
        let answer = answer(word);
        self.buffer.advance(self.buffer.len() - left);
        self.scanned = 0;
        Some(answer)
    }

    fn advance(&mut self) -> Result<Option<Vec<Bytes>>, ProtocolError> {
        loop {
            let done = match self.state {
                State::Start => match self.buffer.first() {
                    None => return Ok(None),
                    Some(b'*') => self.array_count()?,
                    Some(_) => self.inline_request()?,
                },
                State::Length { missing } => self.bulk_length(missing)?,
                State::Data { missing, length } => self.bulk_data(missing, length),
            };
            match done {
                Step::NeedsMore => return Ok(None),
                Step::Continue => {}
                Step::Complete => {
                    self.state = State::Start;
                    self.charged = 0;
                    self.owned = 0;
                    let request = std::mem::take(&mut self.arguments);
                    let Some(name) = request.first() else {
                        continue;
                    };
                    if name.eq_ignore_ascii_case(b"post") || name.eq_ignore_ascii_case(b"host:") {
                        return Err(ProtocolError::CrossProtocol);
                    }
                    return Ok(Some(request));
                }
            }
        }
    }

    fn inline_request(&mut self) -> Result<Step, ProtocolError> {
        let Some(at) = self.find(b'\n', ProtocolError::InlineTooBig)? else {
            return Ok(Step::NeedsMore);
        };
        let line = self.take(at + 1).freeze();
        let end = if line.ends_with(b"\r\n") { at - 1 } else { at };
        match inline::split(&line.slice(..end)) {
            Ok(arguments) => self.arguments = arguments,
            Err(error) => {
                // Not executed, so it belongs to what was refused.
                self.buffer = BytesMut::from(&[&line[..], &self.buffer].concat()[..]);
                return Err(error);
            }
        }
        Ok(Step::Complete)
    }

    fn array_count(&mut self) -> Result<Step, ProtocolError> {
        let Some((count, line)) = self.number(ProtocolError::ArrayCountTooLong)? else {
            return Ok(Step::NeedsMore);
        };
        match count {
            None => Err(ProtocolError::InvalidArrayLength),
            Some(count) if count > limits::MAX_ELEMENTS => Err(ProtocolError::InvalidArrayLength),
            Some(count) if count > limits::MAX_ELEMENTS_UNAUTHENTICATED && !self.authenticated => {
                Err(ProtocolError::UnauthenticatedArrayLength)
            }
            Some(count) if count <= 0 => {
                self.skip(line);
                Ok(Step::Complete)
            }
            Some(missing) => {
                self.skip(line);
                // What is announced costs nothing yet: few requests have more words than these.
                self.arguments.reserve(usize::try_from(missing).map_or(FEW, |missing| missing.min(FEW)));
                self.state = State::Length { missing };
                Ok(Step::Continue)
            }
        }
    }

    fn bulk_length(&mut self, missing: i64) -> Result<Step, ProtocolError> {
        let first = self.buffer.first().copied();
        // The count line is complete before its first byte is judged, as in the reference.
        let Some((length, line)) = self.number(ProtocolError::BulkCountTooLong)? else {
            return Ok(Step::NeedsMore);
        };
        if let Some(other) = first.filter(|&byte| byte != b'$') {
            return Err(ProtocolError::ExpectedBulk(other));
        }
        let length = length
            .and_then(|length| u64::try_from(length).ok())
            .filter(|&length| length <= self.limits.max_bulk_bytes)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if length > limits::MAX_BULK_UNAUTHENTICATED && !self.authenticated {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        self.charged = self.charged.saturating_add(length).saturating_add(limits::ARGUMENT_OVERHEAD);
        if self.charged > self.limits.max_request_bytes {
            return Err(ProtocolError::RequestTooBig);
        }
        let length = usize::try_from(length).map_err(|_| ProtocolError::RequestTooBig)?;
        self.skip(line);
        self.state = State::Data { missing, length };
        Ok(Step::Continue)
    }

    fn bulk_data(&mut self, missing: i64, length: usize) -> Step {
        // The two bytes behind the data are skipped unread, as the reference does.
        if self.buffer.len() < length.saturating_add(2) {
            return Step::NeedsMore;
        }
        let argument = self.take(length).freeze();
        self.buffer.advance(2);
        self.arguments.push(argument);
        if missing > 1 {
            self.state = State::Length { missing: missing - 1 };
            Step::Continue
        } else {
            Step::Complete
        }
    }

    /// The number in a count line, if it is one, and the length of the line; `None` while the line is incomplete.
    fn number(&mut self, too_long: ProtocolError) -> Result<Option<(Option<i64>, usize)>, ProtocolError> {
        let Some(at) = self.find(b'\r', too_long)? else {
            return Ok(None);
        };
        if self.buffer.len() < at + 2 {
            return Ok(None);
        }
        let number = self.buffer.get(1..at).and_then(integer);
        Ok(Some((number, at + 2)))
    }

    /// Goes on behind a line that was read.
    fn skip(&mut self, line: usize) {
        self.buffer.advance(line);
        self.scanned = 0;
    }

    /// Where the first `end` stands, not looking twice at what was searched before.
    fn find(&mut self, end: u8, too_long: ProtocolError) -> Result<Option<usize>, ProtocolError> {
        let window = self.buffer.len().min(limits::MAX_LINE + 1);
        if let Some(at) = self.buffer[self.scanned..window].iter().position(|&byte| byte == end) {
            // Kept where it is: the byte behind it may still be missing.
            self.scanned += at;
            return Ok(Some(self.scanned));
        }
        self.scanned = window;
        if self.buffer.len() > limits::MAX_LINE { Err(too_long) } else { Ok(None) }
    }

    fn take(&mut self, length: usize) -> BytesMut {
        self.scanned = 0;
        self.buffer.split_to(length)
    }
}

/// What one step of the decoder came to.
enum Step {
    NeedsMore,
    Continue,
    Complete,
}

/// A decimal number in the one spelling that the reference accepts: no plus sign, no leading zeros, no
/// blanks, no `-0`.
fn integer(digits: &[u8]) -> Option<i64> {
    let unsigned = digits.strip_prefix(b"-").unwrap_or(digits);
    match unsigned {
        b"0" if digits.len() == 1 => Some(0),
        [b'1'..=b'9'] if digits.len() == 1 => Some(i64::from(digits[0] - b'0')),
        [b'1'..=b'9', b'0'..=b'9'] if digits.len() == 2 => {
            Some(i64::from(digits[0] - b'0') * 10 + i64::from(digits[1] - b'0'))
        }
        [b'1'..=b'9', ..] => std::str::from_utf8(digits).ok()?.parse().ok(),
        _ => None,
    }
}
