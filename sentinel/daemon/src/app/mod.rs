//! A Sentinel from its start to its end: configuration, sockets, identity, then everything at once, then in order out.

mod identity;
mod names;
mod pid_file;
mod process;
mod refusal;
mod reload;
mod signals;

use std::{io::Read, process::ExitCode, sync::Arc};

use sentinel_core::{
    Boot, Snapshot,
    settings::Timing,
    types::{RunId, SentinelId},
};

use tokio::runtime::Runtime;

use crate::{
    cli::{Exit, Launch},
    compatible::Compatible,
    config::{self, Config, Loaded, LogLevel, Source},
    descriptors, http, log,
    meters::Meters,
    monitor::{self, Clock, Dialer},
    persist::{Store, Way},
    serve::{self, Access, ListenError, Listeners, SocketFile},
    terminal,
    tls::{Tls, Watched},
    webhook,
};
use pid_file::PidFile;
pub(crate) use process::BACKGROUND;
pub use refusal::StartError;
use refusal::{refuse, system};
use reload::{Reloader, Start};
use signals::{Signal, Signals};

/// A log that does not open its file for so long hangs on the disk.
const LOG_REOPENS_WITHIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Runs a Sentinel until it is told to stop.
pub fn run(launch: &Launch) -> ExitCode {
    terminal::bound_panics();
    // Outlives everything that may still want to be written.
    let mut log = None;
    let outcome = match prepare(launch, &mut log) {
        Ok(Ready::Go(prepared)) => serve(*prepared),
        Ok(Ready::InBackground) => Ok(Exit::Success),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) => {
            refuse(&error, log.is_some(), launch.log_format.unwrap_or_default());
            Exit::Failure.into()
        }
    }
}

enum Ready {
    Go(Box<Prepared>),
    /// Another process goes on; this one has nothing left to do.
    InBackground,
}

/// How many instances are expected for each master, itself among them. With more of them, the system's table of descriptors
/// grows when it is full.
const LINKS_PER_MASTER: u64 = 4;

/// Everything that can fail before anybody sees this Sentinel has succeeded.
struct Prepared {
    config: Config,
    config_file: String,
    source: Source,
    start: Start,
    snapshot: Snapshot,
    store: Store,
    access: Access,
    tls: Tls,
    listeners: Listeners,
    unix_socket: Option<SocketFile>,
    /// What HTTP is spoken on; empty without `http-listen`.
    http: Vec<std::net::TcpListener>,
    webhook: Option<webhook::Setup>,
    pid_file: Option<PidFile>,
    /// What clients are served in.
    runtime: Runtime,
    signals: Signals,
}

