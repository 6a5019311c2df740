//! What holds of all that an engine says, whatever it was told.
//!
//! It sends only over links that are up, and asks for PING and INFO only when no such question waits. It votes once in an epoch.
//! No vote and no epoch leaves it before it is on disk. Each client gets one answer.

use std::collections::{BTreeMap, BTreeSet};

use sentinel_core::events::Event;
use sentinel_core::types::Epoch;
use sentinel_core::{ClientId, Message, Seq};

/// What the engine has said and what was done for it, as far as its promises depend on it.
#[derive(Debug)]
pub struct Promises {
    clients: u64,
    answered: BTreeSet<ClientId>,
    asked: Seq,
    /// The epoch in each state that was asked to be written, and the highest one on disk.
    epochs: BTreeMap<Seq, Epoch>,
    durable: Epoch,
    votes: BTreeMap<(String, Epoch), String>,
}

impl Promises {
    /// Of an engine that started with this epoch on disk.
    pub(crate) fn new(durable: Epoch) -> Self {
        Self {
            clients: 0,
            answered: BTreeSet::new(),
            asked: Seq(0),
            epochs: BTreeMap::new(),
            durable,
            votes: BTreeMap::new(),
        }
    }

    /// One more client that waits for its answer.
    pub(crate) fn client(&mut self) -> ClientId {
        self.clients += 1;
        ClientId(self.clients)
    }

    /// Clients that have no answer yet.
    pub(crate) fn unanswered(&self) -> u64 {
        self.clients - self.answered.len() as u64
    }

    /// The last state that was asked to be written.
    pub(crate) fn asked(&self) -> Seq {
        self.asked
    }

    /// The states up to this one are on disk.
    pub(crate) fn written(&mut self, seq: Seq) {
        if let Some((_, epoch)) = self.epochs.range(..=seq).next_back() {
            self.durable = self.durable.max(*epoch);
        }
    }

    pub(crate) fn check_persist(&mut self, seq: Seq, latest: Seq, epoch: Epoch) {
        assert!(seq > self.asked && seq <= latest, "a state that does not exist is to be written");
        self.asked = seq;
        self.epochs.insert(seq, epoch);
    }

    pub(crate) fn check_answer(&mut self, client: ClientId) {
        assert!(self.answered.insert(client), "a client was answered twice");
    }

    pub(crate) fn check_event(&mut self, event: &Event) {
        if let Event::VoteForLeader { id, epoch, master } = event {
            let id = id.to_string();
            let vote = self.votes.entry((master.to_string(), *epoch)).or_insert_with(|| id.clone());
            assert_eq!(*vote, id, "a second vote in epoch {epoch}");
            assert!(*epoch <= self.durable, "a vote was told that is not on disk");
        } else {
            assert!(!event.payload().is_empty(), "an event without payload");
        }
    }

    /// No message carries an epoch that a crash could make us forget.
    pub(crate) fn check_message(&self, message: &Message) {
        let carried = match message {
            Message::Hello { payload } => {
                payload.split(',').nth(3).and_then(|epoch| epoch.parse().ok()).map(Epoch::new)
            }
            Message::IsMasterDown { epoch, .. } => Some(*epoch),
            _ => None,
        };
        assert!(carried.is_none_or(|epoch| epoch <= self.durable), "{message:?} before it is on disk");
    }
}
