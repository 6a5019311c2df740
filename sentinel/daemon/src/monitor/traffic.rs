//! What goes over an open command connection: requests out; answers and hellos in.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use sentinel_core::{LinkFault, Message, RequestId, Target};
use sentinel_resp::Reply;
use tokio::time::Instant;

use super::{
    connection::{Connection, Step},
    value::{self, Received},
    wire::{self, Answers, Command, HELLO_CHANNEL},
};

/// How many values one link may bring before the others, and the engine, have their turn.
///
/// Without it a flood of messages would keep this thread busy with one link as long as its socket has something.
pub(super) const TURN: u32 = 32;

/// How many hellos within a second are a flood. A hundred Sentinels send fifty. Where it is taken for one in error, the
/// link has two connections, as the reference's has.
const FLOOD: u32 = 100;

/// What came in.
#[derive(Debug)]
pub(super) enum Said {
    /// The answer to a request.
    Answer(RequestId, Reply),
    /// A message on the hello channel.
    Hello(Bytes),
    /// The answer to the subscription; its error if it is refused.
    Subscription(Option<String>),
    /// A PING was answered, so long after it was put behind what waits to be written. Its answer follows.
    Pong(Duration),
    /// Messages keep answers waiting: they were asked not to come on this connection any more.
    Flooded,
}

/// Whose answer comes next.
enum Unanswered {
    One(RequestId),
    /// Several commands that were one message.
    Several {
        request: RequestId,
        missing: usize,
        answers: Vec<Reply>,
    },
    /// Of two commands the second one's, unless the first is refused with an error that names it so.
    OneUnlessRefused {
        request: RequestId,
        command: &'static str,
    },
    Subscribe,
    Unsubscribe,
}

/// The subscription of a RESP3 connection to the hello channel.
///
/// Messages stand before answers in this connection: who floods the channel would keep every PONG waiting, until a
/// healthy instance looks dead. Then the subscription moves to a connection of its own, for as long as the link lives.
struct Subscription {
    /// When the hellos were begun to be counted, and how many there were since.
    counted: (Instant, u32),
}

impl Subscription {
    fn new() -> Self {
        Self { counted: (Instant::now(), 0) }
    }

    /// Counts one more hello. Whether there are too many.
    fn is_flooded(&mut self) -> bool {
        let (since, count) = &mut self.counted;
        *count += 1;
        if *count < FLOOD {
            return false;
        }
        let now = Instant::now();
        let flooded = now.duration_since(*since) < Duration::from_secs(1);
        self.counted = (now, 0);
        flooded
    }
}

/// An open command connection and what was asked over it.
pub(super) struct Traffic {
    target: Arc<Target>,
    connection: Connection,
    unanswered: VecDeque<Unanswered>,
    /// The oldest PING without an answer, and when it was sent.
    ping: Option<(RequestId, Instant)>,
    /// None: messages come elsewhere, or not at all.
    subscription: Option<Subscription>,
}

impl Traffic {
    /// Takes over a connection that is set up; with `subscribed`, hellos come over it, too.
    pub(super) fn new(target: Arc<Target>, connection: Connection, subscribed: bool) -> Self {
        let subscription = subscribed.then(Subscription::new);
        let mut traffic = Traffic { target, connection, unanswered: VecDeque::new(), ping: None, subscription };
        // Before the first request, so that the answer to a first hello is never without its own echo.
        traffic.subscribe();
        traffic
    }

    /// Puts a message behind those that wait to be written.
    pub(super) fn send(&mut self, request: RequestId, message: &Message) {
        let encoded = wire::encode(message, &self.target.rename_commands);
        self.connection.queue(&encoded.bytes);
        if matches!(message, Message::Ping) {
            self.ping.get_or_insert_with(|| (request, Instant::now()));
        }
        self.unanswered.push_back(match encoded.answers {
            Answers::One => Unanswered::One(request),
            Answers::Several(missing) => Unanswered::Several { request, missing, answers: Vec::with_capacity(missing) },
            Answers::OneUnlessRefused(command) => Unanswered::OneUnlessRefused { request, command },
        });
    }

