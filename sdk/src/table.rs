//! The commands that are known: where their keys stand, and what they do to the data. Pure.

use Effect::{Reads, Writes};
use Place::{
    AfterCount, AfterSubcommand, All, ButLast, First, FromSecond, Nowhere, Options, Pairs, PairsAfterCount,
    StoreAfterCount, Streams, Two,
};

/// Where the keys of a command stand. The command itself stands at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It names none.
    Nowhere,
    /// One, in first place.
    First,
    /// Two, in the first places.
    Two,
    /// Nothing but keys.
    All,
    /// Keys, and after each its value.
    Pairs,
    /// Keys, and a time at the end.
    ButLast,
    /// All from the second argument on.
    FromSecond,
    /// After their number, which stands here.
    AfterCount(usize),
    /// The same with the number in first place, and a value after each.
    PairsAfterCount,
    /// One in first place, to be written to, then a number and so many more.
    StoreAfterCount,
    /// The first half of what follows the word STREAMS.
    Streams,
    /// In first place, and after some words.
    Options,
    /// After a subcommand, if that is one that concerns a key.
    AfterSubcommand,
}

/// What a command does to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing: executing it twice is the same as once.
    Reads,
    /// It may change something. So do all commands that are not listed: forgetting one costs a retry, listing a wrong one could execute a write twice.
    ///
    /// Also SORT and GEORADIUS (they can store), GETEX and TOUCH (they change when a key expires or is evicted), PUBLISH, and commands of whose
    /// subcommands only some read.
    Writes,
}

