//! The request decoder, and what requests are parsed into.

use bytes::Bytes;
use sentinel_core::command::Command;
use sentinel_resp::{Limits, ProtocolError, RequestDecoder};

/// What one request may cost here. Small, so that the bound is met.
const LIMITS: Limits = Limits { max_bulk_bytes: 1 << 16, max_request_bytes: 1 << 12 };

/// The first byte says how large the pieces are in which the rest arrives, and whether the client has authenticated.
///
/// However the bytes arrive, the requests are the same; what a decoder holds beyond the bytes that it was fed is bounded.
pub fn requests(data: &[u8]) {
    let Some((how, bytes)) = data.split_first() else { return };
    let authenticated = how & 0x80 != 0;
    let at_once = decode(bytes, bytes.len().max(1), authenticated);
    let in_pieces = decode(bytes, usize::from(how & 0x7f) + 1, authenticated);
    assert_eq!(at_once, in_pieces, "pieces of {} bytes", (how & 0x7f) + 1);
    for request in &at_once.0 {
        // A refusal is a fine answer, too.
        let _ = Command::parse(request);
    }
}

fn decode(bytes: &[u8], piece: usize, authenticated: bool) -> (Vec<Vec<Bytes>>, Option<ProtocolError>) {
    let mut decoder = RequestDecoder::new(LIMITS);
    decoder.set_authenticated(authenticated);
    let mut requests = Vec::new();
    for piece in bytes.chunks(piece) {
        decoder.feed(piece);
        loop {
            match decoder.next_request() {
                Ok(Some(request)) => {
                    let cost: usize = request.iter().map(Bytes::len).sum();
                    assert!(cost <= bytes.len(), "a request is larger than what came in");
                    requests.push(request);
                }
                Ok(None) => break,
                Err(error) => return (requests, Some(error)),
            }
        }
        assert!(decoder.pending() <= bytes.len(), "more is waiting than what came in");
    }
    (requests, None)
}
