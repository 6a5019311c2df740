//! The nouns of the field as types that cannot hold nonsense.

mod address;
mod epoch;
mod identity;
mod quorum;
mod secret;
mod signature;

pub use address::{AddressError, Host, HostPort};
pub use epoch::Epoch;
pub use identity::{IdentityError, MasterName, RunId, SentinelId};
pub use quorum::{Quorum, QuorumError};
pub use secret::Secret;
pub use signature::{Nonce, NotHex, Signature, Signed};
