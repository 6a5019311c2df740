//! The key that a command reads, for those who share reads by it.

use redis::Cmd;

use crate::command::{argument, name, number, word};

/// Commands that concern no key. Sorted.
#[rustfmt::skip] // a table reads better than a column
const KEYLESS: &[&str] = &[
    "ACL", "CLIENT", "COMMAND", "CONFIG", "DBSIZE", "ECHO", "FUNCTION", "INFO",
    "KEYS", "LASTSAVE", "LOLWUT", "PING", "PUBSUB", "RANDOMKEY", "ROLE", "SCAN",
    "SCRIPT", "SLOWLOG", "TIME",
];

/// The first key of a command, as far as it names one.
pub(crate) fn key(command: &Cmd) -> Option<&[u8]> {
    // Several keys follow their number.
    let counted = |at| number(command, at).filter(|count| *count > 0.0).and_then(|_| argument(command, at + 1));
    match name(command).as_str() {
        name if KEYLESS.binary_search(&name).is_ok() => None,
        // After a subcommand.
        "MEMORY" | "OBJECT" | "XINFO" => argument(command, 2),
        "SINTERCARD" | "ZDIFF" | "ZINTER" | "ZINTERCARD" | "ZUNION" => counted(1),
        "EVAL" | "EVALSHA" | "EVALSHA_RO" | "EVAL_RO" | "FCALL" | "FCALL_RO" => counted(2),
        "XREAD" => {
            let words = command.args_iter().len();
            let streams = (1..words).find(|at| word(command, *at).is_some_and(|word| word.as_str() == "STREAMS"))?;
            argument(command, streams + 1)
        }
        _ => argument(command, 1),
    }
}

/// The part of a key that counts: what stands in its first pair of braces, if anything does, as in Redis Cluster; otherwise all of it.
pub(crate) fn tag(key: &[u8]) -> &[u8] {
    let inside = || {
        let open = key.iter().position(|byte| *byte == b'{')?;
        let rest = &key[open + 1..];
        let close = rest.iter().position(|byte| *byte == b'}')?;
        Some(&rest[..close]).filter(|tag| !tag.is_empty())
    };
    inside().unwrap_or(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &str) -> String {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        key(&command).map_or_else(|| "none".to_owned(), |key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched() {
        assert!(KEYLESS.is_sorted());
    }

    #[test]
    fn the_key_is_found_wherever_it_stands() {
        for command in [
            "get k",
            "MGET k l",
            "object encoding k",
            "MEMORY USAGE k SAMPLES 5",
            "xinfo stream k full",
            "zunion 2 k l withscores",
            "sintercard 1 k limit 5",
            "eval_ro return 2 k l m",
            "fcall_ro f 1 k",
            "evalsha 0123 1 k arg",
            "xread count 5 streams k l 0 0",
            "bitfield_ro k get u8 0",
            "something_new k",
        ] {
            assert_eq!(of(command), "k", "{command}");
        }
        for command in ["ping", "info server", "scan 0", "eval_ro return 0 arg", "xread count 5", "get", "memory stats"]
        {
            assert_eq!(of(command), "none", "{command}");
        }
    }

    #[test]
    fn what_stands_in_braces_counts_alone() {
        for (key, expected) in [
            ("user:{17}:name", "17"),
            ("{17}{18}", "17"),
            ("{}{17}", "{}{17}"),
            ("a{17", "a{17"),
            ("a}b{c}", "c"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(tag(key.as_bytes()), expected.as_bytes(), "{key}");
        }
    }
}
