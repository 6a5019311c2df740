//! Dials to candidates that are under way, several beside each other.

use std::future::Future;
use std::pin::Pin;
use std::task::Poll;

use super::choose::Candidate;
use crate::address::Address;
use crate::generation::MasterLink;
use crate::role::History;
use crate::trouble::Trouble;

/// More are not dialled at a time.
const MOST: usize = 3;

/// A node that has said that it is a master.
pub(super) struct Dialled {
    pub(super) link: MasterLink,
    /// What the known master told of its data meanwhile. Its id changes when its first replica comes, for example.
    pub(super) known: Option<History>,
}

/// Something that ends in a link or a reason why there is none; dropping it abandons the dial.
pub(super) type Dial = Pin<Box<dyn Future<Output = Result<Dialled, Trouble>> + Send>>;

#[derive(Default)]
pub(super) struct Attempts {
    under_way: Vec<(Candidate, Dial)>,
}

impl Attempts {
    pub(super) fn is_dialling(&self, address: &Address) -> bool {
        self.under_way.iter().any(|(candidate, _)| candidate.address == *address)
    }

    /// Whether there is room for this candidate. One that is ranked lower, or not at all any more, gives way.
    pub(super) fn has_room(&mut self, candidate: &Candidate, ranked: &[Candidate]) -> bool {
        if self.under_way.len() < MOST {
            return true;
        }
        let rank = |address: &Address| ranked.iter().position(|other| other.address == *address).unwrap_or(usize::MAX);
        let lowest = (0..self.under_way.len()).max_by_key(|at| rank(&self.under_way[*at].0.address));
        let gives_way = lowest.filter(|at| rank(&self.under_way[*at].0.address) > rank(&candidate.address));
        if let Some(at) = gives_way {
            drop(self.under_way.swap_remove(at));
        }
        gives_way.is_some()
    }

    pub(super) fn add(&mut self, candidate: Candidate, dial: Dial) {
        self.under_way.push((candidate, dial));
    }

    pub(super) fn clear(&mut self) {
        self.under_way.clear();
    }

    /// The next one that ends; never while there is none.
    pub(super) fn next(&mut self) -> impl Future<Output = (Candidate, Result<Dialled, Trouble>)> {
        std::future::poll_fn(|context| {
            for at in 0..self.under_way.len() {
                if let Poll::Ready(result) = self.under_way[at].1.as_mut().poll(context) {
                    let (candidate, _) = self.under_way.swap_remove(at);
                    return Poll::Ready((candidate, result));
                }
            }
            Poll::Pending
        })
    }
}
