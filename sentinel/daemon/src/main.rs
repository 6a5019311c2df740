//! The binary `sentinel`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    sentineld::cli::run(std::env::args_os())
}
