//! A data node that does nothing but answer, and notes when it is asked.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

const INFO: &str = "# Server\r\nrun_id:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n# Replication\r\nrole:master\r\nconnected_slaves:0\r\n";

/// A master without replicas, in this process.
#[derive(Debug)]
pub(crate) struct Node {
    port: u16,
    pings: Arc<Mutex<Vec<Instant>>>,
}

impl Node {
    /// Starts to listen. It ends with the process.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback");
        let port = listener.local_addr().expect("a bound socket").port();
        let pings: Arc<Mutex<Vec<Instant>>> = Arc::default();
        let noted = Arc::clone(&pings);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                // A connection that breaks is the Sentinel's business.
                thread::spawn(move || drop(serve(stream, &noted)));
            }
        });
        Self { port, pings }
    }

    /// Its port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// How many PINGs have come.
    pub(crate) fn pings(&self) -> usize {
        self.noted().len()
    }

    /// The longest time without a PING between `from` and `to`.
    pub(crate) fn worst_gap(&self, from: Instant, to: Instant) -> Duration {
        let noted = self.noted();
        // The last one before that span is the beginning of its first gap.
        let before = noted.iter().rev().find(|ping| **ping < from).copied().unwrap_or(from);
        let within = noted.iter().copied().filter(|ping| (from..to).contains(ping));
        let moments: Vec<Instant> = [before].into_iter().chain(within).chain([to]).collect();
        moments.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    fn noted(&self) -> std::sync::MutexGuard<'_, Vec<Instant>> {
        self.pings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Answers one connection to its end, as a server that knows no RESP3.
fn serve(stream: TcpStream, pings: &Mutex<Vec<Instant>>) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut output = stream.try_clone()?;
    let mut input = BufReader::new(stream);
    while let Some(words) = request(&mut input)? {
        let answer = match words.first().map(String::as_str) {
            Some("PING") => {
                pings.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
                "+PONG\r\n".to_owned()
            }
            Some("INFO") => format!("${}\r\n{INFO}\r\n", INFO.len()),
            Some("HELLO") => "-ERR unknown command\r\n".to_owned(),
            Some("PUBLISH") => ":1\r\n".to_owned(),
            Some("SUBSCRIBE") => "*3\r\n$9\r\nsubscribe\r\n$18\r\n__sentinel__:hello\r\n:1\r\n".to_owned(),
            _ => "+OK\r\n".to_owned(),
        };
        output.write_all(answer.as_bytes())?;
    }
    Ok(())
}

/// One request of the Sentinel, which sends arrays of bulk strings; none at the end of the connection.
fn request(input: &mut impl BufRead) -> std::io::Result<Option<Vec<String>>> {
    let number = |input: &mut dyn BufRead| -> std::io::Result<Option<usize>> {
        let mut line = String::new();
        input.read_line(&mut line)?;
        Ok(line.get(1..).and_then(|digits| digits.trim_end().parse().ok()))
    };
    let Some(count) = number(input)? else { return Ok(None) };
    let mut words = Vec::new();
    for _ in 0..count {
        let Some(length) = number(input)? else { return Ok(None) };
        let mut word = vec![0; length + 2];
        input.read_exact(&mut word)?;
        word.truncate(length);
        words.push(String::from_utf8_lossy(&word).into_owned());
    }
    Ok(Some(words))
}
