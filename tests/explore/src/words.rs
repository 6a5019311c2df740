//! What is said, as small numbers: each request and each answer has one.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

use sentinel_core::Message;
use sentinel_resp::Reply;

use crate::symmetry::Renaming;

/// A request or an answer.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    /// From a Sentinel to somebody.
    Request(Message),
    /// Back.
    Answer(Reply),
}

/// The number of a packet.
pub(crate) type PacketId = u16;

/// All that was said so far, each once.
#[derive(Debug, Default)]
pub(crate) struct Words(RwLock<Known>);

#[derive(Debug, Default)]
struct Known {
    packets: Vec<Packet>,
    by_text: HashMap<String, PacketId>,
}

impl Words {
    /// The number of a request.
    pub(crate) fn request(&self, message: Message) -> PacketId {
        self.number(Packet::Request(message))
    }

    /// The number of an answer.
    pub(crate) fn answer(&self, reply: Reply) -> PacketId {
        self.number(Packet::Answer(reply))
    }

    /// The number of the same under other names of the Sentinels.
    pub(crate) fn renamed(&self, id: PacketId, to: Renaming) -> PacketId {
        self.number(to.packet(&self.packet(id)))
    }

    /// What has this number.
    pub(crate) fn packet(&self, id: PacketId) -> Packet {
        self.0.read().unwrap_or_else(PoisonError::into_inner).packets[usize::from(id)].clone()
    }

    fn number(&self, packet: Packet) -> PacketId {
        let text = format!("{packet:?}");
        if let Some(id) = self.0.read().unwrap_or_else(PoisonError::into_inner).by_text.get(&text) {
            return *id;
        }
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let next = PacketId::try_from(known.packets.len()).expect("a small world has few words");
        let id = *known.by_text.entry(text).or_insert(next);
        if id == next {
            known.packets.push(packet);
        }
        id
    }
}
