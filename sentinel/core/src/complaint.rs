//! What is said, but not too often, of messages that anybody can send.

use std::time::Duration;

use crate::notice::Topic;

/// What messages of strangers can be wrong about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Complaint {
    /// An implausible epoch.
    Epoch,
    /// A hello without the signature that is asked for, or with a wrong one.
    Signature,
    /// A request for a vote without the signature that is asked for, or with a wrong one.
    Request,
    /// A hello that gives a Sentinel another address although it answers at its own.
    Address,
    /// A hello of a Sentinel that cannot be connected to.
    Unreachable,
    /// A hello of one more Sentinel than are remembered.
    Crowd,
    /// A hello with our own id that is not ours.
    OwnId,
}

impl Complaint {
    /// What it is called where it is told.
    pub(crate) const fn topic(self) -> Topic {
        match self {
            Complaint::Epoch => Topic::EpochRefused,
            Complaint::Signature => Topic::SignatureRefused,
            Complaint::Request => Topic::RequestRefused,
            Complaint::Address => Topic::AddressRefused,
            Complaint::Unreachable => Topic::HelloUnreachable,
            Complaint::Crowd => Topic::TooManyPeers,
            Complaint::OwnId => Topic::DuplicateId,
        }
    }

    /// Least time between two complaints about the same.
    pub(crate) const fn period(self) -> Duration {
        match self {
            Complaint::Crowd | Complaint::OwnId | Complaint::Request | Complaint::Unreachable => {
                Duration::from_secs(60)
            }
            Complaint::Epoch | Complaint::Signature | Complaint::Address => Duration::from_secs(1),
        }
    }
}
