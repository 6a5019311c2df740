//! What commands print. Whoever reads may go away in the middle, as `head` does: then the rest is for nobody, and the
//! command goes on to its end and its exit status, where the macros of the standard library would panic.

use std::{
    fmt::Arguments,
    io::{self, Write},
    sync::mpsc,
    time::Duration,
};

/// How long the last words of a daemon may take to be written. A pipe that nobody reads must not keep it from ending.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A line on standard output.
pub(crate) fn out(line: Arguments<'_>) {
    // Nobody is left to be told.
    let _ = writeln!(io::stdout(), "{line}");
}

/// A line on standard error.
pub(crate) fn err(line: Arguments<'_>) {
    // As above.
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line on standard output, given up after two seconds.
pub(crate) fn last_out(line: String) {
    write_within(LAST_WORDS, io::stdout, line);
}

/// A line on standard error, given up after two seconds.
pub(crate) fn last_err(line: String) {
    write_within(LAST_WORDS, io::stderr, line);
}

/// Has panics written by [`last_err`], so that the thread that panicked always goes on to its end.
pub(crate) fn bound_panics() {
    std::panic::set_hook(Box::new(|info| {
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed").to_owned();
        // It is empty unless RUST_BACKTRACE asks for one.
        let trace = std::backtrace::Backtrace::capture();
        let trace = match trace.status() {
            std::backtrace::BacktraceStatus::Captured => format!("\n{trace}"),
            _ => String::new(),
        };
        last_err(format!("thread '{name}' panicked: {info}{trace}"));
    }));
}

/// Writes a line, and waits for it until the time is over.
fn write_within<W: Write>(limit: Duration, to: impl FnOnce() -> W + Send + 'static, line: String) {
    let (written, wait) = mpsc::channel::<()>();
    let writer = std::thread::Builder::new().name("last words".to_owned()).spawn(move || {
        let _written = written;
        // Nobody is left to be told.
        let _ = to().write_all(format!("{line}\n").as_bytes());
    });
    if writer.is_ok() {
        // Its end closes the channel.
        let _ = wait.recv_timeout(limit);
    }
}

/// Prints a line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::terminal::out(format_args!($($words)*)) };
}

/// Prints a line to standard error.
macro_rules! complain {
    ($($words:tt)*) => { $crate::terminal::err(format_args!($($words)*)) };
}

pub(crate) use {complain, say};
