//! How a subcommand of SENTINEL is found and understood.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, Command, Query, SUBCOMMANDS, errors,
    row::{ADMIN, Listed, Row},
};
use crate::{time::Now, view::View};

/// One SENTINEL subcommand.
pub type Subcommand = Row<Does>;

/// What is done for a subcommand with its words, those behind its name.
#[derive(Clone, Copy, Debug)]
pub enum Does {
    /// It is answered from a view.
    Answer(Answer),
    /// As [`Answer`](Self::Answer), but for one that is asked far more often than all others: whoever holds the client may
    /// have a shorter way to [`serving`](super::serving).
    TellAddress(Answer),
    /// It becomes a change.
    Change(Parse),
    /// It is answered if this holds of its words, else it becomes a change.
    AnswerIf(fn(&[Bytes]) -> bool, Answer, Parse),
    /// [`Command::Reload`]
    Reload,
}

/// The answer, as of a view. None: not with these words, which is an error of arity.
pub type Answer = fn(&[Bytes], &View, Now) -> Option<Reply>;
/// The change that words ask for, or what is wrong with them. None: an error of arity.
pub type Parse = fn(&[Bytes]) -> Result<Option<Change>, Reply>;

impl Subcommand {
    /// A command for administrators, as all are but HELP.
    pub(super) const fn admin(name: &'static str, arity: i32, does: Does) -> Self {
        Row { flags: &["admin"], categories: ADMIN, ..Row::new(name, "sentinel", arity, does) }
    }

    /// One that the reference does not have.
    pub(super) const fn ours(name: &'static str, arity: i32, does: Does) -> Self {
        Row { listed: Listed::ByNone, ..Row::admin(name, arity, does) }
    }

    /// The same in Valkey's spelling.
    pub(super) const fn of_valkey(&self, name: &'static str) -> Self {
        let (since, stands_for) = (Some("8.0.0"), Some(self.name));
        Row { name, since, stands_for, help: &[], listed: Listed::ByValkey, ..*self }
    }

    /// Understands the words behind the name of a subcommand, once their number is right.
    ///
    /// The error is the reply for the client. Words that are wrong only because of the state — an unknown master, a
    /// host name while names are off — pass; they are the business of whoever knows the state.
    pub fn parse(&'static self, words: &[Bytes]) -> Result<Command, Reply> {
        let query = || Ok(Command::Query(Query::new(self, words)));
        let parse = match self.does {
            Does::Answer(_) | Does::TellAddress(_) => return query(),
            Does::AnswerIf(is_query, ..) if is_query(words) => return query(),
            Does::Reload => return Ok(Command::Reload),
            Does::AnswerIf(_, _, parse) | Does::Change(parse) => parse,
        };
        parse(words)?.map(Command::Change).ok_or_else(|| wrong_arity(self))
    }
}

/// Checks that the subcommand exists and has the right number of words.
///
/// This comes before authentication, so that a client that is not authenticated still learns about both; everything
/// else about the words is the business of [`Command::parse`](super::Command::parse). `args[0]` is the word
/// `SENTINEL`, which the caller has recognised.
pub fn check_shape(args: &[Bytes]) -> Result<(), Reply> {
    find(args).map(drop)
}

/// The subcommand meant by `args[1]`, if its number of words is right.
pub(super) fn find(args: &[Bytes]) -> Result<&'static Subcommand, Reply> {
    let Some(word) = args.get(1) else {
        return Err(errors::wrong_arity("sentinel"));
    };
    let subcommand = SUBCOMMANDS
        .iter()
        .find(|known| word.eq_ignore_ascii_case(known.word().as_bytes()))
        .ok_or_else(|| errors::unknown_subcommand(word))?;
    if subcommand.accepts(args.len()) { Ok(subcommand) } else { Err(wrong_arity(subcommand)) }
}

