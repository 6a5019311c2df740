//! How long commands take, and all that is done for them. Needs the feature `metrics`.
//!
//! [`SentinelPool::metrics`](crate::SentinelPool::metrics) reads what was measured since the pool was made; [`Metrics::to_prometheus`] writes it
//! for an exporter, beside the counts of [`Statistics::to_prometheus`](crate::Statistics::to_prometheus). The names are those of OpenTelemetry's
//! conventions for databases (stable for operations, in development for connections), in the form that Prometheus gives them:
//!
//! | in Prometheus | in OpenTelemetry | what is measured |
//! |---|---|---|
//! | `db_client_operation_duration_seconds` | `db.client.operation.duration` | a command, pipeline or transaction as its caller sees it: the wait for a master and repetitions included |
//! | `db_client_connection_create_time_seconds` | `db.client.connection.create_time` | opening an exclusive connection, its role verified |
//! | `db_client_connection_wait_time_seconds` | `db.client.connection.wait_time` | the wait for an exclusive connection, also in vain |
//! | `db_client_connection_use_time_seconds` | `db.client.connection.use_time` | how long an exclusive connection is kept by its user |
//! | `db_client_connection_count` | `db.client.connection.count` | exclusive connections, `idle` and `used` |
//! | `db_client_connection_max` | `db.client.connection.max` | how many there may be |
//! | `db_client_connection_pending_requests` | `db.client.connection.pending_requests` | callers that wait, for a verified master or for an exclusive connection |
//! | `db_client_connection_timeouts_total` | `db.client.connection.timeouts` | callers that got no exclusive connection in time |
//! | `sentinel_sdk_without_master_seconds` | none | the time from the loss of a master to the next verified one, the start included |
//!
//! Operations have the attributes `db.system.name` (`redis`), `db.namespace`, `db.operation.name` (`GET`; `PIPELINE`; `MULTI` for an
//! [`atomic`](redis::Pipeline::atomic) pipeline; `_OTHER` for commands that this crate does not know, such as those of modules), `error.type` where they failed
//! ([`Failure`]), and `sentinel.master`. Writes of [`durable`](crate::SentinelPool::durable) are pipelines. Arguments are never among them, and there are no more series than commands and ways to fail.
//!
//! ```no_run
//! use redis::AsyncCommands;
//! use sentinel_sdk::SentinelPool;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = SentinelPool::from_url("redis-sentinel://s1,s2,s3?master=mymaster").await?;
//! let () = pool.master().set("greeting", "hello").await?;
//! let metrics = pool.metrics();
//! for operation in &metrics.operations {
//!     println!("{} {:?}: {:?}", operation.name, operation.failure, operation.durations.quantile(0.99));
//! }
//! // For /metrics.
//! println!("{}{}", metrics.to_prometheus(), pool.statistics().to_prometheus(&metrics.master));
//! # Ok(()) }
//! ```

mod prometheus;

use std::sync::Arc;

use crate::counters::Statistics;
use crate::measure::Step;
pub use crate::measure::{Distribution, Failure, Operation};
use crate::pool::SentinelPool;

/// What was measured since a pool was made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metrics {
    /// The name the Sentinels monitor the master under.
    pub master: Arc<str>,
    /// The database at the data nodes.
    pub database: i64,
    /// Commands, pipelines and transactions that happened, ordered by name; those that failed apart.
    pub operations: Vec<Operation>,
    /// Opening an exclusive connection.
    pub connection_create: Distribution,
    /// Waiting for an exclusive connection, also in vain.
    pub connection_wait: Distribution,
    /// Keeping an exclusive connection.
    pub connection_use: Distribution,
    /// Callers that got no exclusive connection in time.
    pub connection_timeouts: u64,
    /// The largest number of exclusive connections.
    pub connections_max: u64,
    /// From the loss of a master to the next verified one; the start is the first.
    pub without_master: Distribution,
    /// The counts, read at the same time.
    pub statistics: Statistics,
}

impl SentinelPool {
    /// What was measured since the pool was made; see [the module](crate::metrics). Needs the feature `metrics`.
    pub fn metrics(&self) -> Metrics {
        let config = self.config();
        let recorder = self.recorder();
        Metrics {
            master: config.master.clone(),
            database: config.database,
            operations: recorder.operations(),
            connection_create: recorder.step(Step::Create),
            connection_wait: recorder.step(Step::Wait),
            connection_use: recorder.step(Step::Use),
            connection_timeouts: recorder.timeouts(),
            connections_max: config.max_connections.try_into().unwrap_or(u64::MAX),
            without_master: recorder.outages(),
            statistics: self.statistics(),
        }
    }
}
