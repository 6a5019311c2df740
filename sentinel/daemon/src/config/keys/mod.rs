//! Every key of the TOML form: what it means, how it is written, and the directive that it stands for.

mod process;

use std::{borrow::Cow, sync::LazyLock};

use sentinel_core::settings::{
    GlobalSettings,
    master::MASTER,
    row::{self as setting, Row, Value},
    sentinel::SENTINEL,
};

use self::process::PROCESS;
use super::{
    directives::{OWN, is_extension},
    settings,
};

/// How the value of a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A text.
    Text,
    /// A text that is secret. The same key with `-file` names a file that holds it, with `-env` an environment variable.
    Secret,
    /// A whole number.
    Number,
    /// `true` or `false`.
    Switch,
    /// A time such as `"5s"`, `"1m 30s"` or `"250ms"`, in whole milliseconds.
    Milliseconds,
    /// A time in whole seconds.
    Seconds,
    /// A number of bytes, or a text with a unit such as `"64mb"`.
    Bytes,
    /// A list of texts.
    List,
    /// A list of texts, each of which is a line of its own.
    Lines,
    /// A table from one text to another.
    Pairs,
    /// `{ hard = "32mb", soft = "8mb", for = "60s" }`
    Limit,
    /// `"host:port"`
    Address,
}

impl Kind {
    /// What a value is called in the classic grammar.
    const fn value(self) -> &'static str {
        match self {
            Kind::Text => "TEXT",
            Kind::Secret => "PASSWORD",
            Kind::Number => "NUMBER",
            Kind::Switch => "yes|no",
            Kind::Milliseconds => "MILLISECONDS",
            Kind::Seconds => "SECONDS",
            Kind::Bytes => "BYTES",
            Kind::List => "ADDRESS...",
            Kind::Lines => "NAME RULE...",
            Kind::Pairs => "COMMAND OTHER-NAME",
            Kind::Limit => "HARD SOFT SECONDS",
            Kind::Address => "HOST PORT",
        }
    }

    /// How a value is written in TOML.
    pub const fn toml(self) -> &'static str {
        match self {
            Kind::Text => "text",
            Kind::Secret => "text, or from elsewhere with -file or -env",
            Kind::Number => "whole number",
            Kind::Switch => "true or false",
            Kind::Milliseconds => "time in whole milliseconds",
            Kind::Seconds => "time in whole seconds",
            Kind::Bytes => "number of bytes, or text with a unit",
            Kind::List => "list of texts",
            Kind::Lines => "list of texts, or from elsewhere with -file or -env",
            Kind::Pairs => "table from text to text",
            Kind::Limit => "table of hard, soft and for",
            Kind::Address => "text \"host:port\"",
        }
    }
}

/// The tables of the process, besides what stands above all of them, in the order in which they take effect and are written.
pub const TABLES: [&str; 6] = ["server", "acl", "tls", "http", "webhook", "sentinel"];

/// One key.
#[derive(Clone, Debug)]
pub struct Key {
    /// The table it stands in; empty for the top.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// How its value is written.
    pub kind: Kind,
    /// What counts without it, as it would be written; empty where there is nothing then.
    pub default: Cow<'static, str>,
    /// What it means.
    pub doc: &'static str,
    /// The classic directive, and words that stand before the value.
    pub(super) directive: &'static str,
}

impl Key {
    /// The classic line that says the same, with words in capitals where values stand.
    pub fn classic(&self) -> String {
        match (self.section, self.name) {
            ("master", "name" | "address" | "quorum") => "sentinel monitor NAME HOST PORT QUORUM".to_owned(),
            ("master", "rename-command") => format!("sentinel {} NAME COMMAND OTHER-NAME", self.directive),
            ("master", _) => format!("sentinel {} NAME {}", self.directive, self.kind.value()),
            ("" | "sentinel", _) => format!("sentinel {} {}", self.directive, self.kind.value()),
            _ => format!("{} {}", self.directive, self.kind.value()),
        }
    }

    /// Whether redis-sentinel does not know it.
    pub fn is_ours(&self) -> bool {
        let sentinel = matches!(self.section, "" | "sentinel" | "master");
        if sentinel { is_extension(self.directive) } else { OWN.contains(&self.directive) }
    }

