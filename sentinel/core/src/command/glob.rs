//! Redis-style glob patterns: `*`, `?`, `[abc]`, `[^a]`, `[a-z]`, `\x`.
//!
//! They work on bytes. Every element but `*` matches exactly one byte, so it is enough to remember the last `*` and
//! to let it take one byte more whenever what follows does not fit: the work is at most the product of both lengths,
//! whatever a client sends.

/// Whether the whole of `text` matches, case-sensitively: SENTINEL RESET, PSUBSCRIBE, ACL channels.
pub fn matches(pattern: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> bool {
    run(pattern.as_ref(), text.as_ref(), |byte| byte)
}

/// Whether the whole of `text` matches, with ASCII letters equal in both cases: SENTINEL CONFIG GET.
pub fn matches_ignoring_case(pattern: impl AsRef<[u8]>, text: impl AsRef<[u8]>) -> bool {
    run(pattern.as_ref(), text.as_ref(), |byte| byte.to_ascii_lowercase())
}

fn run(pattern: &[u8], text: &[u8], fold: fn(u8) -> u8) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Behind the last `*`, and how far into the text that star reaches so far.
    let mut last_star = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                at += 1;
                last_star = Some((at, seen));
                continue;
            }
            Some(_) => {
                let (fits, length) = element(&pattern[at..], text[seen], fold);
                if fits {
                    at += length;
                    seen += 1;
                    continue;
                }
            }
            None => {}
        }
        let Some((behind, reach)) = last_star else {
            return false;
        };
        last_star = Some((behind, reach + 1));
        (at, seen) = (behind, reach + 1);
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}

/// Whether `byte` fits the first element of a pattern that is not empty, and how many bytes that element takes.
fn element(pattern: &[u8], byte: u8, fold: fn(u8) -> u8) -> (bool, usize) {
    match pattern {
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (fits, length) = class_of(class, byte, fold);
            (fits, length + 1)
        }
        [b'\\', literal, ..] => (fold(*literal) == fold(byte), 2),
        [literal, ..] => (fold(*literal) == fold(byte), 1),
        [] => (false, 0),
    }
}

/// The same for a class, of which `[` is already taken. One that is never closed reaches to the end of the pattern;
/// `]` as its first byte closes it, and nothing fits an empty class.
fn class_of(class: &[u8], byte: u8, fold: fn(u8) -> u8) -> (bool, usize) {
    let byte = fold(byte);
    let negated = class.first() == Some(&b'^');
    let mut at = usize::from(negated);
    let mut found = false;
    loop {
        match class[at..] {
            [] => break,
            [b'\\', literal, ..] => {
                found |= fold(literal) == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [one, b'-', other, ..] => {
                // The reference takes the ends in either order, and any byte but the above as an end, `]` too.
                let (one, other) = (fold(one), fold(other));
                found |= (one.min(other)..=one.max(other)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= fold(literal) == byte;
                at += 1;
            }
        }
    }
    (found != negated, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_patterns() {
        for (pattern, text) in [
            ("*", ""),
            ("*", "anything"),
            ("", ""),
            ("my*", "mymaster"),
            ("*master", "mymaster"),
            ("m*m*r", "mymaster"),
            ("?ymaster", "mymaster"),
            ("[mn]ymaster", "mymaster"),
            ("[^a]ymaster", "mymaster"),
            ("[a-z]1", "q1"),
            ("[z-a]1", "q1"),
            ("\\*", "*"),
            ("\\[a]", "[a]"),
            ("[\\]]", "]"),
            ("[\\^a]", "^"),
            ("a\\", "a\\"),
            ("**a**", "bab"),
            ("+*", "+switch-master"),
            ("[abc", "b"),
            ("[^", "x"),
        ] {
            assert!(matches(pattern, text), "{pattern} should match {text}");
        }
        for (pattern, text) in [
            ("", "a"),
            ("?", ""),
            ("?", "ab"),
            ("MY*", "mymaster"),
            ("[^m]ymaster", "mymaster"),
            ("[]*", "]"),
            ("\\*", "a"),
            ("a*b", "abc"),
            ("[", "["),
            ("[a-z]", "Q"),
        ] {
            assert!(!matches(pattern, text), "{pattern} should not match {text}");
        }
    }

    #[test]
    fn case_is_ignored_on_request() {
        assert!(matches_ignoring_case("ANNOUNCE-*", "announce-ip"));
        assert!(matches_ignoring_case("[A-B]nnounce-ip", "announce-ip"));
        assert!(matches_ignoring_case("\\A*", "announce-ip"));
        assert!(!matches_ignoring_case("[^A]nnounce-ip", "announce-ip"));
    }

    #[test]
    fn a_hostile_pattern_costs_the_product_of_the_lengths_only() {
        let pattern = "a*".repeat(2_000) + "b";
        assert!(!matches(pattern, "a".repeat(20_000)));
    }

    /// The same language, read by a recursive matcher that knows nothing of how [`run`] goes about it.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern.first(), text.first()) {
            (None, None) => true,
            (Some(b'*'), None) => naive(&pattern[1..], text),
            (Some(b'*'), Some(_)) => naive(&pattern[1..], text) || naive(pattern, &text[1..]),
            (None, Some(_)) | (Some(_), None) => false,
            (Some(b'?'), Some(_)) => naive(&pattern[1..], &text[1..]),
            (Some(b'\\'), Some(byte)) if pattern.len() > 1 => pattern[1] == *byte && naive(&pattern[2..], &text[1..]),
            (Some(b'['), Some(byte)) => {
                let (members, rest) = members(&pattern[1..]);
                members[usize::from(*byte)] && naive(rest, &text[1..])
            }
            (Some(literal), Some(byte)) => literal == byte && naive(&pattern[1..], &text[1..]),
        }
    }

    /// All the bytes in a class as a table, and the pattern behind it.
    fn members(class: &[u8]) -> ([bool; 256], &[u8]) {
        let mut members = [false; 256];
        let mut rest = class;
        let negated = rest.first() == Some(&b'^');
        if negated {
            rest = &rest[1..];
        }
        while !rest.is_empty() && rest[0] != b']' {
            if rest[0] == b'\\' && rest.len() > 1 {
                members[usize::from(rest[1])] = true;
                rest = &rest[2..];
            } else if rest.len() > 2 && rest[1] == b'-' {
                let mut ends = [rest[0], rest[2]];
                ends.sort_unstable();
                for byte in ends[0]..=ends[1] {
                    members[usize::from(byte)] = true;
                }
                rest = &rest[3..];
            } else {
                members[usize::from(rest[0])] = true;
                rest = &rest[1..];
            }
        }
        if !rest.is_empty() {
            rest = &rest[1..];
        }
        (members.map(|member| member != negated), rest)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4_000))]

        #[test]
        fn agrees_with_the_naive_matcher(pattern in "[ab*?\\[\\]^\\\\-]{0,8}", text in "[ab*?\\[\\]^-]{0,8}") {
            prop_assert_eq!(matches(&pattern, &text), naive(pattern.as_bytes(), text.as_bytes()));
        }

        #[test]
        fn agrees_on_any_bytes(pattern in any::<Vec<u8>>(), text in prop::collection::vec(any::<u8>(), 0..8)) {
            prop_assert_eq!(matches(&pattern, &text), naive(&pattern, &text));
        }
    }
}
