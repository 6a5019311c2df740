//! One connected client, as its own session and everyone else in this process see it.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fmt::Write as _,
    rc::Rc,
    task::Waker,
};

use bytes::Bytes;
use sentinel_core::types::HostPort;
use sentinel_resp::{Protocol, Reply};
use tokio::time::Instant;

use super::{
    acl::{Account, Users},
    guest::Address,
    outbox::Outbox,
};
use crate::{
    commands::Command,
    compatible::Compatible,
    config::{OutputLimit, OutputLimits},
};

/// What the log has in place of a name that it hides, as Valkey's.
pub(super) const REDACTED: &str = "*redacted*";

/// One connected client.
///
/// All sessions share one thread, so cells suffice; no borrow is held across an `await`.
#[derive(Debug)]
pub(crate) struct Client {
    /// Grows by connection and is never used again.
    pub(crate) id: u64,
    /// Where it connects from.
    pub(crate) peer: Address,
    /// Where it connected to.
    pub(crate) local: Address,
    /// The descriptor of its socket, for CLIENT LIST.
    pub(crate) descriptor: i32,
    connected: Instant,
    state: RefCell<State>,
    outbox: RefCell<Outbox>,
    limits: OutputLimits,
    look: Compatible,
    session: RefCell<Option<Waker>>,
    cut: Cell<Option<Cut>>,
    dismissed: Cell<bool>,
}

/// What a session may change about its client.
#[derive(Debug)]
pub(crate) struct State {
    /// The version of the protocol.
    pub(crate) protocol: Protocol,
    /// Who it is; none until it logged in, or if it could not be the user `default` when it came.
    pub(crate) user: Option<Rc<Account>>,
    /// Whether answers are sent.
    pub(crate) answers: Answers,
    /// The name it gave itself; empty if none.
    pub(crate) name: Bytes,
    /// What its library is called.
    pub(crate) library: Bytes,
    /// The version of its library.
    pub(crate) library_version: Bytes,
    /// The event names it subscribed to.
    pub(crate) channels: BTreeSet<Bytes>,
    /// The patterns it subscribed to.
    pub(crate) patterns: BTreeSet<Bytes>,
    /// What it last asked for.
    pub(crate) last_command: Option<&'static Command>,
    /// When it last sent or took something.
    pub(crate) active: Instant,
    /// Bytes it sent that no request has used yet.
    pub(crate) unread: usize,
    /// Bytes that it sent, bytes that it was sent, and commands that it had executed.
    pub(crate) traffic: [u64; 3],
}

/// Whether the answers to a client's requests are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Answers {
    /// Yes.
    #[default]
    On,
    /// No, until it wants them again.
    Off,
    /// Not the one to the next request.
    SkipNext,
}

/// Why a client is cut off without waiting for what is still to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// CLIENT KILL, or its user is gone or may not have its subscriptions any more.
    Killed,
    /// It does not read what it subscribed to.
    TooFarBehind,
}

/// The kinds of clients that CLIENT LIST and CLIENT KILL tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any client without a subscription.
    Normal,
    /// A subscriber.
    PubSub,
    /// A master or a replica; a Sentinel has neither as a client.
    Replication,
}

impl Kind {
    /// The kind of that name.
    pub(crate) fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"normal" => Some(Self::Normal),
            b"pubsub" => Some(Self::PubSub),
            b"master" | b"replica" | b"slave" => Some(Self::Replication),
            _ => None,
        }
    }
}

impl State {
    fn new(user: Option<Rc<Account>>) -> Self {
        Self {
            protocol: Protocol::Resp2,
            user,
            answers: Answers::On,
            name: Bytes::new(),
            library: Bytes::new(),
            library_version: Bytes::new(),
            channels: BTreeSet::new(),
            patterns: BTreeSet::new(),
            last_command: None,
            active: Instant::now(),
            unread: 0,
            traffic: [0; 3],
        }
    }

    /// Whether it subscribed in RESP2, and so may do little else.
    pub(crate) fn is_bound(&self) -> bool {
        self.protocol == Protocol::Resp2 && self.subscriptions() > 0
    }

    /// Channels and patterns together.
    pub(crate) fn subscriptions(&self) -> usize {
        self.channels.len() + self.patterns.len()
    }
}

impl Client {
    /// A client that has just connected.
    pub(crate) fn new(
        id: u64,
        (peer, local): (Address, Address),
        descriptor: i32,
        users: &Users,
        limits: OutputLimits,
        look: Compatible,
    ) -> Self {
        Self {
            id,
            peer,
            local,
            descriptor,
            connected: Instant::now(),
            state: RefCell::new(State::new(users.newcomer().cloned())),
            outbox: RefCell::default(),
            limits,
            look,
            session: RefCell::default(),
            cut: Cell::new(None),
            dismissed: Cell::new(false),
        }
    }

