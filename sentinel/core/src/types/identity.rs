use std::{borrow::Cow, fmt, sync::Arc};

use sentinel_resp::text;

/// Why a name or an id was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityError {
    /// An empty master name.
    #[error("a master name must not be empty")]
    EmptyName,
    /// Commas separate the fields of a hello; control characters would break the configuration file.
    #[error("a master name must not contain a comma or a control character")]
    UnusableName,
    /// A Sentinel id that is empty, longer than 64 bytes, or not made of visible ASCII without a comma.
    #[error("a Sentinel id must be visible ASCII without a comma, at most 64 bytes")]
    UnusableId,
    /// A run id that is not 40 visible characters.
    #[error("a run id must be 40 visible characters")]
    UnusableRunId,
}

/// The name under which operators and clients know a master.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MasterName(Arc<str>);

impl MasterName {
    /// Accepts any text, or bytes held as text, without commas (they separate the fields of a hello) and control characters.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        if text.is_empty() {
            Err(IdentityError::EmptyName)
        } else if text.contains(|c: char| c == ',' || c.is_control()) {
            Err(IdentityError::UnusableName)
        } else {
            Ok(MasterName(text.into()))
        }
    }

    /// The name as text. Bytes that are no UTF-8 are kept in it, see [`sentinel_resp::text`].
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it goes over the wire.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        text::bytes(&self.0)
    }
}

impl std::borrow::Borrow<str> for MasterName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MasterName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The identity of a Sentinel: 40 hex digits, made once and kept in the configuration (`myid`).
///
/// The reference checks the length of its own only; a peer's may be any word.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SentinelId(Arc<str>);

impl SentinelId {
    /// Accepts 1 to 64 visible ASCII characters without a comma.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let usable = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic() && b != b',');
        if usable { Ok(SentinelId(text.into())) } else { Err(IdentityError::UnusableId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 8 characters, as they stand in client names (`sentinel-9c9ded96-cmd`).
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for SentinelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The identity of one run of a Redis process: 40 characters, new at each start.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(Arc<str>);

impl RunId {
    /// Accepts exactly 40 visible ASCII characters, as the reference does.
    pub fn new(text: &str) -> Result<Self, IdentityError> {
        let usable = text.len() == 40 && text.bytes().all(|b| b.is_ascii_graphic());
        if usable { Ok(RunId(text.into())) } else { Err(IdentityError::UnusableRunId) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
