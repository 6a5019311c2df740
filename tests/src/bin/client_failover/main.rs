//! Real clients through a failover: each writes 500 values a second to a deployment with three Sentinels, whose master is
//! killed, with ours and with redis-sentinel in turn.
//!
//! The clients lie in `tests/clients`, with the versions they are pinned to; they are installed from their registries
//! into the build folder. The exit code is 0 if every client wrote again in every round.

mod application;
mod clients;
mod install;
mod report;
mod round;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use sentinel_tests::Kind;

use clients::Client;
use report::{Report, Row};

/// Takes real clients through a failover.
#[derive(Debug, Parser)]
#[command(name = "client-failover")]
struct Arguments {
    /// Failovers of each client with each kind of Sentinel.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only the clients whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// All clients write to the same master, 1,000 values a second each, and see the same failovers; only gaps are told.
    #[arg(long)]
    together: bool,
}

/// Between two writes of a client, where all write to one master.
const PACE_TOGETHER: Duration = Duration::from_millis(1);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let chosen: Vec<Client> = Client::ALL
        .into_iter()
        .filter(|client| arguments.only.as_ref().is_none_or(|only| client.name().contains(only.as_str())))
        .collect();
    let folder = match install::install(&chosen) {
        Ok(folder) => folder,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut rows: Vec<Row> = chosen.iter().map(|client| Row::of(*client, client.version(&folder))).collect();
    if arguments.together {
        for round in 0..arguments.rounds {
            for kind in [Kind::Ours, Kind::Reference] {
                eprintln!("round {} of {}: all with {}", round + 1, arguments.rounds, kind.name());
                let outcomes = round::through_the_same_failover(&chosen, &folder, kind, PACE_TOGETHER);
                for (row, outcome) in rows.iter_mut().zip(outcomes) {
                    row.add(kind, outcome);
                }
            }
        }
        let report = Report::together(arguments.rounds, rows);
        println!("{report}");
        return if report.all_recovered() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    for round in 0..arguments.rounds {
        for row in &mut rows {
            for kind in [Kind::Ours, Kind::Reference] {
                eprintln!("round {} of {}: {} with {}", round + 1, arguments.rounds, row.name(), kind.name());
                row.add(kind, round::through_a_failover(row.client(), &folder, kind, round));
            }
        }
    }
    let report = Report::of(arguments.rounds, rows);
    println!("{report}");
    if report.all_recovered() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
