//! What is sent periodically, and what the answers say.

mod access;
mod condition;
mod consent;
mod hello;
mod identity;
mod info;
mod lately;
mod link;
mod names;
mod own_id;
mod period;
mod ping;
mod queue;
mod report;
mod signature;

pub(crate) use access::sign_in_refusal;
pub(crate) use condition::Condition;
pub(crate) use hello::Hello;
pub(crate) use lately::{Read, Written};
pub(crate) use link::{node_target, peer_target};
pub(crate) use own_id::{OwnId, TOLD_FOR};
pub(crate) use period::{PingPeriod, in_company, is_crowd};
pub(crate) use ping::PingAnswer;
pub(crate) use queue::FirstDials;
pub(crate) use report::{HandoverState, InfoReport, NEVER_LINKED};
