//! An application on the SDK of this repository: writes numbered values and prints a line about each. Between them stands what the
//! SDK traces, and when a probe on the same host could write.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::Args;
use sentinel_sdk::redis::{self, RedisResult};
use sentinel_sdk::{ExclusiveConnection, Master, SentinelPool};
use tokio::time::{Instant, sleep, sleep_until};
use tracing_subscriber::EnvFilter;

use crate::probe;

/// Milliseconds for which WAIT waits for the replicas.
const REPLICAS_ANSWER_WITHIN: u32 = 200;

/// What it writes, and to whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Options {
    /// Its keys begin so.
    #[arg(long)]
    prefix: String,
    /// Milliseconds between two writes.
    #[arg(long)]
    pace: u64,
    /// After each write, so many replicas must say that they have it, or it is not called kept.
    #[arg(long, default_value_t = 0)]
    wait: u32,
    /// The master's name.
    name: String,
    /// Addresses of the Sentinels.
    sentinels: Vec<String>,
}

/// Writes until it is killed.
pub(crate) fn run(options: &Options) -> ExitCode {
    let filter = EnvFilter::builder().with_default_directive("sentinel_sdk=debug".parse().expect("a directive"));
    tracing_subscriber::fmt()
        .with_env_filter(filter.from_env_lossy())
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    probe::start(&options.name, &options.sentinels, &format!("probe:{}", options.prefix));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map(|runtime| runtime.block_on(write(options))) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) | Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn write(options: &Options) -> std::io::Result<()> {
    let pool = connect(options).await;
    let mut client = if options.wait == 0 { Client::Shared(pool.master()) } else { Client::Exclusive(pool, None) };
    let mut output = std::io::stdout();
    // A number whose outcome is unknown is never used again.
    for number in 0_u64.. {
        let began = Instant::now();
        let outcome = client.set(options, number).await;
        let at = now();
        match outcome {
            Ok(replicas) if options.wait > 0 && replicas >= options.wait => writeln!(output, "kept {number} {at}")?,
            Ok(_) => writeln!(output, "ok {number} {at}")?,
            Err(error) => writeln!(output, "failed {number} {at} {}", error.to_string().replace('\n', " "))?,
        }
        sleep_until(began + Duration::from_millis(options.pace)).await;
    }
    Ok(())
}

/// Microseconds since 1970.
pub(crate) fn now() -> u128 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// How it reaches the master.
enum Client {
    /// The connection that all parts of a program share.
    Shared(Master),
    /// One of its own, for WAIT; a new one after each error.
    Exclusive(SentinelPool, Option<ExclusiveConnection>),
}

async fn connect(options: &Options) -> SentinelPool {
    let url = format!("redis-sentinel://{}/0?master={}", options.sentinels.join(","), options.name);
    loop {
        match SentinelPool::from_url(&url).await {
            Ok(pool) => return pool,
            Err(error) => {
                eprintln!("not yet: {error}");
                sleep(Duration::from_millis(500)).await;
            }
        }
    }
}

impl Client {
    /// Writes one value; how many replicas have it, as far as that is asked for.
    async fn set(&mut self, options: &Options, number: u64) -> RedisResult<u32> {
        let key = format!("{}:{number}", options.prefix);
        match self {
            Self::Shared(master) => {
                redis::cmd("SET").arg(key).arg(number).query_async::<()>(master).await?;
                Ok(0)
            }
            Self::Exclusive(pool, kept) => {
                let mut connection = match kept.take() {
                    Some(connection) => connection,
                    None => pool.get().await?,
                };
                // One pipeline: WAIT speaks of the writes of its own connection.
                let mut pipeline = redis::pipe();
                pipeline.cmd("SET").arg(key).arg(number).ignore();
                pipeline.cmd("WAIT").arg(options.wait).arg(REPLICAS_ANSWER_WITHIN);
                let (replicas,): (u32,) = pipeline.query_async(&mut connection).await?;
                *kept = Some(connection);
                Ok(replicas)
            }
        }
    }
}
