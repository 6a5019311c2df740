//! What INFO says of a node that decides nothing. Only problems are made of it.

use std::time::Duration;

use super::InfoReport;
use crate::{time::WallTime, view::Role};

/// The clock of a node and that of this host may differ by so many milliseconds. Answers that are late by a second or
/// two, and hosts that are set right once a minute, stay below.
const CLOCKS_APART: u64 = 10_000;
/// Two looks that are less apart say little about how much is written.
const LEAST_SPAN: Duration = Duration::from_secs(1);

/// As one INFO tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    /// `min_slaves_good_slaves`: the replicas that count for `min-replicas-to-write`. Told only where that is set.
    good_replicas: Option<u64>,
    /// `repl_backlog_size`, in bytes.
    backlog: Option<u64>,
    /// `server_time_usec`, in milliseconds since 1970.
    clock: Option<u64>,
}

impl Told {
    /// Reads one line that has a colon.
    pub(super) fn read(&mut self, field: &str, value: &str) {
        let number = || value.parse::<u64>().ok();
        match field {
            "min_slaves_good_slaves" => self.good_replicas = number(),
            "repl_backlog_size" => self.backlog = number(),
            "server_time_usec" => self.clock = number().map(|micros| micros / 1_000),
            _ => {}
        }
    }
}

/// What was found in the newest one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    /// It is a master that refuses every write, since no replica counts for `min-replicas-to-write`.
    pub(crate) refuses_writes: bool,
    /// Its clock and that of this host differ.
    pub(crate) clock_is_off: bool,
    /// Its backlog has fewer bytes than are written in down-after: how many.
    pub(crate) short_backlog: Option<u64>,
}

impl Condition {
    /// `before` is the report before this one, and how long ago it came.
    pub(super) fn of(
        report: &InfoReport,
        before: Option<(&InfoReport, Duration)>,
        wall: WallTime,
        down_after: Duration,
    ) -> Self {
        let is_master = report.role == Some(Role::Master);
        let goes_on = |(before, span): &(&InfoReport, Duration)| {
            before.role == report.role && before.run_id == report.run_id && *span >= LEAST_SPAN
        };
        let written = before.filter(goes_on).map(|(before, span)| {
            let bytes = report.offset.saturating_sub(before.offset);
            u128::from(bytes) * down_after.as_millis() / span.as_millis()
        });
        let is_short = |backlog: &u64| is_master && written.is_some_and(|written| written > u128::from(*backlog));
        Condition {
            refuses_writes: is_master && report.told.good_replicas == Some(0),
            clock_is_off: report.told.clock.is_some_and(|clock| clock.abs_diff(wall.0) > CLOCKS_APART),
            short_backlog: report.told.backlog.filter(is_short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: WallTime = WallTime(1_700_000_000_000);

    fn found(before: &str, text: &str, seconds: u64) -> Condition {
        let report = |text: &str| InfoReport::parse(&text.replace(' ', "\r\n"));
        let (before, report) = (report(before), report(text));
        Condition::of(&report, Some((&before, Duration::from_secs(seconds))), WALL, Duration::from_secs(30))
    }

    #[test]
    fn a_backlog_is_short_where_more_is_written_in_down_after() {
        let a = format!("run_id:{}", "a".repeat(40));
        let then = &format!("{a} role:master master_repl_offset:1000 repl_backlog_size:3000");
        let later = |offset: u64| format!("{a} role:master master_repl_offset:{offset} repl_backlog_size:3000");
        assert_eq!(found(then, &later(2_000), 10), Condition::default(), "3,000 bytes in 30 s, which it has");
        assert_eq!(found(then, &later(2_001), 10).short_backlog, Some(3_000));
        assert_eq!(found(then, &later(9_000), 0), Condition::default(), "too close to say");
        assert_eq!(found("role:slave", &later(9_000), 10), Condition::default(), "it was a replica");
        let other = then.replace(&"a".repeat(40), &"b".repeat(40));
        assert_eq!(found(&other, &later(9_000), 10), Condition::default(), "it was another process");
        assert_eq!(found(then, &later(9_000), 10).short_backlog, Some(3_000));
    }

    #[test]
    fn a_clock_is_off_by_more_than_ten_seconds_either_way() {
        let off = |micros: i64| {
            let clock = 1_700_000_000_000_000_i64 + micros;
            found("role:slave", &format!("server_time_usec:{clock} role:slave"), 10).clock_is_off
        };
        assert!(!off(0) && !off(10_000_000) && !off(-10_000_000));
        assert!(off(10_001_000) && off(-10_001_000) && off(-1_700_000_000_000_000));
    }

    #[test]
    fn a_master_refuses_writes_where_no_replica_counts() {
        let refuses = |text: &str| found(text, text, 10).refuses_writes;
        assert!(refuses("role:master min_slaves_good_slaves:0"));
        assert!(!refuses("role:master min_slaves_good_slaves:1") && !refuses("role:master"));
        assert!(!refuses("role:slave min_slaves_good_slaves:0"));
    }
}
