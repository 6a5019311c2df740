//! Writing TOML.

use std::collections::BTreeMap;

use sentinel_core::types::HostPort;

use super::{
    super::{
        directives::{Support, support},
        keys::{KEYS, Key, Kind, TABLES},
        lexer, reference, settings, toml_key, toml_text, value,
    },
    listing::{Entry, Listing, WITHOUT_EFFECT, put_comments, put_gap},
};

/// One key with its value and comments.
struct Line {
    comments: Vec<String>,
    /// Without the ending that says where a secret stands.
    key: &'static str,
    /// As it is written.
    name: String,
    value: Written,
}

enum Written {
    One(String),
    /// Elements of an array, one a line, each with comments of its own.
    Lines(Vec<(Vec<String>, String)>),
    /// A table from one text to another.
    Pairs(Vec<(String, String)>),
}

#[derive(Default)]
struct Table {
    /// Above its header.
    above: Vec<String>,
    lines: Vec<Line>,
}

struct Tables {
    top: Table,
    sections: BTreeMap<&'static str, Table>,
    /// In the order of their first lines.
    masters: Vec<(String, Table)>,
    left_out: Vec<String>,
    /// Comments that what is left out becomes, until something follows that is written.
    waiting: Vec<String>,
}

/// The whole text, and what has no key in it.
pub(super) fn write(listing: &Listing) -> (String, Vec<String>) {
    let mut tables = Tables {
        top: Table::default(),
        sections: BTreeMap::new(),
        masters: Vec::new(),
        left_out: Vec::new(),
        waiting: Vec::new(),
    };
    for entry in &listing.entries {
        tables.take(entry);
    }
    let mut out = String::new();
    put_comments(&mut out, &listing.head);
    if !listing.head.is_empty() {
        put_gap(&mut out);
    }
    tables.top.write(&mut out);
    for section in TABLES {
        if let Some(table) = tables.sections.get(section) {
            table.write_under(&mut out, &format!("[{section}]"));
        }
    }
    for (_, table) in &tables.masters {
        table.write_under(&mut out, "[[master]]");
    }
    let tail: Vec<String> = tables.waiting.into_iter().chain(listing.tail.iter().cloned()).collect();
    if !tail.is_empty() {
        put_gap(&mut out);
        put_comments(&mut out, &tail);
    }
    (out, tables.left_out)
}

impl Tables {
    fn take(&mut self, entry: &Entry) {
        let mut comments = std::mem::take(&mut self.waiting);
        comments.extend(entry.comments.iter().cloned());
        let taken = match &entry.words[..] {
            [sentinel, directive, arguments @ ..] if sentinel == "sentinel" => {
                self.sentinel(comments, directive, arguments)
            }
            [directive, arguments @ ..] if directive == "client-output-buffer-limit" => {
                self.limits(comments, arguments)
            }
            [directive, arguments @ ..] => self.generic(comments, directive, arguments),
            [] => Ok(()),
        };
        if let Err(mut comments) = taken {
            let line = lexer::join(entry.words.iter().map(String::as_str));
            comments.push(format!("{WITHOUT_EFFECT}{line}"));
            if !matches!(support(&entry.words[0]), Some(Support::DataNode)) {
                self.left_out.push(entry.words[0].clone());
            }
            self.waiting = comments;
        }
    }

