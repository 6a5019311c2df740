//! What a client sent that broke the protocol, as the log shows it.

use std::fmt::Write as _;

use sentinel_resp::Refused;

use super::client::REDACTED;

/// The end of the line about it. Passwords can be in it: it is shown only where `hide-user-data-from-log no` asks for it.
pub(super) fn of(refused: &Refused, hidden: Option<bool>) -> String {
    match hidden {
        None => String::new(),
        Some(true) => format!(". Query buffer: {REDACTED}"),
        Some(false) => {
            let mut text = format!(". Query buffer: '{}", printable(&refused.beginning));
            if refused.left_out > 0 {
                // Writing to a String never fails.
                let _ = write!(text, "' (... more {} bytes ...) '{}", refused.left_out, printable(&refused.end));
            }
            text + "'"
        }
    }
}

/// One character a byte, as the reference has it.
fn printable(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| if (b' '..=b'~').contains(&byte) { char::from(byte) } else { '.' }).collect()
}

#[cfg(test)]
mod tests {
    use sentinel_resp::{Limits, RequestDecoder};

    use super::*;

    fn refused(bytes: &[u8]) -> Refused {
        let mut decoder = RequestDecoder::new(Limits::default());
        decoder.feed(bytes);
        while let Ok(request) = decoder.next_request() {
            assert!(request.is_some(), "it was to be refused");
        }
        decoder.refused().clone()
    }

    #[test]
    fn what_was_refused_is_shown_only_where_that_is_asked_for() {
        let sent = refused(b"PING\r\n*1\r\nPING\x00secret\r\nmore\r\n");
        assert_eq!(of(&sent, None), "");
        assert_eq!(of(&sent, Some(true)), ". Query buffer: *redacted*");
        assert_eq!(of(&sent, Some(false)), ". Query buffer: 'PING.secret..more..'");
        assert_eq!(of(&refused(b"*1\r\n$33333333333333\r\n"), Some(false)), ". Query buffer: '$33333333333333..'");
        assert_eq!(of(&refused(b"AUTH \"open\r\nPING\r\n"), Some(false)), ". Query buffer: 'AUTH \"open..PING..'");
    }

    #[test]
    fn of_much_the_ends_are_shown() {
        let sent = [b"*1\r\nx\r\n".as_slice(), &[b'a'; 61], &[b'b'; 1_000], &[b'c'; 64]].concat();
        let shown = format!(". Query buffer: 'x..{}' (... more 1000 bytes ...) '{}'", "a".repeat(61), "c".repeat(64));
        assert_eq!(of(&refused(&sent), Some(false)), shown);
    }
}
