//! Reading TOML: every key becomes the directive it stands for, so that both grammars go through one validation.

use std::{path::Path, sync::Arc};

use sentinel_core::types::{HostPort, Quorum};
use sentinel_resp::text;
use toml_edit::{Document, Item, Key as TomlKey, TableLike, Value};

use super::{
    Source,
    build::{Builder, Directive, Origin},
    directives::did_you_mean,
    fault::{Place, Refusal},
    keys::{Key, Kind, TABLES, of_section, secret_called},
    reference::{self, Elsewhere},
};

/// What may stand above all tables besides keys.
fn sections() -> impl Iterator<Item = &'static str> {
    TABLES.into_iter().chain(["master", "state"])
}

/// Feeds a TOML configuration to the builder, except its `[state]`.
pub(super) fn take(builder: &mut Builder, source: &Source, bytes: &[u8]) {
    let path: Arc<Path> = source.path.as_path().into();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let valid = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let mut reader = Reader { builder, path, text: &valid };
            return reader.refuse(
                valid.len(),
                "the file",
                Refusal::new("the file is not UTF-8 text", "save it as UTF-8"),
            );
        }
    };
    let mut reader = Reader { builder, path, text };
    match Document::parse(text) {
        Ok(document) => reader.document(document.as_table()),
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let refusal =
                Refusal::new(error.message().trim().replace('\n', ", "), "write it as TOML asks: https://toml.io");
            reader.refuse(at, "TOML", refusal);
        }
    }
}

/// The position of a byte: line and column, from 1, the column in characters.
pub(super) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    (before.matches('\n').count() + 1, before[start..].chars().count() + 1)
}

struct Reader<'a> {
    builder: &'a mut Builder,
    path: Arc<Path>,
    text: &'a str,
}

