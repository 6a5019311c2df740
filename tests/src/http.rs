//! A client of the HTTP endpoint, as small as can be: what is sent and what comes back can be seen byte by byte.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

const ANSWERED_WITHIN: Duration = Duration::from_secs(10);

/// Asks the endpoint on one port of 127.0.0.1.
#[derive(Clone, Debug)]
pub struct Http {
    port: u16,
    token: Option<String>,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

impl Http {
    /// On this port.
    pub fn at(port: u16) -> Self {
        Self { port, token: None }
    }

    /// The same with a bearer token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// Gets a path.
    pub fn get(&self, path: &str) -> Answer {
        self.get_with(path, &[])
    }

    /// The same with further lines in the head.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        self.send("GET", path, headers)
    }

    /// Gets a path whose answer must be a success, as JSON.
    pub fn json(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }

    /// Any method.
    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        exchange(self.connect(), &self.head(method, path, headers))
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends JSON, or what is to be taken for it, with further lines in the head.
    pub fn send_json(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let length = body.len().to_string();
        let own = [("Content-Type", "application/json"), ("Content-Length", length.as_str())];
        let headers: Vec<_> = headers.iter().chain(&own).copied().collect();
        exchange(self.connect(), &(self.head(method, path, &headers) + body))
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A connection on which nothing was said.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap_or_else(|error| panic!("{self:?}: {error}"));
        stream.set_read_timeout(Some(ANSWERED_WITHIN)).expect("a timeout");
        stream
    }

    /// Reads events, with these lines in the head.
    pub fn events(&self, path: &str, headers: &[(&str, &str)]) -> Events {
        let mut stream = self.connect();
        stream.write_all(self.head("GET", path, headers).as_bytes()).expect("it is taken");
        let mut reader = BufReader::new(stream);
        let answer = read_head(&mut reader).expect("a head");
        assert_eq!((answer.status, answer.headers["content-type"].as_str()), (200, "text/event-stream"), "{answer:?}");
        Events { reader, buffer: String::new() }
    }

    fn head(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n");
        if let Some(token) = &self.token {
            let _ = write!(head, "Authorization: Bearer {token}\r\n");
        }
        for (name, value) in headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}

/// Sends a request over a connection of any kind, and reads the answer to the end of the connection.
pub fn exchange(mut stream: impl Read + Write, request: &str) -> std::io::Result<Answer> {
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(stream);
    let mut answer = read_head(&mut reader)?;
    if answer.headers.get("transfer-encoding").is_some_and(|it| it == "chunked") {
        let mut body = Vec::new();
        while let chunk = read_chunk(&mut reader)?
            && !chunk.is_empty()
        {
            body.extend(chunk);
        }
        answer.body = String::from_utf8_lossy(&body).into_owned();
    } else {
        reader.read_to_string(&mut answer.body)?;
    }
    Ok(answer)
}

/// The next chunk of a body; the last one is empty.
fn read_chunk(reader: &mut impl BufRead) -> std::io::Result<Vec<u8>> {
    let mut size = String::new();
    reader.read_line(&mut size)?;
    let size = usize::from_str_radix(size.trim(), 16)
        .map_err(|_| std::io::Error::other(format!("{size:?} is no size of a chunk: the answer has ended")))?;
    let mut chunk = vec![0; size + 2];
    reader.read_exact(&mut chunk)?;
    chunk.truncate(size);
    Ok(chunk)
}

fn read_head(reader: &mut impl BufRead) -> std::io::Result<Answer> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
    let mut answer = Answer { status, ..Answer::default() };
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => answer.headers.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => return Ok(answer),
        };
    }
}

/// One event as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Its name for those who resume.
    pub id: String,
    /// Its kind.
    pub event: String,
    /// What it says.
    pub data: String,
}

impl Sent {
    /// What it says, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }
}

/// Events that come in.
#[derive(Debug)]
pub struct Events {
    reader: BufReader<TcpStream>,
    buffer: String,
}

impl Events {
    /// The next one. Comments are skipped.
    pub fn next_event(&mut self) -> Sent {
        loop {
            while let Some(end) = self.buffer.find("\n\n") {
                let rest = self.buffer.split_off(end + 2);
                let block = std::mem::replace(&mut self.buffer, rest);
                let mut sent = Sent::default();
                for (name, value) in block.lines().filter_map(|line| line.split_once(": ")) {
                    match name {
                        "id" => value.clone_into(&mut sent.id),
                        "event" => value.clone_into(&mut sent.event),
                        "data" => value.clone_into(&mut sent.data),
                        _ => {}
                    }
                }
                if !sent.data.is_empty() {
                    return sent;
                }
            }
            self.read_chunk();
        }
    }

    /// The next one of this kind about this master.
    pub fn wait_for(&mut self, event: &str, master: &str) -> Sent {
        loop {
            let sent = self.next_event();
            if sent.event == event && sent.json()["master"] == master {
                return sent;
            }
        }
    }

    fn read_chunk(&mut self) {
        let chunk = read_chunk(&mut self.reader).expect("a whole chunk in time");
        assert!(!chunk.is_empty(), "the events have ended");
        self.buffer.push_str(std::str::from_utf8(&chunk).expect("text"));
    }
}

/// The value of a line of metrics, by all that stands before it.
pub fn metric(page: &str, series: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}
