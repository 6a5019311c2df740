//! Everything a pool is told before it starts.

use std::sync::Arc;
use std::time::Duration;

use redis::{ProtocolVersion, RedisConnectionInfo};

use crate::access::Access;
use crate::address::{Address, AddressMap};
use crate::balance::{Balance, ReadPreference};
use crate::config_error::ConfigError;
use crate::credentials::{Credentials, Provider};
use crate::retry::RetryPolicy;
#[cfg(feature = "tls")]
use crate::tls::Tls;

/// How long each step may take.
///
/// ```
/// # use std::time::Duration;
/// # use sentinel_sdk::{SentinelPool, Timeouts};
/// let mut timeouts = Timeouts::default();
/// timeouts.command = Duration::from_millis(800);
/// let builder = SentinelPool::builder().timeouts(timeouts);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// Resolving a name and opening the TCP connection. Default 1 s.
    pub connect: Duration,
    /// Login, database and the check of the role on a new connection. Default 1 s.
    pub handshake: Duration,
    /// One question to one Sentinel. Default 500 ms.
    pub question: Duration,
    /// One command or pipeline, from sending to the answer. Default 5 s. A blocking command on an exclusive connection has this time on top of its own.
    pub command: Duration,
    /// Over a connection to the master that owes an answer nothing comes at all for this time: its role is asked, and so are the Sentinels;
    /// if there is no answer within `handshake` either, a new connection takes its place. A replica to which this happens is not read from
    /// before it has proved itself on a new connection, and what it was to read is put to another one as well: choose a longer time where reads
    /// are usual that keep a server busy for as long. Default 1 s.
    pub silence: Duration,
    /// The wait for an exclusive connection. Default 5 s.
    pub wait: Duration,
    /// The wait for the first verified master in [`connect`](crate::Builder::connect). Default 10 s.
    pub start: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(1),
            question: Duration::from_millis(500),
            command: Duration::from_secs(5),
            silence: Duration::from_secs(1),
            wait: Duration::from_secs(5),
            start: Duration::from_secs(10),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) master: Arc<str>,
    pub(crate) seeds: Vec<Address>,
    pub(crate) credentials: Option<Credentials>,
    pub(crate) sentinel_credentials: Option<Credentials>,
    /// Asked for each connection to a data node, and in place of `credentials`.
    pub(crate) provider: Option<Provider>,
    /// The same for the Sentinels.
    pub(crate) sentinel_provider: Option<Provider>,
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<Tls>,
    #[cfg(feature = "tls")]
    pub(crate) sentinel_tls: Option<Tls>,
    pub(crate) address_map: AddressMap,
    pub(crate) database: i64,
    pub(crate) protocol: ProtocolVersion,
    pub(crate) client_name: Option<String>,
    pub(crate) refresh: Duration,
    pub(crate) sentinel_ping: Duration,
    pub(crate) timeouts: Timeouts,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_connections: usize,
    pub(crate) max_waiters: usize,
    /// Exclusive connections that wait in the pool: how many at least, for how long, and how long they live in all.
    pub(crate) min_idle: usize,
    pub(crate) max_idle: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) timeouts_in_a_row: u32,
    pub(crate) in_flight_grace: Duration,
    pub(crate) read_preference: ReadPreference,
    pub(crate) balance: Balance,
    /// In bytes of the replication stream.
    pub(crate) max_lag: Option<u64>,
    /// How long a replica is read from that has lost its master.
    pub(crate) stale_reads: Duration,
    /// How long writes wait for a promotion that has begun.
    pub(crate) hold_writes: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            master: "".into(),
            seeds: Vec::new(),
            credentials: None,
            sentinel_credentials: None,
            provider: None,
            sentinel_provider: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            sentinel_tls: None,
            address_map: AddressMap::default(),
            database: 0,
            // As the `redis` crate has it, so that replies have the shapes its users expect.
            protocol: ProtocolVersion::RESP2,
            client_name: None,
            refresh: Duration::from_secs(10),
            sentinel_ping: Duration::from_secs(1),
            timeouts: Timeouts::default(),
            retry: RetryPolicy::default(),
            max_connections: 32,
            max_waiters: 10_000,
            min_idle: 0,
            max_idle: None,
            max_lifetime: None,
            timeouts_in_a_row: 3,
            in_flight_grace: Duration::from_millis(100),
            read_preference: ReadPreference::default(),
            balance: Balance::default(),
            max_lag: None,
            stale_reads: Duration::ZERO,
            hold_writes: Duration::ZERO,
        }
    }
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let refuse = |setting, reason: &str| Err(ConfigError::Setting { setting, reason: reason.to_owned() });
        if self.master.is_empty() {
            return refuse("master", "is missing; give the name the Sentinels monitor it under");
        }
        if self.master.chars().any(char::is_whitespace) {
            return refuse("master", "has white space, which no Sentinel accepts in a name");
        }
        if self.seeds.is_empty() {
            return refuse("sentinels", "are missing; give the address of at least one");
        }
        if self.database < 0 {
            return refuse("database", "is negative");
        }
        if self.min_idle > self.max_connections {
            return refuse("min_idle", "is larger than max_connections");
        }
        if self.max_connections == 0 {
            return refuse("max_connections", "is 0; at least 1 is needed");
        }
        let name_is_fine = |name: &String| name.bytes().all(|byte| (b'!'..=b'~').contains(&byte));
        if !self.client_name.as_ref().is_none_or(name_is_fine) {
            return refuse("client_name", "has spaces or characters other than printable ASCII");
        }
        for (setting, duration) in [
            ("refresh_interval", self.refresh),
            ("sentinel_ping_interval", self.sentinel_ping),
            ("timeouts.connect", self.timeouts.connect),
            ("timeouts.handshake", self.timeouts.handshake),
            ("timeouts.question", self.timeouts.question),
            ("timeouts.command", self.timeouts.command),
            ("timeouts.silence", self.timeouts.silence),
            ("max_idle", self.max_idle.unwrap_or(Duration::MAX)),
            ("max_lifetime", self.max_lifetime.unwrap_or(Duration::MAX)),
        ] {
            if duration.is_zero() {
                return refuse(setting, "is zero; nothing could ever succeed");
            }
        }
        Ok(())
    }

    /// How long an answer to a command that does not block is waited for.
    pub(crate) fn patience(&self) -> Patience {
        Patience { silence: self.timeouts.silence, limit: Some(self.timeouts.command) }
    }

    /// How a connection to a data node gets in.
    pub(crate) fn node_access(&self) -> Access {
        Access {
            login: login(self.credentials.as_ref(), self.protocol).set_db(self.database),
            provider: self.provider.clone(),
            #[cfg(feature = "tls")]
            tls: self.tls.clone(),
        }
    }

    /// How a connection to a Sentinel gets in.
    pub(crate) fn sentinel_access(&self, protocol: ProtocolVersion) -> Access {
        Access {
            login: login(self.sentinel_credentials.as_ref(), protocol),
            provider: self.sentinel_provider.clone(),
            #[cfg(feature = "tls")]
            tls: self.sentinel_tls.clone(),
        }
    }
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// The silence on the connection that is remarkable.
    pub(crate) silence: Duration,
    /// `None`: for ever.
    pub(crate) limit: Option<Duration>,
}

fn login(credentials: Option<&Credentials>, protocol: ProtocolVersion) -> RedisConnectionInfo {
    let mut login =
        RedisConnectionInfo::default().set_protocol(protocol).set_lib_name("sentinel-sdk", env!("CARGO_PKG_VERSION"));
    if let Some(credentials) = credentials {
        login = credentials.apply(login);
    }
    login
}
