//! Requests as they are written in these tests, and what is sent for them.
//!
//! A line is what one connection sends, its requests separated by ` / `:
//!
//! | request | what is sent |
//! |---|---|
//! | `PING "a b"` | an array of bulk strings; words may be quoted, with `\xHH`, `\r`, `\n`, `\"`, `\\` |
//! | `line PING "a b"` | the rest as an inline request, as it stands |
//! | `raw *1\r\n$4\r\n` | the rest with its escapes read, and nothing more |
//!
//! The answers to one request are awaited before the next one is sent. With `~` before the line, all go at once: for what an
//! answer less would confuse. `{name}` stands for a value that only the running test knows. `A => B` sends A to ours and B
//! to the reference, which must answer the same.

/// The requests of one line.
pub(crate) struct Talk<'a> {
    /// Each as it is written.
    pub(crate) requests: Vec<&'a str>,
    /// Whether all are sent at once.
    pub(crate) at_once: bool,
}

/// The lines of `script` without empty ones and those that begin with `#`.
pub(crate) fn talks(script: &str) -> impl Iterator<Item = Talk<'_>> {
    script.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (line, at_once) = line.strip_prefix('~').map_or((line, false), |rest| (rest.trim_start(), true));
        Talk { requests: line.split(" / ").collect(), at_once }
    })
}

/// What ours is asked and what the reference is.
pub(crate) fn each(request: &str) -> [&str; 2] {
    match request.split_once(" => ") {
        Some((ours, theirs)) => [ours, theirs],
        None => [request; 2],
    }
}

/// What is sent for a request.
pub(crate) fn bytes(request: &str) -> Vec<u8> {
    if let Some(raw) = request.strip_prefix("raw ") {
        unescaped(raw)
    } else if let Some(line) = request.strip_prefix("line ") {
        [line.as_bytes(), b"\r\n"].concat()
    } else {
        array(&words(request))
    }
}

/// A request of these words.
pub(crate) fn array<W: AsRef<[u8]>>(words: &[W]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        let word = word.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        bytes.extend_from_slice(word);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

/// Splits at blanks outside quotes.
fn words(request: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = request.trim();
    while !rest.is_empty() {
        let (word, after) = if let Some(quoted) = rest.strip_prefix('"') {
            let end = closing_quote(quoted).unwrap_or_else(|| panic!("unbalanced quotes in {request}"));
            (unescaped(&quoted[..end]), &quoted[end + 1..])
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            (rest.as_bytes()[..end].to_vec(), &rest[end..])
        };
        words.push(word);
        rest = after.trim_start();
    }
    words
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, letter)| {
        let closes = letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
        closes.then_some(at)
    })
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            bytes.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        match letters.next() {
            Some('r') => bytes.push(b'\r'),
            Some('n') => bytes.push(b'\n'),
            Some('x') => {
                let digits: String = letters.by_ref().take(2).collect();
                bytes.push(u8::from_str_radix(&digits, 16).unwrap_or_else(|_| panic!("\\x{digits} in {text}")));
            }
            Some(other) => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
            None => panic!("{text} ends within an escape"),
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_sent_as_the_table_says() {
        assert_eq!(bytes(r#"PING "a\x00 \"b""#), b"*2\r\n$4\r\nPING\r\n$5\r\na\0 \"b\r\n");
        assert_eq!(bytes(r#"A """#), b"*2\r\n$1\r\nA\r\n$0\r\n\r\n");
        assert_eq!(bytes(r#"line PING "a"#), b"PING \"a\r\n");
        assert_eq!(bytes(r"raw *1\r\n"), b"*1\r\n");
        assert_eq!(each("A => B"), ["A", "B"]);
        let all: Vec<_> = talks("\n# no\nA / B\n~ C\n").map(|talk| (talk.requests, talk.at_once)).collect();
        assert_eq!(all, [(vec!["A", "B"], false), (vec!["C"], true)]);
    }
}
