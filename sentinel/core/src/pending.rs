//! What waits for the disk.

use sentinel_resp::Reply;

use crate::{events::Event, input::ClientId, state::MasterKey, types::Epoch};

/// What happens once a state is durable.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Pending {
    /// An event that tells of a promise.
    Event(Event),
    /// An answer that is a promise.
    Answer { client: ClientId, reply: Reply },
    /// The own candidacy is on disk: ask for votes.
    Campaign { master: MasterKey, epoch: Epoch },
    /// The promotion is on disk: switch.
    Switch { master: MasterKey, epoch: Epoch },
    /// The configuration of a master that was freed is on disk.
    Freed { master: MasterKey, epoch: Epoch },
    /// A peer's newer configuration is on disk: switch.
    Adopt { master: MasterKey, epoch: Epoch },
}

/// What is said of a master once all promises are on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Speech {
    /// Hellos to all its instances.
    Hello,
    /// Questions to the peers whether they see it down, too.
    Questions,
}

/// For how many masters that is said at one time.
///
/// When a thousand masters switch together, their hellos all wait for the last promise. Said at once, they would keep this
/// process from everything else, and their instances from PINGs, for a tenth of a second.
pub(crate) const SPEECHES_AT_ONCE: u32 = 32;
