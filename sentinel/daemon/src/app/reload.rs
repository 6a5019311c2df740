//! The configuration, read again: at SIGHUP and SENTINEL RELOAD to apply it, and when the file has changed to say so.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sentinel_core::{ClientId, Looked, command::Change, reload::Configured, settings::GlobalSettings};
use sentinel_resp::Reply;
use tokio::sync::oneshot;

use super::{level, process};
use crate::{
    config::{self, Config, ConfigError, Keep, LogLevel, Renewal, Server, Source, UserLines, Warning},
    monitor::Handle,
    persist::{Disk as _, OwnVersion, RealDisk, Stamp},
    serve::Ask,
    tls::Tls,
};

/// How often it is looked whether the file has changed. An operator who edits a file sends the signal some seconds later,
/// or has forgotten it.
const LOOKED_EVERY: Duration = Duration::from_secs(2);

/// What reading again needs.
pub(super) struct Reloader {
    pub(super) source: Source,
    /// What the process was started with, as far as it lasts until its end.
    pub(super) start: Start,
    /// Who writes the file, or the state beside it.
    pub(super) renewal: Renewal,
    /// Set where the file itself is written.
    pub(super) own: Option<OwnVersion>,
    pub(super) handle: Handle,
    pub(super) tls: Arc<Tls>,
    /// One at a time.
    turn: tokio::sync::Mutex<()>,
    seen: Mutex<Seen>,
}

/// What a start alone decides.
pub(super) struct Start {
    server: Server,
    globals: GlobalSettings,
    keep: PathBuf,
    users: Option<UserLines>,
}

impl Start {
    pub(super) fn of(config: &Config, keep: &Keep) -> Self {
        Start {
            server: config.server.clone(),
            globals: config.globals.clone(),
            keep: keep.path().to_owned(),
            users: keep.user_lines(),
        }
    }

    pub(super) const fn logs_to_file(&self) -> bool {
        self.server.log.file.is_some()
    }
}

/// What is remembered of the file.
struct Seen {
    version: Option<Stamp>,
    /// Whether a version of somebody else's was there that was not applied since.
    foreign: bool,
    log_level: LogLevel,
    /// What was told last about the certificate.
    ends_soon: Option<String>,
}

/// What a file says now.
struct Read {
    configured: Configured,
    keep: Keep,
    warnings: Vec<Warning>,
    log_level: LogLevel,
}

impl Reloader {
    pub(super) fn new(
        source: Source,
        start: Start,
        renewal: Renewal,
        own: OwnVersion,
        handle: Handle,
        tls: Arc<Tls>,
    ) -> Arc<Self> {
        let path = source.directory.join(&source.path);
        let seen =
            Seen { version: version(path.clone()), foreign: false, log_level: start.server.log.level, ends_soon: None };
        let own = (start.keep == path).then_some(own);
        Arc::new(Reloader {
            source,
            start,
            renewal,
            own,
            handle,
            tls,
            turn: tokio::sync::Mutex::default(),
            seen: Mutex::new(seen),
        })
    }

