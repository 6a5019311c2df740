//! What the engine's loop is told, by links and by the writer of the state.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use bytes::Bytes;
use sentinel_core::{LinkFault, LinkId, RequestId};
use sentinel_resp::Reply;
use tokio::sync::mpsc;

use crate::persist::Outcome;

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
    /// From the writer of the state.
    Written(Outcome),
    /// Ends the loop.
    Stop,
}

/// What a link says.
#[derive(Debug)]
pub(super) enum News {
    Up { local: Option<std::net::IpAddr> },
    Down(LinkFault),
    Answer { request: RequestId, reply: Reply },
    Hello(Bytes),
}

/// The loop's end of the inbox.
pub(super) struct Inbox {
    facts: mpsc::UnboundedReceiver<Fact>,
    hellos: Arc<AtomicUsize>,
}

/// Everybody else's end of the inbox.
///
/// It takes anything at once. Its length is bounded by what the engine asked for (answers, links, one write) and by
/// [`WAITING_HELLOS`].
#[derive(Clone, Debug)]
pub(super) struct Outbox {
    facts: mpsc::UnboundedSender<Fact>,
    hellos: Arc<AtomicUsize>,
}

/// A new, empty inbox.
pub(super) fn inbox() -> (Outbox, Inbox) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let hellos = Arc::new(AtomicUsize::new(0));
    (Outbox { facts: sender, hellos: hellos.clone() }, Inbox { facts: receiver, hellos })
}

impl Inbox {
    /// The next fact. None when nobody is left who could send one.
    pub(super) async fn next(&mut self) -> Option<Fact> {
        let fact = self.facts.recv().await;
        self.count(fact)
    }

    /// The next fact, if one is there.
    pub(super) fn waiting(&mut self) -> Option<Fact> {
        let fact = self.facts.try_recv().ok();
        self.count(fact)
    }

    fn count(&self, fact: Option<Fact>) -> Option<Fact> {
        if let Some(Fact::Link { news: News::Hello(_), .. }) = fact {
            self.hellos.fetch_sub(1, Relaxed);
        }
        fact
    }
}

impl Outbox {
    /// Tells something. False: the loop has ended.
    pub(super) fn tell(&self, fact: Fact) -> bool {
        if let Fact::Link { news: News::Hello(_), .. } = &fact
            && self.hellos.fetch_add(1, Relaxed) >= WAITING_HELLOS
        {
            self.hellos.fetch_sub(1, Relaxed);
            return true;
        }
        self.facts.send(fact).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_hellos_is_cut_and_nothing_else() {
        let (outbox, mut inbox) = inbox();
        let tell = |news| outbox.tell(Fact::Link { link: LinkId(1), life: 1, news });
        for _ in 0..WAITING_HELLOS + 500 {
            tell(News::Hello(Bytes::from_static(b"x")));
        }
        for request in 0..10 {
            tell(News::Answer { request: RequestId(request), reply: Reply::ok() });
        }
        let waiting: Vec<_> = std::iter::from_fn(|| inbox.waiting()).collect();
        assert_eq!(waiting.len(), WAITING_HELLOS + 10);
        tell(News::Hello(Bytes::from_static(b"x")));
        assert!(inbox.waiting().is_some(), "room again after the flood");
    }
}
