//! Why a server was of no use.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why something was not to be had.
#[derive(Debug, Clone)]
pub(crate) struct Trouble {
    pub(crate) text: String,
    /// Waiting does not cure it: a wrong password, a name that is not known.
    pub(crate) lasting: bool,
    /// The error behind it.
    pub(crate) source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What reads the same is the same.
impl PartialEq for Trouble {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.lasting) == (&other.text, other.lasting)
    }
}

impl Eq for Trouble {}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self { text, lasting: false, source: None }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
