//! Writing the classic grammar.

use super::{
    super::{
        directives::{HIDDEN, may_be_hidden},
        lexer,
    },
    listing::{Listing, put_comments, put_gap},
};

/// The whole text. Directives that the reference does not know stand where it takes them for comments.
pub(super) fn write(listing: &Listing) -> String {
    let mut out = String::new();
    put_comments(&mut out, &listing.head);
    if !listing.head.is_empty() {
        put_gap(&mut out);
    }
    // `dir` comes first in TOML wherever it stands: relative paths are under it.
    let (first, rest): (Vec<_>, Vec<_>) = listing.entries.iter().partition(|entry| entry.words[0] == "dir");
    for entry in first.into_iter().chain(rest) {
        let begins_master = entry.words[0] == "sentinel" && entry.words.get(1).is_some_and(|name| name == "monitor");
        if begins_master {
            put_gap(&mut out);
        }
        put_comments(&mut out, &entry.comments);
        if may_be_hidden(&entry.words) {
            out.push_str(HIDDEN);
        }
        let words = entry.words.iter().map(String::as_str);
        out.push_str(&if entry.words[0] == "user" { lexer::join_user(words) } else { lexer::join(words) });
        out.push('\n');
    }
    if !listing.tail.is_empty() {
        put_gap(&mut out);
        put_comments(&mut out, &listing.tail);
    }
    out
}
