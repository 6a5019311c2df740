//! Log lines that are not events: nobody subscribes to them, but they say why something was or was not done.

use std::fmt;

use crate::events::Level;

/// One line for the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Notice {
    /// How important it is.
    pub level: Level,
    /// The master concerned, if any.
    pub master: Option<crate::types::MasterName>,
    /// The text.
    pub text: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
