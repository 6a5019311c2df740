//! What a command does to the data and to its connection, judged by its name.

use std::time::Duration;

use redis::{Arg, Cmd, Pipeline};

use crate::table::{Effect, known};

/// Subcommands that change nothing, of commands of which others do. Sorted.
#[rustfmt::skip] // a table reads better than a column
const READING_SUBCOMMANDS: &[(&str, &str)] = &[
    ("ACL", "CAT"), ("ACL", "GETUSER"), ("ACL", "LIST"), ("ACL", "USERS"),
    ("ACL", "WHOAMI"), ("CLIENT", "GETNAME"), ("CLIENT", "ID"), ("CLIENT", "INFO"),
    ("CLIENT", "LIST"), ("CONFIG", "GET"), ("FUNCTION", "DUMP"), ("FUNCTION", "LIST"),
    ("FUNCTION", "STATS"), ("MEMORY", "DOCTOR"), ("MEMORY", "STATS"), ("MEMORY", "USAGE"),
    ("OBJECT", "ENCODING"), ("OBJECT", "FREQ"), ("OBJECT", "IDLETIME"), ("OBJECT", "REFCOUNT"),
    ("PUBSUB", "CHANNELS"), ("PUBSUB", "NUMPAT"), ("PUBSUB", "NUMSUB"), ("PUBSUB", "SHARDCHANNELS"),
    ("PUBSUB", "SHARDNUMSUB"), ("SCRIPT", "EXISTS"), ("SLOWLOG", "GET"), ("SLOWLOG", "LEN"),
];

/// Commands after which a connection is not what it was: only its one user may send them. Sorted.
#[rustfmt::skip] // a table reads better than a column
const SESSION: &[&str] = &[
    "ASKING", "AUTH", "DISCARD", "EXEC", "HELLO", "MONITOR", "MULTI", "PSUBSCRIBE",
    "PSYNC", "PUNSUBSCRIBE", "QUIT", "READONLY", "READWRITE", "RESET", "SELECT", "SSUBSCRIBE",
    "SUBSCRIBE", "SUNSUBSCRIBE", "SYNC", "UNSUBSCRIBE", "UNWATCH", "WATCH",
];

/// Subcommands of CLIENT with the same effect. Sorted.
#[rustfmt::skip] // a table reads better than a column
const CLIENT_SESSION: &[&str] = &["CACHING", "NO-EVICT", "NO-TOUCH", "REPLY", "SETNAME", "TRACKING"];

/// How long a command may block before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blocking {
    No,
    For(Duration),
    Forever,
}

/// What is known of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Nature {
    /// Executing it twice is the same as once.
    pub(crate) idempotent: bool,
    /// It changes the state of its connection.
    pub(crate) session: bool,
    pub(crate) blocking: Blocking,
}

/// The name of a command in upper case, for tables and messages; never an argument.
pub(crate) fn name(command: &Cmd) -> String {
    word(command, 0).map_or_else(|| "(empty)".to_owned(), |word| word.as_str().to_owned())
}

/// The name of the first command of a pipeline.
pub(crate) fn pipeline_name(pipeline: &Pipeline) -> String {
    pipeline.cmd_iter().next().map_or_else(|| "(empty pipeline)".to_owned(), name)
}

/// Whether it executes what somebody else wrote, which can answer with any error after any effect: a script, a function, a module.
pub(crate) fn runs_code(command: &Cmd) -> bool {
    let Some(name) = argument(command, 0) else { return false };
    let scripts: [&[u8]; 6] = [b"EVAL", b"EVALSHA", b"EVAL_RO", b"EVALSHA_RO", b"FCALL", b"FCALL_RO"];
    name.contains(&b'.') || scripts.iter().any(|script| name.eq_ignore_ascii_case(script))
}

pub(crate) fn nature(command: &Cmd) -> Nature {
    let name = word(command, 0).unwrap_or_default();
    let name = name.as_str();
    let idempotent = known(name).is_some_and(|known| known.effect == Effect::Reads)
        || READING_SUBCOMMANDS.binary_search(&(name, word(command, 1).unwrap_or_default().as_str())).is_ok();
    Nature { idempotent, session: session(name, command), blocking: blocking(name, command) }
}

fn session(name: &str, command: &Cmd) -> bool {
    let subcommand = || word(command, 1).unwrap_or_default();
    SESSION.binary_search(&name).is_ok()
        || (name == "CLIENT" && CLIENT_SESSION.binary_search(&subcommand().as_str()).is_ok())
}

/// Whether it would disturb others that use the same connection: it changes its state or, where that counts, holds up what follows.
pub(crate) fn disturbs(command: &Cmd, blocking_counts: bool) -> bool {
    // Looked at for each command: the usual ones are shorter than all of these.
    if argument(command, 0).is_none_or(|name| name.len() < SHORTEST_DISTURBING) {
        return false;
    }
    let name = word(command, 0).unwrap_or_default();
    let name = name.as_str();
    session(name, command) || (blocking_counts && blocking(name, command) != Blocking::No)
}

