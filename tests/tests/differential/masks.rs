//! The values that must differ, and the orders that mean nothing. Everything else is compared to the byte.

use std::collections::BTreeMap;
use std::fmt::Display;

use sentinel_tests::Kind;

use crate::command_table;
use crate::newer;
use crate::version;
use crate::wire::{Answers, Value, rendered};

/// Fields whose value is masked, wherever a list or a map has the name followed by a value of that shape.
struct Field {
    names: &'static [&'static str],
    shape: fn(&str) -> bool,
    why: &'static str,
}

const FIELDS: &[Field] = &[
    Field {
        names: &[
            "last-ping-sent",
            "last-ok-ping-reply",
            "last-ping-reply",
            "s-down-time",
            "o-down-time",
            "info-refresh",
            "role-reported-time",
            "last-hello-message",
        ],
        shape: is_number,
        why: "ages in milliseconds",
    },
    Field { names: &["link-pending-commands"], shape: is_number, why: "what is under way in this instant" },
    Field { names: &["slave-repl-offset"], shape: is_number, why: "as of the last INFO, of which each has its own" },
    Field { names: &["age-seconds"], shape: is_decimal, why: "ages in seconds" },
    Field { names: &["entry-id"], shape: is_number, why: "refusals are numbered by each process" },
    Field { names: &["timestamp-created", "timestamp-last-updated"], shape: is_number, why: "moments" },
    Field { names: &["id"], shape: is_number, why: "connections are numbered by each process" },
];

/// Words of `CLIENT LIST` and `CLIENT INFO`, as `name=value`, that tell of a process and not of a client.
const CLIENT_WORDS: &[(&[&str], &str)] = &[
    (&["id", "addr", "fd"], "numbers that each process and the kernel give"),
    (&["age", "idle"], "ages in seconds"),
    (&["qbuf", "qbuf-free", "argv-mem", "multi-mem", "rbs", "rbp", "obl", "oll", "omem", "tot-mem"], "memory"),
    (&["tot-net-in", "tot-net-out", "tot-cmds"], "bytes and commands so far: ids and ports differ in length"),
];

/// Fields of INFO whose values are compared; of all others the name is.
const INFO_VALUES: &[&str] = &[
    "redis_version",
    "redis_mode",
    "arch_bits",
    "multiplexing_api",
    "tcp_port",
    "configured_hz",
    "process_supervised",
    "uptime_in_days",
    "maxclients",
    "cluster_connections",
    "blocked_clients",
    "tracking_clients",
    "clients_in_timeout_table",
    "pubsub_channels",
    "pubsub_patterns",
    "pubsubshard_channels",
    "rejected_connections",
    "sync_full",
    "expired_keys",
    "keyspace_hits",
    "sentinel_masters",
    "sentinel_tilt",
    "sentinel_tilt_since_seconds",
    "sentinel_running_scripts",
    "sentinel_scripts_queue_length",
    "sentinel_simulate_failure_flags",
    "master0",
];

/// Fields of INFO that only one of the two has.
const INFO_ONLY: &[(Kind, &[&str], &str)] =
    &[(Kind::Reference, &["atomicvar_api", "gcc_version"], "how a C program was built")];

/// Requests whose answers are lists in no fixed order: the reference keeps what they list in hash tables.
const UNORDERED: &[&str] = &[
    "SENTINEL MASTERS",
    "SENTINEL REPLICAS",
    "SENTINEL SLAVES",
    "SENTINEL SENTINELS",
    "SENTINEL INFO-CACHE",
    "ROLE",
    "ACL CAT",
    "ACL LIST",
    "ACL USERS",
    "COMMAND",
];

/// Names that each process has of its own, and what they are called in the comparison.
#[derive(Debug, Clone, Default)]
pub(crate) struct Names(BTreeMap<String, String>);

impl Names {
    /// From now on `name` is called `<label>`.
    pub(crate) fn call(&mut self, name: &impl Display, label: &str) {
        self.0.insert(name.to_string(), format!("<{label}>"));
    }

