//! The servers of a test deployment.

use std::fmt::Write as _;
use std::io;
use std::sync::Arc;

use redis::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::{Answer, MASTER, State};

/// A command may not be longer.
const LONGEST: usize = 64 * 1024 * 1024;

const HELLO: &str = "%1\r\n+server\r\n+redis\r\n";

/// A message of a Sentinel.
pub(super) fn message(channel: &str, payload: &str) -> String {
    format!(">3\r\n{}{}{}", bulk("message"), bulk(channel), bulk(payload))
}

fn bulk(text: &str) -> String {
    format!("${}\r\n{text}\r\n", text.len())
}

fn array(items: &[String]) -> String {
    format!("*{}\r\n{}", items.len(), items.concat())
}

fn encode(value: &Value) -> String {
    match value {
        Value::Int(number) => format!(":{number}\r\n"),
        Value::BulkString(bytes) => bulk(&String::from_utf8_lossy(bytes)),
        Value::SimpleString(text) => format!("+{text}\r\n"),
        Value::Okay => "+OK\r\n".to_owned(),
        Value::Array(items) | Value::Set(items) => array(&items.iter().map(encode).collect::<Vec<_>>()),
        // As with RESP2.
        Value::Map(pairs) => {
            let items: Vec<_> = pairs.iter().flat_map(|(key, value)| [encode(key), encode(value)]).collect();
            array(&items)
        }
        Value::Double(number) => bulk(&number.to_string()),
        Value::Boolean(truth) => format!(":{}\r\n", u8::from(*truth)),
        _ => "$-1\r\n".to_owned(),
    }
}

/// The first complete command in `input`, and its length. `Err`: there never will be one.
fn request(input: &[u8]) -> Result<Option<(Vec<String>, usize)>, ()> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| -> Result<Option<usize>, ()> {
        let Some(rest) = input.get(*at..) else { return Ok(None) };
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let text = rest[..end].strip_prefix(&[mark]).and_then(|text| std::str::from_utf8(text).ok()).ok_or(())?;
        *at += end + 2;
        text.parse().ok().filter(|number| *number <= LONGEST).map(Some).ok_or(())
    };
    let Some(count) = number(b'*', &mut at)? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(length) = number(b'$', &mut at)? else { return Ok(None) };
        let Some(word) = input.get(at..at + length) else { return Ok(None) };
        words.push(String::from_utf8_lossy(word).into_owned());
        at += length + 2;
    }
    if at > input.len() { Ok(None) } else { Ok(Some((words, at))) }
}

/// What a connection does next.
enum Next {
    Say(String),
    Close,
    Hang,
}

async fn accept(listener: TcpListener, serve: impl Fn(TcpStream) -> Served) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream));
        while connections.try_join_next().is_some() {}
    }
}

type Served = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) async fn sentinel(listener: TcpListener, state: Arc<State>) {
    accept(listener, move |stream| {
        let (state, mut pushes) = (state.clone(), state.pushes.subscribe());
        Box::pin(async move {
            let mut is_subscribed = false;
            let answer = |words: &[String]| Next::Say(as_sentinel(&state, words));
            let mut connection = Connection { stream, input: Vec::new(), hangs: false };
            loop {
                tokio::select! {
                    Ok(push) = pushes.recv(), if is_subscribed => {
                        if connection.stream.write_all(push.as_bytes()).await.is_err() { return }
                    }
                    read = connection.read() => {
                        let Ok(true) = read else { return };
                        let Ok(seen) = connection.answer(answer).await else { return };
                        is_subscribed |= seen.iter().any(|name| name == "SUBSCRIBE");
                    }
                }
            }
        })
    })
    .await;
}

