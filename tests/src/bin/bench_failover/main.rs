//! How long failovers take: ours and redis-sentinel in turn, on the same kind of deployment, in the same run.
//!
//! One master, two replicas, three Sentinels, quorum 2, down after 1 s. Each round has a fresh deployment.

mod measure;
mod report;

use clap::Parser;
use sentinel_tests::Kind;

use measure::Samples;
use report::{Report, Versions};

/// Measures failovers of ours and of redis-sentinel in turn.
#[derive(Debug, Parser)]
#[command(name = "bench-failover")]
struct Arguments {
    /// Rounds of each kind: kills with the return of the old master, and forced failovers.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Prints JSON with every sample instead of the table.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<(), serde_json::Error> {
    let arguments = Arguments::parse();
    let mut ours = Samples::default();
    let mut reference = Samples::default();
    for round in 0..arguments.rounds {
        for (kind, samples) in [(Kind::Ours, &mut ours), (Kind::Reference, &mut reference)] {
            eprintln!("round {} of {}: {}", round + 1, arguments.rounds, kind.name());
            measure::kill_and_return(kind, round, samples);
            measure::forced_failover(kind, round, samples);
        }
    }
    let report = Report::new(Versions::found(), &ours, &reference);
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{report}");
    }
    Ok(())
}
