//! Secrets that stand elsewhere: `auth-pass-file`, `requirepass-env`, `users-file` and their like, in both grammars.

use sentinel_resp::text;

use super::{
    build::{Builder, Directive},
    fault::{Refusal, system_text},
    keys::{KEYS, Kind},
};

/// Where a secret stands that a line only names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Elsewhere {
    /// In a file that holds it alone.
    File,
    /// In an environment variable.
    Environment,
}

/// A `sentinel` line that names a secret, and what it stands for. The first is written back, never the second.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// Everything after the word `sentinel`, as it stands.
    pub(super) words: Vec<String>,
    /// The same with the secret itself.
    pub(super) means: Vec<String>,
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference").field("words", &self.words).finish_non_exhaustive()
    }
}

/// Both endings of a name that says where a secret stands.
pub(super) const SUFFIXES: [(&str, Elsewhere); 2] = [("-file", Elsewhere::File), ("-env", Elsewhere::Environment)];

/// The directive that a name stands for which ends in `-file` or `-env`, if that is a secret one.
pub(super) fn of_directive(name: &str, in_sentinel: bool) -> Option<(&str, Elsewhere)> {
    let (stem, elsewhere) =
        SUFFIXES.iter().find_map(|(suffix, elsewhere)| Some((name.strip_suffix(suffix)?, *elsewhere)))?;
    if !in_sentinel && stem == "users" {
        return Some(("user", elsewhere));
    }
    let secret = KEYS.iter().any(|key| {
        let sentinel = matches!(key.section, "" | "sentinel" | "master");
        key.kind == Kind::Secret && key.directive == stem && sentinel == in_sentinel
    });
    secret.then_some((stem, elsewhere))
}

impl Builder {
    /// The text that stands in a file or in the environment, without the end of its last line.
    pub(super) fn text_from(&self, elsewhere: Elsewhere, name: &str) -> Result<String, Refusal> {
        let text = match elsewhere {
            Elsewhere::Environment => (self.environment)(name).ok_or_else(|| {
                Refusal::new(
                    format!("the environment variable {name} is not set"),
                    format!("set {name} before the start"),
                )
            })?,
            Elsewhere::File => {
                let path = self.resolve(name);
                let bytes = self.files.read(&path).map_err(|error| {
                    Refusal::new(
                        format!("can't read {}: {}", path.display(), system_text(&error)),
                        "name a file that this user may read and that holds the secret alone",
                    )
                })?;
                text::of_vec(bytes)
            }
        };
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(Refusal::new("the secret is empty", "put it there, or remove the line that names it"));
        }
        Ok(line.to_owned())
    }

    /// A password from elsewhere. It is one line.
    pub(super) fn secret_from(&self, elsewhere: Elsewhere, name: &str) -> Result<String, Refusal> {
        let secret = self.text_from(elsewhere, name)?;
        if secret.contains('\n') {
            return Err(Refusal::new("the secret has several lines", "put the secret there alone, on one line"));
        }
        Ok(secret)
    }

    /// Users from elsewhere: each line is one, with or without the word `user`; empty lines and comments do not count.
    pub(super) fn users_from(&self, elsewhere: Elsewhere, name: &str) -> Result<Vec<Vec<String>>, Refusal> {
        let text = self.text_from(elsewhere, name)?;
        let mut users = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut words = super::words(&text::bytes(line))
                .map_err(|_| Refusal::new(format!("unbalanced quotes in {name}"), "close the quotes there"))?;
            if words.first().is_some_and(|word| word.eq_ignore_ascii_case("user")) {
                words.remove(0);
            }
            users.push(words);
        }
        Ok(users)
    }

    /// Applies a generic line that names a secret.
    pub(super) fn generic_from(
        &mut self,
        directive: &Directive,
        stem: &str,
        elsewhere: Elsewhere,
    ) -> Result<(), Refusal> {
        let [_, name] = &directive.words[..] else {
            return Err(Refusal::new(
                "wrong number of arguments",
                format!("write `{} NAME`; a name with blanks needs \"quotes\"", directive.words[0]),
            ));
        };
        if stem == "user" {
            self.users_elsewhere = true;
            for words in self.users_from(elsewhere, name)? {
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                self.user(&words).map_err(|mut refusal| {
                    refusal.remedy = format!("put it right in {name}: each line is a name and its rules");
                    refusal
                })?;
            }
            return Ok(());
        }
        let secret = self.secret_from(elsewhere, name)?;
        let words = vec![stem.to_owned(), secret];
        self.generic(&Directive { words, ..directive.clone() })
    }

    /// Applies a `sentinel` line that names a secret, and remembers what it stands for.
    pub(super) fn sentinel_from(
        &mut self,
        directive: &Directive,
        stem: &str,
        elsewhere: Elsewhere,
    ) -> Result<(), Refusal> {
        let Some((name, before)) = directive.words[2..].split_last() else {
            return Err(Refusal::new(
                "Unrecognized sentinel configuration statement.",
                format!("write `sentinel {} NAME`, with the master before it where it is one's", directive.words[1]),
            ));
        };
        let secret = self.secret_from(elsewhere, name)?;
        let means: Vec<String> =
            std::iter::once(stem.to_owned()).chain(before.iter().cloned()).chain([secret]).collect();
        let words = std::iter::once("sentinel".to_owned()).chain(means.iter().cloned()).collect();
        self.sentinel(&Directive { words, ..directive.clone() })?;
        self.references.push(Reference { words: directive.words[1..].to_vec(), means });
        Ok(())
    }
}
