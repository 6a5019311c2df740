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

fn table(item: &Value) -> Map<String, Json> {
    let pairs: Vec<(Option<String>, Option<String>)> = match item {
        Value::Map(pairs) => pairs.iter().map(|(field, value)| (text(field), text(value))).collect(),
        Value::Array(words) => words.chunks_exact(2).map(|pair| (text(&pair[0]), text(&pair[1]))).collect(),
        _ => Vec::new(),
    };
    pairs.into_iter().filter_map(|(field, value)| Some((field?, Json::from(value?)))).collect()
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => Some(shown(&of(bytes)).into_owned()),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text.clone()),
        Value::Okay => Some("OK".to_owned()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Some fields of tables as aligned columns under headings. Each column is a heading and a field.
pub(super) fn aligned(columns: &[(&str, &str)], tables: &[Json]) -> String {
    let headings = columns.iter().map(|(heading, _)| (*heading).to_owned()).collect();
    let row =
        |table: &Json| columns.iter().map(|(_, field)| table[*field].as_str().unwrap_or("-").to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(headings).chain(tables.iter().map(row)).collect();
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
    }
}
