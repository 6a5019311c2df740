//! Reading the classic grammar: lines, words, `include`, and what the command line and standard input append.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use sentinel_resp::text;

use super::{
    ConfigError, Source,
    build::{Builder, Directive, Origin},
    directives::{HIDDEN, may_be_hidden},
    fault::{Fault, Named, Place, Refusal},
    keys::secret_called,
    lexer,
};

/// What some editors put at the beginning of a file in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// How deep includes may be nested.
const MAX_INCLUDE_DEPTH: usize = 16;

/// Feeds the text of the main file, and everything that it includes, to the builder. Returns what came from includes.
pub(super) fn take_main(builder: &mut Builder, path: &Path, bytes: &[u8]) -> Result<Vec<Directive>, ConfigError> {
    let mut reader = Reader::new(builder, path);
    reader.file(path, bytes, Origin::Main)?;
    Ok(reader.included)
}

/// One line as it was read.
pub(super) enum Line {
    /// A comment with its `#`, or empty.
    Comment(String),
    /// An `include`, with what it names, and a comment for its place. Its lines come next.
    Include { name: String, comment: String },
    /// The words of a directive; the first in lower case.
    Directive(Vec<String>),
}

/// All lines of the main file and of everything that it includes, in the order of reading.
pub(super) fn lines(builder: &mut Builder, path: &Path, bytes: &[u8]) -> Result<Vec<Line>, ConfigError> {
    let mut reader = Reader::new(builder, path);
    reader.lines = Some(Vec::new());
    reader.file(path, bytes, Origin::Main)?;
    Ok(reader.lines.unwrap_or_default())
}

/// Feeds what is appended to the file: standard input, then the options of the command line.
pub(super) fn take_appended(builder: &mut Builder, source: &Source) -> Result<(), ConfigError> {
    let mut reader = Reader::new(builder, &source.path);
    if let Some(text) = &source.stdin {
        for (index, line) in text.split(|b| *b == b'\n').enumerate() {
            reader.line(line, Place::Stdin { line: index + 1 }, Origin::Appended)?;
        }
    }
    for words in option_lines(&source.options) {
        let shown = mask(&lexer::join(words.iter().map(String::as_str)));
        reader.words(words, Place::CommandLine, shown, Origin::Appended)?;
    }
    Ok(())
}

/// `--name value ...` as lines: every word that begins with `--` starts one.
fn option_lines(options: &[String]) -> Vec<Vec<String>> {
    let mut lines: Vec<Vec<String>> = Vec::new();
    for option in options {
        match (option.strip_prefix("--"), lines.last_mut()) {
            (Some(name), _) => lines.push(vec![name.to_owned()]),
            (None, Some(line)) => line.push(option.clone()),
            (None, None) => lines.push(vec![option.clone()]),
        }
    }
    lines
}

struct Reader<'a> {
    builder: &'a mut Builder,
    included: Vec<Directive>,
    /// The files being read, outermost first.
    open: Vec<PathBuf>,
    /// What was read, if somebody wants to see it.
    lines: Option<Vec<Line>>,
}

impl<'a> Reader<'a> {
    fn new(builder: &'a mut Builder, path: &Path) -> Self {
        Reader { builder, included: Vec::new(), open: vec![path.to_owned()], lines: None }
    }

    fn saw(&mut self, line: impl FnOnce() -> Line) {
        if let Some(lines) = &mut self.lines {
            lines.push(line());
        }
    }

    fn file(&mut self, path: &Path, bytes: &[u8], origin: Origin) -> Result<(), ConfigError> {
        let shared: Arc<Path> = path.into();
        for (index, line) in bytes.split(|b| *b == b'\n').enumerate() {
            let place = Place::File { path: Arc::clone(&shared), line: index + 1, column: None };
            let line = match line.strip_prefix(BYTE_ORDER_MARK).filter(|_| index == 0) {
                Some(rest) => {
                    self.byte_order_mark(path, place.clone());
                    rest
                }
                None => line,
            };
            self.line(line, place, origin)?;
        }
        Ok(())
    }

