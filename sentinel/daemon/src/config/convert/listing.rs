//! A configuration as directives with their comments, in neither grammar.

use std::path::Path;

use super::super::directives::HIDDEN;

/// One directive in the words of the classic grammar, with the comments that stand above it or behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whole lines, each with its `#`; an empty one is an empty line.
    pub(super) comments: Vec<String>,
    /// The directive, and for `sentinel` lines the second word too, in lower case.
    pub(super) words: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    /// Comments on the whole, above everything.
    pub(super) head: Vec<String>,
    pub(super) entries: Vec<Entry>,
    /// Comments below everything.
    pub(super) tail: Vec<String>,
    /// What `include` lines name. Their own lines are among the entries.
    pub(super) included: Vec<String>,
}

impl Listing {
    /// Takes the comments that an empty line separates from the first directive for comments on the whole.
    pub(super) fn find_head(&mut self) {
        let Some(first) = self.entries.first_mut() else { return };
        if let Some(end) = first.comments.iter().rposition(String::is_empty) {
            let rest = first.comments.split_off(end + 1);
            self.head.append(&mut std::mem::replace(&mut first.comments, rest));
        }
    }

    /// Names a state file.
    pub(super) fn keep_apart(&mut self, state_file: &Path) {
        let words = ["sentinel", "state-config-file", &state_file.display().to_string()].map(str::to_owned).into();
        self.entries.insert(0, Entry { comments: Vec::new(), words });
    }

    /// Puts other users, each a whole line, in the place of those that stand there.
    pub(super) fn replace_users(&mut self, lines: &[String]) {
        let is_user = |entry: &Entry| ["user", "users-file", "users-env"].contains(&entry.words[0].as_str());
        let (users, rest): (Vec<Entry>, Vec<Entry>) = std::mem::take(&mut self.entries).into_iter().partition(is_user);
        self.entries = rest;
        self.tail.extend(users.into_iter().flat_map(|entry| entry.comments));
        for line in lines {
            let words = line.split(' ').map(str::to_owned).collect();
            self.entries.push(Entry { comments: Vec::new(), words });
        }
    }

    /// No comment is lost: those whose place was not understood are put below everything.
    pub(super) fn rescue_comments(&mut self, text: &str) {
        let comments = self.entries.iter().flat_map(|entry| &entry.comments);
        let mut kept: Vec<&str> = self.head.iter().chain(&self.tail).chain(comments).map(String::as_str).collect();
        let mut lost = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with('#')) {
            let taken = super::is_generated(line) || line.starts_with(HIDDEN) || line.starts_with(WITHOUT_EFFECT);
            match kept.iter().position(|comment| *comment == line) {
                Some(at) => drop(kept.swap_remove(at)),
                None if taken => {}
                None => lost.push(line.to_owned()),
            }
        }
        self.tail.extend(lost);
    }
}

/// Begins the comment that a directive becomes in TOML which no Sentinel heeds.
pub(super) const WITHOUT_EFFECT: &str = "# without effect here: ";

/// The comment lines of a piece of text between two things; no empty lines at its ends.
pub(super) fn comments(text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let first = lines.iter().position(|line| !line.is_empty()).unwrap_or(lines.len());
    let mut kept: Vec<String> = Vec::new();
    for line in &lines[first..] {
        let again = line.is_empty() && kept.last().is_none_or(String::is_empty);
        if !again {
            kept.push((*line).to_owned());
        }
    }
    kept
}

/// Appends comments to a text, without a second empty line where there is one.
pub(super) fn put_comments(out: &mut String, comments: &[String]) {
    for comment in comments {
        let at_gap = out.is_empty() || out.ends_with("\n\n");
        if !(comment.is_empty() && at_gap) {
            out.push_str(comment);
            out.push('\n');
        }
    }
}

/// Begins a new paragraph.
pub(super) fn put_gap(out: &mut String) {
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}
