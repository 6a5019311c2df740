//! Commands that ask a Sentinel one thing and print the answer.

use clap::Args;
use redis::Value;
use serde_json::{Value as Json, json};

use super::{
    Exit, reply,
    reply::Column,
    target::{Format, Target},
};
use crate::terminal::say;

/// One master, or all of them.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// The master's name
    #[arg(add = super::complete::masters())]
    name: Option<String>,
    /// All masters
    #[arg(long)]
    all: bool,
}

impl Which {
    /// The word for it.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or("*")
    }
}

/// Who is to be forgotten.
#[derive(Args, Clone, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Whom {
    /// The id of a Sentinel that cannot be reached any more
    #[arg(value_name = "RUNID")]
    id: Option<String>,
    /// All Sentinels that have never said who they are and cannot be reached
    #[arg(long)]
    unverified: bool,
    /// A replica that cannot be reached any more
    #[arg(long, value_name = "HOST:PORT", add = super::complete::replicas())]
    replica: Option<String>,
}

/// `sentinel get-master-addr-by-name`
pub(super) fn address(target: &Target, name: &str) -> Exit {
    let (host, port) = match current(target, name) {
        Ok(place) => place,
        Err(exit) => return exit,
    };
    match target.format() {
        Format::Json => say!("{}", json!({ "name": name, "host": host, "port": port })),
        Format::Tsv => say!("{host}\t{port}"),
        Format::Table => say!("{host} {port}"),
    }
    Exit::Success
}

/// Where a master is. What is wrong was told on standard error.
pub(super) fn current(target: &Target, name: &str) -> Result<(String, u16), Exit> {
    let answer = target.ask(&["get-master-addr-by-name", name])?;
    let pair = <[String; 2]>::try_from(reply::texts(&answer)).ok();
    let place = pair.and_then(|[host, port]| Some((host, port.parse().ok()?)));
    place.ok_or_else(|| {
        target.complain(Exit::UnknownMaster, &format!("the Sentinel does not know a master called {name:?}"));
        Exit::UnknownMaster
    })
}

pub(super) const MASTERS: &[Column] = &[
    ("NAME", "name"),
    ("HOST", "ip"),
    ("PORT", "port"),
    ("FLAGS", "flags"),
    ("REPLICAS", "num-slaves"),
    ("SENTINELS", "num-other-sentinels"),
    ("QUORUM", "quorum"),
    ("EPOCH", "config-epoch"),
];

/// `sentinel masters`
pub(super) fn masters(target: &Target) -> Exit {
    list(target, &["masters"], MASTERS)
}

/// `sentinel replicas`
pub(super) fn replicas(target: &Target, name: &str) -> Exit {
    let columns: &[Column] = &[
        ("HOST", "ip"),
        ("PORT", "port"),
        ("FLAGS", "flags"),
        ("LINK", "master-link-status"),
        ("OFFSET", "slave-repl-offset"),
        ("PRIORITY", "slave-priority"),
        ("MASTER-HOST", "master-host"),
        ("MASTER-PORT", "master-port"),
    ];
    list(target, &["replicas", name], columns)
}

/// `sentinel sentinels`
pub(super) fn sentinels(target: &Target, name: &str) -> Exit {
    let columns: &[Column] = &[
        ("RUNID", "runid"),
        ("HOST", "ip"),
        ("PORT", "port"),
        ("FLAGS", "flags"),
        ("LAST-OK-PING-MS", "last-ok-ping-reply"),
        ("LAST-HELLO-MS", "last-hello-message"),
    ];
    list(target, &["sentinels", name], columns)
}

/// `sentinel candidates`
pub(super) fn candidates(target: &Target, name: &str) -> Exit {
    let columns: &[Column] = &[
        ("RANK", "rank"),
        ("NAME", "name"),
        ("PRIORITY", "slave-priority"),
        ("OFFSET", "slave-repl-offset"),
        ("CLASS", "class"),
        ("REFUSED", "refused"),
    ];
    list(target, &["candidates", name], columns)
}

/// `sentinel consensus`
pub(super) fn consensus(target: &Target, name: &str) -> Exit {
    let columns: &[Column] = &[
        ("RUNID", "runid"),
        ("ADDRESS", "address"),
        ("USABLE", "usable"),
        ("MASTER", "master"),
        ("EPOCH", "config-epoch"),
        ("DOWN", "master-down"),
        ("VOTED", "voted-leader"),
        ("VOTED-EPOCH", "voted-leader-epoch"),
        ("HELLO-MS", "last-hello-ms"),
    ];
    list(target, &["consensus", name], columns)
}

/// `sentinel explain`
pub(super) fn explain(target: &Target, name: &str) -> Exit {
    let answer = match target.ask(&["explain", name]) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let lines = reply::texts(&answer);
    if target.format() == Format::Json {
        say!("{}", Json::from(lines));
    } else {
        say!("{}", lines.join("\n"));
    }
    Exit::Success
}