    /// redis-sentinel takes the mark for a part of the first word, and refuses the line, a comment or an empty one, too.
    fn byte_order_mark(&mut self, path: &Path, place: Place) {
        let remedy = format!(
            "the file begins with a byte-order mark, which an editor has put there and does not show: save it as UTF-8 without \
             one, or run sed -i '1s/^\\xEF\\xBB\\xBF//' {}",
            path.display()
        );
        let refusal = Refusal::new("Bad directive or wrong number of arguments", remedy);
        self.builder.faults.push(Fault {
            place,
            directive: "byte-order mark".to_owned(),
            line: String::new(),
            what: refusal.what,
            remedy: refusal.remedy,
        });
    }

    fn line(&mut self, line: &[u8], place: Place, origin: Origin) -> Result<(), ConfigError> {
        let line = line.trim_ascii();
        let hidden = line.strip_prefix(HIDDEN.as_bytes());
        let comment = || Line::Comment(text::shown(&text::of(line)).into_owned());
        if line.is_empty() || line[0] == b'#' && hidden.is_none() {
            self.saw(comment);
            return Ok(());
        }
        let text = hidden.unwrap_or(line).trim_ascii();
        let known = |words: &[String]| hidden.is_none() || may_be_hidden(words);
        let shown = mask(&showable(text));
        let refuse = |builder: &mut Builder, refusal: Refusal| {
            builder.faults.push(Fault {
                place: place.clone(),
                directive: shown.split_whitespace().next().unwrap_or_default().to_owned(),
                line: shown.clone(),
                what: refusal.what,
                remedy: refusal.remedy,
            });
        };
        if text.contains(&0) {
            refuse(
                self.builder,
                Refusal::new("the line has a zero byte in it", "restore the file: something else was written over it"),
            );
            return Ok(());
        }
        let Ok(words) = super::words(text) else {
            if hidden.is_some() {
                self.saw(comment);
                return Ok(());
            }
            refuse(
                self.builder,
                Refusal::new(
                    "Unbalanced quotes in configuration line",
                    "close the quotes and put a blank after them; inside \"...\" write \\\" for a quote",
                ),
            );
            return Ok(());
        };
        if known(&words) {
            return self.words(words, place, shown, origin);
        }
        self.saw(comment);
        Ok(())
    }

    fn words(
        &mut self,
        mut words: Vec<String>,
        place: Place,
        shown: String,
        origin: Origin,
    ) -> Result<(), ConfigError> {
        let Some(name) = words.first_mut() else { return Ok(()) };
        name.make_ascii_lowercase();
        let called = match words.get(1) {
            Some(second) if words[0] == "sentinel" => format!("sentinel {}", second.to_ascii_lowercase()),
            _ => text::shown(&words[0]).into_owned(),
        };
        let directive = Directive { words, place, origin, called, shown };
        if directive.words[0] == "include" {
            self.saw(|| Line::Include {
                name: directive.words.get(1).cloned().unwrap_or_default(),
                comment: format!("# from `{}`:", directive.shown),
            });
            return self.include(&directive);
        }
        self.saw(|| Line::Directive(directive.words.clone()));
        if origin == Origin::Included && directive.words[0] == "sentinel" {
            self.included.push(directive.clone());
        }
        self.builder.take(directive);
        Ok(())
    }

