//! Disasters on real servers: `make chaos MINUTES=10 SEED=7`.
//!
//! Three data nodes, three Sentinels and three applications, each on a host of its own (a network namespace), all on one bridge.
//! Faults are drawn from the seed and overlap: partitions of every shape, loss, slow lines, SIGSTOP, SIGKILL, full disks,
//! operators. After each episode everything heals; then all Sentinels must agree, one node must be the master, the others must follow it,
//! and every application must write again. What was acknowledged is looked for.
//!
//! The seed decides which faults come when; what the processes make of them is theirs. The exit code is 0 if there was no
//! disagreement and no write was lost that every replica had acknowledged.

mod agreement;
mod application;
mod ask;
mod cast;
mod episode;
mod fault;
mod host;
mod inject;
mod isolate;
mod network;
mod probe;
mod python;
mod report;
mod writes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use cast::Cast;
use episode::Episode;
use report::Report;

/// Disasters on real servers, drawn from a seed.
#[derive(Debug, Parser)]
#[command(name = "chaos")]
struct Arguments {
    /// How long, in minutes: a third of it with Sentinels of ours alone, a third mixed with redis-sentinel, a third with
    /// `min-replicas-to-write 1`.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    minutes: u64,
    /// Decides which faults come when. Without one it is drawn, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Only this deployment: ours, mixed or min-replicas.
    #[arg(long)]
    only: Option<String>,
    /// Runs in the namespaces that were made for it, in this folder.
    #[arg(long, hide = true)]
    inside: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// An application on the SDK of this repository; started by the program itself.
    #[command(hide = true)]
    Application(application::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(Part::Application(options)) = arguments.part {
        return application::run(&options);
    }
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let Some(folder) = arguments.inside else {
        return isolate::run_inside(seed);
    };
    if let Err(error) = isolate::prepare() {
        eprintln!("error: {error}");
        return ExitCode::FAILURE;
    }
    let chosen: Vec<_> =
        cast::MIXES.into_iter().filter(|mix| arguments.only.as_deref().is_none_or(|only| only == mix.name)).collect();
    let Some(share) = u32::try_from(chosen.len()).ok().filter(|count| *count > 0) else {
        eprintln!("error: --only takes ours, mixed or min-replicas");
        return ExitCode::FAILURE;
    };
    let share = Duration::from_secs(arguments.minutes * 60) / share;
    let mut random = fastrand::Rng::with_seed(seed);
    let mut reports = Vec::new();
    for mix in chosen {
        let began = Instant::now();
        let mut cast = match Cast::start(&folder, &mix) {
            Ok(cast) => cast,
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
        let mut report = Report::of(mix.name, seed);
        while began.elapsed() < share {
            let episode = Episode::draw(&mut random, cast.hosts());
            report.add(episode.play(&mut cast));
            if report.has_failed() {
                break;
            }
        }
        report.finish(&cast, began.elapsed());
        reports.push(report);
    }
    println!();
    for report in &reports {
        println!("{report}");
    }
    println!("logs: {}", folder.display());
    if reports.iter().any(Report::has_failed) {
        println!("FAILED; the same faults again: make chaos MINUTES={} SEED={seed}", arguments.minutes);
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