impl Reader<'_> {
    fn document(&mut self, root: &dyn TableLike) {
        self.keys("", root, None);
        for section in TABLES {
            if let Some((key, item)) = root.get_key_value(section) {
                match item.as_table_like() {
                    Some(table) => self.keys(section, table, None),
                    None => self.refuse(
                        at_key(key),
                        section,
                        Refusal::new("a table is expected", format!("write [{section}]")),
                    ),
                }
            }
        }
        if let Some((key, item)) = root.get_key_value("master") {
            self.masters(key, item);
        }
    }

    fn masters(&mut self, key: &TomlKey, item: &Item) {
        let at = at_key(key);
        if let Some(tables) = item.as_array_of_tables() {
            for table in tables {
                self.master(table.span().map_or(at, |span| span.start), table);
            }
        } else if let Some(array) = item.as_array() {
            for value in array {
                match value.as_inline_table() {
                    Some(table) => self.master(value.span().map_or(at, |span| span.start), table),
                    None => self.refuse(
                        at,
                        "master",
                        Refusal::new("a table is expected", "write each master as [[master]]"),
                    ),
                }
            }
        } else {
            self.refuse(
                at,
                "master",
                Refusal::new("a list of tables is expected", "write [[master]], with two brackets, for each master"),
            );
        }
    }

    fn master(&mut self, at: usize, table: &dyn TableLike) {
        let name = self.required(at, table, "name").and_then(|(at, item)| {
            let name = item.as_str();
            if name.is_none() {
                self.refuse(at, "master.name", Refusal::new("a text is expected", "write name = \"mymaster\""));
            }
            Some((at, name?.to_owned()))
        });
        let address = self.required(at, table, "address").and_then(|(at, item)| {
            match item.as_str().map(str::parse::<HostPort>) {
                Some(Ok(address)) => return Some(address),
                Some(Err(error)) => self.refuse(
                    at,
                    "master.address",
                    Refusal::new(error.to_string(), "write address = \"10.0.0.1:6379\""),
                ),
                None => self.refuse(
                    at,
                    "master.address",
                    Refusal::new("a text is expected", "write address = \"10.0.0.1:6379\""),
                ),
            }
            None
        });
        let quorum = self.required(at, table, "quorum").and_then(|(at, item)| {
            let quorum = item.as_integer().map(Quorum::new);
            let remedy = "write how many Sentinels must agree that the master is down: quorum = 2";
            match quorum {
                Some(Ok(quorum)) => return Some(quorum),
                Some(Err(error)) => self.refuse(at, "master.quorum", Refusal::new(error.to_string(), remedy)),
                None => self.refuse(at, "master.quorum", Refusal::new("a whole number is expected", remedy)),
            }
            None
        });
        let known_as = name.as_ref().map_or("", |(_, name)| name.as_str()).to_owned();
        if let (Some((at, name)), Some(address), Some(quorum)) = (name, address, quorum) {
            let words = [
                "sentinel",
                "monitor",
                &name,
                &address.host.to_string(),
                &address.port.to_string(),
                &quorum.to_string(),
            ];
            let directive = self.directive(at, "master", words.map(str::to_owned).into());
            self.builder.take(directive);
        } else {
            self.builder.refused_masters.insert(known_as.clone());
        }
        self.keys("master", table, Some(&known_as));
    }

    /// A key that every master has, with its place.
    fn required<'t>(&mut self, at: usize, table: &'t dyn TableLike, name: &str) -> Option<(usize, &'t Item)> {
        let Some((key, item)) = table.get_key_value(name) else {
            self.refuse(
                at,
                &format!("master.{name}"),
                Refusal::new(format!("`{name}` is missing"), "a master needs name, address and quorum"),
            );
            return None;
        };
        Some((at_key(key), item))
    }

    /// All keys of one table: the known ones become directives, the others are faults.
    fn keys(&mut self, section: &str, table: &dyn TableLike, master: Option<&str>) {
        for key in of_section(section) {
            if !key.directive.is_empty() {
                self.key(key, table, master);
            }
        }
        for (name, _) in table.iter() {
            let stem = name.strip_suffix("-file").or_else(|| name.strip_suffix("-env"));
            let known = of_section(section).any(|key| key.name == name || key.is_secret() && Some(key.name) == stem)
                || section.is_empty() && sections().any(|it| it == name);
            if !known {
                let names = of_section(section).map(|key| key.name).chain(sections().filter(|_| section.is_empty()));
                let remedy = did_you_mean(name, names, "remove the key");
                let at = table.key(name).map_or(0, at_key);
                let called = if section.is_empty() { name.to_owned() } else { format!("{section}.{name}") };
                self.refuse(at, &called, Refusal::new(format!("unknown key `{name}`"), remedy));
            }
        }
    }

    fn key(&mut self, key: &Key, table: &dyn TableLike, master: Option<&str>) {
        let mut given = table.get_key_value(key.name).map(|(toml, item)| (at_key(toml), arguments(key.kind, item)));
        if key.is_secret() {
            for (suffix, elsewhere) in reference::SUFFIXES {
                let name = format!("{}{suffix}", key.name);
                let Some((toml, item)) = table.get_key_value(&name) else { continue };
                if given.is_some() {
                    let refusal = Refusal::new(
                        format!("`{name}` stands beside another source of the same password"),
                        "keep one of them",
                    );
                    return self.refuse(at_key(toml), &called(key), refusal);
                }
                given = Some((at_key(toml), self.secret(key, elsewhere, item)));
                self.builder.users_elsewhere |= key.kind == Kind::Lines;
            }
        }
        match given {
            None => {}
            Some((at, Err(refusal))) => self.refuse(at, &called(key), refusal),
            Some((at, Ok(lines))) => {
                for arguments in lines {
                    let mut words = Vec::new();
                    if matches!(key.section, "" | "sentinel" | "master") {
                        words.push("sentinel".to_owned());
                    }
                    let mut name = key.directive.split(' ').map(str::to_owned);
                    words.extend(name.next());
                    words.extend(master.map(str::to_owned));
                    words.extend(name);
                    words.extend(arguments);
                    let directive = self.directive(at, &called(key), words);
                    self.builder.take(directive);
                }
            }
        }
    }

    /// A secret, or users, from beside the configuration.
    fn secret(&self, key: &Key, elsewhere: Elsewhere, item: &Item) -> Result<Vec<Vec<String>>, Refusal> {
        let Some(name) = item.as_str() else {
            return Err(Refusal::new("a text is expected", "name the file or the environment variable in quotes"));
        };
        if key.kind == Kind::Lines {
            return self.builder.users_from(elsewhere, name);
        }
        self.builder.secret_from(elsewhere, name).map(|secret| vec![vec![secret]])
    }

    fn directive(&self, at: usize, called: &str, words: Vec<String>) -> Directive {
        let (line, column) = line_and_column(self.text, at);
        Directive {
            // A byte may be written as the character that stands for it, `\U0010FFE4`; several may be one character.
            words: words.into_iter().map(|word| text::of_vec(text::into_bytes(word))).collect(),
            place: Place::File { path: Arc::clone(&self.path), line, column: Some(column) },
            origin: Origin::Main,
            called: called.to_owned(),
            shown: mask(self.text.lines().nth(line - 1).unwrap_or_default().trim()),
        }
    }

    fn refuse(&mut self, at: usize, called: &str, refusal: Refusal) {
        let directive = self.directive(at, called, Vec::new());
        self.builder.refuse(&directive, refusal);
    }
}

