//! Host names and the addresses behind them, as far as anybody has looked.
//!
//! Two places are one instance if they resolve to the same address, whatever they are called. The runtime asks the
//! resolver ([`Output::Resolve`](crate::Output::Resolve), and before each connection) and tells what it heard; here the
//! last good address of each name is kept, also while its name service is away.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use crate::{
    time::Instant,
    types::{Host, HostPort},
};

/// Names remembered: a bound on what hostile hellos can make us remember and ask.
const MAX_NAMES: usize = 4_096;
/// Questions under way at the same time.
const MAX_ASKED: usize = 64;
/// For so long a name that did not resolve is not asked for again. The reference asks anew every second.
const FAILURE_PERIOD: Duration = Duration::from_secs(1);

/// Everything that is known of names.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Names {
    entries: BTreeMap<Arc<str>, Entry>,
    asked: usize,
}

#[derive(Clone, Debug, Default, Hash)]
struct Entry {
    /// The last good address.
    ip: Option<IpAddr>,
    /// Whether an answer is under way.
    asked: bool,
    /// The newest answer was that it does not resolve.
    failed_at: Option<Instant>,
}

/// What is known of a host before something is decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Answer {
    /// Its address, or that it has none, is known.
    Known,
    /// The resolver is asked already.
    Awaited,
    /// The resolver must be asked.
    Unasked,
}

/// What an answer of the resolver changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Learnt {
    /// Nothing new.
    Nothing,
    /// The first address of this name.
    First,
    /// The name has moved from this address.
    Moved(IpAddr),
    /// It does not resolve, for the first time since it last did. With its last good address, if it has one.
    Lost(Option<IpAddr>),
}

impl Names {
    /// How many are remembered.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the newest answer about a host was that it has no address.
    pub(crate) fn is_lost(&self, host: &Host) -> bool {
        let Host::Name(name) = host else { return false };
        self.entries.get(&lower(name)).is_some_and(|entry| entry.failed_at.is_some())
    }

    /// What was learnt before the start.
    pub(crate) fn new(known: BTreeMap<Arc<str>, IpAddr>) -> Self {
        let entry = |ip| Entry { ip: Some(ip), ..Entry::default() };
        Names { entries: known.into_iter().map(|(name, ip)| (lower(&name), entry(ip))).collect(), asked: 0 }
    }

    /// The address of a host: a literal's own, a name's last good one.
    pub(crate) fn ip(&self, host: &Host) -> Option<IpAddr> {
        match host {
            Host::Ip(ip) => Some(*ip),
            Host::Name(name) => self.entries.get(&lower(name))?.ip,
        }
    }

    /// Whether both are one place: by address, and by name where there is no address.
    pub(crate) fn same(&self, one: &HostPort, other: &HostPort) -> bool {
        one.port == other.port
            && match (&one.host, &other.host) {
                (Host::Name(one), Host::Name(other)) if one.eq_ignore_ascii_case(other) => true,
                (one, other) => self.ip(one).is_some_and(|ip| self.ip(other) == Some(ip)),
            }
    }

    /// Whether something can be decided about this host, or the resolver has to be asked first. When it is asked as
    /// much as it may be, things are decided without it.
    pub(crate) fn answer(&self, host: &Host, now: Instant) -> Answer {
        let Host::Name(name) = host else { return Answer::Known };
        match self.entries.get(&lower(name)) {
            Some(Entry { ip: Some(_), .. }) => Answer::Known,
            Some(Entry { asked: true, .. }) => Answer::Awaited,
            Some(Entry { failed_at: Some(at), .. }) if now.since(*at) < FAILURE_PERIOD => Answer::Known,
            _ if self.asked >= MAX_ASKED => Answer::Known,
            _ => Answer::Unasked,
        }
    }

