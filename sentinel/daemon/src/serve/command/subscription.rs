//! SUBSCRIBE, PSUBSCRIBE, UNSUBSCRIBE, PUNSUBSCRIBE: one confirmation for each name.

use super::{Answer, Request, Verb};
use crate::serve::pubsub::Topic;

pub(super) fn execute(verb: Verb, request: &Request<'_>) -> Answer {
    let (hub, client, names) = (&request.server.hub, request.client, request.arguments());
    let topic = match verb {
        Verb::SubscribePattern | Verb::UnsubscribePattern => Topic::Pattern,
        _ => Topic::Channel,
    };
    Answer::Each(match verb {
        Verb::Subscribe | Verb::SubscribePattern => {
            names.iter().map(|name| hub.subscribe(client, topic, name)).collect()
        }
        _ if names.is_empty() => hub.unsubscribe_all(client, topic),
        _ => names.iter().map(|name| hub.unsubscribe(client, topic, name)).collect(),
    })
}
