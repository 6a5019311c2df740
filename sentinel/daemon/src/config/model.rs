//! The configuration as the rest of the daemon sees it: complete, typed, with every default filled in.

use std::{path::PathBuf, time::Duration};

use sentinel_core::{
    settings::GlobalSettings,
    snapshot::{MasterSnapshot, Snapshot},
    types::{Epoch, SentinelId},
};

use super::{SourceAddress, Webhook, fault::Refusal};
use crate::{
    compatible::Compatible,
    log::{Format, Timestamp},
};

/// Everything that a configuration says, together with what was learnt before the last stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Listening, clients, logging and the process.
    pub server: Server,
    /// What the decisions depend on.
    pub globals: GlobalSettings,
    /// The monitored masters with what is known of each, ordered by name.
    pub masters: Vec<MasterSnapshot>,
    /// This Sentinel's identity. None until the first start.
    pub id: Option<SentinelId>,
    /// The highest epoch seen.
    pub current_epoch: Epoch,
}

impl Config {
    /// The durable state of a Sentinel that starts with this configuration under the given identity.
    ///
    /// The port that hellos announce is that of TLS, if others are to be reached over TLS, too.
    pub fn snapshot(&self, id: SentinelId) -> Snapshot {
        let mut globals = self.globals.clone();
        if let Some(port) = self.server.tls.port.filter(|_| self.server.tls.replication) {
            globals.port = port;
        }
        Snapshot {
            id,
            current_epoch: self.current_epoch,
            globals: globals.into(),
            masters: self.masters.iter().cloned().map(Into::into).collect(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Config {
            server: Server::default(),
            globals: GlobalSettings::default(),
            masters: Vec::new(),
            id: None,
            current_epoch: Epoch::ZERO,
        }
    }
}

/// Settings of the process around the decisions. The port is in [`GlobalSettings`], since hellos announce it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Addresses to listen on. Default `*` and, if there is IPv6, `::*`.
    pub bind: Vec<BindAddress>,
    /// Whether clients from elsewhere are refused while no password is set. Default no.
    pub protected_mode: bool,
    /// A Unix socket to listen on.
    pub unix_socket: Option<PathBuf>,
    /// Permissions of the Unix socket. 0: as the umask leaves them.
    pub unix_socket_mode: u32,
    /// Group of the Unix socket, by name. None: that of the process.
    pub unix_socket_group: Option<String>,
    /// Length of the queue of connections not yet accepted. Default 511.
    pub tcp_backlog: u32,
    /// An idle client that is not a subscriber is closed after this. None: never.
    pub idle_timeout: Option<Duration>,
    /// Keepalive on accepted connections. None: off. Default 300 s.
    pub tcp_keepalive: Option<Duration>,
    /// How many clients may be connected. Default 10,000.
    pub max_clients: u32,
    /// Bounds of the answers that a client has not read yet.
    pub output_limits: OutputLimits,
    /// Longest request of one client not yet complete, in bytes. Default 1 GiB.
    pub query_buffer_limit: u64,
    /// Longest single argument of a request, in bytes. Default 512 MiB.
    pub max_bulk_len: u64,
    /// Whether the process puts itself into the background.
    pub daemonize: bool,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Who is told when the process is ready.
    pub supervised: Supervised,
    /// What is logged, and where.
    pub log: Log,
    /// The directory under which relative paths lie. None: the one in which the process was started.
    pub dir: Option<PathBuf>,
    /// Source address of outgoing connections.
    pub bind_source: Option<SourceAddress>,
    /// Users of this Sentinel.
    pub acl: Acl,
    /// Encryption.
    pub tls: Tls,
    /// The HTTP endpoint.
    pub http: Http,
    /// Where events are posted.
    pub webhook: Webhook,
    /// Whether the log shows the names of clients and users, and what a client sent that broke the protocol. None: the
    /// names, but not what was sent.
    pub hide_user_data: Option<bool>,
    /// Whom it looks like to programs that ask. Default redis-sentinel 7.0.15.
    pub compatible: Compatible,
    /// Commands of this Sentinel under another name, or switched off (empty): from, to.
    pub rename_commands: Vec<(String, String)>,
}

impl Default for Server {
    fn default() -> Self {
        Server {
            bind: vec![
                BindAddress { address: "*".into(), optional: false },
                BindAddress { address: "::*".into(), optional: true },
            ],
            protected_mode: false,
            unix_socket: None,
            unix_socket_mode: 0,
            unix_socket_group: None,
            tcp_backlog: 511,
            idle_timeout: None,
            tcp_keepalive: Some(Duration::from_secs(300)),
            max_clients: 10_000,
            output_limits: OutputLimits::default(),
            query_buffer_limit: 1 << 30,
            max_bulk_len: 512 << 20,
            daemonize: false,
            pid_file: None,
            supervised: Supervised::No,
            log: Log::default(),
            dir: None,
            bind_source: None,
            acl: Acl::default(),
            tls: Tls::default(),
            http: Http::default(),
            webhook: Webhook::default(),
            hide_user_data: None,
            compatible: Compatible::default(),
            rename_commands: Vec::new(),
        }
    }
}

/// One address to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    /// An IP address, a name, `*` for all of IPv4, or `::*` for all of IPv6.
    pub address: String,
    /// Written with `-` before it: it is no error if this host does not have the address.
    pub optional: bool,
}

