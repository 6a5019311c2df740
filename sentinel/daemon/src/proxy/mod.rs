//! `sentinel proxy`: for clients that know no Sentinel. They connect here, and reach whichever node is the master, or
//! one to read from.
//!
//! The SDK's pool says which node that is, and has verified its role. Bytes are passed on as they are: who logs in, and
//! as whom, is between the client and the node. When the node is no longer what it was taken for, the client's
//! connection is closed, so that it connects anew; while there is no node, new clients wait.

mod accept;
mod client;
mod counts;
mod endpoint;
mod pass;

use std::{
    io,
    net::SocketAddr,
    num::NonZeroUsize,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt as _;
use sd_notify::NotifyState;
use sentinel_sdk::{Builder, ConfigError, Event, SentinelPool};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{
    sync::CancellationToken,
    task::{LocalPoolHandle, TaskTracker},
};

use self::{accept::Listener, counts::Counts};
use crate::{
    log,
    open_files::{TooFewFiles, make_room},
    tls::{Incoming, Tls, TlsError},
};

/// What a proxy is told before it starts.
pub(crate) struct Settings {
    /// Where clients connect.
    pub(crate) listen: Vec<SocketAddr>,
    /// Other proxies may listen there, too.
    pub(crate) share_port: bool,
    /// Which deployment, and how it is reached.
    pub(crate) pool: Builder,
    /// Its name.
    pub(crate) name: String,
    /// Clients are for replicas, not for the master.
    pub(crate) reads: bool,
    /// More clients are turned away.
    pub(crate) max_clients: u32,
    /// How long clients wait for a node.
    pub(crate) wait: Duration,
    /// How long clients may take to come to an end at SIGTERM.
    pub(crate) drain: Duration,
    /// Where `/metrics`, `/livez` and `/readyz` are served.
    pub(crate) metrics: Option<SocketAddr>,
    /// Clients speak TLS.
    pub(crate) tls: Option<crate::config::Tls>,
    /// Threads that pass bytes on. `None`: as many as there are processors, at most four.
    pub(crate) threads: Option<NonZeroUsize>,
    /// How lines of the log look, and where they go.
    pub(crate) log: log::Options,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    /// The port cannot be listened at.
    #[error("cannot listen at {address}: {}", crate::config::system_text(.source))]
    Listen { address: SocketAddr, source: io::Error },
    /// A setting of the pool makes no sense.
    #[error(transparent)]
    Pool(#[from] ConfigError),
    /// A certificate or key cannot be used. The text has the names of the daemon's directives.
    #[error("--listen-cert, --listen-key, --listen-cacert: {0}")]
    Tls(#[from] TlsError),
    /// There is no room for a single client.
    #[error(transparent)]
    Files(#[from] TooFewFiles),
    /// The same.
    #[error("the limit of open files (ulimit -n) leaves no room for a client: each takes two, and 32 are kept back")]
    NoRoom,
    /// The log cannot be opened.
    #[error("the log cannot be written: {0}")]
    Log(io::Error),
    /// The system refuses something.
    #[error("{what}: {source}")]
    System { what: &'static str, source: io::Error },
}

/// What all clients share.
struct Shared {
    pool: SentinelPool,
    name: String,
    reads: bool,
    max_clients: usize,
    counts: Counts,
    tls: Option<Arc<Incoming>>,
    /// Where clients are served. Each stays on its thread, and its connection to a node, too: to wake another thread
    /// costs more than to pass a request on.
    threads: LocalPoolHandle,
    /// Listeners close.
    closing: CancellationToken,
    /// Connections end as soon as nothing is under way on them.
    draining: CancellationToken,
    /// They end now.
    over: CancellationToken,
}

/// How long the first look for replicas may take.
const FIRST_LOOK: Duration = Duration::from_secs(2);
/// How often the log says that there is still no master.
const REMIND: Duration = Duration::from_secs(60);
/// Most threads that are begun unless more are asked for.
const MOST_THREADS: usize = 4;
/// How long tasks have to end after they were told to, and the log to be opened anew.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
///
/// [`ProxyError`] when it cannot start; nothing has been served then.
pub(crate) fn run(settings: Settings) -> Result<(), ProxyError> {
    let _log = log::start(&settings.log).map_err(ProxyError::Log)?;
    // Each client has a connection of its own to a node.
    let granted = make_room(settings.max_clients.saturating_mul(2))?;
    let max_clients = granted.max_clients / 2;
    if max_clients == 0 {
        return Err(ProxyError::NoRoom);
    }
    if max_clients < settings.max_clients {
        tracing::warn!(max_clients, "the limit of open files (ulimit -n) leaves room for {max_clients} clients");
    }
    // It accepts and looks for the nodes; bytes are passed on elsewhere.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| ProxyError::System { what: "no event loop", source })?;
    runtime.block_on(serve(settings, max_clients))
}

/// One for each processor, within reason.
fn usual_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get).min(MOST_THREADS)
}

async fn serve(settings: Settings, max_clients: u32) -> Result<(), ProxyError> {
    let Settings { listen, share_port, pool, name, reads, wait, drain, metrics, tls, threads, .. } = settings;
    let certificates = match tls {
        Some(tls) => {
            let (loaded, warnings) = Tls::load(&tls)?;
            warn(&warnings);
            Some(Arc::new(loaded))
        }
        None => None,
    };
    let tls = certificates.as_deref().and_then(Tls::incoming).cloned();
    let listeners = listen.iter().map(|address| Listener::bind(*address, share_port)).collect::<Result<Vec<_>, _>>()?;
    let endpoint = match metrics {
        Some(address) => Some(Listener::bind(address, false)?),
        None => None,
    };
    let listened = |kind| signal(kind).map_err(|source| ProxyError::System { what: "no signals", source });
    let (mut terminate, mut interrupt) = (listened(SignalKind::terminate())?, listened(SignalKind::interrupt())?);
    let mut hangup = listened(SignalKind::hangup())?;
    let max_clients = usize::try_from(max_clients).unwrap_or(usize::MAX);
    // The proxy itself waits for the first master, too.
    let pool = pool.max_waiters(max_clients.saturating_add(1)).timeouts(waiting(wait)).build()?;
    let shared = Arc::new(Shared {
        pool: pool.clone(),
        name,
        reads,
        max_clients,
        counts: Counts::default(),
        tls,
        threads: LocalPoolHandle::new(threads.map_or_else(usual_threads, NonZeroUsize::get)),
        closing: CancellationToken::new(),
        draining: CancellationToken::new(),
        over: CancellationToken::new(),
    });
    if reads {
        // What looks for replicas begins on this thread, and not on that of the first client.
        drop(pool.replica());
        // Whoever came before they are known would go to the master, and stay there.
        let _ = tokio::time::timeout(wait.min(FIRST_LOOK), first_replica(&pool)).await;
    }
    let (acceptors, clients) = (TaskTracker::new(), TaskTracker::new());
    for listener in listeners {
        let (name, what) = (&shared.name, if reads { "replicas" } else { "master" });
        tracing::info!(address = %listener.address, "proxy of the {what} of {name} listens at {}", listener.address);
        acceptors.spawn(listener.run(shared.clone(), clients.clone()));
    }
    if let Some(endpoint) = endpoint {
        tracing::info!(address = %endpoint.address, "metrics are served at {}", endpoint.address);
        tokio::spawn(endpoint::serve(endpoint.socket, shared.clone()));
    }
    tokio::spawn(tell(shared.clone()));
    tokio::spawn(say_what_is_wrong(shared.clone()));
    // Without systemd there is nobody to be told.
    let _ = sd_notify::notify(&[NotifyState::Ready]);

    let signal = loop {
        tokio::select! {
            _ = terminate.recv() => break "SIGTERM",
            _ = interrupt.recv() => break "SIGINT",
            _ = hangup.recv() => {
                // It may wait for a disk.
                let certificates = certificates.clone();
                tokio::task::spawn_blocking(move || read_again(certificates.as_deref()));
            }
        }
    };
    let _ = sd_notify::notify(&[NotifyState::Stopping]);
    let began = Instant::now();
    let left = shared.counts.clients();
    tracing::info!(clients = left, "{signal}: no more clients are accepted; {left} are waited for up to {drain:?}");
    // First: who is cut and connects anew comes to another proxy at the same port, or is refused, and is not cut again.
    shared.closing.cancel();
    acceptors.close();
    acceptors.wait().await;
    shared.draining.cancel();
    clients.close();
    tokio::select! {
        () = clients.wait() => {}
        () = tokio::time::sleep(drain) => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    let cut = shared.counts.clients();
    shared.over.cancel();
    let _ = tokio::time::timeout(LAST_MOMENT, clients.wait()).await;
    pool.shutdown(Duration::ZERO).await;
    tracing::info!(cut, "ended after {:?}; {cut} clients were cut", began.elapsed());
    Ok(())
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        tracing::warn!("{warning}");
    }
}

/// Opens the log file anew, and reads certificates and keys again.
fn read_again(certificates: Option<&Tls>) {
    if let Err(error) = log::reopen(LAST_MOMENT) {
        tracing::warn!("the log file stays as it was: {error}");
    }
    match certificates.map(Tls::reload) {
        None => {}
        Some(Ok(warnings)) => {
            warn(&warnings);
            tracing::info!("certificates were read again");
        }
        Some(Err(error)) => tracing::warn!("the certificates stay as they were: {error}"),
    }
}

/// The pool's times, with the clients' wait.
fn waiting(wait: Duration) -> sentinel_sdk::Timeouts {
    let mut timeouts = sentinel_sdk::Timeouts::default();
    timeouts.wait = wait;
    timeouts
}

/// Completes when a replica can be read from.
async fn first_replica(pool: &SentinelPool) {
    let mut events = pool.events();
    drop(pool.replica());
    while !pool.replicas().iter().any(|replica| replica.readable) {
        if events.next().await.is_none() {
            return;
        }
    }
}

/// Says why there is no master from the start: a wrong name, a wrong password, no Sentinel.
async fn say_what_is_wrong(shared: Arc<Shared>) {
    while let Err(error) = shared.pool.dial_master().await {
        if shared.over.is_cancelled() {
            return;
        }
        tracing::warn!("{error}; clients wait");
        tokio::select! {
            () = tokio::time::sleep(REMIND) => {}
            () = shared.over.cancelled() => return,
        }
    }
}

/// Logs what becomes of the deployment, and counts it.
async fn tell(shared: Arc<Shared>) {
    let name = &shared.name;
    let mut events = shared.pool.events();
    while let Some(event) = events.next().await {
        if shared.over.is_cancelled() {
            return;
        }
        match event {
            Event::Switched { from, to, gap, config_epoch, .. } => {
                shared.counts.switches.add(1);
                let from = from.map_or_else(|| "nobody".to_owned(), |from| from.to_string());
                tracing::info!(%to, config_epoch, "master of {name} is {to} (before: {from}), found after {gap:?}");
                let status = format!("master of {name} is {to}");
                let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
            }
            Event::MasterLost { address, reason } => {
                tracing::warn!(%address, "master of {name} at {address} is lost: {reason}; new clients wait");
                let _ = sd_notify::notify(&[NotifyState::Status("no master; clients wait")]);
            }
            Event::MasterBack { address, gap } => {
                tracing::info!(%address, "master of {name} at {address} answers again after {gap:?}");
                let status = format!("master of {name} is {address}");
                let _ = sd_notify::notify(&[NotifyState::Status(&status)]);
            }
            Event::CandidateRejected { address, reason } => {
                tracing::warn!(%address, "{address} is not served as the master of {name}: {reason}");
            }
            Event::ReplicaFound { address } => tracing::info!(%address, "replica {address} of {name} is read from"),
            Event::ReplicaLost { address, reason } => {
                tracing::warn!(%address, "replica {address} of {name} is not read from any more: {reason}");
            }
            Event::SentinelLost { address, reason } => {
                tracing::warn!(%address, "the Sentinel at {address} does not answer: {reason}");
            }
            _ => {}
        }
    }
}

/// The settings of TLS with clients.
pub(crate) fn client_tls(certificate: PathBuf, key: PathBuf, authorities: Option<PathBuf>) -> crate::config::Tls {
    use crate::config::ClientCertificates;
    let auth_clients = if authorities.is_some() { ClientCertificates::Required } else { ClientCertificates::No };
    crate::config::Tls {
        // Not listened at: it says that clients are let in.
        port: Some(0),
        cert_file: Some(certificate),
        key_file: Some(key),
        ca_cert_file: authorities,
        auth_clients,
        ..crate::config::Tls::default()
    }
}
