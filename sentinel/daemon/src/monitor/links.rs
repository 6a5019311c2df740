//! All links, by the engine's names for them.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use sentinel_core::{Input, LinkId, Message, RequestId, Target, types::HostPort};
use tokio::{sync::mpsc, task::AbortHandle};

use super::{
    dial::Dialer,
    inbox::{Hello, News, Outbox},
    link::{self, Reporter, Request},
};

/// Opens, uses and closes links, one task each. None of its methods waits.
pub(super) struct Links {
    dialer: Dialer,
    outbox: Outbox,
    open: HashMap<LinkId, Open>,
    lives: u64,
    /// Where a link was up. Their dials may take the last descriptors.
    connected: BTreeSet<HostPort>,
}

/// How many of them are remembered. More come only from instances that move all the time.
const MAX_CONNECTED: usize = 100_000;

/// A link that was asked for: being opened, or open.
struct Open {
    life: u64,
    addr: HostPort,
    requests: mpsc::UnboundedSender<Request>,
    task: AbortHandle,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Links {
    pub(super) fn new(dialer: Dialer, outbox: Outbox) -> Self {
        dialer.tell_names(outbox.clone());
        Links { dialer, outbox, open: HashMap::new(), lives: 0, connected: BTreeSet::new() }
    }

    /// Begins to open a link. One of the same name that is still there is closed.
    pub(super) fn connect(&mut self, link: LinkId, target: Arc<Target>) {
        self.lives += 1;
        let life = self.lives;
        let (requests, receiver) = mpsc::unbounded_channel();
        let reporter = Reporter { link, life, outbox: self.outbox.clone() };
        let addr = target.addr.clone();
        let dialer = if self.connected.contains(&addr) { self.dialer.again() } else { self.dialer.clone() };
        let task = tokio::spawn(link::run(target, dialer, receiver, reporter)).abort_handle();
        self.open.insert(link, Open { life, addr, requests, task });
    }

    /// Asks the resolver for a name. It tells what it finds.
    pub(super) fn look_up(&self, name: Arc<str>) {
        let dialer = self.dialer.clone();
        tokio::spawn(async move { dialer.look_up(name).await });
    }

    /// Closes a link at once. Nothing that it still has to say reaches the engine.
    pub(super) fn disconnect(&mut self, link: LinkId) {
        self.open.remove(&link);
    }

    /// Sends over a link. On one that is gone the message is lost, as the engine will be told, or was.
    pub(super) fn send(&self, link: LinkId, request: RequestId, message: Message) {
        if let Some(open) = self.open.get(&link) {
            // An error means that the task has just ended: its report is under way.
            let _ = open.requests.send(Request { request, message });
        }
    }

    /// What a link's news are to the engine. None: that life of the link was closed meanwhile.
    pub(super) fn input(&mut self, link: LinkId, life: u64, news: News) -> Option<Input> {
        if !self.lives(link, life) {
            return None;
        }
        Some(match news {
            News::Up { local } => {
                if let Some(open) = self.open.get(&link).filter(|_| self.connected.len() < MAX_CONNECTED) {
                    self.connected.insert(open.addr.clone());
                }
                Input::LinkUp { link, local }
            }
            News::Subscription(refusal) => Input::Subscription { link, refusal },
            News::Answer { request, reply } => Input::Reply { link, request, reply },
            News::Down(fault) => {
                self.open.remove(&link);
                Input::LinkDown { link, fault }
            }
        })
    }

    /// What a hello is to the engine. None: as for [`Links::input`].
    pub(super) fn hello(&self, Hello { link, life, payload }: Hello) -> Option<Input> {
        self.lives(link, life).then_some(Input::Hello { link, payload })
    }

    fn lives(&self, link: LinkId, life: u64) -> bool {
        self.open.get(&link).is_some_and(|open| open.life == life)
    }
}
