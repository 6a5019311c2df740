//! One connection from its first byte to its last.

use std::{
    future::{Future as _, poll_fn},
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures::future::LocalBoxFuture;
use sentinel_resp::{Limits, Reply, RequestDecoder};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite},
    time::{Instant, Sleep, sleep_until},
};

use super::{
    Server,
    client::{Answers, Client, Cut, State},
    command::{self, Answer, Request},
    sample,
};
use crate::{
    commands::{self, Client as ClientVerb, Command, Verb},
    config::system_text,
};

/// Requests are not read while so many bytes wait to be sent: a client that asks without reading is slowed down by
/// its own socket. The reference lets its answers pile up without bound.
const ENOUGH_TO_SEND: usize = 1024 * 1024;
/// Requests executed before other sessions get their turn.
const TURN: usize = 256;
/// Room for one read, in bytes. It is lent by the server, so that a client costs none while it is silent.
const ROOM: usize = 16 * 1024;

/// How long a connection that ends waits for its client to take the last answers.
pub(super) const FAREWELL: Duration = Duration::from_secs(10);

/// Serves one connection until either side ends it.
pub(super) async fn serve<S>(server: &Rc<Server>, client: &Rc<Client>, mut stream: S)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session {
        server,
        client,
        decoder: RequestDecoder::new(limits(server)),
        waiting: None,
        flushed: true,
        ending: None,
        left: false,
        timer: None,
    };
    let outcome = poll_fn(|cx| session.poll(cx, &mut stream)).await;
    server.hub.leave(client);
    match (client.was_cut(), outcome) {
        (Some(Cut::TooFarBehind), _) => {
            server.stats.too_far_behind.add(1);
            tracing::warn!(client = %server.logged(client), "closed a client that does not read what it is sent");
        }
        // Told by who ended it, if by anybody; the reference says no more of them either.
        (Some(Cut::Killed), _) | (None, Ok(Ended::ByServer)) => {}
        (None, Ok(Ended::Idle)) => tracing::debug!(client = %client.peer, "Closing idle client"),
        (None, Ok(Ended::ByClient)) => tracing::debug!("Client closed connection {}", server.logged(client)),
        (None, Err(error)) => {
            tracing::debug!(client = %server.logged(client), "Lost the connection to a client: {}", system_text(&error));
        }
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
    /// Whether nothing that was sent is still inside of the stream.
    flushed: bool,
    /// Nothing more is read; what is to be sent is sent, if the client takes it by then.
    ending: Option<Instant>,
    /// Whether the client has closed its side.
    left: bool,
    /// Set for the next deadline or for an earlier one, which then is looked at again.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Session<'_> {
    /// Goes on until nothing is left to do but to wait. What one read brought is answered with one write.
    ///
    /// Written by hand instead of awaiting one of several things: there is nothing to set up and to tear down again with
    /// each request.
    fn poll<S>(&mut self, cx: &mut Context<'_>, stream: &mut S) -> Poll<io::Result<Ended>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.client.wakes(cx.waker());
        let now = Instant::now();
        let mut turn = TURN;
        loop {
            // Most wake-ups find nothing but bytes to be read: then there is nothing to execute yet, nor to be sent.
            let stopped = if self.is_at_rest() { Stopped::NeedsMore } else { self.execute_requests(now, &mut turn) };
            if self.poll_answer(cx, now).is_ready() {
                continue;
            }
            let to_send = self.poll_send(cx, stream, now)?;
            if self.client.was_cut().is_some() || (self.ending.is_some() && to_send == 0) {
                return Poll::Ready(Ok(if self.left { Ended::ByClient } else { Ended::ByServer }));
            }
            match stopped {
                Stopped::TurnIsOver => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Stopped::MuchToSend if to_send < ENOUGH_TO_SEND => continue,
                Stopped::MuchToSend => {}
                Stopped::NeedsMore if self.ending.is_some() || self.waiting.is_some() => {}
                Stopped::NeedsMore => match self.poll_read(cx, stream)? {
                    // It may have shut down its side only, and still want the answers.
                    Poll::Ready(0) => {
                        self.left = true;
                        self.end(now);
                        continue;
                    }
                    Poll::Ready(bytes) => {
                        self.note_input(bytes, now);
                        continue;
                    }
                    Poll::Pending => {}
                },
            }
            ready!(self.poll_deadline(cx));
            if let Some(ended) = self.is_over() {
                return Poll::Ready(Ok(ended));
            }
        }
    }

    /// Whether nothing has arrived that is not executed, and nothing is to be sent.
    fn is_at_rest(&self) -> bool {
        self.decoder.is_empty() && self.client.outbox().borrow().len() == 0
    }

    /// Takes the answer that the monitor owes. Ready when it was there.
    fn poll_answer(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let Some((answer, wanted)) = &mut self.waiting else { return Poll::Pending };
        let reply = ready!(answer.as_mut().poll(cx));
        let wanted = *wanted;
        self.waiting = None;
        if let Some(command) = self.client.read(|state| state.last_command) {
            self.count(command, reply.is_error());
        }
        self.reply(&reply, wanted, now);
        self.note_activity(now);
        Poll::Ready(())
    }

    /// Sends what the connection takes. Returns how much is left.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        now: Instant,
    ) -> io::Result<usize> {
        let mut outbox = self.client.outbox().borrow_mut();
        while outbox.len() > 0 {
            let Poll::Ready(sent) = outbox.poll_send(cx, stream)? else { break };
            self.server.stats.bytes_out.add(sent, now);
            self.server.stats.writes.add(1);
            self.client.update(|state| state.traffic[1] += sent as u64);
            self.flushed = false;
            self.note_activity(now);
        }
        if !self.flushed {
            // A socket has nothing inside; an encrypted stream does when its socket is full.
            self.flushed = Pin::new(stream).poll_flush(cx)?.is_ready();
        }
        outbox.give_back(&mut self.server.answers.borrow_mut());
        Ok(outbox.len())
    }

    /// Reads what has arrived, into room that all sessions share: a client that is silent costs none.
    fn poll_read(&mut self, cx: &mut Context<'_>, stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Poll<usize>> {
        let mut room = self.server.room.borrow_mut();
        room.reserve(ROOM);
        let read = pin!(stream.read_buf(&mut *room)).poll(cx);
        if !room.is_empty() {
            // Given back as soon as the requests in it are executed, which is next.
            self.decoder.lend(&mut room);
        }
        match read {
            Poll::Ready(read) => read.map(Poll::Ready),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// Ready when the next deadline should be looked at.
    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.deadline() else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        let due = timer.as_mut().poll(cx);
        if due.is_ready() {
            self.timer = None;
        }
        due
    }

    /// Whether a deadline has passed that ends it.
    fn is_over(&self) -> Option<Ended> {
        let now = Instant::now();
        self.client.check_limit();
        if self.ending.is_some_and(|deadline| deadline <= now) {
            return Some(if self.left { Ended::ByClient } else { Ended::ByServer });
        }
        self.idle_deadline().is_some_and(|deadline| deadline <= now).then_some(Ended::Idle)
    }

    /// Executes what has arrived, until something has to be waited for.
    fn execute_requests(&mut self, now: Instant, turn: &mut usize) -> Stopped {
        self.client.outbox().borrow_mut().lend(&mut self.server.answers.borrow_mut());
        let stopped = self.execute_some(now, turn);
        self.decoder.give_back(&mut self.server.room.borrow_mut());
        self.client.update(|state| state.unread = self.decoder.pending());
        stopped
    }

    fn execute_some(&mut self, now: Instant, turn: &mut usize) -> Stopped {
        while self.ending.is_none() && self.waiting.is_none() && self.client.was_cut().is_none() {
            if self.client.outbox().borrow().len() >= ENOUGH_TO_SEND {
                return Stopped::MuchToSend;
            }
            if *turn == 0 {
                return Stopped::TurnIsOver;
            }
            if self.decoder.is_empty() {
                break;
            }
            if self.answers_at_once() && self.answer_question(now) {
                *turn -= 1;
                continue;
            }
            let users = &self.server.users;
            self.decoder.set_authenticated(self.client.read(|state| users.acting(state.user.as_ref()).is_some()));
            match self.decoder.next_request() {
                Ok(Some(words)) => self.execute(&words, now),
                Ok(None) => break,
                Err(error) => {
                    if let Some(reply) = error.reply() {
                        self.server.stats.errors.add(1);
                        if error.is_too_long() {
                            self.server.stats.too_long.add(1);
                        }
                        tracing::debug!(
                            "Protocol error ({error}) from client: {}{}",
                            self.server.logged(self.client),
                            sample::of(self.decoder.refused(), self.server.settings.hide_user_data),
                        );
                        self.client.send(&reply);
                    } else {
                        self.server.warn_of_attack(&self.client.peer, now);
                    }
                    self.end(now);
                }
            }
            *turn -= 1;
        }
        Stopped::NeedsMore
    }

    /// Whether this client may ask everything, in the commands' own names, and is answered.
    fn answers_at_once(&self) -> bool {
        let server = self.server;
        server.names.are_own()
            && self.client.read(|state| {
                state.answers == Answers::On
                    && !state.is_bound()
                    && server.users.acting(state.user.as_ref()).is_some_and(|user| user.is_unrestricted())
            })
    }

    /// Answers the next request if it is the question of most clients, without making words of it. Whatever else it is,
    /// also in another spelling, is for [`execute`](Self::execute), which does the same for this one.
    fn answer_question(&mut self, now: Instant) -> bool {
        let (server, client) = (self.server, self.client);
        let unknown = self.decoder.with_last_word(command::ADDRESS, |name| {
            let view = server.view.load();
            let serving = command::serving(&view, name);
            serving.inspect(|address| client.send_address(address)).is_none()
        });
        let Some(unknown) = unknown else { return false };
        server.stats.commands.add(1, now);
        self.count(commands::address(), false);
        client.update(|state| {
            state.last_command = Some(commands::address());
            state.traffic[2] += 1;
        });
        if unknown {
            self.reply(&Reply::NullArray, true, now);
        }
        true
    }

    fn execute(&mut self, words: &[Bytes], now: Instant) {
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
                server.stats.commands.add(1, now);
                client.update(|state| state.last_command = Some(command));
                let answer = command::execute(command, &Request { server, client, words });
                client.update(|state| state.traffic[2] += 1);
                if let Some(failed) = answer.has_failed() {
                    self.count(command, failed);
                }
                (answer, command.does)
            }
            Err(refusal) => {
                server.meters.commands.refused.count();
                (refusal.into(), Verb::Container)
            }
        };
        let off = client.read(|state| state.answers == Answers::Off);
        let skipped = before == Answers::SkipNext && !matches!(verb, Verb::Client(ClientVerb::Reply));
        let wanted = !off && !skipped;
        match answer {
            Answer::Now(reply) => self.reply(&server.names.as_called(words, reply), wanted, now),
            Answer::Address(address) if wanted => self.client.send_address(&address),
            Answer::Address(_) => {}
            Answer::Each(replies) => replies.iter().for_each(|reply| self.reply(reply, wanted, now)),
            Answer::Later(reply) => self.waiting = Some((reply, wanted)),
            Answer::Last(reply) => {
                self.reply(&reply, wanted, now);
                self.end(now);
            }
            Answer::Shutdown => {
                self.end(now);
                tracing::warn!(client = %client.peer, "a client asked for the end of this process");
                server.shutdown.notify_one();
            }
        }
    }

    fn count(&self, command: &Command, with_error: bool) {
        self.server.meters.commands.answered(command.permit, with_error);
    }

    fn reply(&mut self, reply: &Reply, wanted: bool, now: Instant) {
        if reply.is_error() {
            self.server.stats.errors.add(1);
        }
        // What CLIENT REPLY switches off are answers: confirmations of subscriptions come all the same, as events do.
        if wanted || matches!(reply, Reply::Push(_)) {
            self.client.send(reply);
        }
        if self.client.is_dismissed() {
            self.end(now);
        }
    }

    fn note_input(&self, bytes: usize, now: Instant) {
        self.server.stats.bytes_in.add(bytes, now);
        self.client.update(|state| state.traffic[0] += bytes as u64);
        self.server.stats.reads.add(1);
        self.note_activity(now);
    }

    /// Anything that goes to or comes from the client ends its idleness.
    fn note_activity(&self, now: Instant) {
        self.client.update(|state| state.active = now);
    }

    fn end(&mut self, now: Instant) {
        self.ending = self.ending.or_else(|| now.checked_add(FAREWELL));
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

/// Who has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// The client, by closing it.
    ByClient,
    /// This process, at the client's request or for breaking the protocol.
    ByServer,
    /// The client has been silent for `timeout`.
    Idle,
}

/// Why no more requests are executed for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stopped {
    /// None that is complete is left, or the last one is not over.
    NeedsMore,
    /// The client should take its answers first.
    MuchToSend,
    /// Others want to be served, too.
    TurnIsOver,
}