    fn include(&mut self, directive: &Directive) -> Result<(), ConfigError> {
        let [_, pattern] = &directive.words[..] else {
            self.builder
                .refuse(directive, Refusal::new("Bad directive or wrong number of arguments", "write `include FILE`"));
            return Ok(());
        };
        for path in self.matches(directive, pattern) {
            if self.open.len() > MAX_INCLUDE_DEPTH || self.open.contains(&path) {
                let text = format!(
                    "`{}` includes itself, or includes are nested deeper than {MAX_INCLUDE_DEPTH}",
                    path.display()
                );
                self.builder.refuse(directive, Refusal::new(text, "remove one of the include lines"));
                continue;
            }
            let named = || Some(Named { place: directive.place.clone(), directive: directive.called.clone() });
            let unread = |error| ConfigError::Open { path: path.clone(), error, named: named() };
            let bytes = self.builder.files.read(&path).map_err(unread)?;
            self.open.push(path.clone());
            let outcome = self.file(&path, &bytes, Origin::Included);
            self.open.pop();
            outcome?;
        }
        Ok(())
    }

    /// The files that an `include` names. A pattern may match none.
    fn matches(&mut self, directive: &Directive, pattern: &str) -> Vec<PathBuf> {
        let whole = self.builder.resolve(pattern);
        if !pattern.contains(['*', '?', '[']) {
            return vec![whole];
        }
        let Some(whole) = whole.to_str() else { return Vec::new() };
        self.builder.files.matching(whole).unwrap_or_else(|error| {
            self.builder.refuse(directive, Refusal::new(error, "write a file name, or a pattern with * ? [...]"));
            Vec::new()
        })
    }
}

/// How much of a line is shown, in characters.
const SHOWN: usize = 200;

/// A line as a terminal may get it: no control characters, which a file that is something else is full of, and not all of a
/// long one.
fn showable(text: &[u8]) -> String {
    let text = text::of(text);
    let text = text::shown(&text);
    let mut shown = String::new();
    for (index, character) in text.chars().enumerate() {
        match character {
            _ if index == SHOWN => return shown + " ...",
            '\t' => shown.push('\t'),
            character if character.is_control() => shown.extend(character.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// A line as it may be shown: what is, or may hold, a password is left out.
pub(crate) fn mask(line: &str) -> String {
    let mut words = line.split_whitespace();
    let first = words.next().unwrap_or_default().trim_start_matches("--").to_ascii_lowercase();
    let second = words.next().unwrap_or_default().to_ascii_lowercase();
    let secret = |name: &str| secret_called(name, |key| key.directive);
    let keep = match (first.as_str(), second.as_str()) {
        ("masterauth" | "primaryauth", _) | ("user", "") => 1,
        ("user", _) => 2,
        ("sentinel", name) => match secret(name) {
            // The name of a master stands before it.
            Some(key) if key.section == "master" => 3,
            Some(_) => 2,
            None => return line.to_owned(),
        },
        (name, _) if secret(name).is_some() => 1,
        _ => return line.to_owned(),
    };
    let mut words: Vec<&str> = line.split_whitespace().collect();
    if words.len() > keep {
        words.truncate(keep);
        words.push("******");
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_begin_with_two_dashes() {
        let options: Vec<String> =
            ["--port", "1", "--bind", "a", "b", "--sentinel", "monitor", "m"].map(str::to_owned).into();
        assert_eq!(
            option_lines(&options),
            [vec!["port", "1"], vec!["bind", "a", "b"], vec!["sentinel", "monitor", "m"]]
        );
    }

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(mask("sentinel  AUTH-PASS m \"p w\""), "sentinel AUTH-PASS m ******");
        assert_eq!(mask("sentinel sentinel-pass x"), "sentinel sentinel-pass ******");
        assert_eq!(mask("requirepass \"a"), "requirepass ******");
        assert_eq!(mask("user alice on >secret"), "user alice ******");
        assert_eq!(mask("webhook-url https://h/x"), "webhook-url ******");
        assert_eq!(mask("port  1"), "port  1");
        // Nor what stands behind a misspelt name.
        assert_eq!(mask("webhok-url https://h/x"), "webhok-url ******");
        assert_eq!(mask("sentinel auth-pas m x"), "sentinel auth-pas m ******");
        assert_eq!(mask("webhook-url-file /run/x"), "webhook-url-file /run/x");
        assert_eq!(mask("sentinel auth-user m x"), "sentinel auth-user m x");
    }
}
