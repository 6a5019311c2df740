use std::{fmt, sync::Arc};

/// A password. It can be used and written where it already stood, but never printed by accident.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Secret(Arc<str>);

impl Secret {
    /// Wraps a password.
    pub fn new(text: &str) -> Self {
        Secret(text.into())
    }

    /// The password in clear, for the wire and for the file it came from.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("******")
    }
}
