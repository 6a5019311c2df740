//! Settings of a pool.

use std::time::Duration;

use redis::ProtocolVersion;

use crate::address::{Address, AddressMap};
use crate::balance::{Balance, ReadPreference};
use crate::config::{Config, Timeouts};
use crate::config_error::ConfigError;
use crate::credentials::{Credentials, Provider};
use crate::retry::RetryPolicy;
#[cfg(feature = "tls")]
use crate::tls::Tls;
use crate::url;

/// Everything that can be told to a pool before it starts.
///
/// ```no_run
/// # use std::time::Duration;
/// # use sentinel_sdk::{Credentials, RetryPolicy, SentinelPool};
/// # async fn example() -> Result<(), sentinel_sdk::Error> {
/// let pool = SentinelPool::builder()
///     .master("mymaster")
///     .sentinel("10.0.0.1:26379")?
///     .sentinel("10.0.0.2:26379")?
///     .credentials(Credentials::user("app", "secret"))
///     .retry(RetryPolicy::within(Duration::from_secs(3)))
///     .connect()
///     .await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Builder {
    pub(crate) config: Config,
}

impl Builder {
    /// Begins with what a URL says; see [`SentinelPool::from_url`](crate::SentinelPool::from_url).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when the URL makes no sense.
    pub fn from_url(url: &str) -> Result<Self, ConfigError> {
        Ok(Self { config: url::parse(url)? })
    }

    /// The name the Sentinels monitor the master under. It must be given.
    pub fn master(mut self, name: &str) -> Self {
        self.config.master = name.into();
        self
    }

    /// Adds a Sentinel to begin with: `host`, `host:port` or `[ipv6]:port`; the port is 26379 if not given.
    ///
    /// At least one must be given. The others are learnt from it, but a pool that starts while that one is down knows none of them.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Address`] when this is no address.
    pub fn sentinel(self, address: &str) -> Result<Self, ConfigError> {
        let address = Address::parse_with_default_port(address, 26379)?;
        Ok(self.sentinels([address]))
    }

    /// Adds Sentinels to begin with.
    pub fn sentinels(mut self, addresses: impl IntoIterator<Item = Address>) -> Self {
        for address in addresses {
            if !self.config.seeds.contains(&address) {
                self.config.seeds.push(address);
            }
        }
        self
    }

    /// The login at the data nodes. Default: none.
    pub fn credentials(mut self, credentials: Credentials) -> Self {
        self.config.credentials = Some(credentials);
        self
    }

    /// The login at the Sentinels. Default: none; that of the data nodes is not tried there.
    pub fn sentinel_credentials(mut self, credentials: Credentials) -> Self {
        self.config.sentinel_credentials = Some(credentials);
        self
    }

    /// Asks for the login at the data nodes each time that a connection is opened: for passwords that rotate and tokens that expire. The
    /// connections that are open stay: a server that closes them when a token expires costs a new one, with a new token. With
    /// [`max_lifetime`](Self::max_lifetime) exclusive ones are renewed before that.
    ///
    /// An error, or no answer within the time of a [handshake](Timeouts::handshake), is a connection that could not be opened.
    ///
    /// ```no_run
    /// # use sentinel_sdk::{Credentials, SentinelPool};
    /// # async fn token() -> Result<String, std::io::Error> { unimplemented!() }
    /// let builder = SentinelPool::builder()
    ///     .credentials_provider(|| async { Ok::<_, std::io::Error>(Credentials::user("app", token().await?)) });
    /// ```
    pub fn credentials_provider<F, E>(mut self, provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.config.provider = Some(Provider::new(provider));
        self
    }

    /// The same for the Sentinels.
    pub fn sentinel_credentials_provider<F, E>(mut self, provider: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.config.sentinel_provider = Some(Provider::new(provider));
        self
    }

