//! The binary `sentinel`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Words that are not UTF-8 could name a file, but nothing that a Sentinel could say about it.
    sentineld::cli::run(std::env::args_os().map(|word| word.to_string_lossy().into_owned()))
}
