//! What the engine's loop is told, by links and by the writer of the state.

use bytes::Bytes;
use sentinel_core::{Input, LinkFault, LinkId, Looked};
use tokio::sync::mpsc;

use super::link::Opened;
use crate::persist::Outcome;

/// How many facts are taken before what comes in otherwise has its turn.
pub(super) const FACTS_AT_ONCE: usize = 64;

/// How many commands of clients are taken before the other facts have their turn.
pub(super) const ASKS_AT_ONCE: usize = 64;

/// How many hellos are taken before the other facts have their turn. Few, since a flood of them must not delay an answer.
pub(super) const HELLOS_AT_ONCE: usize = 16;

/// How many hellos may wait for the engine, from all links together. One more is dropped: a real one is repeated
/// every two seconds, a flood is not worth memory.
const WAITING_HELLOS: usize = 1024;

/// One fact on its way to the engine.
#[derive(Debug)]
pub(super) enum Fact {
    /// From a link.
    Link {
        link: LinkId,
        /// Which life of that link this comes from: one that was closed is not listened to.
        life: u64,
        news: News,
    },
    /// What the resolver says of a name.
    Resolved(Input),
    /// What became of a script.
    Script(Input),
    /// What was found when it was looked at the configuration.
    Configuration(Looked),
    /// From the writer of the state.
    Written(Outcome),
    /// Ends the loop.
    Stop,
}

/// A message on the hello channel of a data node.
#[derive(Debug)]
pub(super) struct Hello {
    pub(super) link: LinkId,
    /// As in [`Fact::Link`].
    pub(super) life: u64,
    pub(super) payload: Bytes,
}

/// What a link says.
#[derive(Debug)]
pub(super) enum News {
    /// It is open.
    Up(Box<Opened>),
    /// It could not be opened.
    Down(LinkFault),
    /// The answer to a subscription on a second connection; its error if it is refused.
    Subscription(Option<String>),
    /// A refused subscription is to be asked for again.
    Resubscribe,
}

/// The loop's end of the inbox.
pub(super) struct Inbox {
    /// Everything that was asked for.
    pub(super) facts: mpsc::UnboundedReceiver<Fact>,
    /// What came unasked.
    pub(super) hellos: mpsc::Receiver<Hello>,
}

/// Everybody else's end of the inbox.
///
/// It takes anything at once. Its length is bounded by what the engine asked for (answers, links, one write) and by
/// [`WAITING_HELLOS`].
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    facts: mpsc::UnboundedSender<Fact>,
    hellos: mpsc::Sender<Hello>,
}

/// A new, empty inbox.
pub(super) fn inbox() -> (Outbox, Inbox) {
    let (facts, facts_out) = mpsc::unbounded_channel();
    let (hellos, hellos_out) = mpsc::channel(WAITING_HELLOS);
    (Outbox { facts, hellos }, Inbox { facts: facts_out, hellos: hellos_out })
}

impl Outbox {
    /// Tells something that was asked for. Lost if the loop has ended.
    pub(super) fn tell(&self, fact: Fact) {
        let _ = self.facts.send(fact);
    }

    /// Passes a hello on, if there is room.
    pub(super) fn hello(&self, hello: Hello) {
        let _ = self.hellos.try_send(hello);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_hellos_is_cut_and_nothing_else() {
        let (outbox, mut inbox) = inbox();
        let flood = || {
            for _ in 0..WAITING_HELLOS + 500 {
                outbox.hello(Hello { link: LinkId(1), life: 1, payload: Bytes::from_static(b"x") });
            }
        };
        flood();
        for _ in 0..10 {
            outbox.tell(Fact::Link { link: LinkId(1), life: 1, news: News::Resubscribe });
        }
        let mut hellos = || std::iter::from_fn(|| inbox.hellos.try_recv().ok()).count();
        assert_eq!(hellos(), WAITING_HELLOS);
        flood();
        assert_eq!(hellos(), WAITING_HELLOS, "room again after the flood");
        assert_eq!(std::iter::from_fn(|| inbox.facts.try_recv().ok()).count(), 10);
    }
}