    fn sentinel(&mut self, comments: Vec<String>, directive: &str, arguments: &[String]) -> Result<(), Vec<String>> {
        if directive == "monitor" {
            let [name, host, port, quorum] = arguments else { return Err(comments) };
            let table = self.master(name);
            table.above.extend(comments);
            table.lines.retain(|line| !["name", "address", "quorum"].contains(&line.key));
            let port = value::lenient_int(port).0.to_string();
            let address = HostPort::from_words(host, &port).map_or_else(|_| host.clone(), |addr| addr.to_string());
            let values = [
                ("name", text(name)),
                ("address", text(&address)),
                ("quorum", value::lenient_int(quorum).0.to_string()),
            ];
            for (at, (key, value)) in values.into_iter().enumerate() {
                let line = Line { comments: Vec::new(), key, name: key.to_owned(), value: Written::One(value) };
                table.lines.insert(at, line);
            }
            return Ok(());
        }
        let directive = settings::present_name(directive);
        let (stem, _) = reference::of_directive(directive, true).unwrap_or((directive, reference::Elsewhere::File));
        let sections = ["", "sentinel", "master"];
        let Some(key) = KEYS.iter().find(|key| key.directive == stem && sections.contains(&key.section)) else {
            return Err(comments);
        };
        let suffix = &directive[stem.len()..];
        let (table, arguments) = match (key.section, arguments) {
            ("master", [name, rest @ ..]) => (self.master(name), rest),
            ("", _) => (&mut self.top, arguments),
            (section, _) => (self.sections.entry(section).or_default(), arguments),
        };
        table.put(key, suffix, comments, arguments);
        Ok(())
    }

    fn generic(&mut self, comments: Vec<String>, directive: &str, arguments: &[String]) -> Result<(), Vec<String>> {
        let (stem, suffix) = match reference::of_directive(directive, false) {
            Some((stem, reference::Elsewhere::File)) => (stem, "-file"),
            Some((stem, reference::Elsewhere::Environment)) => (stem, "-env"),
            None => (directive, ""),
        };
        let Some(key) =
            KEYS.iter().find(|key| key.directive == stem && !["", "sentinel", "master"].contains(&key.section))
        else {
            return Err(comments);
        };
        self.sections.entry(key.section).or_default().put(key, suffix, comments, arguments);
        Ok(())
    }

    /// One directive for several classes of clients, each of which is a key.
    fn limits(&mut self, mut comments: Vec<String>, arguments: &[String]) -> Result<(), Vec<String>> {
        let words: Vec<String> = arguments.iter().flat_map(|word| word.split_whitespace().map(str::to_owned)).collect();
        for chunk in words.chunks(4) {
            let [class, limits @ ..] = chunk else { continue };
            let class =
                if class.eq_ignore_ascii_case("slave") { "replica".to_owned() } else { class.to_ascii_lowercase() };
            self.generic(std::mem::take(&mut comments), &format!("client-output-buffer-limit {class}"), limits)?;
        }
        if comments.is_empty() { Ok(()) } else { Err(comments) }
    }

    fn master(&mut self, name: &str) -> &mut Table {
        let at = self.masters.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.masters.push((name.to_owned(), Table::default()));
            self.masters.len() - 1
        });
        &mut self.masters[at].1
    }
}

impl Table {
    /// Takes a value. A later one of the same key counts, as in the classic grammar; lists grow.
    fn put(&mut self, key: &Key, suffix: &str, comments: Vec<String>, arguments: &[String]) {
        let name = format!("{}{suffix}", key.name);
        let known = self.lines.iter().position(|line| line.key == key.name);
        let first = || arguments.first().cloned().unwrap_or_default();
        if suffix.is_empty() && key.kind == Kind::Lines {
            let element = (comments, lexer::join_user(arguments.iter().map(String::as_str)));
            match known.map(|at| &mut self.lines[at].value) {
                Some(Written::Lines(elements)) => elements.push(element),
                _ => self.lines.push(Line {
                    comments: Vec::new(),
                    key: key.name,
                    name,
                    value: Written::Lines(vec![element]),
                }),
            }
            return;
        }
        if key.kind == Kind::Pairs {
            let pair = (first(), arguments.get(1).cloned().unwrap_or_default());
            if let Some(at) = known {
                let line = &mut self.lines[at];
                line.comments = merged(std::mem::take(&mut line.comments), comments);
                if let Written::Pairs(pairs) = &mut line.value {
                    pairs.push(pair);
                }
            } else {
                self.lines.push(Line { comments, key: key.name, name, value: Written::Pairs(vec![pair]) });
            }
            return;
        }
        let kind = if suffix.is_empty() { key.kind } else { Kind::Text };
        let value = Written::One(one(kind, arguments));
        let comments = match known {
            Some(at) => merged(self.lines.remove(at).comments, comments),
            None => comments,
        };
        self.lines.push(Line { comments, key: key.name, name, value });
    }

