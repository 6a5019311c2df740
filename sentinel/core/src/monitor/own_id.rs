//! Another process with our id: a copied configuration, or a copied machine.
//!
//! Each of the two takes the hellos of the other one for its own and passes them over, and to all others they are one that
//! moves to and fro. What is ours is known by the addresses that we announced: one process may have several.

use std::{collections::VecDeque, time::Duration};

use sentinel_resp::text;

use crate::{
    complaint::Complaint,
    context::Context,
    monitor::{Hello, signature},
    time::Instant,
    types::HostPort,
};

/// How long after its last hello the other process is told of.
pub(crate) const TOLD_FOR: Duration = Duration::from_secs(30);
/// It must have spoken twice, so far apart: a last hello of our former life is none.
const REPEATED_AFTER: Duration = Duration::from_secs(1);
/// How often readers are told that it still speaks.
const SHOWN_EVERY: Duration = Duration::from_secs(5);
/// So many own addresses are remembered, the newest.
const MAX_ADDRESSES: usize = 16;

/// What tells our own hellos from those of another process with our id.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct OwnId {
    /// Address and port of the hellos we have written, as they stand in them.
    announced: VecDeque<Box<str>>,
    heard: Option<Heard>,
}

#[derive(Clone, Debug, Hash)]
struct Heard {
    addr: HostPort,
    first: Instant,
    last: Instant,
    shown: Option<Instant>,
}

impl OwnId {
    /// A hello was written.
    pub(super) fn announced(&mut self, text: &str) {
        let Some(place) = place(text.as_bytes()).and_then(|place| std::str::from_utf8(place).ok()) else { return };
        if !self.announced.iter().any(|known| **known == *place) {
            self.announced.truncate(MAX_ADDRESSES - 1);
            self.announced.push_front(place.into());
        }
    }

    /// Whether a hello with our id was written here.
    pub(super) fn is_ours(&self, payload: &[u8]) -> bool {
        place(payload).is_some_and(|place| self.announced.iter().any(|known| known.as_bytes() == place))
    }

    /// Another process has said hello from there. Whether readers are to be told.
    fn heard(&mut self, addr: HostPort, now: Instant) -> bool {
        let heard = match &mut self.heard {
            Some(heard) if now.since(heard.last) < TOLD_FOR => heard,
            other => other.insert(Heard { addr: addr.clone(), first: now, last: now, shown: None }),
        };
        heard.addr = addr;
        heard.last = now;
        let show =
            now.since(heard.first) >= REPEATED_AFTER && heard.shown.is_none_or(|at| now.since(at) >= SHOWN_EVERY);
        if show {
            heard.shown = Some(now);
        }
        show
    }

    /// From where another process says hello with our id, and when it did so last.
    pub(crate) fn elsewhere(&self) -> Option<(HostPort, Instant)> {
        self.heard.as_ref().filter(|heard| heard.shown.is_some()).map(|heard| (heard.addr.clone(), heard.last))
    }
}

impl Context {
    /// A hello with our own id came that is not ours.
    pub(super) fn own_id_heard(&mut self, payload: &[u8]) {
        let text = text::of(payload);
        let Ok(text) = signature::check(&text, self.globals.required_key()) else { return };
        let Some(hello) = Hello::parse(text) else { return };
        let now = self.mono();
        let addr = hello.addr.clone();
        if self.own_id.heard(hello.addr, now) {
            self.view_urgent = true;
            self.process_unexamined.0 = true;
            let text = format!(
                "WARNING: another process says hello with our own id {} from {addr}. Votes of both count as one, and each may \
                 hold the votes of the other one for its own. Every Sentinel needs an id of its own: stop one, remove \
                 `sentinel myid` (`myid`) from its files, start it again",
                self.id
            );
            self.complain(Complaint::OwnId, text);
        }
    }
}

/// The first two fields.
fn place(payload: &[u8]) -> Option<&[u8]> {
    let mut commas = payload.iter().enumerate().filter(|(_, byte)| **byte == b',').map(|(at, _)| at);
    commas.nth(1).map(|end| &payload[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_announced_is_ours_and_the_memory_of_it_has_a_bound() {
        let mut own = OwnId::default();
        own.announced("10.0.0.1,26379,a,1,m,10.0.0.9,6379,1");
        own.announced("10.0.0.2,26379,a,1,m,10.0.0.9,6379,1");
        assert!(own.is_ours(b"10.0.0.1,26379,a,7,other,10.0.0.9,6379,7"));
        assert!(!own.is_ours(b"10.0.0.3,26379,a,1,m,10.0.0.9,6379,1"));
        assert!(!own.is_ours(b"nonsense"));
        for port in 0..1_000 {
            own.announced(&format!("10.0.0.1,{port},a,1,m,10.0.0.9,6379,1"));
        }
        assert!(own.announced.len() <= MAX_ADDRESSES);
    }

    #[test]
    fn another_process_is_told_of_once_it_has_repeated_itself() {
        let mut own = OwnId::default();
        let addr: HostPort = "10.0.0.3:26379".parse().unwrap();
        let at = |millis: u64| Instant::from_micros(millis * 1_000);
        assert!(!own.heard(addr.clone(), at(0)));
        assert!(!own.heard(addr.clone(), at(500)));
        assert_eq!(own.elsewhere(), None);
        assert!(own.heard(addr.clone(), at(2_000)));
        assert_eq!(own.elsewhere(), Some((addr.clone(), at(2_000))));
        assert!(!own.heard(addr.clone(), at(4_000)), "told of a moment ago");
        assert!(!own.heard(addr, at(60_000)), "after a long silence it begins anew");
        assert_eq!(own.elsewhere(), None);
    }
}
