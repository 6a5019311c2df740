//! The redo record: what makes writing a file in place as safe as replacing it.
//!
//! A file that cannot be replaced (mounted on its own, or in a folder that is read-only) is written in three steps, each
//! of which is on the medium before the next begins: the whole new content is appended as comments, the old content is
//! overwritten, the comments are cut off. Whatever point the writing is cut at, the file means the old content or the
//! new one: a complete record counts, an incomplete one does not.

use std::borrow::Cow;

use sha2::{Digest as _, Sha256};

/// Begins a record; then follow the length of the old content, the length of the new one, and its SHA-256.
const BEGIN: &[u8] = b"#~ sentinel redo ";

/// Stands before each line of the new content.
const LINE: &[u8] = b"#~|";

/// What is to be appended to a file of so many bytes, whose content is to be replaced by another one.
///
/// It begins beyond the end of both contents, so that overwriting never touches it.
pub(crate) fn record(present: u64, new: &[u8]) -> Vec<u8> {
    let padding = (new.len() as u64).saturating_sub(present);
    let mut record = vec![b'\n'; usize::try_from(padding).unwrap_or(0) + 1];
    record.extend_from_slice(BEGIN);
    record.extend_from_slice(format!("{present} {} {}\n", new.len(), digest(new)).as_bytes());
    for line in new.split(|byte| *byte == b'\n') {
        record.extend_from_slice(LINE);
        record.extend_from_slice(line);
        record.push(b'\n');
    }
    record
}

/// What a file means: the content of its newest complete record, or what stands before the incomplete ones.
pub(crate) fn meaning(bytes: &[u8]) -> Cow<'_, [u8]> {
    let starts = beginnings(bytes);
    for &start in starts.iter().rev() {
        if let Some(content) = parse(&bytes[start..]).content {
            return Cow::Owned(content);
        }
    }
    match starts.first() {
        Some(&start) => {
            let before = parse(&bytes[start..]).present.unwrap_or(start);
            Cow::Borrowed(&bytes[..before.min(start)])
        }
        None => Cow::Borrowed(without_stub(bytes)),
    }
}

/// Whether the writing of a file was cut off, so that its text is not what it means.
pub(crate) fn is_pending(bytes: &[u8]) -> bool {
    !beginnings(bytes).is_empty()
}

/// Where records begin.
fn beginnings(bytes: &[u8]) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut at = 0;
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if line.starts_with(BEGIN) {
            starts.push(at);
        }
        at += line.len();
    }
    starts
}

#[derive(Default)]
struct Record {
    present: Option<usize>,
    content: Option<Vec<u8>>,
}

fn parse(bytes: &[u8]) -> Record {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let head = lines.next().and_then(|line| line.strip_prefix(BEGIN)).and_then(|line| line.strip_suffix(b"\n"));
    let Some(head) = head.and_then(|head| std::str::from_utf8(head).ok()) else { return Record::default() };
    let mut words = head.split(' ');
    let mut number = || words.next().and_then(|word| word.parse::<usize>().ok());
    let (Some(present), Some(length)) = (number(), number()) else { return Record::default() };
    let expected = words.next().unwrap_or_default();

    let mut content = Vec::new();
    for line in lines.map_while(|line| line.strip_prefix(LINE)) {
        content.extend_from_slice(line);
    }
    // Each line of the record ends; the last one of the content does not.
    content.pop();
    let complete = content.len() == length && digest(&content) == expected;
    Record { present: Some(present), content: complete.then_some(content) }
}

/// Cuts off a record that ends within its first word.
fn without_stub(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let last = &bytes[start..];
    if !last.is_empty() && BEGIN.starts_with(last) { &bytes[..start.saturating_sub(1)] } else { bytes }
}

fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// All states that a file can be in while it is written, if every write may be cut at every byte.
    fn states(old: &[u8], new: &[u8]) -> Vec<Vec<u8>> {
        let record = record(old.len() as u64, new);
        let mut states = Vec::new();
        for cut in 0..=record.len() {
            states.push([old, &record[..cut]].concat());
        }
        let appended = [old, &record[..]].concat();
        for cut in 0..=new.len() {
            let mut state = appended.clone();
            state[..cut].copy_from_slice(&new[..cut]);
            states.push(state);
        }
        states.push(new.to_vec());
        states
    }

    #[test]
    fn at_every_cut_it_is_the_old_or_the_new_content() {
        for (old, new) in [
            ("# a\nport 1\n", "# a\nport 2\nsentinel myid x\n"),
            ("port 1\nport 2\nport 3\nport 4\n", "x\n"),
            ("no end", "also no end"),
            ("", "new\n"),
            ("old\n", ""),
        ] {
            let (old, new) = (old.as_bytes(), new.as_bytes());
            let record = record(old.len() as u64, new);
            for (at, state) in states(old, new).into_iter().enumerate() {
                let meant = meaning(&state);
                // Padding alone, which is empty lines, may be left where the writing ended within it.
                let meant = meant.trim_ascii_end();
                let is_new = meant == new.trim_ascii_end();
                let shown = String::from_utf8_lossy(&state);
                assert!(is_new || at < record.len() && meant == old.trim_ascii_end(), "cut {at}: {shown:?}");
            }
        }
    }

    #[test]
    fn an_older_complete_record_counts_beside_a_newer_incomplete_one() {
        let first = [b"new\n".to_vec(), record(4, b"new\n")].concat();
        let second = record(first.len() as u64, b"newest\n");
        for cut in 0..second.len() {
            assert_eq!(&*meaning(&[&first[..], &second[..cut]].concat()), b"new\n", "cut {cut}");
        }
        assert_eq!(&*meaning(&[first, second].concat()), b"newest\n");
    }

    #[test]
    fn a_damaged_record_does_not_count() {
        let mut file = [b"old\n".to_vec(), record(4, b"sentinel current-epoch 7\n")].concat();
        let digit = file.len() - 2;
        file[digit] = b'8';
        assert_eq!(&*meaning(&file), b"old\n");
    }

    proptest! {
        #[test]
        fn any_content_comes_back(old in proptest::collection::vec(any::<u8>(), 0..60), new in proptest::collection::vec(any::<u8>(), 0..60)) {
            let file = [&old[..], &record(old.len() as u64, &new)].concat();
            prop_assert_eq!(&*meaning(&file), &new[..]);
            let overwritten = [&new[..], &file[new.len()..]].concat();
            prop_assert_eq!(&*meaning(&overwritten), &new[..]);
        }

        #[test]
        fn any_bytes_mean_something(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = meaning(&bytes);
        }
    }
}
