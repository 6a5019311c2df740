//! What a server sends, cut into replies.

use bytes::BytesMut;
use proptest::prelude::*;
use sentinel_resp::{Frames, Protocol, Reply, ReplyDecoder, ReplyError, encode};

const LIMIT: usize = 1 << 20;

fn decode(bytes: &[u8]) -> Result<Vec<Reply>, ReplyError> {
    let mut decoder = ReplyDecoder::new(LIMIT);
    decoder.feed(bytes);
    let mut replies = Vec::new();
    while let Some(reply) = decoder.next_reply()? {
        replies.push(reply);
    }
    Ok(replies)
}

#[test]
fn every_kind_of_value_is_read() {
    let bytes = b"+PONG\r\n-ERR no\r\n:-7\r\n$2\r\nhi\r\n$0\r\n\r\n$-1\r\n*-1\r\n_\r\n#t\r\n,1.5\r\n(123\r\n=6\r\ntxt:ab\r\n!3\r\nERR\r\n";
    assert_eq!(
        decode(bytes).unwrap(),
        [
            Reply::status("PONG"),
            Reply::error("ERR no"),
            Reply::Integer(-7),
            Reply::bulk("hi"),
            Reply::bulk(""),
            Reply::Null,
            Reply::NullArray,
            Reply::Null,
            Reply::Boolean(true),
            Reply::Double(1.5),
            Reply::bulk("123"),
            Reply::text("ab"),
            Reply::error("ERR"),
        ]
    );
}

#[test]
fn empty_aggregates_and_attributes_are_no_obstacle() {
    assert_eq!(
        decode(b"*2\r\n*0\r\n%0\r\n|1\r\n+a\r\n*0\r\n+b\r\n|0\r\n*1\r\n|1\r\n+k\r\n+v\r\n:1\r\n").unwrap(),
        [
            Reply::Array(vec![Reply::Array(vec![]), Reply::Map(vec![])]),
            Reply::status("b"),
            Reply::Array(vec![Reply::Integer(1)]),
        ]
    );
}

#[test]
fn nonsense_is_told_from_what_has_not_arrived_yet() {
    for bytes in [
        &b"hello\r\n"[..],
        b":x\r\n",
        b"$-2\r\n",
        b"*-2\r\n",
        b"$2\r\nabc\r\n",
        b"\r\n",
        b"+a\n",
        b"#x\r\n",
        b"=2\r\nab\r\n",
        b"%99999999999999999999\r\n",
    ] {
        assert!(decode(bytes).is_err(), "{}", String::from_utf8_lossy(bytes));
    }
    for bytes in [&b"$5\r\nab"[..], b"*2\r\n:1\r\n", b"+PON", b"$", b"$3\r\nabc\r"] {
        assert_eq!(decode(bytes).unwrap(), [], "{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn a_string_keeps_no_memory_once_it_is_gone() {
    let info = [&b"$5000\r\n"[..], &[b'x'; 5000], b"\r\n"].concat();
    for (what, before, behind) in [("alone", &b""[..], &b""[..]), ("amid others", b"+PONG\r\n", b":1\r\n+PONG\r\n")] {
        let mut decoder = ReplyDecoder::new(LIMIT);
        decoder.feed(&[before, &info, behind].concat());
        let mut strings = Vec::new();
        while let Some(reply) = decoder.next_reply().unwrap() {
            if let Reply::Bulk(bytes) = reply {
                strings.push(bytes);
            }
        }
        assert_eq!(strings.len(), 1, "{what}");
        assert!(
            strings[0].is_unique(),
            "{what}: the decoder, which has nothing to read, shares the memory of the string"
        );
    }
}

#[test]
fn no_value_costs_more_than_allowed() {
    assert_eq!(decode(&b"*1\r\n".repeat(5_000)), Err(ReplyError::TooDeep));
    assert_eq!(decode(b"$999999999\r\n"), Err(ReplyError::TooBig(LIMIT)));
    assert_eq!(decode(b"$18446744073709551615\r\n"), Err(ReplyError::TooBig(LIMIT)));
    let many = [&b"*1000000\r\n"[..], &b"_\r\n".repeat(100_000)].concat();
    assert_eq!(decode(&many), Err(ReplyError::TooBig(LIMIT)));
    let endless = [&b"+"[..], &vec![b'x'; LIMIT + 1]].concat();
    assert!(decode(&endless).is_err());
}

fn replies() -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        "[a-zA-Z ]{0,8}".prop_map(Reply::status),
        "[A-Z]{1,8} [a-z ]{0,8}".prop_map(Reply::error),
        any::<i64>().prop_map(Reply::Integer),
        proptest::collection::vec(any::<u8>(), 0..40).prop_map(Reply::bulk),
        Just(Reply::Null),
        any::<bool>().prop_map(Reply::Boolean),
        "[a-z\\r\\n]{0,12}".prop_map(Reply::text),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Reply::Array),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Reply::Push),
            proptest::collection::vec((inner.clone(), inner), 0..3).prop_map(Reply::Map),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded_again_however_it_is_split(
        expected in proptest::collection::vec(replies(), 1..4),
        cuts in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        let mut bytes = BytesMut::new();
        for reply in &expected {
            encode(reply, Protocol::Resp3, &mut bytes);
        }
        let mut decoder = ReplyDecoder::new(LIMIT);
        let mut found = Vec::new();
        let mut cuts = cuts.into_iter().cycle();
        while !bytes.is_empty() {
            let length = cuts.next().unwrap_or(1).min(bytes.len());
            decoder.feed(&bytes.split_to(length));
            while let Some(reply) = decoder.next_reply().unwrap() {
                found.push(reply);
            }
        }
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn frames_end_where_replies_do_however_they_are_split(
        replies in proptest::collection::vec(replies(), 1..4),
        protocol in proptest::sample::select(&[Protocol::Resp2, Protocol::Resp3][..]),
        cuts in proptest::collection::vec(1_usize..20, 1..8),
    ) {
        let mut frames = Frames::of_replies();
        let (mut cuts, mut answers) = (cuts.into_iter().cycle(), 0);
        for reply in &replies {
            let mut bytes = BytesMut::new();
            encode(reply, protocol, &mut bytes);
            answers += u64::from(!bytes.starts_with(b">"));
            while !bytes.is_empty() {
                let length = cuts.next().unwrap_or(1).min(bytes.len());
                frames.feed(&bytes.split_to(length));
                prop_assert_eq!(frames.at_boundary(), bytes.is_empty());
            }
            prop_assert_eq!(frames.whole(), answers);
        }
    }

    #[test]
    fn no_bytes_do_harm(bytes in proptest::collection::vec(
        prop_oneof![any::<u8>(), proptest::sample::select(&b"$*+-:%>|~=!#,_\r\n0129"[..])], 0..200)) {
        let mut decoder = ReplyDecoder::new(LIMIT);
        let mut sides = [Frames::of_replies(), Frames::of_requests()];
        for byte in bytes {
            decoder.feed(&[byte]);
            while let Ok(Some(_)) = decoder.next_reply() {}
            for frames in &mut sides {
                frames.feed(&[byte]);
                prop_assert!(!(frames.is_lost() && frames.at_boundary()));
            }
        }
    }
}
