//! The words of a request, read as strictly as the reference reads them.

use std::borrow::Cow;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::errors;
pub(super) use crate::settings::row::integer;
use crate::{guard::LONGEST_REASON, types::HostPort};

/// An integer of at least `least` that fits the type asked for.
pub(super) fn at_least<T: TryFrom<i64>>(least: i64, word: &[u8]) -> Option<T> {
    integer(word).filter(|&value| value >= least).and_then(|value| T::try_from(value).ok())
}

/// Refuses the first word with a control character in it, which is the `first`-th of the whole request.
pub(super) fn without_control<'a>(
    command: &str,
    first: usize,
    words: impl IntoIterator<Item = &'a Bytes>,
) -> Result<(), Reply> {
    match words.into_iter().position(|word| word.iter().any(u8::is_ascii_control)) {
        Some(at) => Err(errors::control_character(command, first + at)),
        None => Ok(()),
    }
}

/// Why an operator wants something. None: nothing was said.
pub(super) fn reason(word: &Bytes) -> Result<Option<String>, Reply> {
    // Some characters change how a line is shown: directions of writing, ends of lines and paragraphs.
    let disguised = |shown: char| {
        shown.is_control()
            || matches!(shown, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if text(word).chars().any(disguised) {
        return Err(Reply::err("the reason has control characters, or such as change the direction of writing"));
    }
    let reason = Some(text(word).into_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
        return Err(Reply::err(format!("the reason is longer than {LONGEST_REASON} bytes")));
    }
    Ok(reason)
}

/// A text. Bytes that are no UTF-8 are kept in it, see [`sentinel_resp::text`].
pub(super) fn text(word: &[u8]) -> Cow<'_, str> {
    sentinel_resp::text::of(word)
}

/// Where the empty text means "unset".
pub(super) fn unless_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

/// The name of a master that should exist.
pub(super) fn known_name(word: &Bytes) -> String {
    text(word).into_owned()
}

/// An address of two words.
pub(super) fn address(host: &Bytes, port: &Bytes) -> Result<HostPort, Reply> {
    HostPort::from_words(&text(host), &text(port)).map_err(|_| errors::invalid_host())
}

/// A word as error texts repeat it, byte for byte: up to the first NUL, where the reference's strings end.
pub(super) fn shown(word: &[u8]) -> Cow<'_, str> {
    let end = word.iter().position(|&byte| byte == 0).unwrap_or(word.len());
    text(&word[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_strictly() {
        for (word, value) in
            [("0", 0), ("7", 7), ("-7", -7), ("9223372036854775807", i64::MAX), ("-9223372036854775808", i64::MIN)]
        {
            assert_eq!(integer(word.as_bytes()), Some(value), "{word}");
        }
        for word in [
            "",
            "-",
            "+1",
            " 1",
            "1 ",
            "01",
            "-0",
            "-01",
            "0x10",
            "1.0",
            "x",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "\u{661}",
        ] {
            assert_eq!(integer(word.as_bytes()), None, "{word:?}");
        }
    }

    #[test]
    fn bounds_hold_at_both_ends() {
        assert_eq!(at_least::<u32>(1, b"1"), Some(1));
        assert_eq!(at_least::<u32>(1, b"0"), None);
        assert_eq!(at_least::<u32>(0, b"-1"), None);
        assert_eq!(at_least::<u32>(1, b"4294967295"), Some(u32::MAX));
        assert_eq!(at_least::<u32>(1, b"4294967296"), None);
    }

    #[test]
    fn words_are_shown_up_to_their_first_nul() {
        assert_eq!(shown(b"a\0b"), "a");
        assert_eq!(shown(b"\xff"), "\u{10ffff}");
        assert_eq!(shown(b""), "");
    }
}