/// In the reference's order: read and check everything, check that state can be kept, go into the background, obey signals,
/// listen, write the pid file, make an identity if there is none.
fn prepare(launch: &Launch, log: &mut Option<log::Guard>) -> Result<Ready, StartError> {
    if let Some(name) = &launch.unknown_log_format {
        return Err(StartError::LogFormat(name.clone()));
    }
    let Some(file) = &launch.config else { return Err(StartError::NoConfig) };
    let mut source = Source { options: launch.directives.clone(), ..Source::file(file) };
    if launch.stdin {
        let mut lines = Vec::new();
        std::io::stdin().read_to_end(&mut lines).map_err(StartError::Stdin)?;
        source.stdin = Some(lines);
    }
    let loaded = config::load(&source)?;
    let alarms = config::alarms(&loaded);
    let Loaded { mut config, mut warnings, keep, places } = loaded;
    let start = Start::of(&config, &keep);
    warnings.extend(alarms);
    config.globals.log_level = level(config.server.log.level);
    let server = &config.server;
    let users = keep.user_lines();
    let mut store = Store::new(keep);
    let way = store.check_writable().map_err(|error| error.naming(places.state_file()))?.clone();
    if server.daemonize && !process::is_background() {
        process::go_into_background().map_err(system("cannot go into the background"))?;
        return Ok(Ready::InBackground);
    }
    if let Some(path) = &server.dir {
        std::env::set_current_dir(path).map_err(|error| StartError::Dir { path: path.clone(), error })?;
    }
    // Before the log is there, since it has a thread of its own.
    let raised = descriptors::raise_limit();
    let granted = crate::open_files::make_room(server.max_clients);
    descriptors::make_table(u64::from(server.max_clients) + LINKS_PER_MASTER * config.masters.len() as u64);
    let options = log::Options {
        level: level(server.log.level),
        format: launch.log_format.or(server.log.format).unwrap_or_default(),
        timestamp: server.log.timestamp,
        file: server.log.file.clone(),
        syslog: server.log.syslog.then(|| log::Syslog {
            ident: server.log.syslog_ident.clone(),
            facility: server.log.syslog_facility,
            socket: None,
        }),
    };
    *log = Some(log::start(&options).map_err(StartError::Log)?);
    say_start(server.compatible);
    if let Some(raised) = raised {
        raised.say();
    }
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    if let Way::InPlace(reason) = &way {
        tracing::warn!("{}", config::written_in_place(store.path(), reason));
    }
    let granted = granted?;
    let all = granted.max_clients == server.max_clients;
    for line in granted.said {
        if all { tracing::info!("{line}") } else { tracing::warn!("{line}") }
    }
    config.server.max_clients = granted.max_clients;
    let server = &config.server;
    let access = Access::load(&server.acl, config.globals.requirepass.as_ref(), users)
        .map_err(|error| StartError::Access(places.explained(&error, error.directive(), error.remedy())))?;
    let (tls, warnings) = Tls::load(&server.tls)
        .map_err(|error| StartError::Tls(Box::new(places.fault(error.directive(), error.what(), error.remedy()))))?;
    for warning in &warnings {
        tracing::warn!("{warning}");
    }
    let webhook = webhook::Setup::of(&server.webhook)
        .map_err(|error| StartError::Tls(Box::new(places.fault(error.directive(), error.what(), error.remedy()))))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("cannot start the runtime that serves clients"))?;
    // Whoever sees the port, the socket or the pid file may send a signal: it is obeyed in order from here on, and what was
    // made is removed again.
    let signals = {
        let _runtime = runtime.enter();
        Signals::listen().map_err(system("cannot listen to signals"))?
    };
    let (listeners, unix_socket) = listen(&config, &tls)?;
    let http = listen_for_http(&config.server).inspect_err(|_| {
        if let Some(file) = &unix_socket {
            file.remove();
        }
    })?;
    let pid_file = PidFile::create(server.pid_file.as_deref(), server.daemonize);
    let snapshot = match with_identity(&config, &mut store) {
        Ok(snapshot) => snapshot,
        Err(error) => {
            clear(pid_file, unix_socket);
            return Err(error);
        }
    };
    Ok(Ready::Go(Box::new(Prepared {
        config_file: source.directory.join(file).display().to_string(),
        source,
        start,
        config,
        snapshot,
        store,
        access,
        tls,
        listeners,
        unix_socket,
        http,
        webhook,
        pid_file,
        runtime,
        signals,
    })))
}

/// A line of a start, which was a warning until 7.0.
fn say_of_start(look: Compatible, line: &str) {
    if look.warns_of_start() { tracing::warn!("{line}") } else { tracing::info!("{line}") }
}

/// The first lines, in the reference's words: scripts look for them.
fn say_start(look: Compatible) {
    let product = look.product();
    say_of_start(look, &format!("oO0OoO0OoO0Oo {product} is starting oO0OoO0OoO0Oo"));
    let version = format!(
        "{product} version={}, bits={}, commit=00000000, modified=0, pid={}, just started (sentineld {})",
        look.version(),
        usize::BITS,
        std::process::id(),
        env!("CARGO_PKG_VERSION")
    );
    say_of_start(look, &version);
    say_of_start(look, "Configuration loaded");
    tracing::info!("monotonic clock: POSIX clock_gettime");
}

/// Everything that is listened on.
fn listen(config: &Config, tls: &Tls) -> Result<(Listeners, Option<SocketFile>), StartError> {
    let server = &config.server;
    let (mut listeners, backlog) = (Listeners::default(), server.tcp_backlog);
    if config.globals.port != 0 {
        listeners.add_port(&server.bind, config.globals.port, backlog)?;
    }
    if let (Some(port), Some(incoming)) = (server.tls.port, tls.incoming()) {
        listeners.add_tls_port(&server.bind, port, backlog, incoming)?;
    }
    let socket = server.unix_socket.as_ref();
    let file = socket.map(|path| {
        listeners.add_unix_socket(path, server.unix_socket_mode, server.unix_socket_group.as_deref(), backlog)
    });
    let file = file.transpose()?;
    if listeners.is_empty() { Err(StartError::NotListening) } else { Ok((listeners, file)) }
}

