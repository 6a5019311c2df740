//! A connection that hides nothing of what comes back.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::time::Duration;

use crate::way::{Stream, Way};

/// More than any answer takes, also one that waits for a disk; so long is waited for one that never comes.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
/// No Sentinel has such a command: its error shows that all answers before it have come.
const MARK: &str = "all-answers-before-this";
/// Where nobody is told of commands before logging in: HELLO is always answered, and scripts give it no such version.
const LOCKED_MARK: &str = "HELLO all-answers-before-this";
/// What it is answered, and what a subscriber in RESP2 is.
const LOCKED_ANSWERS: [&str; 2] =
    ["-ERR Protocol version is not an integer or out of range", "-ERR Can't execute 'hello': "];

/// What stands for an answer that has not come in time.
pub(crate) const SILENCE: &str = "(silence)";

/// One reply, of which everything is kept that can be told apart on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    /// `+x`, `-x`, `:1`, `,1.5`, `#t`, `_`: the line with its type.
    Line(String),
    /// `$`; none is `$-1`.
    Bulk(Option<Vec<u8>>),
    /// `=`, with its three letters and the colon.
    Verbatim(Vec<u8>),
    /// `*`, `%`, `~`, `>`; none is `*-1`. A map has its keys and values in turn.
    Many(char, Option<Vec<Value>>),
}

impl Value {
    /// The text of a bulk string.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Value::Bulk(Some(bytes)) => std::str::from_utf8(bytes).ok(),
            _ => None,
        }
    }

    /// Whether it is the answer to the mark.
    fn is_mark(&self, locked: bool) -> bool {
        let Value::Line(line) = self else { return false };
        if locked { LOCKED_ANSWERS.iter().any(|answer| line.starts_with(answer)) } else { line.contains(MARK) }
    }
}

/// The reply in the notation of the documentation, in which different replies look different.
pub(crate) fn rendered(value: &Value) -> String {
    match value {
        Value::Line(line) => line.escape_debug().to_string(),
        Value::Bulk(None) => "$-1".to_owned(),
        Value::Bulk(Some(bytes)) => format!("\"{}\"", bytes.escape_ascii()),
        Value::Verbatim(bytes) => format!("={}=", bytes.escape_ascii()),
        Value::Many(kind, None) => format!("{kind}-1"),
        Value::Many(kind, Some(items)) => {
            let count = if *kind == '%' { items.len() / 2 } else { items.len() };
            let mut text = format!("{kind}{count}");
            for item in items {
                text.push(' ');
                text.push_str(&rendered(item));
            }
            text
        }
    }
}

/// What came back for one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answers {
    /// The replies, in their order.
    pub(crate) replies: Vec<Value>,
    /// How it ended, unless the connection goes on.
    pub(crate) end: Option<&'static str>,
}

/// A client that sends any bytes.
pub(crate) struct Wire {
    stream: BufReader<Stream>,
    /// Whether unknown commands are not told from known ones.
    locked: bool,
}

impl Wire {
    /// Connects.
    pub(crate) fn open(way: &Way) -> Self {
        let stream = way.open(ANSWERS_WITHIN).unwrap_or_else(|error| panic!("cannot connect by {way:?}: {error}"));
        let mut wire = Self { stream: BufReader::new(stream), locked: false };
        let _ = wire.stream.get_mut().write_all(format!("{MARK}\r\n").as_bytes());
        wire.locked = matches!(wire.read(), Ok(Value::Line(line)) if line.starts_with("-NOAUTH "));
        wire
    }

    /// Sends `bytes` and gives all that comes back for them.
    pub(crate) fn ask(&mut self, bytes: &[u8]) -> Answers {
        let mark = format!("{}\r\n", if self.locked { LOCKED_MARK } else { MARK });
        // It may have been closed already, which reading tells.
        let _ = self.stream.get_mut().write_all(&[bytes, mark.as_bytes()].concat());
        let mut replies = Vec::new();
        loop {
            match self.read() {
                Ok(value) if value.is_mark(self.locked) => return Answers { replies, end: None },
                Ok(value) => replies.push(value),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    return Answers { replies, end: Some(SILENCE) };
                }
                Err(error) if error.kind() == ErrorKind::InvalidData => {
                    replies.push(Value::Line(format!("(not RESP: {error})")));
                    return Answers { replies, end: Some("(nonsense)") };
                }
                // What is unread at the other end when it closes makes the kernel send a reset instead of an end.
                Err(_) => return Answers { replies, end: Some("(closed)") },
            }
        }
    }

    /// Ends the connection, and waits until the other side has, too: then it does not count it among its clients any more.
    pub(crate) fn close(mut self) {
        // It may have been closed by the other side, with whatever error.
        let _ = self.stream.get_mut().finish();
        let _ = std::io::copy(&mut self.stream, &mut std::io::sink());
    }

    fn read(&mut self) -> std::io::Result<Value> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        let count = || -> std::io::Result<Option<usize>> {
            match rest.parse::<i64>() {
                Ok(-1) => Ok(None),
                Ok(count) => usize::try_from(count).map(Some).map_err(|_| nonsense(&line)),
                Err(_) => Err(nonsense(&line)),
            }
        };
        match kind {
            "+" | "-" | ":" | "," | "#" | "_" | "(" => Ok(Value::Line(line)),
            "$" => Ok(Value::Bulk(match count()? {
                Some(length) => Some(self.bytes(length)?),
                None => None,
            })),
            "=" => Ok(Value::Verbatim(self.bytes(count()?.ok_or_else(|| nonsense(&line))?)?)),
            "*" | "~" | ">" | "%" => {
                let per_item = if kind == "%" { 2 } else { 1 };
                let items = match count()? {
                    Some(count) => Some((0..count * per_item).map(|_| self.read()).collect::<Result<_, _>>()?),
                    None => None,
                };
                Ok(Value::Many(kind.chars().next().unwrap_or('*'), items))
            }
            _ => Err(nonsense(&line)),
        }
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None if line.is_empty() => Err(ErrorKind::UnexpectedEof.into()),
            None => Err(nonsense(&String::from_utf8_lossy(&line))),
        }
    }

    fn bytes(&mut self, length: usize) -> std::io::Result<Vec<u8>> {
        let mut bytes = vec![0; length + 2];
        self.stream.read_exact(&mut bytes)?;
        if bytes.split_off(length) == b"\r\n" { Ok(bytes) } else { Err(nonsense("a bulk without its end")) }
    }
}

fn nonsense(line: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, line.to_owned())
}
