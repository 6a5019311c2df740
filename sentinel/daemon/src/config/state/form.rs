//! What stands in it, as it is read.

use std::collections::BTreeMap;

use serde::{Deserialize, de};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct State {
    pub(super) myid: Option<String>,
    #[serde(default)]
    pub(super) current_epoch: Number,
    #[serde(default)]
    pub(super) changed: BTreeMap<String, Change>,
    /// Masters that the configuration names but a command removed, with the address they had there.
    #[serde(default)]
    pub(super) removed: BTreeMap<String, String>,
    /// The users as commands left them, and a fingerprint of the configured ones.
    pub(super) users: Option<KeptUsers>,
    #[serde(default)]
    pub(super) master: BTreeMap<String, MasterState>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeptUsers {
    pub(super) was: String,
    /// Whole lines: `user alice on ...`.
    pub(super) now: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MasterState {
    pub(super) address: String,
    /// The address in the configuration. None: a command added the master.
    pub(super) configured: Option<String>,
    /// Whether another program wrote it, which does not tell what was configured.
    #[serde(skip)]
    pub(super) foreign: bool,
    /// The quorum of a classic line.
    #[serde(skip)]
    pub(super) quorum: String,
    #[serde(default)]
    pub(super) config_epoch: Number,
    #[serde(default)]
    pub(super) leader_epoch: Number,
    #[serde(default)]
    pub(super) changed: BTreeMap<String, Change>,
    #[serde(default)]
    pub(super) replicas: Vec<String>,
    /// Nodes that were in sync, with the keys they held.
    #[serde(default)]
    pub(super) in_sync: BTreeMap<String, u64>,
    #[serde(default)]
    pub(super) sentinels: BTreeMap<String, String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The configured value that it replaced. None: whatever is configured.
    pub(super) was: Option<String>,
    pub(super) now: String,
}

/// An epoch: a number, or text beyond the range of numbers in TOML.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Number(pub(super) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either {
            Number(u64),
            Text(String),
        }
        match Either::deserialize(deserializer)? {
            Either::Number(number) => Ok(Number(number)),
            Either::Text(text) => {
                text.parse().map(Number).map_err(|_| de::Error::custom(format!("`{text}` is no epoch")))
            }
        }
    }
}
