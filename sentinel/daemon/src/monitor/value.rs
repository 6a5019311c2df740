//! What an instance sends, sorted by what it means for a link.

use bytes::Bytes;
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
pub(super) fn sort(value: Reply) -> Received {
    match value {
        Reply::Push(items) => sort_push(&items),
        value => Received::Answer(value),
    }
}

/// Sorts a value of a RESP2 connection that is subscribed.
pub(super) fn sort_resp2_push(value: Reply) -> Received {
    match value {
        Reply::Array(items) => sort_push(&items),
        value => Received::Answer(value),
    }
}

fn sort_push(items: &[Reply]) -> Received {
    let word = |index: usize| match items.get(index) {
        Some(Reply::Bulk(bytes)) => Some(bytes),
        _ => None,
    };
    match (word(0).map(Bytes::as_ref), word(1).map(Bytes::as_ref), word(2), items.len()) {
        (Some(b"message"), Some(channel), Some(payload), 3) if channel == HELLO_CHANNEL.as_bytes() => {
            // It shares the memory of whatever was read with it, and is looked at in a moment.
            Received::Hello(payload.clone())
        }
        (Some(b"subscribe"), ..) => Received::Subscribed,
        _ => Received::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8]) -> Reply {
        let mut decoder = sentinel_resp::ReplyDecoder::new(1024);
        decoder.feed(bytes);
        decoder.next_reply().unwrap().unwrap()
    }

    fn received(bytes: &[u8]) -> Received {
        sort(decoded(bytes))
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
        let array = decoded(b"*3\r\n$7\r\nmessage\r\n$18\r\n__sentinel__:hello\r\n$2\r\na,\r\n");
        assert_eq!(sort_resp2_push(array), Received::Hello(Bytes::from_static(b"a,")));
    }

    #[test]
    fn info_of_resp3_is_text() {
        let Received::Answer(info) = received(b"=15\r\ntxt:role:master\r\n") else { panic!("an answer") };
        assert_eq!(info.as_text(), Some("role:master"));
    }
}