    /// Encrypts the connections to the data nodes. Default: they are not.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.config.tls = Some(tls);
        self
    }

    /// Encrypts the connections to the Sentinels. Default: they are not, whatever the data nodes speak.
    #[cfg(feature = "tls")]
    pub fn sentinel_tls(mut self, tls: Tls) -> Self {
        self.config.sentinel_tls = Some(tls);
        self
    }

    /// How the addresses that Sentinels tell, of data nodes and of other Sentinels, are reached from here: for containers and NAT. What
    /// was given to the builder is taken as it is. Default: as they are told.
    ///
    /// ```
    /// # use sentinel_sdk::{Address, SentinelPool};
    /// let outside = Address::new("redis.example.org", 16379)?;
    /// let builder = SentinelPool::builder()
    ///     .address_map(move |told| if told.host() == "172.17.0.2" { outside.clone() } else { told.clone() });
    /// # Ok::<(), sentinel_sdk::ConfigError>(())
    /// ```
    pub fn address_map(mut self, map: impl Fn(&Address) -> Address + Send + Sync + 'static) -> Self {
        self.config.address_map = AddressMap::new(map);
        self
    }

    /// The database at the data nodes. Default 0.
    pub fn database(mut self, database: u32) -> Self {
        self.config.database = database.into();
        self
    }

    /// The protocol with the data nodes. Default RESP2, as in the `redis` crate.
    pub fn protocol(mut self, protocol: ProtocolVersion) -> Self {
        self.config.protocol = protocol;
        self
    }

    /// The name of every connection in `CLIENT LIST`: printable ASCII without spaces. Default: none.
    pub fn client_name(mut self, name: impl Into<String>) -> Self {
        self.config.client_name = Some(name.into());
        self
    }

    /// How often the Sentinels are asked and the master's role is checked without any sign of a change. Default 10 s, shortened at random by up to a fifth.
    pub fn refresh_interval(mut self, interval: Duration) -> Self {
        self.config.refresh = interval;
        self
    }

    /// How long a link to a Sentinel may be silent before it is pinged, and how often a replica that is read from is asked for its role, which
    /// also measures its latency. Default 1 s.
    pub fn sentinel_ping_interval(mut self, interval: Duration) -> Self {
        self.config.sentinel_ping = interval;
        self
    }

    /// How long each step may take.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.config.timeouts = timeouts;
        self
    }

    /// How commands are repeated, and how long they wait for a verified master. Default: 10 s.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.config.retry = retry;
        self
    }

    /// The largest number of exclusive connections. Default 32.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.config.max_connections = connections;
        self
    }

    /// So many exclusive connections are kept open and idle, also right after a switch. Default 0: each is opened when it is needed.
    pub fn min_idle(mut self, connections: usize) -> Self {
        self.config.min_idle = connections;
        self
    }

    /// Exclusive connections that nobody has used for this long are closed, except for [`min_idle`](Self::min_idle). Default: never.
    pub fn max_idle(mut self, longest: Duration) -> Self {
        self.config.max_idle = Some(longest);
        self
    }

    /// Exclusive connections that are older are closed when nobody uses them; shortened at random by up to a tenth. Default: never.
    pub fn max_lifetime(mut self, longest: Duration) -> Self {
        self.config.max_lifetime = Some(longest);
        self
    }

    /// The largest number of callers that may wait for a verified master or an exclusive connection. Default 10,000.
    pub fn max_waiters(mut self, waiters: usize) -> Self {
        self.config.max_waiters = waiters;
        self
    }

    /// After this many commands in a row without an answer the master is doubted. Default 3, at least 1.
    pub fn timeouts_in_a_row(mut self, timeouts: u32) -> Self {
        self.config.timeouts_in_a_row = timeouts.max(1);
        self
    }

    /// How long after a switch answers of the old master to commands that were sent before are still taken. Default 100 ms.
    pub fn in_flight_grace(mut self, grace: Duration) -> Self {
        self.config.in_flight_grace = grace;
        self
    }

    /// Where reads of [`SentinelPool::replica`](crate::SentinelPool::replica) go: to replicas, to the master, to any of them, and where when there is
    /// none. Default: to replicas, and to the master when no replica can be read from.
    pub fn read_preference(mut self, preference: ReadPreference) -> Self {
        self.config.read_preference = preference;
        self
    }

    /// How reads are shared among the replicas. Default: [`Balance::LeastInFlight`].
    pub fn balance(mut self, balance: Balance) -> Self {
        self.config.balance = balance;
        self
    }

    /// A replica that is more bytes of the replication stream behind the master is not read from. It is looked at as often as
    /// Sentinels are pinged. Default: no limit.
    pub fn max_lag(mut self, bytes: u64) -> Self {
        self.config.max_lag = Some(bytes);
        self
    }

    /// A replica whose link to its master is broken is still read from for this long: what it answers grows older meanwhile. While a master is
    /// dead, reads then go on. Default: zero, it is left out as soon as that is noticed.
    pub fn stale_reads(mut self, longest: Duration) -> Self {
        self.config.stale_reads = longest;
        self
    }

    /// During a failover writes are held for up to this long instead of being sent to the old master, where they would be lost: from its first step
    /// (`+try-failover`) until the new master is found or the Sentinel that leads gives up. Reads go on. Longer than
    /// [`RetryPolicy::within`](crate::RetryPolicy) no write waits. Default: zero, they are not held; what was written in the few
    /// milliseconds between the promotion and its discovery is then lost in a forced failover (`SENTINEL FAILOVER`) of Sentinels that do not stop the old
    /// master first.
    ///
    /// A failover that gets no votes holds writes, too. Choose a time that is longer than a failover takes (some seconds) and that callers can wait.
    pub fn hold_writes(mut self, longest: Duration) -> Self {
        self.config.hold_writes = longest;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(builder: &Builder) -> String {
        builder.config.check().unwrap_err().to_string()
    }

    #[test]
    fn what_is_missing_or_senseless_is_named() {
        let complete = || Builder::from_url("redis-sentinel://a?master=m").unwrap();
        for (builder, part) in [
            (Builder::default(), "master"),
            (Builder::default().master("m"), "sentinels"),
            (complete().master("a b"), "white space"),
            (complete().max_connections(0), "max_connections"),
            (complete().client_name("a b"), "client_name"),
            (complete().refresh_interval(Duration::ZERO), "refresh_interval"),
        ] {
            let error = error(&builder);
            assert!(error.contains(part), "{error}");
        }
    }
}
