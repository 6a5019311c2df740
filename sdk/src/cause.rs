//! Why nobody was at hand.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use crate::address::Address;
use crate::trouble::Trouble;

/// What a server was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// A Sentinel, for the address of the master.
    Sentinel,
    /// A node that a Sentinel named, as the master.
    Master,
    /// A node that the Sentinels named, as a replica.
    Replica,
}

/// The last trouble with one server. [`source`](StdError::source) is the error behind it, where there is one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cause {
    /// What the server was asked for.
    pub role: Role,
    /// Where it was asked.
    pub address: Address,
    /// What it answered, or why it could not be reached.
    pub reason: String,
    /// Waiting does not cure it: a wrong password, a name that is not known.
    pub lasting: bool,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

impl Cause {
    pub(crate) fn new(role: Role, address: &Address, trouble: &Trouble) -> Self {
        let Trouble { text, lasting, source } = trouble.clone();
        Self { role, address: address.clone(), reason: text, lasting, source }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Role::Sentinel => "sentinel",
            Role::Master => "node",
            Role::Replica => "replica",
        };
        write!(f, "{role} {}: {}", self.address, self.reason)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

/// The last trouble with each server that was asked in vain; none while no server has answered or failed.
///
/// As an error it shows all of them, and its [`source`](StdError::source) is the first one.
#[derive(Debug, Clone)]
pub struct Causes {
    causes: Arc<[Cause]>,
    /// What is shown while there are none.
    otherwise: &'static str,
}

impl Causes {
    pub(crate) fn new(causes: impl Into<Arc<[Cause]>>, otherwise: &'static str) -> Self {
        Self { causes: causes.into(), otherwise }
    }

    /// One for each server.
    pub fn iter(&self) -> std::slice::Iter<'_, Cause> {
        self.causes.iter()
    }
}

impl<'a> IntoIterator for &'a Causes {
    type Item = &'a Cause;
    type IntoIter = std::slice::Iter<'a, Cause>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cause) in self.iter().enumerate() {
            let between = if index == 0 { "" } else { "; " };
            write!(f, "{between}{cause}")?;
        }
        if self.causes.is_empty() { f.write_str(self.otherwise) } else { Ok(()) }
    }
}

impl StdError for Causes {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.causes.first().map(|cause| cause as _)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::Error;

    #[test]
    fn the_chain_of_sources_ends_at_what_the_system_said() {
        let refused: Arc<dyn StdError + Send + Sync> = Arc::new(io::Error::from(io::ErrorKind::ConnectionRefused));
        let trouble = Trouble { text: "cannot connect".to_owned(), lasting: false, source: Some(refused) };
        let known = Trouble::from("is a replica".to_owned());
        let causes = [
            Cause::new(Role::Sentinel, &"a:1".parse().unwrap(), &trouble),
            Cause::new(Role::Master, &"b:2".parse().unwrap(), &known),
        ];
        let causes = Causes::new(causes, "nobody has answered");
        assert_eq!(causes.to_string(), "sentinel a:1: cannot connect; node b:2: is a replica");
        let waited = std::time::Duration::from_secs(1);
        let error = Error::NoMaster { master: "m".into(), waited, causes };
        let causes = error.source().and_then(|error| error.downcast_ref::<Causes>()).expect("the causes");
        let first = causes.source().and_then(|error| error.downcast_ref::<Cause>()).expect("the first cause");
        assert_eq!(first.address.port(), 1);
        let behind = first.source().and_then(|error| error.downcast_ref::<io::Error>()).map(io::Error::kind);
        assert_eq!(behind, Some(io::ErrorKind::ConnectionRefused));
        assert_eq!(Causes::new([], "nobody has answered").to_string(), "nobody has answered");
    }
}
