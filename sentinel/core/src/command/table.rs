//! Which subcommands SENTINEL has, and how many words each takes.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::errors;

/// One SENTINEL subcommand, as COMMAND and ACL rules know it.
#[derive(Clone, Copy, Debug)]
pub struct Subcommand {
    /// Lower case, as it stands behind `sentinel|`.
    pub name: &'static str,
    /// Number of words with `SENTINEL` and the subcommand: exact if positive, a minimum if negative.
    pub arity: i32,
    /// Whether it carries the flag `admin` and the categories `@admin @slow @dangerous`. HELP alone does not: its
    /// flags are `loading stale`, its only category is `@slow`.
    pub admin: bool,
    /// What it does, in one sentence for COMMAND DOCS.
    pub summary: &'static str,
    pub(super) verb: Verb,
}

impl Subcommand {
    /// Whether it tells the address of a master, which is most of what a Sentinel is asked for.
    pub const fn tells_address(&self) -> bool {
        matches!(self.verb, Verb::MasterAddress)
    }

    /// Whether a request of so many words, `SENTINEL` and the subcommand among them, has the right length.
    pub fn accepts(&self, words: usize) -> bool {
        let bound = usize::try_from(self.arity.unsigned_abs()).unwrap_or(usize::MAX);
        if self.arity < 0 { words >= bound } else { words == bound }
    }
}

/// What a subcommand does, whichever way it is spelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    AuthChallenge,
    Candidates,
    CheckQuorum,
    Config,
    Consensus,
    Debug,
    Explain,
    Failover,
    FlushConfig,
    Forget,
    ForgetReplica,
    MasterAddress,
    Help,
    History,
    InfoCache,
    IsMasterDown,
    Master,
    Masters,
    Monitor,
    MyId,
    Pause,
    PendingScripts,
    Problems,
    Reload,
    Remove,
    Replicas,
    RequestVote,
    Reset,
    Resume,
    Sentinels,
    Set,
    SimulateFailure,
}

const fn admin(name: &'static str, arity: i32, verb: Verb, summary: &'static str) -> Subcommand {
    Subcommand { name, arity, admin: true, summary, verb }
}

/// Every subcommand, by name: those of redis-sentinel 7.0 and the `primary` spellings of Valkey 8.
pub const SUBCOMMANDS: &[Subcommand] = &[
    admin("auth-challenge", 3, Verb::AuthChallenge, "Proves to another Sentinel that this one knows the key."),
    admin("candidates", 3, Verb::Candidates, "Ranks the replicas, or says why they would not be promoted."),
    admin("ckquorum", 3, Verb::CheckQuorum, "Tells whether enough Sentinels are usable for quorum and majority."),
    admin("config", -3, Verb::Config, "Reads or changes the settings of this Sentinel."),
    admin("consensus", 3, Verb::Consensus, "Shows what each Sentinel believes of a master."),
    admin("debug", -2, Verb::Debug, "Lists or changes the timing constants."),
    admin("explain", 3, Verb::Explain, "Says why there was or was not a failover, and what would happen now."),
    admin("failover", -3, Verb::Failover, "Starts a failover without the agreement of other Sentinels."),
    admin("flushconfig", 2, Verb::FlushConfig, "Writes the configuration and the state to disk."),
    admin("forget", 4, Verb::Forget, "Forgets another Sentinel that is gone."),
    admin("forget-replica", 5, Verb::ForgetReplica, "Forgets a replica that is gone."),
    admin("get-master-addr-by-name", 3, Verb::MasterAddress, "Tells the address of a master."),
    admin("get-primary-addr-by-name", 3, Verb::MasterAddress, "Tells the address of a master."),
    Subcommand { name: "help", arity: 2, admin: false, summary: "Lists the subcommands.", verb: Verb::Help },
    admin("history", -3, Verb::History, "Tells what happened to a master: outages and failovers."),
    admin("info-cache", -3, Verb::InfoCache, "Shows the last INFO of masters and their replicas."),
    admin("is-master-down-by-addr", 6, Verb::IsMasterDown, "Asks for an opinion on a master, or for a vote."),
    admin("is-primary-down-by-addr", 6, Verb::IsMasterDown, "Asks for an opinion on a master, or for a vote."),
    admin("master", 3, Verb::Master, "Shows the state of one master."),
    admin("masters", 2, Verb::Masters, "Shows the state of every monitored master."),
    admin("monitor", 6, Verb::Monitor, "Begins to monitor a master."),
    admin("myid", 2, Verb::MyId, "Tells the id of this Sentinel."),
    admin("pause", -3, Verb::Pause, "Has no Sentinel nominate itself, for a time."),
    admin("pending-scripts", 2, Verb::PendingScripts, "Lists the scripts that run or wait."),
    admin("primaries", 2, Verb::Masters, "Shows the state of every monitored master."),
    admin("primary", 3, Verb::Master, "Shows the state of one master."),
    admin("problems", -2, Verb::Problems, "Lists what is wrong, the worst first, with what mends it."),
    admin("reload", 2, Verb::Reload, "Reads the configuration again and applies what it may."),
    admin("remove", 3, Verb::Remove, "Ends monitoring of a master."),
    admin("replicas", 3, Verb::Replicas, "Shows the replicas of a master."),
    admin("request-vote", 9, Verb::RequestVote, "Asks for an opinion on a master, or for a vote, with a signature."),
    admin("reset", 3, Verb::Reset, "Forgets what was learnt about the masters that match."),
    admin("resume", -3, Verb::Resume, "Ends a pause."),
    admin("sentinels", 3, Verb::Sentinels, "Shows the other Sentinels of a master."),
    admin("set", -5, Verb::Set, "Changes settings of a master."),
    admin("simulate-failure", -3, Verb::SimulateFailure, "Makes this Sentinel crash in a failover, for tests."),
    admin("slaves", 3, Verb::Replicas, "Shows the replicas of a master."),
];

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
        .find(|known| word.eq_ignore_ascii_case(known.name.as_bytes()))
        .ok_or_else(|| errors::unknown_subcommand(word))?;
    if subcommand.accepts(args.len()) { Ok(subcommand) } else { Err(wrong_arity(subcommand)) }
}

/// The error for a wrong number of words after this subcommand.
pub(super) fn wrong_arity(subcommand: &Subcommand) -> Reply {
    errors::wrong_arity(&format!("sentinel|{}", subcommand.name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(words: &[&'static [u8]]) -> Result<(), String> {
        let args: Vec<Bytes> = words.iter().copied().map(Bytes::from_static).collect();
        check_shape(&args).map_err(|reply| reply.as_text().unwrap_or_default().to_owned())
    }

    #[test]
    fn names_are_sorted_lower_case_and_unique() {
        assert!(SUBCOMMANDS.is_sorted_by(|a, b| a.name < b.name));
        assert!(SUBCOMMANDS.iter().all(|s| s.name == s.name.to_ascii_lowercase()));
        assert_eq!(SUBCOMMANDS.len(), 37);
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
        let ours: Vec<String> = SUBCOMMANDS.iter().map(|s| format!("{} {}", s.name, s.arity)).collect();
        assert_eq!(ours.join(", "), expected);
    }
}
