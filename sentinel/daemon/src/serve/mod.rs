//! The side that clients see: connections, commands, published events.
//!
//! Everything here runs on one thread with a runtime of its own, so that no number of clients delays a PING to a
//! master. What only reads is answered from the [`View`]; what changes something, or votes, goes to the monitor's
//! thread as an [`Ask`] and is answered when that is done. Events come from there and go out to subscribers in order.
//!
//! A client that misbehaves costs only itself: what it sends is bounded by its decoder, what it does not read stops
//! its requests, or cuts it off if it subscribed, and nothing that it does blocks another.

mod acl;
mod certificate;
mod client;
mod command;
mod crowd;
mod guest;
mod listener;
mod literal;
mod order;
mod outbox;
mod pubsub;
mod registry;
mod sample;
mod session;
mod stats;
#[cfg(test)]
mod tests;
mod wording;

use std::{
    cell::{Cell, RefCell},
    future::Future,
    io,
    os::fd::OwnedFd,
    rc::Rc,
    sync::Arc,
    time::Duration,
};

use arc_swap::ArcSwap;
use bytes::BytesMut;
use futures::{
    FutureExt as _, StreamExt as _,
    future::{BoxFuture, LocalBoxFuture},
    stream::FuturesUnordered,
};
use sentinel_core::{ClientId, View, command::Change, events::Event, time::Now};
use sentinel_resp::Reply;
use tokio::{
    io::AsyncWriteExt as _,
    net::TcpStream,
    sync::{Notify, mpsc, oneshot},
    task::JoinSet,
};

use self::{
    acl::Users,
    client::Client,
    crowd::Crowd,
    guest::{Address, Entrance, Guest},
    pubsub::Hub,
    registry::Registry,
    stats::{Stats, Turns},
};
use crate::{
    commands::Names,
    config,
    descriptors::{self, Purpose},
    meters::Meters,
    tls,
};

pub(crate) use acl::check_line as check_user;
pub use acl::{Access, AccessError};
pub use listener::{ListenError, Listeners, SocketFile};
pub(crate) use listener::{bind_all, prepare};
pub(crate) use order::{order, without_interface};

/// How long the end of serving waits for the answers that clients wait for.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How often it is looked whether there are any.
const LAST_ANSWERS_LOOKED_FOR: Duration = Duration::from_millis(5);

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
    /// Reads the configuration again, and says what became of it.
    pub reload: Box<dyn Fn() -> BoxFuture<'static, Reply> + Send>,
    /// What is counted.
    pub meters: Arc<Meters>,
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
    meters: Arc<Meters>,
    port: u16,
    /// What is listened on, each as INFO tells it.
    listening: Vec<(u8, String)>,
    /// How the clients without TLS are served.
    turns: Rc<Turns>,
    identity: Identity,
    view: Arc<ArcSwap<View>>,
    changes: mpsc::Sender<Ask>,
    clock: Box<dyn Fn() -> Now + Send>,
    reload: Box<dyn Fn() -> BoxFuture<'static, Reply> + Send>,
    users: Users,
    names: Names,
    clients: Rc<Registry>,
    hub: Hub,
    stats: Stats,
    shutdown: Notify,
    /// Held once more by everybody who waits for an answer of the monitor.
    waiting: Rc<()>,
    /// Where sessions read to, one after the other. Empty while one of them executes what it has read.
    room: RefCell<BytesMut>,
    /// Where answers are put, lent in the same way until they are sent.
    answers: RefCell<BytesMut>,
    /// When an attack was last told of.
    attack_told: Cell<Option<tokio::time::Instant>>,
}

impl Server {
    /// A client as the log may describe it.
    fn logged(&self, client: &Client) -> String {
        client.described(self.settings.hide_user_data == Some(true))
    }

    /// Waits until nobody waits for an answer of the monitor, and what was answered is sent.
    async fn all_are_answered(&self) {
        while Rc::strong_count(&self.waiting) > 1 {
            tokio::time::sleep(LAST_ANSWERS_LOOKED_FOR).await;
            // With nobody left this turn is that in which the last session sends.
            tokio::task::yield_now().await;
        }
    }

