//! `sentinel proxy`.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs as _},
    num::NonZeroUsize,
    path::PathBuf,
    time::Duration,
};

use clap::{Args, ValueEnum};
use sentinel_core::events::Level;
use sentinel_sdk::{Balance, Builder, ReadPreference, Tls};

use super::{
    Exit, complete,
    target::{self, Nodes, Target},
};
use crate::{log, proxy};

/// While a failover is under way new clients are kept from the old master for this long at most.
const HOLD: Duration = Duration::from_secs(5);

/// What a proxy is told.
#[derive(Args, Clone, Debug)]
pub(super) struct Options {
    /// The master's name
    #[arg(add = complete::masters())]
    name: String,

    /// Where clients connect: host:port, or :port on all addresses; may be given several times
    #[arg(short, long, value_name = "ADDR", required = true, value_parser = parse_listen)]
    listen: Vec<SocketAddr>,

    /// Let another proxy listen at the same port: the next version, while this one comes to its end
    #[arg(long)]
    share_port: bool,

    #[command(flatten)]
    reads: Reads,

    /// More clients are turned away
    #[arg(long, value_name = "CLIENTS", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    max_clients: u32,

    /// How long a client waits for a master, or for a replica, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    wait: u64,

    /// How long clients may take to come to an end at SIGTERM, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000)]
    drain: u64,

    /// Where /metrics, /livez and /readyz are served: host:port, or :port
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    metrics: Option<SocketAddr>,

    /// Threads that pass bytes on [default: one for each processor, at most 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,

    /// Certificate for clients, who must speak TLS then
    #[arg(long, value_name = "FILE", requires = "listen_key")]
    listen_cert: Option<PathBuf>,

    /// Key of that certificate
    #[arg(long, value_name = "FILE", requires = "listen_cert")]
    listen_key: Option<PathBuf>,

    /// Authorities of which each client must show a certificate
    #[arg(long, value_name = "FILE", requires = "listen_cert")]
    listen_cacert: Option<PathBuf>,

    /// How lines of the log look
    #[arg(long, value_enum, default_value_t = log::Format::Text)]
    log_format: log::Format,

    /// File of the log [default: standard output]
    #[arg(long, value_name = "FILE")]
    logfile: Option<PathBuf>,

    #[command(flatten)]
    nodes: Nodes,

    #[command(flatten)]
    target: Target,
}

/// Where reads go.
#[derive(Args, Clone, Debug)]
struct Reads {
    /// Pass clients on to replicas, and to the master while none can be read from
    #[arg(long)]
    replica: bool,

    /// With --replica: never to the master
    #[arg(long, requires = "replica")]
    replica_only: bool,

    /// With --replica: which one a new connection goes to
    #[arg(long, value_enum, default_value_t = Choice::Least, requires = "replica")]
    balance: Choice,

    /// With --replica: none that is more bytes of the replication stream behind the master
    #[arg(long, value_name = "BYTES", requires = "replica")]
    max_lag: Option<u64>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Choice {
    /// The one with the fewest connections of this proxy
    Least,
    /// In turn
    RoundRobin,
    /// At random
    Random,
    /// The nearest, and those that answer within a millisecond more
    Nearest,
}

impl From<Choice> for Balance {
    fn from(choice: Choice) -> Self {
        match choice {
            Choice::Least => Balance::LeastInFlight,
            Choice::RoundRobin => Balance::RoundRobin,
            Choice::Random => Balance::Random,
            Choice::Nearest => Balance::LowestLatency { tolerance: Duration::from_millis(1) },
        }
    }
}

/// Serves until it is told to end.
pub(super) fn run(options: Options) -> Exit {
    let target = options.target.clone();
    let settings = match settings(options) {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    match proxy::run(settings) {
        Ok(()) => Exit::Success,
        Err(error) => {
            target.complain(Exit::Failure, &error.to_string());
            Exit::Failure
        }
    }
}

fn settings(options: Options) -> Result<proxy::Settings, Exit> {
    let Options { name, listen, reads, nodes, target, .. } = options;
    let mut pool = target.begin_with(Builder::default().master(&name).hold_writes(HOLD))?;
    if let Some(password) = nodes.password {
        pool = pool.credentials(target::as_credentials(nodes.user, password));
    }
    if nodes.tls {
        pool = pool.tls(Tls::from_config(target.tls_config()?));
    }
    if reads.replica {
        let only = ReadPreference::ReplicaOnly;
        pool = pool.read_preference(if reads.replica_only { only } else { ReadPreference::ReplicaPreferred });
        pool = pool.balance(reads.balance.into());
    }
    if let Some(bytes) = reads.max_lag {
        pool = pool.max_lag(bytes);
    }
    let tls = options.listen_cert.zip(options.listen_key);
    Ok(proxy::Settings {
        listen,
        share_port: options.share_port,
        pool,
        name,
        reads: reads.replica,
        max_clients: options.max_clients,
        wait: Duration::from_millis(options.wait),
        drain: Duration::from_millis(options.drain),
        metrics: options.metrics,
        tls: tls.map(|(certificate, key)| proxy::client_tls(certificate, key, options.listen_cacert)),
        threads: options.threads.map(usize::from).and_then(NonZeroUsize::new),
        log: log::Options {
            level: Some(Level::Notice),
            format: options.log_format,
            file: options.logfile,
            ..log::Options::default()
        },
    })
}

/// `host:port`, `[v6]:port`, or `:port` on all addresses.
fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let wrong = || format!("`{text}` is no address to listen at: write host:port, [address]:port, or :port");
    let port = text.strip_prefix(':').or_else(|| text.strip_prefix("*:"));
    if let Some(port) = port {
        let port = port.parse().map_err(|_| wrong())?;
        return Ok((IpAddr::from(Ipv6Addr::UNSPECIFIED), port).into());
    }
    if !text.contains(':') {
        return Err(wrong());
    }
    let found = text.to_socket_addrs().map_err(|error| format!("{}: {error}", wrong()))?.next();
    found.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_to_listen_is_read_in_every_form() {
        assert_eq!(parse_listen("127.0.0.1:6379").unwrap().to_string(), "127.0.0.1:6379");
        assert_eq!(parse_listen("[::1]:0").unwrap().to_string(), "[::1]:0");
        for all in [":6379", "*:6379"] {
            assert_eq!(parse_listen(all).unwrap().to_string(), "[::]:6379");
        }
        for wrong in ["", "6379", "127.0.0.1", ":", ":x", "127.0.0.1:70000", "::1"] {
            assert!(parse_listen(wrong).unwrap_err().contains("host:port"), "{wrong}");
        }
    }
}
