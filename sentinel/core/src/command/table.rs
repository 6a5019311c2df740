//! Which subcommands SENTINEL has: a file each, and here its row.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, Command, Query, auth_challenge, candidates, ckquorum, config, consensus, debug, errors, explain, failover,
    flushconfig, forget, forget_replica, get_master_addr, help, history, info_cache, is_master_down, master, masters,
    monitor, myid, pause, pending_scripts, problems, reload, remove, replicas, request_vote, reset, resume,
    row::{ADMIN, Listed, Row},
    sentinels, set, simulate_failure,
};
use crate::{time::Now, view::View};

/// Every subcommand: those of redis-sentinel 7.0, the `primary` spellings of Valkey 8, and ours. HELP tells them in this
/// order, which is the reference's.
#[rustfmt::skip]
pub static SUBCOMMANDS: &[Subcommand] = &[
    auth_challenge::ROW,
    candidates::ROW,
    ckquorum::ROW,
    config::ROW,
    consensus::ROW,
    debug::ROW,
    explain::ROW,
    get_master_addr::ROW,
    get_master_addr::PRIMARY,
    failover::ROW,
    flushconfig::ROW,
    forget::ROW,
    forget_replica::ROW,
    history::ROW,
    info_cache::ROW,
    is_master_down::ROW,
    is_master_down::PRIMARY,
    master::ROW,
    master::PRIMARY,
    masters::ROW,
    masters::PRIMARIES,
    monitor::ROW,
    myid::ROW,
    pause::ROW,
    pending_scripts::ROW,
    problems::ROW,
    reload::ROW,
    remove::ROW,
    replicas::ROW,
    replicas::SLAVES,
    request_vote::ROW,
    reset::ROW,
    resume::ROW,
    sentinels::ROW,
    set::ROW,
    simulate_failure::ROW,
    help::ROW,
];

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
        assert_eq!((names.len(), SUBCOMMANDS.len()), (37, 37));
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
        let expected = "auth-challenge 3, candidates 3, ckquorum 3, config -3, consensus 3, debug -2, explain 3, failover -3, flushconfig 2, forget 4, forget-replica 5, get-master-addr-by-name 3, \
                        get-primary-addr-by-name 3, help 2, history -3, info-cache -3, is-master-down-by-addr 6, \
                        is-primary-down-by-addr 6, master 3, masters 2, monitor 6, myid 2, pause -3, pending-scripts 2, \
                        primaries 2, primary 3, problems -2, reload 2, remove 3, replicas 3, request-vote 9, reset 3, resume -3, sentinels 3, set -5, \
                        simulate-failure -3, slaves 3";
        let mut ours: Vec<String> = SUBCOMMANDS.iter().map(|s| format!("{} {}", s.word(), s.arity)).collect();
        ours.sort();
        assert_eq!(ours.join(", "), expected);
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