/// Sorted by name.
#[rustfmt::skip] // a table reads better than a column
const COMMANDS: &[(&str, Place, Effect)] = &[
    ("ACL", Nowhere, Writes), ("APPEND", First, Writes), ("BGREWRITEAOF", Nowhere, Writes),
    ("BGSAVE", Nowhere, Writes), ("BITCOUNT", First, Reads), ("BITFIELD", First, Writes),
    ("BITFIELD_RO", First, Reads), ("BITOP", FromSecond, Writes), ("BITPOS", First, Reads), ("BLMOVE", Two, Writes),
    ("BLMPOP", AfterCount(2), Writes), ("BLPOP", ButLast, Writes), ("BRPOP", ButLast, Writes),
    ("BRPOPLPUSH", Two, Writes), ("BZMPOP", AfterCount(2), Writes), ("BZPOPMAX", ButLast, Writes),
    ("BZPOPMIN", ButLast, Writes), ("CLIENT", Nowhere, Writes), ("COMMAND", Nowhere, Reads),
    ("COMMANDLOG", Nowhere, Writes), ("CONFIG", Nowhere, Writes), ("COPY", Two, Writes), ("DBSIZE", Nowhere, Reads),
    ("DECR", First, Writes), ("DECRBY", First, Writes), ("DEL", All, Writes), ("DELIFEQ", First, Writes),
    ("DUMP", First, Reads), ("ECHO", Nowhere, Reads), ("EVAL", AfterCount(2), Writes),
    ("EVALSHA", AfterCount(2), Writes), ("EVALSHA_RO", AfterCount(2), Reads), ("EVAL_RO", AfterCount(2), Reads),
    ("EXISTS", All, Reads), ("EXPIRE", First, Writes), ("EXPIREAT", First, Writes), ("EXPIRETIME", First, Reads),
    ("FCALL", AfterCount(2), Writes), ("FCALL_RO", AfterCount(2), Reads), ("FLUSHALL", Nowhere, Writes),
    ("FLUSHDB", Nowhere, Writes), ("FUNCTION", Nowhere, Writes), ("GEOADD", First, Writes), ("GEODIST", First, Reads),
    ("GEOHASH", First, Reads), ("GEOPOS", First, Reads), ("GEORADIUS", Options, Writes),
    ("GEORADIUSBYMEMBER", Options, Writes), ("GEORADIUSBYMEMBER_RO", First, Reads), ("GEORADIUS_RO", First, Reads),
    ("GEOSEARCH", First, Reads), ("GEOSEARCHSTORE", Two, Writes), ("GET", First, Reads), ("GETBIT", First, Reads),
    ("GETDEL", First, Writes), ("GETEX", First, Writes), ("GETRANGE", First, Reads), ("GETSET", First, Writes),
    ("HDEL", First, Writes), ("HEXISTS", First, Reads), ("HEXPIRE", First, Writes), ("HEXPIREAT", First, Writes),
    ("HEXPIRETIME", First, Reads), ("HGET", First, Reads), ("HGETALL", First, Reads), ("HGETDEL", First, Writes),
    ("HGETEX", First, Writes), ("HINCRBY", First, Writes), ("HINCRBYFLOAT", First, Writes), ("HKEYS", First, Reads),
    ("HLEN", First, Reads), ("HMGET", First, Reads), ("HMSET", First, Writes), ("HPERSIST", First, Writes),
    ("HPEXPIRE", First, Writes), ("HPEXPIREAT", First, Writes), ("HPEXPIRETIME", First, Reads),
    ("HPTTL", First, Reads), ("HRANDFIELD", First, Reads), ("HSCAN", First, Reads), ("HSET", First, Writes),
    ("HSETEX", First, Writes), ("HSETNX", First, Writes), ("HSTRLEN", First, Reads), ("HTTL", First, Reads),
    ("HVALS", First, Reads), ("INCR", First, Writes), ("INCRBY", First, Writes), ("INCRBYFLOAT", First, Writes),
    ("INFO", Nowhere, Reads), ("KEYS", Nowhere, Reads), ("LASTSAVE", Nowhere, Reads), ("LATENCY", Nowhere, Writes),
    ("LCS", Two, Reads), ("LINDEX", First, Reads), ("LINSERT", First, Writes), ("LLEN", First, Reads),
    ("LMOVE", Two, Writes), ("LMPOP", AfterCount(1), Writes), ("LOLWUT", Nowhere, Reads), ("LPOP", First, Writes),
    ("LPOS", First, Reads), ("LPUSH", First, Writes), ("LPUSHX", First, Writes), ("LRANGE", First, Reads),
    ("LREM", First, Writes), ("LSET", First, Writes), ("LTRIM", First, Writes), ("MEMORY", AfterSubcommand, Writes),
    ("MGET", All, Reads), ("MODULE", Nowhere, Writes), ("MSET", Pairs, Writes), ("MSETEX", PairsAfterCount, Writes),
    ("MSETNX", Pairs, Writes), ("OBJECT", AfterSubcommand, Writes), ("PERSIST", First, Writes),
    ("PEXPIRE", First, Writes), ("PEXPIREAT", First, Writes), ("PEXPIRETIME", First, Reads), ("PFADD", First, Writes),
    ("PFCOUNT", All, Reads), ("PFMERGE", All, Writes), ("PING", Nowhere, Reads), ("PSETEX", First, Writes),
    ("PTTL", First, Reads), ("PUBLISH", Nowhere, Writes), ("PUBSUB", Nowhere, Writes), ("RANDOMKEY", Nowhere, Reads),
    ("RENAME", Two, Writes), ("RENAMENX", Two, Writes), ("RESTORE", First, Writes), ("ROLE", Nowhere, Reads),
    ("RPOP", First, Writes), ("RPOPLPUSH", Two, Writes), ("RPUSH", First, Writes), ("RPUSHX", First, Writes),
    ("SADD", First, Writes), ("SAVE", Nowhere, Writes), ("SCAN", Nowhere, Reads), ("SCARD", First, Reads),
    ("SCRIPT", Nowhere, Writes), ("SDIFF", All, Reads), ("SDIFFSTORE", All, Writes), ("SET", First, Writes),
    ("SETBIT", First, Writes), ("SETEX", First, Writes), ("SETNX", First, Writes), ("SETRANGE", First, Writes),
    ("SINTER", All, Reads), ("SINTERCARD", AfterCount(1), Reads), ("SINTERSTORE", All, Writes),
    ("SISMEMBER", First, Reads), ("SLOWLOG", Nowhere, Writes), ("SMEMBERS", First, Reads),
    ("SMISMEMBER", First, Reads), ("SMOVE", Two, Writes), ("SORT", Options, Writes), ("SORT_RO", Options, Reads),
    ("SPOP", First, Writes), ("SPUBLISH", First, Writes), ("SRANDMEMBER", First, Reads), ("SREM", First, Writes),
    ("SSCAN", First, Reads), ("STRLEN", First, Reads), ("SUBSTR", First, Reads), ("SUNION", All, Reads),
    ("SUNIONSTORE", All, Writes), ("SWAPDB", Nowhere, Writes), ("TIME", Nowhere, Reads), ("TOUCH", All, Writes),
    ("TTL", First, Reads), ("TYPE", First, Reads), ("UNLINK", All, Writes), ("VADD", First, Writes),
    ("VCARD", First, Writes), ("VDIM", First, Writes), ("VEMB", First, Writes), ("VGETATTR", First, Writes),
    ("VINFO", First, Writes), ("VISMEMBER", First, Writes), ("VLINKS", First, Writes), ("VRANDMEMBER", First, Writes),
    ("VREM", First, Writes), ("VSETATTR", First, Writes), ("VSIM", First, Writes), ("WAIT", Nowhere, Writes),
    ("WAITAOF", Nowhere, Writes), ("WATCH", All, Writes), ("XACK", First, Writes), ("XADD", First, Writes),
    ("XAUTOCLAIM", First, Writes), ("XCLAIM", First, Writes), ("XDEL", First, Writes),
    ("XGROUP", AfterSubcommand, Writes), ("XINFO", AfterSubcommand, Reads), ("XLEN", First, Reads),
    ("XPENDING", First, Reads), ("XRANGE", First, Reads), ("XREAD", Streams, Reads), ("XREADGROUP", Streams, Writes),
    ("XREVRANGE", First, Reads), ("XSETID", First, Writes), ("XTRIM", First, Writes), ("ZADD", First, Writes),
    ("ZCARD", First, Reads), ("ZCOUNT", First, Reads), ("ZDIFF", AfterCount(1), Reads),
    ("ZDIFFSTORE", StoreAfterCount, Writes), ("ZINCRBY", First, Writes), ("ZINTER", AfterCount(1), Reads),
    ("ZINTERCARD", AfterCount(1), Reads), ("ZINTERSTORE", StoreAfterCount, Writes), ("ZLEXCOUNT", First, Reads),
    ("ZMPOP", AfterCount(1), Writes), ("ZMSCORE", First, Reads), ("ZPOPMAX", First, Writes),
    ("ZPOPMIN", First, Writes), ("ZRANDMEMBER", First, Reads), ("ZRANGE", First, Reads),
    ("ZRANGEBYLEX", First, Reads), ("ZRANGEBYSCORE", First, Reads), ("ZRANGESTORE", Two, Writes),
    ("ZRANK", First, Reads), ("ZREM", First, Writes), ("ZREMRANGEBYLEX", First, Writes),
    ("ZREMRANGEBYRANK", First, Writes), ("ZREMRANGEBYSCORE", First, Writes), ("ZREVRANGE", First, Reads),
    ("ZREVRANGEBYLEX", First, Reads), ("ZREVRANGEBYSCORE", First, Reads), ("ZREVRANK", First, Reads),
    ("ZSCAN", First, Reads), ("ZSCORE", First, Reads), ("ZUNION", AfterCount(1), Reads),
    ("ZUNIONSTORE", StoreAfterCount, Writes),
];

