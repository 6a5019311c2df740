//! `sentinel proxy` beside a direct connection and beside `HAProxy`: throughput and latency in turn in one run, and how long an
//! application cannot write when the master moves or dies.

mod gaps;
mod load;

use std::collections::BTreeMap;

use clap::Parser;
use sentinel_tests::programs;

use load::{Path, Sample, Shape};

/// Of `HAProxy`'s throughput.
const LEAST_THROUGHPUT: f64 = 0.9;
/// The longest write gaps on an idle machine, in milliseconds.
const FORCED: f64 = 60.0;
const KILLED: f64 = 120.0;

/// Measures `sentinel proxy`.
#[derive(Debug, Parser)]
#[command(name = "bench-proxy")]
struct Arguments {
    /// Rounds of each path and shape.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Forced failovers, and deaths.
    #[arg(long, default_value_t = 5)]
    failovers: u32,
    /// Ends with success although a goal is missed.
    #[arg(long)]
    no_goals: bool,
}

fn main() -> std::process::ExitCode {
    let arguments = Arguments::parse();
    println!(
        "{} on {} cores",
        sentinel_tests::Kind::Ours.version(),
        std::thread::available_parallelism().map_or(0, usize::from)
    );
    let mut missed = throughput(arguments.rounds);
    if arguments.failovers > 0 {
        for (what, goal, gaps) in gaps::measure(arguments.failovers) {
            let (median, longest) = (load::median(gaps.clone()), gaps.iter().copied().fold(0.0, f64::max));
            println!("{what}: longest write gap {median:.0} ms in the median, {longest:.0} at most, goal {goal:.0}");
            if median > goal {
                missed.push(format!("{what}: {median:.0} ms"));
            }
        }
    }
    if missed.is_empty() || arguments.no_goals {
        return std::process::ExitCode::SUCCESS;
    }
    eprintln!("missed: {}", missed.join("; "));
    std::process::ExitCode::FAILURE
}

/// Prints a table of all paths and shapes; what misses its goal is returned.
fn throughput(rounds: u32) -> Vec<String> {
    let stage = load::Stage::start();
    let mut samples: BTreeMap<(usize, Path), Vec<Sample>> = BTreeMap::new();
    for round in 0..rounds {
        for (at, shape) in Shape::ALL.iter().enumerate() {
            for turn in 0..Path::ALL.len() {
                // Another one begins each time.
                let path = Path::ALL[(turn + round as usize) % Path::ALL.len()];
                samples.entry((at, path)).or_default().push(stage.run(path, shape));
            }
        }
        eprintln!("round {} of {rounds}", round + 1);
    }
    println!(
        "{:<34}{:>10}{:>10}{:>10}{:>10}{:>28}",
        "", "direct", "HAProxy", "proxy", "ratio", "p50 added: HAProxy, proxy"
    );
    let mut missed = Vec::new();
    for (at, shape) in Shape::ALL.iter().enumerate() {
        let of = |path, what: fn(&Sample) -> f64| load::median(samples[&(at, path)].iter().map(what).collect());
        let rates = Path::ALL.map(|path| of(path, |it| it.per_second));
        let latencies = Path::ALL.map(|path| of(path, |it| it.p50));
        let ratio = rates[2] / rates[1];
        let added = [latencies[1] - latencies[0], latencies[2] - latencies[0]];
        println!(
            "{:<34}{:>10.0}{:>10.0}{:>10.0}{ratio:>10.2}{:>18.3}, {:.3} ms",
            shape.name, rates[0], rates[1], rates[2], added[0], added[1]
        );
        if ratio < LEAST_THROUGHPUT {
            missed.push(format!("{}: {ratio:.2} of HAProxy's throughput", shape.name));
        }
        // redis-benchmark tells milliseconds with three digits, in steps of eight microseconds.
        if added[1] > added[0] + 0.008 {
            missed.push(format!("{}: {:.3} ms added, {:.3} by HAProxy", shape.name, added[1], added[0]));
        }
    }
    println!("({}, redis-benchmark; medians of {rounds} rounds)", programs::version_of(&programs::redis_server()));
    missed
}
