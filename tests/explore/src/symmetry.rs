//! The Sentinels are interchangeable: none of them is special but for its id and its address. Two worlds that differ only in who is
//! called what have the same future, but for the names in it, and one of them is looked at.
//!
//! Nobody takes that on trust. The image of a Sentinel's state under other names is not made by putting names into it, but by letting
//! that Sentinel take the same steps under the other names: where what it does then is not the same, but for the names, the engine tells
//! the Sentinels apart, and that is counted ([`Table::differences`](crate::table::Table::differences)).

use sentinel_core::{Message, types::SentinelId};
use sentinel_resp::Reply;

use crate::{
    effect::Effect,
    local::Stimulus,
    place::{Place, SENTINELS},
    table::LocalId,
    words::{Packet, PacketId},
};

/// How many ways there are to give the Sentinels each other's names.
pub(crate) const ALL: usize = 6;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Renaming(usize);

const TO: [[u8; SENTINELS]; ALL] = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];

impl Renaming {
    /// All of them. The first changes nothing.
    pub(crate) fn all() -> impl Iterator<Item = Renaming> {
        (0..ALL).map(Renaming)
    }

    /// Its number.
    pub(crate) const fn index(self) -> usize {
        self.0
    }

    /// This one after another one.
    pub(crate) fn after(self, first: Renaming) -> Renaming {
        let both = TO[first.0].map(|of| TO[self.0][usize::from(of)]);
        Renaming(TO.iter().position(|to| *to == both).expect("all are listed"))
    }

    /// What a place is called then.
    pub(crate) fn place(self, of: Place) -> Place {
        if of.is_sentinel() { Place(TO[self.0][of.index()]) } else { of }
    }

    /// What is put into a Sentinel then. `packet` gives the other name of a packet.
    pub(crate) fn stimulus(self, it: Stimulus, packet: impl Fn(PacketId) -> PacketId) -> Stimulus {
        match it {
            Stimulus::Timer | Stimulus::Written | Stimulus::WriteFailed | Stimulus::Crash(_) | Stimulus::Failover => it,
            Stimulus::LinkUp(place) => Stimulus::LinkUp(self.place(place)),
            Stimulus::LinkDown(place) => Stimulus::LinkDown(self.place(place)),
            Stimulus::Request(place, id) => Stimulus::Request(self.place(place), packet(id)),
            Stimulus::Answer(place, id) => Stimulus::Answer(self.place(place), packet(id)),
            Stimulus::PeerLeft(place) => Stimulus::PeerLeft(self.place(place)),
        }
    }

    /// What it does then.
    pub(crate) fn effect(self, it: &Effect, packet: impl Fn(PacketId) -> PacketId) -> Effect {
        match it {
            Effect::Dial(place) => Effect::Dial(self.place(*place)),
            Effect::Hang(place) => Effect::Hang(self.place(*place)),
            Effect::Send(place, id) => Effect::Send(self.place(*place), packet(*id)),
            Effect::Answer(place, id) => Effect::Answer(self.place(*place), packet(*id)),
            Effect::Votes { epoch, leader } => Effect::Votes { epoch: *epoch, leader: self.place(*leader) },
            Effect::Leads { .. } | Effect::Tells(_) | Effect::Broken(_) => it.clone(),
        }
    }

    /// What a request or an answer says then.
    pub(crate) fn packet(self, it: &Packet) -> Packet {
        match it {
            Packet::Request(Message::Hello { payload }) => {
                Packet::Request(Message::Hello { payload: self.text(payload).into() })
            }
            Packet::Request(Message::IsMasterDown { addr, epoch, candidate, signed }) => {
                Packet::Request(Message::IsMasterDown {
                    addr: addr.clone(),
                    epoch: *epoch,
                    candidate: candidate.as_ref().map(|id| self.id(id)),
                    // Nobody has a key here.
                    signed: signed.clone(),
                })
            }
            Packet::Request(other) => Packet::Request(other.clone()),
            Packet::Answer(reply) => Packet::Answer(self.reply(reply)),
        }
    }

    fn reply(self, it: &Reply) -> Reply {
        match it {
            Reply::Array(parts) => Reply::Array(parts.iter().map(|part| self.reply(part)).collect()),
            Reply::Bulk(_) => it.as_text().map_or_else(|| it.clone(), |text| Reply::display(self.text(text))),
            other => other.clone(),
        }
    }

    fn id(self, it: &SentinelId) -> SentinelId {
        Place::with_id(it.as_str()).map_or_else(|| it.clone(), |of| self.place(of).id())
    }

    /// Fields between commas; an id and an address each are one.
    fn text(self, it: &str) -> String {
        let renamed = |field: &str| {
            let named = Place::sentinels().find(|of| of.id().as_str() == field);
            let placed = Place::sentinels().find(|of| of.ip().to_string() == field);
            match (named, placed) {
                (Some(of), _) => self.place(of).id().as_str().to_owned(),
                (_, Some(of)) => self.place(of).ip().to_string(),
                _ => field.to_owned(),
            }
        };
        it.split(',').map(renamed).collect::<Vec<_>>().join(",")
    }
}

/// What everything is called under each renaming, as far as one thread has asked.
#[derive(Debug, Default)]
pub(crate) struct Images {
    pub(crate) locals: Vec<[LocalId; ALL]>,
    pub(crate) packets: Vec<[PacketId; ALL]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renamings_are_a_group_and_leave_data_nodes_alone() {
        for one in Renaming::all() {
            assert_eq!(one.place(Place::node(1)), Place::node(1));
            assert!(Renaming::all().any(|other| other.after(one) == Renaming(0)), "{one:?} can be undone");
            for other in Renaming::all() {
                for of in Place::sentinels() {
                    assert_eq!(other.after(one).place(of), other.place(one.place(of)));
                }
            }
        }
    }

    #[test]
    fn a_hello_and_a_vote_are_those_of_the_other() {
        let swap = Renaming(2);
        let (a, b) = (Place(0), Place(1));
        let hello = |of: Place| format!("{},26379,{},2,m,10.0.0.4,6379,1", of.ip(), of.id());
        assert_eq!(swap.text(&hello(a)), hello(b));
        let vote = |of: Place| Reply::Array(vec![Reply::Integer(1), Reply::display(of.id()), Reply::Integer(2)]);
        assert_eq!(swap.reply(&vote(a)), vote(b));
        assert_eq!(swap.reply(&vote(Place(2))), vote(Place(2)));
    }
}
