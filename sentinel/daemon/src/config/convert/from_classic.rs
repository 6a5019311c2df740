//! Reading the classic grammar with its comments.

use super::{
    super::{ConfigError, Source, build::Builder, classic},
    is_generated,
    listing::{Entry, Listing},
};

/// What a Sentinel writes itself: it is no directive of the other form.
const LEARNT: [&str; 8] = [
    "in-sync",
    "myid",
    "current-epoch",
    "config-epoch",
    "leader-epoch",
    "known-replica",
    "known-slave",
    "known-sentinel",
];

/// Reads a text that loads. Included files become part of it, and are named.
pub(super) fn read(source: &Source, bytes: &[u8]) -> Result<Listing, ConfigError> {
    let mut builder = Builder::new(source);
    let mut listing = Listing::default();
    let mut comments: Vec<String> = Vec::new();
    for line in classic::lines(&mut builder, &source.path, bytes)? {
        let words = match line {
            classic::Line::Comment(comment) if is_generated(&comment) => continue,
            classic::Line::Include { name, comment } => {
                listing.included.push(name);
                comments.push(comment);
                continue;
            }
            // Where generated lines went, empty ones pile up.
            classic::Line::Comment(comment) => {
                let again = comment.is_empty() && comments.last().is_none_or(String::is_empty);
                if !again {
                    comments.push(comment);
                }
                continue;
            }
            classic::Line::Directive(words) => words,
        };
        let mut words = words;
        if words[0] == "sentinel" {
            let Some(name) = words.get_mut(1) else { continue };
            name.make_ascii_lowercase();
            if LEARNT.contains(&name.as_str()) {
                listing.tail.extend(std::mem::take(&mut comments).into_iter().filter(|comment| !comment.is_empty()));
                continue;
            }
        }
        listing.entries.push(Entry { comments: std::mem::take(&mut comments), words });
    }
    listing.tail.append(&mut comments);
    while listing.tail.last().is_some_and(String::is_empty) {
        listing.tail.pop();
    }
    listing.find_head();
    Ok(listing)
}
