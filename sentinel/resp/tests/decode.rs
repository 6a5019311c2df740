//! What the request decoder makes of bytes, whole, split and hostile.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;
use sentinel_resp::{Limits, ProtocolError, RequestDecoder};

/// Everything that came out of a decoder: its requests, and the error that ended it.
type Outcome = (Vec<Vec<Bytes>>, Option<ProtocolError>);

fn drain(decoder: &mut RequestDecoder, outcome: &mut Outcome) {
    loop {
        match decoder.next_request() {
            Ok(Some(request)) => outcome.0.push(request),
            Ok(None) => return,
            Err(error) => {
                outcome.1 = Some(error);
                return;
            }
        }
    }
}

fn decode_parts<'a>(mut decoder: RequestDecoder, parts: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut outcome = Outcome::default();
    for part in parts {
        decoder.feed(part);
        drain(&mut decoder, &mut outcome);
    }
    outcome
}

/// Two connections that are sent the same parts, and take turns in one room.
fn decode_in_one_room<'a>(decoders: [RequestDecoder; 2], parts: impl IntoIterator<Item = &'a [u8]>) -> [Outcome; 2] {
    let mut room = BytesMut::new();
    let mut connections = decoders.map(|decoder| (decoder, Outcome::default()));
    for part in parts {
        for (decoder, outcome) in &mut connections {
            room.extend_from_slice(part);
            decoder.lend(&mut room);
            assert!(room.is_empty());
            drain(decoder, outcome);
            decoder.give_back(&mut room);
            assert!(room.is_empty());
        }
    }
    connections.map(|(_, outcome)| outcome)
}

fn decode(bytes: &[u8]) -> Outcome {
    decode_parts(RequestDecoder::new(Limits::default()), [bytes])
}

fn decode_as_stranger(bytes: &[u8]) -> Outcome {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.set_authenticated(false);
    decode_parts(decoder, [bytes])
}

