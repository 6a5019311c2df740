//! Replies that are lists of names and values: a map in RESP3, a flat array in RESP2.

use redis::Value;

/// The value of a field, in either shape; `None` when the reply is no such list or lacks the field.
pub(crate) fn field<'a>(reply: &'a Value, name: &str) -> Option<&'a Value> {
    match reply {
        Value::Map(pairs) => pairs.iter().find(|(key, _)| text(key) == Some(name)).map(|(_, value)| value),
        Value::Array(items) => items.chunks_exact(2).find(|pair| text(&pair[0]) == Some(name)).map(|pair| &pair[1]),
        _ => None,
    }
}

/// The text of a string reply, if it is UTF-8.
pub(crate) fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) | Value::VerbatimString { text, .. } => Some(text),
        Value::Okay => Some("OK"),
        _ => None,
    }
}

/// An unsigned number, whether it comes as an integer or as text.
pub(crate) fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Int(number) => (*number).try_into().ok(),
        value => text(value)?.parse().ok(),
    }
}

/// A reply in a few words for a message; never more than a line of it.
pub(crate) fn brief(value: &Value) -> String {
    match value {
        Value::ServerError(error) => match error.details() {
            Some(details) => format!("{} {details}", error.code()),
            None => error.code().to_owned(),
        },
        value => {
            let mut text = format!("{value:?}");
            if text.len() > 80 {
                let end = (0..=80).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
                text.truncate(end);
                text.push('…');
            }
            format!("an unexpected reply: {text}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_in_both_protocols() {
        for reply in ["*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n:2\r\n", "%2\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n:2\r\n"]
        {
            let reply = redis::parse_redis_value(reply.as_bytes()).unwrap();
            assert_eq!(field(&reply, "a").and_then(number), Some(1));
            assert_eq!(field(&reply, "b").and_then(number), Some(2));
            assert!(field(&reply, "1").is_none());
        }
        assert!(field(&Value::Nil, "a").is_none());
        assert_eq!(number(&Value::Int(-1)), None);
    }

    #[test]
    fn a_long_reply_is_cut() {
        let brief = brief(&Value::SimpleString("ä".repeat(1000)));
        assert!(brief.len() < 120, "{brief}");
    }
}
