//! What a Sentinel does, as far as others see it.

use sentinel_core::types::HostPort;

use crate::{local::name_index, place::Place, words::PacketId};

/// One effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It dials.
    Dial(Place),
    /// It hangs up.
    Hang(Place),
    /// A request over a link.
    Send(Place, PacketId),
    /// The answer to the request of a peer.
    Answer(Place, PacketId),
    /// It leads the failover of a master in this epoch.
    Leads {
        /// The number of the master's name.
        name: u8,
        /// The epoch.
        epoch: u64,
        /// Whether an operator asked for it: then nobody has granted the epoch.
        forced: bool,
    },
    /// It shows its vote, also the one for itself.
    Votes {
        /// The epoch.
        epoch: u64,
        /// For whom.
        leader: Place,
    },
    /// It tells a configuration.
    Tells(Hello),
    /// It breaks a rule by itself.
    Broken(String),
}

/// What a hello says, as far as it is a promise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    /// The epoch of its sender.
    pub(crate) current_epoch: u64,
    /// The number of the master's name.
    pub(crate) name: u8,
    /// Where the master is.
    pub(crate) master: Place,
    /// The epoch of that configuration.
    pub(crate) config_epoch: u64,
}

impl Hello {
    /// Reads it. None: it is none of this world.
    pub(crate) fn read(payload: &str) -> Option<Self> {
        let fields: Vec<&str> = payload.split(',').collect();
        let [_, _, _, current, name, host, port, config] = fields.as_slice() else { return None };
        let addr: HostPort = format!("{host}:{port}").parse().ok()?;
        Some(Hello {
            current_epoch: current.parse().ok()?,
            name: name_index(name),
            master: Place::at(&addr)?,
            config_epoch: config.parse().ok()?,
        })
    }
}
