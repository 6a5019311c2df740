//! Answers of a Sentinel, for people and for programs.

use redis::Value;
use sentinel_resp::text::{of, shown};
use serde_json::{Map, Value as Json};

/// The strings of a list; empty for anything that is not a list of strings.
pub(super) fn texts(answer: &Value) -> Vec<String> {
    match answer {
        Value::Array(items) => items.iter().filter_map(text).collect(),
        _ => Vec::new(),
    }
}

/// A list of tables, each a list of field, value, field, value (or a map), as objects.
pub(super) fn tables(answer: &Value) -> Vec<Json> {
    let Value::Array(items) = answer else { return Vec::new() };
    items.iter().map(|item| Json::Object(table(item))).collect()
}

/// Fields that are text, whatever stands in them.
const TEXTS: [&str; 8] =
    ["name", "runid", "ip", "host", "master-host", "pause-reason", "failover-reason", "voted-leader"];

/// A table of fields and values as an object, numbers as numbers.
pub(super) fn table(item: &Value) -> Map<String, Json> {
    let pairs: Vec<(&Value, &Value)> = match item {
        Value::Map(pairs) => pairs.iter().map(|(field, value)| (field, value)).collect(),
        Value::Array(words) => words.chunks_exact(2).map(|pair| (&pair[0], &pair[1])).collect(),
        _ => Vec::new(),
    };
    let named = pairs.into_iter().filter_map(|(field, value)| Some((text(field)?, value)));
    named.map(|(field, value)| (field.clone(), json_of(&field, value))).collect()
}

fn json_of(field: &str, value: &Value) -> Json {
    match value {
        Value::Array(items) => items.iter().map(|item| json_of(field, item)).collect(),
        value => match text(value) {
            None => Json::Null,
            // What begins with a zero or a plus is no number that somebody counted.
            Some(text) => match text.parse::<i64>() {
                Ok(number) if !TEXTS.contains(&field) && number.to_string() == text => Json::from(number),
                _ => Json::from(text),
            },
        },
    }
}

/// A string, or a number as one.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(shown(&of(bytes)).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The channel of a message of PSUBSCRIBE, and what was published. None: it is no such message.
pub(super) fn published(message: &Value) -> Option<(String, String)> {
    let Value::Array(parts) = message else { return None };
    let words: Vec<String> = parts.iter().filter_map(text).collect();
    let [kind, _, channel, payload] = <[String; 4]>::try_from(words).ok()?;
    (kind == "pmessage").then_some((channel, payload))
}

/// A heading, and the field below it.
pub(super) type Column = (&'static str, &'static str);

/// A field as it stands in a table; `-` where it is missing or empty.
pub(super) fn cell(table: &Json, field: &str) -> String {
    match &table[field] {
        Json::String(text) if !text.is_empty() => text.clone(),
        Json::Number(number) => number.to_string(),
        _ => "-".to_owned(),
    }
}

fn rows(columns: &[Column], tables: &[Json]) -> Vec<Vec<String>> {
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let row = |table: &Json| columns.iter().map(|(_, field)| cell(table, field)).collect();
    std::iter::once(headings).chain(tables.iter().map(row)).collect()
}

/// Some fields of tables, separated by tabs.
pub(super) fn tabbed(columns: &[Column], tables: &[Json]) -> String {
    let plain = |cell: &String| cell.replace(['\t', '\n', '\r'], " ");
    let line = |row: Vec<String>| row.iter().map(plain).collect::<Vec<_>>().join("\t") + "\n";
    rows(columns, tables).into_iter().map(line).collect()
}

/// Some fields of tables as aligned columns under headings.
pub(super) fn aligned(columns: &[Column], tables: &[Json]) -> String {
    let rows = rows(columns, tables);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut out = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flat_lists_and_maps_become_the_same_tables() {
        let word = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let flat = Value::Array(vec![Value::Array(vec![word("name"), word("m"), word("port"), word("1")])]);
        let map = Value::Array(vec![Value::Map(vec![(word("name"), word("m")), (word("port"), word("1"))])]);
        assert_eq!(tables(&flat), tables(&map));
        assert_eq!(
            aligned(&[("NAME", "name"), ("PORT", "port"), ("X", "x")], &tables(&flat)),
            "NAME  PORT  X\nm     1     -\n"
        );
        assert_eq!(tabbed(&[("NAME", "name"), ("PORT", "port")], &tables(&flat)), "NAME\tPORT\nm\t1\n");
    }

    #[test]
    fn numbers_are_numbers_and_names_are_not() {
        let word = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let words = ["name", "17", "port", "6379", "offset", "-1", "code", "007"].map(word).to_vec();
        let table = Json::Object(table(&Value::Array(words)));
        assert_eq!(table, serde_json::json!({ "name": "17", "port": 6379, "offset": -1, "code": "007" }));
    }
}
