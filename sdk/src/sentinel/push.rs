//! What a Sentinel publishes of our master. A push is a hint: what it tells is asked for.

use redis::{PushInfo, PushKind};

use crate::address::Address;
use crate::fields::text;

/// The one without which a Sentinel is of no use.
pub(super) const SWITCH: &str = "+switch-master";
/// The steps of a failover, of which the switch is the last one, and other Sentinels that come or move.
pub(super) const STEPS: [&str; 15] = [
    "+try-failover",
    "+elected-leader",
    "+failover-state-select-slave",
    "+selected-slave",
    "+failover-state-send-slaveof-noone",
    "+failover-state-wait-promotion",
    "+promoted-slave",
    "+failover-state-reconf-slaves",
    "+failover-end",
    "-failover-abort-no-good-slave",
    "-failover-abort-slave-timeout",
    "-failover-abort-master-timeout",
    "-failover-abort-not-elected",
    "+sentinel",
    "+sentinel-address-switch",
];

/// What a push of our master says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Push {
    /// Something to ask about.
    News,
    /// A switch.
    Switch,
    /// A failover has begun; which replica it will promote is not known yet.
    Failover,
    /// This replica is about to become the master, or has become it.
    Promotion(Address),
    /// The failover was given up.
    Abort,
}

/// `None`: it is none of ours.
pub(super) fn read(push: &PushInfo, master: &str) -> Option<Push> {
    if push.kind != PushKind::Message {
        return None;
    }
    let [channel, payload] = push.data.as_slice() else { return None };
    let (channel, words) = (text(channel)?, text(payload)?.split(' ').collect::<Vec<_>>());
    if channel == SWITCH {
        return (words.first() == Some(&master)).then_some(Push::Switch);
    }
    // `slave name ip port @ master ip port`, or of the master itself `master name ip port`.
    let (["master", named, ..] | [_, _, _, _, "@", named, ..]) = words.as_slice() else { return None };
    if *named != master {
        return None;
    }
    match (channel, words.as_slice()) {
        (
            "+selected-slave"
            | "+failover-state-send-slaveof-noone"
            | "+failover-state-wait-promotion"
            | "+promoted-slave",
            ["slave", _, host, port, ..],
        ) => Some(Push::Promotion(Address::new(host, port.parse().ok()?).ok()?)),
        ("+try-failover" | "+elected-leader" | "+failover-state-select-slave", _) => Some(Push::Failover),
        (abort, _) if abort.starts_with("-failover-abort") => Some(Push::Abort),
        _ => Some(Push::News),
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn of(kind: PushKind, channel: &str, payload: &str) -> Option<Push> {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        read(&PushInfo { kind, data: vec![bulk(channel), bulk(payload)] }, "mine")
    }

    #[test]
    fn only_what_concerns_our_master_is_heard() {
        let switch = "mine 127.0.0.1 1 127.0.0.1 2";
        assert_eq!(of(PushKind::Message, SWITCH, switch), Some(Push::Switch));
        assert_eq!(of(PushKind::Message, SWITCH, "min 127.0.0.1 1 127.0.0.1 2"), None);
        assert_eq!(of(PushKind::Message, "+sdown", switch), None);
        assert_eq!(of(PushKind::Subscribe, SWITCH, switch), None);
        let promoted = Some(Push::Promotion("10.0.0.2:6380".parse().unwrap()));
        for channel in ["+selected-slave", "+failover-state-wait-promotion", "+promoted-slave"] {
            let payload = |master: &str| format!("slave 10.0.0.2:6380 10.0.0.2 6380 @ {master} 10.0.0.1 6379");
            assert_eq!(of(PushKind::Message, channel, &payload("mine")), promoted, "{channel}");
            assert_eq!(of(PushKind::Message, channel, &payload("other")), None, "{channel}");
        }
        for channel in ["+try-failover", "+elected-leader", "+failover-state-select-slave"] {
            assert_eq!(of(PushKind::Message, channel, "master mine 10.0.0.1 6379"), Some(Push::Failover), "{channel}");
            assert_eq!(of(PushKind::Message, channel, "master other 10.0.0.1 6379"), None, "{channel}");
        }
        let aborted = of(PushKind::Message, "-failover-abort-slave-timeout", "master mine 10.0.0.1 6379");
        assert_eq!(aborted, Some(Push::Abort));
        let sentinel = of(PushKind::Message, "+sentinel", "sentinel 1f 10.0.0.9 26379 @ mine 10.0.0.1 6379");
        assert_eq!(sentinel, Some(Push::News));
        for nonsense in ["", " ", "slave", "slave a b c @", "slave a b c @ mine", "slave a b 0 @ mine 1 2"] {
            assert!(
                !matches!(of(PushKind::Message, "+selected-slave", nonsense), Some(Push::Promotion(_))),
                "{nonsense}"
            );
        }
        assert_eq!(read(&PushInfo { kind: PushKind::Message, data: vec![Value::Nil] }, "mine"), None);
    }
}
