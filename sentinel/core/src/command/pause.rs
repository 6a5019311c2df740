//! SENTINEL PAUSE and RESUME.

use std::time::Duration;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{Change, argument};
use crate::guard::{LONGEST_REASON, Pause};

/// `name|* [ttl [reason [LOCAL]]]`. None: not understood.
pub(super) fn pause(name: &Bytes, words: &[Bytes]) -> Result<Option<Change>, Reply> {
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
    let reason = reason.map(|word| argument::text(word).into_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.len() > LONGEST_REASON) {
        return Err(Reply::err(format!("the reason is longer than {LONGEST_REASON} bytes")));
    }
    let pause = Some(Pause { ttl: Some(ttl).filter(|ttl| !ttl.is_zero()), reason });
    Ok(Some(Change::Pause { name: argument::known_name(name), pause, local }))
}

/// `name|* [LOCAL]`. None: not understood.
pub(super) fn resume(name: &Bytes, words: &[Bytes]) -> Option<Change> {
    let local = match words {
        [] => false,
        [word] if is_local(word) => true,
        _ => return None,
    };
    Some(Change::Pause { name: argument::known_name(name), pause: None, local })
}

fn is_local(word: &[u8]) -> bool {
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

    fn parsed(line: &str) -> Result<Option<Change>, Reply> {
        pause(&Bytes::from_static(b"m"), &words(line))
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
        assert_eq!(resume(&Bytes::from_static(b"m"), &words("x")), None);
    }
}
