//! The value of one reply.

use std::{
    borrow::Cow,
    hash::{Hash, Hasher},
};

use bytes::Bytes;

use crate::text;

/// One reply, sent or received, in the words of RESP3.
///
/// A RESP2 connection gets the nearest RESP2 form, see [`encode`](crate::encode()).
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// A simple string, such as `OK` or `PONG`. CR and LF inside become spaces on the wire.
    Status(Cow<'static, str>),
    /// An error line without the leading `-`, its code first: `ERR unknown command ...`.
    /// CR and LF inside become spaces on the wire.
    Error(String),
    /// A signed 64-bit number.
    Integer(i64),
    /// A string of any bytes.
    Bulk(Bytes),
    /// No value. `$-1` in RESP2, `_` in RESP3.
    Null,
    /// No value where an array was asked for. `*-1` in RESP2, `_` in RESP3.
    NullArray,
    /// An ordered list.
    Array(Vec<Reply>),
    /// Pairs, in this order. Flat, each value after its key, in RESP2.
    Map(Vec<(Reply, Reply)>),
    /// A list without meaning in its order. An array in RESP2.
    Set(Vec<Reply>),
    /// Something the client did not ask for, such as a published message. An array in RESP2.
    Push(Vec<Reply>),
    /// Text meant for a human, with a three-letter format such as `txt`. A bulk string in RESP2.
    Verbatim {
        /// Three ASCII letters: `txt` or `mkd`.
        format: [u8; 3],
        /// The text without the format.
        text: String,
    },
    /// A floating point number. A bulk string in RESP2.
    Double(f64),
    /// A truth value. `:1` or `:0` in RESP2.
    Boolean(bool),
    /// Nothing is sent at all, as for `CLIENT REPLY OFF`.
    NoReply,
}

/// By the bits of a floating point number.
impl Hash for Reply {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Reply::Status(text) => text.hash(state),
            Reply::Error(text) => text.hash(state),
            Reply::Integer(number) => number.hash(state),
            Reply::Bulk(bytes) => bytes.hash(state),
            Reply::Array(list) | Reply::Set(list) | Reply::Push(list) => list.hash(state),
            Reply::Map(pairs) => pairs.hash(state),
            Reply::Verbatim { format, text } => (format, text).hash(state),
            Reply::Double(number) => number.to_bits().hash(state),
            Reply::Boolean(is) => is.hash(state),
            Reply::Null | Reply::NullArray | Reply::NoReply => {}
        }
    }
}

impl Reply {
    /// `+OK`.
    pub const fn ok() -> Self {
        Self::Status(Cow::Borrowed("OK"))
    }

    /// A simple string.
    pub fn status(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Status(text.into())
    }

    /// An error line that already begins with its own code, such as `NOAUTH ...`.
    pub fn error(line: impl Into<String>) -> Self {
        Self::Error(line.into())
    }

    /// An error with the generic code: `err("syntax error")` is sent as `-ERR syntax error`.
    pub fn err(text: impl AsRef<str>) -> Self {
        Self::Error(format!("ERR {}", text.as_ref()))
    }

    /// A bulk string.
    pub fn bulk(bytes: impl Into<Bytes>) -> Self {
        Self::Bulk(bytes.into())
    }

    /// A bulk string that holds what `value` displays as. Numbers inside the maps of a Sentinel
    /// are sent this way.
    pub fn display(value: impl std::fmt::Display) -> Self {
        Self::Bulk(text::into_bytes(format!("{value}")).into())
    }

    /// A text for a human: verbatim `txt` in RESP3, a bulk string in RESP2.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Verbatim { format: *b"txt", text: text.into() }
    }

    /// An array of anything that turns into replies.
    pub fn array<T: Into<Reply>>(items: impl IntoIterator<Item = T>) -> Self {
        Self::Array(items.into_iter().map(Into::into).collect())
    }

    /// A map of anything that turns into replies.
    pub fn map<K: Into<Reply>, V: Into<Reply>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self::Map(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }

    /// The text of a status, an error line, a verbatim or a bulk string; `None` for the other kinds and
    /// for a bulk string that is not UTF-8.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Status(text) => Some(text),
            Self::Error(text) | Self::Verbatim { text, .. } => Some(text),
            Self::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// The number of an integer, or of a bulk string or status that is a decimal number.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bulk(_) | Self::Status(_) => self.as_text()?.parse().ok(),
            _ => None,
        }
    }

    /// The items of an array, a set or a push.
    pub fn as_items(&self) -> Option<&[Reply]> {
        match self {
            Self::Array(items) | Self::Set(items) | Self::Push(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is an error.
    pub const fn is_error(&self) -> bool {
        matches!(self, Self::Error(_))
    }

    /// The code of an error, its first word: `NOAUTH`, `BUSY`, `LOADING`, `ERR`.
    pub fn error_code(&self) -> Option<&str> {
        match self {
            Self::Error(line) => line.split(' ').next(),
            _ => None,
        }
    }
}

impl From<&'static str> for Reply {
    fn from(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        Self::Bulk(text::into_bytes(text).into())
    }
}

impl From<Bytes> for Reply {
    fn from(bytes: Bytes) -> Self {
        Self::Bulk(bytes)
    }
}

impl From<i64> for Reply {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Reply {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl From<f64> for Reply {
    fn from(value: f64) -> Self {
        Self::Double(value)
    }
}

impl From<Vec<Reply>> for Reply {
    fn from(items: Vec<Reply>) -> Self {
        Self::Array(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_its_code() {
        assert_eq!(Reply::error("NOAUTH Authentication required.").error_code(), Some("NOAUTH"));
        assert_eq!(Reply::err("syntax error"), Reply::error("ERR syntax error"));
        assert_eq!(Reply::ok().error_code(), None);
    }

    #[test]
    fn text_and_numbers_are_read_from_every_textual_kind() {
        assert_eq!(Reply::ok().as_text(), Some("OK"));
        assert_eq!(Reply::text("x").as_text(), Some("x"));
        assert_eq!(Reply::bulk(&b"\xff"[..]).as_text(), None);
        assert_eq!(Reply::display(12).as_integer(), Some(12));
        assert_eq!(Reply::from(-3).as_integer(), Some(-3));
        assert_eq!(Reply::Null.as_integer(), None);
    }

    #[test]
    fn aggregates_are_built_from_plain_values() {
        let map = Reply::map([("server", Reply::from("redis")), ("proto", Reply::from(3))]);
        assert_eq!(
            map,
            Reply::Map(vec![(Reply::bulk("server"), Reply::bulk("redis")), (Reply::bulk("proto"), Reply::Integer(3)),])
        );
        assert_eq!(Reply::array(["a", "b"]).as_items().map(<[Reply]>::len), Some(2));
    }
}
