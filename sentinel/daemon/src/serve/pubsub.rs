//! Who hears of which events.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, sync::Arc};

use bytes::{Bytes, BytesMut};
use sentinel_core::command::glob;
use sentinel_resp::{Protocol, Reply, encode, text};

use super::client::{Client, State};
use crate::meters::Meters;

/// The most subscriptions of one client. There are some fifty events, so that only a client that means harm has more;
/// the reference knows no bound.
const MAX_SUBSCRIPTIONS: usize = 10_000;
/// The longest name or pattern to subscribe to, in bytes.
const MAX_NAME: usize = 1_024;

type Subscribers = BTreeMap<Bytes, BTreeMap<u64, Rc<Client>>>;

/// All subscriptions of all clients.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    channels: RefCell<Subscribers>,
    patterns: RefCell<Subscribers>,
    meters: Arc<Meters>,
}

/// What a subscription is to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topic {
    /// An event by its name.
    Channel,
    /// Events by a pattern.
    Pattern,
}

impl Hub {
    /// Without subscribers. How many there are is counted.
    pub(crate) fn new(meters: Arc<Meters>) -> Self {
        Hub { meters, ..Hub::default() }
    }

    /// How many different names are subscribed to.
    pub(crate) fn channels(&self) -> usize {
        self.channels.borrow().len()
    }

    /// How many different patterns are subscribed to.
    pub(crate) fn patterns(&self) -> usize {
        self.patterns.borrow().len()
    }

    /// Subscribes a client, and confirms it.
    pub(crate) fn subscribe(&self, client: &Rc<Client>, topic: Topic, name: &Bytes) -> Reply {
        if name.len() > MAX_NAME || client.read(State::subscriptions) >= MAX_SUBSCRIPTIONS {
            return Reply::err(format!(
                "too many subscriptions, or too long a name: at most {MAX_SUBSCRIPTIONS} of {MAX_NAME} bytes"
            ));
        }
        // A copy, since the argument holds on to all that was read together with it.
        let name = Bytes::copy_from_slice(name);
        if client.read(State::subscriptions) == 0 {
            self.meters.subscribers.enter();
        }
        client.update(|state| topic.of(state).insert(name.clone()));
        self.of(topic).borrow_mut().entry(name.clone()).or_default().insert(client.id, Rc::clone(client));
        confirmation(topic.subscribed(), Reply::Bulk(name), client)
    }

    /// Ends one subscription, and confirms it, whether or not it was there.
    pub(crate) fn unsubscribe(&self, client: &Client, topic: Topic, name: &Bytes) -> Reply {
        let removed = client.update(|state| topic.of(state).remove(name));
        if removed && client.read(State::subscriptions) == 0 {
            self.meters.subscribers.leave();
        }
        let mut subscribers = self.of(topic).borrow_mut();
        if let Some(clients) = subscribers.get_mut(name) {
            clients.remove(&client.id);
            if clients.is_empty() {
                subscribers.remove(name);
            }
        }
        confirmation(topic.unsubscribed(), Reply::bulk(name.clone()), client)
    }

    /// Ends all subscriptions of one kind, with a confirmation for each, or one for none.
    pub(crate) fn unsubscribe_all(&self, client: &Client, topic: Topic) -> Vec<Reply> {
        let names: Vec<Bytes> = client.update(|state| topic.of(state).iter().cloned().collect());
        if names.is_empty() {
            return vec![confirmation(topic.unsubscribed(), Reply::Null, client)];
        }
        names.iter().map(|name| self.unsubscribe(client, topic, name)).collect()
    }

    /// Forgets a client that leaves.
    pub(crate) fn leave(&self, client: &Client) {
        for topic in [Topic::Channel, Topic::Pattern] {
            self.unsubscribe_all(client, topic);
        }
    }

    /// Sends an event to everyone who wants it: first those who named it, then pattern by pattern. Each form of the
    /// message is encoded once and shared by all who get it. Returns how many messages were sent.
    pub(crate) fn publish(&self, channel: &'static str, payload: &str) -> usize {
        let payload = Bytes::copy_from_slice(&text::bytes(payload));
        let mut receivers = 0;
        if let Some(clients) = self.channels.borrow().get(channel.as_bytes()) {
            let message = vec![Reply::from("message"), Reply::from(channel), Reply::Bulk(payload.clone())];
            receivers += deliver(message, clients);
        }
        for (pattern, clients) in self.patterns.borrow().iter() {
            if glob::matches(pattern, channel) {
                let message = vec![
                    Reply::from("pmessage"),
                    Reply::Bulk(pattern.clone()),
                    Reply::from(channel),
                    Reply::Bulk(payload.clone()),
                ];
                receivers += deliver(message, clients);
            }
        }
        receivers
    }

    const fn of(&self, topic: Topic) -> &RefCell<Subscribers> {
        match topic {
            Topic::Channel => &self.channels,
            Topic::Pattern => &self.patterns,
        }
    }
}

impl Topic {
    const fn of(self, state: &mut State) -> &mut std::collections::BTreeSet<Bytes> {
        match self {
            Self::Channel => &mut state.channels,
            Self::Pattern => &mut state.patterns,
        }
    }

    const fn subscribed(self) -> &'static str {
        match self {
            Self::Channel => "subscribe",
            Self::Pattern => "psubscribe",
        }
    }

    const fn unsubscribed(self) -> &'static str {
        match self {
            Self::Channel => "unsubscribe",
            Self::Pattern => "punsubscribe",
        }
    }
}

fn confirmation(what: &'static str, name: Reply, client: &Client) -> Reply {
    let count = i64::try_from(client.read(State::subscriptions)).unwrap_or(i64::MAX);
    Reply::Push(vec![Reply::from(what), name, Reply::Integer(count)])
}

fn deliver(message: Vec<Reply>, clients: &BTreeMap<u64, Rc<Client>>) -> usize {
    let message = Reply::Push(message);
    let mut encoded: [Option<Bytes>; 2] = [None, None];
    for client in clients.values() {
        let protocol = client.read(|state| state.protocol);
        let slot = usize::from(protocol == Protocol::Resp3);
        let bytes = encoded[slot].get_or_insert_with(|| {
            let mut bytes = BytesMut::new();
            encode(&message, protocol, &mut bytes);
            bytes.freeze()
        });
        client.deliver(bytes.clone());
    }
    clients.len()
}
