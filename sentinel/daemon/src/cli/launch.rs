//! The words of a command line that starts a Sentinel.

use std::path::PathBuf;

use crate::{config::path_of, log::Format};

/// What a Sentinel is started with: `CONFIG [--directive value ...] [-]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launch {
    /// The configuration file, if one was named.
    pub config: Option<PathBuf>,
    /// What is read after it.
    pub directives: Vec<String>,
    /// Whether further lines come from standard input.
    pub stdin: bool,
    /// How log lines look, if that was said. The only word that is not a directive of the reference.
    pub log_format: Option<Format>,
    /// A look that was asked for and that there is not.
    pub unknown_log_format: Option<String>,
}

impl Launch {
    /// Reads the words behind the program's name.
    pub fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut words: Vec<String> = words.into_iter().collect();
        let mut launch = Launch::default();
        if words.last().is_some_and(|word| word == "-") {
            words.pop();
            launch.stdin = true;
        }
        let mut words = words.into_iter().peekable();
        if words.next_if(|word| word == "-").is_some() {
            launch.stdin = true;
        }
        // `--sentinel` says to redis-server what this program is anyway. With values it is a directive.
        let mut first = true;
        while let Some(word) = words.next() {
            let alone = words.peek().is_none_or(|next| next.starts_with("--"));
            if word == "--sentinel" && (alone || first) {
                continue;
            }
            if word == "--log-format"
                && let Some(name) = words.next_if(|name| !name.starts_with("--"))
            {
                match named(&name) {
                    Some(format) => launch.log_format = Some(format),
                    None => launch.unknown_log_format = Some(name),
                }
                continue;
            }
            if first && !word.starts_with("--") {
                launch.config = Some(path_of(&word));
            } else {
                launch.directives.push(word);
            }
            first = false;
        }
        launch
    }
}

fn named(name: &str) -> Option<Format> {
    clap::ValueEnum::from_str(name, true).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(words: &str) -> Launch {
        Launch::new(words.split(' ').map(str::to_owned))
    }

    #[test]
    fn a_file_then_directives() {
        let read = launch("my.conf --port 26380 --loglevel debug");
        assert_eq!(read.config, Some(PathBuf::from("my.conf")));
        assert_eq!(read.directives, ["--port", "26380", "--loglevel", "debug"]);
        assert_eq!((read.stdin, read.log_format), (false, None));
    }

    #[test]
    fn the_word_sentinel_alone_says_nothing() {
        for words in ["my.conf --sentinel", "--sentinel my.conf", "my.conf --sentinel --port 1"] {
            let read = launch(words);
            assert_eq!(read.config, Some(PathBuf::from("my.conf")), "{words}");
            assert!(!read.directives.contains(&"--sentinel".to_owned()), "{words}");
        }
        assert_eq!(launch("my.conf --sentinel monitor m 127.0.0.1 1 1").directives.len(), 6);
    }

    #[test]
    fn a_dash_at_either_end_is_the_standard_input() {
        assert!(launch("- my.conf").stdin && launch("my.conf --port 1 -").stdin);
        assert_eq!(launch("- my.conf").config, Some(PathBuf::from("my.conf")));
        assert_eq!(launch("my.conf --port 1 -").directives, ["--port", "1"]);
    }

    #[test]
    fn the_log_format_is_ours() {
        let read = launch("my.conf --log-format json --port 1");
        assert_eq!((read.log_format, read.directives.len()), (Some(Format::Json), 2));
    }

    #[test]
    fn a_log_format_that_there_is_not_is_no_directive() {
        let read = launch("my.conf --log-format xml --port 1");
        assert_eq!((read.unknown_log_format.as_deref(), read.directives.len()), (Some("xml"), 2));
    }

    #[test]
    fn without_a_file_there_is_none() {
        assert_eq!(launch("--port 1").config, None);
        assert_eq!(Launch::new([]).config, None);
    }
}
