//! The side that clients see: connections, commands, published events.
//!
//! Everything here runs on one thread with a runtime of its own, so that no number of clients delays a PING to a
//! master. What only reads is answered from the [`View`]; what changes something, or votes, goes to the monitor's
//! thread as an [`Ask`] and is answered when that is done. Events come from there and go out to subscribers in order.
//!
//! A client that misbehaves costs only itself: what it sends is bounded by its decoder, what it does not read stops
//! its requests, or cuts it off if it subscribed, and nothing that it does blocks another.

mod acl;
mod client;
mod command;
mod listener;
mod outbox;
mod pubsub;
mod registry;
mod session;
mod stats;
mod syntax;
mod table;
#[cfg(test)]
mod tests;

use std::{
    cell::Cell,
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    os::fd::AsRawFd as _,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use sentinel_core::{ClientId, View, command::Change, events::Event, time::Now};
use sentinel_resp::Reply;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

use self::{acl::Users, client::Client, pubsub::Hub, registry::Registry, stats::Stats};
use crate::config;

pub(crate) use acl::check_line as check_user;
pub use acl::{Access, AccessError};
pub use listener::{ListenError, Listeners};

/// The version of the reference whose behaviour clients may rely on.
pub const REDIS_VERSION: &str = "7.0.15";

/// A command that the monitor's thread executes.
#[derive(Debug)]
pub struct Ask {
    /// Who asks.
    pub client: ClientId,
    /// What for.
    pub change: Change,
    /// Where the answer goes. Dropped without one, the client hears that the process is stopping.
    pub reply: oneshot::Sender<Reply>,
}

/// What the sessions share with the monitor's thread.
pub struct Monitor {
    /// What is known, swapped on each change.
    pub view: Arc<ArcSwap<View>>,
    /// Takes commands to the engine.
    pub changes: mpsc::Sender<Ask>,
    /// Brings what happens, in order.
    pub events: mpsc::UnboundedReceiver<Event>,
    /// The clock that the moments in the view were read from.
    pub clock: Box<dyn Fn() -> Now + Send>,
}

/// What INFO says about the process.
#[derive(Clone, Debug)]
pub struct Identity {
    /// 40 hex digits, new at each start.
    pub run_id: String,
    /// Which build this is.
    pub build_id: String,
    /// Name, release and machine of the operating system.
    pub system: String,
    /// `no`, `systemd` or `upstart`.
    pub supervised: &'static str,
    /// The path of the program.
    pub executable: String,
    /// The path of the configuration; empty without one.
    pub config_file: String,
}

/// Why serving ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// A client sent SHUTDOWN.
    ByClient,
    /// The process decided so.
    ByProcess,
}

/// What all sessions share.
pub(crate) struct Server {
    settings: config::Server,
    port: u16,
    identity: Identity,
    view: Arc<ArcSwap<View>>,
    changes: mpsc::Sender<Ask>,
    clock: Box<dyn Fn() -> Now + Send>,
    users: Users,
    clients: Rc<Registry>,
    hub: Hub,
    stats: Stats,
    shutdown: Notify,
    /// Where sessions read to, one after the other. Empty while one of them executes what it has read.
    room: Cell<BytesMut>,
    /// Where answers are put, lent in the same way until they are sent.
    answers: Cell<BytesMut>,
}

/// Accepts connections and serves them until SHUTDOWN, or until `stop` is ready.
///
/// Must run on a current-thread runtime, inside of [`LocalSet`](tokio::task::LocalSet) or not: sessions are polled by
/// this future itself.
///
/// # Errors
///
/// When the listening sockets cannot be given to the runtime. Afterwards no client can end it.
pub async fn run(
    listeners: Listeners,
    settings: config::Server,
    access: Access,
    identity: Identity,
    monitor: Monitor,
    stop: impl Future<Output = ()>,
) -> io::Result<Stopped> {
    let Monitor { view, changes, mut events, clock } = monitor;
    let server = Rc::new(Server {
        settings,
        port: listeners.port(),
        identity,
        view,
        changes,
        clock,
        users: Users::new(access),
        clients: Rc::default(),
        hub: Hub::default(),
        stats: Stats::start(),
        shutdown: Notify::new(),
        room: Cell::default(),
        answers: Cell::default(),
    });
    let sockets = listeners.into_sockets().into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            let mut accepting = JoinSet::new();
            for socket in sockets {
                accepting.spawn_local(accept(Rc::clone(&server), socket));
            }
            let publishing = async {
                while let Some(event) = events.recv().await {
                    server.hub.publish(event.channel(), &event.payload());
                }
                // The monitor is gone; the process will say when to stop.
                std::future::pending().await
            };
            let ends: [LocalBoxFuture<'_, Stopped>; 3] = [
                Box::pin(server.shutdown.notified().map(|()| Stopped::ByClient)),
                Box::pin(stop.map(|()| Stopped::ByProcess)),
                Box::pin(publishing),
            ];
            // This future is polled whenever any session is; these are polled only when they themselves are woken.
            let mut ends = FuturesUnordered::from_iter(ends);
            Ok(ends.next().await.unwrap_or(Stopped::ByProcess))
        })
        .await
}

async fn accept(server: Rc<Server>, socket: TcpListener) {
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                server.stats.connections.add(1);
                welcome(&server, stream, peer);
            }
            // One that was lost before it was accepted is nobody's problem.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                // No descriptors are left, most likely. Clients that leave free some.
                tracing::warn!(%error, "cannot accept connections");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn welcome(server: &Rc<Server>, stream: TcpStream, peer: SocketAddr) {
    if let Some(refusal) = refusal(server, peer) {
        server.stats.rejected.add(1);
        // As much as the fresh socket takes at once; nobody waits for the rest.
        let _ = stream.try_write(format!("-{refusal}\r\n").as_bytes());
        return;
    }
    let prepared = listener::prepare(&stream, server.settings.tcp_keepalive);
    let (Ok(()), Ok(local)) = (&prepared, stream.local_addr()) else {
        tracing::debug!(client = %peer, ?prepared, "a client was gone before it was served");
        return;
    };
    // Registered before anything else is accepted, so that no burst of connections gets past the bound.
    let (descriptor, limits) = (stream.as_raw_fd(), server.settings.output_limits);
    let (client, registration) =
        server.clients.add(|id| Client::new(id, (peer, local), descriptor, &server.users, limits));
    let server = Rc::clone(server);
    tokio::task::spawn_local(async move {
        session::serve(&server, &client, stream).await;
        drop(registration);
    });
}

/// Why this connection is not served, if it is not.
fn refusal(server: &Server, peer: SocketAddr) -> Option<&'static str> {
    if server.clients.len() >= server.settings.max_clients as usize {
        return Some("ERR max number of clients reached");
    }
    is_protected_from(peer.ip(), &server.settings, &server.users).then_some(PROTECTED)
}

/// Whether protected mode keeps this host out: nobody set a password, and it is another host.
fn is_protected_from(peer: IpAddr, settings: &config::Server, users: &Users) -> bool {
    settings.protected_mode && users.is_open() && !peer.to_canonical().is_loopback()
}

const PROTECTED: &str = "DENIED Redis is running in protected mode: without a password for the default user it accepts \
                         connections from this host only. Set a password with requirepass, or set protected-mode to no \
                         if nobody else can reach this port.";
