//! What a shell is told while somebody types: commands and options from the definition, names from a running Sentinel.
//!
//! The script of a shell calls the program again with the words typed so far ([`VARIABLE`] says for which shell), so
//! that the completions are always those of the program that is installed.

use std::{
    ffi::{OsStr, OsString},
    io,
    sync::OnceLock,
    time::Duration,
};

use clap::FromArgMatches as _;
use clap_complete::{
    CompleteEnv, Shell,
    engine::{ArgValueCandidates, CompletionCandidate},
    env::Shells,
};

use super::{definition, reply, target::Target};

/// Set by the script of a shell.
const VARIABLE: &str = "SENTINEL_COMPLETE";

/// Whether the shell that calls is bash.
static IS_BASH: OnceLock<bool> = OnceLock::new();

/// Somebody waits with a finger on a key.
const PATIENCE: Duration = Duration::from_millis(700);

/// The script for a shell.
pub(super) fn script(shell: Shell) -> io::Result<Vec<u8>> {
    let (shells, mut text) = (Shells::builtins(), Vec::new());
    let name = shell.to_string();
    let writer = shells.completer(&name).ok_or(io::ErrorKind::Unsupported)?;
    writer.write_registration(VARIABLE, "sentinel", "sentinel", "sentinel", &mut text)?;
    if shell == Shell::Zsh {
        // As a file of its search path zsh reads it at the first key, and wants that answered, too.
        text.extend_from_slice(b"[[ ${funcstack[1]} != _sentinel ]] || _clap_dynamic_completer_sentinel \"$@\"\n");
    }
    Ok(text)
}

/// Completes the words of a shell, if it is a shell that calls. Standard output is its own then.
pub(super) fn answered(words: &[OsString]) -> bool {
    let current = std::env::current_dir().ok();
    // The variable is gone when names are asked for, so that a program which is called then completes nothing.
    let _ = IS_BASH.set(std::env::var_os(VARIABLE).is_some_and(|shell| shell == *"bash"));
    // What is wrong while somebody types is told by nothing being completed.
    !words.is_empty()
        && CompleteEnv::with_factory(definition)
            .var(VARIABLE)
            .try_complete(words.to_vec(), current.as_deref())
            .unwrap_or(true)
}

/// Completes the names of masters.
pub(super) fn masters() -> ArgValueCandidates {
    ArgValueCandidates::new(|| asked(|_| Some(vec!["masters".to_owned()]), "name"))
}

/// Completes the addresses of the replicas of the master that was named before.
pub(super) fn replicas() -> ArgValueCandidates {
    ArgValueCandidates::new(|| asked(|name| Some(vec!["replicas".to_owned(), name?.to_owned()]), "name"))
}

/// One field of each table that a Sentinel answers with.
fn asked(command: impl FnOnce(Option<&str>) -> Option<Vec<String>>, field: &str) -> Vec<CompletionCandidate> {
    let words = std::env::args_os().skip_while(|word| word != OsStr::new("--")).skip(1);
    let matches = definition().ignore_errors(true).try_get_matches_from(words);
    let Ok(Some((_, matches))) = matches.as_ref().map(|it| it.subcommand()) else { return Vec::new() };
    let Ok(target) = Target::from_arg_matches(matches) else { return Vec::new() };
    let name = matches.try_get_one::<String>("name").ok().flatten();
    let Some(command) = command(name.map(String::as_str)) else { return Vec::new() };
    let Some(answer) = target.ask_quietly(&command.iter().map(String::as_str).collect::<Vec<_>>(), PATIENCE) else {
        return Vec::new();
    };
    let tables = reply::tables(&answer);
    let is_bash = IS_BASH.get().copied().unwrap_or_default();
    let shown = |value: &str| if is_bash { escaped(value) } else { value.to_owned() };
    tables.iter().filter_map(|table| table[field].as_str()).map(shown).map(CompletionCandidate::new).collect()
}

/// A word as it is typed in bash, which inserts what it is told as it stands. Other shells do this themselves.
fn escaped(word: &str) -> String {
    let plain = |letter: char| !letter.is_ascii() || letter.is_ascii_alphanumeric() || "_./:@%+=,-".contains(letter);
    word.chars().flat_map(|letter| (!plain(letter)).then_some('\\').into_iter().chain([letter])).collect()
}
