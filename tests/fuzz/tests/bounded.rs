//! Every target over its committed corpus and over mutations of it: what CI runs of the fuzzing, without a fuzzer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fastrand::Rng;

/// Inputs do not grow beyond this: what a target does with more bytes is the same.
const LONGEST: usize = 4_096;

#[test]
fn requests() {
    bounded("requests", 50_000);
}

#[test]
fn classic() {
    bounded("classic", 2_000);
}

#[test]
fn toml() {
    bounded("toml", 2_000);
}

#[test]
fn info() {
    bounded("info", 2_000);
}

#[test]
fn hello() {
    bounded("hello", 2_000);
}

#[test]
fn replies() {
    bounded("replies", 3_000);
}

#[test]
fn engine() {
    bounded("engine", 1_000);
}

#[test]
fn http() {
    bounded("http", 2_000);
}

/// Runs so many mutations: some seconds of a slow machine. `FUZZ_RUNS` asks for another number.
fn bounded(name: &str, usual: usize) {
    let (_, target) = sentinel_fuzz::TARGETS
        .into_iter()
        .find(|(other, _)| *other == name)
        .unwrap_or_else(|| panic!("there is no target {name}"));
    let corpus = corpus(name);
    for (path, bytes) in &corpus {
        run(name, target, bytes, &path.display().to_string());
    }
    let runs = std::env::var("FUZZ_RUNS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    // The same mutations each time: a failure is repeated by running the test again.
    let mut random = Rng::with_seed(name.bytes().map(u64::from).sum());
    for number in 0..runs {
        let bytes = mutate(&mut random, &corpus);
        run(name, target, &bytes, &format!("mutation {number}"));
    }
    println!("{name}: {} inputs", corpus.len() + runs);
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("an entry of the folder").path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{} is empty", folder.display());
    files.into_iter().map(|path| (path.clone(), fs::read(path).expect("a readable file"))).collect()
}

/// Runs one input; when the target panics, the bytes are shown as a literal that a test can be made of.
fn run(name: &str, target: fn(&[u8]), bytes: &[u8], what: &str) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(bytes))) {
        eprintln!("{name} fails on {what}: b\"{}\"", bytes.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// One of the corpus with some changes: bytes flipped, cut, repeated, replaced by telling ones, or by a part of another.
fn mutate(random: &mut Rng, corpus: &[(PathBuf, Vec<u8>)]) -> Vec<u8> {
    const TELLING: [&[u8]; 16] = [
        b"\r\n",
        b"\n",
        b"\0",
        b"\"",
        b"'",
        b"\\",
        b",",
        b":",
        b"-1",
        b"0",
        b"18446744073709551615",
        b"9223372036854775808",
        b"*",
        b"$",
        b"\xff\xfe",
        b" ",
    ];
    let pick = |random: &mut Rng| &corpus[random.usize(..corpus.len())].1;
    let mut bytes = pick(random).clone();
    for _ in 0..random.usize(1..8) {
        let at = random.usize(..=bytes.len());
        let to = at + random.usize(..=(bytes.len() - at).min(16));
        match random.u8(..6) {
            0 if at < bytes.len() => bytes[at] ^= 1 << random.u8(..8),
            1 => drop(bytes.drain(at..to)),
            2 => {
                let part = bytes[at..to].to_vec();
                bytes.splice(at..at, part);
            }
            3 => {
                let other = pick(random);
                let from = random.usize(..=other.len());
                let part = &other[from..(from + 32).min(other.len())];
                bytes.splice(at..to, part.iter().copied());
            }
            4 => {
                let part = TELLING[random.usize(..TELLING.len())];
                bytes.splice(at..to, part.iter().copied());
            }
            _ => bytes.insert(at, random.u8(..)),
        }
    }
    bytes.truncate(LONGEST);
    bytes
}
