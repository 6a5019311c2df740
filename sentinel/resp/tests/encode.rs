//! What a client reads from what the encoder wrote: by the exact bytes, and by an independent parser.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use redis::{Value, VerbatimFormat, parse_redis_value};
use sentinel_resp::{Protocol, Reply, encode};

fn bytes(reply: &Reply, protocol: Protocol) -> Bytes {
    let mut out = BytesMut::new();
    encode(reply, protocol, &mut out);
    out.freeze()
}

#[track_caller]
fn expect(reply: &Reply, resp2: &str, resp3: &str) {
    assert_eq!(bytes(reply, Protocol::Resp2), resp2, "RESP2 of {reply:?}");
    assert_eq!(bytes(reply, Protocol::Resp3), resp3, "RESP3 of {reply:?}");
}

#[test]
fn each_kind_has_its_form_in_both_versions() {
    expect(&Reply::ok(), "+OK\r\n", "+OK\r\n");
    expect(&Reply::err("syntax error"), "-ERR syntax error\r\n", "-ERR syntax error\r\n");
    expect(&Reply::Integer(-7), ":-7\r\n", ":-7\r\n");
    expect(&Reply::bulk("x\r\ny"), "$4\r\nx\r\ny\r\n", "$4\r\nx\r\ny\r\n");
    expect(&Reply::Null, "$-1\r\n", "_\r\n");
    expect(&Reply::NullArray, "*-1\r\n", "_\r\n");
    expect(&Reply::array(["a"]), "*1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n");
    expect(&Reply::map([("a", 1)]), "*2\r\n$1\r\na\r\n:1\r\n", "%1\r\n$1\r\na\r\n:1\r\n");
    expect(&Reply::Set(vec![Reply::ok()]), "*1\r\n+OK\r\n", "~1\r\n+OK\r\n");
    expect(&Reply::Push(vec![Reply::ok()]), "*1\r\n+OK\r\n", ">1\r\n+OK\r\n");
    expect(&Reply::text("id=1\n"), "$5\r\nid=1\n\r\n", "=9\r\ntxt:id=1\n\r\n");
    expect(&Reply::Double(1.5), "$3\r\n1.5\r\n", ",1.5\r\n");
    expect(&Reply::Double(f64::NEG_INFINITY), "$4\r\n-inf\r\n", ",-inf\r\n");
    expect(&Reply::Boolean(true), ":1\r\n", "#t\r\n");
    expect(&Reply::NoReply, "", "");
    expect(&Reply::Array(vec![Reply::NoReply]), "*1\r\n$-1\r\n", "*1\r\n_\r\n");
}

#[test]
fn a_line_cannot_be_ended_by_what_it_quotes() {
    let forged = Reply::err("unknown command 'x\r\n+OK\r\n'");
    expect(&forged, "-ERR unknown command 'x  +OK  '\r\n", "-ERR unknown command 'x  +OK  '\r\n");
    expect(&Reply::status("a\nb"), "+a b\r\n", "+a b\r\n");
}

/// What a client should make of a reply.
fn expected(reply: &Reply, protocol: Protocol) -> Value {
    let all = |items: &[Reply]| items.iter().map(|item| expected(item, protocol)).collect();
    let resp3 = protocol == Protocol::Resp3;
    match reply {
        Reply::Status(text) if text == "OK" => Value::Okay,
        Reply::Status(text) => Value::SimpleString(text.replace(['\r', '\n'], " ")),
        Reply::Integer(number) => Value::Int(*number),
        Reply::Bulk(bytes) => Value::BulkString(bytes.to_vec()),
        Reply::Null | Reply::NullArray | Reply::NoReply => Value::Nil,
        Reply::Set(items) if resp3 => Value::Set(all(items)),
        Reply::Array(items) | Reply::Set(items) | Reply::Push(items) => Value::Array(all(items)),
        Reply::Map(pairs) if resp3 => {
            Value::Map(pairs.iter().map(|(k, v)| (expected(k, protocol), expected(v, protocol))).collect())
        }
        Reply::Map(pairs) => {
            Value::Array(pairs.iter().flat_map(|(k, v)| [expected(k, protocol), expected(v, protocol)]).collect())
        }
        Reply::Verbatim { text, .. } if resp3 => {
            Value::VerbatimString { format: VerbatimFormat::Text, text: text.clone() }
        }
        Reply::Verbatim { text, .. } => Value::BulkString(text.clone().into_bytes()),
        Reply::Double(number) if resp3 => Value::Double(*number),
        Reply::Double(number) => Value::BulkString(number.to_string().into_bytes()),
        Reply::Boolean(truth) if resp3 => Value::Boolean(*truth),
        Reply::Boolean(truth) => Value::Int(i64::from(*truth)),
        Reply::Error(_) => unreachable!("errors are checked by their bytes"),
    }
}

fn reply() -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        "[ -~\r\n]{1,12}".prop_map(Reply::status),
        any::<i64>().prop_map(Reply::Integer),
        prop::collection::vec(any::<u8>(), 0..30).prop_map(Reply::bulk),
        Just(Reply::Null),
        Just(Reply::NullArray),
        "\\PC{0,12}".prop_map(Reply::text),
        (-1.0e9..1.0e9).prop_map(Reply::Double),
        any::<bool>().prop_map(Reply::Boolean),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        let items = prop::collection::vec(inner.clone(), 0..5);
        prop_oneof![
            items.clone().prop_map(Reply::Array),
            items.prop_map(Reply::Set),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Reply::Map),
        ]
    })
}

proptest! {
    #[test]
    fn an_independent_parser_reads_what_was_meant(reply in reply()) {
        for protocol in [Protocol::Resp2, Protocol::Resp3] {
            let wire = bytes(&reply, protocol);
            let value = parse_redis_value(&wire);
            prop_assert_eq!(value.ok(), Some(expected(&reply, protocol)), "from {}", wire.escape_ascii());
        }
    }
}
