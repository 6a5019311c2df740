//! Clients come in.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt as _;
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{unconstrained, yield_now},
    time::sleep,
};
use tokio_util::task::TaskTracker;

use super::{ProxyError, Shared, client};

/// Connections that may wait to be accepted; the kernel may allow fewer.
const BACKLOG: i32 = 1024;
/// A client that says nothing is probed after this time, as redis-server does it.
const KEEPALIVE: Duration = Duration::from_secs(300);
/// While the system has no descriptor, or refuses otherwise, none is accepted for this long.
const PAUSE: Duration = Duration::from_millis(100);

/// A port.
pub(super) struct Listener {
    pub(super) address: SocketAddr,
    pub(super) socket: TcpListener,
}

impl Listener {
    /// Listens. When it is shared, another proxy may listen at the same port: the next version, while this one comes to
    /// its end.
    pub(super) fn bind(address: SocketAddr, shared: bool) -> Result<Self, ProxyError> {
        let listen = |address: SocketAddr| -> io::Result<TcpListener> {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
            socket.set_reuse_address(true)?;
            socket.set_reuse_port(shared)?;
            if address.is_ipv6() {
                socket.set_only_v6(false)?;
            }
            socket.set_nonblocking(true)?;
            socket.bind(&address.into())?;
            socket.listen(BACKLOG)?;
            TcpListener::from_std(socket.into())
        };
        let listened = match listen(address) {
            // A machine without IPv6: all its addresses are of IPv4.
            Err(_) if address.ip() == Ipv6Addr::UNSPECIFIED => listen((Ipv4Addr::UNSPECIFIED, address.port()).into()),
            listened => listened,
        };
        let socket = listened.map_err(|source| ProxyError::Listen { address, source })?;
        // Port 0 is any.
        let address = socket.local_addr().unwrap_or(address);
        Ok(Self { address, socket })
    }

    /// Accepts until the listeners have to close, and those that have connected by then.
    pub(super) async fn run(self, shared: Arc<Shared>, clients: TaskTracker) {
        while let Some(accepted) = shared.closing.run_until_cancelled(self.socket.accept()).await {
            if !take(accepted, &shared, &clients) {
                let _ = shared.closing.run_until_cancelled(sleep(PAUSE)).await;
            }
        }
        // The runtime learns of those that have just come.
        yield_now().await;
        // No more than may wait: others go on coming.
        for _ in 0..BACKLOG {
            let Some(accepted) = unconstrained(self.socket.accept()).now_or_never() else { return };
            if !take(accepted, &shared, &clients) {
                return;
            }
        }
    }
}

/// Takes what `accept` has brought. False when the system has nothing to spare for a connection.
fn take(accepted: io::Result<(TcpStream, SocketAddr)>, shared: &Arc<Shared>, clients: &TaskTracker) -> bool {
    match accepted {
        Ok((stream, from)) => admit(stream, from, shared, clients),
        Err(error) if is_of_one_connection(&error) => {}
        Err(error) => {
            shared.counts.refuse(no_room(&error));
            return false;
        }
    }
    true
}

fn admit(stream: TcpStream, from: SocketAddr, shared: &Arc<Shared>, clients: &TaskTracker) {
    // A socket that refuses an option still works, only less promptly.
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
    let client = shared.counts.enter();
    if shared.counts.clients() > shared.max_clients {
        let most = shared.max_clients;
        shared.counts.refuse(format_args!("{most} clients are connected: {from} is turned away"));
        drop(client);
        // The words of the servers. What does not fit at once is not waited for.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    }
    // It leaves the thread that accepts.
    let stream = match stream.into_std() {
        Ok(stream) => stream,
        Err(error) => return shared.counts.refuse(no_room(&error)),
    };
    let (served, end) = (shared.clone(), clients.token());
    shared.threads.spawn_pinned(move || async move {
        match TcpStream::from_std(stream) {
            Ok(stream) => client::serve(stream, from, &served).await,
            Err(error) => served.counts.refuse(no_room(&error)),
        }
        drop((client, end));
    });
}

/// The system has nothing to spare for a connection.
fn no_room(error: &io::Error) -> String {
    format!("no client can be accepted: {error}")
}

/// It was closed before it was accepted.
fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