/// What HTTP is spoken on.
fn listen_for_http(server: &config::Server) -> Result<Vec<std::net::TcpListener>, ListenError> {
    let Some(listen) = &server.http.listen else { return Ok(Vec::new()) };
    let address = config::BindAddress { address: listen.host.clone(), optional: false };
    serve::bind_all(&[address], listen.port, server.tcp_backlog, "http-listen")
}

/// The durable state to start from. A Sentinel without an identity gets one, on disk before anybody hears of it.
fn with_identity(config: &Config, store: &mut Store) -> Result<Snapshot, StartError> {
    if let Some(id) = &config.id {
        return Ok(config.snapshot(id.clone()));
    }
    let id = identity::random_hex().map_err(system("no random numbers for an identity"))?;
    let id = SentinelId::new(&id).expect("40 hex digits are an id");
    let snapshot = config.snapshot(id);
    store.save(&snapshot).map_err(StartError::Identity)?;
    tracing::info!("Sentinel new configuration saved on disk");
    Ok(snapshot)
}

fn serve(prepared: Prepared) -> Result<Exit, StartError> {
    let Prepared {
        config,
        config_file,
        source,
        start,
        snapshot,
        store,
        access,
        tls,
        listeners,
        unix_socket,
        http,
        webhook,
        pid_file,
        runtime,
        mut signals,
    } = prepared;
    let clock = Clock::start();
    tracing::info!("Running mode=sentinel, port={}.", listeners.port());
    if config.server.compatible.warns_of_start() {
        tracing::warn!(id = snapshot.id.as_str(), "Sentinel ID is {}", snapshot.id);
    } else {
        tracing::info!(id = snapshot.id.as_str(), "Sentinel ID is {}", snapshot.id);
    }
    let seed = identity::random_seed().map_err(system("no random numbers"))?;
    let identity = identity::of_process(config_file, config.server.supervised)
        .map_err(system("no random numbers for a run id"))?;
    let (renewal, own) = (store.renewal(), store.own_version());
    let meters = Arc::new(Meters::default());
    let mut witnesses = Vec::new();
    let mut witness = || {
        let (witness, happened) = tokio::sync::mpsc::unbounded_channel();
        witnesses.push(witness);
        happened
    };
    let happened = (!http.is_empty()).then(&mut witness);
    let posted = webhook.map(|webhook| (webhook, witness()));
    let run_id = identity.run_id.clone();
    if let Some((webhook, happened)) = posted {
        let (meters, id) = (Arc::clone(&meters), snapshot.id.clone());
        webhook.start(happened, meters, id, &run_id).map_err(system("cannot start the thread of the webhook"))?;
    }
    let setup = monitor::Setup {
        boot: Boot {
            names: names::resolved(&snapshot),
            snapshot,
            timing: Timing::default(),
            run_id: RunId::new(&identity.run_id).ok(),
            seed,
        },
        clock,
        dialer: Dialer::new(config.server.bind_source.clone(), tls.outgoing().cloned()),
        store,
        meters: Arc::clone(&meters),
        witnesses,
        heartbeat: process::heartbeat(config.server.supervised),
    };
    let (handle, mut monitor, events) = monitor::start(setup).map_err(system("cannot start the monitor"))?;
    let tls = Arc::new(tls);
    let reloader = Reloader::new(source, start, renewal, own, handle.clone(), Arc::clone(&tls));
    let seam = serve::Monitor {
        view: Arc::clone(&handle.view),
        changes: handle.asks.clone(),
        events,
        clock: Box::new(move || clock.now()),
        reload: {
            let reloader = Arc::clone(&reloader);
            Box::new(move || Box::pin(Arc::clone(&reloader).run()))
        },
        meters: Arc::clone(&meters),
    };

    let mut defect = false;
    let endpoint = happened.map(|happened| {
        http::start(http::Setup {
            sockets: http,
            settings: config.server.clone(),
            tls: Arc::clone(&tls),
            view: Arc::clone(&handle.view),
            asks: handle.asks.clone(),
            happened,
            clock,
            meters,
            run_id,
            reload: {
                let reloader = Arc::clone(&reloader);
                Box::new(move || Box::pin(Arc::clone(&reloader).run()))
            },
        })
    });
    let endpoint = endpoint.transpose().map_err(system("cannot start the HTTP endpoint"))?;
    let mut tls_files = Watched::new(&config.server.tls);
    let served = runtime.block_on(async {
        process::tell_supervisor(config.server.supervised, process::State::Ready);
        tokio::spawn(Arc::clone(&reloader).watch());
        let stop = async {
            loop {
                tokio::select! {
                    signal = signals.next() => match signal {
                        Signal::Stop(name) => {
                            tracing::warn!("Received {name} scheduling shutdown...");
                            return;
                        }
                        // The end of the process waits for no disk.
                        Signal::Hangup => drop(tokio::spawn(hang_up(Arc::clone(&reloader)))),
                    },
                    () = tls_files.changed() => drop(reload(&tls).await),
                    () = monitor.ended() => {
                        defect = true;
                        return;
                    }
                }
            }
        };
        serve::run(listeners, config.server.clone(), access, identity, seam, stop).await
    });
    // A look at a configuration that hangs must not hold up the end of the process.
    runtime.shutdown_background();
    process::tell_supervisor(config.server.supervised, process::State::Stopping);
    match &served {
        Ok(_) if !defect => tracing::warn!("User requested shutdown..."),
        Ok(_) => {}
        Err(error) => tracing::warn!("clients cannot be served any more: {error}"),
    }
    if let Some(endpoint) = endpoint {
        endpoint.stop();
    }
    handle.stop();
    defect |= !monitor.join();
    clear(pid_file, unix_socket);
    if defect {
        tracing::warn!("the monitor was ended by a defect of this program: please report what is printed above");
        return Ok(Exit::Defect);
    }
    tracing::warn!("Sentinel is now ready to exit, bye bye...");
    Ok(if served.is_ok() { Exit::Success } else { Exit::Failure })
}

