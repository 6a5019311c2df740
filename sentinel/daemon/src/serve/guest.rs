//! A connection that has just been accepted, whatever it came over.

use std::{fmt, io, net::SocketAddr, os::fd::AsRawFd as _, path::Path, rc::Rc, sync::Arc};

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::listener::Door;
use crate::tls;

/// An end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// Of TCP.
    Ip(SocketAddr),
    /// Of a Unix socket: its path. Both ends are called by it.
    Local(Rc<str>),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Ip(address) => address.fmt(f),
            Address::Local(path) => write!(f, "{path}:0"),
        }
    }
}

/// Who came, as the log names them.
impl fmt::Display for Guest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Guest::Plain(_, peer) | Guest::Encrypted(_, peer, _) => write!(f, "{}:{}", peer.ip(), peer.port()),
            Guest::Local(_, path) => write!(f, "connection to {path}"),
        }
    }
}

/// A door in use by the runtime.
pub(super) enum Entrance {
    Plain(TcpListener),
    Encrypted(TcpListener, Arc<tls::Incoming>),
    Local(UnixListener, Rc<str>),
}

/// Who came in.
pub(super) enum Guest {
    Plain(TcpStream, SocketAddr),
    Encrypted(TcpStream, SocketAddr, Arc<tls::Incoming>),
    Local(UnixStream, Rc<str>),
}

impl Entrance {
    pub(super) fn open(door: Door) -> io::Result<Self> {
        Ok(match door {
            Door::Plain(socket) => Entrance::Plain(TcpListener::from_std(socket)?),
            Door::Encrypted(socket, tls) => Entrance::Encrypted(TcpListener::from_std(socket)?, tls),
            Door::Local(socket, path) => Entrance::Local(UnixListener::from_std(socket)?, shown(&path)),
        })
    }

    pub(super) async fn next(&self) -> io::Result<Guest> {
        Ok(match self {
            Entrance::Plain(socket) => {
                let (stream, peer) = socket.accept().await?;
                Guest::Plain(stream, peer)
            }
            Entrance::Encrypted(socket, tls) => {
                let (stream, peer) = socket.accept().await?;
                Guest::Encrypted(stream, peer, Arc::clone(tls))
            }
            Entrance::Local(socket, path) => Guest::Local(socket.accept().await?.0, Rc::clone(path)),
        })
    }
}

impl Guest {
    /// Its address, its own socket's, and the descriptor.
    pub(super) fn ends(&self) -> io::Result<((Address, Address), i32)> {
        Ok(match self {
            Guest::Plain(stream, peer) | Guest::Encrypted(stream, peer, _) => {
                ((Address::Ip(*peer), Address::Ip(stream.local_addr()?)), stream.as_raw_fd())
            }
            Guest::Local(stream, path) => {
                let address = Address::Local(Rc::clone(path));
                ((address.clone(), address), stream.as_raw_fd())
            }
        })
    }

    /// The socket, if it is one of TCP.
    pub(super) const fn tcp(&self) -> Option<&TcpStream> {
        match self {
            Guest::Plain(stream, _) | Guest::Encrypted(stream, ..) => Some(stream),
            Guest::Local(..) => None,
        }
    }

    /// Says something to one who is not let in, as much as the fresh socket takes at once. Who speaks TLS would not
    /// understand it before the handshake.
    pub(super) fn turn_away(&self, refusal: &str) {
        let line = format!("-{refusal}\r\n");
        // Nobody waits for the rest.
        let _ = match self {
            Guest::Plain(stream, _) => stream.try_write(line.as_bytes()),
            Guest::Local(stream, _) => stream.try_write(line.as_bytes()),
            Guest::Encrypted(..) => Ok(0),
        };
    }
}

fn shown(path: &Path) -> Rc<str> {
    path.to_string_lossy().into()
}
