//! One connection from its first byte to its last.

use std::{future::poll_fn, io, rc::Rc, time::Duration};

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use sentinel_resp::{Limits, Reply, RequestDecoder};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Instant, sleep_until},
};

use super::{
    Server,
    client::{Answers, Client, Cut, State},
    command::{self, Answer, Request},
    table::{Client as ClientVerb, Verb},
};

/// Requests are not read while so many bytes wait to be sent: a client that asks without reading is slowed down by
/// its own socket. The reference lets its answers pile up without bound.
const ENOUGH_TO_SEND: usize = 1024 * 1024;
/// Requests executed before other sessions get their turn.
const TURN: usize = 256;
/// Room for reading, in bytes: at first, and when the client fills it.
const ROOM: (usize, usize) = (2 * 1024, 32 * 1024);

/// How long a connection that ends waits for its client to take the last answers.
const FAREWELL: Duration = Duration::from_secs(10);

/// Serves one connection until either side ends it.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(server: &Rc<Server>, client: &Rc<Client>, stream: S) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut session = Session {
        server,
        client,
        decoder: RequestDecoder::new(limits(server)),
        waiting: None,
        ending: None,
        room: ROOM.0,
    };
    let outcome = session.run(&mut reader, &mut writer).await;
    server.hub.leave(client);
    match (client.was_cut(), outcome) {
        (Some(Cut::TooFarBehind), _) => {
            tracing::warn!(client = %client.line(), "closed a client that does not read what it is sent");
        }
        (Some(Cut::Killed), _) | (None, Ok(())) => {}
        (None, Err(error)) => tracing::debug!(client = %client.peer, %error, "lost a client"),
    }
}

/// The reference bounds what one client may have it hold at 1 GiB, which is no bound; see [`Limits`].
fn limits(server: &Server) -> Limits {
    let sane = Limits::default();
    Limits {
        max_bulk_bytes: server.settings.max_bulk_len,
        max_request_bytes: sane.max_request_bytes.min(server.settings.query_buffer_limit),
    }
}

struct Session<'a> {
    server: &'a Rc<Server>,
    client: &'a Rc<Client>,
    decoder: RequestDecoder,
    /// The answer that the monitor owes, and whether the client wants it.
    waiting: Option<(LocalBoxFuture<'static, Reply>, bool)>,
    /// Nothing more is read; what is to be sent is sent, if the client takes it by then.
    ending: Option<Instant>,
    room: usize,
}