/// The error for a wrong number of words after this subcommand.
pub(super) fn wrong_arity(subcommand: &Subcommand) -> Reply {
    errors::wrong_arity(subcommand.name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::command::{
        sample::{master, now, view},
        syntax::forms,
    };

    fn shape(words: &[&'static [u8]]) -> Result<(), String> {
        let args: Vec<Bytes> = words.iter().copied().map(Bytes::from_static).collect();
        check_shape(&args).map_err(|reply| reply.as_text().unwrap_or_default().to_owned())
    }

    #[test]
    fn names_are_lower_case_and_unique() {
        let names: BTreeSet<&str> = SUBCOMMANDS.iter().map(|s| s.name).collect();
        assert!(names.iter().all(|name| *name == name.to_ascii_lowercase() && name.starts_with("sentinel|")));
        assert_eq!(names.len(), SUBCOMMANDS.len());
    }

    #[test]
    fn existence_comes_before_arity() {
        assert_eq!(shape(&[b"SENTINEL"]).unwrap_err(), "ERR wrong number of arguments for 'sentinel' command");
        assert_eq!(shape(&[]).unwrap_err(), "ERR wrong number of arguments for 'sentinel' command");
        assert_eq!(
            shape(&[b"sentinel", b"foo", b"bar"]).unwrap_err(),
            "ERR unknown subcommand 'foo'. Try SENTINEL HELP."
        );
        assert_eq!(
            shape(&[b"sentinel", b"Master"]).unwrap_err(),
            "ERR wrong number of arguments for 'sentinel|master' command"
        );
        assert_eq!(
            shape(&[b"sentinel", b"PRIMARY"]).unwrap_err(),
            "ERR wrong number of arguments for 'sentinel|primary' command"
        );
        assert_eq!(
            shape(&[b"sentinel", b"set", b"m", b"foo"]).unwrap_err(),
            "ERR wrong number of arguments for 'sentinel|set' command"
        );
        assert_eq!(shape(&[b"sentinel", b"set", b"m", b"foo", b"bar", b"baz"]), Ok(()));
    }

    #[test]
    fn a_long_or_odd_subcommand_is_repeated_as_the_reference_repeats_it() {
        let long = Bytes::from(vec![b'x'; 200]);
        let reply = check_shape(&[Bytes::from_static(b"sentinel"), long]).unwrap_err();
        assert_eq!(reply, Reply::error(format!("ERR unknown subcommand '{}'. Try SENTINEL HELP.", "x".repeat(128))));
        assert_eq!(shape(&[b"sentinel", b"a\0b"]).unwrap_err(), "ERR unknown subcommand 'a'. Try SENTINEL HELP.");
    }

    /// The arities as `COMMAND INFO` of redis-sentinel 7.0.15 gives them, and Valkey's for its own spellings; FAILOVER has
    /// options of ours.
    #[test]
    fn arities_are_the_references() {
        let expected = "ckquorum 3, config -3, debug -2, failover -3, flushconfig 2, get-master-addr-by-name 3, \
                        get-primary-addr-by-name 3, help 2, info-cache -3, is-master-down-by-addr 6, \
                        is-primary-down-by-addr 6, master 3, masters 2, monitor 6, myid 2, pending-scripts 2, \
                        primaries 2, primary 3, remove 3, replicas 3, reset 3, sentinels 3, set -5, \
                        simulate-failure -3, slaves 3";
        let theirs = SUBCOMMANDS.iter().filter(|s| s.listed != Listed::ByNone);
        let mut theirs: Vec<String> = theirs.map(|s| format!("{} {}", s.word(), s.arity)).collect();
        theirs.sort();
        assert_eq!(theirs.join(", "), expected);
    }

    /// COMMAND DOCS, HELP and the parser tell the same.
    #[test]
    fn what_is_documented_is_understood() {
        for subcommand in SUBCOMMANDS {
            for form in forms::all(subcommand.arguments) {
                let words: Vec<Bytes> = form.iter().map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
                // The reference documents that it may be said without any, and refuses it.
                if subcommand.name == "sentinel|simulate-failure" && words.is_empty() {
                    continue;
                }
                assert!(subcommand.accepts(words.len() + 2), "{} {form:?}", subcommand.name);
                let wrong = match subcommand.parse(&words) {
                    Ok(Command::Query(query)) => query.answer(&view([master("m")]), now()) == wrong_arity(subcommand),
                    Ok(Command::Change(_) | Command::Reload) => false,
                    Err(reply) => reply == wrong_arity(subcommand),
                };
                assert!(!wrong, "{} {form:?}", subcommand.name);
            }
        }
    }

    #[test]
    fn help_and_documentation_have_the_same_fixed_words() {
        for subcommand in SUBCOMMANDS.iter().filter(|it| it.replaced.is_none() && it.listed != Listed::ByValkey) {
            let usages = subcommand.help.iter().chain(subcommand.further_help).filter(|line| !line.starts_with(' '));
            let told: BTreeSet<String> = usages
                .flat_map(|usage| usage.split(' ').skip(1))
                .map(|word| word.trim_matches(['[', ']']).to_owned())
                .filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase()))
                .collect();
            let documented: BTreeSet<String> = forms::tokens(subcommand.arguments).into_iter().collect();
            assert_eq!(told, documented, "{}", subcommand.name);
        }
    }
}
