//! SENTINEL DEBUG: the timing constants, listed or changed.

use std::time::Duration;

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    Change, TimingParameter, argument, errors,
    syntax::{block, string},
    table::{Does, Subcommand},
};
use crate::{settings::Timing, time::Now, view::View};

pub(super) const ROW: Subcommand = Subcommand {
    summary: "Lists or changes the timing constants.",
    since: Some("7.0.0"),
    complexity: Some("O(N)"),
    arguments: &[block("parameter_value", &[string("parameter"), string("value")]).multiple()],
    help: &[
        "DEBUG [<param> <value> ...]",
        "    List the timing constants in milliseconds; with parameters, change them",
        "    until the next restart.",
    ],
    ..Subcommand::admin(
        "sentinel|debug",
        -2,
        Does::AnswerIf(<[Bytes]>::is_empty, answer, |words| Ok(Some(parse(words)))),
    )
};

fn answer(_: &[Bytes], view: &View, _: Now) -> Option<Reply> {
    Some(list(&view.timing))
}

const COMMAND: &str = "SENTINEL DEBUG";

impl TimingParameter {
    /// All of them, in the order in which SENTINEL DEBUG lists them.
    pub const ALL: [TimingParameter; 13] = [
        TimingParameter::InfoPeriod,
        TimingParameter::PingPeriod,
        TimingParameter::AskPeriod,
        TimingParameter::PublishPeriod,
        TimingParameter::DefaultDownAfter,
        TimingParameter::DefaultFailoverTimeout,
        TimingParameter::TiltTrigger,
        TimingParameter::TiltPeriod,
        TimingParameter::ReconfTimeout,
        TimingParameter::MinLinkReconnectPeriod,
        TimingParameter::ElectionTimeout,
        TimingParameter::ScriptMaxRuntime,
        TimingParameter::ScriptRetryDelay,
    ];

    /// Its name on the wire, in capitals. Clients may write it in any case.
    pub const fn name(self) -> &'static str {
        match self {
            TimingParameter::InfoPeriod => "INFO-PERIOD",
            TimingParameter::PingPeriod => "PING-PERIOD",
            TimingParameter::AskPeriod => "ASK-PERIOD",
            TimingParameter::PublishPeriod => "PUBLISH-PERIOD",
            TimingParameter::DefaultDownAfter => "DEFAULT-DOWN-AFTER",
            TimingParameter::DefaultFailoverTimeout => "DEFAULT-FAILOVER-TIMEOUT",
            TimingParameter::TiltTrigger => "TILT-TRIGGER",
            TimingParameter::TiltPeriod => "TILT-PERIOD",
            TimingParameter::ReconfTimeout => "SLAVE-RECONF-TIMEOUT",
            TimingParameter::MinLinkReconnectPeriod => "MIN-LINK-RECONNECT-PERIOD",
            TimingParameter::ElectionTimeout => "ELECTION-TIMEOUT",
            TimingParameter::ScriptMaxRuntime => "SCRIPT-MAX-RUNTIME",
            TimingParameter::ScriptRetryDelay => "SCRIPT-RETRY-DELAY",
        }
    }

    /// Its place among the constants.
    pub const fn of(self, timing: &mut Timing) -> &mut Duration {
        match self {
            TimingParameter::InfoPeriod => &mut timing.info_period,
            TimingParameter::PingPeriod => &mut timing.ping_period,
            TimingParameter::AskPeriod => &mut timing.ask_period,
            TimingParameter::PublishPeriod => &mut timing.publish_period,
            TimingParameter::DefaultDownAfter => &mut timing.default_down_after,
            TimingParameter::DefaultFailoverTimeout => &mut timing.default_failover_timeout,
            TimingParameter::TiltTrigger => &mut timing.tilt_trigger,
            TimingParameter::TiltPeriod => &mut timing.tilt_period,
            TimingParameter::ReconfTimeout => &mut timing.reconf_timeout,
            TimingParameter::MinLinkReconnectPeriod => &mut timing.min_link_reconnect_period,
            TimingParameter::ElectionTimeout => &mut timing.election_timeout,
            TimingParameter::ScriptMaxRuntime => &mut timing.script_max_runtime,
            TimingParameter::ScriptRetryDelay => &mut timing.script_retry_delay,
        }
    }
}