    /// Whether the same key with `-file` or `-env` says where the value stands.
    pub fn is_secret(&self) -> bool {
        self.kind == Kind::Secret || self.kind == Kind::Lines
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    kind: Kind,
    directive: &'static str,
    default: &'static str,
    doc: &'static str,
) -> Key {
    Key { section, name, kind, default: Cow::Borrowed(default), doc, directive }
}

/// All keys, by section, in the order in which they take effect. Those of a master and of the Sentinel itself follow from the
/// tables of the core.
pub static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let sentinel = SENTINEL.iter().map(|row| of_row("sentinel", row, &row.value(&GlobalSettings::default())));
    let master = MASTER.iter().map(|row| of_row("master", row, &row.value(&settings::unconfigured())));
    PROCESS
        .iter()
        .map(|key| Key { default: key.default.clone(), ..*key })
        .chain(sentinel)
        .chain(MASTER_IDENTITY)
        .chain(master)
        .chain([RENAME_COMMAND])
        .collect()
});

/// The key of a setting.
fn of_row<S>(section: &'static str, row: &'static Row<S>, default: &Value) -> Key {
    let kind = match row.kind {
        setting::Kind::Milliseconds { .. } => Kind::Milliseconds,
        setting::Kind::Count { .. } | setting::Kind::Port => Kind::Number,
        setting::Kind::Bytes => Kind::Bytes,
        setting::Kind::Switch => Kind::Switch,
        setting::Kind::Secret => Kind::Secret,
        setting::Kind::Text | setting::Kind::Script { .. } | setting::Kind::Host => Kind::Text,
    };
    let default = match default {
        Value::Time(time) => format!("\"{}\"", humantime::format_duration(*time)),
        Value::Switch(on) => on.to_string(),
        other => other.to_string(),
    };
    Key { section, name: row.key, kind, default: default.into(), doc: row.doc, directive: row.name }
}

/// What stands in the line that names a master.
const MASTER_IDENTITY: [Key; 3] = [
    key("master", "name", Kind::Text, "", "", "Name under which clients ask for this master. Required."),
    key(
        "master",
        "address",
        Kind::Address,
        "",
        "",
        "Where the master was first; later the known state tells. Required.",
    ),
    key("master", "quorum", Kind::Number, "", "", "How many Sentinels must agree that it is down. Required."),
];

const RENAME_COMMAND: Key = key(
    "master",
    "rename-command",
    Kind::Pairs,
    "rename-command",
    "{}",
    "Commands that the data nodes know under another name, such as { CONFIG = \"x7\" }.",
);

/// The secret that a name means in the grammar whose names `of` gives, also where it is misspelt. None: it means none.
pub(super) fn secret_called(name: &str, of: fn(&Key) -> &str) -> Option<&'static Key> {
    let name = name.to_ascii_lowercase();
    if let Some(known) = KEYS.iter().find(|key| of(key) == name) {
        return Some(known).filter(|key| key.is_secret());
    }
    let is_near = |secret: &str| {
        let letters = if secret.len() > 5 { 2 } else { 1 };
        strsim::damerau_levenshtein(secret, &name) <= letters
    };
    KEYS.iter().find(|key| key.is_secret() && is_near(of(key)))
}

/// The keys of one section.
pub(super) fn of_section(section: &str) -> impl Iterator<Item = &'static Key> + '_ {
    KEYS.iter().filter(move |key| key.section == section)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_key_is_explained_and_stands_once() {
        let mut seen = BTreeSet::new();
        for key in &*KEYS {
            assert!(seen.insert((key.section, key.name)), "{}.{} stands twice", key.section, key.name);
            assert!(key.doc.ends_with('.') && key.doc.len() > 8, "{}.{} needs an explanation", key.section, key.name);
            if !key.default.is_empty() {
                let value = format!("x = {}", key.default);
                assert!(value.parse::<toml::Table>().is_ok(), "{}.{}: default {}", key.section, key.name, key.default);
            }
        }
    }
}