fn at_key(key: &TomlKey) -> usize {
    key.span().map_or(0, |span| span.start)
}

fn called(key: &Key) -> String {
    if key.section.is_empty() { key.name.to_owned() } else { format!("{}.{}", key.section, key.name) }
}

/// A line as it may be shown: one that may hold a password ends at its `=`.
pub(super) fn mask(line: &str) -> String {
    let lower = line.to_ascii_lowercase();
    // Behind dots and braces stand names as well: `webhook = { url = "..." }`.
    let names = lower
        .split('=')
        .map(|part| part.rsplit(['.', '{', ',', ' ', '"', '\'']).find(|it| !it.is_empty()).unwrap_or_default());
    let mut names = names.map(str::trim).filter(|name| !name.is_empty());
    let elsewhere =
        lower.split('=').next().map(str::trim).is_some_and(|key| key.ends_with("-file") || key.ends_with("-env"));
    let secret = !elsewhere
        && (lower.contains("pass")
            || line.contains("://")
            || names.any(|name| secret_called(name, |key| key.name).is_some()))
        || line.contains('>');
    match line.split_once('=') {
        Some((name, _)) if secret => format!("{name}= ******"),
        None if secret => "******".to_owned(),
        _ => line.to_owned(),
    }
}

/// The arguments that a value stands for, for one directive or several.
pub(super) fn arguments(kind: Kind, item: &Item) -> Result<Vec<Vec<String>>, Refusal> {
    let one = |word: String| Ok(vec![vec![word]]);
    match kind {
        Kind::Text | Kind::Secret | Kind::Address => match item.as_str() {
            Some(text) => one(text.to_owned()),
            None => Err(Refusal::new("a text is expected", "put the value in \"quotes\"")),
        },
        Kind::Number => match item.as_integer() {
            Some(number) => one(number.to_string()),
            None => Err(Refusal::new("a whole number is expected", "write digits without quotes")),
        },
        Kind::Switch => match item.as_bool() {
            Some(on) => one(if on { "yes" } else { "no" }.to_owned()),
            None => Err(Refusal::new("true or false is expected", "write true or false, without quotes")),
        },
        Kind::Milliseconds => one(time(item, 1_000_000)?.to_string()),
        Kind::Seconds => one(time(item, 1_000_000_000)?.to_string()),
        Kind::Bytes => one(bytes(item)?),
        Kind::List => {
            // An empty list is the classic `bind ""`.
            let list = list(item)?;
            Ok(vec![if list.is_empty() { vec![String::new()] } else { list }])
        }
        Kind::Lines => list(item)?
            .into_iter()
            .map(|line| {
                super::words(&text::bytes(&line))
                    .map_err(|_| Refusal::new("Unbalanced quotes in configuration line", "close the quotes"))
            })
            .collect(),
        Kind::Pairs => {
            let refusal = || Refusal::new("a table of texts is expected", "write { CONFIG = \"another-name\" }");
            let table = item.as_table_like().ok_or_else(refusal)?;
            table
                .iter()
                .map(|(from, to)| Ok(vec![from.to_owned(), to.as_str().ok_or_else(refusal)?.to_owned()]))
                .collect()
        }
        Kind::Limit => limit(item),
    }
}