fn as_sentinel(state: &State, words: &[String]) -> String {
    let word = |at: usize| words.get(at).map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    let inner = state.inner();
    let port = inner.nodes[inner.master].to_string();
    let knows = words.get(2).is_none_or(|name| name == MASTER);
    match (word(0).as_str(), word(1).as_str()) {
        ("HELLO", _) => HELLO.to_owned(),
        ("CLIENT" | "AUTH", _) => "+OK\r\n".to_owned(),
        ("PING", _) => "+PONG\r\n".to_owned(),
        ("SUBSCRIBE", _) => words[1..].iter().enumerate().fold(String::new(), |mut all, (index, channel)| {
            let _ = write!(all, ">3\r\n{}{}:{}\r\n", bulk("subscribe"), bulk(channel), index + 1);
            all
        }),
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME") if knows => array(&[bulk("127.0.0.1"), bulk(&port)]),
        ("SENTINEL", "GET-MASTER-ADDR-BY-NAME") => "*-1\r\n".to_owned(),
        ("SENTINEL", "MASTER") if knows => {
            let epoch = inner.epoch.to_string();
            array(&[bulk("name"), bulk(MASTER), bulk("config-epoch"), bulk(&epoch)])
        }
        ("SENTINEL", "MASTER") => "-ERR No such master with that name\r\n".to_owned(),
        ("SENTINEL", "SENTINELS") => array(&[]),
        ("SENTINEL", "REPLICAS") => {
            let replica = inner.nodes[1 - inner.master].to_string();
            let pairs = [("ip", "127.0.0.1"), ("port", &replica), ("flags", "slave"), ("master-link-status", "ok")];
            array(&[array(&pairs.iter().flat_map(|(key, value)| [bulk(key), bulk(value)]).collect::<Vec<_>>())])
        }
        ("SENTINEL", "MYID") => bulk(&"0".repeat(40)),
        _ => "-ERR unknown command\r\n".to_owned(),
    }
}

pub(super) async fn node(listener: TcpListener, port: u16, state: Arc<State>) {
    accept(listener, move |stream| {
        let (state, mut cuts) = (state.clone(), state.cuts.subscribe());
        Box::pin(async move {
            let mut queue: Option<Vec<Vec<String>>> = None;
            let mut connection = Connection { stream, input: Vec::new(), hangs: false };
            loop {
                tokio::select! {
                    cut = cuts.recv() => if cut.is_ok_and(|cut| cut == port) { return },
                    read = connection.read() => {
                        let Ok(true) = read else { return };
                        if connection.answer(|words| as_node(&state, port, &mut queue, words)).await.is_err() {
                            return;
                        }
                    }
                }
            }
        })
    })
    .await;
}

fn as_node(state: &State, port: u16, queue: &mut Option<Vec<Vec<String>>>, words: &[String]) -> Next {
    let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    let is_master = {
        let inner = state.inner();
        inner.nodes[inner.master] == port
    };
    let other = || {
        let inner = state.inner();
        inner.nodes.iter().copied().find(|node| *node != port).unwrap_or(port)
    };
    match name.as_str() {
        // How a pool looks after its connections.
        "HELLO" => return Next::Say(HELLO.to_owned()),
        "AUTH" | "SELECT" | "CLIENT" => return Next::Say("+OK\r\n".to_owned()),
        "ROLE" if is_master => return Next::Say(array(&[bulk("master"), ":0\r\n".to_owned(), array(&[])])),
        "ROLE" => {
            let of = [bulk("slave"), bulk("127.0.0.1"), format!(":{}\r\n", other())];
            return Next::Say(array(&[&of[..], &[bulk("connected"), ":0\r\n".to_owned()]].concat()));
        }
        "INFO" => {
            let role = if is_master { "master" } else { "slave" };
            return Next::Say(bulk(&format!("# Replication\r\nrole:{role}\r\nmaster_replid:{}\r\n", "a".repeat(40))));
        }
        _ => {}
    }
    let script = {
        let mut inner = state.inner();
        inner.received.push(words.to_vec());
        inner.scripts.get(&name).cloned()
    };
    match script.and_then(|script| script(words)) {
        Some(Answer::Value(value)) => Next::Say(encode(&value)),
        Some(Answer::Error(text)) => Next::Say(format!("-{text}\r\n")),
        Some(Answer::CloseAfter) => {
            execute(state, is_master, queue, words);
            Next::Close
        }
        Some(Answer::Close) => Next::Close,
        Some(Answer::Hang) => Next::Hang,
        None => Next::Say(execute(state, is_master, queue, words)),
    }
}

