//! What `master()` costs beside a bare connection of the `redis` crate, in one run: slices of both in turn, in an order that changes.
//!
//! `make bench-sdk`. It fails where a goal is missed; `ARGS=--no-goals` only prints, `ARGS="--rounds 30"` measures for longer,
//! `ARGS="--tasks 4"` with another number of callers.

#[path = "../tests/support/mod.rs"]
mod support;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use redis::aio::ConnectionLike;
use sentinel_sdk::SentinelPool;
use support::deployment::Server;
use support::scripted::ScriptedSentinel;

/// How long one of the two is measured at a time.
const SLICE: Duration = Duration::from_millis(120);
const TASKS: [usize; 3] = [1, 16, 256];
const WORKS: [Work; 3] = [Work::Get, Work::Set, Work::Pipeline];

#[derive(Debug, Clone, Copy)]
enum Work {
    Get,
    Set,
    /// 16 GETs in one.
    Pipeline,
}

impl Work {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Set => "SET",
            Self::Pipeline => "16 GETs",
        }
    }

    async fn once<C: ConnectionLike>(self, connection: &mut C, requests: &Requests) {
        let done = match self {
            Self::Get => connection.req_packed_command(&requests.get).await.map(drop),
            Self::Set => connection.req_packed_command(&requests.set).await.map(drop),
            Self::Pipeline => connection.req_packed_commands(&requests.pipeline, 0, 16).await.map(drop),
        };
        done.expect("an answer");
    }
}

struct Requests {
    get: redis::Cmd,
    set: redis::Cmd,
    pipeline: redis::Pipeline,
}

impl Requests {
    fn new() -> Self {
        let mut get = redis::cmd("GET");
        get.arg("key:000001");
        let mut set = redis::cmd("SET");
        set.arg("key:000001").arg("a value of thirty-two characters");
        let mut pipeline = redis::pipe();
        for _ in 0..16 {
            pipeline.add_command(get.clone());
        }
        Self { get, set, pipeline }
    }
}

/// What a slice, or several, brought.
#[derive(Default)]
struct Measured {
    /// Operations a second, one number a slice.
    rates: Vec<f64>,
    operations: u64,
    processor: Duration,
    latencies: Vec<u32>,
}

impl Measured {
    fn latency(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a place among millions, between 0 and the last one"
        )]
        let at = ((self.latencies.len() as f64 - 1.0) * share) as usize;
        f64::from(self.latencies[at]) / 1000.0
    }

    fn processor(&self) -> u128 {
        self.processor.as_nanos() / u128::from(self.operations.max(1))
    }
}

async fn slice<C: ConnectionLike + Clone + Send + 'static>(
    connection: &C,
    work: Work,
    tasks: usize,
    to: &mut Measured,
) {
    let before = processor();
    let began = Instant::now();
    let until = began + SLICE;
    let running: Vec<_> = (0..tasks)
        .map(|_| {
            let mut connection = connection.clone();
            tokio::spawn(async move {
                let requests = Requests::new();
                let mut latencies = Vec::with_capacity(16_384);
                let mut now = Instant::now();
                while now < until {
                    work.once(&mut connection, &requests).await;
                    let after = Instant::now();
                    latencies.push(u32::try_from((after - now).as_nanos()).unwrap_or(u32::MAX));
                    now = after;
                }
                latencies
            })
        })
        .collect();
    let mut operations = 0;
    for task in running {
        let latencies = task.await.expect("no panic");
        operations += latencies.len();
        to.latencies.extend(latencies);
    }
    let took = began.elapsed();
    to.processor += processor().saturating_sub(before);
    to.operations += operations as u64;
    #[expect(clippy::cast_precision_loss, reason = "so many operations fit into no slice")]
    to.rates.push(operations as f64 / took.as_secs_f64());
}

/// What the threads of this process have run.
fn processor() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("Linux").flatten();
    let ran = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(ran.sum())
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |option: &str| {
        let at = arguments.iter().position(|argument| argument == option)?;
        Some(arguments[at + 1].parse::<usize>().unwrap_or_else(|_| panic!("{option} takes a number")))
    };
    let rounds = number("--rounds").unwrap_or(20);
    let tasks = number("--tasks").map_or_else(|| TASKS.to_vec(), |tasks| vec![tasks]);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let missed = runtime.block_on(compare(rounds, &tasks));
    if missed > 0 && !arguments.iter().any(|argument| argument == "--no-goals") {
        eprintln!("{missed} goals were missed");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

async fn compare(rounds: usize, tasks: &[usize]) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::redis(folder.path(), None, "");
    let sentinel = ScriptedSentinel::start(&server.address(), 1).await;
    let url = format!("redis-sentinel://{}?master=mymaster", sentinel.address());
    let pool = SentinelPool::from_url(&url).await.expect("a pool");
    let master = pool.master();
    let client = redis::Client::open(format!("redis://{}", server.address())).expect("a client");
    let bare = client.get_multiplexed_async_connection().await.expect("a connection");
    println!(
        "{:>8} {:>6} {:>7} | {:>21} | {:>17} | {:>21}",
        "", "tasks", "ratio", "operations/s", "p50 / p99 µs", "ns of processor"
    );
    let mut missed = 0;
    for work in WORKS {
        for &tasks in tasks {
            let (mut ours, mut theirs) = (Measured::default(), Measured::default());
            // The first ones warm up.
            slice(&master, work, tasks, &mut Measured::default()).await;
            slice(&bare, work, tasks, &mut Measured::default()).await;
            for round in 0..rounds {
                if round % 2 == 0 {
                    slice(&master, work, tasks, &mut ours).await;
                    slice(&bare, work, tasks, &mut theirs).await;
                } else {
                    slice(&bare, work, tasks, &mut theirs).await;
                    slice(&master, work, tasks, &mut ours).await;
                }
            }
            let ratio = median(ours.rates.iter().zip(&theirs.rates).map(|(ours, theirs)| ours / theirs).collect());
            let goal = if tasks == 1 { 0.97 } else { 1.0 };
            let met = ratio >= goal;
            missed += usize::from(!met);
            println!(
                "{:>8} {tasks:>6} {ratio:>6.2}{} | {:>9.0} : {:>9.0} | {:>3.0}/{:>4.0} : {:>3.0}/{:>4.0} | {:>9} : {:>9}",
                work.name(),
                if met { " " } else { "!" },
                median(ours.rates.clone()),
                median(theirs.rates.clone()),
                ours.latency(0.5),
                ours.latency(0.99),
                theirs.latency(0.5),
                theirs.latency(0.99),
                ours.processor(),
                theirs.processor(),
            );
        }
    }
    println!(
        "ratio: operations a second, ours to a bare connection, the median of {rounds} pairs; `!`: below 0.97 with 1 task, or 1.0 with more"
    );
    pool.shutdown(Duration::ZERO).await;
    missed
}
