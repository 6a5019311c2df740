//! Where the keys of a command stand. Pure.

use redis::{Arg, Cmd};

use crate::command::{argument, word};

/// Single keys in first place. Sorted, as all tables here.
#[rustfmt::skip] // a table reads better than a column
const FIRST: &[&str] = &[
    "APPEND", "BITCOUNT", "BITFIELD", "BITFIELD_RO", "BITPOS", "DECR", "DECRBY", "DELIFEQ",
    "DUMP", "EXPIRE", "EXPIREAT", "EXPIRETIME", "GEOADD", "GEODIST", "GEOHASH", "GEOPOS",
    "GEORADIUSBYMEMBER_RO", "GEORADIUS_RO", "GEOSEARCH", "GET", "GETBIT", "GETDEL", "GETEX", "GETRANGE",
    "GETSET", "HDEL", "HEXISTS", "HEXPIRE", "HEXPIREAT", "HEXPIRETIME", "HGET", "HGETALL",
    "HGETDEL", "HGETEX", "HINCRBY", "HINCRBYFLOAT", "HKEYS", "HLEN", "HMGET", "HMSET",
    "HPERSIST", "HPEXPIRE", "HPEXPIREAT", "HPEXPIRETIME", "HPTTL", "HRANDFIELD", "HSCAN", "HSET",
    "HSETEX", "HSETNX", "HSTRLEN", "HTTL", "HVALS", "INCR", "INCRBY", "INCRBYFLOAT",
    "LINDEX", "LINSERT", "LLEN", "LPOP", "LPOS", "LPUSH", "LPUSHX", "LRANGE",
    "LREM", "LSET", "LTRIM", "PERSIST", "PEXPIRE", "PEXPIREAT", "PEXPIRETIME", "PFADD",
    "PSETEX", "PTTL", "RESTORE", "RPOP", "RPUSH", "RPUSHX", "SADD", "SCARD",
    "SET", "SETBIT", "SETEX", "SETNX", "SETRANGE", "SISMEMBER", "SMEMBERS", "SMISMEMBER",
    "SPOP", "SPUBLISH", "SRANDMEMBER", "SREM", "SSCAN", "STRLEN", "SUBSTR", "TTL",
    "TYPE", "VADD", "VCARD", "VDIM", "VEMB", "VGETATTR", "VINFO", "VISMEMBER",
    "VLINKS", "VRANDMEMBER", "VREM", "VSETATTR", "VSIM", "XACK", "XADD", "XAUTOCLAIM",
    "XCLAIM", "XDEL", "XLEN", "XPENDING", "XRANGE", "XREVRANGE", "XSETID", "XTRIM",
    "ZADD", "ZCARD", "ZCOUNT", "ZINCRBY", "ZLEXCOUNT", "ZMSCORE", "ZPOPMAX", "ZPOPMIN",
    "ZRANDMEMBER", "ZRANGE", "ZRANGEBYLEX", "ZRANGEBYSCORE", "ZRANK", "ZREM", "ZREMRANGEBYLEX", "ZREMRANGEBYRANK",
    "ZREMRANGEBYSCORE", "ZREVRANGE", "ZREVRANGEBYLEX", "ZREVRANGEBYSCORE", "ZREVRANK", "ZSCAN", "ZSCORE",
];

/// Nothing but keys.
#[rustfmt::skip] // a table reads better than a column
const ALL: &[&str] = &[
    "DEL", "EXISTS", "MGET", "PFCOUNT", "PFMERGE", "SDIFF", "SDIFFSTORE", "SINTER",
    "SINTERSTORE", "SUNION", "SUNIONSTORE", "TOUCH", "UNLINK", "WATCH",
];

/// Two keys in the first places.
#[rustfmt::skip] // a table reads better than a column
const TWO: &[&str] = &[
    "BLMOVE", "BRPOPLPUSH", "COPY", "GEOSEARCHSTORE", "LCS", "LMOVE", "RENAME", "RENAMENX", "RPOPLPUSH", "SMOVE",
    "ZRANGESTORE",
];

/// Commands of which it is known that they name no key. Sorted.
#[rustfmt::skip] // a table reads better than a column
const KEYLESS: &[&str] = &[
    "ACL", "BGREWRITEAOF", "BGSAVE", "CLIENT", "COMMAND", "COMMANDLOG", "CONFIG", "DBSIZE",
    "ECHO", "FLUSHALL", "FLUSHDB", "FUNCTION", "INFO", "KEYS", "LASTSAVE", "LATENCY",
    "LOLWUT", "MODULE", "PING", "PUBLISH", "PUBSUB", "RANDOMKEY", "ROLE", "SAVE",
    "SCAN", "SCRIPT", "SLOWLOG", "SWAPDB", "TIME", "WAIT", "WAITAOF",
];

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
    let name = word(command, 0)?;
    FIRST.binary_search(&name.as_str()).ok().and_then(|_| argument(command, 1))
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
    let count = arguments.len();
    let is = |table: &[&str]| table.binary_search(&name.as_str()).is_ok();
    let range = |first: usize, end: usize| at((first..end.min(count)).collect());
    if is(FIRST) {
        return range(1, 2);
    }
    if is(ALL) {
        return range(1, count);
    }
    if is(TWO) {
        return range(1, 3);
    }
    match name.as_str() {
        "MSET" | "MSETNX" => at((1..count).step_by(2).collect()),
        "BLPOP" | "BRPOP" | "BZPOPMAX" | "BZPOPMIN" => range(1, count.saturating_sub(1)),
        "BITOP" => range(2, count),
        "EVAL" | "EVALSHA" | "EVALSHA_RO" | "EVAL_RO" | "FCALL" | "FCALL_RO" | "BLMPOP" | "BZMPOP" => {
            counted(arguments, 2, 1, None)
        }
        "LMPOP" | "SINTERCARD" | "ZDIFF" | "ZINTER" | "ZMPOP" | "ZUNION" | "ZINTERCARD" => {
            counted(arguments, 1, 1, None)
        }
        "MSETEX" => counted(arguments, 1, 2, None),
        "ZDIFFSTORE" | "ZINTERSTORE" | "ZUNIONSTORE" => counted(arguments, 2, 1, Some(1)),
        "XREAD" | "XREADGROUP" => streams(arguments),
        "GEORADIUS" | "GEORADIUSBYMEMBER" => with_options(arguments, &["STORE", "STOREDIST"]),
        // What BY and GET name are keys, too: only with a part in braces do these lie where the list does.
        "SORT" | "SORT_RO" => with_options(arguments, &["STORE", "BY", "GET"]),
        "OBJECT" | "MEMORY" | "XINFO" | "XGROUP" => after_subcommand(&name, arguments),
        _ if is(KEYLESS) => Keys::None,
        _ => Keys::Unknown,
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
    fn the_tables_are_sorted_so_that_they_can_be_searched() {
        for table in [FIRST, ALL, TWO, KEYLESS] {
            assert!(table.is_sorted());
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
}
