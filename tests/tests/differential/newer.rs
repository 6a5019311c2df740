//! What is so with some later versions only: what is masked, and where ours answers as 7.0 does, each with its reason. That all
//! versions are compared with is in the other tables.

use sentinel_tests::Kind;

use crate::departures::Departure;
use crate::pair::Protocol;
use crate::script;
use crate::stream::Told;
use crate::version::Version::{self, Redis70, Redis80, Valkey80, Valkey81, Valkey91};
use crate::wire::Value;

const LATER: &[Version] = &[Redis80, Valkey80, Valkey81, Valkey91];
const VALKEY: &[Version] = &[Valkey80, Valkey81, Valkey91];

/// Something that is not compared.
struct Mask {
    versions: &'static [Version],
    /// Beginnings of requests, in upper case.
    about: &'static [&'static str],
    apply: fn(Kind, &mut Value),
    why: &'static str,
}

const MASKS: &[Mask] = &[
    Mask {
        versions: &[Redis70],
        about: &["SENTINEL CONFIG GET *"],
        apply: without_loglevel,
        why: "ours lists loglevel, a parameter of later versions, at the end",
    },
    Mask {
        versions: &[Redis70],
        about: &["INFO"],
        apply: without_subscribers,
        why: "ours tells the number of subscribers (pubsub_clients), a field of later versions",
    },
    Mask {
        versions: &[Redis70],
        about: &["CLIENT ", "ACL LOG"],
        apply: without_library,
        why: "ours tells the library of a client, and HELP of SETINFO, as later versions do",
    },
    Mask {
        versions: LATER,
        about: &["COMMAND DOCS"],
        apply: names_only,
        why: "ours describes commands in its own words, and their arguments as 7.0 does; which there are is compared",
    },
    Mask {
        versions: LATER,
        about: &["ACL LIST", "ACL GETUSER", "ACCESS LIST", "ACCESS GETUSER"],
        apply: without_payload_rule,
        why: "sanitize-payload is about RESTORE, which no Sentinel has; versions differ in where they show it",
    },
    Mask {
        versions: LATER,
        about: &["ACL LIST", "ACL GETUSER", "ACCESS LIST", "ACCESS GETUSER"],
        apply: without_command_rules,
        why: "later versions tell the rules as they were given, ours the fewest that mean the same, as 7.0 does",
    },
    Mask {
        versions: &[Valkey81, Valkey91],
        about: &["INFO"],
        apply: without_frequency,
        why: "the reference draws configured_hz at random",
    },
    Mask {
        versions: LATER,
        about: &["CLIENT HELP"],
        apply: without_foreign_usage,
        why: "the reference lists what its Sentinel refuses",
    },
    Mask {
        versions: VALKEY,
        about: &["CLIENT ", "ACL LOG"],
        apply: without_brackets,
        why: "the reference shows the path of a socket as an IPv6 address, and its port twice",
    },
];

/// Masks what is to be masked with this version.
pub(crate) fn mask(version: Version, kind: Kind, request: &str, value: &mut Value) {
    let about = |mask: &&Mask| mask.about.iter().any(|begin| request.starts_with(begin));
    for mask in MASKS.iter().filter(|mask| mask.versions.contains(&version)).filter(about) {
        (mask.apply)(kind, value);
    }
}

/// Valkey 9.1 clears the state of a master that is moved by hand, and tells the end of what had not begun.
pub(crate) fn without_needless_ends(version: Version, theirs: &mut Vec<Told>) {
    if version != Valkey91 {
        return;
    }
    let mut down = Vec::new();
    theirs.retain(|told| {
        if told.channel == "+sdown" {
            down.push(told.payload.clone());
        }
        told.channel != "-sdown" || !told.payload.starts_with("master ") || down.contains(&told.payload)
    });
}

/// Why each of these may differ.
pub(crate) fn explanation() -> impl Iterator<Item = String> {
    MASKS.iter().map(|mask| {
        let versions: Vec<&str> = mask.versions.iter().map(|version| version.look()).collect();
        format!("{}, {}: {}", versions.join(" "), mask.about.join(" "), mask.why)
    })
}