impl Session<'_> {
    async fn run(
        &mut self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> io::Result<()> {
        loop {
            let more = self.execute_requests();
            let to_send = self.client.outbox().borrow().len();
            if self.client.was_cut().is_some() || (self.ending.is_some() && to_send == 0) {
                return Ok(());
            }
            let wants_input = self.ending.is_none() && !more && self.waiting.is_none() && to_send < ENOUGH_TO_SEND;
            let (client, room) = (self.client, self.room);
            let deadline = self.deadline();
            let (decoder, waiting) = (&mut self.decoder, &mut self.waiting);
            let happened = tokio::select! {
                read = read_into(decoder, reader, room), if wants_input => Happened::Read(read?),
                sent = send(client, writer), if to_send > 0 => Happened::Sent(sent?),
                reply = answer(waiting), if waiting.is_some() => Happened::Answered(reply),
                () = client.woken() => Happened::Woken,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Happened::TimedOut,
                () = tokio::task::yield_now(), if more => Happened::Woken,
            };
            match happened {
                // It may have shut down its side only, and still want the answers.
                Happened::Read(0) => self.end(),
                Happened::Read(bytes) => self.note_input(bytes),
                Happened::Sent(bytes) => {
                    self.server.stats.bytes_out.add(bytes);
                    self.server.stats.writes.add(1);
                    self.note_activity();
                }
                Happened::Answered(reply) => {
                    let wanted = self.waiting.take().is_some_and(|(_, wanted)| wanted);
                    self.reply(&reply, wanted);
                    self.note_activity();
                }
                Happened::Woken => {}
                Happened::TimedOut => {
                    client.check_limit();
                    let now = Instant::now();
                    if self.ending.is_some_and(|deadline| deadline <= now) {
                        return Ok(());
                    }
                    if self.idle_deadline().is_some_and(|deadline| deadline <= now) {
                        tracing::debug!(client = %client.peer, "closed an idle client");
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Executes what has arrived, until something has to be waited for. Returns whether only its turn is over.
    fn execute_requests(&mut self) -> bool {
        let mut executed = 0;
        while self.ending.is_none() && self.waiting.is_none() && self.client.was_cut().is_none() {
            if self.client.outbox().borrow().len() >= ENOUGH_TO_SEND {
                return false;
            }
            if executed == TURN {
                return true;
            }
            let users = &self.server.users;
            self.decoder.set_authenticated(self.client.read(|state| users.acting(state.user.as_ref()).is_some()));
            match self.decoder.next_request() {
                Ok(Some(words)) => self.execute(&words),
                Ok(None) => break,
                Err(error) => {
                    if let Some(reply) = error.reply() {
                        self.server.stats.errors.add(1);
                        self.client.send(&reply);
                    } else {
                        tracing::warn!(client = %self.client.peer, "{error}; the connection is closed");
                    }
                    self.end();
                }
            }
            executed += 1;
        }
        self.client.update(|state| state.unread = self.decoder.pending());
        false
    }

    fn execute(&mut self, words: &[Bytes]) {
        let (server, client) = (self.server, self.client);
        let before = client.update(|state| {
            let answers = state.answers;
            if answers == Answers::SkipNext {
                state.answers = Answers::On;
            }
            answers
        });
        let (answer, verb) = match command::check(server, client, words) {
            Ok(command) => {
                server.stats.count_command(Instant::now());
                client.update(|state| state.last_command = Some(command));
                (command::execute(command, &Request { server, client, words }), command.verb)
            }
            Err(refusal) => (refusal.into(), Verb::Container),
        };
        let off = client.read(|state| state.answers == Answers::Off);
        let skipped = before == Answers::SkipNext && verb != Verb::Client(ClientVerb::Reply);
        let wanted = !off && !skipped;
        match answer {
            Answer::Now(reply) => self.reply(&reply, wanted),
            Answer::Each(replies) => replies.iter().for_each(|reply| self.reply(reply, wanted)),
            Answer::Later(reply) => self.waiting = Some((reply, wanted)),
            Answer::Last(reply) => {
                self.reply(&reply, wanted);
                self.end();
            }
            Answer::Shutdown => {
                self.end();
                tracing::warn!(client = %client.peer, "a client asked for the end of this process");
                server.shutdown.notify_one();
            }
        }
    }

    fn reply(&mut self, reply: &Reply, wanted: bool) {
        if reply.is_error() {
            self.server.stats.errors.add(1);
        }
        if wanted {
            self.client.send(reply);
        }
        if self.client.is_dismissed() {
            self.end();
        }
    }

    fn note_input(&mut self, bytes: usize) {
        self.server.stats.bytes_in.add(bytes);
        self.server.stats.reads.add(1);
        self.room = if bytes >= self.room { ROOM.1 } else { ROOM.0 };
        self.note_activity();
    }

    /// Anything that goes to or comes from the client ends its idleness.
    fn note_activity(&self) {
        self.client.update(|state| state.active = Instant::now());
    }

    fn end(&mut self) {
        self.ending = self.ending.or_else(|| Instant::now().checked_add(FAREWELL));
    }

    fn deadline(&self) -> Option<Instant> {
        [self.ending, self.idle_deadline(), self.client.limit_deadline()].into_iter().flatten().min()
    }

    /// When a client that asks for nothing is closed. Subscribers may be silent for ever, and who waits for an answer
    /// is not idle.
    fn idle_deadline(&self) -> Option<Instant> {
        let timeout = self.server.settings.idle_timeout?;
        let (active, subscriber) = self.client.read(|state| (state.active, State::subscriptions(state) > 0));
        if subscriber || self.waiting.is_some() { None } else { active.checked_add(timeout) }
    }
}

/// What ended one wait of a session.
enum Happened {
    Read(usize),
    Sent(usize),
    Answered(Reply),
    Woken,
    TimedOut,
}

async fn read_into(
    decoder: &mut RequestDecoder,
    reader: &mut (impl AsyncRead + Unpin),
    room: usize,
) -> io::Result<usize> {
    let buffer = decoder.buffer();
    buffer.reserve(room);
    reader.read_buf(buffer).await
}

async fn send(client: &Client, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<usize> {
    poll_fn(|cx| client.outbox().borrow_mut().poll_send(cx, writer)).await
}

async fn answer(waiting: &mut Option<(LocalBoxFuture<'static, Reply>, bool)>) -> Reply {
    match waiting {
        Some((reply, _)) => reply.await,
        None => std::future::pending().await,
    }
}