/// Bounds of unread answers for each class of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// Ordinary clients. Default: none.
    pub normal: OutputLimit,
    /// Replicas; a Sentinel has none. Kept for completeness.
    pub replica: OutputLimit,
    /// Subscribers. Default: 32 MiB at once, or 8 MiB for 60 s.
    pub pubsub: OutputLimit,
}

impl Default for OutputLimits {
    fn default() -> Self {
        let limit = |hard, soft, seconds| OutputLimit { hard, soft, soft_for: Duration::from_secs(seconds) };
        OutputLimits {
            normal: limit(0, 0, 0),
            replica: limit(256 << 20, 64 << 20, 60),
            pubsub: limit(32 << 20, 8 << 20, 60),
        }
    }
}

/// When a client that does not read its answers is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// At once beyond this, in bytes. 0: no limit.
    pub hard: u64,
    /// After `soft_for` beyond this, in bytes. 0: no limit.
    pub soft: u64,
    /// See `soft`.
    pub soft_for: Duration,
}

/// The service supervisor to be told about start and stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Supervised {
    /// None.
    #[default]
    No,
    /// Upstart: the process stops itself once it is ready.
    Upstart,
    /// systemd: messages to `NOTIFY_SOCKET`.
    Systemd,
    /// Whichever of them the environment names.
    Auto,
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Least severity that is logged.
    pub level: LogLevel,
    /// How a line looks. None: as the reference's.
    pub format: Option<Format>,
    /// How a line tells when it was written.
    pub timestamp: Timestamp,
    /// The file, relative to `dir`. None: standard output.
    pub file: Option<PathBuf>,
    /// Whether the system log gets everything too.
    pub syslog: bool,
    /// The name under which the system log gets it. Default `redis`, as the reference has it.
    pub syslog_ident: String,
    /// The facility of the system log.
    pub syslog_facility: SyslogFacility,
}

impl Default for Log {
    fn default() -> Self {
        Log {
            level: LogLevel::Notice,
            format: None,
            timestamp: Timestamp::default(),
            file: None,
            syslog: false,
            syslog_ident: "redis".into(),
            syslog_facility: SyslogFacility::Local(0),
        }
    }
}

/// The reference's levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// Much.
    Verbose,
    /// What operators want to see.
    #[default]
    Notice,
    /// Only what is wrong.
    Warning,
    /// Nothing at all.
    Nothing,
}

/// Where the system log files it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyslogFacility {
    /// `user`
    User,
    /// `local0` to `local7`
    Local(u8),
}

/// Users of this Sentinel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// In the order of their lines.
    pub users: Vec<AclUser>,
    /// A file with users; excludes `users`.
    pub file: Option<PathBuf>,
    /// How many refusals ACL LOG remembers. Default 128.
    pub log_max_len: u64,
    /// Whether a new user may use all channels. Default no (`resetchannels`).
    pub all_channels_by_default: bool,
}

impl Default for Acl {
    fn default() -> Self {
        Acl { users: Vec::new(), file: None, log_max_len: 128, all_channels_by_default: false }
    }
}

/// One `user` line.
#[derive(Clone, PartialEq, Eq)]
pub struct AclUser {
    /// The user's name.
    pub name: String,
    /// The rules, not yet read. They may hold passwords in clear.
    pub rules: Vec<String>,
}

impl std::fmt::Debug for AclUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AclUser").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The HTTP endpoint. Whether it speaks TLS is in [`Tls`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Where it listens. None: there is none.
    pub listen: Option<HttpAddress>,
    /// The bearer token that requests must carry. None: everybody who reaches it may read.
    pub token: Option<sentinel_core::types::Secret>,
}

