//! One link: the task that keeps the connections to one instance, from opening to breaking.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use sentinel_core::{LinkFault, LinkId, Message, RequestId, Target, TargetKind};
use sentinel_resp::Reply;
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};

use super::{
    connection::{Connection, Step},
    dial::{Dialed, Dialer},
    handshake::{self, HANDSHAKE_TIMEOUT, Protocol},
    inbox::{Fact, Hello, News, Outbox},
    pubsub,
    value::{self, Received},
    wire::{self, Answers, Command, HELLO_CHANNEL},
};

/// How long to wait before a refused subscription is asked for again.
pub(super) const RESUBSCRIBE_PERIOD: Duration = Duration::from_secs(1);

/// How many values one link may bring before the others, and the engine, have their turn.
///
/// Without it a flood of messages would keep this thread busy with one link as long as its socket has something.
pub(super) const TURN: u32 = 32;

/// How many hellos within a second are a flood. A hundred Sentinels send fifty. Where it is taken for one in error, the
/// link has two connections, as the reference's has.
const FLOOD: u32 = 100;

/// A message to send, and the name its answer will carry.
pub(super) struct Request {
    pub(super) request: RequestId,
    pub(super) message: Message,
}

/// Speaks for one life of one link.
#[derive(Clone)]
pub(super) struct Reporter {
    pub(super) link: LinkId,
    pub(super) life: u64,
    pub(super) outbox: Outbox,
}

impl Reporter {
    pub(super) fn tell(&self, news: News) {
        self.outbox.tell(Fact::Link { link: self.link, life: self.life, news });
    }

    pub(super) fn hello(&self, payload: bytes::Bytes) {
        self.outbox.hello(Hello { link: self.link, life: self.life, payload });
    }
}

/// Opens the link, serves it until it breaks, and reports both. Dropping the future closes everything.
pub(super) async fn run(
    target: Arc<Target>,
    dialer: Dialer,
    requests: mpsc::UnboundedReceiver<Request>,
    reporter: Reporter,
) {
    let fault = match open(&target, &dialer, &reporter).await {
        Ok((connection, protocol)) => {
            let apart = Notify::new();
            let subscribed = target.kind == TargetKind::DataNode;
            let traffic = Traffic {
                target: &target,
                reporter: &reporter,
                unanswered: VecDeque::new(),
                flooded: false,
                subscription: (subscribed && protocol == Protocol::Resp3).then(|| Subscription::new(&apart)),
            };
            if subscribed && protocol == Protocol::Resp2 {
                apart.notify_one();
            }
            let listening_apart = async {
                apart.notified().await;
                match pubsub::keep(&target, &dialer, &reporter).await {}
            };
            tokio::select! {
                fault = traffic.serve(connection, requests) => fault,
                fault = listening_apart => fault,
            }
        }
        Err(fault) => fault,
    };
    reporter.tell(News::Down(fault));
}

async fn open(target: &Target, dialer: &Dialer, reporter: &Reporter) -> Result<(Connection, Protocol), LinkFault> {
    let Dialed { transport, local } = dialer.dial(&target.addr).await?;
    let mut connection = Connection::new(transport);
    let protocol = within(HANDSHAKE_TIMEOUT, handshake::commands(&mut connection, target)).await?;
    reporter.tell(News::Up { local });
    Ok((connection, protocol))
}

/// Bounds the set-up of a connection.
pub(super) async fn within<T>(
    limit: Duration,
    setup: impl Future<Output = Result<T, LinkFault>>,
) -> Result<T, LinkFault> {
    let late = |_| Err(LinkFault::Failed(format!("connected, but not answered within {} ms", limit.as_millis())));
    tokio::time::timeout(limit, setup).await.unwrap_or_else(late)
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
struct Subscription<'a> {
    /// When to ask for it again. None: asked for, or had.
    due: Option<Instant>,
    /// When the hellos were begun to be counted, and how many there were since.
    counted: (Instant, u32),
    /// Told when it is to be kept elsewhere.
    apart: &'a Notify,
}

