//! The pool: the way in.

use std::sync::Arc;
use std::time::Duration;

use deadpool::managed::{Object, PoolError, Timeouts};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::builder::Builder;
use crate::config::Config;
use crate::config_error::ConfigError;
use crate::counters::Statistics;
use crate::error::Error;
use crate::event::Events;
use crate::exclusive::ExclusiveConnection;
use crate::follow::Follower;
use crate::generation::{Generation, Opener};
use crate::master::Master;
#[cfg(feature = "metrics")]
use crate::measure::Recorder;
use crate::measure::Step;
use crate::replica::Replica;
use crate::retry::Backoff;
use crate::shared::{Owner, Shared};
use crate::subscription::{self, Subscription, Topics};
use crate::topology::{ReplicaState, Topology};

/// How often exclusive connections are looked through.
const SHORTEST_ROUND: Duration = Duration::from_millis(50);
const LONGEST_ROUND: Duration = Duration::from_secs(5);
const AT_ONCE: Timeouts = Timeouts { wait: Some(Duration::ZERO), create: None, recycle: None };

/// Connections to the master that a set of Sentinels names, kept on the current one.
///
/// Cloning is cheap, and all clones are the same pool. It stops when [`shutdown`](Self::shutdown) is called, or when its last clone and
/// the last [`Master`] and [`ExclusiveConnection`] taken from it are gone.
#[derive(Debug, Clone)]
pub struct SentinelPool {
    owner: Arc<Owner>,
}

