//! What a client can do wrong on the wire.

use crate::Reply;

/// The client broke the protocol. The connection cannot be read on and must be closed, after
/// [`ProtocolError::reply`] has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// An inline request longer than 64 KiB.
    #[error("too big inline request")]
    InlineTooBig,
    /// An inline request whose quotes do not end, or end in the middle of a word.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
    /// The line with the number of elements is longer than 64 KiB.
    #[error("too big mbulk count string")]
    ArrayCountTooLong,
    /// The number of elements is not a number, or beyond 2,147,483,647.
    #[error("invalid multibulk length")]
    InvalidArrayLength,
    /// More than 10 elements before authentication.
    #[error("unauthenticated multibulk length")]
    UnauthenticatedArrayLength,
    /// The line with the length of a bulk string is longer than 64 KiB.
    #[error("too big bulk count string")]
    BulkCountTooLong,
    /// An element of a request is not a bulk string; the byte it began with.
    #[error("expected '$', got '{}'", printable(*.0))]
    ExpectedBulk(u8),
    /// The length of a bulk string is not a number, negative, or beyond `proto-max-bulk-len`.
    #[error("invalid bulk length")]
    InvalidBulkLength,
    /// A bulk string of more than 16,384 bytes before authentication.
    #[error("unauthenticated bulk length")]
    UnauthenticatedBulkLength,
    /// The request as a whole is beyond [`Limits::max_request_bytes`](crate::Limits). The reference
    /// has no such text, since it closes the connection silently at 1 GiB.
    #[error("too big request")]
    RequestTooBig,
    /// The first word is `POST` or `Host:`: a browser was led to talk to this port. No reply is sent,
    /// and nothing that follows is read.
    #[error("possible cross protocol scripting: the request begins as HTTP does")]
    CrossProtocol,
}

impl ProtocolError {
    /// Whether the request is one that would be longer than is taken.
    pub const fn is_too_long(&self) -> bool {
        matches!(self, ProtocolError::RequestTooBig)
    }

    /// What to send before closing, if anything: `-ERR Protocol error: ...`.
    pub fn reply(self) -> Option<Reply> {
        match self {
            Self::CrossProtocol => None,
            error => Some(Reply::err(format!("Protocol error: {error}"))),
        }
    }
}

/// The byte as it may stand in an error line.
fn printable(byte: u8) -> char {
    match byte {
        b' '..=b'~' => char::from(byte),
        b'\r' | b'\n' => ' ',
        _ => '?',
    }
}