fn array(arguments: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
    for argument in arguments {
        let argument = argument.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        bytes.extend_from_slice(argument);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[track_caller]
fn refused(bytes: &[u8], error: ProtocolError) {
    assert_eq!(decode(bytes).1, Some(error), "for {}", bytes.escape_ascii());
}

#[track_caller]
fn waits(bytes: &[u8]) {
    assert_eq!(decode(bytes), Outcome::default(), "for {}", bytes.escape_ascii());
}

#[test]
fn arrays_and_lines_may_be_mixed_in_one_pipeline() {
    let (requests, error) = decode(b"*1\r\n$4\r\nPING\r\nPING hello\r\n\r\n*2\r\n$4\r\nROLE\r\n$0\r\n\r\nROLE\n");
    assert_eq!(error, None);
    assert_eq!(requests, [vec!["PING"], vec!["PING", "hello"], vec!["ROLE", ""], vec!["ROLE"]]);
}

#[test]
fn empty_arrays_and_lines_are_skipped() {
    let (requests, error) = decode(b"*0\r\n*-1\r\n\r\n\n   \r\n*-9\r\nPING\r\n");
    assert_eq!((requests, error), (vec![vec![Bytes::from("PING")]], None));
}

#[test]
fn arguments_hold_any_bytes() {
    let all: Vec<u8> = (0..=255).collect();
    assert_eq!(decode(&array(&[&all[..], b"\r\n", b""])).0, [vec![&all[..], b"\r\n", b""]]);
}

#[test]
fn malformed_counts_are_refused_in_the_words_of_the_reference() {
    use ProtocolError as E;
    for count in ["x", "", "+1", "01", "-0", " 1", "1 ", "2147483648", "99999999999999999999"] {
        refused(format!("*{count}\r\n").as_bytes(), E::InvalidArrayLength);
    }
    for length in ["x", "", "-1", "+1", "01", "536870913", "99999999999999999999"] {
        refused(format!("*1\r\n${length}\r\n").as_bytes(), E::InvalidBulkLength);
    }
    refused(b"*1\r\nfoo\r\n", E::ExpectedBulk(b'f'));
    refused(b"*1\r\n:1\r\n", E::ExpectedBulk(b':'));
    refused(b"*1\r\n*1\r\n$4\r\nPING\r\n", E::ExpectedBulk(b'*'));
    refused(b"PING \"a\r\n", E::UnbalancedQuotes);
    let texts = [
        (E::InvalidArrayLength, "ERR Protocol error: invalid multibulk length"),
        (E::InvalidBulkLength, "ERR Protocol error: invalid bulk length"),
        (E::ExpectedBulk(b'f'), "ERR Protocol error: expected '$', got 'f'"),
        (E::UnbalancedQuotes, "ERR Protocol error: unbalanced quotes in request"),
        (E::InlineTooBig, "ERR Protocol error: too big inline request"),
        (E::ArrayCountTooLong, "ERR Protocol error: too big mbulk count string"),
        (E::BulkCountTooLong, "ERR Protocol error: too big bulk count string"),
        (E::UnauthenticatedArrayLength, "ERR Protocol error: unauthenticated multibulk length"),
        (E::UnauthenticatedBulkLength, "ERR Protocol error: unauthenticated bulk length"),
    ];
    for (error, text) in texts {
        assert_eq!(error.reply().as_ref().and_then(|reply| reply.as_text()), Some(text));
    }
}

#[test]
fn lines_are_bounded_at_64_kib() {
    let limit = 64 * 1024;
    let fits = [vec![b'a'; limit], b"\n".to_vec()].concat();
    assert_eq!(decode(&fits).0[0][0].len(), limit);
    waits(&vec![b'a'; limit]);
    refused(&vec![b'a'; limit + 1], ProtocolError::InlineTooBig);
    refused(&[vec![b'a'; limit + 1], b"\n".to_vec()].concat(), ProtocolError::InlineTooBig);
    refused(&[b"*".to_vec(), vec![b'1'; limit]].concat(), ProtocolError::ArrayCountTooLong);
    refused(&[b"*1\r\n$".to_vec(), vec![b'1'; limit]].concat(), ProtocolError::BulkCountTooLong);
}

#[test]
fn a_stranger_gets_tighter_bounds() {
    let (requests, error) = decode_as_stranger(&array(&["x"; 10]));
    assert_eq!((requests.len(), error), (1, None));
    assert_eq!(decode_as_stranger(b"*11\r\n").1, Some(ProtocolError::UnauthenticatedArrayLength));
    let (requests, error) = decode_as_stranger(&array(&["x".repeat(16_384)]));
    assert_eq!((requests.len(), error), (1, None));
    assert_eq!(decode_as_stranger(b"*1\r\n$16385\r\n").1, Some(ProtocolError::UnauthenticatedBulkLength));
}

#[test]
fn authentication_in_a_pipeline_counts_for_what_follows() {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.set_authenticated(false);
    decoder.feed(&array(&["AUTH", "secret"]));
    decoder.feed(&array(&["x"; 11]));
    assert_eq!(decoder.next_request().unwrap().unwrap()[0], "AUTH");
    decoder.set_authenticated(true);
    assert_eq!(decoder.next_request().unwrap().unwrap().len(), 11);
}

#[test]
fn announced_lengths_cost_nothing_until_the_bytes_arrive() {
    let limits = Limits { max_request_bytes: u64::MAX, ..Limits::default() };
    let mut decoder = RequestDecoder::new(limits);
    decoder.feed(b"*2147483647\r\n$536870912\r\nx");
    assert_eq!(decoder.next_request(), Ok(None));
    assert!(decoder.capacity() < 1024, "{}", decoder.capacity());
}

#[test]
fn a_request_is_bounded_as_a_whole() {
    let limits = Limits { max_request_bytes: 1000, ..Limits::default() };
    let outcome = |bytes: &[u8]| decode_parts(RequestDecoder::new(limits), [bytes]);
    assert_eq!(outcome(b"*1\r\n$969\r\n").1, Some(ProtocolError::RequestTooBig));
    assert_eq!(outcome(&array(&["x".repeat(968)])).0.len(), 1);
    // Many tiny arguments cost their handles.
    assert_eq!(outcome(&array(&[""; 31])).0.len(), 1);
    assert_eq!(outcome(&array(&[""; 32])).1, Some(ProtocolError::RequestTooBig));
    // The bound is one of a request, not of a connection.
    assert_eq!(outcome(&array(&["x".repeat(500)]).repeat(10)).0.len(), 10);
}

#[test]
fn http_is_not_answered() {
    for request in ["POST / HTTP/1.1\r\n", "Host: sentinel\r\n", "host: x\r\n"] {
        refused(request.as_bytes(), ProtocolError::CrossProtocol);
    }
    refused(&array(&["post", "x"]), ProtocolError::CrossProtocol);
    assert_eq!(ProtocolError::CrossProtocol.reply(), None);
}

#[test]
fn an_error_is_final() {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.feed(b"PING\r\n*x\r\nPING\r\n");
    assert_eq!(decoder.next_request().unwrap().unwrap(), ["PING"]);
    for _ in 0..2 {
        assert_eq!(decoder.next_request(), Err(ProtocolError::InvalidArrayLength));
        decoder.feed(b"PING\r\n");
    }
}

#[test]
fn a_large_request_leaves_no_large_buffer_behind() {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.feed(&array(&["x".repeat(900_000)]));
    assert_eq!(decoder.next_request().unwrap().unwrap().len(), 1);
    assert_eq!(decoder.capacity(), 0);
}

#[test]
fn what_is_kept_of_a_half_request_is_no_more_than_its_bytes() {
    let mut room = BytesMut::with_capacity(64 * 1024);
    let place = room.as_ptr();
    for half in [&b"PING a-half-line"[..], b"*3\r\n$1\r\na\r\n$2\r\nbb\r\n", b"*3\r\n$1\r\na\r\n$20\r\nhalf"] {
        let mut decoder = RequestDecoder::new(Limits::default());
        room.extend_from_slice(half);
        decoder.lend(&mut room);
        assert_eq!(decoder.next_request(), Ok(None));
        decoder.give_back(&mut room);
        assert!(decoder.capacity() <= 64, "{}", decoder.capacity());
        // Nothing holds on to the room.
        room.reserve(64 * 1024);
        assert_eq!(room.as_ptr(), place);
    }
}

#[test]
fn single_bytes_of_a_long_line_are_not_searched_again() {
    // With a search from the front for each byte this would be 2 * 10^9 steps.
    let mut decoder = RequestDecoder::new(Limits::default());
    let begun = std::time::Instant::now();
    for _ in 0..64 * 1024 {
        decoder.feed(b"a");
        assert_eq!(decoder.next_request(), Ok(None));
    }
    let taken = begun.elapsed();
    decoder.feed(b"\n");
    assert_eq!(decoder.next_request().unwrap().unwrap()[0].len(), 64 * 1024);
    assert!(taken.as_secs() < 5, "{taken:?}");
}

/// Pieces of which requests and nonsense are made.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..5).prop_map(|arguments| array(&arguments)),
        2 => "[a-z \"'\\\\x41]{0,12}\r?\n".prop_map(String::into_bytes),
        1 => "[*$:+]-?[0-9]{0,3}\r\n".prop_map(String::into_bytes),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => Just(b"*0\r\n".to_vec()),
        1 => Just(b"\r".to_vec()),
    ]
}

