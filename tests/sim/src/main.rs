//! `sim`: runs seeds, replays one, shrinks one.

use std::{
    process::ExitCode,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use clap::Parser;
use sentinel_sim::{
    run::{Outcome, run},
    scenario::Scenario,
    shrink::shrink,
    time::{MS, SEC},
    trace::Detail,
};

/// Simulated disasters: real Sentinel engines in a world with virtual time.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run so many more that nobody has run before: consecutive ones, from a first seed that follows from
    /// `--drawn-from`.
    #[arg(long, default_value_t = 0, requires = "drawn_from")]
    fresh: u64,
    /// What fresh seeds are drawn from: a text that is another one for every state of the source.
    #[arg(long)]
    drawn_from: Option<String>,
    /// Replay this seed alone.
    #[arg(long)]
    seed: Option<u64>,
    /// With --seed: print the log.
    #[arg(long, requires = "seed")]
    log: bool,
    /// With --seed: find the faults that are needed to break the same rule.
    #[arg(long, requires = "seed")]
    shrink: bool,
    /// With --seed: these faults only, by number.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// An experiment: Sentinels wait for at most so many milliseconds before they nominate themselves.
    #[arg(long)]
    nomination_delay: Option<u64>,
    /// An experiment: a save of a Sentinel takes so many milliseconds, from half of it to half as much again.
    #[arg(long)]
    save_time: Option<u64>,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Stop after so many failures.
    #[arg(long, default_value_t = 10)]
    failures: usize,
}

impl Arguments {
    fn scenario(&self, seed: u64) -> Scenario {
        let mut scenario = Scenario::of(seed);
        if let Some(delay) = self.nomination_delay {
            scenario.timing.nomination_delay = Duration::from_millis(delay);
        }
        if let Some(time) = self.save_time {
            scenario.save_time = time * MS;
        }
        scenario
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) if arguments.shrink => shrunk(seed),
        Some(seed) => one(seed, &arguments),
        None => all(&arguments),
    }
}

/// The seeds asked for, and then the fresh ones, also when one of the former has failed.
fn all(arguments: &Arguments) -> ExitCode {
    let mut failed = many(arguments, arguments.from, arguments.seeds);
    if let Some(text) = arguments.drawn_from.as_ref().filter(|_| arguments.fresh > 0) {
        let from = sentinel_sim::scenario::fresh_seed(text);
        let last = from + arguments.fresh - 1;
        println!(
            "fresh seeds {from} to {last}, drawn from {text}; the same again: make sim SEEDS={} ARGS='--from {from}'",
            arguments.fresh
        );
        failed.extend(many(arguments, from, arguments.fresh));
    }
    for outcome in &failed {
        tell(outcome, "");
    }
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn one(seed: u64, arguments: &Arguments) -> ExitCode {
    let mut scenario = arguments.scenario(seed);
    if let Some(only) = &arguments.only {
        scenario.keep(only);
    }
    println!("{scenario:#?}");
    let detail = if arguments.log { Detail::Print } else { Detail::None };
    let outcome = run(&scenario, detail);
    println!("{outcome:#?}");
    tell(&outcome, "")
}

fn shrunk(seed: u64) -> ExitCode {
    let needed = shrink(seed);
    let list: Vec<String> = needed.iter().map(ToString::to_string).collect();
    let all = Scenario::of(seed).faults;
    for index in &needed {
        let fault = &all[*index];
        println!("{index}: {:.3}-{:.3} s {:?}", seconds(fault.at), seconds(fault.until), fault.kind);
    }
    println!("replay with: make sim ARGS='--seed {seed} --only {} --log'", list.join(","));
    ExitCode::SUCCESS
}

fn many(arguments: &Arguments, from: u64, count: u64) -> Vec<Outcome> {
    let started = Instant::now();
    let next = AtomicU64::new(from);
    let end = from.saturating_add(count);
    let failed: Mutex<Vec<Outcome>> = Mutex::new(Vec::new());
    let sums: Mutex<Sums> = Mutex::new(Sums::default());
    std::thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(&arguments.scenario(seed), Detail::None);
                    sums.lock().expect("no thread panics with it").add(&outcome);
                    if outcome.violation.is_some() {
                        tell(&outcome, "");
                        let mut failed = failed.lock().expect("no thread panics with it");
                        failed.push(outcome);
                        if failed.len() >= arguments.failures {
                            next.store(end, Relaxed);
                        }
                    }
                }
            });
        }
    });
    let mut sums = sums.into_inner().expect("all threads have ended");
    let failed = failed.into_inner().expect("all threads have ended");
    println!(
        "{} seeds of 10 simulated minutes in {:.1} s: {} failed; {} candidacies, {} epochs without a leader, {} promotions; {} writes acknowledged, \
         {} lost that no replica had to have, {} lost that all had; of {} that were acknowledged by masters already overruled \
         {} came back; at rest after {:.1} s on average, {:.1} s at most; {} events",
        sums.seeds,
        started.elapsed().as_secs_f64(),
        failed.len(),
        sums.elections,
        sums.undecided,
        sums.promotions,
        sums.acknowledged,
        sums.unguarded,
        sums.guarded,
        sums.overruled,
        sums.reported,
        seconds(sums.rest / sums.seeds.max(1)),
        seconds(sums.longest_rest),
        sums.steps,
    );
    sums.failover_times.sort_unstable();
    let at =
        |permille: usize| sums.failover_times.get(sums.failover_times.len() * permille / 1_000).copied().unwrap_or(0);
    println!(
        "{} masters died alone: the first +switch-master came after down-after and {:.3} s (median), {:.3} s (99 %), {:.3} s (at most)",
        sums.failover_times.len(),
        seconds(at(500)),
        seconds(at(990)),
        seconds(sums.failover_times.last().copied().unwrap_or(0)),
    );
    failed
}

#[derive(Default)]
struct Sums {
    seeds: u64,
    elections: u64,
    undecided: u64,
    promotions: u64,
    acknowledged: u64,
    unguarded: u64,
    guarded: u64,
    overruled: u64,
    reported: u64,
    rest: u64,
    longest_rest: u64,
    failover_times: Vec<u64>,
    steps: u64,
}

impl Sums {
    fn add(&mut self, outcome: &Outcome) {
        self.seeds += 1;
        self.elections += outcome.elections;
        self.undecided += outcome.undecided;
        self.promotions += outcome.promotions;
        self.acknowledged += outcome.losses.acknowledged;
        self.unguarded += outcome.losses.unguarded;
        self.guarded += outcome.losses.guarded;
        self.overruled += outcome.overruled.acknowledged;
        self.reported += outcome.overruled.reported;
        let rest = outcome.rest_after.unwrap_or(0);
        self.rest += rest;
        self.longest_rest = self.longest_rest.max(rest);
        self.steps += outcome.steps;
        self.failover_times.extend(&outcome.failover_times);
    }
}

fn tell(outcome: &Outcome, indent: &str) -> ExitCode {
    let Some(violation) = &outcome.violation else { return ExitCode::SUCCESS };
    println!(
        "{indent}seed {} at {:.6} s: broken: {}\n{indent}  {}\n{indent}  replay with: make sim ARGS='--seed {} --log'",
        outcome.seed,
        seconds(violation.at),
        violation.rule,
        violation.what,
        outcome.seed
    );
    ExitCode::FAILURE
}

#[expect(clippy::cast_precision_loss, reason = "shown to humans")]
fn seconds(time: u64) -> f64 {
    time as f64 / SEC as f64
}