fn limit(item: &Item) -> Result<Vec<Vec<String>>, Refusal> {
    let refusal = || {
        Refusal::new(
            "a table of hard, soft and for is expected",
            "write { hard = \"32mb\", soft = \"8mb\", for = \"60s\" }",
        )
    };
    let table = item.as_table_like().ok_or_else(refusal)?;
    if table.len() != 3 {
        return Err(refusal());
    }
    let part = |name| table.get(name).ok_or_else(refusal);
    Ok(vec![vec![bytes(part("hard")?)?, bytes(part("soft")?)?, time(part("for")?, 1_000_000_000)?.to_string()]])
}

/// A time, in units of so many nanoseconds.
fn time(item: &Item, unit: u128) -> Result<u64, Refusal> {
    let unit_name = if unit == 1_000_000 { "milliseconds" } else { "seconds" };
    let refusal = |what: String| Refusal::new(what, "write a time with its unit: \"250ms\", \"5s\", \"1m 30s\"");
    let text = item.as_str().ok_or_else(|| refusal("a time is expected".into()))?;
    let time = humantime::parse_duration(text).map_err(|error| refusal(format!("`{text}` is no time: {error}")))?;
    let nanos = time.as_nanos();
    if nanos % unit != 0 {
        return Err(refusal(format!("`{text}` is not in whole {unit_name}")));
    }
    u64::try_from(nanos / unit).map_err(|_| refusal(format!("`{text}` is too long")))
}

fn bytes(item: &Item) -> Result<String, Refusal> {
    match item.as_value() {
        Some(Value::Integer(number)) if *number.value() >= 0 => Ok(number.value().to_string()),
        Some(Value::String(text)) => Ok(text.value().clone()),
        _ => Err(Refusal::new("a size is expected", "write a number of bytes, or a text with a unit: \"64mb\"")),
    }
}

fn list(item: &Item) -> Result<Vec<String>, Refusal> {
    let refusal = || Refusal::new("a list of texts is expected", "write [\"one\", \"another\"]");
    let array = item.as_array().ok_or_else(refusal)?;
    array.iter().map(|value| value.as_str().map(str::to_owned).ok_or_else(refusal)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_may_hold_a_secret_end_at_the_equals_sign() {
        for hidden in [
            "requirepass = \"x\"",
            "url = \"https://h/x\"",
            "urll = \"h/x\"",
            "secret=[\"x\"]",
            "hello-auth-key = 'x'",
            "webhook = { url = \"h/x\" }",
            "webhook.secret = \"x\"",
            "  token = \"x",
            "announce = \"https://h/x\"",
        ] {
            assert!(mask(hidden).ends_with("= ******") && !mask(hidden).contains('x'), "{hidden}: {}", mask(hidden));
        }
        for shown in ["url-file = \"/run/x\"", "port = 1", "listen = \"127.0.0.1:1\"", "[webhook]", "level = \"loud\""]
        {
            assert_eq!(mask(shown), shown);
        }
    }
}
