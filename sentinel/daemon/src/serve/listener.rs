//! Sockets that clients connect to.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs as _},
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::config::BindAddress;

/// Sockets that are bound and listen. Connections wait in them until [`run`](super::run) serves them.
#[derive(Debug)]
pub struct Listeners {
    sockets: Vec<TcpListener>,
}

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} port {port}: {source}; free the port, or change `port` or `bind`")]
pub struct ListenError {
    /// As it stands in the configuration.
    pub address: String,
    /// The port.
    pub port: u16,
    /// What the system says.
    pub source: io::Error,
}

impl Listeners {
    /// Binds every address, all on the same port, and begins to listen. Port 0 lets the system choose one.
    ///
    /// A name is resolved, which may block: this belongs into the start of a process.
    ///
    /// # Errors
    ///
    /// When an address that is not optional cannot be bound, or none at all can.
    pub fn bind(addresses: &[BindAddress], mut port: u16, backlog: u32) -> Result<Self, ListenError> {
        let mut sockets = Vec::new();
        let mut skipped = None;
        for bind in addresses {
            let failed = |source| ListenError { address: bind.address.clone(), port, source };
            let listening = resolve(&bind.address, port)
                .and_then(|addresses| addresses.into_iter().map(|address| listen(address, backlog)).collect());
            let listening: Vec<TcpListener> = match listening {
                Ok(listening) => listening,
                Err(error) if bind.optional && is_absent(&error) => {
                    skipped = Some(failed(error));
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            if port == 0 {
                // What the system chose for the first address holds for all.
                port = listening.first().and_then(|socket| socket.local_addr().ok()).map_or(0, |local| local.port());
            }
            sockets.extend(listening);
        }
        match skipped {
            Some(error) if sockets.is_empty() => Err(error),
            _ => Ok(Self { sockets }),
        }
    }

    /// The addresses that are listened on.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|socket| socket.local_addr().ok()).collect()
    }

    /// The port, 0 if nothing is listened on.
    pub fn port(&self) -> u16 {
        self.addresses().first().map_or(0, SocketAddr::port)
    }

    pub(super) fn into_sockets(self) -> Vec<TcpListener> {
        self.sockets
    }
}

fn resolve(address: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    match address {
        "*" => Ok(vec![(Ipv4Addr::UNSPECIFIED, port).into()]),
        "::*" => Ok(vec![(Ipv6Addr::UNSPECIFIED, port).into()]),
        literal => match literal.parse::<IpAddr>() {
            Ok(ip) => Ok(vec![(ip, port).into()]),
            Err(_) => Ok((literal, port).to_socket_addrs()?.take(1).collect()),
        },
    }
}

fn listen(address: SocketAddr, backlog: u32) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // `*` and `::*` stand beside each other.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Whether this host does not have the address, or not even its family.
fn is_absent(error: &io::Error) -> bool {
    // EAFNOSUPPORT, which has no kind of its own.
    const NO_SUCH_FAMILY: i32 = 97;
    matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::Unsupported)
        || error.raw_os_error() == Some(NO_SUCH_FAMILY)
}

/// Sets an accepted connection up: no delay, and probes while it is silent, so that a client whose host vanished is
/// noticed. As in the reference the first comes after `keepalive`, three more after a third of it each.
pub(super) fn prepare(stream: &tokio::net::TcpStream, keepalive: Option<Duration>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if let Some(after) = keepalive {
        let probes =
            TcpKeepalive::new().with_time(after).with_interval((after / 3).max(Duration::from_secs(1))).with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&probes)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str, optional: bool) -> BindAddress {
        BindAddress { address: address.into(), optional }
    }

    #[test]
    fn all_addresses_share_one_port() {
        let listeners = Listeners::bind(&[at("127.0.0.1", false), at("127.0.0.2", false)], 0, 16).unwrap();
        let addresses = listeners.addresses();
        assert_eq!(addresses.len(), 2);
        assert_ne!(listeners.port(), 0);
        assert!(addresses.iter().all(|address| address.port() == listeners.port()));
    }

    #[test]
    fn an_address_of_another_host_is_skipped_only_if_it_is_optional() {
        // 192.0.2.0/24 is for documentation: no host has it.
        let listeners = Listeners::bind(&[at("192.0.2.1", true), at("127.0.0.1", false)], 0, 16).unwrap();
        assert_eq!(listeners.addresses().len(), 1);
        assert!(Listeners::bind(&[at("192.0.2.1", false), at("127.0.0.1", false)], 0, 16).is_err());
        assert!(Listeners::bind(&[at("192.0.2.1", true)], 0, 16).is_err());
    }

    #[test]
    fn a_port_in_use_is_named_in_the_error() {
        let first = Listeners::bind(&[at("127.0.0.1", false)], 0, 16).unwrap();
        let error = Listeners::bind(&[at("127.0.0.1", true)], first.port(), 16).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        assert!(error.to_string().contains(&format!("127.0.0.1 port {}", first.port())), "{error}");
    }
}