    /// Says that a browser was led to talk to this port; as often as the reference does, since everybody can cause it.
    fn warn_of_attack(&self, peer: &Address, now: tokio::time::Instant) {
        if self.attack_told.get().is_some_and(|at| now.duration_since(at) < ATTACKS_TOLD_EVERY) {
            return;
        }
        self.attack_told.set(Some(now));
        tracing::warn!(
            client = %peer,
            "Possible SECURITY ATTACK detected: a request from {peer} begins as HTTP does (POST or Host:), as browsers can \
             be made to send it. Connection aborted."
        );
    }
}

/// Accepts connections and serves them until SHUTDOWN, or until `stop` is ready.
///
/// Must run on a current-thread runtime, inside of [`LocalSet`](tokio::task::LocalSet) or not: sessions are polled by
/// this future itself.
///
/// # Errors
///
/// When the listening sockets cannot be given to the runtime, and when the system tells no more what happens to clients.
/// No client can cause that.
pub async fn run(
    listeners: Listeners,
    settings: config::Server,
    access: Access,
    identity: Identity,
    monitor: Monitor,
    stop: impl Future<Output = ()>,
) -> io::Result<Stopped> {
    let Monitor { view, changes, mut events, clock, reload, meters } = monitor;
    // The configuration was checked when it was read.
    let names = Names::new(&settings.rename_commands).map_err(io::Error::other)?;
    let (crowd, happenings) = Crowd::new()?;
    let server = Rc::new(Server {
        listening: listeners.described(&settings.bind),
        turns: crowd.turns(),
        settings,
        port: listeners.port(),
        identity,
        view,
        changes,
        clock,
        reload,
        users: Users::new(access),
        names,
        clients: Rc::new(Registry::new(Arc::clone(&meters))),
        hub: Hub::new(Arc::clone(&meters)),
        meters,
        stats: Stats::start(),
        shutdown: Notify::new(),
        waiting: Rc::default(),
        room: RefCell::default(),
        answers: RefCell::default(),
        attack_told: Cell::default(),
    });
    let entrances = listeners.into_doors().into_iter().map(Entrance::open).collect::<io::Result<Vec<_>>>()?;
    let crowd = Rc::new(crowd);
    let tasks = tokio::task::LocalSet::new();
    tasks
        .run_until(async {
            let mut accepting = JoinSet::new();
            for entrance in entrances {
                accepting.spawn_local(accept(Rc::clone(&server), Rc::clone(&crowd), entrance));
            }
            let publishing = async {
                while let Some(event) = events.recv().await {
                    if event.channel() == "+tilt" {
                        server.stats.tilts.add(1);
                    }
                    server.hub.publish(event.channel(), &event.payload());
                }
                // The monitor is gone; the process will say when to stop.
                std::future::pending().await
            };
            // A task of its own, not to be polled with everything else; it may do more in one turn than others.
            let serving = Rc::clone(&crowd);
            let serving =
                tokio::task::spawn_local(tokio::task::unconstrained(async move { serving.serve(happenings).await }));
            let ends: [LocalBoxFuture<'_, io::Result<Stopped>>; 4] = [
                Box::pin(server.shutdown.notified().map(|()| Ok(Stopped::ByClient))),
                Box::pin(stop.map(|()| Ok(Stopped::ByProcess))),
                Box::pin(publishing),
                Box::pin(serving.map(|ended| ended.map_err(io::Error::other)?.map(|()| Stopped::ByProcess))),
            ];
            // This future is polled whenever any session is; these are polled only when they themselves are woken.
            let mut ends = FuturesUnordered::from_iter(ends);
            let stopped = ends.next().await.unwrap_or(Ok(Stopped::ByProcess));
            if stopped.is_ok() {
                // Nobody else is let in; who waits for an answer, of the disk for example, gets it.
                accepting.abort_all();
                let answered = tokio::time::timeout(LAST_ANSWERS, server.all_are_answered());
                tokio::select! {
                    _ = answered => {}
                    _ = ends.next() => {}
                }
            }
            stopped
        })
        .await
}