impl<'a> Subscription<'a> {
    fn new(apart: &'a Notify) -> Self {
        Self { due: None, counted: (Instant::now(), 0), apart }
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

/// An open command connection and what goes over it.
struct Traffic<'a> {
    target: &'a Target,
    reporter: &'a Reporter,
    unanswered: VecDeque<Unanswered>,
    /// Whether the last value was one hello too many.
    flooded: bool,
    subscription: Option<Subscription<'a>>,
}

impl Traffic<'_> {
    /// Sends requests as they come, tells answers and hellos, until the connection breaks.
    async fn serve(mut self, mut connection: Connection, mut requests: mpsc::UnboundedReceiver<Request>) -> LinkFault {
        // Before the first request, so that the answer to a first hello is never without its own echo.
        self.subscribe(&mut connection);
        let mut received: u32 = 0;
        loop {
            let due = self.subscription.as_ref().and_then(|subscription| subscription.due);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.subscribe(&mut connection);
                }
                Some(request) = requests.recv() => self.send(&mut connection, &request),
                step = connection.step() => match step {
                    Step::Received(value) => {
                        if let Err(fault) = self.receive(value) {
                            return fault;
                        }
                        self.move_subscription_if_flooded(&mut connection);
                        received = received.wrapping_add(1);
                        if received.is_multiple_of(TURN) {
                            tokio::task::yield_now().await;
                        }
                    }
                    Step::Broken(fault) => return fault,
                },
            }
        }
    }

    fn send(&mut self, connection: &mut Connection, Request { request, message }: &Request) {
        let encoded = wire::encode(message, &self.target.rename_commands);
        connection.queue(&encoded.bytes);
        self.unanswered.push_back(match encoded.answers {
            Answers::One => Unanswered::One(*request),
            Answers::Several(missing) => {
                Unanswered::Several { request: *request, missing, answers: Vec::with_capacity(missing) }
            }
            Answers::OneUnlessRefused(command) => Unanswered::OneUnlessRefused { request: *request, command },
        });
    }

    fn subscribe(&mut self, connection: &mut Connection) {
        if let Some(subscription) = &mut self.subscription {
            subscription.due = None;
            connection.queue(&Command::new(&self.target.rename_commands, "SUBSCRIBE").arg(HELLO_CHANNEL).packed());
            self.unanswered.push_back(Unanswered::Subscribe);
        }
    }

    /// Has messages come on a connection of their own from now on, if they keep answers waiting on this one.
    fn move_subscription_if_flooded(&mut self, connection: &mut Connection) {
        if !std::mem::take(&mut self.flooded) {
            return;
        }
        if let Some(subscription) = self.subscription.take() {
            tracing::warn!(
                address = %self.target.addr,
                "{} is flooded with messages on {HELLO_CHANNEL}: they are read on a connection of their own from now on",
                self.target.addr
            );
            connection.queue(&Command::new(&self.target.rename_commands, "UNSUBSCRIBE").arg(HELLO_CHANNEL).packed());
            self.unanswered.push_back(Unanswered::Unsubscribe);
            subscription.apart.notify_one();
        }
    }

    fn receive(&mut self, value: Reply) -> Result<(), LinkFault> {
        match value::sort(value) {
            Received::Hello(payload) => {
                self.flooded |= self.subscription.as_mut().is_some_and(Subscription::is_flooded);
                self.reporter.hello(payload);
            }
            Received::Subscribed => {
                if matches!(self.unanswered.front(), Some(Unanswered::Subscribe)) {
                    self.unanswered.pop_front();
                    self.reporter.tell(News::Subscription(None));
                }
            }
            Received::Other => {
                if matches!(self.unanswered.front(), Some(Unanswered::Unsubscribe)) {
                    self.unanswered.pop_front();
                }
            }
            Received::Answer(reply) => return self.answered(reply),
        }
        Ok(())
    }

    fn answered(&mut self, reply: Reply) -> Result<(), LinkFault> {
        match self.unanswered.pop_front() {
            Some(Unanswered::One(request)) => self.reporter.tell(News::Answer { request, reply }),
            Some(Unanswered::Several { request, missing, mut answers }) => {
                answers.push(reply);
                if missing > 1 {
                    self.unanswered.push_front(Unanswered::Several { request, missing: missing - 1, answers });
                } else {
                    self.reporter.tell(News::Answer { request, reply: Reply::Array(answers) });
                }
            }
            Some(Unanswered::OneUnlessRefused { request, command }) => match &reply {
                Reply::Error(line) if line.to_ascii_uppercase().contains(command) => {
                    self.unanswered.push_front(Unanswered::Several { request, missing: 1, answers: vec![reply] });
                }
                // Whose error it is cannot be told, and so not whose answer comes next.
                Reply::Error(line) => return Err(LinkFault::Failed(format!("{command} was answered with {line:?}"))),
                _ => self.reporter.tell(News::Answer { request, reply }),
            },
            Some(Unanswered::Subscribe) => {
                if let (Some(subscription), Reply::Error(line)) = (&mut self.subscription, reply) {
                    subscription.due = Some(Instant::now() + RESUBSCRIBE_PERIOD);
                    self.reporter.tell(News::Subscription(Some(line)));
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