/// What is known of one command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) keys: Place,
    pub(crate) effect: Effect,
}

/// The places of what is measured beside the commands in the table.
pub(crate) const OTHER: usize = COMMANDS.len();
pub(crate) const PIPELINE: usize = OTHER + 1;
pub(crate) const TRANSACTION: usize = OTHER + 2;
#[cfg(feature = "metrics")]
pub(crate) const OPERATIONS: usize = OTHER + 3;

/// The place of a command in the table, or [`OTHER`].
pub(crate) fn place_of(name: &str) -> usize {
    COMMANDS.binary_search_by_key(&name, |(name, ..)| name).unwrap_or(OTHER)
}

/// What stands at this place.
#[cfg(feature = "metrics")]
pub(crate) fn operation_name(place: usize) -> &'static str {
    match place {
        PIPELINE => "PIPELINE",
        TRANSACTION => "MULTI",
        place => COMMANDS.get(place).map_or("_OTHER", |(name, ..)| name),
    }
}

/// Looks up a command by its name in upper case.
pub(crate) fn known(name: &str) -> Option<Known> {
    COMMANDS.get(place_of(name)).map(|(_, keys, effect)| Known { keys: *keys, effect: *effect })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_it_can_be_searched_and_names_each_command_once() {
        assert!(COMMANDS.is_sorted_by(|(one, ..), (next, ..)| one < next));
        assert!(COMMANDS.iter().all(|(name, ..)| known(name).is_some()));
    }
}
