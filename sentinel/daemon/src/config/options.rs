//! The generic directives of the command line and the standard input, which are saved in a classic configuration with its first
//! rewrite, as the reference does it: they are in force from then on without being given again.

use super::{
    build::{Builder, Directive},
    fault::Refusal,
    model::Config,
};

/// What is never saved: users have lines of their own, and the reference keeps neither of the others.
const NOT_SAVED: [&str; 4] = ["include", "loadmodule", "rename-command", "user"];

/// One directive that is to be saved.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct OptionLine {
    /// What another line of the same kind begins with: the name, and for limits of buffers the class of clients.
    pub(super) slot: Vec<String>,
    /// The whole line, in words.
    pub(super) words: Vec<String>,
    /// Whether it says what counts without it: then it stands only in the place of another one.
    pub(super) is_default: bool,
}

impl OptionLine {
    /// Whether a line says just this, in whatever form.
    pub(super) fn stands_in(&self, line: &[u8]) -> bool {
        let words = super::words(line).unwrap_or_default();
        matches!(&words[..], [name, values @ ..] if name.eq_ignore_ascii_case(&self.words[0]) && *values == self.words[1..])
    }
}

/// Values may be passwords.
impl std::fmt::Debug for OptionLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OptionLine").field("slot", &self.slot).finish_non_exhaustive()
    }
}

impl Builder {
    /// Remembers a directive of the command line that was taken.
    pub(super) fn note_option(&mut self, directive: &Directive) -> Result<(), Refusal> {
        let name = directive.words[0].as_str();
        if NOT_SAVED.contains(&name) || super::reference::of_directive(name, false).is_some() {
            return Ok(());
        }
        let mut words = directive.words.clone();
        // Several values may have come as one word.
        if matches!(name, "bind" | "client-output-buffer-limit") {
            let values: Vec<&str> = words[1..].iter().map(String::as_str).collect();
            let split = super::generic::split_single(&values)?;
            words.truncate(1);
            words.extend(split);
        }
        if name == "dir"
            && let Some(dir) = &self.config.server.dir
        {
            words = vec!["dir".to_owned(), super::text_of(dir.as_os_str())];
        }
        let lines: Vec<Vec<String>> = if words[0] == "client-output-buffer-limit" {
            let class = |values: &[String]| [&words[..1], values].concat();
            words[1..].chunks(4).map(class).collect()
        } else {
            vec![words]
        };
        for words in lines {
            let slot = slot(&words);
            let is_default = self.says_the_default(directive, &words);
            self.options.retain(|known| known.slot != slot);
            self.options.push(OptionLine { slot, words, is_default });
        }
        Ok(())
    }

    /// Whether a line changes nothing in an empty configuration.
    fn says_the_default(&self, directive: &Directive, words: &[String]) -> bool {
        let mut empty = Builder { config: Config::default(), ..Builder::beside(self) };
        let taken = empty.generic(&Directive { words: words.to_vec(), ..directive.clone() });
        let default = Config::default();
        let data_node = super::directives::support(&words[0]) == Some(super::directives::Support::DataNode);
        taken.is_ok() && !data_node && empty.config.server == default.server && empty.config.globals == default.globals
    }
}

/// What tells a line from others of its kind. The name in lower case.
pub(super) fn slot(words: &[String]) -> Vec<String> {
    let of =
        if words.first().is_some_and(|name| name.eq_ignore_ascii_case("client-output-buffer-limit")) { 2 } else { 1 };
    let slave = |word: String| if word == "slave" { "replica".to_owned() } else { word };
    words.iter().take(of).map(|word| slave(word.to_ascii_lowercase())).collect()
}