    /// The text with all names replaced that stand alone in it.
    pub(crate) fn replaced(&self, text: &str) -> String {
        let mut out = String::new();
        for piece in text.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
            let end = piece.find(|letter: char| !letter.is_ascii_alphanumeric()).unwrap_or(piece.len());
            let (word, rest) = piece.split_at(end);
            out.push_str(self.0.get(word).map_or(word, |label| label));
            out.push_str(rest);
        }
        out
    }
}

/// The answers to `request` in the notation of the documentation, with what must differ masked.
pub(crate) fn shown(kind: Kind, request: &str, answers: Answers, names: &Names) -> String {
    let upper = request.to_ascii_uppercase();
    let about =
        |command: &str| upper.strip_prefix(command).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let mut replies = answers.replies;
    for reply in &mut replies {
        if about("INFO") {
            info(kind, reply);
        } else if upper.ends_with(" HELP") {
            usage(kind, !about("SENTINEL"), reply);
        } else if about("CLIENT ID") {
            *reply = Value::Line(":<n>".to_owned());
        } else if about("ACL CAT") {
            command_table::strip(kind, reply);
        } else if about("ACL LIST") || about("ACL GETUSER") {
            rules(reply);
        } else if about("COMMAND") {
            command_table::strip(kind, reply);
        }
        newer::mask(version::reference(), kind, &upper, reply);
        mask(reply);
        if about("SENTINEL INFO-CACHE") {
            cached(reply);
        }
        if UNORDERED.iter().any(|command| about(command)) && !about("COMMAND DOCS") {
            sort(reply);
        }
    }
    if about("UNSUBSCRIBE") || about("PUNSUBSCRIBE") {
        sort_channels(&mut replies);
    }
    let mut parts: Vec<String> = replies.iter().map(rendered).collect();
    parts.extend(answers.end.map(str::to_owned));
    names.replaced(&parts.join(" "))
}

