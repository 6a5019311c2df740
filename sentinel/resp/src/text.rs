//! Bytes as text, without loss.
//!
//! Names, passwords and paths are bytes to the reference, and nearly always UTF-8. In this process they are `str`: a byte that
//! is no part of UTF-8 stands as the one character of U+10FF80 to U+10FFFF that ends with it (`\xe4` as U+10FFE4). These
//! characters themselves are taken apart likewise, so that no two texts stand for the same bytes. What comes in passes
//! [`of`]; what goes out passes [`bytes()`], or, for people, [`shown`].

use std::borrow::Cow;

/// The first byte of each of these characters in UTF-8. No text of any script begins a character with it.
const LEAD: u8 = 0xf4;

/// The text that stands for bytes.
pub fn of(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !has_stand_ins(text) => Cow::Borrowed(text),
        _ => Cow::Owned(decode(bytes)),
    }
}

/// The same for bytes that are owned.
pub fn of_vec(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) if !has_stand_ins(&text) => text,
        Ok(text) => decode(text.as_bytes()),
        Err(error) => decode(error.as_bytes()),
    }
}

/// The bytes that a text stands for.
pub fn bytes(text: &str) -> Cow<'_, [u8]> {
    if !has_stand_ins(text) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// The same for a text that is owned.
pub fn into_bytes(text: String) -> Vec<u8> {
    if has_stand_ins(&text) { bytes(&text).into_owned() } else { text.into_bytes() }
}

/// A text as people are to see it: bytes that are no part of UTF-8 as `\xNN`.
pub fn shown(text: &str) -> Cow<'_, str> {
    use std::fmt::Write as _;

    if !has_stand_ins(text) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            // Writing to a string does not fail.
            Some(byte) => drop(write!(shown, "\\x{byte:02x}")),
            None => shown.push(c),
        }
    }
    Cow::Owned(shown)
}

/// The byte that a character stands for, if it is one that stands for a byte.
pub const fn byte_of(c: char) -> Option<u8> {
    match c {
        '\u{10ff80}'..='\u{10ffff}' => Some((c as u32 & 0xff) as u8),
        _ => None,
    }
}

/// Whether any character of a text stands for a byte.
pub fn has_stand_ins(text: &str) -> bool {
    text.as_bytes().contains(&LEAD) && text.chars().any(|c| byte_of(c).is_some())
}

fn decode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let stand_in = |byte: u8| char::from_u32(0x10_ff00 | u32::from(byte)).expect("within the last plane");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match byte_of(c) {
                Some(_) => text.extend(c.encode_utf8(&mut [0; 4]).bytes().map(stand_in)),
                None => text.push(c),
            }
        }
        text.extend(chunk.invalid().iter().copied().map(stand_in));
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_utf_8_is_the_same_text() {
        for text in ["", "p w", "pä€ss", "\u{10fffd}x", "\u{10ff7f}"] {
            let same = of(text.as_bytes()) == text;
            assert_eq!(same, !has_stand_ins(text), "{text:?}");
        }
    }

    #[test]
    fn people_see_bytes_escaped() {
        let text = of(b"p\xe4\xc3ss\xff");
        assert_eq!(text, "p\u{10ffe4}\u{10ffc3}ss\u{10ffff}");
        assert_eq!(shown(&text), "p\\xe4\\xc3ss\\xff");
        assert_eq!(shown("a\\b"), "a\\b");
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(given in proptest::collection::vec(prop_oneof![any::<u8>(), Just(0xf4), Just(0x8f), Just(0xbf)], 0..40)) {
            let text = of(&given);
            prop_assert_eq!(&*bytes(&text), &given[..]);
            prop_assert_eq!(of_vec(given.clone()), text.to_string());
            prop_assert_eq!(into_bytes(text.into_owned()), given);
        }

        #[test]
        fn different_bytes_are_different_texts(one in proptest::collection::vec(any::<u8>(), 0..4), other in proptest::collection::vec(any::<u8>(), 0..4)) {
            prop_assert_eq!(of(&one) == of(&other), one == other);
        }
    }
}
