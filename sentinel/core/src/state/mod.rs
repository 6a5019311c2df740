//! What is known: masters, their nodes, the peers, and the links to them all.

mod access;
mod identity;
mod link;
mod master;
mod names;
mod node;
mod nodes;
mod peer;

pub use access::login_refusal;
pub(crate) use access::{
    Change, Denials, PAUSE, SIGN_IN, SUBSCRIBE, is_denial, is_lack_of_rights, name_of, of_role_change, refusal,
    told_elsewhere,
};
pub(crate) use identity::{Distrust, Identity, Impostor, Introduction, Named};
pub(crate) use link::{Asked, Link, LinkState};
pub(crate) use master::{Adoption, Master, Said, Vote};
pub(crate) use names::{Answer, Learnt, Names};
pub(crate) use node::{InSync, Node, Reconf};
pub(crate) use nodes::Nodes;
pub(crate) use peer::{Claim, Opinion, Peer, PeerLink, PeerLinks};

/// A monitored master for as long as it is monitored. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MasterKey(pub(crate) u64);

/// A data node for as long as it is known. Never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(pub(crate) u64);

crate::canonical::relative!(MasterKey: Own, NodeId: Own);