/// Why each of the masked values may differ.
pub(crate) fn explanation() -> String {
    let fields = FIELDS.iter().map(|field| format!("{}: {}", field.names.join(", "), field.why));
    let words = CLIENT_WORDS.iter().map(|(names, why)| format!("{}: {why}", names.join(", ")));
    let only = INFO_ONLY.iter().map(|(kind, names, why)| format!("{}, only {}: {why}", names.join(", "), kind.name()));
    fields.chain(words).chain(only).chain(newer::explanation()).collect::<Vec<_>>().join("\n")
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_decimal(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

fn mask(value: &mut Value) {
    match value {
        Value::Many(_, Some(items)) => {
            for at in 1..items.len() {
                let Some(name) = items[at - 1].text() else { continue };
                let Some(field) = FIELDS.iter().find(|field| field.names.contains(&name)) else { continue };
                match &items[at] {
                    Value::Line(line) if line.strip_prefix([':', ',']).is_some_and(field.shape) => {
                        items[at] = Value::Line(format!("{}<n>", &line[..1]));
                    }
                    other if other.text().is_some_and(field.shape) => {
                        items[at] = Value::Bulk(Some(b"<n>".to_vec()));
                    }
                    _ => {}
                }
            }
            for item in items {
                mask(item);
            }
        }
        Value::Bulk(Some(bytes)) if bytes.starts_with(b"id=") => *bytes = clients(bytes),
        Value::Verbatim(bytes) if bytes.starts_with(b"txt:id=") => *bytes = clients(bytes),
        _ => {}
    }
}

/// Lines of CLIENT LIST.
fn clients(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let masked = |word: &str| match word.split_once('=') {
        Some((name, _)) if CLIENT_WORDS.iter().any(|(names, _)| names.contains(&name.trim_start_matches("txt:"))) => {
            format!("{name}=<n>")
        }
        _ => word.to_owned(),
    };
    let line = |line: &str| line.split(' ').map(masked).collect::<Vec<_>>().join(" ") + "\n";
    text.lines().map(line).collect::<String>().into_bytes()
}

/// The names of all fields, and the values of some.
fn info(kind: Kind, value: &mut Value) {
    let Some(text) = value.text() else { return };
    let only = |name: &str| INFO_ONLY.iter().find(|(_, names, _)| names.contains(&name)).map(|(whose, ..)| *whose);
    let line = |line: &str| match line.split_once(':') {
        Some((name, _)) if only(name) == Some(kind) => String::new(),
        Some((name, _)) if !INFO_VALUES.contains(&name) => format!("{name}:<value>\r\n"),
        _ => format!("{line}\r\n"),
    };
    *value = Value::Bulk(Some(text.split_terminator("\r\n").map(line).collect::<String>().into_bytes()));
}

/// HELP without the descriptions, which are free text in lines of their own, and if so wanted with the first word of each usage
/// line only: what stands behind is named freely, too. What we have and the reference has not stands behind the line HELP.
fn usage(kind: Kind, first_word: bool, value: &mut Value) {
    let Value::Many('*', Some(lines)) = value else { return };
    lines.retain(|line| !matches!(line, Value::Line(line) if line.starts_with("+    ")));
    let last = lines.iter().position(|line| matches!(line, Value::Line(line) if line == "+HELP"));
    if let (Kind::Ours, Some(last)) = (kind, last) {
        lines.truncate(last + 1);
    }
    for line in lines.iter_mut().skip(1).filter(|_| first_word) {
        if let Value::Line(line) = line {
            line.truncate(line.find(' ').unwrap_or(line.len()));
        }
    }
}

/// INFO-CACHE without the ages, and of the texts only that they are INFO.
fn cached(value: &mut Value) {
    match value {
        Value::Many(_, Some(items)) => items.iter_mut().for_each(cached),
        Value::Line(line) if line.starts_with(':') => ":<n>".clone_into(line),
        Value::Bulk(Some(bytes)) if bytes.starts_with(b"# Server") => *bytes = b"<INFO>".to_vec(),
        _ => {}
    }
}

/// Descriptions of users with what is added and taken away in alphabetical order: the reference finds it by going through the hash
/// table of its commands.
fn rules(value: &mut Value) {
    match value {
        Value::Many(_, Some(items)) => items.iter_mut().for_each(rules),
        Value::Bulk(Some(bytes)) => {
            let text = String::from_utf8_lossy(bytes).into_owned();
            let mut words: Vec<&str> = text.split(' ').collect();
            if let Some(all) = words.iter().position(|word| matches!(*word, "+@all" | "-@all")) {
                let end = words[all..].iter().position(|word| word.starts_with('(')).map_or(words.len(), |at| all + at);
                words[all + 1..end].sort_unstable();
                *bytes = words.join(" ").into_bytes();
            }
        }
        _ => {}
    }
}

/// One confirmation a channel: the counts fall in order, but the channels come as the hash table has them.
fn sort_channels(replies: &mut [Value]) {
    let mut channels: Vec<Value> = Vec::new();
    for reply in &*replies {
        if let Value::Many(_, Some(items)) = reply {
            channels.extend(items.get(1).cloned());
        }
    }
    if channels.len() == replies.len() {
        channels.sort_by_key(rendered);
        for (reply, channel) in replies.iter_mut().zip(channels) {
            if let Value::Many(_, Some(items)) = reply {
                items[1] = channel;
            }
        }
    }
}

/// Sorts the items of a list, and of the lists in it, but not the fields of maps that RESP2 shows as lists.
fn sort(value: &mut Value) {
    if let Value::Many('*' | '~', Some(items)) = value {
        items.iter_mut().for_each(sort);
        let is_map = items.first().and_then(Value::text) == Some("name");
        if !is_map {
            items.sort_by_key(rendered);
        }
    }
}
