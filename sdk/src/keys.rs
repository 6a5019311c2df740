//! Where the keys of a command stand. Pure.

use redis::{Arg, Cmd};

use crate::command::{argument, number, word};
use crate::table::{Known, Place, known};

/// What is known of the keys of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Keys {
    /// They are the arguments at these positions; the command itself stands at 0.
    At(Vec<usize>),
    /// It names none.
    None,
    /// It is not known which of its arguments are keys.
    Unknown,
}

/// The only key of one of the usual commands, found without further ado.
pub(crate) fn single_key(command: &Cmd) -> Option<&[u8]> {
    let is_first = known(word(command, 0)?.as_str())?.keys == Place::First;
    argument(command, 1).filter(|_| is_first)
}

/// The first key, for those who share reads by it. Of a command that is not known it is taken for the first argument.
pub(crate) fn first_key(command: &Cmd) -> Option<&[u8]> {
    // Several keys follow their number.
    let counted = |at| number(command, at).filter(|count| *count > 0.0).and_then(|_| argument(command, at + 1));
    let place = known(word(command, 0)?.as_str()).map_or(Place::First, |known| known.keys);
    match place {
        Place::Nowhere => None,
        Place::FromSecond | Place::AfterSubcommand => argument(command, 2),
        Place::AfterCount(at) => counted(at),
        Place::PairsAfterCount => counted(1),
        Place::Streams => {
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

/// The arguments of a command, its name first.
pub(crate) fn arguments(command: &Cmd) -> Vec<&[u8]> {
    let bytes = |argument| match argument {
        Arg::Simple(bytes) => bytes,
        // The cursor of an iteration; never a key.
        _ => b"0".as_slice(),
    };
    command.args_iter().map(bytes).collect()
}

fn upper(argument: &[u8]) -> String {
    String::from_utf8_lossy(&argument[..argument.len().min(32)]).to_ascii_uppercase()
}

/// Finds the keys.
pub(crate) fn keys(arguments: &[&[u8]]) -> Keys {
    let Some(name) = arguments.first() else { return Keys::None };
    let name = upper(name);
    let Some(Known { keys: place, .. }) = known(&name) else { return Keys::Unknown };
    let count = arguments.len();
    let range = |first: usize, end: usize| at((first..end.min(count)).collect());
    match place {
        Place::Nowhere => Keys::None,
        Place::First => range(1, 2),
        Place::Two => range(1, 3),
        Place::All => range(1, count),
        Place::Pairs => at((1..count).step_by(2).collect()),
        Place::ButLast => range(1, count.saturating_sub(1)),
        Place::FromSecond => range(2, count),
        Place::AfterCount(number_at) => counted(arguments, number_at, 1, None),
        Place::PairsAfterCount => counted(arguments, 1, 2, None),
        Place::StoreAfterCount => counted(arguments, 2, 1, Some(1)),
        Place::Streams => streams(arguments),
        Place::Options if name.starts_with("GEO") => with_options(arguments, &["STORE", "STOREDIST"]),
        // What BY and GET name are keys, too: only with a part in braces do these lie where the list does.
        Place::Options => with_options(arguments, &["STORE", "BY", "GET"]),
        Place::AfterSubcommand => after_subcommand(&name, arguments),
    }
}

fn at(positions: Vec<usize>) -> Keys {
    if positions.is_empty() { Keys::None } else { Keys::At(positions) }
}

/// Keys that follow their number, every `step`th argument, and perhaps one before it.
fn counted(arguments: &[&[u8]], number_at: usize, step: usize, also: Option<usize>) -> Keys {
    let number = arguments.get(number_at).and_then(|text| std::str::from_utf8(text).ok()?.parse::<usize>().ok());
    let Some(number) = number else { return Keys::Unknown };
    let first = number_at + 1;
    // Fewer than it says: the server finds fault with it.
    let last = number.checked_mul(step).and_then(|length| length.checked_add(first));
    let Some(end) = last.filter(|end| *end <= arguments.len()) else { return Keys::Unknown };
    at(also.into_iter().chain((first..end).step_by(step)).collect())
}

fn streams(arguments: &[&[u8]]) -> Keys {
    let Some(word) = arguments.iter().position(|argument| argument.eq_ignore_ascii_case(b"STREAMS")) else {
        return Keys::Unknown;
    };
    let first = word + 1;
    at((first..first + (arguments.len() - first) / 2).collect())
}

/// The first key, and those behind these words.
fn with_options(arguments: &[&[u8]], words: &[&str]) -> Keys {
    let mut positions = vec![1];
    let mut position = 2;
    while position + 1 < arguments.len() {
        let word = upper(arguments[position]);
        if words.contains(&word.as_str()) {
            let value = arguments[position + 1];
            // `BY nosort` and `GET #` look at no other key.
            let is_pattern = word == "BY" || word == "GET";
            if !is_pattern || value.contains(&b'*') {
                positions.push(position + 1);
            }
            position += 1;
        }
        position += 1;
    }
    if arguments.len() > 1 { Keys::At(positions) } else { Keys::None }
}

fn after_subcommand(name: &str, arguments: &[&[u8]]) -> Keys {
    let Some(subcommand) = arguments.get(1) else { return Keys::None };
    let names_key = match (name, upper(subcommand).as_str()) {
        (_, "HELP") => false,
        ("MEMORY", subcommand) => subcommand == "USAGE",
        _ => true,
    };
    if names_key && arguments.len() > 2 { Keys::At(vec![2]) } else { Keys::None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        let words: Vec<_> = text.split(' ').map(str::as_bytes).collect();
        match keys(&words) {
            Keys::At(positions) => {
                let found: Vec<_> = positions.iter().map(|at| String::from_utf8_lossy(words[*at])).collect();
                found.join(" ")
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn keys_are_found_wherever_they_stand() {
        for (command, expected) in [
            ("get a", "a"),
            ("MGET a b c", "a b c"),
            ("mset a 1 b 2", "a b"),
            ("bitop and d a b", "d a b"),
            ("eval script 2 a b arg", "a b"),
            ("eval script 0 arg", "None"),
            ("eval script 9 a", "Unknown"),
            ("eval script x a", "Unknown"),
            ("zunionstore d 2 a b weights 1 2", "d a b"),
            ("msetex 2 a 1 b 2 ex 5", "a b"),
            ("xread count 5 streams a b 0 0", "a b"),
            ("xreadgroup group g c streams a >", "a"),
            ("sort a by nosort get # limit 0 5 store d", "a d"),
            ("sort a by w_* get o_*->x", "a w_* o_*->x"),
            ("georadius a 1 2 3 km store d", "a d"),
            ("object encoding a", "a"),
            ("xgroup create a g $ mkstream", "a"),
            ("memory usage a samples 5", "a"),
            ("memory stats", "None"),
            ("blpop a b 0", "a b"),
            ("ping", "None"),
            ("scan 0", "None"),
            ("migrate h 1 a 0 5", "Unknown"),
            ("json.set a $ 1", "Unknown"),
            ("get", "None"),
        ] {
            assert_eq!(of(command), expected, "{command}");
        }
    }

    fn first_of(words: &str) -> String {
        let mut words = words.split(' ');
        let mut command = redis::cmd(words.next().unwrap());
        for word in words {
            command.arg(word);
        }
        first_key(&command).map_or_else(|| "none".to_owned(), |key| String::from_utf8_lossy(key).into_owned())
    }

    #[test]
    fn the_first_key_is_found_without_the_others() {
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
            "bitop and k l",
            "zunionstore k 2 l m",
            "xgroup create k g $",
            "msetex 1 k v",
        ] {
            assert_eq!(first_of(command), "k", "{command}");
        }
        for command in ["ping", "info server", "scan 0", "eval_ro return 0 arg", "xread count 5", "get", "memory stats"]
        {
            assert_eq!(first_of(command), "none", "{command}");
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
