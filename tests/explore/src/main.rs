//! `explore`: looks at all histories of the small worlds, as far as time reaches.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use sentinel_explore::{
    Outcome,
    action::Action,
    scenario::{SCENARIOS, Scenario, named},
    search::{Limits, search},
    trace,
};

/// Looks at all interleavings of small worlds.
#[derive(Debug, Parser)]
struct Options {
    /// One world only; all, if none is named.
    #[arg(long)]
    world: Option<String>,
    /// Minutes in all, shared by the worlds.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Histories of at most so many actions.
    #[arg(long, default_value_t = 1_000)]
    depth: usize,
    /// Megabytes of memory that it may take.
    #[arg(long, default_value_t = 3_500)]
    memory: usize,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Looks at worlds, too, that are the same as another one but for the names of the Sentinels.
    #[arg(long)]
    all_names: bool,
    /// Tells one history again: the actions that a violation was printed with.
    #[arg(long)]
    replay: Option<String>,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(what) => {
            eprintln!("explore: {what}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<bool, String> {
    let worlds: Vec<&Scenario> = match &options.world {
        Some(name) => vec![named(name).ok_or_else(|| format!("no world {name}"))?],
        None => SCENARIOS.iter().collect(),
    };
    if let Some(history) = &options.replay {
        let history = history.split_whitespace().map(str::parse).collect::<Result<Vec<Action>, _>>()?;
        let [world] = worlds.as_slice() else { return Err("--replay needs --world".to_owned()) };
        let (text, outcome) = trace::tell(world, &history)?;
        println!("{text}{outcome:?}");
        return Ok(outcome == Outcome::Fine);
    }
    let begun = Instant::now();
    let time = Duration::from_secs_f64(options.minutes * 60.0);
    let mut fine = true;
    println!("| world | depth | worlds | actions | Sentinels' states | engine steps | seconds |");
    println!("|---|---|---|---|---|---|---|");
    for (number, world) in worlds.iter().enumerate() {
        // What one leaves is the others'.
        let left = u32::try_from(worlds.len() - number).unwrap_or(1);
        let limits = Limits {
            time: time.saturating_sub(begun.elapsed()) / left,
            depth: options.depth,
            memory: options.memory << 20,
            threads: options.threads,
            symmetry: !options.all_names,
        };
        let report = search(world, limits, &|| {});
        let depth = if report.exhausted { "all".to_owned() } else { report.depth.to_string() };
        println!(
            "| {} | {depth} | {} | {} | {} | {} | {:.1} |",
            world.name,
            report.worlds,
            report.actions,
            report.sentinels.0,
            report.sentinels.1,
            report.took.as_secs_f64()
        );
        if report.differences > 0 {
            println!("  {} steps of Sentinels are others under other names: see --all-names", report.differences);
        }
        if report.beyond > 0 {
            println!("  not looked behind {} actions: an epoch or a queue is too long there", report.beyond);
        }
        if let Some((history, what)) = report.violation {
            fine = false;
            println!("\n{}: {what}, after {} actions\n", world.name, history.len());
            println!("{}", trace::tell(world, &history)?.0);
            println!("replay: {}\n", trace::command(world, &history));
        }
    }
    Ok(fine)
}