/// What a node knows by itself.
fn execute(state: &State, is_master: bool, queue: &mut Option<Vec<Vec<String>>>, words: &[String]) -> String {
    let name = words.first().map(|word| word.to_ascii_uppercase()).unwrap_or_default();
    match (name.as_str(), queue.as_mut()) {
        ("MULTI", _) => {
            *queue = Some(Vec::new());
            return "+OK\r\n".to_owned();
        }
        ("EXEC", Some(_)) => {
            let queued = queue.take().unwrap_or_default();
            let answers: Vec<_> = queued.iter().map(|words| execute(state, is_master, &mut None, words)).collect();
            return array(&answers);
        }
        (_, Some(queued)) => {
            queued.push(words.to_vec());
            return "+QUEUED\r\n".to_owned();
        }
        _ => {}
    }
    let writes = matches!(name.as_str(), "SET" | "DEL" | "INCRBY");
    if writes && !is_master {
        return "-READONLY You can't write against a read only replica.\r\n".to_owned();
    }
    let data = &mut state.inner().data;
    let number = |number: i64| format!(":{number}\r\n");
    match (name.as_str(), &words[1..]) {
        ("PING", []) => "+PONG\r\n".to_owned(),
        ("GET", [key]) => data.get(key).map_or_else(|| "$-1\r\n".to_owned(), |value| bulk(value)),
        ("SET", [key, value]) => {
            data.insert(key.clone(), value.clone());
            "+OK\r\n".to_owned()
        }
        ("DEL", keys) => number(keys.iter().filter(|key| data.remove(*key).is_some()).map(|_| 1).sum()),
        ("EXISTS", keys) => number(keys.iter().filter(|key| data.contains_key(*key)).map(|_| 1).sum()),
        ("INCRBY", [key, by]) => {
            let before = data.get(key).map_or(Ok(0), |value| value.parse::<i64>());
            let sum = before.ok().zip(by.parse().ok()).and_then(|(before, by): (i64, i64)| before.checked_add(by));
            let Some(sum) = sum else { return "-ERR value is not an integer or out of range\r\n".to_owned() };
            data.insert(key.clone(), sum.to_string());
            number(sum)
        }
        _ => format!("-ERR `{name}` is not known to the test deployment; see TestDeployment::on\r\n"),
    }
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    hangs: bool,
}

impl Connection {
    /// False: the other end has closed it.
    async fn read(&mut self) -> io::Result<bool> {
        let count = self.stream.read_buf(&mut self.input).await?;
        Ok(count > 0 && self.input.len() <= LONGEST)
    }

    /// Answers what is there; returns the names of the commands.
    async fn answer(&mut self, mut answer: impl FnMut(&[String]) -> Next) -> io::Result<Vec<String>> {
        let (mut names, mut output) = (Vec::new(), String::new());
        let end = || io::Error::from(io::ErrorKind::ConnectionAborted);
        let mut closes = false;
        while let Some((words, length)) = request(&self.input).map_err(|()| end())? {
            self.input.drain(..length);
            names.extend(words.first().map(|name| name.to_ascii_uppercase()));
            if self.hangs {
                continue;
            }
            match answer(&words) {
                Next::Say(text) => output += &text,
                Next::Hang => self.hangs = true,
                Next::Close => {
                    closes = true;
                    break;
                }
            }
        }
        self.stream.write_all(output.as_bytes()).await?;
        if closes { Err(end()) } else { Ok(names) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_in_pieces_is_waited_for_and_nonsense_is_refused() {
        let whole = b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n";
        for length in 0..whole.len() {
            assert_eq!(request(&whole[..length]), Ok(None), "{length}");
        }
        let words = vec!["GET".to_owned(), "k".to_owned()];
        assert_eq!(request(whole), Ok(Some((words, whole.len()))));
        for nonsense in [b"GET k\r\n".as_slice(), b"*x\r\n", b"*1\r\n:1\r\n", b"*1\r\n$99999999999\r\n", b"*-1\r\n"] {
            assert_eq!(request(nonsense), Err(()), "{nonsense:?}");
        }
    }
}