    /// Asks for messages, also once more if that was refused.
    pub(super) fn subscribe(&mut self) {
        if self.subscription.is_some() {
            self.connection.queue(&Command::new(&self.target.rename_commands, "SUBSCRIBE").arg(HELLO_CHANNEL).packed());
            self.unanswered.push_back(Unanswered::Subscribe);
        }
    }

    /// Writes what waits, as much as the other side takes.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<(), LinkFault> {
        self.connection.poll_write(cx)
    }

    /// Writes what waits and tells what came in, as much as is one link's turn. Whether there may be more.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, mut tell: impl FnMut(Said)) -> Result<bool, LinkFault> {
        for _ in 0..TURN {
            match self.connection.poll_step(cx) {
                Poll::Ready(Step::Received(value)) => self.receive(value, &mut tell)?,
                Poll::Ready(Step::Broken(fault)) => return Err(fault),
                Poll::Pending => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Has messages come on a connection of their own from now on.
    fn unsubscribe(&mut self) {
        self.subscription = None;
        tracing::warn!(
            address = %self.target.addr,
            "{} is flooded with messages on {HELLO_CHANNEL}: they are read on a connection of their own from now on",
            self.target.addr
        );
        self.connection.queue(&Command::new(&self.target.rename_commands, "UNSUBSCRIBE").arg(HELLO_CHANNEL).packed());
        self.unanswered.push_back(Unanswered::Unsubscribe);
    }

    fn receive(&mut self, value: Reply, tell: &mut impl FnMut(Said)) -> Result<(), LinkFault> {
        match value::sort(value) {
            Received::Hello(payload) => {
                tell(Said::Hello(payload));
                if self.subscription.as_mut().is_some_and(Subscription::is_flooded) {
                    self.unsubscribe();
                    tell(Said::Flooded);
                }
            }
            Received::Subscribed => {
                if matches!(self.unanswered.front(), Some(Unanswered::Subscribe)) {
                    self.unanswered.pop_front();
                    tell(Said::Subscription(None));
                }
            }
            Received::Other => {
                if matches!(self.unanswered.front(), Some(Unanswered::Unsubscribe)) {
                    self.unanswered.pop_front();
                }
            }
            Received::Answer(reply) => return self.answered(reply, tell),
        }
        Ok(())
    }

    fn answered(&mut self, reply: Reply, tell: &mut impl FnMut(Said)) -> Result<(), LinkFault> {
        match self.unanswered.pop_front() {
            Some(Unanswered::One(request)) => {
                if let Some((_, sent)) = self.ping.take_if(|(ping, _)| *ping == request) {
                    tell(Said::Pong(sent.elapsed()));
                }
                tell(Said::Answer(request, reply));
            }
            Some(Unanswered::Several { request, missing, mut answers }) => {
                answers.push(reply);
                if missing > 1 {
                    self.unanswered.push_front(Unanswered::Several { request, missing: missing - 1, answers });
                } else {
                    tell(Said::Answer(request, Reply::Array(answers)));
                }
            }
            Some(Unanswered::OneUnlessRefused { request, command }) => match &reply {
                Reply::Error(line) if line.to_ascii_uppercase().contains(command) => {
                    self.unanswered.push_front(Unanswered::Several { request, missing: 1, answers: vec![reply] });
                }
                // Whose error it is cannot be told, and so not whose answer comes next.
                Reply::Error(line) => return Err(LinkFault::Failed(format!("{command} was answered with {line:?}"))),
                _ => tell(Said::Answer(request, reply)),
            },
            Some(Unanswered::Subscribe) => {
                if let (Some(_), Reply::Error(line)) = (&self.subscription, reply) {
                    tell(Said::Subscription(Some(line)));
                }
            }
            // Not permitted: then the same messages come on both.
            Some(Unanswered::Unsubscribe) => {}
            // Servers say so before they close a connection of their own accord.
            None => {
                let text = reply.as_text().unwrap_or("an answer to no question");
                return Err(LinkFault::Failed(format!("the instance sent {text:?} unasked")));
            }
        }
        Ok(())
    }
}