    /// Reads its state.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Changes its state.
    pub(crate) fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.borrow_mut())
    }

    /// Makes it what it was when it connected. Its subscriptions must have been ended before.
    pub(crate) fn reset(&self, users: &Users) {
        self.update(|state| {
            let (active, unread, traffic) = (state.active, state.unread, state.traffic);
            *state = State { active, unread, traffic, ..State::new(users.newcomer().cloned()) };
        });
    }

    /// What it waits for.
    pub(crate) fn outbox(&self) -> &RefCell<Outbox> {
        &self.outbox
    }

    /// Sends an answer, behind everything that is on its way already.
    pub(crate) fn send(&self, reply: &Reply) {
        let protocol = self.read(|state| state.protocol);
        self.outbox.borrow_mut().push(reply, protocol);
        self.check_limit();
    }

    /// Sends an address, behind everything that is on its way already.
    pub(crate) fn send_address(&self, address: &HostPort) {
        self.outbox.borrow_mut().push_address(address);
        self.check_limit();
    }

    /// Sends what others are sent too, and wakes its session.
    pub(crate) fn deliver(&self, bytes: Bytes) {
        if self.cut.get().is_none() {
            self.outbox.borrow_mut().push_shared(bytes);
            self.check_limit();
            self.wake();
        }
    }

    /// Cuts it off if it is too far behind with reading.
    pub(crate) fn check_limit(&self) {
        let limit = self.limit();
        if self.outbox.borrow_mut().exceeds(limit, Instant::now) {
            self.cut(Cut::TooFarBehind);
        }
    }

    /// When [`check_limit`](Self::check_limit) should be called although nothing is sent.
    pub(crate) fn limit_deadline(&self) -> Option<Instant> {
        self.outbox.borrow().soft_deadline(self.limit())
    }

    fn limit(&self) -> OutputLimit {
        match self.kind() {
            Kind::PubSub => self.limits.pubsub,
            Kind::Normal | Kind::Replication => self.limits.normal,
        }
    }

    /// Ends it at once. What it was to be sent is dropped here and now, not when its session notices.
    pub(crate) fn cut(&self, why: Cut) {
        if self.cut.get().is_none() {
            self.cut.set(Some(why));
            *self.outbox.borrow_mut() = Outbox::default();
            self.wake();
        }
    }

    /// Whether it was cut off, and why.
    pub(crate) fn was_cut(&self) -> Option<Cut> {
        self.cut.get()
    }

    /// Ends it once the answer to its present request is sent.
    pub(crate) fn dismiss(&self) {
        self.dismissed.set(true);
    }

    /// Whether it ends with the answer to its present request.
    pub(crate) fn is_dismissed(&self) -> bool {
        self.dismissed.get()
    }

    /// Whether it logged in as this user, or is it without having logged in.
    pub(crate) fn acts_as(&self, user: &Rc<Account>) -> bool {
        self.read(|state| state.user.as_ref().map_or(user.is_default(), |mine| Rc::ptr_eq(mine, user)))
    }

    /// Whom to wake when something was sent to it, or it was cut off, by someone else.
    pub(crate) fn wakes(&self, session: &Waker) {
        let mut known = self.session.borrow_mut();
        if !known.as_ref().is_some_and(|known| known.will_wake(session)) {
            *known = Some(session.clone());
        }
    }

    fn wake(&self) {
        if let Some(session) = &*self.session.borrow() {
            session.wake_by_ref();
        }
    }

    /// What kind of client it is.
    pub(crate) fn kind(&self) -> Kind {
        if self.read(State::subscriptions) > 0 { Kind::PubSub } else { Kind::Normal }
    }

    /// Its line in CLIENT LIST, with the fields of the version in their order; those for the library are in all of them.
    pub(crate) fn line(&self) -> String {
        self.described(false)
    }

    /// The same, with or without the names that it has and logged in with.
    pub(super) fn described(&self, hidden: bool) -> String {
        let state = self.state.borrow();
        let outbox = self.outbox.borrow();
        let now = Instant::now();
        let library = [&state.library, &state.library_version].map(|bytes| String::from_utf8_lossy(bytes));
        let [capabilities, watched, end] = self.look.client_fields([&library[0], &library[1]], state.traffic);
        let mut line = format!(
            "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={}{capabilities} db=0 sub={} psub={} ssub=0 \
             multi=-1{watched}",
            self.id,
            self.peer,
            self.local,
            self.descriptor,
            if hidden { REDACTED.into() } else { String::from_utf8_lossy(&state.name) },
            now.duration_since(self.connected).as_secs(),
            now.duration_since(state.active).as_secs(),
            match (state.subscriptions() > 0, matches!(self.peer, Address::Local(_))) {
                (true, true) => "PU",
                (true, false) => "P",
                (false, true) => "U",
                (false, false) => "N",
            },
            state.channels.len(),
            state.patterns.len(),
        );
        // Writing to a String never fails.
        let _ = write!(
            line,
            " qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=0 oll={} omem={} tot-mem={} events=r \
             cmd={} user={} redir=-1 resp={}{end}",
            state.unread,
            outbox.pieces(),
            outbox.len(),
            outbox.len() + state.unread + size_of::<Self>(),
            state.last_command.map_or("NULL", |command| command.name),
            match &state.user {
                _ if hidden => REDACTED.into(),
                Some(user) => user.display_name(),
                None => "default".into(),
            },
            state.protocol.version(),
        );
        line
    }
}