/// The map of all constants, in milliseconds.
fn list(timing: &Timing) -> Reply {
    let mut timing = *timing;
    let pairs = TimingParameter::ALL.map(|parameter| {
        let value = parameter.of(&mut timing).as_millis();
        (Reply::from(parameter.name()), Reply::display(value))
    });
    Reply::Map(pairs.into())
}

/// `SENTINEL DEBUG param value ...`: everything before the first bad parameter counts.
fn parse(mut words: &[Bytes]) -> Change {
    let mut options = Vec::new();
    let mut error = None;
    while let [name, rest @ ..] = words {
        match one(name, rest.first()) {
            Ok(option) => options.push(option),
            Err(reply) => {
                error = Some(reply);
                break;
            }
        }
        words = rest.get(1..).unwrap_or_default();
    }
    Change::Debug { options, error }
}

fn one(name: &Bytes, value: Option<&Bytes>) -> Result<(TimingParameter, Duration), Reply> {
    let parameter = TimingParameter::ALL.into_iter().find(|known| name.eq_ignore_ascii_case(known.name().as_bytes()));
    let (Some(parameter), Some(value)) = (parameter, value) else {
        return Err(errors::unknown_option(COMMAND, name));
    };
    argument::at_least(1, value)
        .map(|ms| (parameter, Duration::from_millis(ms)))
        .ok_or_else(|| errors::invalid_argument(COMMAND, name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::sample::{error_of, words};

    fn parsed(line: &str) -> (Vec<(TimingParameter, u128)>, Option<String>) {
        let Change::Debug { options, error } = parse(&words(line)) else {
            panic!("not a DEBUG");
        };
        let options = options.into_iter().map(|(parameter, value)| (parameter, value.as_millis()));
        (options.collect(), error.as_ref().map(error_of))
    }

    #[test]
    fn parameters_are_matched_in_any_case_and_counted_in_milliseconds() {
        assert_eq!(
            parsed("Info-Period 5 slave-reconf-timeout 7"),
            (vec![(TimingParameter::InfoPeriod, 5), (TimingParameter::ReconfTimeout, 7)], None)
        );
    }

    #[test]
    fn what_stands_before_the_first_bad_parameter_counts() {
        let kept = vec![(TimingParameter::InfoPeriod, 5)];
        for (line, error) in [
            ("info-period 5 foo 1 ping-period 3", "ERR Unknown option or number of arguments for SENTINEL DEBUG 'foo'"),
            ("info-period 5 Ping-Period", "ERR Unknown option or number of arguments for SENTINEL DEBUG 'Ping-Period'"),
            ("info-period 5 ping-period 0", "ERR Invalid argument '0' for SENTINEL DEBUG 'ping-period'"),
            ("info-period 5 Ping-Period x ask-period 1", "ERR Invalid argument 'x' for SENTINEL DEBUG 'Ping-Period'"),
        ] {
            assert_eq!(parsed(line), (kept.clone(), Some(error.to_owned())), "{line}");
        }
    }

    #[test]
    fn every_parameter_is_one_of_the_listed_constants() {
        let mut timing = Timing::default();
        for (parameter, ms) in TimingParameter::ALL.into_iter().zip(1..) {
            *parameter.of(&mut timing) = Duration::from_millis(ms);
        }
        let Reply::Map(pairs) = list(&timing) else {
            panic!("not a map");
        };
        let values: Vec<i64> = pairs.iter().filter_map(|(_, v)| v.as_integer()).collect();
        assert_eq!(values, (1..=13).collect::<Vec<_>>());
    }
}