/// `sentinel history`
pub(super) fn history(target: &Target, name: &str, id: Option<u64>) -> Exit {
    let Some(id) = id else {
        let columns: &[Column] =
            &[("ID", "id"), ("LASTED-MS", "lasted-ms"), ("TRIGGER", "trigger"), ("OUTCOME", "outcome")];
        return list(target, &["history", name], columns);
    };
    let answer = match target.ask(&["history", name, &id.to_string()]) {
        Ok(answer) => answer,
        Err(exit) => return exit,
    };
    let entry = Json::Object(reply::table(&answer));
    if target.format() == Format::Json {
        say!("{entry}");
        return Exit::Success;
    }
    for field in ["trigger", "outcome", "lasted-ms"] {
        say!("{field}: {}", reply::cell(&entry, field));
    }
    for line in entry["lines"].as_array().into_iter().flatten().filter_map(Json::as_str) {
        let (ms, text) = line.split_once(' ').unwrap_or(("", line));
        say!("{ms:>8} ms  {text}");
    }
    Exit::Success
}

/// The columns of `SENTINEL PROBLEMS`, and the fields of JSON.
pub(super) const PROBLEMS: &[Column] = &[
    ("SEVERITY", "severity"),
    ("CODE", "code"),
    ("SCOPE", "scope"),
    ("MASTER", "master"),
    ("ADDRESS", "address"),
    ("PROBLEM", "problem"),
    ("REMEDY", "remedy"),
];

/// `sentinel problems`
pub(super) fn problems(target: &Target, name: Option<&str>) -> Exit {
    let words: Vec<&str> = ["problems"].into_iter().chain(name).collect();
    let problems = match target.ask(&words) {
        Ok(answer) => reply::tables(&answer),
        Err(exit) => return exit,
    };
    match target.format() {
        Format::Json => say!("{}", Json::from(problems.clone())),
        Format::Tsv => say!("{}", reply::tabbed(PROBLEMS, &problems).trim_end()),
        Format::Table if problems.is_empty() => say!("nothing is wrong"),
        Format::Table => say!("{}", paragraphs(&problems)),
    }
    if problems.is_empty() { Exit::Success } else { Exit::Failure }
}

/// Problems as paragraphs: sentences are too long for columns.
pub(super) fn paragraphs(problems: &[Json]) -> String {
    let paragraph = |problem: &Json| {
        let field = |name| reply::cell(problem, name);
        let about = ["scope", "master", "address"].map(field);
        let about: Vec<&str> = about.iter().map(String::as_str).filter(|it| *it != "-").collect();
        format!(
            "{} {} ({})\n    {}\n    to mend it: {}",
            field("severity"),
            field("code"),
            about.join(" "),
            field("problem"),
            field("remedy")
        )
    };
    problems.iter().map(paragraph).collect::<Vec<_>>().join("\n")
}

/// `sentinel pause`: a name and a time, or with `all` a time alone.
pub(super) fn pause(target: &Target, all: bool, words: [Option<&str>; 2], reason: Option<&str>) -> Exit {
    let (name, time) = match words {
        [Some(_), Some(_)] if all => {
            target.complain(Exit::Usage, "either a master's name or --all: with --all only a time is given");
            return Exit::Usage;
        }
        [time, None] if all => ("*", time),
        [name, time] => (name.unwrap_or("*"), time),
    };
    let words: Vec<&str> = ["pause", name, time.unwrap_or("0")].into_iter().chain(reason).collect();
    told(target, &words)
}

/// `sentinel forget`
pub(super) fn forget(target: &Target, name: &str, whom: &Whom) -> Exit {
    match whom {
        Whom { id: Some(id), .. } => told(target, &["forget", name, id]),
        Whom { replica: Some(addr), .. } => {
            let Some((host, port)) = addr.rsplit_once(':') else {
                target.complain(Exit::Usage, &format!("`{addr}` is no address: write host:port"));
                return Exit::Usage;
            };
            told(target, &["forget-replica", name, host.trim_start_matches('[').trim_end_matches(']'), port])
        }
        _ => told(target, &["forget", name, "unverified"]),
    }
}

/// A command whose answer is a sentence.
pub(super) fn told(target: &Target, words: &[&str]) -> Exit {
    match target.ask(words) {
        Ok(answer) => {
            let lines = match &answer {
                Value::Array(_) => reply::texts(&answer),
                answer => reply::text(answer).into_iter().collect(),
            };
            if target.format() == Format::Json {
                say!("{}", json!({ "answer": lines }));
            } else {
                say!("{}", lines.join("\n"));
            }
            Exit::Success
        }
        Err(exit) => exit,
    }
}

/// A command whose answer is a list of tables.
fn list(target: &Target, words: &[&str], columns: &[Column]) -> Exit {
    match target.ask(words) {
        Ok(answer) => {
            print(target, columns, &reply::tables(&answer));
            Exit::Success
        }
        Err(exit) => exit,
    }
}

pub(super) fn print(target: &Target, columns: &[Column], tables: &[Json]) {
    match target.format() {
        Format::Json => say!("{}", Json::from(tables)),
        Format::Table => say!("{}", reply::aligned(columns, tables).trim_end()),
        Format::Tsv => say!("{}", reply::tabbed(columns, tables).trim_end()),
    }
}
