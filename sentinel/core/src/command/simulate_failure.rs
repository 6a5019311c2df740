//! SENTINEL SIMULATE-FAILURE: a crash at a chosen point of a failover, for tests.

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, SimulatedFailures,
    syntax::{bare, one_of},
    table::{Does, Subcommand},
};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Makes this Sentinel crash in a failover, for tests.",
    since: Some("3.2.0"),
    complexity: None,
    arguments: &[
        one_of("mode", &[bare("crash-after-election"), bare("crash-after-promotion"), bare("help")]).any_number()
    ],
    help: &[
        "SIMULATE-FAILURE [CRASH-AFTER-ELECTION] [CRASH-AFTER-PROMOTION] [HELP]",
        "    Exit at that point of the next failover, to test the others.",
    ],
    ..Subcommand::admin("sentinel|simulate-failure", -3, Does::Change(|words| Ok(Some(parse(words)))))
};

const AFTER_ELECTION: &str = "crash-after-election";
const AFTER_PROMOTION: &str = "crash-after-promotion";

/// `SENTINEL SIMULATE-FAILURE flag...`: the flags replace the earlier ones, also when there are none because of HELP
/// or because the first one is unknown.
fn parse(words: &[Bytes]) -> Change {
    let mut failures = SimulatedFailures::default();
    let mut answer = Reply::ok();
    for word in words {
        if word.eq_ignore_ascii_case(AFTER_ELECTION.as_bytes()) {
            failures.crash_after_election = true;
        } else if word.eq_ignore_ascii_case(AFTER_PROMOTION.as_bytes()) {
            failures.crash_after_promotion = true;
        } else if word.eq_ignore_ascii_case(b"help") {
            answer = Reply::array([AFTER_ELECTION, AFTER_PROMOTION]);
            break;
        } else {
            answer = Reply::err("Unknown failure simulation specified");
            break;
        }
    }
    Change::SimulateFailure { failures, answer }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::words;

    fn parsed(line: &str) -> (u8, Reply) {
        match parse(&words(line)) {
            Change::SimulateFailure { failures, answer } => (failures.bits(), answer),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn flags_before_help_or_an_unknown_word_count() {
        let help = || Reply::array(["crash-after-election", "crash-after-promotion"]);
        let unknown = || Reply::error("ERR Unknown failure simulation specified");
        assert_eq!(parsed("crash-after-election"), (1, Reply::ok()));
        assert_eq!(parsed("Crash-After-Promotion"), (2, Reply::ok()));
        assert_eq!(parsed("crash-after-promotion crash-after-election"), (3, Reply::ok()));
        assert_eq!(parsed("help"), (0, help()));
        assert_eq!(parsed("crash-after-promotion HELP foo"), (2, help()));
        assert_eq!(parsed("foo"), (0, unknown()));
        assert_eq!(parsed("crash-after-election foo crash-after-promotion"), (1, unknown()));
    }
}