    fn write_under(&self, out: &mut String, header: &str) {
        put_gap(out);
        put_comments(out, &self.above);
        out.push_str(header);
        out.push('\n');
        self.write(out);
    }

    fn write(&self, out: &mut String) {
        for line in &self.lines {
            put_comments(out, &line.comments);
            out.push_str(&line.name);
            out.push_str(" = ");
            match &line.value {
                Written::One(value) => out.push_str(value),
                Written::Pairs(pairs) => {
                    let pairs: Vec<String> = pairs
                        .iter()
                        .map(|(from, to)| format!("{} = {}", toml_key(from).display_repr(), text(to)))
                        .collect();
                    out.push_str("{ ");
                    out.push_str(&pairs.join(", "));
                    out.push_str(" }");
                }
                Written::Lines(elements) => {
                    out.push_str("[\n");
                    for (comments, element) in elements {
                        for comment in comments.iter().filter(|comment| !comment.is_empty()) {
                            put_indented(out, comment, "\n");
                        }
                        put_indented(out, &text(element), ",\n");
                    }
                    out.push(']');
                }
            }
            out.push('\n');
        }
    }
}

/// The comments of two lines that become one. What a left out directive became stays apart from those of the line.
fn merged(mut one: Vec<String>, mut other: Vec<String>) -> Vec<String> {
    let own = |comments: &mut Vec<String>| {
        let end = comments.iter().rposition(|comment| comment.starts_with(WITHOUT_EFFECT)).map_or(0, |at| at + 1);
        comments.split_off(end)
    };
    let own = [own(&mut one), own(&mut other)].concat();
    [one, other, own].concat()
}

fn put_indented(out: &mut String, text: &str, end: &str) {
    out.push_str("    ");
    out.push_str(text);
    out.push_str(end);
}

/// A value in the way of its kind.
fn one(kind: Kind, arguments: &[String]) -> String {
    let word = arguments.first().map(String::as_str).unwrap_or_default();
    let number = || value::lenient_int(word).0;
    match kind {
        Kind::Text | Kind::Secret | Kind::Address | Kind::Lines | Kind::Pairs => text(word),
        Kind::Number => number().to_string(),
        Kind::Switch => word.eq_ignore_ascii_case("yes").to_string(),
        Kind::Milliseconds => time(number(), 1),
        Kind::Seconds => time(number().saturating_mul(1000), 1000),
        Kind::Bytes => bytes(word),
        Kind::List => {
            let words: Vec<String> = arguments.iter().filter(|word| !word.is_empty()).map(|word| text(word)).collect();
            format!("[{}]", words.join(", "))
        }
        Kind::Limit => {
            let part = |at: usize| bytes(arguments.get(at).map_or("0", String::as_str));
            let seconds = arguments.get(2).map_or(0, |word| value::lenient_int(word).0);
            format!("{{ hard = {}, soft = {}, for = {} }}", part(0), part(1), time(seconds.saturating_mul(1000), 1000))
        }
    }
}

fn text(text: &str) -> String {
    toml_text(text).to_string()
}

fn bytes(word: &str) -> String {
    if word.bytes().all(|byte| byte.is_ascii_digit()) && word.parse::<i64>().is_ok() {
        word.to_owned()
    } else {
        text(word)
    }
}

/// Milliseconds with the largest unit that is exact, at least so many.
fn time(ms: i64, least: i64) -> String {
    let (number, unit) = match ms {
        0 if least == 1000 => (0, "s"),
        ms if ms % 60_000 == 0 && ms != 0 => (ms / 60_000, "m"),
        ms if ms % 1000 == 0 => (ms / 1000, "s"),
        ms => (ms, "ms"),
    };
    text(&format!("{number}{unit}"))
}
