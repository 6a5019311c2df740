//! Replies to bytes.

use bytes::{BufMut as _, BytesMut};

use crate::{Reply, text};

/// The version of the protocol that one connection speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// What every connection begins with.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// The number that `HELLO` reports: 2 or 3.
    pub const fn version(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}

/// Appends `reply` to `out` as a connection of version `protocol` expects it.
///
/// A RESP2 connection gets flat arrays for maps, arrays for sets and pushes, `$-1` and `*-1` for the
/// two nulls, bulk strings for verbatim texts and doubles, `:1` and `:0` for truth values.
/// [`Reply::NoReply`] appends nothing; inside an aggregate, where leaving an item out would break the
/// framing of everything that follows, it is a null.
///
/// The depth of the recursion is the depth of `reply`, which this process built itself.
pub fn encode(reply: &Reply, protocol: Protocol, out: &mut BytesMut) {
    let resp3 = protocol == Protocol::Resp3;
    match reply {
        Reply::Status(text) => line(b'+', text, out),
        Reply::Error(text) => line(b'-', text, out),
        Reply::Integer(number) => header(b':', *number, out),
        Reply::Bulk(bytes) => bulk(bytes, out),
        Reply::Null | Reply::NullArray if resp3 => out.put_slice(b"_\r\n"),
        Reply::Null => out.put_slice(b"$-1\r\n"),
        Reply::NullArray => out.put_slice(b"*-1\r\n"),
        Reply::Array(items) => aggregate(b'*', items, protocol, out),
        Reply::Set(items) => aggregate(if resp3 { b'~' } else { b'*' }, items, protocol, out),
        Reply::Push(items) => aggregate(if resp3 { b'>' } else { b'*' }, items, protocol, out),
        Reply::Map(pairs) => {
            if resp3 {
                count(b'%', pairs.len(), out);
            } else {
                count(b'*', pairs.len() * 2, out);
            }
            for (key, value) in pairs {
                item(key, protocol, out);
                item(value, protocol, out);
            }
        }
        Reply::Verbatim { format, text } if resp3 => {
            let bytes = text::bytes(text);
            count(b'=', bytes.len() + 4, out);
            out.put_slice(format);
            out.put_u8(b':');
            out.put_slice(&bytes);
            out.put_slice(b"\r\n");
        }
        Reply::Verbatim { text, .. } => bulk(&text::bytes(text), out),
        Reply::Double(number) => double(*number, resp3, out),
        Reply::Boolean(truth) if resp3 => out.put_slice(if *truth { b"#t\r\n" } else { b"#f\r\n" }),
        Reply::Boolean(truth) => header(b':', i64::from(*truth), out),
        Reply::NoReply => {}
    }
}

/// Appends an array of bulk strings, which is the same in both versions.
pub fn encode_strings(strings: &[&[u8]], out: &mut BytesMut) {
    count(b'*', strings.len(), out);
    for string in strings {
        bulk(string, out);
    }
}

fn aggregate(kind: u8, items: &[Reply], protocol: Protocol, out: &mut BytesMut) {
    count(kind, items.len(), out);
    for reply in items {
        item(reply, protocol, out);
    }
}

fn item(reply: &Reply, protocol: Protocol, out: &mut BytesMut) {
    match reply {
        Reply::NoReply => encode(&Reply::Null, protocol, out),
        reply => encode(reply, protocol, out),
    }
}

/// A status or error line. CR and LF inside would end it early and let a name chosen by a client
/// forge a second reply, so they become spaces.
fn line(kind: u8, text: &str, out: &mut BytesMut) {
    out.reserve(text.len() + 3);
    out.put_u8(kind);
    let start = out.len();
    out.put_slice(&text::bytes(text));
    for byte in &mut out[start..] {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
    out.put_slice(b"\r\n");
}

fn bulk(bytes: &[u8], out: &mut BytesMut) {
    out.reserve(bytes.len() + 16);
    count(b'$', bytes.len(), out);
    out.put_slice(bytes);
    out.put_slice(b"\r\n");
}

fn double(number: f64, resp3: bool, out: &mut BytesMut) {
    let text = if number.is_nan() {
        "nan".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 { "inf".to_owned() } else { "-inf".to_owned() }
    } else {
        number.to_string()
    };
    if resp3 {
        line(b',', &text, out);
    } else {
        bulk(text.as_bytes(), out);
    }
}

fn count(kind: u8, count: usize, out: &mut BytesMut) {
    // Nothing in memory has more than i64::MAX parts.
    header(kind, i64::try_from(count).unwrap_or(i64::MAX), out);
}

fn header(kind: u8, number: i64, out: &mut BytesMut) {
    if let Ok(digit @ 0..=9) = u8::try_from(number) {
        out.put_slice(&[kind, b'0' + digit, b'\r', b'\n']);
        return;
    }
    // From the back: at most a kind, a sign, nineteen digits, a line end.
    let mut text = [0; 23];
    let mut at = text.len() - 2;
    text[at..].copy_from_slice(b"\r\n");
    let mut rest = number.unsigned_abs();
    loop {
        at -= 1;
        text[at] = b'0' + u8::try_from(rest % 10).unwrap_or_default();
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if number < 0 {
        at -= 1;
        text[at] = b'-';
    }
    at -= 1;
    text[at] = kind;
    out.put_slice(&text[at..]);
}
