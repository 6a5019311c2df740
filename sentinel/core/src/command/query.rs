//! The commands that only read. Whoever holds the client answers them from a [`View`].

use bytes::Bytes;
use sentinel_resp::Reply;

use super::{
    argument, errors,
    table::{self, Does, Subcommand},
};
use crate::{
    time::Now,
    types::HostPort,
    view::{MasterView, View},
};

/// A SENTINEL subcommand that changes nothing, with the words behind it as the client wrote them.
#[derive(Clone, Debug)]
pub struct Query {
    subcommand: &'static Subcommand,
    words: Vec<Bytes>,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.subcommand.name == other.subcommand.name && self.words == other.words
    }
}

impl Query {
    pub(super) fn new(subcommand: &'static Subcommand, words: &[Bytes]) -> Self {
        Query { subcommand, words: words.to_vec() }
    }

    /// The answer, as of this view. `now` turns the moments in it into ages.
    pub fn answer(&self, view: &View, now: Now) -> Reply {
        let answer = match self.subcommand.does {
            Does::Answer(answer) | Does::TellAddress(answer) | Does::AnswerIf(_, answer, _) => answer,
            Does::Change(_) | Does::Reload => return table::wrong_arity(self.subcommand),
        };
        answer(&self.words, view, now).unwrap_or_else(|| table::wrong_arity(self.subcommand))
    }
}

/// The master of that name. Names are case-sensitive.
pub(super) fn find<'a>(view: &'a View, name: &[u8]) -> Option<&'a MasterView> {
    view.masters.get(&argument::text(name)).map(AsRef::as_ref)
}

/// What GET-MASTER-ADDR-BY-NAME tells: the address that clients of this master should use.
pub fn serving<'a>(view: &'a View, name: &[u8]) -> Option<&'a HostPort> {
    find(view, name).map(|master| &master.serving)
}

/// What is told of the master that the only word names.
pub(super) fn about(words: &[Bytes], view: &View, answer: impl FnOnce(&MasterView) -> Reply) -> Option<Reply> {
    let [name] = words else { return None };
    Some(find(view, name).map_or_else(errors::no_such_master, answer))
}