/// `AUTH`, `EXEC`, `QUIT`, `SYNC`, `WAIT`.
const SHORTEST_DISTURBING: usize = 4;

fn blocking(name: &str, command: &Cmd) -> Blocking {
    let last = command.args_iter().len().saturating_sub(1);
    let seconds = |index| limit(number(command, index), 1.0);
    let milliseconds = |index| limit(number(command, index), 0.001);
    match name {
        "BLPOP" | "BRPOP" | "BRPOPLPUSH" | "BLMOVE" | "BZPOPMIN" | "BZPOPMAX" => seconds(last),
        "BLMPOP" | "BZMPOP" => seconds(1),
        "WAIT" | "WAITAOF" => milliseconds(last),
        "XREAD" | "XREADGROUP" => {
            // BLOCK stands among the options, before STREAMS; a key may be called BLOCK.
            let block = (1..=last)
                .map_while(|index| {
                    word(command, index).filter(|word| word.as_str() != "STREAMS").map(|word| (index, word))
                })
                .find(|(_, word)| word.as_str() == "BLOCK");
            match block {
                Some((index, _)) => milliseconds(index + 1),
                None => Blocking::No,
            }
        }
        _ => Blocking::No,
    }
}

/// 0 means for ever; what is not a sensible number is refused by the server at once.
fn limit(number: Option<f64>, unit: f64) -> Blocking {
    match number {
        Some(0.0) => Blocking::Forever,
        Some(number) => Duration::try_from_secs_f64(number * unit).map_or(Blocking::No, Blocking::For),
        None => Blocking::No,
    }
}

pub(crate) fn argument(command: &Cmd, index: usize) -> Option<&[u8]> {
    match command.args_iter().nth(index)? {
        Arg::Simple(argument) => Some(argument),
        _ => None,
    }
}

pub(crate) fn number(command: &Cmd, index: usize) -> Option<f64> {
    std::str::from_utf8(argument(command, index)?).ok()?.parse().ok()
}

/// An argument in upper case; a long one is no keyword, and is cut so that no value gets into a message.
pub(crate) fn word(command: &Cmd, index: usize) -> Option<Word> {
    let argument = argument(command, index)?;
    let mut word = Word { length: argument.len().min(LONGEST_WORD), ..Word::default() };
    for (to, from) in word.letters.iter_mut().zip(argument) {
        *to = if from.is_ascii() { from.to_ascii_uppercase() } else { b'?' };
    }
    Some(word)
}

const LONGEST_WORD: usize = 32;

/// A short text that needs no memory of its own: ASCII, in upper case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Word {
    letters: [u8; LONGEST_WORD],
    length: usize,
}

impl Word {
    pub(crate) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.letters[..self.length]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> Nature {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        nature(&command)
    }

    #[test]
    fn the_tables_are_sorted_so_that_they_can_be_searched() {
        assert!(READING_SUBCOMMANDS.is_sorted());
        assert!(SESSION.is_sorted());
        assert!(CLIENT_SESSION.is_sorted());
        assert!(SESSION.iter().all(|name| name.len() >= SHORTEST_DISTURBING));
    }

    #[test]
    fn reads_are_idempotent_and_writes_are_not() {
        for read in ["get k", "GET k", "mget a b", "ping", "object encoding k", "config get x", "xread streams s 0"] {
            assert!(of(read).idempotent, "{read}");
        }
        for write in [
            "set k v",
            "incr k",
            "getdel k",
            "getex k",
            "del k",
            "eval s 0",
            "sort k store d",
            "config set x y",
            "spop k",
            "xreadgroup group g c streams s >",
            "object help",
            "publish c m",
            "script load x",
            "unknown",
        ] {
            assert!(!of(write).idempotent, "{write}");
        }
    }

    #[test]
    fn what_changes_a_connection_is_known() {
        for command in ["multi", "watch k", "subscribe c", "select 1", "client reply off", "monitor", "hello 3"] {
            assert!(of(command).session, "{command}");
        }
        for command in ["get k", "client id", "client list", "publish c m"] {
            assert!(!of(command).session, "{command}");
        }
    }

    #[test]
    fn blocking_commands_say_for_how_long() {
        let ms = |ms| Blocking::For(Duration::from_millis(ms));
        for (command, expected) in [
            ("blpop a b 1.5", ms(1500)),
            ("blpop a 0", Blocking::Forever),
            ("blmpop 2 1 a left", ms(2000)),
            ("wait 1 100", ms(100)),
            ("wait 1 0", Blocking::Forever),
            ("xread count 1 block 250 streams s $", ms(250)),
            ("xread block 0 streams s $", Blocking::Forever),
            ("xread streams block 0", Blocking::No),
            ("blpop a -1", Blocking::No),
            ("blpop a x", Blocking::No),
            ("blpop", Blocking::No),
            ("lpop a", Blocking::No),
        ] {
            assert_eq!(of(command).blocking, expected, "{command}");
        }
    }
}