/// Removes what others find this process by.
fn clear(pid_file: Option<PidFile>, unix_socket: Option<SocketFile>) {
    if let Some(file) = pid_file {
        tracing::info!("Removing the pid file.");
        file.remove();
    }
    if let Some(file) = unix_socket {
        file.remove();
    }
}

/// What SIGHUP asks for.
async fn hang_up(reloader: Arc<Reloader>) {
    if reloader.start.logs_to_file() {
        reopen_log().await;
    }
    reloader.run().await;
}

/// Opens the log file anew, so that a moved one is free at once: log rotation compresses or removes it next.
async fn reopen_log() {
    match tokio::task::spawn_blocking(|| log::reopen(LOG_REOPENS_WITHIN)).await {
        Ok(Ok(())) => tracing::info!("Received SIGHUP, the log file was opened anew"),
        Ok(Err(error)) => tracing::warn!(
            "Received SIGHUP, but the log file cannot be opened anew: {}; the one before stays in use",
            config::system_text(&error)
        ),
        Err(error) => tracing::warn!("Received SIGHUP, but the log file was not opened anew: {error}"),
    }
}

/// Reads certificates and keys again, away from the clients. When something is wrong with them the old ones stay in use.
/// Says what became of them, if there are any.
async fn reload(tls: &Arc<Tls>) -> Option<String> {
    if !tls.is_used() {
        return None;
    }
    let reading = tokio::task::spawn_blocking({
        let tls = Arc::clone(tls);
        move || tls.reload()
    });
    match reading.await {
        Ok(Ok(warnings)) => {
            for warning in warnings {
                tracing::warn!("{warning}");
            }
            let text = "TLS: certificates, keys and authorities were read again; new connections use them";
            tracing::info!("{text}");
            return Some(text.to_owned());
        }
        Ok(Err(error)) => {
            tracing::warn!("TLS: the certificates were not replaced, those read before stay in use: {error}");
        }
        Err(error) => tracing::warn!("TLS: the certificates were not replaced: {error}"),
    }
    Some("TLS: the certificates were not replaced, those read before stay in use: the log says why".to_owned())
}

const fn level(level: LogLevel) -> Option<sentinel_core::events::Level> {
    use sentinel_core::events::Level;
    match level {
        LogLevel::Debug => Some(Level::Debug),
        LogLevel::Verbose => Some(Level::Verbose),
        LogLevel::Notice => Some(Level::Notice),
        LogLevel::Warning => Some(Level::Warning),
        LogLevel::Nothing => None,
    }
}
