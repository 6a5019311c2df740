//! The classic grammar's words: how a line is split at blanks, and how a word is written so that it is read back equal.

use std::fmt::Write as _;

use sentinel_resp::text::byte_of;

/// A line whose quotes do not close, or are followed by something other than a blank.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unbalanced;

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Splits a line into words, exactly as the reference does.
///
/// `"..."` knows `\n \r \t \b \a \xHH` and takes any other escaped byte as it is; `'...'` knows `\'` only. A closing
/// quote must be followed by a blank or the end; an opening one may stand inside a word (`a"b c"` is one word).
pub(crate) fn split(line: &[u8]) -> Result<Vec<Vec<u8>>, Unbalanced> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.iter().position(|b| !is_blank(*b)).unwrap_or(rest.len());
        rest = &rest[start..];
        if rest.is_empty() || rest[0] == 0 {
            return Ok(words);
        }
        let (word, after) = word(rest)?;
        words.push(word);
        rest = after;
    }
}

fn word(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    let mut word = Vec::new();
    while let Some((&byte, after)) = rest.split_first() {
        match byte {
            b'"' => {
                rest = double_quoted(after, &mut word)?;
                return closed(word, rest);
            }
            b'\'' => {
                rest = single_quoted(after, &mut word)?;
                return closed(word, rest);
            }
            0 => break,
            b if is_blank(b) => break,
            b => {
                word.push(b);
                rest = after;
            }
        }
    }
    Ok((word, rest))
}

fn closed(word: Vec<u8>, rest: &[u8]) -> Result<(Vec<u8>, &[u8]), Unbalanced> {
    match rest.first() {
        Some(b) if !is_blank(*b) && *b != 0 => Err(Unbalanced),
        _ => Ok((word, rest)),
    }
}

fn double_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [b'\\', b'x', high, low, after @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                word.push(hex(*high) << 4 | hex(*low));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 0x08,
                    b'a' => 0x07,
                    other => *other,
                });
                rest = after;
            }
            [b'"', after @ ..] => return Ok(after),
            [0, ..] | [] => return Err(Unbalanced),
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

fn single_quoted<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Result<&'a [u8], Unbalanced> {
    loop {
        match rest {
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return Ok(after),
            [0, ..] | [] => return Err(Unbalanced),
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
        }
    }
}

const fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

/// Writes one word so that [`split`], and the reference, read it back equal. Quotes are added only where needed. Bytes that
/// are no UTF-8 become `\xNN`, as the reference writes them.
pub(crate) fn quote(word: &str) -> String {
    let plain = !word.is_empty()
        && !word.starts_with('#')
        && word.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '"' && c != '\'' && byte_of(c).is_none());
    if plain {
        return word.to_owned();
    }
    let mut quoted = String::with_capacity(word.len() + 2);
    quoted.push('"');
    for c in word.chars() {
        match c {
            '"' | '\\' => {
                quoted.push('\\');
                quoted.push(c);
            }
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_ascii_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => match byte_of(c) {
                Some(byte) => drop(write!(quoted, "\\x{byte:02x}")),
                None => quoted.push(c),
            },
        }
    }
    quoted.push('"');
    quoted
}

/// Writes words as one line.
pub(crate) fn join<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<String> = words.into_iter().map(quote).collect();
    quoted.join(" ")
}

/// Writes the words of a user. A digest begins with `#`, which means a comment at the beginning of a line only.
pub(crate) fn join_user<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let is_digest = |word: &str| word.strip_prefix('#').is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let quoted = words.into_iter().map(|word| if is_digest(word) { word.to_owned() } else { quote(word) });
    quoted.collect::<Vec<String>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn words(line: &str) -> Result<Vec<String>, Unbalanced> {
        Ok(split(line.as_bytes())?.into_iter().map(|w| String::from_utf8(w).unwrap()).collect())
    }

    #[test]
    fn words_are_split_as_the_reference_splits_them() {
        assert_eq!(words("  sentinel\tauth-pass   m    \"p w\"   ").unwrap(), ["sentinel", "auth-pass", "m", "p w"]);
        assert_eq!(words(r#"a "\x41\n\"\\\q" 'it\'s \n'"#).unwrap(), ["a", "A\n\"\\q", "it's \\n"]);
        assert_eq!(words(r#"a"b c" d"#).unwrap(), ["ab c", "d"]);
        assert_eq!(words(r"back\slash").unwrap(), ["back\\slash"]);
        assert_eq!(words(r#""" ''"#).unwrap(), ["", ""]);
        assert_eq!(words("").unwrap(), Vec::<String>::new());
        assert_eq!(split(b"a \"\\xff\"").unwrap(), [b"a".to_vec(), vec![0xff]]);
    }

    #[test]
    fn quotes_must_close_and_be_followed_by_a_blank() {
        for line in ["a \"b", "a 'b", "a \"b\"c", "a 'b'c", "\"\\", "\"\\\""] {
            assert_eq!(words(line), Err(Unbalanced), "{line}");
        }
    }

    #[test]
    fn only_what_needs_quotes_gets_them() {
        assert_eq!(join(["sentinel", "monitor", "my-master", "::1"]), "sentinel monitor my-master ::1");
        assert_eq!(join(["x y", "", "a\"b", "#c", "l\nm"]), r##""x y" "" "a\"b" "#c" "l\nm""##);
    }

    proptest! {
        #[test]
        fn every_word_is_read_back_equal(list in proptest::collection::vec(".*", 1..5)) {
            let line = join(list.iter().map(String::as_str));
            prop_assert!(!line.contains('\n'), "one line: {line:?}");
            let bytes: Vec<_> = list.iter().map(|word| sentinel_resp::text::bytes(word).into_owned()).collect();
            prop_assert_eq!(split(line.as_bytes()).unwrap(), bytes);
        }

        #[test]
        fn any_bytes_give_words_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&bytes);
        }
    }
}
