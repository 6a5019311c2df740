//! Inline requests: one line of words, for people with a telnet.

use bytes::Bytes;

use crate::ProtocolError;

/// Splits a line, without its line end, into words.
///
/// Words are separated by blanks. Double quotes hold a word with blanks and the escapes `\n`, `\r`,
/// `\t`, `\a`, `\b`, `\xHH`, and `\` before anything else for that itself; single quotes know only `\'`.
/// A closing quote must end the word. As in the reference, which handles the line as a C string, a NUL
/// byte ends it.
pub(crate) fn split(line: &Bytes) -> Result<Vec<Bytes>, ProtocolError> {
    let end = line.iter().position(|&byte| byte == 0).unwrap_or(line.len());
    let mut words = Vec::new();
    let mut at = 0;
    loop {
        while at < end && is_blank(line[at]) {
            at += 1;
        }
        if at == end {
            return Ok(words);
        }
        let start = at;
        while at < end && !ends_plain_word(line[at]) && !matches!(line[at], b'"' | b'\'') {
            at += 1;
        }
        if at == end || ends_plain_word(line[at]) {
            words.push(line.slice(start..at));
        } else {
            let (word, next) = quoted(&line[..end], start, at)?;
            words.push(word.into());
            at = next;
        }
    }
}

/// A word with quotes in it: plain from `start` to the quote at `at`. Returns the word and where the line goes on.
fn quoted(line: &[u8], start: usize, mut at: usize) -> Result<(Vec<u8>, usize), ProtocolError> {
    let mut word = line[start..at].to_vec();
    let quote = line[at];
    at += 1;
    loop {
        match line.get(at..).unwrap_or_default() {
            [b'\\', b'x', high, low, ..] if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) * 16 + hex(*low));
                at += 4;
            }
            [b'\\', escaped, ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                at += 2;
            }
            [b'\\', b'\'', ..] if quote == b'\'' => {
                word.push(b'\'');
                at += 2;
            }
            [byte, rest @ ..] if *byte == quote => {
                return match rest.first() {
                    Some(&next) if !is_blank(next) => Err(ProtocolError::UnbalancedQuotes),
                    _ => Ok((word, at + 1)),
                };
            }
            [byte, ..] => {
                word.push(*byte);
                at += 1;
            }
            [] => return Err(ProtocolError::UnbalancedQuotes),
        }
    }
}

/// What C calls a space.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What ends a word outside quotes. Vertical tab and form feed are blanks between words but belong to
/// a word once it has begun, as in the reference.
fn ends_plain_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &'static [u8]) -> Result<Vec<Bytes>, ProtocolError> {
        split(&Bytes::from_static(line))
    }

    #[test]
    fn plain_words_are_split_at_blanks() {
        assert_eq!(words(b"  SENTINEL \t masters  ").unwrap(), ["SENTINEL", "masters"]);
        assert_eq!(words(b"   ").unwrap(), Vec::<Bytes>::new());
    }

    #[test]
    fn quotes_hold_blanks_and_escapes() {
        assert_eq!(words(br#"PING "a b" 'c d'"#).unwrap(), ["PING", "a b", "c d"]);
        assert_eq!(words(br#"PING "\x41\n\r\t\a\b\q\"""#).unwrap()[1], &b"A\n\r\t\x07\x08q\""[..]);
        assert_eq!(words(br#"PING "\xzz""#).unwrap()[1], "xzz");
        assert_eq!(words(br"PING 'it\'s \n'").unwrap()[1], r"it's \n");
        assert_eq!(words(br#"PING """#).unwrap(), ["PING", ""]);
        assert_eq!(words(br#"PING a"b c""#).unwrap()[1], "ab c");
    }

    #[test]
    fn quotes_that_do_not_end_a_word_are_refused() {
        for line in [&b"PING \"a"[..], b"PING 'a", b"PING \"a\"b", b"PING 'a'b", b"PING \"a\\", b"\"a\0\""] {
            assert_eq!(words(line), Err(ProtocolError::UnbalancedQuotes), "{}", line.escape_ascii());
        }
    }

    #[test]
    fn a_nul_byte_ends_the_line() {
        assert_eq!(words(b"PING\0 x").unwrap(), ["PING"]);
    }
}