proptest! {
    #[test]
    fn every_request_comes_back_as_it_was_sent(
        requests in prop::collection::vec(
            prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..6), 0..6),
    ) {
        prop_assume!(!requests.iter().any(|request| {
            request[0].eq_ignore_ascii_case(b"post") || request[0].eq_ignore_ascii_case(b"host:")
        }));
        let bytes: Vec<u8> = requests.iter().flat_map(|request| array(request)).collect();
        let (decoded, error) = decode(&bytes);
        prop_assert_eq!(error, None);
        prop_assert_eq!(decoded, requests);
    }

    #[test]
    fn splits_on_arrival_change_nothing(
        pieces in prop::collection::vec(piece(), 0..8),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        authenticated: bool,
    ) {
        let bytes = pieces.concat();
        let decoder = || {
            let limits = Limits { max_request_bytes: 150, ..Limits::default() };
            let mut decoder = RequestDecoder::new(limits);
            decoder.set_authenticated(authenticated);
            decoder
        };
        let whole = decode_parts(decoder(), [&bytes[..]]);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]);
        prop_assert_eq!(&decode_parts(decoder(), parts.clone()), &whole);
        for shared in decode_in_one_room([decoder(), decoder()], parts) {
            prop_assert_eq!(&shared, &whole);
        }
        prop_assert_eq!(&decode_parts(decoder(), bytes.chunks(1)), &whole);
    }

    #[test]
    fn noise_is_decoded_or_refused_and_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        decode(&bytes);
        decode_as_stranger(&bytes);
        decode(&[b"*3\r\n$1\r\n".to_vec(), bytes].concat());
    }

    #[test]
    fn quoting_a_word_gives_the_word_back(word in prop::collection::vec(any::<u8>(), 0..30)) {
        let mut line = b"PING \"".to_vec();
        for byte in &word {
            line.extend_from_slice(format!("\\x{byte:02x}").as_bytes());
        }
        line.extend_from_slice(b"\"\r\n");
        let (requests, error) = decode(&line);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&requests[0][1][..], &word[..]);
    }
}

