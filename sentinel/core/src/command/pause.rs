//! SENTINEL PAUSE: nobody is nominated, for a time.

use std::time::Duration;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, argument,
    syntax::string,
    table::{Does, Subcommand},
};
use crate::guard::Pause;

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Has no Sentinel nominate itself, for a time.",
    arguments: &[string("master-name"), string("seconds").optional(), string("reason").optional()],
    further_help: &[
        "PAUSE <master-name>|* [<seconds> [<reason>]]",
        "    Nominate nobody, here and at all other Sentinels that know this command, until",
        "    the time is over (30m, 2h; 0 is without end) or it is resumed.",
    ],
    ..Subcommand::ours("sentinel|pause", -3, Does::Change(read))
};

fn read(words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let [name, words @ ..] = words else { return Ok(None) };
    parse(name, words)
}

/// `name|* [ttl [reason [LOCAL]]]`. None: not understood.
fn parse(name: &Bytes, words: &[Bytes]) -> Result<Option<Change>, Reply> {
    let (ttl, reason, local) = match words {
        [] => (None, None, false),
        [ttl] => (Some(ttl), None, false),
        [ttl, reason] => (Some(ttl), Some(reason), false),
        [ttl, reason, last] if is_local(last) => (Some(ttl), Some(reason), true),
        _ => return Ok(None),
    };
    argument::without_control("SENTINEL PAUSE", 3, words)?;
    let ttl = match ttl {
        Some(word) => time(&argument::text(word)).ok_or_else(bad_time)?,
        None => Duration::ZERO,
    };
    let reason = reason.map_or(Ok(None), argument::reason)?;
    let pause = Some(Pause { ttl: Some(ttl).filter(|ttl| !ttl.is_zero()), reason });
    Ok(Some(Change::Pause { name: argument::known_name(name), pause, local }))
}

pub(super) fn is_local(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"LOCAL")
}

fn bad_time() -> Reply {
    Reply::err("the time is a number of seconds, or one with s, m, h or d behind it; 0 is without end")
}

/// Seconds, or a number with a unit; at most ten years.
fn time(word: &str) -> Option<Duration> {
    let digits = word.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match word.get(digits.len()..)? {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return None,
    };
    let seconds = digits.parse::<u64>().ok()?.checked_mul(unit)?;
    (seconds <= 10 * 366 * 86_400).then(|| Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::words;
    use crate::guard::LONGEST_REASON;

    fn parsed(line: &str) -> Result<Option<Change>, Reply> {
        parse(&Bytes::from_static(b"m"), &words(line))
    }

    #[test]
    fn a_pause_has_a_time_and_a_reason_or_neither() {
        let change = |ttl: Option<u64>, reason: Option<&str>, local| {
            let pause = Pause { ttl: ttl.map(Duration::from_secs), reason: reason.map(str::to_owned) };
            Ok(Some(Change::Pause { name: "m".to_owned(), pause: Some(pause), local }))
        };
        assert_eq!(parsed(""), change(None, None, false));
        assert_eq!(parsed("90"), change(Some(90), None, false));
        assert_eq!(parsed("2h 'a new kernel'"), change(Some(7_200), Some("a new kernel"), false));
        assert_eq!(parsed("0 '' local"), change(None, None, true));
        for line in ["1x", "-1", "99999999999999999999", "4000d", "m"] {
            assert_eq!(parsed(line), Err(bad_time()), "{line}");
        }
        assert_eq!(parsed("1 2 3"), Ok(None));
        assert!(parsed(&format!("1 {}", "x".repeat(LONGEST_REASON + 1))).is_err());
    }
}