    /// The resolver is being asked. False: too many names are known.
    pub(crate) fn ask(&mut self, name: &Arc<str>) -> bool {
        let name = lower(name);
        if self.entries.len() >= MAX_NAMES && !self.entries.contains_key(&name) {
            self.entries.retain(|_, entry| entry.ip.is_some() || entry.asked);
            if self.entries.len() >= MAX_NAMES {
                return false;
            }
        }
        let entry = self.entries.entry(name).or_default();
        if !std::mem::replace(&mut entry.asked, true) {
            self.asked += 1;
        }
        true
    }

    /// The resolver answered. Of a name that nobody asked for here (a connection was made to it) one hears, too.
    pub(crate) fn learn(&mut self, name: &Arc<str>, ip: Option<IpAddr>, now: Instant) -> Learnt {
        let name = lower(name);
        if self.entries.len() >= MAX_NAMES && !self.entries.contains_key(&name) {
            return Learnt::Nothing;
        }
        let entry = self.entries.entry(name).or_default();
        if std::mem::take(&mut entry.asked) {
            self.asked -= 1;
        }
        match ip {
            Some(ip) => {
                entry.failed_at = None;
                match entry.ip.replace(ip) {
                    None => Learnt::First,
                    Some(old) if old != ip => Learnt::Moved(old),
                    Some(_) => Learnt::Nothing,
                }
            }
            None if entry.failed_at.replace(now).is_none() => Learnt::Lost(entry.ip),
            None => Learnt::Nothing,
        }
    }
}

/// Names are compared without regard to case, as name services do.
fn lower(name: &Arc<str>) -> Arc<str> {
    if name.bytes().any(|b| b.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { Arc::clone(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> HostPort {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_place_is_one_instance_whatever_it_is_called() {
        let (mut names, now) = (Names::default(), Instant::ZERO);
        assert!(names.same(&place("Db.example:1"), &place("db.example:1")), "by name, while there is no address");
        assert!(!names.same(&place("db.example:1"), &place("10.0.0.1:1")));
        assert_eq!(names.learn(&"DB.example".into(), Some(ip("10.0.0.1")), now), Learnt::First);
        assert!(names.same(&place("db.example:1"), &place("10.0.0.1:1")));
        assert!(!names.same(&place("db.example:1"), &place("10.0.0.1:2")));
        assert!(!names.same(&place("db.example:1"), &place("other.example:1")), "one of them has no address");
        names.learn(&"other.example".into(), Some(ip("10.0.0.1")), now);
        assert!(names.same(&place("db.example:1"), &place("other.example:1")));
    }

    #[test]
    fn the_last_good_address_is_kept_while_the_name_does_not_resolve() {
        let (mut names, now) = (Names::default(), Instant::ZERO);
        let name: Arc<str> = "db".into();
        names.learn(&name, Some(ip("10.0.0.1")), now);
        assert_eq!(names.learn(&name, None, now), Learnt::Lost(Some(ip("10.0.0.1"))));
        assert_eq!(names.learn(&name, None, now), Learnt::Nothing, "told once");
        assert_eq!(names.ip(&Host::Name(name.clone())), Some(ip("10.0.0.1")));
        assert_eq!(names.learn(&name, Some(ip("10.0.0.2")), now), Learnt::Moved(ip("10.0.0.1")));
    }

    #[test]
    fn what_strangers_can_make_us_ask_has_a_bound() {
        let (mut names, now) = (Names::default(), Instant::ZERO);
        for n in 0..10_000 {
            let host = Host::new(&format!("n{n}.invalid")).unwrap();
            let Host::Name(name) = &host else { unreachable!() };
            if names.answer(&host, now) == Answer::Unasked {
                assert!(names.ask(name));
            }
        }
        assert_eq!(names.entries.len(), MAX_ASKED);
        for n in 0..10_000 {
            names.learn(&format!("n{n}.invalid").into(), None, now);
        }
        assert!(names.entries.len() <= MAX_NAMES);
        assert_eq!(names.asked, 0);
    }
}
