//! What a command says to a Sentinel and hears from it, with TLS or without.

use std::{
    io::{self, Read, Write},
    net::{TcpStream, ToSocketAddrs as _},
    sync::Arc,
    time::{Duration, Instant},
};

use redis::{Cmd, Parser, RedisError, Value};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, StreamOwned,
    pki_types::{CertificateDer, ServerName},
};

use super::target::{Place, Tls};
use crate::tls::{Asking, Failure, Side, TlsError};

impl Tls {
    /// Reads what the options name.
    pub(super) fn config(&self) -> Result<Arc<ClientConfig>, TlsError> {
        let asking = Asking {
            authorities: self.cacert.clone(),
            authorities_folder: self.cacertdir.clone(),
            certificate: self.cert.clone(),
            key: self.key.clone(),
            anyone: self.insecure,
        };
        asking.config()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// The answer is an error.
    Refused(RedisError),
    /// What came is no answer, or only a part of one.
    Garbled(RedisError),
    /// Nothing came, or no connection.
    Lost(io::Error),
}

impl From<io::Error> for Unanswered {
    fn from(error: io::Error) -> Self {
        Unanswered::Lost(error)
    }
}

/// Sends commands one after the other and returns the last answer. Each must be answered without an error, all together
/// within `patience`.
pub(super) fn query(
    config: Option<Arc<ClientConfig>>,
    place: &Place,
    commands: &[Cmd],
    patience: Duration,
) -> Result<Value, Unanswered> {
    Conversation::begin(config, place, patience)?.say(commands, patience)
}

/// A connection to a Sentinel.
pub(super) struct Conversation {
    stream: Box<dyn Stream>,
    socket: TcpStream,
    parser: Parser,
}

trait Stream: Read + Write {
    /// The certificate that the other side has shown.
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        None
    }
}

impl Stream for TcpStream {}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.conn.peer_certificates()?.first().cloned()
    }
}

impl Conversation {
    /// Connects.
    pub(super) fn begin(
        config: Option<Arc<ClientConfig>>,
        (host, port): &Place,
        patience: Duration,
    ) -> Result<Self, Unanswered> {
        let stream = connect(host, *port, Instant::now() + patience)?;
        let socket = stream.try_clone()?;
        let stream: Box<dyn Stream> = match config {
            None => Box::new(stream),
            Some(config) => {
                // It is neither sent nor compared with the certificate, as with redis-cli.
                let name = ServerName::IpAddress(stream.peer_addr()?.ip().into());
                Box::new(StreamOwned::new(ClientConnection::new(config, name).map_err(io::Error::other)?, stream))
            }
        };
        Ok(Self { stream, socket, parser: Parser::new() })
    }

    /// Sends commands one after the other and returns the last answer.
    pub(super) fn say(&mut self, commands: &[Cmd], patience: Duration) -> Result<Value, Unanswered> {
        let deadline = Instant::now() + patience;
        let mut answer = Value::Nil;
        for command in commands {
            let left = left(deadline)?;
            self.socket.set_read_timeout(Some(left))?;
            self.socket.set_write_timeout(Some(left))?;
            let packed = command.get_packed_command();
            self.stream.write_all(&packed).and_then(|()| self.stream.flush()).map_err(failed)?;
            answer = self.read()?.extract_error().map_err(Unanswered::Refused)?;
        }
        Ok(answer)
    }

    /// The certificate that the other side has shown, once something was said.
    pub(super) fn certificate(&self) -> Option<CertificateDer<'static>> {
        self.stream.certificate()
    }

    /// The next message, for as long as it takes.
    pub(super) fn next(&mut self) -> Result<Value, Unanswered> {
        self.socket.set_read_timeout(None)?;
        self.read()
    }

    fn read(&mut self) -> Result<Value, Unanswered> {
        let mut reader = Explained(&mut self.stream, None);
        match self.parser.parse_value(&mut reader) {
            Ok(value) => Ok(value),
            Err(error) => Err(reader.1.take().map_or(Unanswered::Garbled(error), Unanswered::Lost)),
        }
    }
}

fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

fn failed(error: io::Error) -> io::Error {
    match Failure::of_handshake(&error, Side::Asking) {
        Failure::Refused(why) => io::Error::other(format!("TLS: {why}")),
        Failure::Broken(_) => error,
    }
}

/// Remembers what the parser would put in its own words.
struct Explained<'a, S>(&'a mut S, Option<io::Error>);

impl<S: Read> Read for Explained<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer) {
            Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted) => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.1 = Some(failed(error));
                Err(kind.into())
            }
            Ok(read) => Ok(read),
        }
    }
}
