//! Opening a transport to an instance.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd as _,
    sync::Arc,
    time::Duration,
};

use sentinel_core::{LinkFault, types::HostPort};
use tokio::net::{TcpSocket, TcpStream};

use super::{
    connection::Transport,
    handshake::HANDSHAKE_TIMEOUT,
    inbox::Outbox,
    link,
    other_protocol::{NO_TLS_THERE, ONLY_TLS_THERE, OtherProtocol, SILENT_HANDSHAKE},
    resolve::Resolver,
};
use crate::{
    config::{SourceAddress, system_text},
    descriptors::{self, Purpose},
    tls,
};

/// How long one attempt may take to resolve the name and to connect.
///
/// The kernel repeats a lost SYN after 1, 3 and 7 s; a new attempt finds a host that came back sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How connections are opened, for all links.
#[derive(Clone, Default)]
pub struct Dialer {
    resolver: Resolver,
    source: Option<SourceAddress>,
    tls: Option<Arc<tls::Outgoing>>,
    purpose: Purpose,
    other_protocol: OtherProtocol,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dialer").field("source", &self.source).finish_non_exhaustive()
    }
}

/// An open transport.
pub(super) struct Dialed {
    pub(super) transport: Box<dyn Transport>,
    /// The own address as the instance sees it.
    pub(super) local: Option<IpAddr>,
    /// Whom it leads to.
    pub(super) peer: SocketAddr,
}

impl Dialer {
    /// Connections leave from `source` (`bind-source-addr`), or from the address the system chooses, and are encrypted
    /// if there is something to do it with (`tls-replication`).
    pub fn new(source: Option<SourceAddress>, tls: Option<Arc<tls::Outgoing>>) -> Self {
        Dialer { source, tls, ..Dialer::default() }
    }

    /// Tells what every name resolves to from now on.
    pub(super) fn tell_names(&self, listener: Outbox) {
        self.resolver.tell(listener);
    }

    /// Looks up a name without connecting.
    pub(super) async fn look_up(&self, name: Arc<str>) {
        self.resolver.look_up(name).await;
    }

    /// The same for an instance that has been connected before: the last descriptors are for those.
    pub(super) fn again(&self) -> Self {
        Dialer { purpose: Purpose::LinkAgain, ..self.clone() }
    }

    /// Connects to the first address that answers.
    pub(super) async fn dial(&self, addr: &HostPort) -> Result<Dialed, LinkFault> {
        let attempt = async {
            let resolved = self.resolver.resolve(&addr.host).await;
            let addresses = resolved.map_err(|why| LinkFault::Unresolved(why.to_string()))?;
            let mut fault = LinkFault::Failed("no address to connect to".to_owned());
            for ip in addresses.iter().copied() {
                match self.connect(SocketAddr::new(ip, addr.port)).await {
                    Ok(stream) => {
                        self.resolver.reached(&addr.host, ip);
                        return Ok(stream);
                    }
                    Err(error) => fault = refused_or_failed(&error),
                }
            }
            Err(fault)
        };
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, attempt).await.unwrap_or_else(|_| {
            Err(LinkFault::Failed(format!("no connection within {} ms", CONNECT_TIMEOUT.as_millis())))
        })?;
        let local = stream.local_addr().ok().map(|addr| addr.ip());
        let peer = stream.peer_addr().map_err(|error| refused_or_failed(&error))?;
        let transport = match &self.tls {
            None => Box::new(stream),
            Some(tls) => self.encrypted(tls, stream, peer).await?,
        };
        Ok(Dialed { transport, local, peer })
    }

    /// Why the other side of a new connection hung up before it answered anything.
    pub(super) async fn explain_hang_up(&self, peer: SocketAddr, fault: LinkFault) -> LinkFault {
        if self.tls.is_none() && self.other_protocol.is_tls(peer, self.connect(peer)).await {
            return LinkFault::Untrusted(ONLY_TLS_THERE.to_owned());
        }
        fault
    }

    async fn encrypted(
        &self,
        tls: &tls::Outgoing,
        stream: TcpStream,
        peer: SocketAddr,
    ) -> Result<Box<dyn Transport>, LinkFault> {
        let handshake = async {
            match tls.connect(stream, peer.ip()).await {
                Ok(stream) => Ok(Box::new(stream) as Box<dyn Transport>),
                Err(tls::Failure::Refused(why)) => Err(LinkFault::Untrusted(why)),
                Err(tls::Failure::Broken(why)) => Err(LinkFault::Failed(why)),
            }
        };
        let plain = async {
            tokio::time::sleep(SILENT_HANDSHAKE).await;
            if !self.other_protocol.is_plain(self.connect(peer)).await {
                std::future::pending::<()>().await;
            }
        };
        let either = async {
            tokio::select! {
                biased;
                outcome = handshake => outcome,
                () = plain => Err(LinkFault::Untrusted(NO_TLS_THERE.to_owned())),
            }
        };
        link::within(HANDSHAKE_TIMEOUT, either).await
    }

    async fn connect(&self, addr: SocketAddr) -> io::Result<TcpStream> {
        let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        if descriptors::is_kept_from(self.purpose, socket.as_raw_fd()) {
            return Err(io::Error::from_raw_os_error(EMFILE));
        }
        if let Some(source) = self.source.as_ref().filter(|source| source.fits(addr)) {
            socket.bind(source.resolve()?)?;
        }
        let stream = socket.connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

/// These have no kinds of their own: too many open files here, in the system, no buffers.
const EMFILE: i32 = 24;
const ENFILE: i32 = 23;
const ENOBUFS: i32 = 105;

fn refused_or_failed(error: &io::Error) -> LinkFault {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => LinkFault::Refused,
        io::ErrorKind::OutOfMemory => LinkFault::Exhausted(system_text(error)),
        _ if matches!(error.raw_os_error(), Some(EMFILE | ENFILE | ENOBUFS)) => {
            LinkFault::Exhausted(system_text(error))
        }
        _ => LinkFault::Failed(system_text(error)),
    }
}
