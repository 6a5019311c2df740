//! What commands print. Whoever reads may go away in the middle, as `head` does: then the rest is for nobody, and the
//! command goes on to its end and its exit status, where the macros of the standard library would panic.

use std::{
    fmt::Arguments,
    io::{self, Write as _},
};

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

/// Prints a line to standard output.
macro_rules! say {
    ($($words:tt)*) => { $crate::terminal::out(format_args!($($words)*)) };
}

/// Prints a line to standard error.
macro_rules! complain {
    ($($words:tt)*) => { $crate::terminal::err(format_args!($($words)*)) };
}

pub(crate) use {complain, say};
