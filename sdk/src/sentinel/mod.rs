//! One task for each Sentinel: a subscription, and questions over the same connection.

mod link;
mod push;
mod question;

use std::sync::Arc;

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::address::Address;
use crate::trouble::Trouble;

pub(crate) use link::watch;
pub(crate) use push::Push;
pub(crate) use question::{Peer, View};

/// What the follower holds of one Sentinel.
#[derive(Debug)]
pub(crate) struct Sentinel {
    pub(crate) seed: bool,
    pub(crate) connected: bool,
    /// The id it gave itself, once it was asked.
    pub(crate) id: Option<String>,
    /// The last trouble with it.
    pub(crate) trouble: Option<Trouble>,
    /// Whether it has answered or failed at least once.
    pub(crate) heard: bool,
    /// Failures in a row to reach it.
    pub(crate) failures: u32,
    /// Puts the question now; several requests before it is put are one.
    pub(crate) ask: Arc<Notify>,
    /// Ends its task.
    pub(crate) stop: CancellationToken,
}

/// What a Sentinel's task tells the follower.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) sentinel: Address,
    pub(crate) news: News,
}

#[derive(Debug)]
pub(crate) enum News {
    /// The subscription stands; an answer follows.
    Subscribed,
    /// The answer to a question.
    Answered(View),
    /// It answers, but says nothing of use: an error, an unknown master, nonsense.
    Useless(Trouble),
    /// It told of a step of a failover.
    Step(Push),
    /// It cannot be reached, or the connection broke.
    Lost(Trouble),
}
