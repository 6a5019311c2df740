//! What the redis crate decoded, in the words of [`Reply`].

use bytes::Bytes;
use redis::{PushKind, ServerError, Value, VerbatimFormat};
use sentinel_resp::Reply;

use super::wire::HELLO_CHANNEL;

/// One value from an instance, sorted by what it means for a link.
#[derive(Debug, PartialEq)]
pub(super) enum Received {
    /// The answer to the oldest command without one.
    Answer(Reply),
    /// The subscription was confirmed. RESP3 only; in RESP2 it is an answer.
    Subscribed,
    /// A message on the hello channel.
    Hello(Bytes),
    /// Another push: nobody asked for it.
    Other,
}

/// Sorts a value of a RESP3 connection, or of a RESP2 one without subscriptions.
pub(super) fn sort(value: Value) -> Received {
    match value {
        Value::Attribute { data, .. } => sort(*data),
        Value::Push { kind: PushKind::Message, data } => hello(data).map_or(Received::Other, Received::Hello),
        Value::Push { kind: PushKind::Subscribe, .. } => Received::Subscribed,
        Value::Push { .. } => Received::Other,
        value => Received::Answer(reply(value)),
    }
}

/// Sorts a value of a RESP2 connection that is subscribed.
pub(super) fn sort_resp2_push(value: Value) -> Received {
    let Value::Array(mut items) = value else { return Received::Answer(reply(value)) };
    let is = |word: &str| matches!(items.first(), Some(Value::BulkString(kind)) if kind == word.as_bytes());
    if is("message") {
        items.remove(0);
        hello(items).map_or(Received::Other, Received::Hello)
    } else if is("subscribe") {
        Received::Subscribed
    } else {
        Received::Other
    }
}

/// The payload of a message (channel, payload), if it came on the hello channel.
fn hello(data: Vec<Value>) -> Option<Bytes> {
    match <[Value; 2]>::try_from(data) {
        Ok([Value::BulkString(channel), Value::BulkString(payload)]) if channel == HELLO_CHANNEL.as_bytes() => {
            Some(payload.into())
        }
        _ => None,
    }
}

/// The same value as a [`Reply`]. Errors keep their code and text, also inside the array of an EXEC.
pub fn reply(value: Value) -> Reply {
    let list = |items: Vec<Value>| items.into_iter().map(reply).collect();
    match value {
        Value::Nil => Reply::Null,
        Value::Int(number) => Reply::Integer(number),
        Value::BulkString(bytes) => Reply::bulk(bytes),
        Value::SimpleString(text) => Reply::status(text),
        Value::Okay => Reply::ok(),
        Value::Array(items) => Reply::Array(list(items)),
        Value::Set(items) => Reply::Set(list(items)),
        Value::Push { data, .. } => Reply::Push(list(data)),
        Value::Map(pairs) => Reply::Map(pairs.into_iter().map(|(key, value)| (reply(key), reply(value))).collect()),
        Value::Double(number) => Reply::Double(number),
        Value::Boolean(truth) => Reply::Boolean(truth),
        Value::Attribute { data, .. } => reply(*data),
        Value::VerbatimString { format, text } => match format {
            VerbatimFormat::Markdown => Reply::Verbatim { format: *b"mkd", text },
            _ => Reply::Verbatim { format: *b"txt", text },
        },
        Value::ServerError(error) => Reply::Error(error_line(&error)),
        // Big numbers, and what a later version of the crate may add: no command sent here is answered so.
        other => Reply::bulk(format!("{other:?}")),
    }
}

/// An error as it stood on the wire, without the leading `-`.
fn error_line(error: &ServerError) -> String {
    match error.details() {
        Some(details) => format!("{} {details}", error.code()),
        None => error.code().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(bytes: &[u8]) -> Received {
        sort(redis::parse_redis_value(bytes).unwrap())
    }

    #[test]
    fn errors_keep_their_code_and_text() {
        for line in [
            "LOADING Redis is loading the dataset in memory",
            "NOAUTH Authentication required.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "ERR unknown command 'x', with args beginning with: ",
            "NOPERM this user has no permissions to run the 'ping' command",
            "WEIRD",
        ] {
            let wire = format!("-{line}\r\n");
            assert_eq!(received(wire.as_bytes()), Received::Answer(Reply::error(line)), "{line}");
        }
    }

    #[test]
    fn errors_inside_the_answer_to_exec_stay_where_they_are() {
        let exec = b"*3\r\n+OK\r\n-ERR The server is running without a config file\r\n:2\r\n";
        assert_eq!(
            received(exec),
            Received::Answer(Reply::Array(vec![
                Reply::ok(),
                Reply::err("The server is running without a config file"),
                Reply::Integer(2),
            ]))
        );
    }

    #[test]
    fn only_messages_on_the_hello_channel_are_hellos() {
        let push = b">3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$2\r\na,\r\n";
        assert_eq!(received(push), Received::Hello(Bytes::from_static(b"a,")));
        assert_eq!(received(b">3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\na,\r\n"), Received::Other);
        assert_eq!(received(b">2\r\n$10\r\ninvalidate\r\n_\r\n"), Received::Other);
        let array =
            redis::parse_redis_value(b"*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$2\r\na,\r\n").unwrap();
        assert_eq!(sort_resp2_push(array), Received::Hello(Bytes::from_static(b"a,")));
    }

    #[test]
    fn info_of_resp3_is_text() {
        let Received::Answer(info) = received(b"=15\r\ntxt:role:master\r\n") else { panic!("an answer") };
        assert_eq!(info.as_text(), Some("role:master"));
    }
}
