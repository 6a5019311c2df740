//! Sentinels at scale: ours and redis-sentinel in turn, in the same run, on emulated data nodes.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "figures for a table need no 53 bits"
)]

#[path = "bench/awake.rs"]
mod awake;
#[path = "bench/clients.rs"]
mod clients;
#[path = "bench/disk.rs"]
mod disk;
#[path = "bench/floor.rs"]
mod floor;
#[path = "bench/hang.rs"]
mod hang;
#[path = "bench/load.rs"]
mod load;
#[path = "bench/plan.rs"]
mod plan;
#[path = "bench/report.rs"]
mod report;
#[path = "bench/scale.rs"]
mod scale;
#[path = "bench/scrape.rs"]
mod scrape;
#[path = "bench/stats.rs"]
mod stats;
#[path = "bench/subject.rs"]
mod subject;

use std::{io, net::Ipv4Addr, path::PathBuf, time::Instant};

use clap::{Parser, Subcommand};
use report::Report;

/// Measures ours and redis-sentinel in turn: thousands of masters, mass failures, floods of clients.
#[derive(Debug, Parser)]
#[command(name = "bench")]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    options: plan::Options,
    /// Prints JSON instead of the table.
    #[arg(long)]
    json: bool,
    /// Puts the table between the marks of this file, too.
    #[arg(long, value_name = "FILE")]
    readme: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Emulates data nodes until standard input ends.
    #[command(hide = true)]
    Fleet {
        /// The first address.
        first: Ipv4Addr,
        /// How many.
        nodes: usize,
        /// A master and its replicas.
        per_group: usize,
    },
    /// Answers every question alike until standard input ends.
    #[command(hide = true)]
    Floor,
    /// Keeps a processor awake until standard input ends.
    #[command(hide = true)]
    Spin,
}

fn main() -> io::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Fleet { first, nodes, per_group }) => {
            return sentinel_fleet::worker::run(first, nodes, per_group);
        }
        Some(Command::Floor) => return floor::answer(),
        Some(Command::Spin) => return awake::spin(),
        None => {}
    }
    let begun = Instant::now();
    let mut report = Report::new();
    plan::run(&arguments.options, &mut report)?;
    report.seconds = begun.elapsed().as_secs();
    if let Some(file) = &arguments.readme {
        put_into(file, &report.to_string())?;
    }
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}

const BEGIN: &str = "<!-- bench: begin -->\n";
const END: &str = "<!-- bench: end -->";

/// Replaces what stands between the marks.
fn put_into(file: &std::path::Path, table: &str) -> io::Result<()> {
    let text = std::fs::read_to_string(file)?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts
        .ok_or_else(|| io::Error::other(format!("{} has no place for the table: {BEGIN}{END}", file.display())))?;
    std::fs::write(file, format!("{before}{BEGIN}{table}{END}{after}"))
}
