//! All links, by the engine's names for them.

use std::{
    collections::{BTreeSet, HashMap},
    hash::{BuildHasherDefault, Hasher},
    sync::Arc,
    task::{Context, Wake as _, Waker},
};

use sentinel_core::{Input, LinkFault, LinkId, Message, RequestId, Target, TargetKind, types::HostPort};
use tokio::task::AbortHandle;

use super::{
    dial::Dialer,
    handshake::Protocol,
    inbox::{Hello, News, Outbox},
    link::{self, Opened, RESUBSCRIBE_PERIOD, Reporter},
    pubsub,
    traffic::{Said, Traffic},
};
use crate::{
    bell::{Bell, Ready},
    meters::{self, Meters},
};

/// How many of those that were up are remembered. More come only from instances that move all the time.
const MAX_CONNECTED: usize = 100_000;

/// Opens, uses and closes links. None of its methods waits.
///
/// A task of its own opens each; then it is one of many that are read and written in turn, in the engine's loop. With a
/// task and a channel for as long as it lives each cost a fifth more time, and 4 kB more.
pub(super) struct Links {
    dialer: Dialer,
    outbox: Outbox,
    meters: Arc<Meters>,
    open: HashMap<LinkId, Open, BuildHasherDefault<OwnNames>>,
    lives: u64,
    /// Where a link was up. Their dials may take the last descriptors.
    connected: BTreeSet<HostPort>,
    ready: Arc<Ready<LinkId>>,
    /// Those that have been read in this round: kept for its memory.
    turn: Vec<LinkId>,
    /// Those with something to write.
    unwritten: Vec<LinkId>,
}

/// A link that was asked for.
struct Open {
    life: u64,
    target: Arc<Target>,
    /// What works for it beside the loop: opening it, or listening on a second connection.
    aside: Option<AbortHandle>,
    /// None while it is being opened.
    up: Option<Up>,
}

/// An open link.
struct Up {
    traffic: Traffic,
    bell: Arc<Bell<LinkId>>,
    waker: Waker,
    /// Whether it is among those with something to write.
    unwritten: bool,
    /// Why it could not be written to, until that is told.
    broken: Option<LinkFault>,
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(task) = &self.aside {
            task.abort();
        }
    }
}

impl Links {
    pub(super) fn new(dialer: Dialer, outbox: Outbox, meters: Arc<Meters>) -> Self {
        dialer.tell_names(outbox.clone());
        Links {
            dialer,
            outbox,
            meters,
            open: HashMap::default(),
            lives: 0,
            connected: BTreeSet::new(),
            ready: Arc::default(),
            turn: Vec::new(),
            unwritten: Vec::new(),
        }
    }

