//! What the answer to a PING says.

use std::time::Duration;

use sentinel_resp::Reply;

use crate::{
    context::Context,
    monitor::{in_company, is_crowd},
    state::{Link, NodeId, is_lack_of_rights},
    time::Instant,
    timer::{Endpoint, Timer},
    watch::Watch,
};

/// So much is kept of an answer that does not count, in characters.
const LONGEST_ODD_ANSWER: usize = 64;

/// How an instance answered a PING.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PingAnswer {
    /// `+PONG`
    Pong,
    /// `-LOADING` or `-MASTERDOWN`: alive, if not well.
    Acceptable,
    /// `-BUSY`: a script runs for too long.
    Busy,
    /// Other credentials or more permissions are wanted: a data node is alive, and a peer of no use.
    Refused,
    /// Anything else: it answers, but is not available.
    Other,
}

impl PingAnswer {
    fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Status(text) if text.eq_ignore_ascii_case("PONG") => PingAnswer::Pong,
            Reply::Error(text) if text.starts_with("LOADING") || text.starts_with("MASTERDOWN") => {
                PingAnswer::Acceptable
            }
            Reply::Error(text) if text.starts_with("BUSY") => PingAnswer::Busy,
            Reply::Error(text) if is_lack_of_rights(text) => PingAnswer::Refused,
            // A RESP2 connection with a subscription answers an array; ours never subscribes there, a proxy might.
            Reply::Bulk(text) if text.eq_ignore_ascii_case(b"PONG") => PingAnswer::Pong,
            _ => PingAnswer::Other,
        }
    }

    /// Whether it makes the instance available.
    ///
    /// A departure: a data node that does not let us in is not held for dead. The reference fails a healthy master over
    /// for a wrong password, and then cannot log in to demote it. Of a peer nothing is had without a login.
    pub(crate) const fn is_acceptable(self, of: &Endpoint) -> bool {
        match self {
            PingAnswer::Pong | PingAnswer::Acceptable => true,
            PingAnswer::Refused => matches!(of, Endpoint::Node(..)),
            PingAnswer::Busy | PingAnswer::Other => false,
        }
    }
}

impl Context {
    /// When the PING after the one sent at `sent` is due.
    pub(crate) fn next_ping(&self, link: &Link, sent: Instant) -> Instant {
        let period = self.ping_period(link);
        in_company(sent + period, period, self.connected())
    }

    /// Time between two PINGs of this instance, among all that are connected at present.
    pub(crate) fn ping_period(&self, link: &Link) -> Duration {
        link.ping_period.among(self.connected())
    }

    /// Notes the answer, and when the next PING is due.
    pub(crate) fn ping_answered(&mut self, link: &mut Link, reply: &Reply, endpoint: &Endpoint) -> PingAnswer {
        let now = self.mono();
        let answer = PingAnswer::of(reply);
        link.vitals.set_reply(now);
        if answer.is_acceptable(endpoint) {
            link.silent_since = None;
            link.odd_answer.0 = None;
            link.ok_reply_at = now;
            link.vitals.set_ping_sent(None);
            link.vitals.set_ok_reply(now);
        } else {
            link.odd_answer.0 = Some(shortened(reply));
        }
        let next = link.ping_sent_at.map_or(now, |sent| self.next_ping(link, sent).max(now));
        self.arm(Timer::Ping(endpoint.clone()), next);
        answer
    }
}

/// The beginning of an answer that is none of those to PING.
fn shortened(reply: &Reply) -> Box<str> {
    match reply.as_text() {
        Some(text) => text.chars().take(LONGEST_ODD_ANSWER).collect(),
        None => "something that is no text".into(),
    }
}

impl Watch<'_> {
    /// Where many are connected, the next PING leaves together with something else, in one write, and both are answered
    /// in one: from then on they coincide, since one period is a multiple of the other.
    pub(crate) fn ping_along(&mut self, id: NodeId) {
        if !is_crowd(self.ctx.connected()) {
            return;
        }
        let endpoint = self.endpoint(id);
        let timer = Timer::Ping(endpoint.clone());
        let Some(node) = self.master.nodes.get_mut(id) else { return };
        // While an answer is awaited there is none.
        if self.ctx.timers.is_armed(&timer) {
            self.ctx.timers.disarm(&timer);
            self.ctx.send_ping(&mut node.link, &endpoint);
            self.evaluate_node(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{state::MasterKey, types::SentinelId};

    #[test]
    fn pong_loading_masterdown_and_of_data_nodes_a_refusal_count_as_available() {
        let node = Endpoint::Node(MasterKey(1), NodeId(1));
        let peer = Endpoint::Peer(SentinelId::new(&"a".repeat(40)).unwrap());
        let error = |text: &str| Reply::Error(text.to_owned());
        assert_eq!(PingAnswer::of(&Reply::Status("PONG".into())), PingAnswer::Pong);
        assert!(PingAnswer::of(&error("LOADING Redis is loading the dataset in memory")).is_acceptable(&peer));
        assert!(PingAnswer::of(&error("MASTERDOWN Link with MASTER is down")).is_acceptable(&node));
        assert_eq!(PingAnswer::of(&error("BUSY Redis is busy running a script")), PingAnswer::Busy);
        for refusal in ["NOAUTH Authentication required.", "NOPERM no", "DENIED protected", "WRONGPASS no"] {
            let answer = PingAnswer::of(&error(refusal));
            assert_eq!((answer.is_acceptable(&node), answer.is_acceptable(&peer)), (true, false), "{refusal}");
        }
        for other in ["ERR max number of clients reached", "BUSY a script", "MISCONF no snapshots"] {
            assert!(!PingAnswer::of(&error(other)).is_acceptable(&node), "{other}");
        }
    }
}