impl SentinelPool {
    /// Connects as the URL says, and waits for the first verified master for up to ten seconds.
    ///
    /// ```text
    /// redis[s]-sentinel://[user:password@]host[:port][,host[:port]...][/database]?master=name[&option=value...]
    /// ```
    ///
    /// | part | meaning | default |
    /// |---|---|---|
    /// | `user:password@` | login at the data nodes; `:password@` is the `default` user's | none |
    /// | `host[:port],...` | the Sentinels to begin with; further ones are learnt; IPv6 in brackets | port 26379 |
    /// | `/database` | the database at the data nodes | 0 |
    /// | `master=` | the name the Sentinels monitor the master under | must be given |
    /// | `sentinel_user=`, `sentinel_password=` | login at the Sentinels; the password alone is the `default` user's | none |
    /// | `client_name=` | the name of every connection in `CLIENT LIST` | none |
    /// | `protocol=` | `resp2` or `resp3`, with the data nodes | `resp2` |
    /// | `rediss` | TLS, with data nodes and Sentinels; needs the feature `tls`, which is on unless switched off | none |
    /// | `sentinel_tls=` | `no`: the Sentinels are spoken to without TLS | `yes` with `rediss` |
    /// | `tls_ca_file=` | the authorities that are trusted, in PEM | those this machine trusts |
    /// | `tls_cert_file=`, `tls_key_file=` | a certificate to show, and its key, in PEM | none |
    /// | `tls_server_name=` | the name that certificates must have; `*`: any | the host |
    ///
    /// Special characters in each part are percent-encoded. `redis+sentinel://`, `valkey-sentinel://` and `valkey+sentinel://` are the same scheme, and
    /// what other clients write is understood: `...#name` and `sentinelMasterId=` (Lettuce), `node=` and `sentinelServiceName=` (fred),
    /// `/name/database` and `service_name=` (Python), `master_name=` (Go). All else is set with [`Self::builder`], which also takes a URL to begin with.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when the URL makes no sense, [`Error::NoMaster`] when no master was verified in time, or, at once, when every Sentinel
    /// refuses the login or does not know the name, or the nodes refuse the login.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn from_url(url: &str) -> Result<Self, Error> {
        Builder::from_url(url)?.connect().await
    }

    /// A builder with all settings at their defaults.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(config: Config) -> Self {
        let shared = Arc::new(Shared::new(config));
        let follower = Follower::new(shared.clone());
        // Without it nothing is decided any more: callers are told instead of left waiting.
        let ended = shared.clone();
        shared.dialer.spawn_supervised(follower.run(), move || {
            ended.users.close();
            ended.dialer.stop.cancel();
        });
        let timed = shared.clone();
        shared.dialer.spawn(async move {
            tokio::select! {
                () = timed.dialer.stop.cancelled() => {}
                () = timed.wheel.run() => {}
            }
        });
        let config = &shared.config;
        if config.min_idle > 0 || config.max_idle.is_some() || config.max_lifetime.is_some() {
            shared.dialer.spawn(keep_exclusive(shared.clone()));
        }
        Self { owner: Arc::new(Owner(shared)) }
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn recorder(&self) -> &Recorder {
        &self.owner.0.metrics
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.owner.0
    }

    pub(crate) fn config(&self) -> &Config {
        &self.owner.0.config
    }

    /// A handle for commands to the current master, whichever that is when a command is sent.
    pub fn master(&self) -> Master {
        Master::new(self.owner.clone())
    }

    /// A handle for reads from the replicas that are up and linked to the master; what was written a moment before may be missing there.
    ///
    /// The first call has the Sentinels asked for the replicas, and a connection opened to each.
    pub fn replica(&self) -> Replica {
        Replica::new(self.owner.clone())
    }

    /// An exclusive connection to the current master, its role verified when it was opened.
    ///
    /// # Errors
    ///
    /// [`Error::PoolExhausted`], [`Error::TooManyWaiters`], [`Error::NoMaster`] and [`Error::Node`] when none could be had within
    /// [`Timeouts::wait`](crate::Timeouts::wait), [`Error::Shutdown`] after a shutdown.
    pub async fn get(&self) -> Result<ExclusiveConnection, Error> {
        let shared = &*self.owner.0;
        let user = shared.users.enter_for_long()?;
        let taken = {
            let _timer = shared.metrics.timer(Step::Wait);
            self.take().await
        };
        let (object, generation) = taken.inspect_err(|error| {
            if matches!(error, Error::PoolExhausted { .. }) {
                shared.metrics.waited_in_vain();
            }
        })?;
        Ok(ExclusiveConnection::new(object, generation, self.owner.clone(), user))
    }

    async fn take(&self) -> Result<(Object<Opener>, Arc<Generation>), Error> {
        let shared = &*self.owner.0;
        let wait = shared.config.timeouts.wait;
        let deadline = Instant::now() + wait;
        let retry = shared.config.retry;
        let mut backoff = Backoff::new(retry.first_pause, retry.longest_pause);
        loop {
            let link = shared.link(deadline).await?;
            let generation = link.generation.clone();
            let timeouts = Timeouts {
                wait: Some(deadline.saturating_duration_since(Instant::now())),
                create: None,
                recycle: None,
            };
            // Who is served at once does not wait.
            let taken = match generation.exclusive.timeout_get(&AT_ONCE).await {
                Err(PoolError::Timeout(_)) => {
                    let _waiter = shared.waiter()?;
                    generation.exclusive.timeout_get(&timeouts).await
                }
                taken => taken,
            };
            match taken {
                Ok(object) if !generation.closed.is_cancelled() => {
                    return Ok((object, generation));
                }
                // Opened during a switch, or the pool closed by it: the new generation has what is needed.
                Ok(_) | Err(PoolError::Closed) => {}
                Err(PoolError::Backend(reason)) => {
                    shared.suspect(&generation);
                    let pause = backoff.pause();
                    if Instant::now() + pause >= deadline {
                        let address = generation.address.clone();
                        return Err(Error::Node { address, reason });
                    }
                    sleep(pause).await;
                }
                Err(PoolError::Timeout(_) | PoolError::NoRuntimeSpecified | PoolError::PostCreateHook(_)) => {
                    return Err(Error::PoolExhausted { size: shared.config.max_connections, waited: wait });
                }
            }
        }
    }

    /// Subscribes to channels at the master, and again after every switch; see [`Gap`](crate::Gap).
    ///
    /// It has a connection of its own, which speaks RESP3 whatever [`Builder::protocol`] says: the servers must be of version
    /// 6 or later.
    ///
    /// ```no_run
    /// # use futures::StreamExt;
    /// # use sentinel_sdk::{Delivery, SentinelPool};
    /// # async fn example(pool: SentinelPool) -> Result<(), sentinel_sdk::Error> {
    /// let mut news = pool.subscribe(["news"]).await?;
    /// while let Some(delivery) = news.next().await {
    ///     match delivery {
    ///         Delivery::Message(message) => println!("{}", String::from_utf8_lossy(message.get_payload_bytes())),
    ///         Delivery::Gap(gap) => println!("messages may be missing here: {gap:?}"),
    ///         _ => {}
    ///     }
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::NoMaster`] and [`Error::TooManyWaiters`] when no master was found within [`Timeouts::wait`](crate::Timeouts::wait),
    /// [`Error::Node`] when it cannot be subscribed at it or may not, [`Error::Shutdown`] after a shutdown.
    pub async fn subscribe<C: Into<Vec<u8>>>(
        &self,
        channels: impl IntoIterator<Item = C>,
    ) -> Result<Subscription, Error> {
        let topics = Topics { channels: subscription::list(channels), ..Topics::default() };
        subscription::subscribe(self.owner.clone(), topics).await
    }

    /// The same for all channels whose names match one of the patterns, in the style of `PSUBSCRIBE`.
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn psubscribe<C: Into<Vec<u8>>>(
        &self,
        patterns: impl IntoIterator<Item = C>,
    ) -> Result<Subscription, Error> {
        let topics = Topics { patterns: subscription::list(patterns), ..Topics::default() };
        subscription::subscribe(self.owner.clone(), topics).await
    }

    /// The same for channels of sharded messages (`SPUBLISH`, servers from version 7 on).
    ///
    /// # Errors
    ///
    /// As for [`subscribe`](Self::subscribe).
    pub async fn ssubscribe<C: Into<Vec<u8>>>(
        &self,
        channels: impl IntoIterator<Item = C>,
    ) -> Result<Subscription, Error> {
        let topics = Topics { sharded: subscription::list(channels), ..Topics::default() };
        subscription::subscribe(self.owner.clone(), topics).await
    }

    /// What the pool knows, as snapshots: the current one at once, later ones as they come.
    pub fn topology(&self) -> watch::Receiver<Arc<Topology>> {
        self.owner.0.topology.subscribe()
    }

    /// The replicas that the pool has a connection to, ordered by address, as they are at this instant; none before the first call of
    /// [`replica`](Self::replica). For monitoring, and to choose a [`Balance`](crate::Balance) by.
    pub fn replicas(&self) -> Vec<ReplicaState> {
        self.owner.0.readers.states()
    }

    /// What happens from now on, as a stream that ends with the pool.
    pub fn events(&self) -> Events {
        let shared = &*self.owner.0;
        Events::new(shared.events.subscribe(), shared.dialer.stop.clone())
    }

    /// Counts since the pool was made.
    pub fn statistics(&self) -> Statistics {
        let shared = &*self.owner.0;
        let mut statistics = shared.counters.read();
        statistics.commands += shared.users.commands();
        statistics.waiters = count(shared.waiters());
        let readable = shared.readers.states().into_iter().filter(|replica| replica.readable);
        statistics.replicas_readable = count(readable.count());
        if let Some(generation) = &shared.standing.load().generation {
            let status = generation.exclusive.status();
            statistics.connections_open = count(status.size);
            statistics.connections_idle = count(status.available);
        }
        statistics
    }

    /// Stops the pool: new commands are refused, those under way and connections checked out have up to `drain` to finish, then
    /// every connection is closed and every task has ended when this returns.
    pub async fn shutdown(&self, drain: Duration) {
        self.owner.0.shutdown(drain).await;
    }

    pub(crate) async fn first_master(&self) -> Result<(), Error> {
        let shared = &*self.owner.0;
        let began = Instant::now();
        let mut hopeless = shared.hopeless.subscribe();
        tokio::select! {
            biased;
            link = shared.link(began + shared.config.timeouts.start) => link.map(drop),
            // The sender lives as long as the pool.
            _ = hopeless.wait_for(|hopeless| *hopeless) => Err(shared.no_master(began.elapsed())),
        }
    }
}

impl Builder {
    /// Starts the pool without waiting: the first commands wait for the master instead.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] when a setting is missing or makes no sense.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn build(self) -> Result<SentinelPool, ConfigError> {
        self.config.check()?;
        Ok(SentinelPool::start(self.config))
    }

    /// Starts the pool and waits for the first verified master, for up to [`Timeouts::start`](crate::Timeouts::start).
    ///
    /// # Errors
    ///
    /// [`Error::Config`] when a setting is missing or makes no sense; [`Error::NoMaster`] when no master was verified in time, or, at once, when
    /// every Sentinel refuses the login or does not know the name, or the nodes refuse the login.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub async fn connect(self) -> Result<SentinelPool, Error> {
        let pool = self.build()?;
        if let Err(error) = pool.first_master().await {
            pool.shutdown(Duration::ZERO).await;
            return Err(error);
        }
        Ok(pool)
    }
}

/// Closes exclusive connections that nobody needs, and opens those that somebody may.
async fn keep_exclusive(shared: Arc<Shared>) {
    let config = shared.config.clone();
    let shortest = config.max_idle.into_iter().chain(config.max_lifetime).min().unwrap_or(LONGEST_ROUND);
    let round = (shortest / 4).clamp(SHORTEST_ROUND, LONGEST_ROUND);
    let mut changed = shared.changed.subscribe();
    let rounds = async {
        loop {
            let generation = shared.standing.load().generation.clone();
            if let Some(generation) = generation {
                generation.weed(config.max_idle, config.min_idle);
                // One at a time: a master that does not answer is not asked for more.
                let _ = timeout(config.timeouts.handshake * 2, generation.warm(config.min_idle)).await;
            }
            // After a switch at once.
            let _ = timeout(round, changed.changed()).await;
        }
    };
    tokio::select! {
        () = shared.dialer.stop.cancelled() => {}
        () = rounds => {}
    }
}

fn count(number: usize) -> u64 {
    number.try_into().unwrap_or(u64::MAX)
}