    /// Begins to open a link. One of the same name that is still there is closed.
    pub(super) fn connect(&mut self, link: LinkId, target: Arc<Target>) {
        self.lives += 1;
        let life = self.lives;
        let reporter = Reporter { link, life, outbox: self.outbox.clone() };
        let dialer = if self.connected.contains(&target.addr) { self.dialer.again() } else { self.dialer.clone() };
        let task = tokio::spawn(link::open(Arc::clone(&target), dialer, reporter)).abort_handle();
        self.open.insert(link, Open { life, target, aside: Some(task), up: None });
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

    /// Sends over a link, with the next [`Links::write`]. On one that is gone the message is lost, as the engine will be
    /// told, or was.
    pub(super) fn send(&mut self, link: LinkId, request: RequestId, message: &Message) {
        if let Some(up) = self.open.get_mut(&link).and_then(|open| open.up.as_mut()) {
            up.traffic.send(request, message);
            if !std::mem::replace(&mut up.unwritten, true) {
                self.unwritten.push(link);
            }
        }
    }

    /// Writes to all links for which there is something.
    pub(super) fn write(&mut self) {
        for link in self.unwritten.drain(..) {
            let Some(up) = self.open.get_mut(&link).and_then(|open| open.up.as_mut()) else { continue };
            up.unwritten = false;
            if let Err(fault) = up.traffic.poll_write(&mut Context::from_waker(&up.waker)) {
                // Told in its turn.
                up.broken.get_or_insert(fault);
                up.bell.wake_by_ref();
            }
        }
    }

    /// Waits until there is something to read, or a link has broken.
    pub(super) async fn any_ready(&self) {
        self.ready.any().await;
    }

    /// Reads all links that have something, some of it of each, and tells what that is to the engine. How many there
    /// were.
    pub(super) fn read(&mut self, mut tell: impl FnMut(Input)) -> usize {
        let turn = self.ready.take(std::mem::take(&mut self.turn));
        for link in &turn {
            if let Some(fault) = self.read_one(*link, &mut tell) {
                self.failed(*link, &fault);
                tell(Input::LinkDown { link: *link, fault });
            }
        }
        let count = turn.len();
        self.turn = turn;
        self.turn.clear();
        count
    }

    fn read_one(&mut self, link: LinkId, tell: &mut impl FnMut(Input)) -> Option<LinkFault> {
        let open = self.open.get_mut(&link)?;
        let up = open.up.as_mut()?;
        up.bell.answer();
        if let Some(fault) = up.broken.take() {
            return Some(fault);
        }
        let (life, outbox) = (open.life, &self.outbox);
        let meters = of_kind(&self.meters, open.target.kind);
        let (mut flooded, mut refused) = (false, false);
        let polled = up.traffic.poll(&mut Context::from_waker(&up.waker), |said| match said {
            Said::Answer(request, reply) => tell(Input::Reply { link, request, reply }),
            Said::Hello(payload) => outbox.hello(Hello { link, life, payload }),
            Said::Subscription(refusal) => {
                refused |= refusal.is_some();
                tell(Input::Subscription { link, refusal });
            }
            Said::Pong(after) => meters.ping_time.observe(after),
            Said::Flooded => flooded = true,
        });
        match polled {
            Ok(true) => up.bell.wake_by_ref(),
            Ok(false) => {}
            Err(fault) => return Some(fault),
        }
        if flooded {
            self.listen_apart(link);
        } else if refused {
            let reporter = Reporter { link, life, outbox: self.outbox.clone() };
            tokio::spawn(async move {
                tokio::time::sleep(RESUBSCRIBE_PERIOD).await;
                reporter.tell(News::Resubscribe);
            });
        }
        None
    }

    /// What a link's news are to the engine. None: that life of the link was closed meanwhile, or it need not know.
    pub(super) fn input(&mut self, link: LinkId, life: u64, news: News) -> Option<Input> {
        if !self.lives(link, life) {
            return None;
        }
        Some(match news {
            News::Up(mut opened) => {
                let (local, refused_login) = (opened.local, opened.refused_login.take());
                self.opened(link, *opened);
                Input::LinkUp { link, local, refused_login }
            }
            News::Subscription(refusal) => Input::Subscription { link, refusal },
            News::Resubscribe => {
                let up = self.open.get_mut(&link)?.up.as_mut()?;
                up.traffic.subscribe();
                // Looked at in its turn, it writes first.
                up.bell.wake_by_ref();
                return None;
            }
            News::Down(fault) => {
                self.failed(link, &fault);
                Input::LinkDown { link, fault }
            }
        })
    }

    /// What a hello is to the engine. None: as for [`Links::input`].
    pub(super) fn hello(&self, Hello { link, life, payload }: Hello) -> Option<Input> {
        self.lives(link, life).then_some(Input::Hello { link, payload })
    }

    /// Forgets a link that has failed, and counts it.
    fn failed(&mut self, link: LinkId, fault: &LinkFault) {
        if let Some(open) = self.open.remove(&link) {
            of_kind(&self.meters, open.target.kind).failed(fault);
        }
    }

    fn opened(&mut self, link: LinkId, Opened { connection, protocol, .. }: Opened) {
        let Some(open) = self.open.get_mut(&link) else { return };
        if self.connected.len() < MAX_CONNECTED {
            self.connected.insert(open.target.addr.clone());
        }
        let node = open.target.kind == TargetKind::DataNode;
        let traffic = Traffic::new(Arc::clone(&open.target), connection, node && protocol == Protocol::Resp3);
        let bell = Bell::new(link, Arc::clone(&self.ready));
        // Something may have come with the last answer of the set-up; and from now on the socket rings this bell.
        bell.wake_by_ref();
        let waker = Waker::from(Arc::clone(&bell));
        open.up = Some(Up { traffic, bell, waker, unwritten: false, broken: None });
        open.aside = None;
        if node && protocol == Protocol::Resp2 {
            self.listen_apart(link);
        }
    }

    /// Has hellos come on a second connection, for as long as the link lives.
    fn listen_apart(&mut self, link: LinkId) {
        let Some(open) = self.open.get_mut(&link) else { return };
        let reporter = Reporter { link, life: open.life, outbox: self.outbox.clone() };
        let (target, dialer) = (Arc::clone(&open.target), self.dialer.again());
        let task = tokio::spawn(async move { match pubsub::keep(&target, &dialer, &reporter).await {} });
        open.aside = Some(task.abort_handle());
    }

    fn lives(&self, link: LinkId, life: u64) -> bool {
        self.open.get(&link).is_some_and(|open| open.life == life)
    }
}

fn of_kind(meters: &Meters, kind: TargetKind) -> &meters::Links {
    match kind {
        TargetKind::DataNode => &meters.data_nodes,
        TargetKind::Peer => &meters.sentinels,
    }
}

/// Hashes the names that the engine gives to links: it counts them, and nobody else chooses one.
#[derive(Default)]
struct OwnNames(u64);

impl Hasher for OwnNames {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        // Neighbours come to lie apart, in the high bits, too.
        self.0 = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}