/// An address and a port to listen on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAddress {
    /// An IP address, a name, or `*` for all of IPv4.
    pub host: String,
    /// The port; never 0.
    pub port: u16,
}

impl HttpAddress {
    /// Reads `address:port`, an IPv6 address in brackets.
    pub(super) fn read(word: &str) -> Result<Self, Refusal> {
        let refused = || {
            let text = format!("`{word}` is no address with a port");
            Refusal::new(text, "write ADDRESS:PORT, such as 127.0.0.1:26380, [::1]:26380 or *:26380")
        };
        let (host, port) = word.rsplit_once(':').ok_or_else(refused)?;
        let port = port.parse::<u16>().ok().filter(|port| *port > 0).ok_or_else(refused)?;
        let host = match host.strip_prefix('[').map(|inner| inner.strip_suffix(']')) {
            Some(inner) => inner.filter(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok()).ok_or_else(refused)?,
            None if host.contains(':') => return Err(refused()),
            None => host,
        };
        let is_one_word = !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_graphic());
        if is_one_word { Ok(HttpAddress { host: host.to_owned(), port }) } else { Err(refused()) }
    }
}

/// Encryption, incoming and outgoing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as operators set it")]
pub struct Tls {
    /// Listens beside `port`. None: not.
    pub port: Option<u16>,
    /// Whether the HTTP endpoint is encrypted.
    pub http: bool,
    /// Whether outgoing connections are encrypted; hellos then announce the TLS port.
    pub replication: bool,
    /// Server certificate, and that of outgoing connections without `client_cert_file`.
    pub cert_file: Option<PathBuf>,
    /// Its key.
    pub key_file: Option<PathBuf>,
    /// The password of the key.
    pub key_file_pass: Option<sentinel_core::types::Secret>,
    /// Certificate of outgoing connections.
    pub client_cert_file: Option<PathBuf>,
    /// Its key.
    pub client_key_file: Option<PathBuf>,
    /// The password of that key.
    pub client_key_file_pass: Option<sentinel_core::types::Secret>,
    /// Authorities that are trusted, in one file.
    pub ca_cert_file: Option<PathBuf>,
    /// Authorities that are trusted, in files with hashed names.
    pub ca_cert_dir: Option<PathBuf>,
    /// Whether clients must show a certificate.
    pub auth_clients: ClientCertificates,
    /// Which part of a client's certificate says what user it is.
    pub auth_clients_user: Option<UserField>,
    /// Protocol versions, as they stand (`TLSv1.2 TLSv1.3`). None: both.
    pub protocols: Option<String>,
    /// Ciphers up to TLS 1.2, as they stand.
    pub ciphers: Option<String>,
    /// Ciphers of TLS 1.3, as they stand.
    pub ciphersuites: Option<String>,
    /// Whether the server's order of ciphers counts.
    pub prefer_server_ciphers: bool,
    /// Parameters for a key exchange that is never offered.
    pub dh_params_file: Option<PathBuf>,
    /// Whether clients may resume their sessions. Default yes.
    pub session_caching: bool,
    /// How many sessions are remembered. Default 20,480.
    pub session_cache_size: usize,
    /// How long a session may be resumed. Default 300 s.
    pub session_cache_timeout: Duration,
    /// How often it is looked whether the files have changed, so that they are read again. None: only at SIGHUP.
    pub reload_every: Option<Duration>,
}

impl Tls {
    /// Whether clients connect over TLS.
    pub const fn is_listened_with(&self) -> bool {
        self.port.is_some() || self.http
    }
}

impl Default for Tls {
    fn default() -> Self {
        Tls {
            port: None,
            http: false,
            replication: false,
            cert_file: None,
            key_file: None,
            key_file_pass: None,
            client_cert_file: None,
            client_key_file: None,
            client_key_file_pass: None,
            ca_cert_file: None,
            ca_cert_dir: None,
            auth_clients: ClientCertificates::default(),
            auth_clients_user: None,
            protocols: None,
            ciphers: None,
            ciphersuites: None,
            prefer_server_ciphers: false,
            dh_params_file: None,
            session_caching: true,
            session_cache_size: 20_480,
            session_cache_timeout: Duration::from_secs(300),
            reload_every: None,
        }
    }
}

/// Which part of a certificate names a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UserField {
    /// The first common name of its subject.
    CommonName,
    /// The URIs among the other names of its subject: the first that is a user's.
    Uri,
}

/// Whether clients must show a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// One of a trusted authority.
    #[default]
    Required,
    /// If one is shown, it must be of a trusted authority.
    Optional,
    /// None is asked for.
    No,
}