    /// Looks at the file from time to time, as long as the runtime lives.
    pub(super) async fn watch(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOKED_EVERY).await;
            let _turn = self.turn.lock().await;
            let looking = Arc::clone(&self);
            // A disk that hangs holds up this task alone.
            let _ = tokio::task::spawn_blocking(move || looking.look()).await;
        }
    }

    fn look(&self) {
        let ends_soon = self.tls.ends_soon();
        if ends_soon != std::mem::replace(&mut self.seen().ends_soon, ends_soon.clone()) {
            self.handle.configuration(Looked::Certificate(ends_soon));
        }
        let now = version(self.source.directory.join(&self.source.path));
        let ours = self.own.as_ref().is_some_and(|own| own.is(now));
        {
            let mut seen = self.seen();
            if now == std::mem::replace(&mut seen.version, now) {
                return;
            }
            seen.foreign |= !ours;
            if !seen.foreign {
                return;
            }
        }
        self.handle.configuration(Looked::Changed(self.read().map(|read| Box::new(read.configured))));
    }

    /// Reads and applies. The answer says what became of it, and so does the log.
    pub(super) async fn run(self: Arc<Self>) -> Reply {
        let _turn = self.turn.lock().await;
        process::tell_supervisor(self.start.server.supervised, process::State::Reloading);
        let reading = Arc::clone(&self);
        let read = tokio::task::spawn_blocking(move || reading.read()).await;
        let read = read.unwrap_or_else(|error| Err(error.to_string()));
        let configured = read.map(|read| self.take(read));
        let taken = configured.is_ok();
        let certificates = super::reload(&self.tls).await;
        let stopping = || Reply::err("this Sentinel is stopping");
        let (reply, answer) = oneshot::channel();
        let change = Change::Reload(configured.map(Box::new));
        let reply = match self.handle.asks.send(Ask { client: ClientId(0), change, reply }).await {
            Ok(()) => answer.await.unwrap_or_else(|_| stopping()),
            Err(_) => stopping(),
        };
        if taken {
            self.seen().foreign = false;
        }
        process::tell_supervisor(self.start.server.supervised, process::State::Ready);
        match (reply, certificates) {
            (Reply::Array(mut lines), Some(text)) => {
                lines.push(Reply::display(text));
                Reply::Array(lines)
            }
            (reply, _) => reply,
        }
    }

    fn take(&self, read: Read) -> Configured {
        for warning in &read.warnings {
            tracing::warn!("{warning}");
        }
        // Before the change, with which the state is written next.
        self.renewal.set(read.keep);
        self.seen().log_level = read.log_level;
        read.configured
    }

    fn read(&self) -> Result<Read, String> {
        let config::Loaded { config, warnings, keep, .. } = config::load(&self.source).map_err(|error| told(&error))?;
        let log_level = config.server.log.level;
        let edited = log_level != self.seen().log_level;
        let mut restart = needs_restart(&self.start, &config);
        if keep.path() != self.start.keep {
            restart.push("state-file".to_owned());
        }
        let configured = Configured {
            log_level: edited.then(|| level(log_level)),
            masters: config
                .masters
                .into_iter()
                .map(|master| (master.name, (master.addr, Arc::unwrap_or_clone(master.settings))))
                .collect(),
            globals: config.globals,
            restart,
        };
        Ok(Read { configured, keep, warnings, log_level })
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn version(path: PathBuf) -> Option<Stamp> {
    let target = RealDisk.resolve(&path).unwrap_or(path);
    RealDisk.stamp(&target).ok().flatten()
}

/// What is wrong, with the file, the line, the directive and the remedy, in one line.
fn told(error: &ConfigError) -> String {
    match error {
        ConfigError::Faults(faults) => {
            let told = faults
                .faults
                .iter()
                .map(|fault| format!("{}: {}: {} (help: {})", fault.place, fault.directive, fault.what, fault.remedy));
            told.collect::<Vec<_>>().join("; ")
        }
        ConfigError::WithCopy { error, .. } => told(error),
        error => error.to_string(),
    }
}

/// The directives whose values differ from those that the process was started with.
fn needs_restart(start: &Start, now: &Config) -> Vec<String> {
    let mut names = Vec::new();
    let mut note = |name: &str, differs: bool| {
        if differs {
            names.push(name.to_owned());
        }
    };
    macro_rules! compare {
        ($of:expr, $with:expr; $($name:literal $($field:ident).+),* $(,)?) => {
            $(note($name, $of.$($field).+ != $with.$($field).+);)*
        };
    }
    compare!(start.globals, now.globals;
        "port" port, "requirepass" requirepass, "sentinel hello-auth-key" hello_auth_key,
        "sentinel hello-auth-required" hello_auth_required, "sentinel history-size" history_size,
    );
    compare!(start.server, now.server;
        "bind" bind, "protected-mode" protected_mode, "unixsocket" unix_socket, "unixsocketperm" unix_socket_mode,
        "unixsocketgroup" unix_socket_group, "tcp-backlog" tcp_backlog, "timeout" idle_timeout,
        "tcp-keepalive" tcp_keepalive, "maxclients" max_clients, "client-output-buffer-limit" output_limits,
        "client-query-buffer-limit" query_buffer_limit, "proto-max-bulk-len" max_bulk_len, "daemonize" daemonize,
        "pidfile" pid_file, "supervised" supervised, "log-format" log.format, "log-timestamp-format" log.timestamp,
        "logfile" log.file, "syslog-enabled" log.syslog, "syslog-ident" log.syslog_ident,
        "syslog-facility" log.syslog_facility, "dir" dir, "bind-source-addr" bind_source, "aclfile" acl.file,
        "acllog-max-len" acl.log_max_len, "acl-pubsub-default" acl.all_channels_by_default,
        "tls-* (what they name is read again)" tls, "hide-user-data-from-log" hide_user_data,
        "compatible-version" compatible, "rename-command" rename_commands, "http-listen" http.listen,
        "http-token" http.token, "webhook-url" webhook.url, "webhook-secret" webhook.secret,
        "webhook-level" webhook.level, "webhook-ca-cert-file" webhook.ca_cert_file,
    );
    // Where commands have changed users, the file holds those.
    if !start.users.as_ref().is_some_and(UserLines::is_changed) {
        note("user (ACL SETUSER changes one at once)", start.server.acl.users != now.server.acl.users);
    }
    names
}
