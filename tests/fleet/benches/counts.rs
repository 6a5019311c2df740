//! How many instructions the hot pieces take, as valgrind counts them: the same on a busy machine as on a quiet one, so that
//! a regression shows which a time would hide.
//!
//! Without arguments every piece is counted and compared with `counts.txt` beside this file: more than [`MARGIN`] above
//! it is a failure. `--bless` writes that file anew. Numbers belong to one compiler and one kind of processor (libraries
//! choose their loops by it): where either changes, bless first, on the state before the change that is to be judged.

#![allow(missing_docs, reason = "a program")]

#[path = "pieces/mod.rs"]
#[allow(dead_code, reason = "each benchmark uses its part")]
mod pieces;

use std::{
    collections::BTreeMap,
    env,
    fmt::Write as _,
    fs,
    hint::black_box,
    io,
    path::Path,
    process::{Command, ExitCode, Stdio},
};

use pieces::{Field, MASTERS, QUESTION, bulk, hello, info};
use sentinel_core::Input;
use sentinel_resp::{Limits, ReplyDecoder, RequestDecoder};

/// A part of the number before, that a piece may take more.
const MARGIN: f64 = 0.10;

/// The word that tells this program to run one piece itself. Behind it: the piece, and how often.
const RUN: &str = "run";

/// The numbers to compare with.
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/counts.txt");

/// Every piece, and how often it is run to be counted. Preparations are not counted: they are run alone, too, and what
/// they take is subtracted.
const PIECES: [(&str, u32); 8] = [
    ("request", 1_000),
    ("pong", 1_000),
    ("info-reply", 100),
    ("hello-of-its-own", 200),
    ("hello-of-another", 200),
    ("link-and-info", 50),
    ("set-1000-masters", 20),
    ("second-1000-masters", 2),
];

fn main() -> ExitCode {
    // Cargo says `--bench` to everything that it runs as one.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        [RUN, piece, rounds] => {
            run(piece, rounds.parse().expect("a number of rounds"));
            return ExitCode::SUCCESS;
        }
        [] => compare(),
        ["--bless"] => count_all().and_then(|counts| write(&counts)).map(|()| ExitCode::SUCCESS),
        _ => Err(io::Error::other("usage: counts [--bless]")),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

/// Prepares a piece and runs it so often.
fn run(piece: &str, rounds: u32) {
    match piece {
        "request" => {
            let mut requests = RequestDecoder::new(Limits::default());
            repeat(rounds, || {
                requests.feed(black_box(QUESTION));
                requests.next_request().expect("well-formed")
            });
        }
        "pong" => decode(b"+PONG\r\n", rounds),
        "info-reply" => decode(&bulk(&info("role:master\r\n")), rounds),
        "hello-of-its-own" => greet('b', rounds),
        "hello-of-another" => greet('c', rounds),
        "link-and-info" => {
            let mut field = Field::new(1, 1);
            repeat(rounds, || field.reconnect());
        }
        "set-1000-masters" => {
            let mut field = Field::new(MASTERS, 1);
            repeat(rounds, || field.set_and_view());
        }
        "second-1000-masters" => {
            let mut field = Field::new(MASTERS, 1);
            repeat(rounds, || field.second());
        }
        _ => panic!("there is no piece {piece:?}"),
    }
}

fn decode(bytes: &[u8], rounds: u32) {
    let mut replies = ReplyDecoder::new(1 << 20);
    repeat(rounds, || {
        replies.feed(black_box(bytes));
        replies.next_reply().expect("well-formed")
    });
}

fn greet(sentinel: char, rounds: u32) {
    let mut field = Field::new(10, 1);
    let (link, payload) = (field.last.expect("there are links"), hello(sentinel, 7));
    repeat(rounds, || {
        field.take(Input::Hello { link, payload: black_box(payload.clone()) });
        field.answer()
    });
}

/// Once uncounted, since the first time makes room; the other half of the subtraction does that, too.
fn repeat<T>(rounds: u32, mut piece: impl FnMut() -> T) {
    for _ in 0..=rounds {
        black_box(piece());
    }
}

type Counts = BTreeMap<String, u64>;

fn compare() -> io::Result<ExitCode> {
    let text = fs::read_to_string(BASELINE)?;
    let before: Counts = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| {
            line.split_once(' ').and_then(|(name, count)| Some((name.to_owned(), count.trim().parse().ok()?)))
        })
        .collect();
    let mut worse = 0;
    println!("{:24} {:>12} {:>12} {:>8}", "instructions a round", "before", "now", "");
    for (name, now) in &count_all()? {
        let Some(&was) = before.get(name) else {
            println!("{name:24} {:>12} {now:12}      new: bless it", "");
            worse += 1;
            continue;
        };
        #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
        let change = *now as f64 / was.max(1) as f64 - 1.0;
        let verdict = if change > MARGIN {
            worse += 1;
            "  REGRESSION"
        } else if change < -MARGIN {
            "  better: bless it, so that it stays so"
        } else {
            ""
        };
        println!("{name:24} {was:12} {now:12} {:+7.1} %{verdict}", change * 100.0);
    }
    if worse == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    println!("{worse} of them took more than {:.0} % above {BASELINE}; it was written with", MARGIN * 100.0);
    text.lines().filter(|line| line.starts_with('#')).for_each(|line| println!("  {line}"));
    Ok(ExitCode::FAILURE)
}

fn count_all() -> io::Result<Counts> {
    PIECES
        .iter()
        .map(|&(name, rounds)| {
            let (prepared, all) = (count(name, 0)?, count(name, rounds)?);
            Ok((name.to_owned(), all.saturating_sub(prepared) / u64::from(rounds)))
        })
        .collect()
}

/// The instructions that a process takes which runs a piece.
fn count(piece: &str, rounds: u32) -> io::Result<u64> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("counts");
    let status = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet"])
        .arg(format!("--callgrind-out-file={}", file.display()))
        .arg(env::current_exe()?)
        .args([RUN, piece, &rounds.to_string()])
        .stdout(Stdio::null())
        .status()
        .map_err(|error| io::Error::other(format!("valgrind cannot be started: {error}; install it")))?;
    if !status.success() {
        return Err(io::Error::other(format!("{piece}: valgrind ended with {status}")));
    }
    total(&file).ok_or_else(|| io::Error::other(format!("{piece}: valgrind counted nothing")))
}

fn total(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?
        .trim()
        .parse()
        .ok()
}

fn write(counts: &Counts) -> io::Result<()> {
    let said = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok();
        output.map_or_else(String::new, |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let mut text = format!(
        "# Instructions a round: `make bench-counts`, and with ARGS=--bless written anew.\n# {}, {}, {}\n",
        said("rustc"),
        said("valgrind"),
        env::consts::ARCH
    );
    for (name, count) in counts {
        // Writing to a String never fails.
        let _ = writeln!(text, "{name} {count}");
    }
    print!("{text}");
    fs::write(BASELINE, text)
}