async fn accept(server: Rc<Server>, crowd: Rc<Crowd>, entrance: Entrance) {
    loop {
        match entrance.next().await {
            Ok(guest) => {
                server.stats.connections.add(1);
                welcome(&server, &crowd, guest);
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

fn welcome(server: &Rc<Server>, crowd: &Crowd, guest: Guest) {
    tracing::debug!("Accepted {guest}");
    let prepared = guest.tcp().map_or(Ok(()), |stream| listener::prepare(stream, server.settings.tcp_keepalive));
    let (Ok(()), Ok((ends, descriptor))) = (&prepared, guest.ends()) else {
        tracing::debug!(?prepared, "a client was gone before it was served");
        return;
    };
    let crowded = descriptors::is_kept_from(Purpose::Client, descriptor).then_some(TOO_MANY);
    if let Some(refusal) = crowded.or_else(|| refusal(server, &guest, &ends.0)) {
        server.stats.rejected.add(1);
        guest.turn_away(refusal);
        return;
    }
    // Registered before anything else is accepted, so that no burst of connections gets past the bound.
    let limits = server.settings.output_limits;
    let (client, registration) =
        server.clients.add(|id| Client::new(id, ends, descriptor, &server.users, limits, server.settings.compatible));
    let server = Rc::clone(server);
    let socket = match guest {
        Guest::Plain(stream, _) => stream.into_std().map(OwnedFd::from),
        Guest::Local(stream, _) => stream.into_std().map(OwnedFd::from),
        Guest::Encrypted(stream, _, tls) => {
            tokio::task::spawn_local(async move {
                let _registration = registration;
                if let Some(stream) = tls.accept(stream, &client.peer).await {
                    serve_encrypted(&server, &client, stream).await;
                }
            });
            return;
        }
    };
    let session = |connection| async move {
        let _registration = registration;
        session::serve(&server, &client, connection).await;
    };
    if let Err(error) = socket.and_then(|socket| crowd.welcome(socket, session)) {
        tracing::warn!(%error, "cannot serve a client");
    }
}

async fn serve_encrypted(server: &Rc<Server>, client: &Rc<Client>, mut stream: tls::Stream<TcpStream>) {
    if is_protected_from(&client.peer, &server.settings, &server.users) {
        server.stats.rejected.add(1);
        let refusal = format!("-{PROTECTED}\r\n");
        // It may not want to hear it.
        let _ = tokio::time::timeout(session::FAREWELL, stream.write_all(refusal.as_bytes())).await;
    } else {
        if let Some(field) = server.settings.tls.auth_clients_user {
            certificate::log_in(server, client, &stream, field);
        }
        session::serve(server, client, &mut stream).await;
    }
    if client.was_cut().is_none() {
        // The last answers may still be inside, and who reads to the end is told that it is the end.
        let _ = tokio::time::timeout(session::FAREWELL, stream.shutdown()).await;
    }
}

/// Why this connection is not served, if it is not.
fn refusal(server: &Server, guest: &Guest, peer: &Address) -> Option<&'static str> {
    if server.clients.len() >= server.settings.max_clients as usize {
        return Some(TOO_MANY);
    }
    let can_hear = !matches!(guest, Guest::Encrypted(..));
    (can_hear && is_protected_from(peer, &server.settings, &server.users)).then_some(PROTECTED)
}

/// Whether protected mode keeps this client out: nobody set a password, and it is on another host.
fn is_protected_from(peer: &Address, settings: &config::Server, users: &Users) -> bool {
    let is_near = match peer {
        Address::Ip(peer) => peer.ip().to_canonical().is_loopback(),
        Address::Local(_) => true,
    };
    settings.protected_mode && users.is_open() && !is_near
}

/// The reference's pause between two such warnings.
const ATTACKS_TOLD_EVERY: Duration = Duration::from_secs(60);

const TOO_MANY: &str = "ERR max number of clients reached";

const PROTECTED: &str = "DENIED Redis is running in protected mode: without a password for the default user it accepts \
                         connections from this host only. Set a password with requirepass, or set protected-mode to no \
                         if nobody else can reach this port.";
