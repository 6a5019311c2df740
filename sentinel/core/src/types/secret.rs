use std::{borrow::Cow, fmt, sync::Arc};

/// A password. It can be used and written where it already stood, but never printed by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a password.
    pub fn new(text: &str) -> Self {
        Secret(text.into())
    }

    /// The password in clear, as text for the file it came from. Bytes that are no UTF-8 are kept in it, see
    /// [`sentinel_resp::text`].
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The password in clear, as it goes over the wire.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        sentinel_resp::text::bytes(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}