/// Answers of some versions only: request, what ours answers, what the reference does, why.
type Other = (&'static [Version], &'static str, &'static str, &'static str, &'static str);

const CRLF: &str = "the two bytes behind an argument are skipped unread, as until Valkey 9.0";
const QUOTES: &str =
    "what follows a closing quote must be a blank, as in all other versions: what was meant is not guessed";
const FILTERS: &str = "the filters of CLIENT are those of 7.0, with several ids in LIST only";
const TRAILING: &str = "a word too many is refused, as in all other versions";
const UNBALANCED: &str = "-ERR Protocol error: unbalanced quotes in request (closed)";
const OF_OURS: &str = "something that the reference does not have";
const FILTERING: &[Version] = &[Valkey81, Valkey91];

#[rustfmt::skip]
const OTHERS: &[Other] = &[
    (&[Valkey91], r"raw *1\r\n$4\r\nPINGxx", "+PONG", "-ERR Protocol error: invalid CRLF in request (closed)", CRLF),
    (&[Valkey91], "line PING 'a'b", UNBALANCED, r#""ab""#, QUOTES),
    (&[Valkey91], r#"line PING "a"b"#, UNBALANCED, r#""ab""#, QUOTES),
    (&[Valkey91], r#"line PING "a"x"#, UNBALANCED, r#""ax""#, QUOTES),
    (FILTERING, "CLIENT KILL ID 1 2", "-ERR syntax error", ":0", FILTERS),
    (FILTERING, "CLIENT PAUSE 1 WRITE x", r"-ERR unknown subcommand or wrong number of arguments for \'PAUSE\'. Try CLIENT HELP.", "+OK", TRAILING),
    (FILTERING, "CLIENT UNBLOCK 1 ERROR x", r"-ERR unknown subcommand or wrong number of arguments for \'UNBLOCK\'. Try CLIENT HELP.", ":0", TRAILING),
    (&[Valkey91], "SENTINEL FAILOVER other DRYRUN", "-ERR No such master with that name", "-ERR No such master with that name", OF_OURS),
    (&[Valkey91], "SENTINEL FAILOVER m1 DRYRUN", "-NOGOODSLAVE No suitable replica to promote", "-ERR Unknown failover option specified", OF_OURS),
    (&[Valkey91], "SENTINEL FAILOVER m1 COORDINATED", "-NOGOODSLAVE No suitable replica to promote", "-NOGOODPRIMARY Primary does not support FAILOVER command", "a master that was never reached has no replica, and no version yet"),
];

const NOSUB: &str = "8.0 refuses to end what was not begun, which clients do; before and after that it is confirmed";
const NO_PATTERN: &str = r"-NOSUB \'punsubscribe\' command executed not in subscribed mode";
const NO_CHANNEL: &str = r"-NOSUB \'unsubscribe\' command executed not in subscribed mode";

/// Of Valkey 8.0, in each protocol.
#[rustfmt::skip]
const UNASKED: &[(&str, [&str; 2], &str)] = &[
    ("PUNSUBSCRIBE / PUNSUBSCRIBE", [r#"*3 "punsubscribe" $-1 :0"#, r#">3 "punsubscribe" _ :0"#], NO_PATTERN),
    ("PUNSUBSCRIBE / PUNSUBSCRIBE / UNSUBSCRIBE", [r#"*3 "unsubscribe" $-1 :0"#, r#">3 "unsubscribe" _ :0"#], NO_CHANNEL),
    (
        "UNSUBSCRIBE a a / UNSUBSCRIBE a b c",
        [
            r#"*3 "unsubscribe" "a" :0 *3 "unsubscribe" "b" :0 *3 "unsubscribe" "c" :0"#,
            r#">3 "unsubscribe" "a" :0 >3 "unsubscribe" "b" :0 >3 "unsubscribe" "c" :0"#,
        ],
        NO_CHANNEL,
    ),
];

/// The departures that count with this version.
pub(crate) fn departures(version: Version, script: &str, common: &[Departure]) -> Vec<Departure> {
    let mut all: Vec<Departure> =
        common.iter().filter(|it| it.until.is_none_or(|until| version < until)).copied().collect();
    let requests: Vec<&str> = script::talks(script).flat_map(|talk| talk.requests).collect();
    for &(versions, request, ours, theirs, why) in OTHERS {
        let last = request.rsplit(" / ").next().unwrap_or(request);
        if versions.contains(&version) && requests.contains(&last) {
            all.retain(|it| it.request != request);
            all.push(Departure { request, protocol: None, ours, theirs, why, until: None });
        }
    }
    if version == Valkey80 && script.contains("UNSUBSCRIBE a b c") {
        for &(request, ours, theirs) in UNASKED {
            for (protocol, ours) in [Protocol::Resp2, Protocol::Resp3].into_iter().zip(ours) {
                all.push(Departure { request, protocol: Some(protocol), ours, theirs, why: NOSUB, until: None });
            }
        }
    }
    all
}

/// Whether it is one of some versions only.
pub(crate) fn is_of_version(departure: &Departure) -> bool {
    OTHERS.iter().any(|(_, request, ..)| *request == departure.request)
        || UNASKED.iter().any(|(request, ..)| *request == departure.request)
}

fn without_loglevel(kind: Kind, value: &mut Value) {
    if let (Kind::Ours, Value::Many(_, Some(items))) = (kind, value)
        && let [.., name, _] = items.as_slice()
        && name.text() == Some("loglevel")
    {
        items.truncate(items.len() - 2);
    }
}

/// Changes every text in a value.
fn texts(value: &mut Value, change: &impl Fn(&str) -> String) {
    match value {
        Value::Many(_, Some(items)) => items.iter_mut().for_each(|item| texts(item, change)),
        Value::Bulk(Some(bytes)) | Value::Verbatim(bytes) => {
            *bytes = change(&String::from_utf8_lossy(bytes)).into_bytes();
        }
        _ => {}
    }
}

fn without_subscribers(kind: Kind, value: &mut Value) {
    if kind == Kind::Ours {
        texts(value, &|text| lines(text, |line| !line.starts_with("pubsub_clients:")));
    }
}

fn lines(text: &str, keep: impl Fn(&str) -> bool) -> String {
    text.split_inclusive('\n').filter(|line| keep(line)).collect()
}

fn without_library(kind: Kind, value: &mut Value) {
    if kind == Kind::Reference {
        return;
    }
    if let Value::Many('*', Some(items)) = value {
        items.retain(|item| !matches!(item, Value::Line(line) if line.starts_with("+SETINFO")));
    }
    texts(value, &|text| {
        let line = |line: &str| {
            let end = line.find(" lib-name=").unwrap_or(line.len());
            line[..end].to_owned() + if line.ends_with('\n') && end < line.len() { "\n" } else { "" }
        };
        text.split_inclusive('\n').map(line).collect()
    });
}

/// Names of commands and subcommands.
fn names_only(_: Kind, value: &mut Value) {
    let Value::Many(_, Some(items)) = value else { return };
    if let [Value::Bulk(Some(_)), Value::Line(arity), ..] = items.as_slice()
        && arity.starts_with(':')
    {
        let subcommands = items.get_mut(9).map(|items| std::mem::replace(items, Value::Bulk(None)));
        items.truncate(1);
        items.extend(subcommands);
    }
    let documented = |pair: &[Value]| matches!(pair, [Value::Bulk(Some(_)), Value::Many(_, Some(_))]);
    if !items.is_empty() && items.len().is_multiple_of(2) && items.chunks(2).all(documented) {
        let names: Vec<Value> = items.chunks(2).map(|pair| pair[0].clone()).collect();
        *items = names;
    }
    for item in items {
        names_only(Kind::Ours, item);
    }
}

fn without_payload_rule(_: Kind, value: &mut Value) {
    if let Value::Many(_, Some(items)) = value {
        items.retain(|item| !matches!(item.text(), Some("sanitize-payload" | "skip-sanitize-payload")));
        for item in items {
            without_payload_rule(Kind::Ours, item);
        }
    }
    if let Value::Bulk(Some(_)) = value {
        texts(value, &|text| text.replace(" sanitize-payload", "").replace(" skip-sanitize-payload", ""));
    }
}

fn without_command_rules(_: Kind, value: &mut Value) {
    let rule = |word: &&str| !word.starts_with(['+', '-']) || word.starts_with("+@all") || word.starts_with("-@all");
    match value {
        Value::Many(_, Some(items)) => items.iter_mut().for_each(|item| without_command_rules(Kind::Ours, item)),
        Value::Bulk(Some(_)) => {
            texts(value, &|text| text.split(' ').filter(rule).collect::<Vec<_>>().join(" "));
        }
        _ => {}
    }
}

fn without_frequency(_: Kind, value: &mut Value) {
    texts(value, &|text| lines(text, |line| !line.starts_with("configured_hz:")));
}

fn without_foreign_usage(_: Kind, value: &mut Value) {
    const REFUSED: [&str; 3] = ["+CAPA", "+NO-TOUCH", "+IMPORT-SOURCE"];
    if let Value::Many(_, Some(items)) = value {
        items.retain(|item| !matches!(item, Value::Line(line) if REFUSED.iter().any(|begin| line.starts_with(begin))));
    }
}

fn without_brackets(kind: Kind, value: &mut Value) {
    if kind == Kind::Reference {
        texts(value, &|text| text.replace("=[/", "=/").replace(":0]:0 ", ":0 "));
    }
}