/// What comes of bytes when the short way is tried before each request, as words.
fn by_the_short_way(beginning: &[u8], bytes: &[u8], limits: Limits) -> (Vec<Vec<Vec<u8>>>, usize) {
    let mut decoder = RequestDecoder::new(limits);
    decoder.feed(bytes);
    let (mut requests, mut short) = (Vec::new(), 0);
    loop {
        if let Some(word) = decoder.with_last_word(beginning, <[u8]>::to_vec) {
            requests.push(vec![b"ECHO".to_vec(), b"once".to_vec(), word]);
            short += 1;
            continue;
        }
        match decoder.next_request() {
            Ok(Some(words)) => requests.push(words.iter().map(|word| word.to_vec()).collect()),
            Ok(None) | Err(_) => return (requests, short),
        }
    }
}

#[test]
fn the_short_way_reads_what_the_long_one_reads() {
    const BEGINNING: &[u8] = b"*3\r\n$4\r\nECHO\r\n$4\r\nonce\r\n";
    let request = |word: &str| format!("*3\r\n$4\r\nECHO\r\n$4\r\nonce\r\n${}\r\n{word}\r\n", word.len());
    let (nine, ten, most, long) = ("a".repeat(9), "b".repeat(10), "c".repeat(99), "d".repeat(100));
    let cases = [
        (request("x"), 1),
        (request(&nine) + &request(&ten) + &request(&most), 3),
        (request("x") + "PING\r\n" + &request("y"), 2),
        // Other spellings, and what is no such request, go the long way.
        (request(""), 0),
        (request(&long) + &request("x"), 1),
        (request("x").replace("$1", "$01"), 0),
        (request("x").replace("$1\r\n", "$1\rZ"), 0),
        (request("x").replace("once", "else"), 0),
        (request("x").replace("*3", "*4") + "$1\r\nz\r\n", 0),
        // What stands behind a word is not looked at.
        (request("x").replace("x\r\n", "xZZ") + &request("y"), 2),
    ];
    for (bytes, short) in cases {
        let bytes = bytes.into_bytes();
        let long_way = by_the_short_way(b"*0", &bytes, Limits::default());
        assert_eq!(long_way.1, 0);
        for end in 0..=bytes.len() {
            let (requests, _) = by_the_short_way(BEGINNING, &bytes[..end], Limits::default());
            assert_eq!(requests, by_the_short_way(b"*0", &bytes[..end], Limits::default()).0, "{end} of {bytes:?}");
        }
        let (requests, taken) = by_the_short_way(BEGINNING, &bytes, Limits::default());
        assert_eq!((requests, taken), (long_way.0, short), "{}", bytes.escape_ascii());
    }
    // The case of letters is the client's.
    let bytes = request("x").replace("ECHO", "echo").replace("once", "ONCE");
    assert_eq!(by_the_short_way(BEGINNING, bytes.as_bytes(), Limits::default()).1, 1);
    // With limits that it does not look at, it is not taken.
    let tight = Limits { max_bulk_bytes: 4, ..Limits::default() };
    assert_eq!(by_the_short_way(BEGINNING, request("abcde").as_bytes(), tight), (Vec::new(), 0));
}

#[test]
fn the_short_way_is_no_way_into_the_middle_of_a_request() {
    let mut decoder = RequestDecoder::new(Limits::default());
    decoder.feed(b"*2\r\n$4\r\nPING\r\n");
    assert_eq!(decoder.next_request(), Ok(None));
    decoder.feed(b"$1\r\nx\r\n");
    assert_eq!(decoder.with_last_word(b"", <[u8]>::to_vec), None);
    assert_eq!(decoder.next_request().unwrap().map(|words| words.len()), Some(2));
}
