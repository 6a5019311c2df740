//! The log of one history, and its digest.

use crate::time::{Shown, Time};

/// What becomes of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Nothing is written; the digest is of what happened when.
    None,
    /// Every line is kept.
    Lines,
    /// Every line is printed.
    Print,
}

/// The log.
#[derive(Debug)]
pub struct Trace {
    detail: Detail,
    digest: u64,
    lines: Vec<String>,
}

impl Trace {
    /// An empty log.
    pub const fn new(detail: Detail) -> Self {
        Trace { detail, digest: 0xcbf2_9ce4_8422_2325, lines: Vec::new() }
    }

    /// Whether lines are wanted at all.
    pub fn is_on(&self) -> bool {
        self.detail != Detail::None
    }

    /// Adds a line.
    pub fn line(&mut self, at: Time, text: &std::fmt::Arguments<'_>) {
        let line = format!("{} {text}", Shown(at));
        for byte in line.bytes() {
            self.mix(u64::from(byte));
        }
        if self.detail == Detail::Print {
            use std::io::Write as _;
            // A reader that has gone away is no failure of the world.
            let _ = writeln!(std::io::stdout(), "{line}");
        } else {
            self.lines.push(line);
        }
    }

    /// Adds a number to the digest.
    pub fn mix(&mut self, number: u64) {
        self.digest = (self.digest ^ number).wrapping_mul(0x0100_0000_01b3);
    }

    /// The digest of everything so far.
    pub const fn digest(&self) -> u64 {
        self.digest
    }

    /// The lines so far.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }
}

/// Writes one line into the log of a [`Physics`](crate::physics::Physics), if one is kept.
#[macro_export]
macro_rules! say {
    ($physics:expr, $($text:tt)*) => {
        if $physics.trace.is_on() {
            let at = $physics.now();
            $physics.trace.line(at, &format_args!($($text)*));
        }
    };
}
