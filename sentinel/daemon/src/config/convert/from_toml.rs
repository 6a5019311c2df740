//! Reading TOML with its comments.

use sentinel_resp::text;
use toml_edit::{Array, Decor, DocumentMut, Item, RawString, TableLike, Value};

use super::{
    super::{
        keys::{Key, Kind, TABLES, of_section},
        reference,
        toml_form::arguments,
        words,
    },
    is_generated,
    listing::{Entry, Listing, WITHOUT_EFFECT, comments},
};

/// Reads a text that loads.
pub(super) fn read(text: &str) -> Listing {
    let mut reader = Reader { listing: Listing::default(), waiting: Vec::new() };
    let Ok(document) = text.parse::<DocumentMut>() else { return reader.listing };
    reader.table("", document.as_table(), None);
    for (name, item) in document.iter() {
        match name {
            table if TABLES.contains(&table) => {
                if let Some(table) = item.as_table_like() {
                    reader.header(document.key(name).map(toml_edit::Key::leaf_decor), item);
                    reader.table(name, table, None);
                }
            }
            "master" => reader.masters(document.key(name).map(toml_edit::Key::leaf_decor), item),
            "state" => {
                if let Some(table) = item.as_table() {
                    reader.wait(table.decor().prefix());
                    // What the operator wrote below it is the last thing.
                    reader.listing.tail.append(&mut reader.waiting);
                }
            }
            _ => {}
        }
    }
    reader.wait(Some(document.trailing()));
    let mut listing = reader.listing;
    listing.tail.append(&mut reader.waiting);
    while listing.tail.last().is_some_and(String::is_empty) {
        listing.tail.pop();
    }
    listing.find_head();
    listing
}

struct Reader {
    listing: Listing,
    /// Comments, until the directive follows that they comment.
    waiting: Vec<String>,
}

impl Reader {
    fn wait(&mut self, raw: Option<&RawString>) {
        let text = raw.and_then(RawString::as_str).unwrap_or_default();
        for comment in comments(text) {
            if let Some(line) = comment.strip_prefix(WITHOUT_EFFECT)
                && let Ok(words) = words(&text::bytes(line))
                && !words.is_empty()
            {
                self.put(words);
            } else if !is_generated(&comment) {
                self.waiting.push(comment);
            }
        }
    }

    fn decor(&mut self, decor: Option<&Decor>) {
        self.wait(decor.and_then(Decor::prefix));
        self.wait(decor.and_then(Decor::suffix));
    }

    /// Comments around the header of a table.
    fn header(&mut self, key: Option<&Decor>, item: &Item) {
        self.decor(key);
        match item {
            Item::Table(table) => self.decor(Some(table.decor())),
            Item::Value(value) => self.decor(Some(value.decor())),
            Item::ArrayOfTables(_) | Item::None => {}
        }
    }

    fn put(&mut self, words: Vec<String>) {
        let comments = std::mem::take(&mut self.waiting);
        self.listing.entries.push(Entry { comments, words });
    }

    fn masters(&mut self, key: Option<&Decor>, item: &Item) {
        self.decor(key);
        if let Some(tables) = item.as_array_of_tables() {
            for table in tables {
                self.decor(Some(table.decor()));
                self.master(table);
            }
        } else if let Some(array) = item.as_array() {
            for value in array {
                self.decor(Some(value.decor()));
                if let Some(table) = value.as_inline_table() {
                    self.master(table);
                }
            }
            self.wait(Some(array.trailing()));
        }
    }

    fn master(&mut self, table: &dyn TableLike) {
        let text = |name: &str| table.get(name).and_then(Item::as_str).unwrap_or_default().to_owned();
        let name = text("name");
        let address = text("address");
        let (host, port) = address.rsplit_once(':').unwrap_or((&address, "0"));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let quorum = table.get("quorum").and_then(Item::as_integer).unwrap_or(1).to_string();
        for key in ["name", "address", "quorum"] {
            self.around(table, key);
        }
        self.put(["sentinel", "monitor", &name, host, port, &quorum].map(str::to_owned).into());
        self.table("master", table, Some(&name));
    }

    /// Comments around a key and its value.
    fn around(&mut self, table: &dyn TableLike, name: &str) {
        self.decor(table.key(name).map(toml_edit::Key::leaf_decor));
        if let Some(value) = table.get(name).and_then(Item::as_value) {
            self.decor(Some(value.decor()));
        }
    }

    /// All keys of a table, in the order in which they stand.
    fn table(&mut self, section: &str, table: &dyn TableLike, master: Option<&str>) {
        for (name, item) in table.iter() {
            let suffix = reference::SUFFIXES.iter().map(|(suffix, _)| *suffix).find(|suffix| name.ends_with(suffix));
            let exact = of_section(section).find(|key| key.name == name && !key.directive.is_empty());
            let named = || {
                let suffix = suffix?;
                let stem = name.strip_suffix(suffix)?;
                of_section(section).find(|key| key.is_secret() && key.name == stem).map(|key| (key, suffix))
            };
            let Some((key, suffix)) = exact.map(|key| (key, "")).or_else(named) else { continue };
            self.around(table, name);
            if suffix.is_empty() {
                self.key(key, item, master);
            } else {
                let value = item.as_str().unwrap_or_default().to_owned();
                let directive = if key.kind == Kind::Lines { "users" } else { key.directive };
                self.directive(key, &format!("{directive}{suffix}"), master, vec![value]);
            }
        }
    }

    fn key(&mut self, key: &Key, item: &Item, master: Option<&str>) {
        let Ok(lines) = arguments(key.kind, item) else { return };
        let array = item.as_array();
        if let Some(array) = array.filter(|_| key.kind != Kind::Lines) {
            for value in array {
                self.decor(Some(value.decor()));
            }
            self.wait(Some(array.trailing()));
        }
        let array = array.filter(|_| key.kind == Kind::Lines);
        for (at, arguments) in lines.into_iter().enumerate() {
            if let Some(decor) = array.and_then(|array| array.get(at)).map(Value::decor) {
                self.between_elements(decor.prefix(), at > 0);
                self.wait(decor.suffix());
            }
            self.directive(key, key.directive, master, arguments);
        }
        self.between_elements(array.map(Array::trailing), true);
    }

    /// What stands between two elements: on the line of the one before it belongs to that one.
    fn between_elements(&mut self, raw: Option<&RawString>, behind: bool) {
        let text = raw.and_then(RawString::as_str).unwrap_or_default();
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        if let Some(last) = self.listing.entries.last_mut().filter(|_| behind) {
            last.comments.extend(comments(first));
        } else {
            self.wait(Some(&first.into()));
        }
        self.wait(Some(&rest.into()));
    }

    fn directive(&mut self, key: &Key, directive: &str, master: Option<&str>, arguments: Vec<String>) {
        let mut words = Vec::new();
        if matches!(key.section, "" | "sentinel" | "master") {
            words.push("sentinel".to_owned());
        }
        let mut name = directive.split(' ').map(str::to_owned);
        words.extend(name.next());
        words.extend(master.map(str::to_owned));
        words.extend(name);
        words.extend(arguments);
        self.put(words);
    }
}
